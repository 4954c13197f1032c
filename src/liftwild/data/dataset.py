"""A data set in parts, and its store: the parts are read in parallel, kept on disk, and joined at the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from liftwild.data.labels import OUTSIDE, Skip
from liftwild.data.prepare import Prepared, check_skips, windowed
from liftwild.data.store import SCHEMA, StoreWriter, stored_row
from liftwild.errors import LiftwildError
from liftwild.files import make_folder, remove_folder, remove_leftovers, write_whole, writing
from liftwild.sample import Sample

MAX_OUTSIDE = 0.2  # of the people: with more whose joints lie outside their photos, the photos are of another size


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
    ``scale``: of the 3D joints, as ``Store.scale`` tells it.
    """

    title: str
    parts: Sequence[Part]
    settings: dict[str, Any]
    published: tuple[int, int] | None = None
    warnings: Sequence[str] = ()
    scale: str = ""


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
    check_skips(output)
    with StoreWriter(output, dataset.scale) as writer, ThreadPoolExecutor() as pool:
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
                with suppress(LiftwildError):  # what ended it is what is said
                    remove_folder(folder)
            raise
        for part in dataset.parts:
            photos |= writer.add_store(_path(folder, part))
        outside = [skip for skip in skips if skip.reason == OUTSIDE]
        if len(outside) > MAX_OUTSIDE * (writer.rows + len(outside)):
            remove_folder(folder)
            raise LiftwildError(
                f"{dataset.title}: {len(outside):,} of {writer.rows + len(outside):,} people have {OUTSIDE}, the first "
                f"is {outside[0]}"
            )
        if writer.rows == 0:
            remove_folder(folder)
            example = f", {len(skips)} left out; the first: {skips[0]}" if skips else ""
            raise LiftwildError(f"{dataset.title}: nobody could be read{example}")
    remove_folder(folder)
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
    plan = json.dumps({"title": dataset.title, "columns": SCHEMA.names, **dataset.settings}, sort_keys=True)
    note = folder / "plan.json"
    make_folder(folder)
    with writing(folder):
        remove_leftovers(folder)
        if not any(folder.iterdir()):
            write_whole(note, plan.encode())
        elif not note.is_file() or note.read_bytes() != plan.encode():
            raise LiftwildError(
                f"{folder} holds parts of another preparation: go on with that one, remove the folder, or write to "
                "another file"
            )


def _path(folder: Path, part: Part) -> Path:
    return folder / f"{part.name}.arrow"


def _write_part(part: Part, folder: Path, stop: threading.Event) -> list[Skip]:
    """Write a part's store unless it is there, and tell what is left out."""
    path, doubt = _path(folder, part), folder / f"{part.name}.incomplete"
    if path.is_file() and not doubt.exists():
        return []
    skips = []
    with writing(doubt):
        doubt.touch()  # before the store appears; gone when it is known to lack nothing
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
