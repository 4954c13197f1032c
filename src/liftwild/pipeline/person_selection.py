"""Which people of a photo or clip are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from liftwild.boxes import Box
from liftwild.data.external_boxes import Boxes, ExternalBoxes
from liftwild.detection.detector import Detection, largest, under
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator, checked_box
from liftwild.media.photo import LoadedPhoto
from liftwild.pose import PoseTrack
from liftwild.tracking.track_selection import MIN_TRACK_S, check_min_track, worth_keeping
from liftwild.tracking.tracker import Detected, Tracker

UNSURE_SCORE = 0.15  # of the detector: enough to find again who is known
SPARE_PEOPLE = 2  # followed beside those that are wanted, until the whole clip says who they are
LEFT_OUT = "; left out"


class PersonDetector(Protocol):
    """What a ``Detector`` is to the pipeline."""

    min_score: float

    def detect(self, image: np.ndarray, most: int | None = None, min_score: float | None = None) -> Sequence[Detected]:
        """The people in a picture (H, W, 3) uint8 RGB, largest box first; ``min_score``: another than its own."""

    def fingerprint(self) -> str:
        """What tells its answers from those of others."""


class SelectedPeople(NamedTuple):
    """The people of a photo: ``boxes`` (None: one person fills the photo), ids of their labels, detector's scores;
    ``warnings``: boxes that were left out, and why."""

    boxes: list[Box] | None
    annotation_ids: list[int] | None
    scores: list[float | None]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PersonSelection:
    """Which people: in order, the one in ``box`` (x, y, w, h px), those in the ``external`` boxes, those that the
    ``detector`` finds; with none of the three, one person fills the photo.

    Of the detector's: the ``max_people`` largest, in a clip those seen best (None: all), or who is under the point
    ``at`` (x, y px). ``min_track_s``: who is seen for a shorter time of a clip is left out.
    """

    box: Box | None = None
    external: ExternalBoxes | None = None
    detector: PersonDetector | None = None
    max_people: int | None = None
    at: tuple[float, float] | None = None
    min_track_s: float = MIN_TRACK_S

    def __post_init__(self) -> None:
        if self.max_people is not None and self.max_people < 1:
            raise LiftwildError(f"the most people must be 1 or more, not {self.max_people}")
        check_min_track(self.min_track_s)

    @property
    def detects(self) -> bool:
        """Whether the detector says who is there, not boxes that were given: somebody may have several."""
        return self.box is None and self.external is None and self.detector is not None

    def in_photo(self, photo: LoadedPhoto, path: Path | None = None) -> SelectedPeople:
        """The people of a photo; ``path``: by which external boxes know it."""
        if self.box is not None:
            return SelectedPeople([self.box], None, [None])
        if self.external is not None:
            found, warnings = in_picture(self.external.of(path or Path()), photo.size, str(path or "photo"))
            if warnings and not found:
                raise LiftwildError(warnings[0].removesuffix(LEFT_OUT))
            ids = [annotation_id for annotation_id, _ in found]
            scores = [self.external.score_of(key) for key in ids]
            return SelectedPeople([box for _, box in found], ids, scores, warnings)
        if self.detector is None:
            return SelectedPeople(None, None, [None])
        people = [_larger(each, photo.divisor) for each in self.detector.detect(photo.image, None)]
        if self.at is None:
            chosen = largest(people, self.max_people)
        else:
            one = under(people, *self.at)
            chosen = [] if one is None else [one]
        return SelectedPeople([each.box for each in chosen], None, [each.score for each in chosen])

    def tracks(self, found: Sequence[PoseTrack], times_s: np.ndarray) -> tuple[PoseTrack, ...]:
        """Of the tracks ``found`` in a clip those that are written; all where somebody said who is there."""
        return worth_keeping(found, times_s, self.min_track_s, self.max_people) if self.detects else tuple(found)

    def tracker(self, estimator: Estimator) -> Tracker:
        """What follows these people through a clip."""
        if self.external is not None:  # labels say who is there: nobody else is looked for
            return Tracker(estimator, _nobody, self.max_people, self.box)
        if self.detector is None:
            return Tracker(estimator, None, self.max_people, self.box, self.at)
        most = None if self.max_people is None else SPARE_PEOPLE + self.max_people  # the best of the clip are kept
        return Tracker(
            estimator,
            partial(self.detector.detect, min_score=UNSURE_SCORE),
            most,
            self.box,
            self.at,
            self.detector.min_score,
        )

    def identity(self) -> dict[str, str]:
        """What tells this selection from others, by option."""
        told = {"--box": str(self.box), "--people": str(self.max_people), "--at": str(self.at)}
        if self.external is not None:
            told["--boxes"] = self.external.fingerprint
        told["detector"] = "none" if self.detector is None else self.detector.fingerprint()
        return told


def in_picture(boxes: Boxes, size: tuple[int, int], name: str) -> tuple[list[tuple[int, Box]], tuple[str, ...]]:
    """Those of external boxes that can be of somebody in a picture of ``size`` (width, height), and of the others why
    not; ``name``: what messages call it."""
    kept, faults = [], []
    for key, box in boxes:
        try:
            kept.append((key, checked_box(box, *size, name)))
        except LiftwildError as error:
            faults.append(f"{error}{LEFT_OUT}")
    return kept, tuple(faults)


def _larger(found: Detected, factor: int) -> Detection:
    """Who is found in a picture, in one ``factor`` times as large."""
    x, y, w, h = found.box
    return Detection((x * factor, y * factor, w * factor, h * factor), found.score)


def _nobody(image: np.ndarray, most: int | None = None) -> Sequence[Detected]:
    return []
