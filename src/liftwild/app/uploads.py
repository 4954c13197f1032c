"""Bodies of requests: read with limits of size and time, as they are or as multipart/form-data."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from liftwild.app.problem import ProblemError
from liftwild.app.settings import Limits
from liftwild.app.upload_name import shown_name

# It would write a line for each damaged form.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class Upload:
    """Where a body goes: ``write`` for each piece of its one file, whose ``name`` is only ever shown."""

    def __init__(self, write: Callable[[bytes], Any], name: str = "") -> None:
        self.write, self.name, self.size = write, shown_name(name), 0

    async def drain(self) -> None:
        """Take the time that what was written needs."""


class FileUpload(Upload):
    """An upload that goes into the file ``path``, and waits for the disk in a thread; ``make_room`` is called before
    so many bytes more are written."""

    STEP = 1 << 20

    def __init__(self, path: Path, make_room: Callable[[int], Awaitable[None]], name: str = "") -> None:
        self._pieces: list[bytes] = []
        super().__init__(self._pieces.append, name)
        self._file = path.open("xb", buffering=0)
        self._make_room, self._written = make_room, 0

    async def drain(self, all_of_it: bool = False) -> None:
        """Write what came, once it is worth it."""
        more = self.size - self._written
        if not more or not (all_of_it or more >= self.STEP):
            return
        content = b"".join(self._pieces)
        self._pieces.clear()
        await self._make_room(more)
        self._written += more
        await asyncio.to_thread(self._put, content)

    def _put(self, content: bytes) -> None:
        view = memoryview(content)
        while view:  # a raw file may take a part only
            written = self._file.write(view)
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            view = view[written:]

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


async def read_photo_body(
    request: Request, limits: Limits, hold: Callable[[int], object] | None = None
) -> tuple[bytes, str]:
    """The photo in a body, and its name; ``hold`` is told of the bytes that come in, before they are kept."""
    pieces: list[bytes] = []

    def keep(piece: bytes) -> None:
        if hold is not None:
            hold(len(piece))
        pieces.append(piece)

    upload = Upload(keep, request.query_params.get("name", ""))
    await receive_file(request, upload, limits.photo_bytes, limits, limits.photo_body_s)
    return b"".join(pieces), upload.name


async def save_body(request: Request, path: Path, limits: Limits, make_room: Callable[[int], Awaitable[None]]) -> str:
    """Write the file in a body to ``path``, which is not there yet; its name. OSError if it cannot be written.

    ``make_room``: as for ``FileUpload``.
    """
    upload = FileUpload(path, make_room, request.query_params.get("name", ""))
    with closing(upload):
        await receive_file(request, upload, limits.video_bytes, limits)
        await upload.drain(all_of_it=True)
    return upload.name


async def receive_file(
    request: Request, upload: Upload, most: int, limits: Limits, limit_s: float | None = None
) -> None:
    """Pass the one file of a body on to ``upload``. ProblemError 400 on a body that is no such, 408 on a client that is
    too slow or takes longer than ``limit_s``, 413 on more than ``most`` bytes."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most + limits.fields_bytes:
        raise _too_large(most)
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    boundary = parameters.get(b"boundary", b"")
    feed: Callable[[bytes], Any]
    if kind == b"multipart/form-data":
        form = _Form(upload, most, limits.fields_bytes)
        feed = _parser(boundary, form).write
    else:
        form = None

        def feed(piece: bytes) -> None:
            _write(upload, piece, most)

    try:
        async for piece in _pieces(request, limits, most, limit_s):
            feed(piece)
            await upload.drain()
        if form is not None and not form.is_over:
            raise ProblemError(400, "the body is cut short")
    except FormParserError:
        raise ProblemError(400, "the body is damaged: it is no multipart/form-data") from None
    except ClientDisconnect:
        raise ProblemError(400, "the body is cut short") from None
    if not upload.size:
        raise ProblemError(400, "no file came: send one as the body, or as the only file of a form")
    if form is not None and form.field is not None:
        raise ProblemError(422, f"{form.field[:80]!r} is in the form; options go into the address, as ?people=2")


def _parser(boundary: bytes, form: _Form) -> MultipartParser:
    with suppress(FormParserError):
        if boundary:
            return MultipartParser(boundary, form.callbacks())
    raise ProblemError(400, "the body is multipart without a boundary, or with one that is too long")


async def _pieces(request: Request, limits: Limits, most: int, limit_s: float | None) -> AsyncIterator[bytes]:
    stream = request.stream().__aiter__()
    until = None if limit_s is None else time.monotonic() + limit_s
    since, count, total = time.monotonic(), 0, 0
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), limits.silence_s)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise ProblemError(408, f"nothing came for {limits.silence_s:g} s") from None
        count, total, now = count + len(piece), total + len(piece), time.monotonic()
        if now - since > limits.silence_s:
            if count < limits.slowest_bytes_s * (now - since):
                raise ProblemError(
                    408, f"the body comes too slowly: {limits.slowest_bytes_s:g} bytes a second are the least"
                )
            since, count = now, 0
        if until is not None and now > until:
            raise ProblemError(408, f"the body did not come within {limit_s:g} s")
        if total > most + limits.fields_bytes:  # what follows a form counts, too
            raise _too_large(most)
        yield piece


def _write(upload: Upload, piece: bytes, most: int) -> None:
    upload.size += len(piece)
    if upload.size > most:
        raise _too_large(most)
    upload.write(piece)


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, f"the file is too large: up to {most / 2**20:,.0f} MiB are taken")


class _Form:
    """The parts of a multipart body: one file; ``field``: the name of a part that is none."""

    def __init__(self, upload: Upload, most: int, most_other: int) -> None:
        self.upload, self.most, self.most_other = upload, most, most_other
        self.files, self.other, self.is_over = 0, 0, False
        self.field: str | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._key, self._value, self._is_file = b"", b"", False

    def callbacks(self) -> Any:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin, "on_header_field": self._field, "on_header_value": self._in_value,
            "on_header_end": self._header, "on_headers_finished": self._headers_over, "on_part_data": self._data,
            "on_end": self._end,
        }  # fmt: skip

    def _begin(self) -> None:
        self._headers, self._is_file = [], False

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._key += data[start:end]

    def _in_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _header(self) -> None:
        self._headers.append((self._key.lower(), self._value))
        self._key, self._value = b"", b""

    def _headers_over(self) -> None:
        disposition = dict(self._headers).get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        self._is_file = b"filename" in options
        if self._is_file:
            self.files += 1
            if self.files > 1:
                raise ProblemError(400, "several files came; send one at a time")
            name = options[b"filename"].decode("utf-8", "replace")
            self.upload.name = self.upload.name or shown_name(name)
        else:
            self.field = options.get(b"name", b"").decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            _write(self.upload, data[start:end], self.most)
        else:
            self._count(end - start)

    def _count(self, size: int) -> None:
        self.other += size
        if self.other > self.most_other:
            raise ProblemError(413, "the fields of the form are too large; options go into the address")

    def _end(self) -> None:
        self.is_over = True
