"""A server with small limits, as a process, and clients that keep to no rules.

python -m tests.support.hostile FOLDER JSON: serve, with small weights and the limits in JSON; prints the port.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from liftwild.app.server import serve_until_told
from liftwild.app.settings import Limits, Settings
from tests.support.commands import ENVIRONMENT
from tests.support.images import encode, picture, png_chunk
from tests.support.paths import ROOT

PATIENCE_S = 60.0  # machines that test are often busy
JPEG = encode(".jpg", picture(120, 160))
FORM = "Content-Type: multipart/form-data; boundary=bound"
POSES = "/v1/poses?whole=true"
FILE = (b'name="photo"; filename="a.jpg"', JPEG)
# Limits of the server that is attacked.
SILENCE_S, BODY_S, DECODE_S = 2.5, 4.0, 5.0
PHOTOS_AT_ONCE = 8
CONNECTIONS = 1000
LARGEST_FILE = 4000 * 4000 * 3


class Reply(NamedTuple):
    """An answer of HTTP; ``status`` 0 where the connection was closed without one. ``headers``: by small letters."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def detail(self) -> str:
        """The line of a problem."""
        assert self.headers["content-type"] == "application/problem+json", (self.headers, self.body[:200])
        return str(json.loads(self.body)["detail"])


@dataclass
class HostileServer:
    """``port`` of 127.0.0.1; ``process``: the server; ``said``: the file of all that it writes."""

    port: int
    process: subprocess.Popen[str]
    said: Path

    def children(self, module: str) -> list[int]:
        """The processes of it that run ``module``."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
                if parent == self.process.pid and module in (folder / "cmdline").read_text():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def open_files(self) -> int:
        """How many files it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextmanager
def hostile_server(folder: Path, system: dict[str, int] | None = None, **limits: float) -> Iterator[HostileServer]:
    """A server with ``limits``, until the block ends. ``system``: limits of the system for it and its processes, by
    the name that ``resource`` has for each."""
    folder.mkdir(parents=True, exist_ok=True)
    said = folder.with_name(f"{folder.name}.said")
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{ROOT}"}
    command = [sys.executable, "-m", "tests.support.hostile", str(folder), json.dumps([limits, system or {}])]
    with said.open("w") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, env=environment)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, said.read_text()
        yield HostileServer(int(line.rpartition(":")[2]), process, said)
        assert process.poll() is None, "the server ended by itself"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def head(method: str, path: str, port: int, *lines: str, host: bool = True) -> bytes:
    """The head of a request; ``lines``: more of its headers."""
    own = [f"Host: 127.0.0.1:{port}"] if host else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", *own, *lines, "", ""]).encode("utf-8", "surrogateescape")


def post(port: int, body: bytes, path: str = "/v1/poses?whole=true", *lines: str, length: int | None = None) -> bytes:
    """A request with a body; ``length``: what it says of it, where that is a lie."""
    return head("POST", path, port, *lines, f"Content-Length: {len(body) if length is None else length}") + body


def form(*parts: tuple[bytes, bytes], end: bool = True, boundary: bytes = b"bound") -> bytes:
    """A multipart body of parts, each its Content-Disposition and its content."""
    body = b"".join(
        b"--" + boundary + b"\r\nContent-Disposition: form-data; " + said + b"\r\n\r\n" + content + b"\r\n"
        for said, content in parts
    )
    return body + (b"--" + boundary + b"--\r\n" if end else b"")


async def read_reply(reader: asyncio.StreamReader, begun: float) -> Reply:
    """The next answer on a connection."""
    nothing = Reply(0, {}, b"", 0.0)
    try:
        raw = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).decode("latin-1")
        first, *lines = raw.split("\r\n")
        if first.startswith("HTTP/1.1 100"):
            return await read_reply(reader, begun)
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(first.split()[1]), headers, body, time.monotonic() - begun)
    except (asyncio.IncompleteReadError, ConnectionError):
        return nothing._replace(seconds=time.monotonic() - begun)


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(port: int, *pieces: bytes, pause_s: float = 0.0, closes: bool = False) -> Reply:
    """The answer to bytes that are sent as they are, piece by piece; ``closes``: no more comes after them."""
    begun = time.monotonic()
    try:
        async with connection(port) as (reader, writer):
            reading = asyncio.create_task(read_reply(reader, begun))
            for piece in pieces:
                if reading.done():
                    break
                writer.write(piece)
                await asyncio.wait({reading}, timeout=pause_s) if pause_s else await writer.drain()
            if closes:
                writer.write_eof()
            return await reading
    except ConnectionError:
        return Reply(0, {}, b"", time.monotonic() - begun)


def asked_all(port: int, requests: Sequence[bytes]) -> list[Reply]:
    """The answers to requests that are sent all at once, each on a connection of its own."""

    async def both() -> list[Reply]:
        return list(await asyncio.gather(*(ask(port, request) for request in requests)))

    return asyncio.run(both())


def png_header(width: int, height: int, content: bytes = b"") -> bytes:
    """A PNG of 8-bit RGB that says it is so large; ``content``: its pixels, packed."""
    said = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + said + png_chunk(b"IDAT", content) + png_chunk(b"IEND", b"")


def jpeg_header(width: int, height: int) -> bytes:
    """The beginning of a JPEG that says it is so large."""
    size = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    return b"\xff\xd8\xff\xc0" + size + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00" + b"\x55" * 64


def webp_header(width: int, height: int) -> bytes:
    """A WebP (extended, which alone may be so large) that says it is so large."""
    size = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    chunk = b"VP8X" + struct.pack("<I", 10) + bytes(4) + size
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def endless_gif(frames: int) -> bytes:
    """A GIF of 64 x 64 px that plays for ever, with so many pictures."""
    begin = b"GIF89a" + struct.pack("<HHBBB", 64, 64, 0x80, 0, 0) + bytes(6)
    repeat = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    picture = b"\x21\xf9\x04\x00\x01\x00\x00\x00\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return begin + repeat + picture * frames  # no end


def main(arguments: Sequence[str]) -> None:
    """Serve."""
    import resource

    limits, system = json.loads(arguments[1])
    for name, most in system.items():
        resource.setrlimit(getattr(resource, name), (most, most))
    settings: Any = Settings(
        Path(arguments[0]), port=0, weights="small", runtime="torch", limits=Limits(**limits)
    )  # fmt: skip
    serve_until_told(settings, lambda address: print(address, flush=True))


@contextmanager
def attacked_server(folder: Path) -> Iterator[HostileServer]:
    """A server with the limits above, which says not a word, whatever comes."""
    limits = {"silence_s": SILENCE_S, "photo_body_s": BODY_S, "decode_s": DECODE_S, "photos_each_s": 1e4}
    limits |= {"photos_at_once": PHOTOS_AT_ONCE, "connections": CONNECTIONS}
    with hostile_server(folder, {"RLIMIT_FSIZE": LARGEST_FILE}, **limits) as started:
        yield started
    assert started.said.read_text() == ""


def serves_others(server: HostileServer) -> None:
    """Hold that it answers somebody else's photo."""
    assert answer(server, post(server.port, JPEG)).status == 200
    assert server.process.poll() is None


def packed_rows(width: int, height: int) -> bytes:
    """Black pixels of a PNG, packed a thousand times."""
    packer = zlib.compressobj(9)
    return packer.compress(bytes((1 + 3 * width) * height)) + packer.flush()


def answer(server: HostileServer, *pieces: bytes, pause_s: float = 0.0, closes: bool = False) -> Reply:
    """The answer to bytes that are sent as they are."""
    return asyncio.run(ask(server.port, *pieces, pause_s=pause_s, closes=closes))


if __name__ == "__main__":
    main(sys.argv[1:])
