"""What the detector's network says of cells, read as boxes and scores."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from liftwild.detection.config import STRIDES


class DetectorMaps(NamedTuple):
    """What the network says of B pictures in all cells of all strides, C together: first those of stride 8, row by row.

    ``scores`` (B, C): log-odds that a person's box is told by the cell. ``sides`` (B, C, 4, bins): log-probabilities,
    but for a constant, of the distance in cells from the cell's middle to the left, top, right and bottom side.
    """

    scores: np.ndarray
    sides: np.ndarray


class Boxes(NamedTuple):
    """What is found in one picture: ``boxes`` (N, 4) px, ``scores`` (N,)."""

    boxes: np.ndarray
    scores: np.ndarray


def split_cells(cells: np.ndarray, bins: int) -> DetectorMaps:
    """The maps of (B, C, 1 + 4 bins): of each cell its score and its sides."""
    return DetectorMaps(cells[..., 0], cells[..., 1:].reshape(*cells.shape[:2], 4, bins))


def decode(maps: DetectorMaps, height: int, width: int, most: int, least: float = 0.0) -> list[Boxes]:
    """Of each of B pictures of ``height`` x ``width`` px its boxes (N, 4) x, y, w, h px, and their scores (N,) in
    [0, 1], best first.

    N is ``most`` or less: only cells with a score of ``least`` or more count. Many boxes show the same person:
    ``boxes.suppress``.
    """
    centres, strides = _cells(height, width)
    found = []
    for scores, sides in zip(maps.scores, maps.sides, strict=True):
        scores = 1 / (1 + np.exp(-scores.astype(np.float64)))
        known = np.flatnonzero(~(scores < least))  # NaN is kept, to be seen
        at = known[np.argsort(-scores[known], kind="stable")[:most]]
        log_shares = sides[at].astype(np.float64)
        shares = np.exp(log_shares - log_shares.max(axis=2, keepdims=True))
        away = shares @ np.arange(shares.shape[2]) / shares.sum(axis=2) * strides[at, None]
        low, high = centres[at] - away[:, :2], centres[at] + away[:, 2:]
        found.append(Boxes(np.concatenate([low, high - low], axis=1), scores[at]))
    return found


@lru_cache(maxsize=8)
def _cells(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The middles (C, 2) x, y px and the strides (C,) px of all cells."""
    middles, strides = [], []
    for stride in STRIDES:
        x, y = np.meshgrid(*((np.arange(side // stride) + 0.5) * stride for side in (width, height)))
        middles.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full(len(middles[-1]), float(stride)))
    return np.concatenate(middles), np.concatenate(strides)
