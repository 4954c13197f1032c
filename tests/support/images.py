"""Random pictures and image files, with and without an EXIF orientation."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np


def picture(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    """A smooth random picture (height, width, 3) uint8 RGB, unlike each of its turned and mirrored selves."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)


def encode(suffix: str, image: np.ndarray, *options: int) -> bytes:
    """The bytes of an image file; ``image`` RGB, RGBA or grey."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    done, content = cv2.imencode(suffix, np.ascontiguousarray(image), options)
    assert done
    return content.tobytes()


def exif_block(orientation: int, order: str = "<") -> bytes:
    """A TIFF block that holds one entry, the orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + struct.pack(order + "I", 0)


def jpeg_with_exif(image: np.ndarray, orientation: int) -> bytes:
    """A JPEG file with that EXIF orientation."""
    data, block = encode(".jpg", image), b"Exif\0\0" + exif_block(orientation)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file, with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with_exif(image: np.ndarray, orientation: int, order: str = "<") -> bytes:
    """A PNG file with that EXIF orientation."""
    data = encode(".png", image)
    return data[:33] + png_chunk(b"eXIf", exif_block(orientation, order)) + data[33:]


def write_photo(path: Path, image: np.ndarray | None = None) -> Path:
    """Write ``image`` (RGB), by default a picture of 320 x 240 px, in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(path.suffix, picture(240, 320) if image is None else image))
    return path
