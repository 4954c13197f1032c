"""From photos to Recordings, in a stream: people of several photos share a batch of the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.inference.estimator import CroppedPerson, Estimator
from liftwild.media.photo import Photo, load_photo
from liftwild.media.video import read_ahead
from liftwild.pipeline.options import PlacingCamera, PoseOptions
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.postprocess import postprocess_photo
from liftwild.pose import Pose, Recording
from liftwild.viz.figure import shrink_for_figure


class PhotoResult(NamedTuple):
    """A photo that is done. ``path``: its file, or None where it came in memory. ``recording``: its people in space,
    or None with an ``error`` in words. ``picture`` (h, w, 3) uint8 RGB: a copy as large as a figure shows it, or None.
    """

    path: Path | None
    recording: Recording | None
    picture: np.ndarray | None = None
    error: str = ""


class _ReadPhoto(NamedTuple):
    """A photo between reading and the network."""

    path: Path | None
    name: str
    size: tuple[int, int]
    camera: PlacingCamera
    people: list[CroppedPerson]
    scores: list[float | None]
    picture: np.ndarray | None


def predict_photos(
    estimator: Estimator,
    photos: Iterable[Photo],
    selection: PersonSelection,
    options: PoseOptions,
    keep_picture: bool = False,
) -> Iterator[PhotoResult]:
    """A result for each of ``photos``, in their order, as soon as it is known; one that fails says so in ``error``.

    ``keep_picture``: also a small copy of each photo. While the network works on a batch of people, a thread reads the
    photos of the next one and finds the people in them. A stream of any length fits in memory. LiftwildError if the
    weights are broken.
    """
    waiting: deque[_ReadPhoto | PhotoResult] = deque()

    def read() -> Generator[_ReadPhoto | PhotoResult, None, None]:
        for photo in photos:
            path = Path(photo) if isinstance(photo, str | Path) else None
            try:
                yield _read(estimator, photo, path, selection, options, keep_picture)
            except LiftwildError as error:
                yield PhotoResult(path, None, error=str(error))

    def people(stream: Iterable[_ReadPhoto | PhotoResult]) -> Iterator[list[CroppedPerson]]:
        for each in stream:
            waiting.append(each)
            yield [] if isinstance(each, PhotoResult) else each.people

    # As many photos as the network has people in a batch, so that it need not wait for the next.
    with closing(read_ahead(read(), estimator.batch_size)) as stream:
        for poses in estimator.predict_crops(people(stream)):
            each = waiting.popleft()
            yield each if isinstance(each, PhotoResult) else _result(estimator, each, poses, options)


def _read(
    estimator: Estimator, photo: Photo, path: Path | None, selection: PersonSelection, options: PoseOptions, keep: bool
) -> _ReadPhoto:
    loaded = load_photo(photo)
    height, width = loaded.image.shape[:2]
    camera = options.camera_of(width, height, loaded.exif)
    boxes, ids, scores = selection.in_photo(loaded.image, path)
    people = estimator.crop_people(loaded.image, boxes, ids, name=None if path is None else str(path))
    picture = shrink_for_figure(loaded.image) if keep else None
    name = "photo" if path is None else path.name
    return _ReadPhoto(path, name, (width, height), camera, people, scores, picture)


def _result(estimator: Estimator, read: _ReadPhoto, poses: list[Pose], options: PoseOptions) -> PhotoResult:
    poses = [replace(pose, score=score) for pose, score in zip(poses, read.scores, strict=True)]
    found = Recording.of_photo(
        read.name, *read.size, poses, confidence_is=estimator.confidence_is, computed_by=estimator.runtime_name
    )
    return PhotoResult(read.path, postprocess_photo(found, read.camera, options), read.picture)
