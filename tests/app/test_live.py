"""``/v1/live``: people before a camera are followed, and nobody hinders the others."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from liftwild.app.state import State
from liftwild.skeleton import MPII_16
from liftwild.synthetic.render.clip import render_clip
from tests.support.images import encode, picture
from tests.support.server import PHOTO, listening, settings_of

ANSWER_S = 60.0  # of a busy machine, on which the process starts first
PHOTO_BYTES = PHOTO.read_bytes()
Talk = Callable[[str, State], Awaitable[Any]]


def serve(folder: Path, talk: Talk, **changes: Any) -> Any:
    """What ``talk`` makes of the address of a server and its state; ``changes`` as for ``settings_of``."""

    async def run() -> Any:
        async with listening(settings_of(folder, **changes)) as (address, state):
            return await asyncio.wait_for(talk(f"ws://{address}/v1/live", state), 2 * ANSWER_S)

    return asyncio.run(run())


def message(time_s: float, content: bytes) -> bytes:
    return struct.pack("<d", time_s) + content


async def received(socket: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(await asyncio.wait_for(socket.recv(), ANSWER_S)))


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """Code and reason by which the server closes a session."""
    with pytest.raises(websockets.ConnectionClosed) as told:
        while True:
            await received(socket)
    assert told.value.rcvd is not None
    return told.value.rcvd.code, told.value.rcvd.reason


def test_the_skeleton_follows_a_person(tmp_path: Path) -> None:
    frames = list(render_clip(10, 5, fps=10, size=320))

    async def talk(url: str, state: State) -> list[dict[str, Any]]:
        async with websockets.connect(f"{url}?people=1&fov=60&height_m=1.8") as socket:
            hello = (await received(socket))["hello"]
            assert hello == {"joint_names": list(MPII_16.names), "parents": list(MPII_16.parents)}
            answers = []
            for frame in frames:
                await socket.send(message(frame.time_s, encode(".webp" if len(answers) % 2 else ".jpg", frame.image)))
                answers.append(await received(socket))
            assert state.metrics.live._value.get() == 1
            return answers

    answers = serve(tmp_path, talk)
    assert [each["t"] for each in answers] == [frame.time_s for frame in frames]
    for answer, frame in zip(answers, frames, strict=True):
        assert (answer["width"], answer["height"]) == (320, 320)
        assert answer["ms"] > 0
        (person,) = answer["people"]
        assert person["id"] == 0 and person["score"] > 0.3
        joints, mm = np.array(person["joints"]), np.array(person["mm"])
        side = np.ptp(frame.joints_2d[0], axis=0).max()
        away = np.linalg.norm(joints[:, :2] - frame.joints_2d[0], axis=1)
        assert np.median(away) < 0.06 * side
        assert ((joints[:, 2] >= 0) & (joints[:, 2] <= 1)).all()
        assert np.abs(mm[MPII_16.root]).max() == 0
        assert 1300 < np.ptp(mm[:, 1]) < 1900
        assert 1000 < person["root"][2] < 15000


def test_the_newest_picture_wins_and_a_broken_one_ends_nothing(tmp_path: Path) -> None:
    async def talk(url: str, _: State) -> None:
        async with websockets.connect(url) as socket:
            await received(socket)
            for number in range(60):
                await socket.send(message(number / 30, PHOTO_BYTES))
            answers = [await received(socket)]
            while answers[-1]["t"] != 59 / 30:
                answers.append(await received(socket))
            times = [each["t"] for each in answers]
            assert times == sorted(times) and len(times) < 30
            wrong = {
                b"GIF89a" + PHOTO_BYTES: "is no JPEG or WebP", PHOTO_BYTES[:2000]: "cut short",
                encode(".jpg", picture(2100, 2000)): "has 2000 x 2100 px", b"<svg/>": "is no JPEG", b"": "is short",
            }  # fmt: skip
            for number, (content, said) in enumerate(wrong.items()):
                await socket.send(message(3 + number, content))
                answer = await received(socket)
                assert said in answer["error"] and "\n" not in answer["error"] and "people" not in answer
            for time_s, said in ((1.0, "must be later"), (float("nan"), "is no number")):
                await socket.send(message(time_s, PHOTO_BYTES))
                assert said in (await received(socket))["error"]
            await socket.send(message(9.0, PHOTO_BYTES))
            assert len((await received(socket))["people"]) == 1

    serve(tmp_path, talk)


def test_sessions_take_turns_and_go_on_with_a_new_process(tmp_path: Path) -> None:
    async def talk(url: str, state: State) -> None:
        async with websockets.connect(url) as first, websockets.connect(f"{url}?people=1") as second:
            for socket in (first, second):
                await received(socket)
            await first.send(message(0.0, PHOTO_BYTES))
            await received(first)
            # However many pictures one sends, one of them is in work, and the other's comes next.
            for number in range(1, 50):
                await first.send(message(number / 30, PHOTO_BYTES))
            await second.send(message(0.0, PHOTO_BYTES))
            answer = await received(second)
            assert [each["id"] for each in answer["people"]] == [0]
            while (await received(first))["t"] != 49 / 30:
                pass
            pid = state.live.worker.pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)  # else the answer may be faster
            await second.send(message(1.0, PHOTO_BYTES))
            await asyncio.sleep(0.2)
            os.kill(pid, signal.SIGKILL)
            assert "starts anew" in (await received(second))["error"]
            for socket in (second, first):
                await socket.send(message(2.0, PHOTO_BYTES))
                assert len((await received(socket))["people"]) == 1
            assert state.live.worker.pid != pid
            assert state.metrics.starts.labels("live_process")._value.get() == 2

    serve(tmp_path, talk, live_frames_each_s=1000.0)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("people=0", "people: "),
        ("people=99", "people: "),
        ("fov=1", "a camera sees"),
        ("height_m=180", "metres"),
        ("weights=../../etc/passwd", "no weights are called"),
    ],
)
def test_wrong_options_close_with_a_clear_line(tmp_path: Path, query: str, said: str) -> None:
    async def talk(url: str, _: State) -> tuple[int, str]:
        async with websockets.connect(f"{url}?{query}") as socket:
            return await closed(socket)

    code, reason = serve(tmp_path, talk)
    assert code == 1008 and said in reason


def flood() -> list[bytes]:
    return [message(number, b"x") for number in range(400)]


@pytest.mark.parametrize(
    ("messages", "code", "said"),
    [
        (flood(), 1008, "pictures a second"),
        ([message(0, bytes((1 << 20) + 1))], 1009, "bytes"),
        ([message(0, bytes(4 << 20))], 1009, ""),
        (["a text"], 1003, "not text"),
        ([], 1008, "no picture came"),
    ],
    ids=["flood", "too large", "far too large", "text", "silence"],
)
def test_limits_close_a_session(tmp_path: Path, messages: list[bytes | str], code: int, said: str) -> None:
    async def talk(url: str, state: State) -> tuple[int, str]:
        async with websockets.connect(url) as socket:
            try:
                for each in messages:
                    await socket.send(each)
            except websockets.ConnectionClosed:  # while it sends
                pass
            found = await closed(socket)
        while state.live.sessions:
            await asyncio.sleep(0.01)
        return found

    found, reason = serve(tmp_path, talk, silence_s=2.0)
    assert found == code and said in reason


def test_a_session_lasts_as_long_as_pictures_come(tmp_path: Path) -> None:
    async def talk(url: str, _: State) -> None:
        async with websockets.connect(url) as socket:
            await received(socket)
            for number in range(6):
                await asyncio.sleep(0.5)
                await socket.send(message(number, b""))
                assert "is short" in (await received(socket))["error"]

    serve(tmp_path, talk, silence_s=1.5)


def test_only_so_many_sessions(tmp_path: Path) -> None:
    async def talk(url: str, state: State) -> None:
        async with websockets.connect(url), websockets.connect(url), websockets.connect(url) as third:
            code, reason = await closed(third)
            assert code == 1013 and "enough cameras" in reason
        while state.live.sessions:
            await asyncio.sleep(0.01)
        async with websockets.connect(url) as again:
            assert "hello" in await received(again)

    serve(tmp_path, talk, live_sessions=2)


def test_who_may_begin_a_session(tmp_path: Path) -> None:
    own = {"Authorization": "Bearer secret"}

    async def talk(url: str, _: State) -> None:
        host = url.removeprefix("ws://").partition("/")[0]
        for headers in (
            {}, {"Authorization": "Bearer other"}, {"Cookie": "liftwild=other"}, {**own, "Origin": "http://evil.example"},
            {**own, "Origin": "null"}, {**own, "Sec-Fetch-Site": "cross-site"},
        ):  # fmt: skip
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(url, additional_headers=headers)
            assert refused.value.response.status_code == 403, headers
        evil = f"ws://evil.example:{host.rpartition(':')[2]}/v1/live"
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(
                evil, host="127.0.0.1", port=int(host.rpartition(":")[2]), additional_headers=own, proxy=None
            )
        for headers in (own, {"Cookie": "liftwild=secret", "Origin": f"http://{host}"}):
            async with websockets.connect(url, additional_headers=headers) as socket:
                assert "hello" in await received(socket)

    serve(tmp_path, talk, tokens=("secret",))


def test_the_process_ends_when_no_session_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liftwild.app.live_engine.KEEP_S", 0.5)

    async def talk(url: str, state: State) -> None:
        async with websockets.connect(url) as socket:
            await socket.send(message(0.0, b"x"))
            assert "hello" in await received(socket)
            assert "error" in await received(socket)
            assert state.live.worker.pid is not None
        while state.live.worker.pid is not None:
            await asyncio.sleep(0.05)
        assert state.metrics.live._value.get() == 0

    serve(tmp_path, talk)
