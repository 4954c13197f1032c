"""What the detector's network says of cells, read as boxes and scores."""

from __future__ import annotations

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


def split_cells(cells: np.ndarray, bins: int) -> DetectorMaps:
    """The maps of (B, C, 1 + 4 bins): of each cell its score and its sides."""
    return DetectorMaps(cells[..., 0], cells[..., 1:].reshape(*cells.shape[:2], 4, bins))


def decode(maps: DetectorMaps, height: int, width: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (B, N, 4) x, y, w, h px of inputs of ``height`` x ``width`` px, and scores (B, N) in [0, 1], best first.

    N is ``most``, or the number of cells if that is less. Many boxes show the same person: ``boxes.suppress``.
    """
    at = np.argsort(-maps.scores, axis=1, kind="stable")[:, :most]
    scores = 1 / (1 + np.exp(-np.take_along_axis(maps.scores, at, axis=1)))
    sides = np.take_along_axis(maps.sides, at[..., None, None], axis=1)
    shares = np.exp(sides - sides.max(axis=3, keepdims=True))
    cells = (shares @ np.arange(sides.shape[3], dtype=sides.dtype)) / shares.sum(axis=3)
    centres, strides = (each.astype(sides.dtype)[at] for each in _cells(height, width))
    away = cells * strides[..., None]
    low, high = centres - away[..., :2], centres + away[..., 2:]
    return np.concatenate([low, high - low], axis=2), scores


def _cells(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The middles (C, 2) x, y px and the strides (C,) px of all cells."""
    middles, strides = [], []
    for stride in STRIDES:
        x, y = np.meshgrid(*((np.arange(side // stride) + 0.5) * stride for side in (width, height)))
        middles.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full(len(middles[-1]), float(stride)))
    return np.concatenate(middles), np.concatenate(strides)
