"""Whether the camera moves: how far what is behind the people goes in the picture from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from liftwild.boxes import Box
from liftwild.tracking.observation import wider

SIDE = 320  # px; points are followed in a picture whose longer side is so long
POINTS, MIN_POINTS = 120, 12  # at most; with fewer nothing is known
QUALITY, APART_PX = 0.01, 8  # of points, as ``cv2.goodFeaturesToTrack`` takes them
WINDOW_PX, LEVELS = 15, 3  # of Lucas and Kanade's method, on a pyramid
ABOUT = 1.2  # a person's box is so much larger than the body's, with hair, hands and feet


class Background:
    """Follows points beside the people: ``step`` for each frame, ``forget`` where one is missing.

    What it says of a frame depends on that frame, on the one before and on who was in it.
    """

    def __init__(self) -> None:
        self.last: np.ndarray | None = None
        self.points: np.ndarray | None = None
        self.scale = 1.0

    def forget(self) -> None:
        """Know nothing of the frame before."""
        self.last = self.points = None

    def step(self, image: np.ndarray, boxes: Sequence[Box]) -> tuple[float, float]:
        """How far the background has gone since the frame before, px right and down; (0, 0) where that is not known.

        ``image`` (H, W, 3) uint8 RGB, of the size of the frame before; ``boxes`` px: of the people in it. The median
        over the points, so that others who move do not count.
        """
        height, width = image.shape[:2]
        self.scale = min(1.0, SIDE / max(height, width))
        small = image
        # In two steps: to average all pixels costs five times more.
        for factor, kind in ((2, cv2.INTER_NEAREST), (1, cv2.INTER_AREA)):
            if factor * self.scale < 1:
                size = [max(round(factor * self.scale * side), 1) for side in (width, height)]
                small = cv2.resize(small, size, interpolation=kind)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        moved = self._moved(grey)
        self.last, self.points = grey, self._points(grey, boxes)
        return moved

    def _moved(self, grey: np.ndarray) -> tuple[float, float]:
        if self.last is None or self.points is None or len(self.points) < MIN_POINTS:
            return 0.0, 0.0
        window = (WINDOW_PX, WINDOW_PX)
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            self.last, grey, self.points, np.empty(0, np.float32), winSize=window, maxLevel=LEVELS
        )
        known = status[:, 0] == 1
        if known.sum() < MIN_POINTS:
            return 0.0, 0.0
        # 32 bits, as it is kept on disk.
        x, y = (np.median((found - self.points)[known, 0], axis=0) / self.scale).astype(np.float32).tolist()
        return x, y

    def _points(self, grey: np.ndarray, boxes: Sequence[Box]) -> np.ndarray | None:
        """Points (N, 1, 2) to be followed, beside ``boxes``; None where there are none."""
        mask = np.full(grey.shape, 255, np.uint8)
        for box in boxes:
            x, y, w, h = (round(self.scale * value) for value in wider(box, ABOUT))
            mask[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = 0
        return cv2.goodFeaturesToTrack(grey, POINTS, QUALITY, APART_PX, mask=mask)
