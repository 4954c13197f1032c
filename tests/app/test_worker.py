"""Processes that the server asks: they die, hang, lie, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from liftwild.app import engine
from liftwild.app.own_folder import OwnFolder
from liftwild.app.state import State
from liftwild.app.worker import TooSlowError, Worker, WorkerDiedError, WorkerFaultError, WorkerPool
from liftwild.errors import LiftwildError
from tests.support.paths import ROOT
from tests.support.server import settings_of

MODULE = "tests.support.odd_process"
MEMORY = 4 << 30
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture(autouse=True)
def python_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{os.environ.get('PYTHONPATH', ROOT / 'src')}{os.pathsep}{ROOT}")


@contextmanager
def no_files_left() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd")) if sys.platform == "linux" else set()
    yield
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) <= len(before)


def run(test: Callable[[Worker], Awaitable[object]]) -> None:
    """Run a test of a worker, which is ended after it; no file stays open."""

    async def both() -> None:
        worker = Worker(MODULE, MEMORY)
        try:
            await test(worker)
        finally:
            await worker.end()

    with no_files_left():
        asyncio.run(both())


def test_errors_come_back_as_what_they_were() -> None:
    async def test(worker: Worker) -> None:
        for kind, error in (
            ("LiftwildError", LiftwildError), ("MemoryError", MemoryError), ("OSError", OSError),
            ("KeyError", WorkerFaultError),
        ):  # fmt: skip
            with pytest.raises(error):
                await worker.ask({"do": "raise", "what": kind})
        assert (await worker.ask({"do": "echo"}, b"x" * 3_000_000)).content == b"x" * 3_000_000

    run(test)


@pytest.mark.parametrize("lie", ["garbage", "deep", "no number", "endless"])
def test_a_process_that_lies_is_ended(lie: str) -> None:
    """As one may that a file took over."""

    async def test(worker: Worker) -> None:
        first = await worker.ask({"do": "echo"})
        with pytest.raises(WorkerDiedError):
            await asyncio.wait_for(worker.ask({"do": lie}), 30)
        assert (await worker.ask({"do": "echo"})).fields["pid"] != first.fields["pid"]

    run(test)


def test_one_that_hangs_is_ended_and_others_are_told() -> None:
    async def test(worker: Worker) -> None:
        await worker.start()
        waiting = asyncio.create_task(worker.ask({"do": "echo"}, limit_s=60))
        hanging = asyncio.create_task(worker.ask({"do": "hang"}, limit_s=0.5))
        await asyncio.wait({waiting})
        late = asyncio.create_task(worker.ask({"do": "echo"}, limit_s=60))
        with pytest.raises(TooSlowError):
            await hanging
        with pytest.raises(WorkerDiedError):
            await late

    run(test)


def test_a_limit_counts_from_the_last_answer() -> None:
    """Many requests of one process wait for each other longer than one may take."""

    async def test(worker: Worker) -> None:
        await worker.start()
        answers = await asyncio.gather(*(worker.ask({"do": "sleep", "s": 0.2}, limit_s=1.5) for _ in range(12)))
        assert len({answer.fields["pid"] for answer in answers}) == 1

    run(test)


def test_who_goes_disturbs_no_other() -> None:
    async def test(worker: Worker) -> None:
        gone = [asyncio.create_task(worker.ask({"do": "sleep", "s": 0.01}, b"x" * 200_000)) for _ in range(20)]
        stays = asyncio.create_task(worker.ask({"do": "echo"}))
        await asyncio.sleep(0)
        for each in gone:  # in the middle of the start
            each.cancel()
        first = (await stays).fields["pid"]
        gone = [asyncio.create_task(worker.ask({"do": "sleep", "s": 0.01}, b"x" * 200_000)) for _ in range(20)]
        await asyncio.sleep(0.05)
        for each in gone:
            each.cancel()
        assert (await worker.ask({"do": "echo"})).fields["pid"] == first

    run(test)


def test_killed_again_and_again() -> None:
    """Whoever asks right after a death gets an answer of the next process, or is told; never nothing."""

    async def test(worker: Worker) -> None:
        for _ in range(4):
            await worker.start()
            asking = [asyncio.create_task(worker.ask({"do": "echo"}, b"x" * 1_000_000)) for _ in range(5)]
            await asyncio.sleep(0)
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            again = []
            for _ in range(20):
                again.append(asyncio.create_task(worker.ask({"do": "echo"})))
                await asyncio.sleep(0.001)
            done, pending = await asyncio.wait({*asking, *again}, timeout=60)
            assert not pending
            assert all(isinstance(each.exception(), WorkerDiedError | None) for each in done)
        assert (await worker.ask({"do": "echo"})).fields

    run(test)


def test_end_in_the_middle_of_the_start() -> None:
    async def test(worker: Worker) -> None:
        for wait_s in (0.0, 0.001, 0.02):
            starting = asyncio.create_task(worker.ask({"do": "hang"}))
            await asyncio.sleep(wait_s)
            await worker.end()
            assert worker.pid is None
            with pytest.raises(WorkerDiedError):
                await asyncio.wait_for(starting, 30)

    run(test)


@pytest.mark.parametrize(
    ("name", "value", "said"), [("START_S", 1e-9, "are not ready: not done within"), ("sys", None, "does not start")]
)
def test_a_server_whose_processes_do_not_start_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object, said: str
) -> None:
    async def start() -> None:
        state = State(settings_of(tmp_path))
        monkeypatch.setattr(f"liftwild.app.worker.{name}", value or SimpleNamespace(executable="true"))
        try:
            with pytest.raises(LiftwildError, match=said):
                await state.start()
        finally:
            await state.end()

    asyncio.run(start())


def test_a_pool_has_a_place_for_the_next_whoever_went() -> None:
    async def test() -> None:
        pool = WorkerPool(2, MODULE, MEMORY)
        gone = [asyncio.create_task(pool.ask({"do": "sleep", "s": 0.05})) for _ in range(10)]
        await asyncio.sleep(0.01)
        for each in gone:
            each.cancel()
        answers = await asyncio.gather(*(pool.ask({"do": "echo"}) for _ in range(6)))
        assert len({answer.fields["pid"] for answer in answers}) <= 2
        await pool.end()

    with no_files_left():
        asyncio.run(test())


def test_folders_that_a_killed_program_left(tmp_path: Path) -> None:
    left, foreign = tmp_path / "mine-left", tmp_path / "mine-without-lock"
    for folder in (left, foreign):
        folder.mkdir()
        (folder / "pixels").write_bytes(b"x")
    (left / ".lock").touch()
    first = OwnFolder(tmp_path, "mine-")
    second = OwnFolder(tmp_path, "mine-")
    assert not left.exists() and foreign.exists() and first.path.exists()  # of one that lives
    assert first.path.stat().st_mode & 0o777 == 0o700
    first.remove()
    assert not first.path.exists() and second.path.exists()
    second.remove()


def test_pixels_go_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has 64 MB of shared memory, less than one photo."""
    settings = settings_of(tmp_path / "data")
    monkeypatch.setattr(engine, "SHARED", tmp_path)
    for free, folder in ((64 << 20, settings.folder), (8 << 30, tmp_path)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        assert engine._pixel_folder(settings) == folder
    monkeypatch.undo()
    monkeypatch.setattr(engine, "SHARED", tmp_path / "nowhere")
    assert engine._pixel_folder(settings) == settings.folder
