"""Boxes around people: from their joints, how much two overlap, which of several say the same."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from liftwild.skeleton import MPII_16, PELVIS, THORAX

Box = tuple[float, float, float, float]  # x, y, w, h: top-left corner and size, px


@runtime_checkable
class Detected(Protocol):
    """A person that a detector found: ``box`` around the body, px, and the ``score`` in [0, 1] of how sure it is."""

    @property
    def box(self) -> Box:
        """x, y, w, h: top-left corner and size, px."""

    @property
    def score(self) -> float:
        """In [0, 1]."""


# How far the body goes beyond a joint, as a share of its torso or thigh, whichever is longer in the picture. Medians
# of the gap between the outermost joint and the side of the labelled box, 298 COCO photos.
BODY_MARGIN = {
    "ankle": 0.27, "knee": 0.17, "hip": 0.24, "pelvis": 0.2, "thorax": 0.1, "upper_neck": 0.15, "head_top": 0.1,
    "wrist": 0.2, "elbow": 0.12, "shoulder": 0.19,
}  # fmt: skip
_MARGINS = np.array([BODY_MARGIN[name.removeprefix("left_").removeprefix("right_")] for name in MPII_16.names])
_LONG_BONES = [(PELVIS, THORAX)] + [
    (MPII_16.names.index(f"{side}_hip"), MPII_16.names.index(f"{side}_knee")) for side in ("left", "right")
]


def body_box(joints_2d: np.ndarray, valid: np.ndarray) -> Box | None:
    """The box around the body of one person, MPII-16: skin, hands and feet, not the joints alone.

    ``joints_2d`` (16, 2) px; ``valid`` (16,) bool: what is known. Each known joint is a disc of ``BODY_MARGIN``. None
    if fewer than two are known.
    """
    known = np.asarray(valid, dtype=bool)
    if known.sum() < 2:
        return None
    points = np.asarray(joints_2d, dtype=np.float64)
    lengths = [np.linalg.norm(points[a] - points[b]) for a, b in _LONG_BONES if known[a] and known[b]]
    low, high = points[known].min(axis=0), points[known].max(axis=0)
    size = max(lengths) if lengths else 0.25 * float((high - low).max())  # a quarter of somebody who stands
    reach = size * _MARGINS[known, None]
    low, high = (points[known] - reach).min(axis=0), (points[known] + reach).max(axis=0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def joints_box(joints: np.ndarray) -> Box | None:
    """The box around joints (K, 2) in px; None if they have no extent."""
    if len(joints) == 0:
        return None
    low, high = joints.min(axis=0), joints.max(axis=0)
    width, height = (float(value) for value in high - low)
    if max(width, height) < 2:
        return None
    return float(low[0]), float(low[1]), max(width, 1.0), max(height, 1.0)


def clipped(box: Box, within: Box) -> Box | None:
    """The part of ``box`` that lies in the box ``within``; None if nothing does."""
    x0, y0 = max(box[0], within[0]), max(box[1], within[1])
    x1, y1 = min(box[0] + box[2], within[0] + within[2]), min(box[1] + box[3], within[1] + within[3])
    return (x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Area that each of ``first`` (N, 4) has in common with each of ``second`` (M, 4): (N, M), px squared."""
    a, b = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (first, second))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=2)


def ious(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of each of ``first`` (N, 4) with each of ``second`` (M, 4): (N, M) in [0, 1]."""
    a, b = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (first, second))
    common = overlaps(a, b)
    either = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None] - common
    return common / np.maximum(either, 1e-12)


def suppress(
    boxes: np.ndarray, scores: np.ndarray, most: float, softness: float = np.inf
) -> tuple[list[int], np.ndarray]:
    """Which of ``boxes`` (N, 4) to keep, best first: those with no better at an IoU above ``most``; and their scores.

    Each better one lowers a score by exp(-IoU^2 / ``softness``), not at all where that is infinite: of two boxes that
    overlap, the less sure is oftener the same person again. Bodla et al. 2017, Soft-NMS.
    """
    lowered = np.array(scores, dtype=np.float64)
    waiting = np.ones(len(lowered), dtype=bool)
    table = ious(boxes, boxes)
    kept: list[int] = []
    while waiting.any():
        best = int(np.where(waiting, lowered, -1.0).argmax())
        kept.append(best)
        waiting[best] = False
        waiting &= table[best] <= most
        lowered[waiting] *= np.exp(-(table[best, waiting] ** 2) / softness)
    return kept, lowered[kept]
