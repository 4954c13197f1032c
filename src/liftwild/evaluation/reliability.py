"""What confidence is worth: stated chances against joints that are right, stated spreads against errors of depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from liftwild.evaluation import metrics
from liftwild.evaluation.measure import Measured, in_first_half
from liftwild.evaluation.metric_table import RIGHT_TORSOS
from liftwild.skeleton import PELVIS, THORAX

BINS = 10


class Observed(NamedTuple):
    """What was seen of N people: ``peaks`` (N, J) of the heatmaps; ``hits`` (N, J) which joints are right; ``counted``
    (N, J) which have a label to tell by; ``first`` (N,) who is in the first half of the photos. All but the peaks
    bool."""

    peaks: np.ndarray
    hits: np.ndarray
    counted: np.ndarray
    first: np.ndarray

    def half(self, first: bool) -> Observed:
        """The people in one half of the photos."""
        return self.of(self.first == first)

    def of(self, people: np.ndarray) -> Observed:
        """Some of the people."""
        return Observed(*(values[people] for values in self))


class Bin(NamedTuple):
    """Joints with a similar stated chance: its mean, the part of them that are right, and how many they are."""

    stated: float
    found: float
    joints: int


def observe(measured: Measured, sources: Sequence[str]) -> Observed:
    """Peaks and hits of ``measured``, whose people are in the photos ``sources`` (N); predictions files have both.

    People whose torso is not labelled are not counted.
    """
    limit = RIGHT_TORSOS * metrics.torso_size(measured.true_2d, measured.valid_2d)
    found = metrics.joint_hits(measured.pred_2d, measured.true_2d, measured.valid_2d, limit=limit, inclusive=True)
    return Observed(measured.confidence, found.hits, found.counted, in_first_half(sources))


def bin_chances(stated: np.ndarray, hits: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Stated chances (n,) in [0, 1] against hits (n,) bool, in ``bins`` of equal width; an empty one is NaN, NaN, 0."""
    place = np.minimum((np.asarray(stated) * bins).astype(int), bins - 1)
    table = []
    for number in range(bins):
        inside = place == number
        count = int(inside.sum())
        table.append(
            Bin(float(stated[inside].mean()), float(hits[inside].mean()), count) if count else Bin(np.nan, np.nan, 0)
        )
    return table


def expected_error(table: Sequence[Bin]) -> float:
    """ECE: the mean over joints of |stated - found| of their bins, in [0, 1]."""
    total = sum(each.joints for each in table)
    return sum(each.joints * abs(each.stated - each.found) for each in table if each.joints) / max(total, 1)


def scored(seen: Observed) -> np.ndarray:
    """Which joints (N, J) the table counts: those of PCK@0.2-torso, without pelvis and thorax."""
    counted = seen.counted.copy()
    counted[:, [PELVIS, THORAX]] = False
    return counted


def depth_errors(measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """Predicted minus true depth about the pelvis (N, J) mm, as a user gets it, and which are known (N, J)."""
    true = measured.true_3d[..., 2] - measured.true_3d[:, PELVIS, None, 2]
    known = measured.valid_3d & measured.valid_3d[:, PELVIS, None]
    return np.where(known, measured.pred_3d[..., 2] - true, 0.0), known


def spread_rows(stated: np.ndarray, errors: np.ndarray, parts: int = 5) -> list[tuple[float, float, int]]:
    """Stated and found standard deviations, mm, of fifths of the joints by what is stated, and of all."""
    order = np.argsort(stated, kind="stable")
    groups = [group for group in (*np.array_split(order, parts), order) if len(group)]
    return [(float(np.sqrt((stated[g] ** 2).mean())), float(np.sqrt((errors[g] ** 2).mean())), len(g)) for g in groups]
