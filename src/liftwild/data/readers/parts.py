"""From a data set's reader to a store: parts read side by side, kept until all are there, joined at the end."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from liftwild.camera import Camera
from liftwild.data.prepare import Prepared, windowed
from liftwild.data.readers.coco import Box, Skip, box_of, to_mpii
from liftwild.data.store import StoreWriter, stored_row
from liftwild.errors import LiftwildError
from liftwild.media.photo import read_photo
from liftwild.sample import Sample
from liftwild.skeleton import match_names

PEOPLE_A_PART = 100  # where a data set has no parts of its own


@dataclass(frozen=True)
class Part:
    """A piece of a data set that is read as one: ``name`` is unique, ``read`` gives its people and what is left out."""

    name: str
    read: Callable[[], Iterator[Sample | Skip]]


@dataclass(frozen=True)
class Dataset:
    """What a reader found: its parts in order, and what the result is compared with.

    ``title`` for messages; ``settings`` (what JSON holds) tell one preparation from another; ``published``: (least,
    most) people that it has according to its documents, or None; ``warnings``: what differs from them already.
    """

    title: str
    parts: Sequence[Part]
    settings: dict[str, Any]
    published: tuple[int, int] | None = None
    warnings: Sequence[str] = ()


class _StoppedError(Exception):
    """Another part failed, or somebody pressed Ctrl-C."""


def prepare_dataset(
    dataset: Dataset,
    output: str | Path,
    progress: Callable[[Iterator[Any], int], Iterator[Any]] | None = None,
) -> Prepared:
    """Write the store of a data set, and compare the number of its people with the published one.

    Finished parts wait in ``OUTPUT.parts``; the same call after an interruption reads only the others, and those that
    left something out. ``output`` appears whole or not at all, and then the parts go; where none was finished, nothing
    is left. ``progress`` wraps the iteration over parts (given their number). LiftwildError if nobody could be read, or
    if the parts are of another preparation.
    """
    output = Path(output)
    folder = parts_of(output)
    skips: list[Skip] = []
    photos: set[str] = set()
    with StoreWriter(output) as writer, ThreadPoolExecutor() as pool:
        _claim(folder, dataset)
        stop = threading.Event()
        try:
            results = windowed(pool, partial(_write_part, folder=folder, stop=stop), list(dataset.parts), window=64)
            for skipped in progress(results, len(dataset.parts)) if progress else results:
                skips.extend(skipped)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            if not any(folder.glob("*.arrow")):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        for part in dataset.parts:
            photos |= writer.add_store(_path(folder, part))
        if writer.rows == 0:
            shutil.rmtree(folder)
            example = f", {len(skips)} left out; the first: {skips[0]}" if skips else ""
            raise LiftwildError(f"{dataset.title}: nobody could be read{example}")
    shutil.rmtree(folder)
    return Prepared(writer.rows, len(photos), skips, warnings=[*dataset.warnings, *_difference(dataset, writer.rows)])


def parts_of(output: Path) -> Path:
    """Where the finished parts of ``output`` wait."""
    return Path(f"{output}.parts")


def _difference(dataset: Dataset, people: int) -> list[str]:
    """A line if ``people`` are not as many as published."""
    if dataset.published is None or dataset.published[0] <= people <= dataset.published[1]:
        return []
    least, most = dataset.published
    if least == most:
        off = f"{abs(people - least):,} {'too few' if people < least else 'too many'}"
        return [f"{dataset.title} has {people:,} people here, {least:,} are published: {off}"]
    return [f"{dataset.title} has {people:,} people here, {least:,} to {most:,} are published"]


def _claim(folder: Path, dataset: Dataset) -> None:
    """Make the folder of the parts, or go on with it if it is of the same preparation.

    There may be more parts than before, where a download went on in between.
    """
    plan = json.dumps({"title": dataset.title, **dataset.settings}, sort_keys=True)
    note = folder / "plan.json"
    try:
        if folder.is_dir() and any(folder.iterdir()):
            if not note.is_file() or note.read_text(encoding="utf-8") != plan:
                raise LiftwildError(
                    f"{folder} holds parts of another preparation: go on with that one, remove the folder, or write "
                    "to another file"
                )
            return
        folder.mkdir(exist_ok=True)
        note.write_text(plan, encoding="utf-8")
    except OSError as error:
        raise LiftwildError(f"cannot write {folder}: {error.strerror}") from None


def _path(folder: Path, part: Part) -> Path:
    return folder / f"{part.name}.arrow"


def _write_part(part: Part, folder: Path, stop: threading.Event) -> list[Skip]:
    """Write a part's store unless it is there, and tell what is left out."""
    path, doubt = _path(folder, part), folder / f"{part.name}.incomplete"
    if path.is_file() and not doubt.exists():
        return []
    skips = []
    try:
        doubt.touch()  # before the store appears; gone when it is known to lack nothing
    except OSError as error:
        raise LiftwildError(f"cannot write {doubt}: {error.strerror}") from None
    with StoreWriter(path) as writer:
        for one in part.read():
            if stop.is_set():
                raise _StoppedError
            if isinstance(one, Skip):
                skips.append(one)
                continue
            try:
                writer.add(stored_row(one))
            except (cv2.error, MemoryError) as error:
                skips.append(Skip(one.source, one.annotation_id, "person cannot be cut out", str(error)))
    if not skips:
        doubt.unlink()
    return skips


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


def positions(names: Sequence[str], unused: Iterable[str] = ()) -> list[int | None]:
    """Where each MPII-16 joint is in ``names`` (``skeleton.match_names``); ``unused``: names without a counterpart."""
    unused = set(unused)
    kept = [i for i, name in enumerate(names) if name not in unused]
    return [None if at is None else kept[at] for at in match_names([names[i] for i in kept])]


def labelled(
    image: np.ndarray,
    match: list[int | None],
    joints_2d: np.ndarray,
    *,
    source: str,
    annotation_id: int,
    valid: np.ndarray | None = None,
    joints_3d: np.ndarray | None = None,
    camera: Camera | None = None,
    box: Box | None = None,
    subject: str = "",
    group: str = "",
    head_size_px: float | None = None,
) -> Sample | Skip:
    """A sample from joints (K, 2) in px and (K, 3) in mm of a joint set that ``match`` maps (``positions``).

    ``valid`` (K,) bool: which are known, all by default. Without ``box`` it is that of the labelled joints.
    """
    known = np.isfinite(joints_2d).all(axis=1) & (True if valid is None else valid)
    here, seen = to_mpii(match, joints_2d, known)
    space, depth_valid = np.zeros((len(match), 3)), np.zeros(len(match), dtype=bool)
    if joints_3d is not None:
        space, depth_valid = to_mpii(match, joints_3d, np.isfinite(joints_3d).all(axis=1))
    box = box or box_of(here[seen])
    if box is None or not seen.any():
        return Skip(source, annotation_id, "too few joints labelled")
    return Sample(
        image, here, seen, space, depth_valid, camera, box, source, annotation_id, subject, group, head_size_px
    )
