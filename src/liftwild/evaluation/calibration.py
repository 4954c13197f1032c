"""What a network's confidence is worth: peaks against hits, depths against truth, on labelled people.

What is measured of a fit is of photos that it has not seen: each half of them by the fit on the other. What is kept is
the fit on all. docs/confidence.md says what the model was chosen by.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from liftwild.camera import in_unit, mm_per_unit
from liftwild.errors import LiftwildError
from liftwild.evaluation import metrics
from liftwild.evaluation.measure import Measured
from liftwild.inference.confidence import Chance
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16, PELVIS, THORAX

RIGHT_TORSOS = 0.2  # a joint is right that is no farther off than this: PCK@0.2-torso
BINS = 10
MIN_JOINTS = 100  # labelled joints below which nothing is fitted
PULL = 10.0  # of each kind of joint toward what all have in common; as much as so many joints of its kind say
PULLS = 8  # times it is made four times stronger, where a kind's slope comes out with the wrong sign
STEPS = 50
KNOTS = 7  # of the curve from fitted to found chances, at the quantiles of the fitted ones
CURVE_PULL = 20.0  # of each knot toward no change, in joints
SURE = (0.01, 0.99)  # nothing is surer

# Photos that end within the person: at which edge, in turn, and how much of the box is left; 1 and more: all of it, for
# boxes that reach the edge with nothing beyond.
CUT_EDGES = ("bottom", "side", "bottom", "top")
CUT_LEFT = (0.35, 1.1)

_KIND_NAMES = [name.removeprefix("left_").removeprefix("right_") for name in MPII_16.names]
KINDS = np.array([sorted(set(_KIND_NAMES)).index(name) for name in _KIND_NAMES])  # (J,): knees are one kind

Line = tuple[np.ndarray, np.ndarray]
Step = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


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
        return Observed(*(values[self.first == first] for values in self))


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


def in_first_half(sources: Sequence[str]) -> np.ndarray:
    """Which photos are in the first half, (N,) bool; by their names, so the same ones every time."""
    return np.array([hashlib.sha256(source.encode()).digest()[0] % 2 == 0 for source in sources], dtype=bool)


def joined(parts: Sequence[Observed]) -> Observed:
    """Several of them one after the other."""
    return Observed(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def fit_chance(seen: Observed) -> Chance:
    """The chance that a joint is right, by its peak: a logistic regression with a level and a slope for each kind of
    joint, pulled toward common ones, then one rising curve for all joints that mends what is not logistic about it.

    LiftwildError below ``MIN_JOINTS`` labelled joints.
    """
    count = int(seen.counted.sum())
    if count < MIN_JOINTS:
        raise LiftwildError(
            f"{count} labelled joints are too few to fit on, {MIN_JOINTS} are the least; about 80 people in all do"
        )
    _, joint = np.nonzero(seen.counted)
    peaks, right = seen.peaks[seen.counted].astype(np.float64), seen.hits[seen.counted].astype(np.float64)

    def step(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chance = 1 / (1 + np.exp(-np.clip(at, -30, 30)))
        return chance - right, np.maximum(chance * (1 - chance), 1e-6)

    level, slope = _fit(peaks, KINDS[joint], step, 1.0)
    chance = 1 / (1 + np.exp(-(level[joint] + slope[joint] * peaks)))
    return Chance(level, slope, *_curve(chance, right))


def _curve(chance: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots (K,) and values (K,), which never fall, of the piecewise linear curve from ``chance`` (n,) to ``right``."""
    knots = np.unique(np.round(np.quantile(chance, np.linspace(0, 1, KNOTS)), 4))
    gaps = np.maximum(np.diff(knots), 1e-9)
    below, above = np.append(1.0, gaps), np.append(gaps, 1.0)
    inside = np.clip(chance, knots[0], knots[-1])[:, None] - knots
    share = np.maximum(0, 1 - np.abs(inside) / np.where(inside < 0, below, above))  # of each knot in each joint
    change = np.linalg.solve(share.T @ share + CURVE_PULL * np.eye(len(knots)), share.T @ (right - share @ knots))
    return knots, np.clip(_rising(knots + change, share.sum(axis=0) + 1e-9), *SURE)


def _rising(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest values (K,) that never fall, by pooling neighbours that do."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            before = pools.pop()
            total = before[1] + pool[1]
            pool = ((before[0] * before[1] + pool[0] * pool[1]) / total, total, before[2] + pool[2])
        pools.append(pool)
    return np.concatenate([np.full(count, value) for value, _, count in pools])


def fit_spread(confidence: np.ndarray, errors_mm: np.ndarray, counted: np.ndarray) -> Line:
    """Level and slope (J,) each of the log of the depths' standard deviation in mm, by confidence (N, J): the most
    likely one for ``errors_mm`` (N, J), for each kind of joint as in ``fit_chance``. Slopes are 0 or less.

    LiftwildError as there.
    """
    counted = counted.copy()
    counted[:, PELVIS] = False  # the zero itself
    count = int(counted.sum())
    if count < MIN_JOINTS:
        raise LiftwildError(f"{count} joints with depth are too few to fit their spread; {MIN_JOINTS} at least")
    _, joint = np.nonzero(counted)
    squares = np.maximum(errors_mm[counted] ** 2, 1.0)
    usual = np.log(squares.mean()) / 2

    def step(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 1 - squares * np.exp(-2 * np.clip(at + usual, -5, 12)), np.full(len(at), 2.0)

    level, slope = _fit(confidence[counted].astype(np.float64), KINDS[joint], step, -1.0)
    return level + usual, slope


def _fit(x: np.ndarray, kind: np.ndarray, step: Step, sign: float) -> Line:
    """Level and slope (J,) of the linear predictor whose gradient and curvature (n,) ``step`` gives, by Newton."""
    mean, spread = x.mean(), max(float(x.std()), 1e-6)
    own = np.eye(KINDS.max() + 1)[kind]
    z = ((x - mean) / spread)[:, None]
    design = np.concatenate([np.ones_like(z), z, own, own * z], axis=1)
    kinds = own.shape[1]
    pull = np.concatenate([[1e-2, 1e-2], np.full(2 * kinds, PULL)])
    for _ in range(PULLS):
        found = np.zeros(design.shape[1])
        for _ in range(STEPS):
            gradient, curvature = step(design @ found)
            change = np.linalg.solve(
                design.T @ (design * curvature[:, None]) + np.diag(pull), design.T @ gradient + pull * found
            )
            found = found - np.clip(change, -2, 2)
            if np.abs(change).max() < 1e-9:
                break
        slope = (found[1] + found[2 + kinds :]) / spread
        if (sign * slope >= 0).all():
            break
        pull[2 + kinds :] *= 4
    level = found[0] + found[2 : 2 + kinds] - np.where(sign * slope >= 0, slope, 0.0) * mean
    return level[KINDS], np.where(sign * slope >= 0, slope, 0.0)[KINDS]


def reliability(stated: np.ndarray, hits: np.ndarray, bins: int = BINS) -> list[Bin]:
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


def log_loss(stated: np.ndarray, hits: np.ndarray) -> float:
    """Mean of -log of the chance given to what happened."""
    stated = np.clip(stated, 1e-6, 1 - 1e-6)
    return float(-np.log(np.where(hits, stated, 1 - stated)).mean())


def scored(seen: Observed) -> np.ndarray:
    """Which joints (N, J) the table counts: those of PCK@0.2-torso, without pelvis and thorax."""
    counted = seen.counted.copy()
    counted[:, [PELVIS, THORAX]] = False
    return counted


def depth_errors(measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """Predicted minus true depth about the pelvis (N, J) mm, as a user gets it, and which are known (N, J)."""
    pose = measured.pose(measured.pred_2d, measured.pred_depth)
    true = measured.true_3d[..., 2] - measured.true_3d[:, PELVIS, None, 2]
    known = measured.valid_3d & measured.valid_3d[:, PELVIS, None]
    return np.where(known, pose[..., 2] - true, 0.0), known


def stated_spread_mm(measured: Measured) -> np.ndarray | None:
    """Spread of depths (N, J) that the network itself states, mm; None if it states none."""
    if measured.depth_spread is None:
        return None
    scale = mm_per_unit(in_unit(measured.pred_2d, measured.pred_depth, measured.input_px), measured.sum_length_mm)
    return measured.depth_spread * scale[:, None]


def cut(sample: Sample, edge: str, rng: np.random.Generator) -> tuple[Sample, np.ndarray]:
    """The sample as if its photo ended within the person, at ``edge`` (of ``confidence.EDGES``, not the first): black
    beyond, and the box ends there.

    Returns the sample and which joints (J,) bool are labelled and beyond.
    """
    left = min(1.0, rng.uniform(*CUT_LEFT))
    mirrored = bool(rng.integers(2))  # which side
    x, y, w, h = sample.box
    image = sample.image.copy()
    height, width = image.shape[:2]
    if edge == "bottom":
        end = int(np.clip(round(y + h * left), 0, height))
        image[end:], box, beyond = 0, (x, y, w, end - y), sample.joints_2d[:, 1] > end
    elif edge == "top":
        end = int(np.clip(round(y + h * (1 - left)), 0, height))
        image[:end], box, beyond = 0, (x, end, w, y + h - end), sample.joints_2d[:, 1] < end
    elif mirrored:
        end = int(np.clip(round(x + w * left), 0, width))
        image[:, end:], box, beyond = 0, (x, y, end - x, h), sample.joints_2d[:, 0] > end
    else:
        end = int(np.clip(round(x + w * (1 - left)), 0, width))
        image[:, :end], box, beyond = 0, (end, y, x + w - end, h), sample.joints_2d[:, 0] < end
    box = (float(box[0]), float(box[1]), max(1.0, float(box[2])), max(1.0, float(box[3])))
    return dataclasses.replace(sample, image=image, box=box), beyond & sample.joints_2d_valid
