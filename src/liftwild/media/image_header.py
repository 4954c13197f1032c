"""What image files say at their beginning: format, size in px, and how much memory their pixels take.

The numbers of bytes for each pixel are the most that was measured with OpenCV 5.0, a turn by EXIF and our copies
included (``tests/media/test_photo_limits.py``).
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from liftwild.media.exif import EXIF_MARK, tags_of

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# A JPEG marker; inside the entropy-coded data FF is followed by 00 or by a restart marker D0..D7. To search with, the
# one of a single FF: many times as fast, and it ends at the same place.
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
NEXT_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
PNG_PX_BYTES = {(False, False): 7, (False, True): 7, (True, False): 11, (True, True): 17}  # alpha, 16 bits
READABLE = "JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF, JPEG 2000, PNM and HEIC"


class ImageHeader(NamedTuple):
    """``format``: "" if none of ``READABLE``; ``width`` and ``height`` px, 0 where the file does not say;
    ``alpha``: whether it may be transparent; ``exif``: its block or empty; ``px_bytes``: memory for each pixel."""

    format: str
    width: int = 0
    height: int = 0
    alpha: bool = False
    px_bytes: int = 0
    exif: bytes = b""


def read_header(data: bytes) -> ImageHeader:
    """The header of an image file's bytes; sizes are those before a turn by EXIF. Nothing is decoded."""
    try:
        if data.startswith(JPEG):
            return _jpeg(data)
        if data.startswith(PNG):
            width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
            return ImageHeader("PNG", width, height, bool(colour & 4), PNG_PX_BYTES[bool(colour & 4), depth == 16])
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:2] == b"BM":
            small = int.from_bytes(data[14:18], "little") == 12
            width, height = struct.unpack_from("<HH" if small else "<ii", data, 18)
            return ImageHeader("BMP", abs(width), abs(height), False, 7)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
        if data[:6] in (b"GIF87a", b"GIF89a"):
            width, height = struct.unpack_from("<HH", data, 6)
            return ImageHeader("GIF", width, height, True, 16)
        if data[4:8] == b"ftyp":
            return _isobmff(data)
        if data.startswith(JP2):
            height, width, channels = struct.unpack_from(">IIH", data, data.index(b"ihdr") + 4)
            return ImageHeader("JPEG 2000", width, height, True, 8 * max(1, channels) + 12)
        if found := re.match(rb"P[1-7]\s", data):
            return _pnm(data, found[0][1:2] == b"7")
    except (struct.error, ValueError, IndexError):
        pass  # cut short inside its header: decoding it says what is wrong
    return ImageHeader("")


def _jpeg(data: bytes) -> ImageHeader:
    """From the segments before the picture."""
    at, exif, width, height, px_bytes = 2, b"", 0, 0, 6
    while found := NEXT_MARKER.search(data, at):
        at, code = found.end(), found[1][0]
        if code in (0x01, 0xD8):  # stand alone
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if code in (0xDA, 0xD9) or length < 2:  # the picture begins; a segment cannot be shorter than its length
            break
        if code == 0xE1 and not exif and data[at + 2 : at + 8] == EXIF_MARK:
            exif = data[at + 2 : at + length]
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            height, width, channels = struct.unpack_from(">HHB", data, at + 3)
            px_bytes = 6 if code in (0xC0, 0xC1) else 7 + channels  # progressive: all coefficients are kept
        at += length
    return ImageHeader("JPEG", width, height, False, px_bytes, exif)


def _webp(data: bytes) -> ImageHeader:
    kind, at = data[12:16], 20
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at + i : at + i + 3], "little") + 1 for i in (4, 7))
        return ImageHeader("WebP", width, height, bool(data[at] & 0x12), 11, _webp_exif(data))
    if kind == b"VP8L":
        bits = int.from_bytes(data[at + 1 : at + 5], "little")
        return ImageHeader("WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1), 11)
    width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, at + 6))
    return ImageHeader("WebP", width, height, False, 11)


def _webp_exif(data: bytes) -> bytes:
    """The EXIF chunk of a WebP, or nothing."""
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"EXIF":
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return b""


def _tiff(data: bytes) -> ImageHeader:
    """A TIFF is an EXIF block itself."""
    tags = tags_of(data)
    width, height = (int(tags.get(tag, 0)) for tag in (0x100, 0x101))
    samples, bits = int(tags.get(0x115, 1)), int(tags.get(0x102, 1))
    return ImageHeader("TIFF", width, height, True, 3 * max(3, samples) * -(-bits // 8) + 3, data)


def _isobmff(data: bytes) -> ImageHeader:
    """HEIC and AVIF: the largest of the sizes that their items have."""
    brands = {data[at : at + 4] for at in range(8, min(int.from_bytes(data[:4], "big"), 256), 4)}
    name = "AVIF" if brands & AVIF_BRANDS else "HEIC" if brands & HEIC_BRANDS else ""
    sizes = [struct.unpack_from(">II", data, found.end() + 4) for found in re.finditer(b"ispe", data[: 1 << 20])]
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    return ImageHeader(name, width, height, True, 20) if name else ImageHeader("")


def _pnm(data: bytes, is_pam: bool) -> ImageHeader:
    if is_pam:
        width, height = (int(re.search(word + rb"\s+(\d{1,9})", data[:1024])[1]) for word in (b"WIDTH", b"HEIGHT"))  # type: ignore[index]
    else:
        words = re.sub(rb"#[^\n]*", b"", data[2:1024]).split()
        width, height = int(words[0][:9]), int(words[1][:9])
    return ImageHeader("PNM", width, height, False, 14)
