"""``/v1/recordings`` with the processes that really do the work."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.commands import liftwild
from tests.support.fake_clips import send, until
from tests.support.server import CLIP, PHOTO, asked, running_server, settings_of

FORMATS = {"json": "clip.json", "bvh": "clip.person0.bvh", "glb": "clip.glb", "npz": "clip.npz"}


def test_a_photo_is_done_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    liftwild("predict", PHOTO, "-o", out, "--weights", "small", "--runtime", "torch", "--format", "json,bvh")

    async def ask() -> None:
        async with asked(settings_of(tmp_path / "data")) as client:
            sent = await send(client, "person.jpg", PHOTO.read_bytes())
            assert sent.status_code == 202
            document = sent.json()
            here = sent.headers["location"]
            assert document["links"]["self"] == here and document["state"] == "done" and document["kind"] == "photo"
            assert (document["width"], document["height"], len(document["people"])) == (512, 512, 1)
            for format, name in (("json", "person.json"), ("bvh", "person.person0.bvh")):
                answer = await client.get(f"{here}/files/{format}")
                assert answer.content == (out / name).read_bytes()
            assert (await client.get(f"{here}/picture")).content[:3] == b"\xff\xd8\xff"
            view = await client.get(f"{here}/view")
            assert '<script src="/viewer/' in view.text and "<script>" not in view.text and "<style" not in view.text
            # Refused, and nothing of it is kept.
            for content, params, status in (
                (PHOTO.read_bytes(), {"start": "1"}, 422), (PHOTO.read_bytes()[:3000], {}, 422),
                (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}, 422), (b"", {}, 400),
            ):  # fmt: skip
                refused = await client.post("/v1/recordings", content=content, params=params)
                assert refused.status_code == status, refused.text
                assert str(tmp_path) not in refused.text and "\n" not in refused.json()["detail"]
            for content, params, said in (
                (PHOTO.read_bytes()[:3000], {"name": "cut.jpg"}, "cut.jpg: is cut short"),
                (PHOTO.read_bytes()[:3000], {}, "photo: is cut short"),
                (b"no video", {"name": "notes\x1b.txt"}, r"notes\x1b.txt: no video in it"),
                (b"no video", {}, "video: no video in it"),
            ):
                refused = await client.post("/v1/recordings", content=content, params=params)
                assert refused.status_code == 422 and refused.json()["detail"].startswith(said), refused.text
            assert len(list((tmp_path / "data" / "recordings").iterdir())) == 1

    asyncio.run(ask())


def test_a_video_to_the_end_though_its_process_is_ended(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--weights", "small", "--runtime", "torch", "--format", ",".join(FORMATS)]
    liftwild("predict", CLIP, "-o", out, *options, "--end", "1.6")

    async def ask() -> None:
        async with asked(settings_of(tmp_path / "data")) as client:
            params = {"name": "clip.mp4", "end": "1.6"}
            files = {"file": ("../../clip.avi", CLIP.read_bytes(), "image/png")}  # neither name nor type count
            here = (await client.post("/v1/recordings", params=params, files=files)).headers["location"]
            document = await _frames_done(client, here, 5)
            pid = client.state.clips.pid  # type: ignore[attr-defined]
            assert os.getpriority(os.PRIO_PROCESS, pid) == 10
            os.kill(pid, signal.SIGKILL)
            begun = await _frames_done(client, here, 5, other_than=pid)
            assert begun["progress"]["done"] >= document["progress"]["done"]  # not from its beginning
            done = await until(client, document["id"], "done", "failed")
            assert done["state"] == "done" and done["frames"] == 40 and done["fps"] == 25.0
            for format, name in FORMATS.items():
                assert (await client.get(f"{here}/files/{format}")).content == (out / name).read_bytes(), format
            angles = await client.get(f"{here}/files/angles")
            assert angles.text.startswith("frame,time_s,person_id,") and angles.text.count("\n") == 41
            report = (await client.get(f"{here}/report")).text
            assert '<article id="report">' in report and '<script src="/viewer/report.js">' in report
            view = (await client.get(f"{here}/view")).text
            assert view.count('"/9j/') == 40  # a JPEG for each frame

    asyncio.run(ask())


async def _frames_done(
    client: httpx.AsyncClient, here: str, most: int, other_than: int | None = None
) -> dict[str, Any]:
    """The document once so many frames are done, by a process ``other_than`` that."""
    for _ in range(6000):
        document: dict[str, Any] = (await client.get(here)).json()
        assert document["state"] in ("queued", "working"), document
        is_other = client.state.clips.pid not in (None, other_than)  # type: ignore[attr-defined]
        if is_other and document["progress"]["done"] >= most:
            return document
        await asyncio.sleep(0.02)
    raise AssertionError(document)


def test_a_server_that_is_killed_goes_on(tmp_path: Path) -> None:
    folder, content = tmp_path / "data", CLIP.read_bytes()
    with running_server(folder) as server:
        ids = [_post(server.address, name, content) for name in ("first", "second")]
        while (before := _document(server.address, ids[0]))["progress"]["done"] < 5:
            time.sleep(0.05)
        server.kill()
    with running_server(folder) as server:
        assert [_document(server.address, id)["name"] for id in ids] == ["first", "second"]
        with httpx.stream("GET", f"{server.address}/v1/recordings/{ids[0]}/events", timeout=120) as events:
            told = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
        done = [each["progress"]["done"] for each in told if each["progress"]["stage"] == "frames"]
        assert done[0] >= before["progress"]["done"]
        assert told[-1]["state"] == "done" and told[-1]["frames"] == 40
        # Who listens does not keep it from ending.
        with httpx.stream("GET", f"{server.address}/v1/recordings/{ids[1]}/events", timeout=120) as events:
            next(events.iter_lines())
            begun = time.monotonic()
            assert server.end() == 0
            assert time.monotonic() - begun < 3
        assert server.said() == ""


def _post(address: str, name: str, content: bytes) -> str:
    params = {"name": name, "end": "1.6"}
    sent = httpx.post(f"{address}/v1/recordings", params=params, content=content, timeout=60)
    id: str = sent.json()["id"]
    return id


def _document(address: str, id: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{address}/v1/recordings/{id}", timeout=60).json()
    return found
