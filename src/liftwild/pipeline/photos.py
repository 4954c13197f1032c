"""A run over many photos: results written as they come, one line for each file that fails."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from liftwild.data.external_boxes import ExternalBoxes
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Box, CroppedPerson, Estimator
from liftwild.media.photo import read_photo, read_with_exif
from liftwild.media.video import read_ahead
from liftwild.pipeline.postprocess import (
    OutputGuard,
    OutputOptions,
    Placing,
    camera_of,
    finish_photo,
    write_photo_files,
)
from liftwild.pose import Pose, Recording
from liftwild.tracking.tracker import Detect, Detected
from liftwild.viz.figure import shrink_for_figure


@dataclass(frozen=True)
class PersonSelection:
    """Whom to look at: the ``box`` (x, y, w, h px) of every photo, else the boxes of ``index``, else those that
    ``people_in`` finds in a photo; with none of these, one person fills each photo.

    For clips ``detect``, ``most`` and ``at`` as ``Tracker`` takes them. ``named``: what tells one choice from another,
    text by option.
    """

    box: Box | None = None
    index: ExternalBoxes | None = None
    people_in: Callable[[np.ndarray], Sequence[Detected]] | None = None
    detect: Detect | None = None
    most: int | None = None
    at: tuple[float, float] | None = None
    named: tuple[tuple[str, str], ...] = ()


@dataclass
class Counts:
    """What became of the photos of a run."""

    photos: int
    done: int = 0
    people: int = 0
    without_box: int = 0
    failed: int = 0
    empty: int = 0

    def __str__(self) -> str:
        photos = "1 photo" if self.photos == 1 else f"{self.photos} photos"
        people = "1 person" if self.people == 1 else f"{self.people} people"
        without = f", {self.without_box} without a box" if self.without_box else ""
        without += f", nobody found in {self.empty}" if self.empty else ""
        return f"{photos}: {self.done} done ({people}{without}), {self.failed} failed"


class _Job(NamedTuple):
    """A photo that has been read. ``people``: cut out of it for the network, with the ``scores`` of who found them;
    ``placing``: its camera; ``shown``: the copy that its figure needs, or None."""

    photo: Path
    width: int
    height: int
    people: list[CroppedPerson]
    scores: list[float | None]
    placing: Placing
    shown: np.ndarray | None


def predict_files(
    estimator: Estimator, photos: Sequence[Path], claims: OutputGuard, whom: PersonSelection, wanted: OutputOptions
) -> Counts:
    """Predict ``photos`` and write what is ``wanted`` of each, named by its stem, into ``claims.out``.

    A photo in which nobody is found, or without a box in the labels, gets an empty list of people. A photo that fails
    is one line on stderr and the others go on. Nothing is overwritten but results of liftwild. While the network looks
    at a batch of people, a thread reads the photos of the next one and finds the people in them (there runs
    ``whom.people_in``). LiftwildError if the weights are broken.
    """
    with tqdm(total=len(photos), unit="photo", disable=None, file=sys.stderr) as bar:
        return _Run(estimator, photos, claims, whom, wanted, bar).go()


def make_folder(out: Path) -> None:
    """Make the folder for results; LiftwildError if it cannot be made."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiftwildError(f"{out}: cannot be made a folder: {error.strerror or error}") from None


class _Run:
    """State of one ``predict_files``."""

    def __init__(
        self,
        estimator: Estimator,
        photos: Sequence[Path],
        claims: OutputGuard,
        whom: PersonSelection,
        wanted: OutputOptions,
        bar: tqdm,
    ) -> None:
        self.estimator, self.photos, self.claims, self.out = estimator, photos, claims, claims.out
        self.whom, self.wanted, self.bar = whom, wanted, bar
        self.counts = Counts(len(photos))
        self.jobs: deque[_Job] = deque()

    def go(self) -> Counts:
        """Read, predict and write everything."""
        # As many photos as the network has people in a batch, so that it need not wait for the next.
        with closing(read_ahead(self._read(), self.estimator.batch_size)) as read:
            for poses in self.estimator.predict_crops(self._people(read)):
                job = self.jobs.popleft()
                try:
                    self._write(job, poses)
                except LiftwildError as error:
                    self._fail(error)
                    continue
                self.counts.done += 1
                self.counts.people += len(poses)
                if not poses:
                    self.counts.without_box += self.whom.index is not None
                    self.counts.empty += self.whom.index is None
                self.bar.update()
        return self.counts

    def _read(self) -> Generator[_Job | str, None, None]:
        """Each photo's job, or in words what is wrong with the photo."""
        for photo in self.photos:
            job: _Job | str
            try:
                job = self._job(photo)
            except LiftwildError as error:
                job = str(error)
            yield job

    def _job(self, photo: Path) -> _Job:
        self.claims.claim(photo, photo.stem, self.wanted, is_clip=False)
        image, exif = read_with_exif(photo)
        height, width = image.shape[:2]
        placing = camera_of(self.wanted, width, height, exif)
        people, scores = self._crop(photo, image)
        shown = shrink_for_figure(image) if self.wanted.figure or self.wanted.vector else None
        return _Job(photo, width, height, people, scores, placing, shown)

    def _crop(self, photo: Path, image: np.ndarray) -> tuple[list[CroppedPerson], list[float | None]]:
        """The people of a photo, and their scores."""
        boxes: list[Box] | None = None
        ids = None
        scores: list[float | None] | None = None
        if self.whom.box is not None:
            boxes = [self.whom.box]
        elif self.whom.index is not None:
            found = self.whom.index.of(photo)
            boxes, ids = [box for _, box in found], [annotation_id for annotation_id, _ in found]
            scores = [self.whom.index.score_of(annotation_id) for annotation_id in ids]
        elif self.whom.people_in is not None:
            detected = self.whom.people_in(image)
            boxes, scores = [each.box for each in detected], [each.score for each in detected]
        people = self.estimator.crop_people(image, boxes, ids, name=str(photo))
        return people, [None] * len(people) if scores is None else scores

    def _people(self, read: Iterable[_Job | str]) -> Iterator[list[CroppedPerson]]:
        """The people of each photo that could be read; its job waits in ``jobs``."""
        for job in read:
            if isinstance(job, str):
                self._fail(job)
                continue
            self.jobs.append(job)
            yield job.people

    def _write(self, job: _Job, poses: list[Pose]) -> None:
        poses = [replace(pose, score=score) for pose, score in zip(poses, job.scores, strict=True)]
        found = Recording.of_photo(
            job.photo.name, job.width, job.height, poses,
            confidence_is=self.estimator.confidence_is, computed_by=self.estimator.runtime_name,
        )  # fmt: skip
        recording = finish_photo(found, self.wanted, job.placing)
        write_photo_files(recording, self.out, job.photo.stem, self.wanted, job.shown, lambda: read_photo(job.photo))

    def _fail(self, error: LiftwildError | str) -> None:
        self.counts.failed += 1
        self.bar.write(f"error: {error}", file=sys.stderr)
        self.bar.update()
