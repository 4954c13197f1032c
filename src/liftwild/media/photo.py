"""Photos: any common file, array or PIL image in, upright 8-bit RGB out, or one clear error."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from liftwild.errors import LiftwildError, reason_of
from liftwild.files import reading
from liftwild.media.exif import EXIF_MARK, ORIENTATION, orientation_of, turned_upright
from liftwild.media.image_file import inspect_image
from liftwild.media.image_header import READABLE, ImageHeader
from liftwild.media.library_noise import without_noise

Photo = str | Path | bytes | np.ndarray | Any  # ``load_photo`` says which; Any: a PIL image
ACCEPTED = "a photo is a path, the bytes of an image file, a PIL image, or an array (H, W, 3) of uint8 RGB"
SUFFIXES = frozenset(
    f".{name}"
    for name in [
        "jpg",
        "jpeg",
        "png",
        "webp",
        "bmp",
        "tif",
        "tiff",
        "heic",
        "heif",
        "hif",
        "avif",
        "jp2",
        "pnm",
        "ppm",
        "pgm",
    ]
)
MAX_FILE_BYTES = 1 << 29
# A photo's pixels and all their copies while it is read; with the networks a process then stays under 2 GB.
MAX_PIXEL_BYTES = 1_400_000_000
# Of a large JPEG's longer side, where its people are large enough: twice what the detector sees, and what figures show.
ENOUGH_PX = 1000
BAND_PX = 1 << 20  # colours are converted so many px at a time
HEIC_EXTRA = "pip install 'liftwild[heic]'"
# OpenCV gives RGB since 4.11: one copy less of the photo.
JPEG_AS_RGB: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)
REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
# What people take for photos, by how its bytes begin.
OTHER_FILES = (
    (b"%PDF", "is a PDF: save its pages as pictures first"),
    (b"{", "is JSON, no photo: 'predict' makes such files"),
    (b"<", "is a web page or SVG, no photo"),
    (b"PK", "is an archive: unpack it first"),
)


class LoadedPhoto(NamedTuple):
    """``image`` (H, W, 3) uint8 RGB, upright; ``exif``: the block of its file, empty or nonsense where there is none:
    what ``focal_of`` takes; ``damage``: what the decoder says where parts of the picture are wrong, or "";
    ``divisor``: how many px of the photo, along each side, a px of ``image`` is the mean of."""

    image: np.ndarray
    exif: bytes
    damage: str = ""
    divisor: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the photo, px."""
        return self.image.shape[1] * self.divisor, self.image.shape[0] * self.divisor


def read_photo(path: str | Path) -> np.ndarray:
    """The ``image`` of ``load_photo(path)``."""
    return load_photo(path).image


def load_photo(photo: Photo | LoadedPhoto, least_px: int | None = None) -> LoadedPhoto:
    """One photo, from whatever holds it; one that is loaded already as it is.

    A path, the bytes of an image file, a PIL image, or an array: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, of
    uint8, uint16 or floats in [0, 1]. Files and PIL images are turned upright as their EXIF says. Grey becomes RGB, 16
    bits per channel become 8 (full range kept). A transparent photo is laid on white, as it looks on a page: what lies
    hidden under full transparency is whatever a program left there.
    ``least_px``: of the longer side that is enough. A JPEG of two, four or eight times as much is decoded to a half, a
    quarter or an eighth, where its sides divide by that: that takes half the time, and a part of the memory.
    LiftwildError of one line when a file is missing, unreadable, empty, cut short, damaged, too large (its pixels would
    take more than ``MAX_PIXEL_BYTES``; nothing is decoded then) or no image, and when ``photo`` is something else.
    """
    if isinstance(photo, LoadedPhoto):
        return photo
    if isinstance(photo, str | Path):
        return _load_bytes(_read_bytes(Path(photo)), str(photo), least_px)
    if isinstance(photo, bytes | bytearray | memoryview):
        if not len(photo):
            raise LiftwildError("photo: is empty (0 bytes)")
        return _load_bytes(bytes(photo), "photo", least_px)
    if isinstance(photo, np.ndarray):
        return LoadedPhoto(_rgb_of_array(photo), b"")
    if hasattr(photo, "convert") and hasattr(photo, "getexif"):
        return _load_pil(photo)
    raise LiftwildError(f"{ACCEPTED}, not {type(photo).__name__}")


def _load_bytes(data: bytes, name: str, least_px: int | None = None) -> LoadedPhoto:
    fault, header = inspect_image(data)
    if fault:
        raise LiftwildError(f"{name}: {fault}")
    if not header.format:
        of_kind = (said for begins, said in OTHER_FILES if data.lstrip()[:4].startswith(begins))
        said = next(of_kind, "is no image that can be read, or a damaged one")
        raise LiftwildError(f"{name}: {said}; photos are {READABLE}")
    _check_size(header, name)
    divisor = 1 if least_px is None or header.format != "JPEG" else _divisor(header, least_px)
    with without_noise() as noise:
        if header.format == "HEIC":
            image = _decode_heic(name, data)
        elif divisor > 1:
            image = cv2.cvtColor(_decode(name, data, REDUCED[divisor]), cv2.COLOR_BGR2RGB)
        else:
            image = _decode_file(name, data, header)
    return LoadedPhoto(image, header.exif, noise.damage, divisor)


def _divisor(header: ImageHeader, least_px: int) -> int:
    """The largest of ``REDUCED`` that leaves the longer side ``least_px`` and divides both, so that no px is cut."""
    sides = header.width, header.height
    return max([1, *(by for by in REDUCED if max(sides) // by >= least_px and not any(side % by for side in sides))])


def _check_size(header: ImageHeader, name: str) -> None:
    """LiftwildError on a photo without a size, or one whose pixels take too much memory."""
    pixels = header.width * header.height
    if not pixels:
        raise LiftwildError(f"{name}: is a damaged {header.format}: it has no size")
    if pixels * header.px_bytes > MAX_PIXEL_BYTES:
        most = MAX_PIXEL_BYTES // header.px_bytes / 1e6
        raise LiftwildError(
            f"{name}: has too many pixels ({header.width} x {header.height}): such a {header.format} may have "
            f"{most:.0f} million; make it smaller"
        )


def _decode_file(name: str, data: bytes, header: ImageHeader) -> np.ndarray:
    """(H, W, 3) uint8 RGB, upright, contiguous, by OpenCV."""
    if header.alpha:
        image = _decode(name, data, cv2.IMREAD_UNCHANGED)
        if image.ndim == 3 and image.shape[2] == 4:
            rgb = _on_white(image, (2, 1, 0))
            turned = rgb if header.format == "TIFF" else turned_upright(rgb, orientation_of(header.exif))
            return np.ascontiguousarray(turned)  # OpenCV turns a TIFF
        del image
    if header.format == "JPEG" and JPEG_AS_RGB is not None:
        return _decode(name, data, JPEG_AS_RGB)
    image = _decode(name, data, cv2.IMREAD_COLOR)
    for band in _bands(image):
        band[:] = cv2.cvtColor(band, cv2.COLOR_BGR2RGB)
    return image


def _decode_heic(name: str, data: bytes) -> np.ndarray:
    """As ``_decode_file``, by pillow-heif, which turns the picture upright."""
    try:
        import pillow_heif
    except ImportError:
        raise LiftwildError(f"{name}: is HEIC, which needs {HEIC_EXTRA}; or convert it to JPEG") from None
    try:
        image = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
        pixels = np.asarray(image)
    except Exception as error:  # whatever it raises
        raise LiftwildError(f"{name}: is a damaged HEIC: {reason_of(error)}") from None
    return _rgb_of_array(pixels)


def _bands(image: np.ndarray) -> Iterator[np.ndarray]:
    """Views of so many rows of ``image`` at a time that they have about ``BAND_PX`` px."""
    rows = max(1, BAND_PX // image.shape[1])
    for top in range(0, len(image), rows):
        yield image[top : top + rows]


def _load_pil(photo: Any) -> LoadedPhoto:
    """A PIL image; Pillow itself is not needed."""
    transparent = "A" in photo.getbands() or "transparency" in photo.info
    pixels = np.asarray(photo.convert("RGBA" if transparent else "RGB"))
    exif = bytes(photo.info.get("exif", b"")).removeprefix(EXIF_MARK)
    orientation = int(photo.getexif().get(ORIENTATION, 1))
    image = turned_upright(_rgb_of_array(pixels), orientation if 1 <= orientation <= 8 else 1)
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


def find_photos(
    paths: Iterable[str | Path],
    failed: Callable[[str], object] | None = None,
    note: Callable[[str], object] | None = None,
) -> list[Path]:
    """The photos that ``paths`` name: files as given, a folder's image files by suffix, sorted, without subfolders.

    Hidden files in folders are left out, a file named twice comes once. A path that is not there, or leads nowhere, is
    kept: ``read_photo`` says what is wrong with it. ``note`` is told what else a folder holds. LiftwildError if a
    folder cannot be read or holds no photo; with ``failed`` that is told the line, and the other paths are done.
    """
    photos: dict[str, Path] = {}
    named = [Path(path) for path in paths]
    for path in named:
        found, others = [path], ""
        try:
            if os.path.isdir(path):
                found, others = _photos_of(path, named)
        except LiftwildError as error:
            if failed is None:
                raise
            failed(str(error))
            continue
        if others and note is not None:
            note(f"{path}: passed over {others}; a folder or a video in it is named by itself")
        for file in found:
            photos.setdefault(os.path.realpath(file), file)
    return list(photos.values())


def _photos_of(folder: Path, named: Sequence[Path]) -> tuple[list[Path], str]:
    """A folder's photos, and what else it holds, in words, but for what is ``named`` itself; LiftwildError if it cannot
    be read or holds no photo."""
    photos: list[Path] = []
    others: Counter[str] = Counter()
    with reading(folder):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path in named:
                continue
            if os.path.isdir(path):
                others["folder"] += 1
            elif path.suffix.lower() in SUFFIXES:
                photos.append(path)
            else:
                others[path.suffix.lower() or "file without a suffix"] += 1
    told = ", ".join(f"{count} {name}" for name, count in sorted(others.items()))
    if not photos:
        kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        instead = f"; it holds {told}: name what is in it by itself" if told else ""
        raise LiftwildError(f"{folder}: no photos in this folder ({kinds}){instead}")
    return photos, told


def _read_bytes(path: Path) -> bytes:
    """The file's content; LiftwildError if it is not a file that can be read, or empty."""
    with reading(path):
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise LiftwildError(f"{path}: is a folder, not a photo")
        if not stat.S_ISREG(found.st_mode):
            raise LiftwildError(f"{path}: is not a regular file")
        if found.st_size > MAX_FILE_BYTES:
            raise LiftwildError(f"{path}: is too large for a photo ({found.st_size / 2**20:,.0f} MiB)")
        data = path.read_bytes()
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
    except (cv2.error, MemoryError):
        raise LiftwildError(f"{name}: is damaged or too large") from None
    if image is None or image.size == 0:
        raise LiftwildError(f"{name}: is damaged, or a kind that cannot be read; photos are {READABLE}")
    return image


def _on_white(image: np.ndarray, colours: tuple[int, int, int] = (0, 1, 2)) -> np.ndarray:
    """(H, W, 4) of 8 or 16 bits on a white ground: RGB (H, W, 3) uint8; ``colours``: which channels are RGB."""
    white = np.empty((*image.shape[:2], 3), np.uint8)
    for band, out in zip(_bands(image), _bands(white), strict=True):
        if band.dtype == np.uint16:
            band = ((band.astype(np.uint32) + 128) // 257).astype(np.uint8)
        alpha = band[..., 3:].astype(np.uint16)
        out[:] = (band[..., colours].astype(np.uint16) * alpha + 255 * (255 - alpha) + 127) // 255
    return white
