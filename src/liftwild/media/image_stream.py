"""A stream of bytes cut into the JPEG and PNG images that it holds one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from liftwild.errors import LiftwildError
from liftwild.files import reading
from liftwild.media.image_file import png_chunks
from liftwild.media.image_header import JPEG, JPEG_MARKER, PNG

CHUNK_BYTES = 1 << 20
MAX_IMAGE_BYTES = 1 << 29
_CUT, _DAMAGED = "is cut short", "is damaged"


class ByteSource(Protocol):
    """What can be read from: ``sys.stdin.buffer``, a pipe, ``io.BytesIO``."""

    def read1(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes, as soon as there are some; none at the end."""


def split_images(source: ByteSource, name: str) -> Iterator[tuple[bytes, str]]:
    """The images of a stream, each as (its bytes, what is wrong with it or ""), as soon as its last byte is there.

    What is neither JPEG nor PNG is passed over up to the next image and counts as one broken image. LiftwildError, with
    ``name``, if the stream does not begin with an image, cannot be read, or holds one of more than 512 MiB.
    """
    buffer, begun, torn = bytearray(), False, False
    at, more = 0, True  # scanned up to here; whether the stream goes on
    while more or buffer:
        kind = _kind(buffer)
        if kind is not None:
            end, at, fault = (_jpeg_end if kind == JPEG else _png_end)(buffer, at or len(kind))
            if not end and not more:
                end, fault = len(buffer), _CUT
            if end:
                yield bytes(buffer[:end]), fault
                begun, torn = True, bool(fault)
                del buffer[:end]
                at = 0
                continue
        elif len(buffer) >= len(PNG) or not more:
            if not begun:
                raise LiftwildError(f"{name}: is no stream of JPEG or PNG images; it begins with {bytes(buffer[:8])!r}")
            found = [place for place in (buffer.find(JPEG, 1), buffer.find(PNG, 1)) if place > 0]
            if found or not more:
                cut = min(found, default=len(buffer))
                if not torn and buffer[:cut].strip(b"\r\n\0 "):  # the rest of a damaged image is no second one
                    yield bytes(buffer[:cut]), "is no image"
                del buffer[:cut]
                torn = False
                continue
            # Nothing in it, but for the beginning of a mark perhaps; one byte more, so that it stays no image.
            del buffer[1 : max(1, len(buffer) - len(PNG))]
        if len(buffer) > MAX_IMAGE_BYTES:
            raise LiftwildError(f"{name}: an image of more than {MAX_IMAGE_BYTES >> 20} MiB; is it images at all?")
        with reading(name):
            chunk = source.read1(CHUNK_BYTES)
        buffer += chunk
        more = bool(chunk)


def _kind(buffer: bytearray) -> bytes | None:
    return next((mark for mark in (JPEG, PNG) if buffer.startswith(mark)), None)


def _jpeg_end(data: bytearray, at: int) -> tuple[int, int, str]:
    """(end of the image or 0, where to go on looking, what is wrong), for a JPEG that begins at 0."""
    at = min(at, 2) if at <= len(JPEG) else at
    while found := JPEG_MARKER.search(data, at):
        code = found[1][0]
        if code == 0xD9:
            return found.end(), 0, ""
        if code == 0xD8:  # another image begins before this one ended
            return found.start(), 0, _CUT
        if code == 0x01:
            at = found.end()
            continue
        after = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
        may_hold_images = 0xE0 <= code <= 0xEF or code == 0xFE  # thumbnails, comments
        other = -1 if may_hold_images else data.find(JPEG, found.end(), after)
        if other > 0:
            return other, 0, _CUT
        if found.end() + 2 > len(data) or after > len(data):
            return 0, found.start(), ""
        at = after
    return 0, max(at, len(data) - 1), ""


def _png_end(data: bytearray, at: int) -> tuple[int, int, str]:
    """Like ``_jpeg_end``, from the chunks of a PNG."""
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = bytes(data[at + 4 : at + 8])
        if not kind.isalpha():
            return _next_mark(data, at), 0, _DAMAGED
        if end > len(data):
            return 0, at, ""
        if kind == b"IEND":
            return end, 0, "" if all(is_whole for *_, is_whole in png_chunks(data)) else _DAMAGED
        at = end
    return 0, at, ""


def _next_mark(data: bytearray, at: int) -> int:
    """Where the next image begins, as far as can be seen."""
    found = [place for place in (data.find(PNG, at), data.find(JPEG, at)) if place > 0]
    return min(found, default=len(data))
