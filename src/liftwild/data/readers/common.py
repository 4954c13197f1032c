"""Shared by the readers of data sets: photos of a folder, and people cut into parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.data.dataset import Part
from liftwild.data.labels import Skip
from liftwild.errors import LiftwildError
from liftwild.media.photo import read_photo
from liftwild.sample import Sample

PEOPLE_A_PART = 100  # where a data set has no parts of its own


def blocks(name: str, rows: Sequence[Any], read: Callable[[Sequence[Any]], Iterator[Sample | Skip]]) -> list[Part]:
    """Parts of ``PEOPLE_A_PART`` rows each."""
    starts = range(0, len(rows), PEOPLE_A_PART)
    return [Part(f"{name}-{s:06d}", partial(read, rows[s : s + PEOPLE_A_PART])) for s in starts]


def photos_of(folder: Path, names: Iterable[str]) -> Iterator[np.ndarray | Skip]:
    """The photo of each of ``names``, or why it cannot be read; one that comes several times running is read once."""
    last: tuple[str, np.ndarray | Skip] | None = None
    for name in names:
        if last is None or last[0] != name:
            try:
                last = name, read_photo(folder / name)
            except LiftwildError as error:
                last = name, Skip(name, None, "photo cannot be read", str(error))
        yield last[1]


def need_folder(path: Path, what: str) -> Path:
    """``path`` if it is a folder; else LiftwildError that says what it should hold."""
    if not path.is_dir():
        raise LiftwildError(f"no folder {path}: expected {what} there")
    return path


def need_photos(folder: Path, names: Iterable[str], title: str, what: str, allow_missing: bool) -> None:
    """LiftwildError unless all of ``names`` are in ``folder`` (or, with ``allow_missing``, any)."""
    need_folder(folder, what)
    there, wanted = set(os.listdir(folder)), dict.fromkeys(names)
    missing = [name for name in wanted if name not in there]
    if len(missing) == len(wanted):
        raise LiftwildError(f"{folder} holds none of the {len(wanted):,} photos of {title}, such as {missing[0]}")
    if missing and not allow_missing:
        raise LiftwildError(
            f"{folder} lacks {len(missing):,} of the {len(wanted):,} photos of {title}, such as {missing[0]}: finish "
            "the download, or leave their people out with --allow-missing"
        )
