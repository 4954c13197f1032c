"""Image files before they are decoded: whether they are whole, where their EXIF is, whether they may be transparent."""

from __future__ import annotations

import re
import zlib

from liftwild.media.exif import EXIF_MARK

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# A JPEG marker; inside the entropy-coded data FF is followed by 00 or by a restart marker D0..D7. To search with, the
# one of a single FF: many times as fast, and it ends at the same place.
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
NEXT_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")


def inspect_image(data: bytes) -> tuple[str, bytes, bool]:
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


def exif_of(data: bytes) -> bytes:
    """The EXIF block of a photo's file, or nothing."""
    if data.startswith(JPEG):
        return _jpeg_exif(data)
    if data.startswith(PNG):
        return _inspect_png(data)[1]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_exif(data)
    return data  # a TIFF is one itself; all else is none


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
