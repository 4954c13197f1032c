"""Photos from disk: any common file in, upright 8-bit RGB out, or one clear error."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from liftwild.errors import LiftwildError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
MAX_BYTES = 2**31 - 1

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# A JPEG marker; inside the entropy-coded data FF is followed by 00 or by a restart marker D0..D7.
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")


def read_photo(path: str | Path) -> np.ndarray:
    """Read one photo: (H, W, 3) uint8 RGB, turned upright as its EXIF says.

    Grey becomes RGB, 16 bits per channel become 8 (full range kept). Where the photo is transparent it is laid on
    white, as it looks on a page: what lies hidden under full transparency is whatever a program left there.
    LiftwildError of one line, with the path and the reason, when the file is missing, unreadable, empty, cut short,
    damaged, too large (2^30 px and more) or no image.
    """
    path = Path(path)
    data = _read_bytes(path)
    fault, exif, alpha = _inspect(data)
    if fault:
        raise LiftwildError(f"{path}: {fault}")
    if alpha:
        image = _decode(path, data, cv2.IMREAD_UNCHANGED)
        if image.ndim == 3 and image.shape[2] == 4:
            return np.ascontiguousarray(_turn(_on_white(image), _orientation(exif)))
    return cv2.cvtColor(_decode(path, data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


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
        if os.path.isdir(path):
            raise LiftwildError(f"{path}: is a folder, not a photo")
        if path.exists() and not path.is_file():
            raise LiftwildError(f"{path}: is not a regular file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise LiftwildError(f"{path}: is too large for a photo ({size / 2**30:.1f} GiB)")
        data = path.read_bytes()
    except FileNotFoundError:
        raise LiftwildError(f"{path}: no such file") from None
    except OSError as error:
        raise LiftwildError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not data:
        raise LiftwildError(f"{path}: is empty (0 bytes)")
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """Without OpenCV's own log lines; our error says what there is to say."""
    log: Any = getattr(cv2.utils, "logging", cv2)  # OpenCV 5 moved it
    level = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(level)


def _decode(path: Path, data: bytes, flags: int) -> np.ndarray:
    """What OpenCV makes of the file; LiftwildError if nothing."""
    try:
        with _quiet():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        reason = "has too many pixels (2^30 and more)" if "MAX_IMAGE" in str(error) else "is damaged or too large"
        raise LiftwildError(f"{path}: {reason}") from None
    if image is None or image.size == 0:
        raise LiftwildError(f"{path}: is no image that can be read, or a damaged one")
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
    while found := JPEG_MARKER.search(data, at):
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


def _orientation(exif: bytes) -> int:
    """EXIF orientation 1..8 of a TIFF block; 1 (upright) where it says nothing or nonsense."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


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
    """BGRA (H, W, 4) of 8 or 16 bits on a white ground: RGB (H, W, 3) uint8."""
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    alpha = image[..., 3:].astype(np.uint16)
    colour = image[..., 2::-1].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
