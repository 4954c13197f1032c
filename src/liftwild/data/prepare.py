"""From labels and photos to a store."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from liftwild.console import printable
from liftwild.data.labels import LabelledPerson, Skip, box_fault, within
from liftwild.data.readers.coco import read_labels
from liftwild.data.store import StoreWriter, stored_row
from liftwild.errors import LiftwildError
from liftwild.files import check_output, starts_with, write_whole
from liftwild.media.photo import read_photo
from liftwild.sample import Sample

SKIPS_MARK = "# what liftwild left out\n"
HOLD_BACK_EVERY = 10  # photos, where some are held back to measure on


@dataclass(frozen=True)
class Prepared:
    """What ``prepare`` did: rows written, photos that they come from, everything left out, how many of people and
    photos went into the store of those held back, and what differs from the data set as published."""

    people: int
    photos: int
    skips: list[Skip]
    people_held_back: int = 0
    photos_held_back: int = 0
    warnings: list[str] = field(default_factory=list)

    def reasons(self) -> Counter[str]:
        """How often each reason for leaving something out occurred."""
        return Counter(skip.reason for skip in self.skips)


def prepare_labels(
    labels: str | Path,
    images: str | Path,
    output: str | Path,
    progress: Callable[[Iterator[Any], int], Iterator[Any]] | None = None,
    held_back: str | Path | None = None,
) -> Prepared:
    """Write the store of a COCO keypoints file and its folder of photos.

    ``progress`` wraps the iteration over photos (given its length). A photo that is missing, broken or of another size
    than its labels say is skipped with the reason; LiftwildError if nobody is left. ``output`` appears whole or not at
    all. ``held_back``: a second store, for all people of every tenth usable photo by image id; none with fewer photos.
    """
    folder = Path(images)
    if not os.path.isdir(folder):
        raise LiftwildError(f"no folder of photos {folder}")
    check_skips(output)
    people, skips = read_labels(labels)
    by_name: dict[str, list[LabelledPerson]] = {}
    for person in people:  # people of one photo need not follow each other
        by_name.setdefault(person.file_name, []).append(person)
    paths = {name: find_photo(folder, name) for name in by_name}
    claims = Counter(paths.values())
    names = list(by_name)
    if held_back is not None:
        names.sort(key=lambda name: _order(by_name[name][0].image_id))
    photos = 0
    with StoreWriter(output) as writer, ExitStack() as stack, ThreadPoolExecutor() as pool:
        other: StoreWriter | None = None

        def job(name: str) -> tuple[list[dict[str, Any]], list[Skip]]:
            path = paths[name]
            if path is None:
                fault = f"{folder / name}: no such file"
            elif claims[path] > 1 and path != folder / name:
                fault = f"{path} answers to several names of the labels: keep the folders that they name"
            else:
                return _rows(path, name, by_name[name])
            return [], _skip_all(by_name[name], "photo cannot be read", fault)

        try:
            # A bounded window of photos in flight keeps memory flat.
            results = windowed(pool, job, names, window=64)
            for rows, skipped in progress(results, len(names)) if progress else results:
                skips.extend(skipped)
                photos += bool(rows)
                into = writer
                if held_back is not None and rows and photos % HOLD_BACK_EVERY == 0:
                    into = other = other or stack.enter_context(StoreWriter(held_back))
                for row in rows:
                    into.add(row)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the window
            raise
        if writer.rows == 0:
            reasons = Counter(skip.reason for skip in skips)
            example = max(skips, key=lambda skip: reasons[skip.reason], default=None)  # the first of the commonest
            most = f"; most of them like {example}" if example else ""
            raise LiftwildError(f"nobody of {labels} could be used, {len(skips)} left out{most}")
    tenth = photos // HOLD_BACK_EVERY if held_back is not None else 0
    return Prepared(writer.rows, photos - tenth, skips, other.rows if other else 0, tenth)


def _order(image_id: int | str) -> tuple[bool, int, str]:
    """Sorts ids: numbers first, by size."""
    return isinstance(image_id, str), 0 if isinstance(image_id, str) else image_id, str(image_id)


def left_out(done: Prepared) -> list[str]:
    """A line for each reason why something was left out: how often, and the first."""
    return [
        f"left out: {count} x {reason}; the first: {next(skip for skip in done.skips if skip.reason == reason)}"
        for reason, count in done.reasons().most_common()
    ]


def write_skips(done: Prepared, output: str | Path) -> Path | None:
    """List everything left out, a line each, in ``OUTPUT.skipped.txt``; its path, or None if nothing was."""
    path = Path(f"{output}.skipped.txt")
    check_skips(output)
    if not done.skips:
        path.unlink(missing_ok=True)
        return None
    write_whole(
        path, (SKIPS_MARK + "".join(f"{printable(skip)}\n" for skip in done.skips)).encode("utf-8", "backslashreplace")
    )
    return path


def check_skips(output: str | Path) -> None:
    """LiftwildError if ``write_skips`` would replace a file that is something else."""
    check_output(Path(f"{output}.skipped.txt"), partial(starts_with, mark=SKIPS_MARK.encode()))


def find_photo(folder: Path, name: str) -> Path | None:
    """The photo that a label's file_name means: that path below ``folder``, or the longest end of it that is there.

    Labelling tools write paths of their own machine (``/data/upload/4/a.jpg``, ``..\\media\\a.jpg``, a URL). Nothing
    outside of ``folder`` is looked at.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        path = folder.joinpath(*parts[start:])
        if os.path.isfile(path):
            return path
    return None


def windowed(pool: ThreadPoolExecutor, job: Callable[[Any], Any], items: list[Any], window: int) -> Iterator[Any]:
    """The results of ``job`` in order, with at most ``window`` results waiting."""
    waiting = []
    for item in items:
        waiting.append(pool.submit(job, item))
        if len(waiting) >= window:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def _rows(path: Path, name: str, people: list[LabelledPerson]) -> tuple[list[dict[str, Any]], list[Skip]]:
    """The rows of the people of one photo, and why some are left out."""
    try:
        image = read_photo(path)
    except LiftwildError as error:
        return [], _skip_all(people, "photo cannot be read", str(error))
    rows, skips = [], []
    for person in people:
        reason, detail = _misfit(person, (image.shape[1], image.shape[0]))
        if not reason:
            sample = Sample(
                image, person.joints_2d, person.joints_2d_valid, person.joints_3d, person.depth_valid,
                person.camera, person.box, name, person.annotation_id, visibility=person.visibility,
            )  # fmt: skip
            try:
                rows.append(stored_row(sample))
                continue
            except (cv2.error, MemoryError) as error:
                reason, detail = "person cannot be cut out", str(error)
        skips.append(Skip(name, person.annotation_id, reason, detail))
    return rows, skips


def _misfit(person: LabelledPerson, size: tuple[int, int]) -> tuple[str, str]:
    """Why a person's labels cannot be of a photo of ``size`` (width, height), and details; empty if they can."""
    is_size = f"photo is {size[0]}x{size[1]}"
    sizes = (size, size[::-1]) if person.perhaps_turned else (size,)
    if person.photo_size is not None and person.photo_size not in sizes:
        stated = f"{is_size}, labels say {person.photo_size[0]}x{person.photo_size[1]}"
        return "photo has another size than its labels say", stated
    if not within(person.joints_2d[person.joints_2d_valid], size).all():  # where the labels state no size for sure
        return "joint outside the photo", is_size
    fault = box_fault(person.box, size)
    return fault, is_size if fault else ""


def _skip_all(people: list[LabelledPerson], reason: str, detail: str) -> list[Skip]:
    return [Skip(person.file_name, person.annotation_id, reason, detail) for person in people]
