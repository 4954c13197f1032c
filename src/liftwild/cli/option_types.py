"""Types of options that several commands share."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from liftwild.errors import LiftwildError

DEVICE_HELP = "What torch calls it: cpu, cuda, ...  [default: a GPU if there is one]"


class OwnedChoice(click.ParamType):
    """One of the names that a module offers; it is asked when they are needed: ``liftwild --help`` is instant."""

    name = "choice"

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self.names = names

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The names, as click shows a choice."""
        return f"[{'|'.join(self.names())}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, as it was given."""
        names = list(self.names())
        if value not in names:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, names))}.", param, ctx)
        return str(value)


def rigs() -> Iterable[str]:
    """The joints that animations may have."""
    from liftwild.kinematics.animation import RIGS

    return RIGS


class FormatList(click.ParamType):
    """Names of formats with commas between; ``pictures``: the overlay is one of them."""

    name = "formats"

    def __init__(self, pictures: bool = True) -> None:
        self.pictures = pictures

    def known(self) -> tuple[str, ...]:
        """The names that there are."""
        from liftwild.io.formats import FORMATS
        from liftwild.pipeline.options import OVERLAY

        return (*FORMATS, OVERLAY) if self.pictures else tuple(FORMATS)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The names, as click shows a choice."""
        return ",".join(self.known())

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As it was given; whether libraries are there is seen when it is read."""
        known = self.known()
        for name in str(value).split(","):
            if name.strip() and name.strip().lower() not in known:
                self.fail(f"unknown format {name.strip()!r}; known are {', '.join(known)}", param, ctx)
        return str(value)


class Numbers(click.ParamType):
    """Several finite numbers with commas between, as many as ``name`` has."""

    def __init__(self, name: str, meaning: str) -> None:
        self.name, self.meaning = name, meaning

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers."""
        if isinstance(value, tuple):
            return value
        names = self.name.split(",")
        try:
            numbers = tuple(float(number) for number in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != len(names) or not all(map(math.isfinite, numbers)):
            words = {2: "two", 4: "four"}[len(names)]
            self.fail(f"{value!r} is not {words} numbers {self.name} ({self.meaning})", param, ctx)
        return numbers


class BoxNumbers(Numbers):
    """x,y,w,h in px, with a size."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Four finite floats; w and h above 0."""
        numbers = super().convert(value, param, ctx)
        if numbers[2] <= 0 or numbers[3] <= 0:
            self.fail(f"{value!r} has no size: w and h must be above 0", param, ctx)
        return numbers


class PersonHeights(click.ParamType):
    """A height in m, or one for each of some people: 0:1.80,1:1.65."""

    name = "M|PERSON:M,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | dict[int, float]:
        """The height, or heights by person."""
        try:
            if ":" not in str(value):
                return float(value)
            pairs = [part.split(":") for part in str(value).split(",")]
            heights = {int(person): float(height) for person, height in pairs}
        except ValueError:
            heights = {}
        if not heights:
            self.fail(f"{value!r} is neither a height in m, nor heights of people as 0:1.80,1:1.65", param, ctx)
        return heights


class CountOrAll(click.ParamType):
    """A number from 1 on, or all, which is 0."""

    name = "N|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; 0 for all."""
        if str(value) == "all":
            return 0
        if not _is_count(value) or int(value) < 1:
            self.fail(f"{value!r} is neither a number from 1 on nor 'all'", param, ctx)
        return int(value)


class CountOrAuto(click.ParamType):
    """A number from 0 on, or auto, which is None."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """The number; None for auto."""
        if value is None or str(value) == "auto":
            return None
        if not _is_count(value):
            self.fail(f"{value!r} is not auto, nor a number of 0 or more", param, ctx)
        return int(value)


def _is_count(value: Any) -> bool:
    """Whether it is a whole number of 0 or more that a count may be."""
    return re.fullmatch("[0-9]{1,9}", str(value)) is not None


class InputPath(click.Path):
    """The path of a photo, video or folder; of an address or a camera's number it is told what to do instead."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, whether or not there is something."""
        text = os.fsdecode(value)
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
            self.fail(
                f"{text!r} is an address; nothing is fetched from the network: save it as a file first", param, ctx
            )
        if re.fullmatch(r"[0-9]{1,3}", text) and not os.path.lexists(text):
            self.fail(
                f"there is no file {text!r}; a camera's pictures come as a stream: "
                f"ffmpeg -f v4l2 -i /dev/video{text} -c:v mjpeg -f image2pipe - | liftwild predict - -o OUT",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


@contextmanager
def wrong_usage() -> Iterator[None]:
    """UsageError in place of a LiftwildError: what an option says makes no sense."""
    try:
        yield
    except LiftwildError as error:
        raise click.UsageError(str(error)) from None


def switches(given: tuple[str, ...], option: str) -> dict[str, str]:
    """NAME=VALUE by name; UsageError on anything else."""
    for each in given:
        if "=" not in each:
            raise click.UsageError(f"{option} wants NAME=VALUE, not {each!r}")
    return dict(each.split("=", 1) for each in given)
