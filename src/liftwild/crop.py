"""The square around a person, and the one affine between the photo and the network's input."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

# A person's box is widened by this before the network sees it, so that limbs keep a margin (authors' code, MPII).
BOX_MARGIN = 1.25
MAX_WARP_PX = 32766  # sides of a picture that cv2.warpAffine takes


@dataclass(frozen=True)
class Crop:
    """A square in a photo, possibly turned and mirrored.

    ``center_px`` (x, y) and ``size_px`` (side) in px of the photo; ``rotation_rad`` turns the content clockwise (as
    seen, y down) inside the crop; ``flip`` mirrors it left to right.
    """

    center_px: tuple[float, float]
    size_px: float
    rotation_rad: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.size_px) and self.size_px > 0 and all(map(math.isfinite, self.center_px))):
            raise ValueError(f"a crop needs a finite centre and a size above 0, not {self.center_px}, {self.size_px}")

    @classmethod
    def around(cls, box: tuple[float, float, float, float], margin: float = BOX_MARGIN) -> Crop:
        """The square about ``box`` (x, y, w, h in px), its longer side widened by ``margin``."""
        x, y, w, h = box
        return cls((x + w / 2, y + h / 2), max(w, h) * margin)

    def in_smaller(self, divisor: float) -> Crop:
        """The same crop in a picture of the photo whose sides are divided by ``divisor``."""
        x, y = self.center_px
        return replace(self, center_px=(x / divisor, y / divisor), size_px=self.size_px / divisor)

    def affine(self, output_px: int) -> np.ndarray:
        """Matrix (2, 3) that takes px of the photo to px of an ``output_px`` square."""
        scale = output_px / self.size_px
        c, s = np.cos(self.rotation_rad) * scale, np.sin(self.rotation_rad) * scale
        affine = np.array([[-c, s, 0.0] if self.flip else [c, -s, 0.0], [s, c, 0.0]])
        affine[:, 2] = output_px / 2 - affine[:, :2] @ np.asarray(self.center_px, dtype=np.float64)
        return affine

    def apply(self, image: np.ndarray, output_px: int) -> np.ndarray:
        """Cut the crop out of ``image`` (H, W, 3): (output_px, output_px, 3), the same dtype, black outside."""
        affine = self.affine(output_px)
        # cv2 counts pixel centres at 0; ours are at +0.5.
        affine[:, 2] += affine[:, :2] @ (0.5, 0.5) - 0.5
        scale = output_px / self.size_px
        if scale <= 0.5:
            # Bilinear sampling skips pixels at half size and below: shrink by area first.
            factor = int(np.floor(1 / scale))
            x0, y0, x1, y1 = self._bounds(image.shape[1], image.shape[0], factor)
            if x1 > x0 and y1 > y0:
                image = _shrunk(image[y0:y1, x0:x1], factor)
                # px of the shrunken part -> px of the photo, both with centres at 0.
                back = np.array([[factor, 0, x0 + (factor - 1) / 2], [0, factor, y0 + (factor - 1) / 2], [0, 0, 1]])
                affine = affine @ back
        if max(image.shape[:2]) > MAX_WARP_PX:
            x0, y0, x1, y1 = self._bounds(image.shape[1], image.shape[0], 1)
            image, affine[:, 2] = image[y0:y1, x0:x1], affine[:, 2] + affine[:, :2] @ (x0, y0)
            if not image.size:
                return np.zeros((output_px, output_px, 3), image.dtype)
        return cv2.warpAffine(image, affine, (output_px, output_px), flags=cv2.INTER_LINEAR)

    def _bounds(self, width: int, height: int, factor: int) -> tuple[int, int, int, int]:
        """The part of a photo that the crop can touch, when the photo is shrunk by ``factor`` first."""
        half = self.size_px * 0.7072 + 2 * factor
        x0, y0 = (int(max(0, np.floor(c - half))) for c in self.center_px)
        x1 = int(min(width, np.ceil(self.center_px[0] + half)))
        y1 = int(min(height, np.ceil(self.center_px[1] + half)))
        # Whole blocks where the photo has them: what is missing in the last ones would have to be copied with the rest.
        return x0, y0, min(width, x1 + (x0 - x1) % factor), min(height, y1 + (y0 - y1) % factor)

    def to_crop(self, points: np.ndarray, output_px: int) -> np.ndarray:
        """Points (..., 2) in px of the photo -> px of the crop."""
        return transform(self.affine(output_px), points)

    def to_photo(self, points: np.ndarray, output_px: int) -> np.ndarray:
        """Points (..., 2) in px of the crop -> px of the photo."""
        scale = self.size_px / output_px
        c, s = np.cos(self.rotation_rad) * scale, np.sin(self.rotation_rad) * scale
        turn = np.array([[-c, s], [s, c]] if self.flip else [[c, -s], [s, c]])  # its rows are the inverse's columns
        return (np.asarray(points) - output_px / 2) @ turn + self.center_px


def _shrunk(part: np.ndarray, factor: int) -> np.ndarray:
    """``part`` (H, W, 3), each side divided by ``factor`` and rounded up: means of whole blocks, black beyond it.

    Of a part that is narrower than a block the longer side is shrunk first: its blocks would be mostly black.
    """
    height, width = part.shape[:2]
    steps = [(factor, factor)]
    if min(height, width) < factor:
        steps = [(factor, 1), (1, factor)] if height > width else [(1, factor), (factor, 1)]
    for down, across in steps:
        below, beside = -part.shape[0] % down, -part.shape[1] % across
        if below or beside:
            # So that the photo's last columns and rows are not lost.
            part = cv2.copyMakeBorder(part, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        part = cv2.resize(part, (part.shape[1] // across, part.shape[0] // down), interpolation=cv2.INTER_AREA)
    return part


def grown(box: tuple[float, float, float, float], share: float) -> tuple[float, float, float, float]:
    """``box`` (x, y, w, h), each side moved out by ``share`` of its longer side."""
    x, y, w, h = box
    more = share * max(w, h)
    return x - more, y - more, w + 2 * more, h + 2 * more


def blackened(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """``image`` (H, W, 3) with what lies outside ``box`` (x, y, w, h) px black; the box is rounded outwards.

    A person's neighbours stay out of what the network sees: a square around somebody who stands is mostly neighbours.
    """
    x, y, w, h = box
    height, width = image.shape[:2]
    left, top = max(0, math.floor(x)), max(0, math.floor(y))
    right, bottom = min(width, math.ceil(x + w)), min(height, math.ceil(y + h))
    if left == top == 0 and (right, bottom) == (width, height):
        return image
    out = np.zeros_like(image)
    if right > left and bottom > top:
        out[top:bottom, left:right] = image[top:bottom, left:right]
    return out


def transform(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply ``affine`` (2, 3) to points (..., 2)."""
    return np.asarray(points) @ affine[:, :2].T + affine[:, 2]
