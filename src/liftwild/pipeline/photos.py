"""From photos to Recordings, in a stream."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from liftwild.errors import LiftwildError, line_of
from liftwild.inference.estimator import CroppedPerson, Estimator
from liftwild.io.formats import is_ours
from liftwild.media.photo import ENOUGH_PX, LoadedPhoto, Photo, load_photo
from liftwild.media.video import read_ahead
from liftwild.pipeline.distinct import distinct
from liftwild.pipeline.options import PlacingCamera, PoseOptions
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.postprocess import postprocess_photo
from liftwild.pose import Pose, Recording
from liftwild.viz.figure import shrink_for_figure


class PhotoResult(NamedTuple):
    """A photo that is done. ``path``: its file, or None where it came in memory. ``recording``: its people in space,
    or None with an ``error`` in words. ``picture`` (h, w, 3) uint8 RGB: a copy as large as a figure shows it, or None.
    ``warning``: what is to be said of a photo that is damaged in parts, or "". ``least_px``: of a photo that came
    loaded, and has too few px for these people: what its longer side needs, and nothing else.
    """

    path: Path | None
    recording: Recording | None
    picture: np.ndarray | None = None
    error: str = ""
    warning: str = ""
    least_px: int = 0


class PhotoTask(NamedTuple):
    """A photo and what is wanted of it.

    ``photo``: as for ``load_photo``, or loaded already, with ``ENOUGH_PX``; ``name``: what it is called where it has no
    path.
    """

    photo: Photo | LoadedPhoto
    selection: PersonSelection
    options: PoseOptions
    name: str = "photo"


class _ReadPhoto(NamedTuple):
    """A photo between reading and the network, without its people and its pixels: many may wait."""

    path: Path | None
    name: str
    options: PoseOptions
    detects: bool
    size: tuple[int, int]
    camera: PlacingCamera
    scores: list[float | None]
    picture: np.ndarray | None
    warning: str


class _Part(NamedTuple):
    """Some people of a photo, as many as the network takes at a time; ``is_last``: there are no more."""

    photo: _ReadPhoto
    people: list[CroppedPerson]
    is_last: bool


def predict_photos(
    estimator: Estimator,
    photos: Iterable[Photo],
    selection: PersonSelection,
    options: PoseOptions,
    keep_picture: bool = False,
    progress: Callable[[str], object] | None = None,
) -> Iterator[PhotoResult]:
    """A result for each of ``photos``, in their order, as soon as it is known; one that fails says so in ``error``.

    ``keep_picture``: also a small copy of each photo. ``progress`` is told how far a photo of many people is. While the
    network works on some people, a thread reads the next photos and finds the people in them. A stream of any length,
    and photos of any number of people, fit in memory. LiftwildError if the weights are broken.
    """
    tasks = (PhotoTask(photo, selection, options) for photo in photos)
    is_one = isinstance(photos, Sized) and len(photos) < 2
    return predict_tasks(estimator, tasks, keep_picture, progress, ahead=not is_one)


def predict_tasks(
    estimator: Estimator,
    tasks: Iterable[PhotoTask],
    keep_picture: bool = False,
    progress: Callable[[str], object] | None = None,
    ahead: bool = True,
) -> Iterator[PhotoResult]:
    """As ``predict_photos``, of photos of which different things are wanted; ``ahead``: by two threads. For one photo
    that is slower: OpenVINO takes 2 ms to know a thread."""

    def read() -> Generator[_Part | PhotoResult, None, None]:
        for task in tasks:
            path = Path(task.photo) if isinstance(task.photo, str | Path) else None
            try:
                yield from _read(estimator, task, path, keep_picture)
            except Exception as error:
                yield PhotoResult(path, None, error=_fault(error, path))

    poses: list[Pose] = []
    failed: _ReadPhoto | None = None
    begun: _ReadPhoto | None = None  # of which more parts come
    # As many parts as the network has people in a batch, so that it need not wait for the next.
    with closing(read_ahead(read(), estimator.batch_size) if ahead else read()) as stream:
        for part in stream:
            if isinstance(part, PhotoResult):
                poses = []
                if begun is None or begun is not failed:  # else it has its result: there is one for each photo
                    yield part
                begun = None
                continue
            begun = None if part.is_last else part.photo
            if part.photo is not failed:
                try:
                    poses += next(estimator.predict_crops([part.people]))
                    if progress is not None and len(part.photo.scores) > estimator.batch_size:
                        progress("" if part.is_last else f"{len(poses)} of {len(part.photo.scores)} people")
                    if not part.is_last:
                        continue
                    result = _result(estimator, part.photo, poses)
                except LiftwildError:
                    raise
                except Exception as error:
                    failed = part.photo
                    result = PhotoResult(failed.path, None, error=_fault(error, failed.path))
                poses = []
                yield result


def _fault(error: Exception, path: Path | None) -> str:
    """One line of what is wrong with a photo."""
    if path is not None and isinstance(error, LiftwildError) and is_ours(path):
        return f"{path}: is a result of liftwild, not a photo; give the photo or video that it was made of"
    return line_of(error, "photo" if path is None else path)


def _read(estimator: Estimator, task: PhotoTask, path: Path | None, keep: bool) -> Iterator[_Part | PhotoResult]:
    loaded = load_photo(task.photo, ENOUGH_PX)
    (width, height), selection = loaded.size, task.selection
    camera = task.options.camera_of(width, height, loaded.exif)
    boxes, ids, scores, left_out = selection.in_photo(loaded, path)
    least_px = estimator.least_px(loaded.size, boxes or [])
    if loaded.divisor > 1 and max(loaded.image.shape) < least_px:
        if isinstance(task.photo, LoadedPhoto):
            yield PhotoResult(path, None, least_px=least_px)
            return
        loaded = load_photo(task.photo, least_px)
        boxes, ids, scores, left_out = selection.in_photo(loaded, path)
    picture = shrink_for_figure(loaded.image) if keep else None
    warnings = [f"{path or 'photo'}: is damaged, parts of it may look wrong: {loaded.damage}"] if loaded.damage else []
    warning = "; ".join([*warnings, *left_out])
    name = task.name if path is None else path.name
    read = _ReadPhoto(
        path, name, task.options, task.selection.detects, (width, height), camera, scores, picture, warning
    )
    step = estimator.batch_size
    for first in range(0, max(1, len(scores)), step):
        some = slice(first, first + step)
        people = estimator.crop_people(
            loaded, None if boxes is None else boxes[some], None if ids is None else ids[some],
            name=None if path is None else str(path),
        )  # fmt: skip
        yield _Part(read, people, first + step >= len(scores))


def _result(estimator: Estimator, read: _ReadPhoto, poses: list[Pose]) -> PhotoResult:
    poses = [replace(pose, score=score) for pose, score in zip(poses, read.scores, strict=True)]
    if read.detects:
        poses = distinct(poses)
    found = Recording.of_photo(
        read.name, *read.size, poses, confidence_is=estimator.confidence_is, computed_by=estimator.runtime_name
    )
    recording = postprocess_photo(found, read.camera, read.options)
    return PhotoResult(read.path, recording, read.picture, warning=read.warning)
