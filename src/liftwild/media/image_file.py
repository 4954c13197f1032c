"""Image files before they are decoded: whether they are whole, where their EXIF is, whether they may be transparent."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from liftwild.media.exif import EXIF_MARK

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# A JPEG marker; inside the entropy-coded data FF is followed by 00 or by a restart marker D0..D7. To search with, the
# one of a single FF: many times as fast, and it ends at the same place.
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
NEXT_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")


def inspect_image(data: bytes) -> tuple[str, bytes, bool]:
    """What is wrong with the file (or ""), its EXIF block (or nothing), and whether it may be transparent.

    OpenCV 4 gives the top of a JPEG that was cut short without a word, so the end is looked for here.
    """
    if data.startswith(JPEG):
        return "" if _jpeg_ends(data) else "is cut short (a JPEG without its end)", _jpeg_exif(data), False
    if data.startswith(PNG):
        return _inspect_png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        is_cut = len(data) < 8 + int.from_bytes(data[4:8], "little")
        return "is cut short (a WebP without its end)" if is_cut else "", _webp_exif(data), True
    return "", data, data[:2] != b"BM"  # a TIFF is an EXIF block itself; all else is none


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
    """As ``inspect_image``, from the chunks of a PNG."""
    exif, alpha = b"", len(data) > 25 and bool(data[25] & 4)
    for kind, content, is_whole in png_chunks(data):
        if not is_whole:
            return "is damaged (a checksum in the PNG is wrong)", b"", False
        if kind == b"IEND":
            return "", exif, alpha
        if kind == b"eXIf":
            exif = bytes(content)
        alpha = alpha or kind == b"tRNS"
    return "is cut short (a PNG without its end)", b"", False


def png_chunks(data: bytes | bytearray) -> Iterator[tuple[bytes, memoryview, bool]]:
    """(kind, content, whether it is whole) of each chunk up to the end of a PNG, or of what there is of it.

    The checksums of chunks that a picture needs are compared here because libpng complains on stderr.
    """
    view, at, kind = memoryview(data), len(PNG), b""
    while kind != b"IEND" and at + 12 <= len(data):
        end = at + 8 + int.from_bytes(view[at : at + 4], "big")
        if end + 4 > len(data):
            return
        kind = bytes(view[at + 4 : at + 8])
        may_be_wrong = bool(kind[0] & 0x20)
        checksum = int.from_bytes(view[end : end + 4], "big")
        yield kind, view[at + 8 : end], may_be_wrong or zlib.crc32(view[at + 4 : end]) == checksum
        at = end + 4


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
