"""Photos: any common file, array or PIL image in, upright 8-bit RGB out, or one clear error."""

from __future__ import annotations

import os
import re
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from liftwild.errors import LiftwildError

Photo = str | Path | bytes | np.ndarray | Any  # ``load_photo`` says which; Any: a PIL image
ACCEPTED = "a photo is a path, the bytes of an image file, a PIL image, or an array (H, W, 3) of uint8 RGB"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
MAX_BYTES = 2**31 - 1
# OpenCV gives RGB since 4.11: one copy less of the photo. Only JPEGs, which are many and large.
JPEG_AS_RGB: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# A JPEG marker; inside the entropy-coded data FF is followed by 00 or by a restart marker D0..D7. To search with, the
# one of a single FF: many times as fast, and it ends at the same place.
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
NEXT_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")

# EXIF: its tags, and the kinds of numbers that TIFF knows, as struct writes them.
EXIF_MARK, EXIF_PART, ORIENTATION = b"Exif\0\0", 0x8769, 0x0112
FOCAL, FOCAL_35MM, PIXELS_X, PIXELS_Y = 0x920A, 0xA405, 0xA002, 0xA003
SENSOR_X, SENSOR_Y, SENSOR_UNIT = 0xA20E, 0xA20F, 0xA210
RATIO = 5
TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", RATIO: "II"}
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
SAME_SHAPE = 0.02  # by so much may sides be rounded


class LoadedPhoto(NamedTuple):
    """``image`` (H, W, 3) uint8 RGB, upright; ``exif``: the block of its file, empty or nonsense where there is none:
    what ``focal_of`` takes."""

    image: np.ndarray
    exif: bytes


def read_photo(path: str | Path) -> np.ndarray:
    """The ``image`` of ``load_photo(path)``."""
    return load_photo(path).image


def load_photo(photo: Photo) -> LoadedPhoto:
    """One photo, from whatever holds it.

    A path, the bytes of an image file, a PIL image, or an array: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, of
    uint8, uint16 or floats in [0, 1]. Files and PIL images are turned upright as their EXIF says. Grey becomes RGB, 16
    bits per channel become 8 (full range kept). A transparent photo is laid on white, as it looks on a page: what lies
    hidden under full transparency is whatever a program left there.
    LiftwildError of one line when a file is missing, unreadable, empty, cut short, damaged, too large (2^30 px and
    more) or no image, and when ``photo`` is something else.
    """
    if isinstance(photo, str | Path):
        return _load_bytes(_read_bytes(Path(photo)), str(photo))
    if isinstance(photo, bytes | bytearray | memoryview):
        if not len(photo):
            raise LiftwildError("photo: is empty (0 bytes)")
        return _load_bytes(bytes(photo), "photo")
    if isinstance(photo, np.ndarray):
        return LoadedPhoto(_rgb_of_array(photo), b"")
    if hasattr(photo, "convert") and hasattr(photo, "getexif"):
        return _load_pil(photo)
    raise LiftwildError(f"{ACCEPTED}, not {type(photo).__name__}")


def _load_bytes(data: bytes, name: str) -> LoadedPhoto:
    fault, exif, alpha = _inspect(data)
    if fault:
        raise LiftwildError(f"{name}: {fault}")
    block = exif if data.startswith(PNG) else _exif(data)  # a PNG has been gone through
    if alpha:
        image = _decode(name, data, cv2.IMREAD_UNCHANGED)
        if image.ndim == 3 and image.shape[2] == 4:
            rgba = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)
            return LoadedPhoto(np.ascontiguousarray(_turn(_on_white(rgba), _orientation(exif))), block)
    if data.startswith(JPEG) and JPEG_AS_RGB is not None:
        return LoadedPhoto(_decode(name, data, JPEG_AS_RGB), block)
    return LoadedPhoto(cv2.cvtColor(_decode(name, data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), block)


def _load_pil(photo: Any) -> LoadedPhoto:
    """A PIL image; Pillow itself is not needed."""
    transparent = "A" in photo.getbands() or "transparency" in photo.info
    pixels = np.asarray(photo.convert("RGBA" if transparent else "RGB"))
    exif = bytes(photo.info.get("exif", b"")).removeprefix(EXIF_MARK)
    orientation = int(photo.getexif().get(ORIENTATION, 1))
    image = _turn(_rgb_of_array(pixels), orientation if 1 <= orientation <= 8 else 1)
    return LoadedPhoto(np.ascontiguousarray(image), exif)


def _rgb_of_array(array: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB, contiguous, of an array as ``load_photo`` takes it."""
    if array.dtype.kind == "f" and array.size:
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise LiftwildError("a photo of floats has values in [0, 1]; divide by 255, or give uint8")
        array = np.round(array * 255).astype(np.uint8)
    image = array[..., None] if array.ndim == 2 else array
    if image.dtype not in (np.uint8, np.uint16) or image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size:
        raise LiftwildError(f"{ACCEPTED}, not an array {array.shape} of {array.dtype}")
    if image.shape[2] == 4:
        return np.ascontiguousarray(_on_white(image))
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def find_photos(paths: Iterable[str | Path]) -> list[Path]:
    """The photos that ``paths`` name: files as given, a folder's image files by suffix, sorted, without subfolders.

    Hidden files in folders are left out, a file named twice comes once. A path that is not there is kept:
    ``read_photo`` says what is wrong with it. LiftwildError if a folder cannot be read or holds no image file.
    """
    photos: dict[Path, Path] = {}
    for path in map(Path, paths):
        found = [path]
        if os.path.isdir(path):
            try:
                found = sorted(
                    file
                    for file in path.iterdir()
                    if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
                )
            except OSError as error:
                raise LiftwildError(f"{path}: cannot be read: {error.strerror}") from None
            if not found:
                kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
                raise LiftwildError(f"{path}: no photos in this folder ({kinds})")
        for file in found:
            photos.setdefault(file.resolve(), file)
    return list(photos.values())


def _read_bytes(path: Path) -> bytes:
    """The file's content; LiftwildError if it is not a file that can be read, or empty."""
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise LiftwildError(f"{path}: is a folder, not a photo")
        if not stat.S_ISREG(found.st_mode):
            raise LiftwildError(f"{path}: is not a regular file")
        if found.st_size > MAX_BYTES:
            raise LiftwildError(f"{path}: is too large for a photo ({found.st_size / 2**30:.1f} GiB)")
        data = path.read_bytes()
    except FileNotFoundError:
        raise LiftwildError(f"{path}: no such file") from None
    except OSError as error:
        raise LiftwildError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not data:
        raise LiftwildError(f"{path}: is empty (0 bytes)")
    return data


@contextmanager
def quiet() -> Iterator[None]:
    """Without OpenCV's own log lines; our error says what there is to say."""
    log: Any = getattr(cv2.utils, "logging", cv2)  # OpenCV 5 moved it
    level = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(level)


def _decode(name: str, data: bytes, flags: int) -> np.ndarray:
    """What OpenCV makes of the file; LiftwildError if nothing."""
    try:
        with quiet():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        reason = "has too many pixels (2^30 and more)" if "MAX_IMAGE" in str(error) else "is damaged or too large"
        raise LiftwildError(f"{name}: {reason}") from None
    if image is None or image.size == 0:
        raise LiftwildError(f"{name}: is no image that can be read, or a damaged one")
    return image


def _inspect(data: bytes) -> tuple[str, bytes, bool]:
    """What is wrong with the file (or ""), its EXIF block (of the kinds that can be transparent), and whether it may
    be transparent.

    OpenCV 4 gives the top of a JPEG that was cut short without a word, so the end is looked for here.
    """
    if data.startswith(JPEG):
        return "" if _jpeg_ends(data) else "is cut short (a JPEG without its end)", b"", False
    if data.startswith(PNG):
        return _inspect_png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        if len(data) < 8 + int.from_bytes(data[4:8], "little"):
            return "is cut short (a WebP without its end)", b"", False
        return "", _webp_exif(data), True
    return "", b"", data[:2] != b"BM"


def _jpeg_ends(data: bytes) -> bool:
    """Whether the picture itself ends; the end of a thumbnail inside a segment does not count."""
    at = 2
    while found := NEXT_MARKER.search(data, at):
        at, code = found.end(), found[1][0]
        if code == 0xD9:
            return True
        if code not in (0x01, 0xD8):  # these two stand alone, all others tell the length of their segment
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return False


def _inspect_png(data: bytes) -> tuple[str, bytes, bool]:
    """Like ``_inspect``, from the chunks of a PNG; checksums are compared here because libpng complains on stderr."""
    view, at, exif = memoryview(data), len(PNG), b""
    alpha = len(data) > 25 and bool(data[25] & 4)
    while at + 12 <= len(data):
        length = int.from_bytes(view[at : at + 4], "big")
        kind, end = bytes(view[at + 4 : at + 8]), at + 8 + length
        if end + 4 > len(data):
            break
        critical = not kind[0] & 0x20
        if critical and zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return "is damaged (a checksum in the PNG is wrong)", b"", False
        if kind == b"IEND":
            return "", exif, alpha
        if kind == b"eXIf":
            exif = bytes(view[at + 8 : end])
        alpha = alpha or kind == b"tRNS"
        at = end + 4
    return "is cut short (a PNG without its end)", b"", False


def _webp_exif(data: bytes) -> bytes:
    """The EXIF chunk of a WebP, or nothing."""
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"EXIF":
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return b""


def _jpeg_exif(data: bytes) -> bytes:
    """The EXIF block of a JPEG, from the segments before its picture, or nothing."""
    at = 2
    while found := JPEG_MARKER.match(data, at):
        at, code = found.end(), found[1][0]
        length = int.from_bytes(data[at : at + 2], "big")
        if code == 0xE1 and data[at + 2 : at + 8] == EXIF_MARK:
            return data[at + 2 : at + length]
        if code == 0xDA or length < 2:  # the picture begins; a segment cannot be shorter than its length
            break
        at += length
    return b""


def _exif(data: bytes) -> bytes:
    """The EXIF block of a photo's file, or nothing."""
    if data.startswith(JPEG):
        return _jpeg_exif(data)
    if data.startswith(PNG):
        return _inspect_png(data)[1]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_exif(data)
    return data  # a TIFF is one itself; all else is none


def _tags(exif: bytes) -> dict[int, float]:
    """The single numbers of a TIFF block by tag, those of its EXIF part too; empty where it is nonsense."""
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
                elif values == 1 and kind in TIFF_NUMBERS:
                    tags[tag] = _number(exif, order, kind, at + 8)
        except struct.error:
            pass  # what was read until here stands
    return tags


def _number(exif: bytes, order: str, kind: int, at: int) -> float:
    """One number of TIFF's type ``kind``; a ratio lies elsewhere, where the entry points to."""
    if kind == RATIO:
        (at,) = struct.unpack_from(order + "I", exif, at)
        above, below = struct.unpack_from(order + "II", exif, at)
        return float(above / below) if below else 0.0
    (value,) = struct.unpack_from(order + TIFF_NUMBERS[kind], exif, at)
    return float(value)


def _orientation(exif: bytes) -> int:
    """EXIF orientation 1..8 of a TIFF block; 1 (upright) where it says nothing or nonsense."""
    value = int(_tags(exif).get(ORIENTATION, 1))
    return value if 1 <= value <= 8 else 1


def read_focal(path: str | Path, width: int, height: int) -> tuple[float, float] | None:
    """Focal lengths (x, y) in px of the photo at ``path``, ``width`` x ``height`` px when upright, from its EXIF.

    None where it says nothing, nonsense, or is of a picture of another shape (the photo was cropped). The length in
    terms of 35 mm film counts first, taken across the diagonal (CIPA DCG-001); then the true length with the sensor's
    resolution. LiftwildError if the file cannot be read.
    """
    return focal_of(_exif(_read_bytes(Path(path))), width, height)


def focal_of(exif: bytes, width: int, height: int) -> tuple[float, float] | None:
    """As ``read_focal``, from the photo's EXIF block."""
    tags = _tags(exif)
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


def _turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """``image`` upright, from the way its EXIF orientation says that it lies."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def _on_white(image: np.ndarray) -> np.ndarray:
    """RGBA (H, W, 4) of 8 or 16 bits on a white ground: RGB (H, W, 3) uint8."""
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    alpha = image[..., 3:].astype(np.uint16)
    colour = image[..., :3].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
