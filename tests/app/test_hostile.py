"""Clients that mean harm, or are broken: each gets the right answer in time, the server lives, others are served."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress

import av
import pytest

from liftwild.processes import allow_open_files
from tests.support.hostile import (
    PATIENCE_S,
    HostileServer,
    Reply,
    ask,
    asked_all,
    connection,
    endless_gif,
    form,
    head,
    hostile_server,
    jpeg_header,
    png_header,
    post,
    read_reply,
    webp_header,
)
from tests.support.images import encode, picture
from tests.support.server import CLIP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and limits processes")

JPEG = encode(".jpg", picture(120, 160))
FORM = "Content-Type: multipart/form-data; boundary=bound"
POSES = "/v1/poses?whole=true"
FILE = (b'name="photo"; filename="a.jpg"', JPEG)
SILENCE_S, BODY_S, DECODE_S = 2.5, 4.0, 5.0
PHOTOS_AT_ONCE = 8
CONNECTIONS = 1000
LARGEST_FILE = 4000 * 4000 * 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileServer]:
    folder = tmp_path_factory.mktemp("hostile") / "data"
    limits = {"silence_s": SILENCE_S, "photo_body_s": BODY_S, "decode_s": DECODE_S, "photos_each_s": 1e4}
    limits |= {"photos_at_once": PHOTOS_AT_ONCE, "connections": CONNECTIONS}
    with hostile_server(folder, {"RLIMIT_FSIZE": LARGEST_FILE}, **limits) as started:
        yield started
    assert started.said.read_text() == ""  # not a word, whatever came


@pytest.fixture(autouse=True)
def check_that_others_are_served(server: HostileServer) -> Iterator[None]:
    """After each test."""
    yield
    assert answer(server, post(server.port, JPEG)).status == 200
    assert server.process.poll() is None


def answer(server: HostileServer, *pieces: bytes, pause_s: float = 0.0, closes: bool = False) -> Reply:
    """The answer to bytes that are sent as they are."""
    return asyncio.run(ask(server.port, *pieces, pause_s=pause_s, closes=closes))


def packed_rows(width: int, height: int) -> bytes:
    """Black pixels of a PNG, packed a thousand times."""
    packer = zlib.compressobj(9)
    return packer.compress(bytes((1 + 3 * width) * height)) + packer.flush()


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        pytest.param(png_header(50_000, 50_000), "50000 x 50000 px", id="png"),
        pytest.param(jpeg_header(50_000, 50_000), "50000 x 50000 px", id="jpeg"),
        pytest.param(webp_header(50_000, 50_000), "50000 x 50000 px", id="webp"),
        pytest.param(png_header(2**31 - 1, 2**31 - 1), "2147483647 x 2147483647 px", id="png-largest"),
        pytest.param(png_header(7000, 7000, packed_rows(10, 10)), "is damaged", id="png-lies"),
        pytest.param(png_header(10, 10, packed_rows(5000, 5000)), "photo", id="png-more-than-said"),
        pytest.param(endless_gif(100_000), "photo", id="gif-endless"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "web page or SVG", id="svg"),
        pytest.param(b"<!doctype html><script>alert(1)</script>", "web page or SVG", id="html"),
        pytest.param(b"GIF89a<script>alert(1)</script>" + b" " * 99, "photo", id="html-as-gif"),
        pytest.param(b"PK\3\4" + JPEG, "archive", id="zip-first"),
        pytest.param(JPEG[:300], "photo", id="cut"),
        pytest.param(b"\0" * 100_000, "photo", id="zeros"),
    ],
)  # fmt: skip
def test_photos_that_are_none(server: HostileServer, photo: bytes, said: str) -> None:
    found = answer(server, post(server.port, photo))
    if found.status == 200:  # a picture after all, whatever follows it
        assert photo == png_header(10, 10, packed_rows(5000, 5000))
    else:
        assert found.status == 422, found
        assert said in found.detail
    assert found.seconds < 20


def test_a_real_bomb_is_decoded_where_it_harms_nobody(server: HostileServer) -> None:
    bomb = png_header(4000, 4000, packed_rows(4000, 4000))  # 48 MB of 0.05
    assert len(bomb) < 200_000
    found = asked_all(server.port, [post(server.port, bomb), *[post(server.port, JPEG)] * 3])
    assert [each.status for each in found] == [200] * 4


@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\5\6" + bytes(18)], ids=["html", "zip"])
def test_polyglots_are_photos_and_come_back_as_data(server: HostileServer, tail: bytes) -> None:
    found = answer(server, post(server.port, JPEG + tail, f"{POSES}&name=x.html"))
    assert found.status == 200
    assert found.headers["content-type"] == "application/json"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (form(FILE, end=False), 400, "cut short"),
        (form(FILE, FILE), 400, "several files"),
        (form((b'name="x"', b"y" * 100_000), FILE), 413, "fields of the form"),
        (form((b"x" * 40_000, b""), FILE), 400, "no multipart"),
        (form(*[(b'name="x"', b"")] * 2000), 413, "fields of the form"),
        (form((b'name="photo"', JPEG)), 400, "no file came"),
        (form((FILE[0], form(FILE, boundary=b"inner"))), 422, "photo"),
        (form((FILE[0], b"")), 400, "no file came"),
        (b"--bound--\r\n", 400, "no file came"),
        (b"no form at all", 400, "no multipart"),
        (b"--bound\r\nContent-Disposition\r\n\r\n", 400, "no multipart"),
        (b"--bound\r\n" + b"A: b\r\n" * 2000 + b"\r\n", 400, "no multipart"),
        (b"", 400, "cut short"),
    ],
)
def test_broken_forms(server: HostileServer, body: bytes, status: int, said: str) -> None:
    found = answer(server, post(server.port, body, POSES, FORM))
    assert (found.status, said in found.detail) == (status, True), found


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'b' * 5000}", '; boundary="' + ';\\"' * 4000])
def test_forms_without_a_boundary(server: HostileServer, boundary: str) -> None:
    found = answer(server, post(server.port, form(FILE), POSES, f"Content-Type: multipart/form-data{boundary}"))
    assert (found.status, "boundary" in found.detail) == (400, True), found
    assert found.seconds < 2


def test_what_follows_a_form_counts(server: HostileServer) -> None:
    chunk = b"100000\r\n" + b"z" * 0x100000 + b"\r\n"
    first = form(FILE)
    begin = head("POST", POSES, server.port, FORM, "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(first), first)
    found = answer(server, begin, *[chunk] * 60)
    assert (found.status, "too large" in found.detail) == (413, True), found


def test_bodies_that_lie_about_their_length(server: HostileServer) -> None:
    found = answer(server, post(server.port, JPEG, length=len(JPEG) + 1000), closes=True)
    assert (found.status, "cut short" in found.detail) == (400, True), found
    found = answer(server, post(server.port, JPEG, length=10**15))
    assert (found.status, "too large" in found.detail) == (413, True), found
    found = answer(server, post(server.port, JPEG, length=100))  # the rest is no request
    assert found.status == 422, found


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 421),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1.evil.example:80\r\n\r\n", 421),
        (b"GET /healthz HTTP/1.1\r\nHost: evil.example@127.0.0.1\r\n\r\n", 421),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:80:80\r\n\r\n", 421),
        (b"GET /healthz HTTP/1.1\r\nHost: \r\n\r\n", 421),
        (b"GET /healthz HTTP/1.1\r\nHost: [::1]:9\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: LOCALHOST\r\n\r\n", 200),
        (b"GET http://evil.example/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n", 400),
        (b"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
        (b"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nContent-Length: 0\r\n\r\n", 403),
        (b"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[\r\nContent-Length: 0\r\n\r\n", 403),
        (b"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:9\r\nContent-Length: 0\r\n\r\n", 403),
        (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n", 403),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1234567890\r\n" * 4000 + b"\r\n", 431),
        (b"GET /" + b"x" * 50_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET /v1/../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ],
)  # fmt: skip
def test_heads_of_requests(server: HostileServer, request_: bytes, status: int) -> None:
    found = answer(server, request_)
    assert found.status in (status, 405 if status == 404 else status), found
    if status >= 400:
        assert found.detail
    else:
        assert found.headers["x-content-type-options"] == "nosniff"


def test_damage_after_an_early_answer(server: HostileServer) -> None:
    early = head("POST", "/nowhere", server.port, "Transfer-Encoding: chunked") + b"5\r\nabcde\r\n"
    assert answer(server, early, b"zz\r\n", pause_s=0.3).status == 404


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..\\..\\x", "a\0b", "CON", "nul.txt", "x" * 4000, "\u202egpj.exe", '"; filename="y',
     "a\r\nSet-Cookie: a=b", "\udcff\udc80", ""],
)  # fmt: skip
def test_names_of_files(server: HostileServer, name: str) -> None:
    named = b'name="photo"; filename="%s"' % name.encode("utf-8", "surrogateescape")
    found = answer(server, post(server.port, form((named, JPEG)), f"{POSES}&format=csv", FORM))
    if "\r\n" in name:  # it is a header of the part, then
        assert found.status in (200, 400)
    else:
        assert found.status == 200, found
    assert "set-cookie" not in found.headers
    if found.status == 200:
        file = found.headers["content-disposition"].removeprefix("attachment; filename*=UTF-8''")
        assert file.endswith(".csv") and len(file) < 200
        assert not set(file) & set("/\\\"'; \r\n\0") and file.split(".")[0].upper() not in ("CON", "NUL", "")


async def second_head(port: int) -> float:
    """How long a connection lasts on which the head of a second request never ends."""
    async with connection(port) as (reader, writer):
        writer.write(head("GET", "/healthz", port))
        assert (await read_reply(reader, 0.0)).status == 200
        begun = time.monotonic()
        writer.write(b"GET /heal")
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        return time.monotonic() - begun


async def never_ending(port: int) -> float:
    """How long a connection lasts on which a body goes on after the answer."""
    async with connection(port) as (reader, writer):
        writer.write(post(port, b"", "/nowhere", length=10**9))
        assert (await read_reply(reader, 0.0)).status == 404
        begun = time.monotonic()
        while not writer.transport.is_closing():
            writer.write(b"x" * 1000)
            await asyncio.sleep(0.1)
        return time.monotonic() - begun


def test_slow_clients_keep_nobody_waiting(server: HostileServer) -> None:
    """More of them than photos may be at once: in the middle of a head, of a body, before one; fast, then silent."""
    port = server.port

    async def both() -> tuple[list[Reply], list[Reply], tuple[float, float], Reply]:
        slow = [
            *[ask(port, b"GET /heal", *[b"t"] * 99, pause_s=0.5) for _ in range(5)],
            *[ask(port) for _ in range(5)],
            *[ask(port, post(port, b"", length=10_000), *[b"x"] * 99, pause_s=0.5) for _ in range(PHOTOS_AT_ONCE)],
            *[ask(port, post(port, JPEG, length=10_000_000)) for _ in range(PHOTOS_AT_ONCE)],
        ]
        begun = [asyncio.create_task(each) for each in slow]
        just_fast = asyncio.create_task(ask(port, post(port, b"", length=10**7), *[b"x" * 2500] * 99, pause_s=0.3))
        connections = asyncio.gather(second_head(port), never_ending(port))
        await asyncio.sleep(0.5)
        others = [await ask(port, post(port, JPEG)) for _ in range(5)]
        return list(await asyncio.gather(*begun)), others, await connections, await just_fast

    slow, others, lasted, just_fast = asyncio.run(both())
    assert [each.status for each in others] == [200] * 5
    assert Counter(each.status for each in slow) == {0: 10, 408: 2 * PHOTOS_AT_ONCE}
    assert max(each.seconds for each in slow) < 2 * SILENCE_S + 5
    assert max(lasted) < SILENCE_S + 5
    assert (just_fast.status, "did not come within" in just_fast.detail) == (408, True), just_fast


def test_who_does_not_read_his_answers_is_closed(server: HostileServer) -> None:
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.settimeout(30)
        before = server.open_files()
        with pytest.raises(OSError):  # it is reset, sooner or later
            for _ in range(100_000):
                client.sendall(head("GET", "/v1/openapi.json", server.port))
    assert server.open_files() <= before


def test_who_goes_frees_its_room(server: HostileServer) -> None:
    async def go() -> list[Reply]:
        for _ in range(5):
            for _ in range(PHOTOS_AT_ONCE):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(post(server.port, JPEG))
                await writer.drain()
                await asyncio.sleep(0.005)
                writer.transport.abort()
        await asyncio.sleep(0.2)
        return list(await asyncio.gather(*(ask(server.port, post(server.port, JPEG)) for _ in range(PHOTOS_AT_ONCE))))

    before = server.children("liftwild.app")
    assert [each.status for each in asyncio.run(go())] == [200] * PHOTOS_AT_ONCE
    assert set(before) <= set(server.children("liftwild.app"))  # no process was ended for it
    metrics = answer(server, head("GET", "/metrics", server.port)).body.decode()
    assert "liftwild_photos_waiting 0.0" in metrics


def test_a_thousand_photos_at_once(server: HostileServer) -> None:
    found = asked_all(server.port, [post(server.port, JPEG)] * 1000)
    counted = Counter(each.status for each in found)
    assert set(counted) == {200, 429} and counted[200] >= PHOTOS_AT_ONCE, counted
    assert all(int(each.headers["retry-after"]) >= 1 for each in found if each.status == 429)


@pytest.mark.parametrize("module", ["liftwild.app.photo_process", "liftwild.app.decoder"])
def test_a_process_that_is_killed(server: HostileServer, module: str) -> None:
    """In the middle of many photos: all are answered."""
    before = server.open_files()

    async def kill() -> list[Reply]:
        asking = asyncio.gather(*(ask(server.port, post(server.port, JPEG)) for _ in range(PHOTOS_AT_ONCE)))
        await asyncio.sleep(0.05)
        for process in server.children(module):
            os.kill(process, signal.SIGKILL)
        return list(await asking)

    assert [each.status for each in asyncio.run(kill())] == [200] * PHOTOS_AT_ONCE
    assert server.open_files() <= before + 4


def test_a_process_that_stands_still(server: HostileServer) -> None:
    """A decoder that does not read: what is sent to it waits, others decode."""
    (stopped, *_) = server.children("liftwild.app.decoder")
    os.kill(stopped, signal.SIGSTOP)
    try:
        large = encode(".png", picture(1200, 1600))  # more than a pipe holds
        found = asked_all(server.port, [post(server.port, large)] * 2 + [post(server.port, JPEG)] * 2)
    finally:
        with suppress(ProcessLookupError):  # ended as too slow
            os.kill(stopped, signal.SIGCONT)
    assert sorted(each.status for each in found) in ([200] * 4, [200] * 3 + [422])


def clip_that_lasts(seconds: int) -> bytes:
    """A video of two frames, the second one after so long."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 160, 120
        for number in (0, 25 * seconds):
            image = av.VideoFrame.from_ndarray(picture(120, 160), format="rgb24")
            image.pts = number
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        pytest.param(clip_that_lasts(36_000), 422, "../../x: lasts", id="ten-hours"),
        pytest.param(CLIP.read_bytes()[:3000], 422, "", id="cut"),
        pytest.param(endless_gif(200_000), 422, "../../x: lasts", id="gif-endless"),
        pytest.param(png_header(50_000, 50_000), 422, "50000 x 50000 px", id="png"),
        pytest.param(b"<svg/>", 422, "", id="svg"),
        pytest.param(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 422, "", id="playlist"),
        pytest.param(b"ffconcat version 1.0\nfile /etc/passwd\n", 422, "", id="concat"),
        pytest.param(b"", 400, "no file came", id="empty"),
    ],
)
def test_recordings_that_are_none(server: HostileServer, content: bytes, status: int, said: str) -> None:
    found = answer(server, post(server.port, content, "/v1/recordings?name=../../x"))
    assert (found.status, said in found.detail) == (status, True), found
    assert "passwd" not in found.detail and "root:" not in found.detail
    listed = json.loads(answer(server, head("GET", "/v1/recordings", server.port)).body)
    assert listed == {"recordings": []}


@pytest.mark.parametrize("id", ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "a" * 10_000, "%00", "'%20or%201=1--"])
def test_ids_are_no_paths(server: HostileServer, id: str) -> None:
    for path in (f"/v1/recordings/{id}", f"/v1/recordings/{id}/picture", f"/page/{id}", f"/viewer/{id}"):
        assert answer(server, head("GET", path, server.port)).status == 404


def frame(opcode: int, content: bytes, first: int = 0x80, mask: bool = True) -> bytes:
    """A frame of a WebSocket; ``first``: 0x80 where it ends a message."""
    size = len(content)
    if size < 126:
        length = bytes([size])
    else:
        length = b"\x7e" + struct.pack(">H", size) if size <= 0xFFFF else b"\x7f" + struct.pack(">Q", size)
    masked = bytes([length[0] | 0x80]) + length[1:] + bytes(4) if mask else length
    return bytes([first | opcode]) + masked + content


PICTURE = struct.pack("<d", 1.0) + JPEG


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([frame(2, PICTURE)] * 400, 1008, id="flood"),
        pytest.param([frame(2, bytes(2 << 20))], 1009, id="too-large"),
        pytest.param([frame(2, bytes(1 << 19), 0), *[frame(0, bytes(1 << 19), 0)] * 2], 1009, id="endless-message"),
        pytest.param([frame(1, b"hello")], 1003, id="text"),
        pytest.param([frame(1, b"\xff\xfe")], 1007, id="no-utf8"),
        pytest.param([frame(2, PICTURE, mask=False)], 1002, id="not-masked"),
        pytest.param([frame(7, b"")], 1002, id="no-opcode"),
        pytest.param([], 1008, id="silent"),
        pytest.param([frame(9, b"x" * 125)] * 200_000, None, id="pings-unread"),
    ],
)
def test_cameras_that_are_none(server: HostileServer, frames: list[bytes], code: int | None) -> None:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
               "Sec-WebSocket-Version: 13")  # fmt: skip

    async def follow() -> int | None:
        """The code with which it is closed, or None if it was cut off."""
        async with connection(server.port) as (reader, writer):
            if code is None:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            writer.write(head("GET", "/v1/live", server.port, *upgrade))
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            if code is None:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
            try:
                for each in frames:
                    writer.write(each)
                    await writer.drain()
                while True:
                    first, second = await asyncio.wait_for(reader.readexactly(2), PATIENCE_S)
                    size = second if second < 126 else int.from_bytes(await reader.readexactly(2), "big")
                    content = await reader.readexactly(size)
                    if first == 0x88:
                        return int.from_bytes(content[:2], "big")
            except (ConnectionError, asyncio.IncompleteReadError):
                return None

    before = memory_mb(server.process.pid)
    # Who goes on sending may be cut off before he reads why.
    assert asyncio.run(follow()) in (code, None if code == 1009 else code)
    assert memory_mb(server.process.pid) < before + 30


def test_more_cameras_than_there_may_be(server: HostileServer) -> None:
    """A hundred at once: each is answered, no place stays taken."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    async def one(number: int) -> int:
        async with connect(f"ws://127.0.0.1:{server.port}/v1/live", open_timeout=PATIENCE_S) as camera:
            with suppress(ConnectionClosed):
                await camera.send(PICTURE)
            await camera.wait_closed()
            return int(camera.close_code or 0)

    async def all_of_them() -> list[int]:
        return list(await asyncio.gather(*(one(number) for number in range(100))))

    assert Counter(asyncio.run(all_of_them())) == {1013: 96, 1008: 4}  # those have no second picture
    metrics = answer(server, head("GET", "/metrics", server.port)).body.decode()
    assert "liftwild_live_sessions 0.0" in metrics


def memory_mb(process: int) -> float:
    """Memory of a process of its own."""
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:")) / 1000


def test_a_full_disk(server: HostileServer) -> None:
    """As a limit on the size of files, for whoever may mount none: decoded photos are files."""
    large = png_header(4001, 4001, packed_rows(4001, 4001))
    found = asked_all(server.port, [post(server.port, photo) for photo in (large, JPEG, large, JPEG)])
    assert [each.status for each in found] == [507, 200, 507, 200], found
    assert "cannot write" in found[0].detail and "/" not in found[0].detail


def test_more_connections_than_there_may_be(server: HostileServer) -> None:
    request = head("GET", "/healthz", server.port)
    allow_open_files(4 * CONNECTIONS)

    async def crowd() -> tuple[list[Reply], Reply, Reply]:
        standing = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(CONNECTIONS)]
        early = await ask(server.port, request)
        await asyncio.sleep(2.1)
        late = await ask(server.port, request)  # who waits longest makes room
        many = await asyncio.gather(*(ask(server.port, request) for _ in range(CONNECTIONS)))
        for _, writer in standing:
            writer.transport.abort()
        return list(many), early, late

    many, early, late = asyncio.run(crowd())
    assert (early.status, early.headers["retry-after"], early.headers["connection"]) == (429, "2", "close")
    assert late.status == 200
    counted = Counter(each.status for each in many)
    assert set(counted) <= {0, 200, 429} and counted[200], counted
