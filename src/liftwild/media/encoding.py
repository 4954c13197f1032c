"""Pictures as PNG and JPEG."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import write_whole


def png_bytes(image: np.ndarray) -> bytes:
    """``image`` (H, W, 3) uint8 RGB as a PNG; LiftwildError if it cannot be encoded."""
    return _encoded(".png", image)


def jpeg_bytes(image: np.ndarray, quality: int) -> bytes:
    """``image`` (H, W, 3) uint8 RGB as a JPEG of ``quality`` 1 to 100; LiftwildError if it cannot be encoded."""
    return _encoded(".jpg", image, cv2.IMWRITE_JPEG_QUALITY, quality)


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write ``image`` (H, W, 3) uint8 RGB as a PNG, whole or not at all; LiftwildError if it cannot be written."""
    write_whole(path, png_bytes(image))


def _encoded(suffix: str, image: np.ndarray, *options: int) -> bytes:
    done, content = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise LiftwildError(f"a picture of {image.shape[1]} x {image.shape[0]} px cannot be encoded")
    return content.tobytes()
