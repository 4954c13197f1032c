"""Shared by the readers of data sets: photos of a folder, and people cut into parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
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
    """LiftwildError unless all of ``names``, paths below ``folder``, are there (or, with ``allow_missing``, any).

    A name that leads out of ``folder`` is an error in any case.
    """
    need_folder(folder, what)
    wanted = {name: _inside(folder, name, title) for name in names}
    if not wanted:
        raise LiftwildError(f"{title} names no photo of {folder}: nobody to read")
    there = {parent: set(os.listdir(parent)) if parent.is_dir() else set() for parent in
             {path.parent for path in wanted.values()}}  # fmt: skip
    missing = [name for name, path in wanted.items() if path.name not in there[path.parent]]
    if len(missing) == len(wanted):
        raise LiftwildError(f"{folder} holds none of the {len(wanted):,} photos of {title}, such as {missing[0]}")
    if missing and not allow_missing:
        raise LiftwildError(
            f"{folder} lacks {len(missing):,} of the {len(wanted):,} photos of {title}, such as {missing[0]}: finish "
            "the download, or leave their people out with --allow-missing"
        )


def _inside(folder: Path, name: str, title: str) -> Path:
    """The path below ``folder`` that data call ``name``; LiftwildError if it leads elsewhere."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts or not path.parts or "\0" in name:
        raise LiftwildError(f"{title} names a photo outside of {folder}: {name!r}")
    return folder / name
