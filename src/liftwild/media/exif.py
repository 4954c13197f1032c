"""EXIF blocks of photos: which way is up, and the focal length."""

from __future__ import annotations

import struct

import numpy as np

# EXIF: its tags, and the kinds of numbers that TIFF knows, as struct writes them.
EXIF_MARK, EXIF_PART, ORIENTATION = b"Exif\0\0", 0x8769, 0x0112
FOCAL, FOCAL_35MM, PIXELS_X, PIXELS_Y = 0x920A, 0xA405, 0xA002, 0xA003
SENSOR_X, SENSOR_Y, SENSOR_UNIT = 0xA20E, 0xA20F, 0xA210
RATIO = 5
TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", RATIO: "II"}
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
SAME_SHAPE = 0.02  # by so much may sides be rounded


def tags_of(exif: bytes) -> dict[int, float]:
    """The numbers of a TIFF block by tag, of several the first, those of its EXIF part too; empty where it is
    nonsense."""
    exif = exif.removeprefix(EXIF_MARK)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    tags: dict[int, float] = {}
    if order is None:
        return tags
    starts = [4]  # where it says where a table of tags is: the first, then that of EXIF
    for start_at in starts:
        try:
            (start,) = struct.unpack_from(order + "I", exif, start_at)
            (count,) = struct.unpack_from(order + "H", exif, start)
            for at in range(start + 2, start + 2 + 12 * count, 12):
                tag, kind, values = struct.unpack_from(order + "HHI", exif, at)
                if tag == EXIF_PART and len(starts) == 1:
                    starts.append(at + 8)
                elif values and kind in TIFF_NUMBERS:
                    tags[tag] = _number(exif, order, kind, values, at + 8)
        except struct.error:
            pass  # what was read until here stands
    return tags


def _number(exif: bytes, order: str, kind: int, values: int, at: int) -> float:
    """The first of ``values`` numbers of TIFF's type ``kind``; more than four bytes lie where the entry points to."""
    if values * struct.calcsize(order + TIFF_NUMBERS[kind]) > 4:
        (at,) = struct.unpack_from(order + "I", exif, at)
    if kind == RATIO:
        above, below = struct.unpack_from(order + "II", exif, at)
        return float(above / below) if below else 0.0
    (value,) = struct.unpack_from(order + TIFF_NUMBERS[kind], exif, at)
    return float(value)


def orientation_of(exif: bytes) -> int:
    """EXIF orientation 1..8 of a TIFF block; 1 (upright) where it says nothing or nonsense."""
    value = int(tags_of(exif).get(ORIENTATION, 1))
    return value if 1 <= value <= 8 else 1


def focal_of(exif: bytes, width: int, height: int) -> tuple[float, float] | None:
    """Focal lengths (x, y) in px of a photo of ``width`` x ``height`` px when upright, from its EXIF block.

    None where it says nothing, nonsense, or is of a picture of another shape (the photo was cropped). The length in
    terms of 35 mm film counts first, taken across the diagonal (CIPA DCG-001); then the true length with the sensor's
    resolution.
    """
    tags = tags_of(exif)
    longer, shorter = max(width, height), min(width, height)
    shot = sorted((tags.get(PIXELS_X, 0.0), tags.get(PIXELS_Y, 0.0)))
    scale = 1.0  # px of the photo for one of the picture that was shot
    if shot[0] > 0:
        if abs(shot[1] / shot[0] * shorter / longer - 1) > SAME_SHAPE:
            return None
        scale = longer / shot[1]
    film = tags.get(FOCAL_35MM, 0.0)
    if film > 0:
        focal = film * float(np.hypot(width, height) / np.hypot(36, 24))
        return focal, focal
    unit_mm = UNIT_MM.get(int(tags.get(SENSOR_UNIT, 2)), 0.0)
    x, y = (tags.get(FOCAL, 0.0) * tags.get(tag, 0.0) * scale for tag in (SENSOR_X, SENSOR_Y))
    if not (unit_mm > 0 and x > 0 and y > 0):
        return None
    turned = int(tags.get(ORIENTATION, 1)) >= 5
    return (y / unit_mm, x / unit_mm) if turned else (x / unit_mm, y / unit_mm)


def turned_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """``image`` upright, from the way its EXIF orientation says that it lies."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
