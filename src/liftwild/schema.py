"""What files say, checked against the types of dataclasses: recipes, the json of weights, metadata of predictions.

A field may hold what its type says: int, float (finite), str, bool, None, Literal, Any, unions of these, ``list[X]``,
``tuple[X, ...]``, ``dict[str, X]``, dataclasses. ``Annotated[X, Between(...)]`` adds a range, ``Annotated[Any,
ArrayOf(...)]`` is an array. Nothing is built, and no memory taken, before all of it holds.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import stat
import sys
import types
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import reading

MAX_ARRAYS_GB = 16  # of an .npz file, unpacked
MAX_JSON_MB = 1024  # of any JSON file; COCO's largest labels have half of it
MAX_SHOWN = 60  # letters of a wrong value that a message repeats
MAX_NUMBERS = 10_000  # in a list of any length
MAX_NAME = 60  # letters of a file's name
Kind = TypeVar("Kind")


@dataclasses.dataclass(frozen=True)
class Between:
    """The range of a number: from ``low`` (``above``: without it) to ``high``, or a text of so many letters."""

    low: float
    high: float
    above: bool = False

    def __str__(self) -> str:
        return (
            f"above {self.low:g} and at most {self.high:,g}" if self.above else f"from {self.low:g} to {self.high:,g}"
        )

    def holds(self, value: float | str) -> bool:
        """Whether ``value`` lies in it."""
        value = len(value) if isinstance(value, str) else value
        return (self.low < value if self.above else self.low <= value) and value <= self.high


class FileName:
    """Text that can be the name of a file without its suffix, in any folder and on any system."""

    def __str__(self) -> str:
        return f"a name of at most {MAX_NAME} letters, digits, spaces and any of _-.,+"

    def holds(self, value: str) -> bool:
        """Whether ``value`` is such a name."""
        return re.fullmatch(rf"\w[\w.,+ -]{{0,{MAX_NAME - 1}}}", value) is not None and not value.endswith((".", " "))


class Matching:
    """Text that the regular expression ``pattern`` matches, all of it; ``words`` say what it is."""

    def __init__(self, pattern: str, words: str) -> None:
        self.pattern, self.words = pattern, words

    def __str__(self) -> str:
        return self.words

    def holds(self, value: str) -> bool:
        """Whether ``value`` is such text."""
        return re.fullmatch(self.pattern, value) is not None


class ArrayOf:
    """Finite numbers in lists of these lengths; None: any length."""

    def __init__(self, *sides: int | None) -> None:
        self.sides = sides

    def __str__(self) -> str:
        return " x ".join("n" if side is None else str(side) for side in self.sides) + " finite numbers"

    def holds(self, value: Any, depth: int = 0) -> bool:
        """Whether ``value`` are such lists."""
        if depth == len(self.sides):
            return _fits(float, value)
        if not isinstance(value, list) or len(value) > MAX_NUMBERS or self.sides[depth] not in (None, len(value)):
            return False
        return all(self.holds(item, depth + 1) for item in value)


def build(kind: type[Kind], values: Any, where: str = "") -> Kind:
    """The dataclass ``kind`` of a dict; ``where``: what messages call the dict, "" for a whole file.

    ValueError names the entry that is missing, unknown, of another type or out of range. A ``kind`` with
    ``others_allowed`` passes over entries that it does not know.
    """
    prefix = f"{where}." if where else ""
    if not isinstance(values, dict):
        raise ValueError(f"{where or 'it'} must be a table of entries, not {shown(values)}")
    hints, known = _hints(kind), {}
    for name, value in values.items():
        if name in hints:
            known[name] = checked(hints[name], value, prefix + name)
        elif not getattr(kind, "others_allowed", False):
            raise ValueError(f"unknown entry {prefix}{shorter(str(name))}; entries are {', '.join(hints)}")
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        no_default = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if no_default and item.name not in known:
            raise ValueError(f"{prefix}{item.name} is missing")
    try:
        return kind(**known)
    except ValueError as error:  # what holds between fields
        raise ValueError(f"{where}: {error}" if where and not str(error).startswith(prefix) else str(error)) from None


def check_fields(item: Any, prefix: str = "") -> None:
    """ValueError unless every field of the dataclass ``item`` holds what its type says."""
    for name, hint in _hints(type(item)).items():
        checked(hint, getattr(item, name), prefix + name)


def checked(hint: Any, value: Any, where: str) -> Any:
    """``value``, with dataclasses built of dicts and tuples of lists; ValueError, which names ``where``, unless it is
    what ``hint`` says."""
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, where)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        inner = [arg for arg in args if arg is not type(None)]
        if len(inner) == 1:
            return checked(inner[0], value, where)
    if origin in (list, tuple) and isinstance(value, list | tuple):
        return origin(checked(args[0], item, f"{where}[{at}]") for at, item in enumerate(value))
    if origin is dict and isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: checked(args[1], item, f"{where}.{shorter(name)}") for name, item in value.items()}
    if not _fits(hint, value):
        raise ValueError(f"{where} must be {_words(hint)}, not {shown(value)}")
    return value


def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}


def _fits(hint: Any, value: Any) -> bool:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint is int:
        return type(value) is int and abs(value) < 2**63
    if hint is float:
        return (type(value) is int and abs(value) < 2**63) or (isinstance(value, float) and math.isfinite(value))
    if hint in (str, bool, type(None)):
        return isinstance(value, hint)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in args)
    if origin in (Union, types.UnionType):
        return any(_fits(arg, value) for arg in args)
    if origin is Annotated:
        return _fits(args[0], value) and all(rule.holds(value) for rule in args[1:])
    return False  # a list, a dict


def _words(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(str(one) for one in args if one != "")
    if origin is Annotated:
        rules = " ".join(map(str, args[1:]))
        if not all(isinstance(rule, Between) for rule in args[1:]):
            return rules
        return f"{_words(args[0])} of {rules} letters" if args[0] is str else f"{_words(args[0])} {rules}"
    if origin in (Union, types.UnionType):
        return " or ".join(map(_words, args))
    return _WORDS.get(hint, "a list" if origin in (list, tuple) else "a table of entries")


def shown(value: Any) -> str:
    """``value`` as a message repeats it: on one line, and short."""
    try:
        return shorter(repr(value))
    except (ValueError, RecursionError):  # an int of thousands of digits, lists in lists
        return f"a huge {type(value).__name__}"


def shorter(text: str, most: int = MAX_SHOWN) -> str:
    """``text`` without control characters, at most ``most`` letters of it."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: most + 1])
    return text if len(text) <= most else f"{text[:most]}..."


def parse_json(text: str | bytes, where: str) -> Any:
    """What JSON says; LiftwildError, which begins with ``where``, if it is none, or too deep or long to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise LiftwildError(f"{where} is not JSON that can be read: lists in lists, hundreds deep") from None
    except ValueError as error:  # JSON, UTF-8, an int of thousands of digits
        raise LiftwildError(
            f"{where} is not JSON, or not all of it: {shorter(str(error).partition(';')[0], 200)}"
        ) from None


def load_json(path: str | Path, most_mb: int = MAX_JSON_MB) -> Any:
    """What a JSON file holds, UTF-8 with or without a mark; LiftwildError if it cannot be read, is none, is a device,
    or has more than ``most_mb``."""
    return parse_json(read_limited(path, most_mb).removeprefix(b"\xef\xbb\xbf"), str(path))


def read_limited(path: str | Path, most_mb: int = MAX_JSON_MB) -> bytes:
    """The bytes of a file; LiftwildError if it cannot be read, is a device, or has more than ``most_mb``."""
    with reading(path), open(path, "rb") as file:
        kind = os.fstat(file.fileno())
        if stat.S_ISCHR(kind.st_mode) or stat.S_ISBLK(kind.st_mode):
            raise LiftwildError(f"{path} is a device, not a file")
        data = file.read((most_mb << 20) + 1) if kind.st_size <= most_mb << 20 else None
    if data is None or len(data) > most_mb << 20:
        raise LiftwildError(f"{path} has more than {most_mb:,} MB, too much for what it should hold")
    return data


@contextmanager
def understood(path: str | Path, what: str) -> Iterator[None]:
    """LiftwildError, which says that the file ``path`` is not ``what``, in place of whatever its content leads to."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise LiftwildError(f"{path} is not {what}, or damaged: {shorter(why, 200)}") from None


def load_arrays(
    path: str | Path, names: Sequence[str] | None = None, optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """The arrays ``names`` of an .npz file and those of ``optional`` that it has; names None: all. Nothing is
    unpickled.

    LiftwildError if it cannot be read, lacks an array, is cut short or damaged, holds Python objects, or unpacks to
    too much.
    """
    found: dict[str, np.ndarray] = {}
    name = ""
    with reading(path), open(path, "rb") as file:
        try:
            size = sum(entry.file_size for entry in zipfile.ZipFile(file).infolist())
            if size > MAX_ARRAYS_GB << 30:
                raise ValueError(f"it unpacks to {size / 2**30:,.0f} GB, more than {MAX_ARRAYS_GB}")
            with np.load(file, allow_pickle=False) as arrays:
                lacking = [name for name in names or () if name not in arrays.files]
                if lacking:
                    raise LiftwildError(f"{path} lacks {', '.join(lacking)}; it holds {', '.join(arrays.files)}")
                for name in arrays.files:
                    if names is None or name in (*names, *optional):
                        found[name] = arrays[name]
                        if not isinstance(found[name], np.ndarray):  # bytes, where its header is no array's
                            raise ValueError(f"{name} is no array")
                        if not _is_text(found[name]):
                            raise ValueError(f"{name} holds letters that there are not")
        except LiftwildError:
            raise
        except Exception as error:  # zipfile, zlib and numpy raise whatever a broken file leads them to
            if "pickle" in str(error):
                raise LiftwildError(
                    f"{path}: {name} holds Python objects, which are never unpickled; save it as plain numbers"
                ) from None
            why = shorter(str(error), 200) or type(error).__name__
            raise LiftwildError(f"{path} is no .npz file, or damaged: {why}") from None
    return found


def _is_text(values: np.ndarray) -> bool:
    """Whether an array, if it is one of text, holds numbers of letters alone; Python fails on others."""
    if values.dtype.kind != "U" or not values.dtype.itemsize:
        return True
    letters = np.ascontiguousarray(values).reshape(-1).view(np.dtype(np.uint32).newbyteorder(values.dtype.byteorder))
    return bool((letters <= sys.maxunicode).all())
