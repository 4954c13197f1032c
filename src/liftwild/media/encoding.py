"""Pictures as PNG and JPEG; those that become files of their own say that liftwild made them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import write_whole

_PNG_HEAD = 33  # bytes: the signature, and IHDR, which comes first
_TEXT = b"tEXtSoftware\0liftwild"
_MARKS = {
    b"\x89PNG": struct.pack(">I", len(_TEXT) - 4) + _TEXT + struct.pack(">I", zlib.crc32(_TEXT)),
    b"\xff\xd8": b"\xff\xfe" + struct.pack(">H", 10) + b"liftwild",  # a comment, right after the start of the image
}


def png_bytes(image: np.ndarray) -> bytes:
    """``image`` (H, W, 3) uint8 RGB as a PNG; LiftwildError if it cannot be encoded."""
    return _encoded(".png", image)


def jpeg_bytes(image: np.ndarray, quality: int) -> bytes:
    """``image`` (H, W, 3) uint8 RGB as a JPEG of ``quality`` 1 to 100; LiftwildError if it cannot be encoded."""
    return _encoded(".jpg", image, cv2.IMWRITE_JPEG_QUALITY, quality)


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write ``image`` (H, W, 3) uint8 RGB as a PNG, whole or not at all; LiftwildError if it cannot be written."""
    write_whole(path, marked(png_bytes(image)))


def marked(content: bytes) -> bytes:
    """The PNG or JPEG ``content`` with the name of the software that made it."""
    for start, mark in _MARKS.items():
        if content.startswith(start):
            at = _PNG_HEAD if start == b"\x89PNG" else len(start)
            return content[:at] + mark + content[at:]
    raise ValueError("neither PNG nor JPEG")


def is_marked(path: Path) -> bool:
    """Whether ``path`` is a picture that ``marked`` has marked."""
    with path.open("rb") as file:
        head = file.read(_PNG_HEAD + 40)
    return any(head.startswith(start) and mark in head for start, mark in _MARKS.items())


def _encoded(suffix: str, image: np.ndarray, *options: int) -> bytes:
    done, content = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise LiftwildError(f"a picture of {image.shape[1]} x {image.shape[0]} px cannot be encoded")
    return content.tobytes()
