"""Fit what a network's confidence is worth: peaks to chances, confidence to the spread of depths.

docs/confidence.md says what the model was chosen by.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.evaluation.reliability import Observed
from liftwild.inference.confidence import Chance
from liftwild.skeleton import MPII_16, PELVIS

MIN_JOINTS = 100  # labelled joints below which nothing is fitted
PULL = 10.0  # of each kind of joint toward what all have in common; as much as so many joints of its kind say
PULLS = 8  # times it is made four times stronger, where a kind's slope comes out with the wrong sign
STEPS = 50
KNOTS = 7  # of the curve from fitted to found chances, at the quantiles of the fitted ones
CURVE_PULL = 20.0  # of each knot toward no change, in joints
SURE = (0.01, 0.99)  # nothing is surer

_KIND_NAMES = [name.removeprefix("left_").removeprefix("right_") for name in MPII_16.names]
KINDS = np.array([sorted(set(_KIND_NAMES)).index(name) for name in _KIND_NAMES])  # (J,): knees are one kind

Line = tuple[np.ndarray, np.ndarray]
Step = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


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
