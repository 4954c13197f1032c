"""Joints read from heatmaps; ``heatmap_torch`` draws them. Owns the half-pixel rule.

A heatmap of S cells over an input of ``input_px``: cell i covers [i, i + 1) * (input_px / S) px, so its centre lies at
(i + 0.5) * (input_px / S).
"""

from __future__ import annotations

import numpy as np

MIN_HEIGHT = np.float32(1e-6)  # of a cell, before its log is taken


def decode(heatmaps: np.ndarray, input_px: int, subpixel: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Joints (B, J, 2) in px of the network's input, and the peaks (B, J), from heatmaps (B, J, H, W).

    Argmax, then in x and in y by itself a quarter cell toward the higher neighbour (none at the border, none where both
    are equal), plus half a cell. Source: the authors' Torch7 code. ``subpixel``: instead of the quarter, to the top of
    the parabola through the logs of the peak and its two neighbours, half a cell at most; exact for what
    ``heatmap_torch.draw`` draws (docs/log.md).
    """
    height, width = heatmaps.shape[2:]
    cells = heatmaps.reshape(*heatmaps.shape[:2], height * width)
    flat = cells.argmax(axis=-1)

    def values(index: np.ndarray) -> np.ndarray:
        found = np.take_along_axis(cells, index.clip(0, height * width - 1)[..., None], axis=-1)[..., 0]
        return np.log(np.maximum(found, MIN_HEIGHT)) if subpixel else found

    top, peak = values(flat), np.take_along_axis(cells, flat[..., None], axis=-1)[..., 0]

    def toward(index: np.ndarray, step: int, length: int) -> np.ndarray:
        low, high = values(flat - step), values(flat + step)
        if subpixel:
            bend = 2 * top - low - high  # 0 where all three are equal, never less
            offset = ((high - low) / (2 * np.maximum(bend, MIN_HEIGHT))).clip(-0.5, 0.5)
        else:
            offset = np.sign(high - low) / 4
        return np.where((index > 0) & (index < length - 1), offset, np.zeros_like(peak))

    y, x = np.divmod(flat, width)
    half = peak.dtype.type(0.5)
    found = np.stack(
        [x.astype(peak.dtype) + half + toward(x, 1, width), y.astype(peak.dtype) + half + toward(y, width, height)], -1
    )
    return found * np.array([input_px / width, input_px / height], found.dtype), peak
