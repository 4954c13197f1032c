"""A run over many photos: results written as they come, one line for each file that fails."""

from __future__ import annotations

import os
import sys
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from liftwild.data.photo import read_photo
from liftwild.errors import LiftwildError
from liftwild.outputs.figure import draw_figure, shrink_for_figure, write_png
from liftwild.outputs.json import is_pose_file, pose_document, write_json
from liftwild.pose import Pose
from liftwild.predict.estimator import Box, CroppedPerson, Estimator

LabelBoxes = Mapping[str, Sequence[tuple[int, Box]]]


@dataclass
class Counts:
    """What became of the photos of a run."""

    photos: int
    done: int = 0
    people: int = 0
    without_box: int = 0
    failed: int = 0

    def __str__(self) -> str:
        photos = "1 photo" if self.photos == 1 else f"{self.photos} photos"
        people = "1 person" if self.people == 1 else f"{self.people} people"
        without = f", {self.without_box} without a box" if self.without_box else ""
        return f"{photos}: {self.done} done ({people}{without}), {self.failed} failed"


@dataclass
class _Job:
    """A photo whose people are with the network. ``shown``: the copy that its figure needs, or None."""

    photo: Path
    width: int
    height: int
    shown: np.ndarray | None


class BoxIndex:
    """Boxes of a labels file, found by photo.

    A photo belongs to the ``file_name`` that its absolute path ends in, the longest if there are several: ``im1.jpg``
    means every photo of that name, ``sub/im1.jpg`` only those in a folder ``sub``.
    """

    def __init__(self, labels: LabelBoxes) -> None:
        self._by_name: dict[str, list[tuple[tuple[str, ...], Sequence[tuple[int, Box]]]]] = defaultdict(list)
        for file_name, boxes in labels.items():
            parts = tuple(part for part in PurePosixPath(file_name.replace("\\", "/")).parts if part != ".")
            if parts:
                self._by_name[parts[-1]].append((parts, boxes))

    def of(self, photo: Path) -> Sequence[tuple[int, Box]]:
        """(annotation id, (x, y, w, h) px) of the photo's people; empty if the labels do not know it."""
        path = Path(os.path.abspath(photo)).parts
        fits = [entry for entry in self._by_name.get(photo.name, ()) if path[-len(entry[0]) :] == entry[0]]
        return max(fits, key=lambda entry: len(entry[0]))[1] if fits else ()


def predict_files(
    estimator: Estimator,
    photos: Sequence[Path],
    out: Path,
    box: Box | None = None,
    labels: LabelBoxes | None = None,
    figures: bool = True,
) -> Counts:
    """Predict ``photos`` and write ``out/<stem>.json`` and, with ``figures``, ``out/<stem>.png`` for each.

    ``box`` (x, y, w, h px): where the person is, in every photo. ``labels``: boxes by file name, as
    ``liftwild.data.coco.read_boxes`` gives them; a photo without any gets an empty list of people. With neither, one
    person fills each photo. A photo that fails is one line on stderr and the others go on. Nothing is overwritten but
    results of liftwild. LiftwildError if ``out`` cannot be made or the weights are broken.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiftwildError(f"{out}: cannot be made a folder: {error.strerror or error}") from None
    with tqdm(total=len(photos), unit="photo", disable=None, file=sys.stderr) as bar:
        return _Run(estimator, photos, out, box, None if labels is None else BoxIndex(labels), figures, bar).go()


class _Run:
    """State of one ``predict_files``."""

    def __init__(
        self,
        estimator: Estimator,
        photos: Sequence[Path],
        out: Path,
        box: Box | None,
        index: BoxIndex | None,
        figures: bool,
        bar: tqdm,
    ) -> None:
        self.estimator, self.photos, self.out = estimator, photos, out
        self.box, self.index, self.figures, self.bar = box, index, figures, bar
        self.inputs = {photo.resolve() for photo in photos}
        self.claimed: dict[str, Path] = {}
        self.counts = Counts(len(photos))
        self.jobs: deque[_Job] = deque()

    def go(self) -> Counts:
        """Read, predict and write everything."""
        for poses in self.estimator.predict_crops(self._read()):
            job = self.jobs.popleft()
            try:
                self._write(job, poses)
            except LiftwildError as error:
                self._fail(error)
                continue
            self.counts.done += 1
            self.counts.people += len(poses)
            self.counts.without_box += not poses
            self.bar.update()
        return self.counts

    def _read(self) -> Iterator[list[CroppedPerson]]:
        """The people of each photo that can be read; its job waits in ``jobs``."""
        for photo in self.photos:
            try:
                self._claim(photo)
                image = read_photo(photo)
                people = self._crop(photo, image)
            except LiftwildError as error:
                self._fail(error)
                continue
            shown = shrink_for_figure(image) if self.figures else None
            self.jobs.append(_Job(photo, image.shape[1], image.shape[0], shown))
            del image  # so that a batch of large photos is not held
            yield people

    def _crop(self, photo: Path, image: np.ndarray) -> list[CroppedPerson]:
        boxes: list[Box] | None = None if self.box is None else [self.box]
        ids = None
        if self.index is not None:
            found = self.index.of(photo)
            boxes, ids = [box for _, box in found], [annotation_id for annotation_id, _ in found]
        return self.estimator.crop_people(image, boxes, ids, name=str(photo))

    def _claim(self, photo: Path) -> None:
        """Take the names of the photo's results; LiftwildError if they are taken by something else."""
        key = os.path.normcase(photo.stem)
        if key in self.claimed:
            raise LiftwildError(
                f"{photo}: its results would have the names of those of {self.claimed[key]}; use another -o for it"
            )
        json, png = self._targets(photo)
        if self.figures and png.resolve() in self.inputs:
            raise LiftwildError(f"{photo}: its picture would overwrite the photo {png}; use another -o, or --no-figure")
        ours = is_pose_file(json)
        for target in (json, png) if self.figures else (json,):
            if not ours and os.path.lexists(target):
                raise LiftwildError(f"{photo}: {target} exists and is no result of liftwild; use another -o")
        self.claimed[key] = photo

    def _targets(self, photo: Path) -> tuple[Path, Path]:
        return self.out / f"{photo.stem}.json", self.out / f"{photo.stem}.png"

    def _write(self, job: _Job, poses: list[Pose]) -> None:
        json, png = self._targets(job.photo)
        # The JSON first: a picture without it would look like somebody else's to the next run.
        write_json(json, pose_document(job.photo.name, job.width, job.height, poses))
        if job.shown is not None:
            write_png(png, draw_figure(job.shown, poses, (job.width, job.height)))

    def _fail(self, error: LiftwildError) -> None:
        self.counts.failed += 1
        self.bar.write(f"error: {error}", file=sys.stderr)
        self.bar.update()
