"""A tiny detector, and one that finds given boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liftwild.detection.config import STRIDES, DetectorConfig
from liftwild.detection.decoding import DetectorMaps
from liftwild.detection.detector import Detector

TINY = DetectorConfig(stem=4, blocks=(1, 1, 1, 1), neck=8, bins=5, input_px=64)
CELLS = sum((TINY.input_px // stride) ** 2 for stride in STRIDES)


def detector_that_says(
    weights: Path, boxes: list[tuple[float, float, float, float, float]], min_score: float | None = None
) -> Detector:
    """A Detector whose network says these boxes (px of its 64 px input, then the score), and nothing else.

    Sides up to 32 px each way, told by cells of stride 8, whose middle need not be that of the box.
    """
    detector = Detector(weights, "cpu", min_score)
    scores, sides = np.full(CELLS, -20.0, np.float32), np.full((CELLS, 4, TINY.bins), -50.0, np.float32)
    row = TINY.input_px // 8
    for x, y, w, h, score in boxes:
        j, i = int((x + w / 2) / 8), int((y + h / 2) / 8)
        cell = i * row + j
        assert scores[cell] == -20, "two boxes in one cell"
        scores[cell] = float(np.log(score / (1 - score)))
        cx, cy = (j + 0.5) * 8, (i + 0.5) * 8
        for side, away in enumerate((cx - x, cy - y, x + w - cx, y + h - cy)):
            low = min(int(away / 8), TINY.bins - 2)
            share = away / 8 - low  # between two bins: as likely as it is near
            sides[cell, side, low : low + 2] = np.log(np.maximum([1 - share, share], 1e-9))

    def runtime(pixels: np.ndarray) -> DetectorMaps:
        return DetectorMaps(np.stack([scores] * len(pixels)), np.stack([sides] * len(pixels)))

    runtime.name = "told"  # type: ignore[attr-defined]
    detector.runtime = runtime  # type: ignore[assignment]
    return detector
