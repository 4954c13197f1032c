"""A queue of videos whose work is told by the test: no process is started, and nothing is a video."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from liftwild.app import clip_queue, recording_files
from liftwild.app.messages import Message
from liftwild.app.worker import WorkerDiedError
from liftwild.errors import LiftwildError

FACTS = {"width": 64, "height": 48, "frames": 12, "fps": 25.0, "people": []}


class FakeClips:
    """What processes would do: ``begun``, the names of videos in the order in which work on them began, and what is
    done with each is told by its name: "wait..." waits, "die..." ends the process, "bad..." is refused, to "odd..."
    the answer makes no sense, for "large..." the disk has no room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[str] = []
        self.go_on = asyncio.Event()
        clips = self

        class FakeWorker:
            """Takes the place of ``Worker``."""

            status, pid = -9, None

            def __init__(self, *_: Any, **__: Any) -> None:
                self._ended = asyncio.Event()

            async def ask(self, fields: dict[str, Any], told: Callable[[dict[str, Any]], object]) -> Message:
                """The answer."""
                name = fields["name"]
                clips.begun.append(name)
                told({"stage": "frames", "done": 1, "total": 12})
                if name.startswith("die"):
                    raise WorkerDiedError("clip")
                if name.startswith("bad"):
                    raise LiftwildError("video: nobody was found in its 12 frames")
                if name.startswith("large"):
                    raise OSError(errno.ENOSPC, "No space left on device")
                if name.startswith("odd"):
                    return Message({"facts": 7})
                if name.startswith("wait"):
                    going = {asyncio.create_task(clips.go_on.wait()), asyncio.create_task(self._ended.wait())}
                    try:
                        await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for each in going:
                            each.cancel()
                    if self._ended.is_set():
                        raise WorkerDiedError("clip")
                return Message({"facts": FACTS, "notes": ["one frame was broken"]})

            async def end(self) -> None:
                """End it."""
                self._ended.set()

        async def inspect(self: recording_files.RecordingFiles, id: str) -> dict[str, Any]:
            return {"kind": "clip", "facts": FACTS}

        monkeypatch.setattr(clip_queue, "Worker", FakeWorker)
        monkeypatch.setattr(recording_files.RecordingFiles, "inspect", inspect)


async def send(
    client: httpx.AsyncClient, name: str, content: bytes = b"a video", headers: dict[str, str] | None = None
) -> httpx.Response:
    """Post something as a recording."""
    return await client.post("/v1/recordings", params={"name": name}, content=content, headers=headers)


async def until(client: httpx.AsyncClient, id: str, *states: str) -> dict[str, Any]:
    """The document of a recording once it is in one of the states."""
    for _ in range(6000):
        document: dict[str, Any] = (await client.get(f"/v1/recordings/{id}")).json()
        if document["state"] in states:
            return document
        await asyncio.sleep(0.02)
    raise AssertionError(f"still {document}")
