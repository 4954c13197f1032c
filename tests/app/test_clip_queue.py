"""The queue of videos: turns, limits, cancelling, restarts, processes that end, what is kept and for how long."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from liftwild.app import recordings
from liftwild.app.settings import Settings
from liftwild.app.state import State
from liftwild.app.uploads import FileUpload
from liftwild.errors import LiftwildError
from tests.support.fake_clips import FACTS, FakeClips, send, until
from tests.support.server import asked, settings_of

Ask = Callable[[httpx.AsyncClient, FakeClips], Awaitable[None]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Settings, Ask], FakeClips]:
    """Runs a function that asks a server whose videos are faked."""

    def run(settings: Settings, ask: Ask, **headers: str) -> FakeClips:
        async def whole() -> FakeClips:
            clips = FakeClips(monkeypatch)
            async with asked(settings, **headers) as client:
                await asyncio.wait_for(ask(client, clips), 60)
            return clips

        return asyncio.run(whole())

    return run


def folders(folder: Path) -> set[str]:
    """The recordings whose files are there."""
    return {path.name for path in (folder / "recordings").iterdir()}


def test_turns_and_places(tmp_path: Path, run: Callable[[Settings, Ask], FakeClips]) -> None:
    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        sent = [(await send(client, name)).json() for name in ("wait", "b", "c")]
        first = await until(client, sent[0]["id"], "working")
        assert first["progress"] == {"stage": "frames", "done": 1, "total": 12}
        assert first["expires"] is None  # only what is over expires
        listed = (await client.get("/v1/recordings")).json()["recordings"]
        assert [(each["name"], each["state"], each["place"]) for each in listed] == [
            ("c", "queued", 2), ("b", "queued", 1), ("wait", "working", None)
        ]  # fmt: skip
        assert (await client.get(f"/v1/recordings/{sent[1]['id']}/files/json")).status_code == 409
        clips.go_on.set()
        done = await until(client, sent[2]["id"], "done")
        assert done["notes"] == ["one frame was broken"] and done["links"]["files"]["bvh"].endswith("/files/bvh")
        assert {name: done[name] for name in FACTS} == FACTS
        metrics = (await client.get("/metrics")).text
        assert 'liftwild_recordings{state="done"} 3.0' in metrics

    assert run(settings_of(tmp_path), ask).begun == ["wait", "b", "c"]


def test_a_full_queue_says_when_to_come_again(tmp_path: Path, run: Callable[[Settings, Ask], FakeClips]) -> None:
    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        first = (await send(client, "wait")).json()
        await until(client, first["id"], "working")
        assert [(await send(client, f"wait {i}")).status_code for i in range(2)] == [202, 202]
        read: list[bytes] = []

        async def body() -> AsyncIterator[bytes]:
            read.append(b"a video")
            yield read[0]

        # Before it is sent in vain, where it says that it is a video; and after it was found to be one.
        for headers, is_read in (({"content-type": "video/mp4"}, False), ({}, True)):
            full = await client.post("/v1/recordings", content=body(), headers=headers)
            assert full.status_code == 429 and int(full.headers["retry-after"]) > 0
            assert "enough videos" in full.json()["detail"] and bool(read) == is_read
        assert len(folders(tmp_path)) == 3

    run(settings_of(tmp_path, videos_queued_each=2), ask)
    run(settings_of(tmp_path / "all", videos_queued=2), lambda client, clips: _full(client))


async def _full(client: httpx.AsyncClient) -> None:
    first = (await send(client, "wait")).json()
    await until(client, first["id"], "working")
    # All at once: no more get in than there is room for.
    statuses = [each.status_code for each in await asyncio.gather(*(send(client, f"w{i}") for i in range(6)))]
    assert sorted(statuses) == [202, 202, 429, 429, 429, 429]


def test_what_is_cancelled_is_gone_and_the_next_goes_on(
    tmp_path: Path, run: Callable[[Settings, Ask], FakeClips]
) -> None:
    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        ids = [(await send(client, name)).json()["id"] for name in ("wait", "queued", "last")]
        await until(client, ids[0], "working")
        events = asyncio.create_task(client.get(f"/v1/recordings/{ids[0]}/events"))
        await asyncio.sleep(0.1)
        assert [(await client.delete(f"/v1/recordings/{id}")).status_code for id in (ids[1], ids[0])] == [204, 204]
        assert (await events).status_code == 200  # they end
        assert (await client.delete(f"/v1/recordings/{ids[0]}")).status_code == 404
        assert (await client.get(f"/v1/recordings/{ids[0]}")).status_code == 404
        await until(client, ids[2], "done")
        assert folders(tmp_path) == {ids[2]}

    assert run(settings_of(tmp_path), ask).begun == ["wait", "last"]


def test_a_video_that_ends_its_process_fails_in_the_end(
    tmp_path: Path, run: Callable[[Settings, Ask], FakeClips]
) -> None:
    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        ids = [(await send(client, name)).json()["id"] for name in ("die", "bad", "odd", "good")]
        failed = await until(client, ids[0], "failed")
        assert failed["error"].startswith("die: it ended the process that works on it 3 times, the last time by sig")
        assert "\n" not in failed["error"] and failed["place"] is None and failed["links"].get("view") is None
        refused = await until(client, ids[1], "failed")
        assert refused["error"] == "bad: nobody was found in its 12 frames" and refused["expires"] > refused["created"]
        answer = await client.get(f"/v1/recordings/{ids[1]}/view")
        assert answer.status_code == 409 and refused["error"] in answer.json()["detail"]
        odd = await until(client, ids[2], "failed")  # nor does the queue stand still after it
        assert odd["error"].startswith("odd: liftwild fails on it, please report this")
        await until(client, ids[3], "done")

    assert run(settings_of(tmp_path), ask).begun == ["die", "die", "die", "bad", "odd", "good"]


def test_a_process_that_says_nothing_is_ended(
    tmp_path: Path, run: Callable[[Settings, Ask], FakeClips], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liftwild.app.clip_queue.LOOK_EVERY_S", 0.05)

    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        sent = (await send(client, "wait")).json()
        assert "3 times" in (await until(client, sent["id"], "failed"))["error"]

    run(settings_of(tmp_path, job_silence_s=0.1), ask)


def test_a_restart_goes_on(tmp_path: Path, run: Callable[[Settings, Ask], FakeClips]) -> None:
    async def begin(client: httpx.AsyncClient, clips: FakeClips) -> None:
        ids = [(await send(client, name)).json()["id"] for name in ("wait", "b", "c")]
        await until(client, ids[0], "working")

    async def go_on(client: httpx.AsyncClient, clips: FakeClips) -> None:
        clips.go_on.set()
        listed = (await client.get("/v1/recordings")).json()["recordings"]
        assert [each["name"] for each in listed] == ["c", "b", "wait"]
        for each in listed:
            await until(client, each["id"], "done")
        assert folders(tmp_path) == {each["id"] for each in listed}

    run(settings_of(tmp_path), begin)
    (tmp_path / "recordings" / "left-by-an-upload").mkdir()
    assert run(settings_of(tmp_path), go_on).begun == ["wait", "b", "c"]


def test_one_server_a_folder(tmp_path: Path) -> None:
    async def start_two() -> None:
        first, second = State(settings_of(tmp_path)), State(settings_of(tmp_path))
        await first.start_jobs()
        try:
            with pytest.raises(LiftwildError, match="is used by another 'liftwild serve'"):
                await second.start_jobs()
        finally:
            await second.end()
            await first.end()

    asyncio.run(start_two())


def test_a_full_disk_stops_nothing_for_ever(
    tmp_path: Path, run: Callable[[Settings, Ask], FakeClips], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liftwild.app.clip_queue.AGAIN_S", 0.05)
    put = FileUpload._put

    def put_on_a_full_disk(self: FileUpload, content: bytes) -> None:
        put(self, content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        id = (await send(client, "wait")).json()["id"]
        await until(client, id, "working")
        store = client.state.jobs.store  # type: ignore[attr-defined]
        full = store._base.execute("PRAGMA page_count").fetchone()[0]
        store._base.execute(f"PRAGMA max_page_count = {full}")
        monkeypatch.setattr(FileUpload, "_put", put_on_a_full_disk)
        refused = await send(client, "more")
        assert refused.status_code == 507
        assert "No space left on device" in refused.json()["detail"] and str(tmp_path) not in refused.text
        monkeypatch.setattr(FileUpload, "_put", put)
        statuses = [(await send(client, "x" * 255)).status_code for _ in range(30)]
        assert 507 in statuses and set(statuses) <= {202, 507, 429}
        known = {each["id"] for each in (await client.get("/v1/recordings")).json()["recordings"]}
        assert folders(tmp_path) == known
        store._base.execute("PRAGMA max_page_count = 1000")
        with monkeypatch.context() as full_disk:
            full_disk.setattr(store, "change", _on_a_full_disk)
            full_disk.setattr(store, "requeue", _on_a_full_disk)
            clips.go_on.set()
            await asyncio.sleep(0.3)
        await until(client, id, "done")

    run(settings_of(tmp_path, videos_queued=100, videos_queued_each=100), ask)


def test_what_never_has_room_keeps_nobody_waiting(
    tmp_path: Path, run: Callable[[Settings, Ask], FakeClips], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liftwild.app.clip_queue.ROOM_S", 0.01)

    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        large, other = [(await send(client, name)).json()["id"] for name in ("large.mp4", "b")]
        failed = await until(client, large, "failed")
        assert failed["error"].startswith("large.mp4: the server has no room") and "No space left" in failed["error"]
        await until(client, other, "done")

    assert run(settings_of(tmp_path), ask).begun == ["large.mp4"] * 3 + ["b"]


def _on_a_full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "database or disk is full")


def test_results_expire_by_age(tmp_path: Path, run: Callable[[Settings, Ask], FakeClips]) -> None:
    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        done, waiting = [(await send(client, name)).json()["id"] for name in ("a", "wait")]
        while (await client.get(f"/v1/recordings/{done}")).status_code != 404:
            await asyncio.sleep(0.05)
        assert (await client.get(f"/v1/recordings/{waiting}")).json()["state"] == "working"  # however long it takes
        assert folders(tmp_path) == {waiting}

    run(settings_of(tmp_path, keep_s=0.2), ask)


def test_results_expire_by_size(tmp_path: Path, run: Callable[[Settings, Ask], FakeClips]) -> None:
    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        ids = []
        for name in ("a", "b", "c"):
            ids.append((await send(client, name, b"x" * 400_000)).json()["id"])
            await until(client, ids[-1], "done")
        assert [(await client.get(f"/v1/recordings/{id}")).status_code for id in ids] == [404, 200, 200]
        # Nothing that is not done gives way.
        waiting = [(await send(client, f"wait {i}", b"x" * 400_000)).status_code for i in range(3)]
        assert waiting == [202, 202, 507]
        assert len(folders(tmp_path)) == 2

    run(settings_of(tmp_path, keep_bytes=1_000_000), ask)


def test_nobody_opens_what_is_of_another(tmp_path: Path, run: Callable[[Settings, Ask], FakeClips]) -> None:
    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        client.headers["authorization"] = "Bearer one"
        here = f"/v1/recordings/{(await send(client, 'mine')).json()['id']}"
        client.headers["authorization"] = "Bearer two"
        for path in ("", "/events", "/files/json", "/view", "/report", "/picture"):
            assert (await client.get(here + path)).status_code == 404, path
        assert (await client.delete(here)).status_code == 404
        assert (await client.get("/v1/recordings")).json() == {"recordings": []}
        client.headers["authorization"] = "Bearer three"
        assert (await client.get(here)).status_code == 401
        client.headers["authorization"] = "Bearer one"
        assert (await client.get(here)).status_code == 200

    run(settings_of(tmp_path, tokens=("one", "two")), ask)


def test_events_come_until_it_is_over(
    tmp_path: Path, run: Callable[[Settings, Ask], FakeClips], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "EVENT_SILENCE_S", 0.1)

    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        id = (await send(client, "wait")).json()["id"]
        asking = asyncio.create_task(client.get(f"/v1/recordings/{id}/events"))
        await asyncio.sleep(0.6)
        clips.go_on.set()
        events = (await asking).text.strip().split("\n\n")
        assert ": still there" in events
        told = [json.loads(event.partition("\ndata: ")[2]) for event in events if event.startswith("event: state")]
        assert [each["state"] for each in told][-2:] == ["working", "done"]
        assert told[-1] == (await client.get(f"/v1/recordings/{id}")).json()
        assert len(told) == len({json.dumps(each) for each in told})

    run(settings_of(tmp_path), ask)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({"start": "5", "end": "2"}, 422, "a part ends after its start"),
        ({"slow_motion": "0"}, 422, "slow motion is"),
        ({"time_filter": "magic"}, 422, "no filter is called"),
        ({"min_track_s": "-1"}, 422, "min_track_s: "),
        ({"weights": "huge"}, 422, "no weights are called"),
        ({"name": "x" * 300}, 422, "name: "),
    ],
)
def test_options_are_checked_before_anything_is_sent(
    tmp_path: Path, run: Callable[[Settings, Ask], FakeClips], options: dict[str, str], status: int, said: str
) -> None:
    async def ask(client: httpx.AsyncClient, clips: FakeClips) -> None:
        answer = await client.post("/v1/recordings", params=options, content=b"a video")
        assert answer.status_code == status and said in answer.json()["detail"], answer.text
        assert not (tmp_path / "recordings").exists()

    run(settings_of(tmp_path), ask)
