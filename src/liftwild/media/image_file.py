"""Whether image files are whole, before they are decoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from liftwild.media.image_header import JPEG, NEXT_MARKER, PNG, PNG_PX_BYTES, ImageHeader, read_header


def inspect_image(data: bytes) -> tuple[str, ImageHeader]:
    """What is wrong with the file (or ""), and its header with its EXIF block.

    OpenCV 4 gives the top of a JPEG that was cut short without a word, so the end is looked for here.
    """
    header = read_header(data)
    if data.startswith(JPEG):
        return "" if _jpeg_ends(data) else "is cut short (a JPEG without its end)", header
    if data.startswith(PNG):
        return _inspect_png(data, header)
    if header.format == "WebP" and len(data) < 8 + int.from_bytes(data[4:8], "little"):
        return "is cut short (a WebP without its end)", header
    return "", header


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


def _inspect_png(data: bytes, header: ImageHeader) -> tuple[str, ImageHeader]:
    """As ``inspect_image``, from the chunks of a PNG."""
    for kind, content, is_whole in png_chunks(data):
        if not is_whole:
            return "is damaged (a checksum in the PNG is wrong)", header
        if kind == b"IEND":
            return "", header
        if kind == b"eXIf":
            header = header._replace(exif=bytes(content))
        if kind == b"tRNS":
            header = header._replace(alpha=True, px_bytes=PNG_PX_BYTES[True, data[24] == 16])
    return "is cut short (a PNG without its end)", header


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
