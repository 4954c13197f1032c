"""Clients that mean harm, or are broken: each gets the right answer in time, the server lives, others are served."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from liftwild.processes import allow_open_files
from tests.support.hostile import (
    CONNECTIONS,
    JPEG,
    PATIENCE_S,
    PHOTOS_AT_ONCE,
    SILENCE_S,
    HostileServer,
    Reply,
    answer,
    ask,
    asked_all,
    attacked_server,
    connection,
    head,
    packed_rows,
    png_header,
    post,
    read_reply,
    serves_others,
)
from tests.support.images import encode, picture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and limits processes")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileServer]:
    with attacked_server(tmp_path_factory.mktemp("hostile") / "data") as started:
        yield started


@pytest.fixture(autouse=True)
def check_that_others_are_served(server: HostileServer) -> Iterator[None]:
    """After each test."""
    yield
    serves_others(server)


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
