"""Which people of a photo or clip are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from liftwild.boxes import Box
from liftwild.data.external_boxes import ExternalBoxes
from liftwild.detection.detector import largest, under
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.tracking.tracker import Detected, Tracker


class PersonDetector(Protocol):
    """What a ``Detector`` is to the pipeline."""

    def detect(self, image: np.ndarray, most: int | None = None) -> Sequence[Detected]:
        """The people in a picture (H, W, 3) uint8 RGB, largest box first."""

    def fingerprint(self) -> str:
        """What tells its answers from those of others."""


class SelectedPeople(NamedTuple):
    """The people of a photo: ``boxes`` (None: one person fills the photo), ids of their labels, detector's scores."""

    boxes: list[Box] | None
    annotation_ids: list[int] | None
    scores: list[float | None]


@dataclass(frozen=True)
class PersonSelection:
    """Which people: in order, the one in ``box`` (x, y, w, h px), those in the ``external`` boxes, those that the
    ``detector`` finds; with none of the three, one person fills the photo.

    Of the detector's: the ``max_people`` largest (None: all), or who is under the point ``at`` (x, y px).
    """

    box: Box | None = None
    external: ExternalBoxes | None = None
    detector: PersonDetector | None = None
    max_people: int | None = None
    at: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.max_people is not None and self.max_people < 1:
            raise LiftwildError(f"the most people must be 1 or more, not {self.max_people}")

    @property
    def may_repeat(self) -> bool:
        """Whether somebody may be in several boxes of a photo: those of the detector, not those that were given."""
        return self.box is None and self.external is None and self.detector is not None

    def in_photo(self, image: np.ndarray, path: Path | None = None) -> SelectedPeople:
        """The people of a photo (H, W, 3) uint8 RGB; ``path``: by which external boxes know it."""
        if self.box is not None:
            return SelectedPeople([self.box], None, [None])
        if self.external is not None:
            found = self.external.of(path or Path())
            ids = [annotation_id for annotation_id, _ in found]
            return SelectedPeople([box for _, box in found], ids, [self.external.score_of(key) for key in ids])
        if self.detector is None:
            return SelectedPeople(None, None, [None])
        people = self.detector.detect(image, None)
        if self.at is None:
            chosen = largest(people, self.max_people)
        else:
            one = under(people, *self.at)
            chosen = [] if one is None else [one]
        return SelectedPeople([each.box for each in chosen], None, [each.score for each in chosen])

    def tracker(self, estimator: Estimator) -> Tracker:
        """What follows these people through a clip."""
        detect = None if self.detector is None else self.detector.detect
        if self.external is not None:  # labels say who is there: nobody else is looked for
            detect = _nobody
        return Tracker(estimator, detect, self.max_people, self.box, self.at)

    def identity(self) -> dict[str, str]:
        """What tells this selection from others, by option."""
        told = {"--box": str(self.box), "--people": str(self.max_people), "--at": str(self.at)}
        if self.external is not None:
            told["--boxes"] = self.external.fingerprint
        told["detector"] = "none" if self.detector is None else self.detector.fingerprint()
        return told


def _nobody(image: np.ndarray, most: int | None = None) -> Sequence[Detected]:
    return []
