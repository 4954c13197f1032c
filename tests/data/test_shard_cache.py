"""Shards that are kept on this machine: fetched once, within a limit, whole whatever ends a process."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from liftwild.data.shard_folder import ShardFolder
from liftwild.data.shards import ShardedStore
from liftwild.errors import LiftwildError
from tests.support.shards import make_shards, opened
from tests.support.stores import make_store, sample

FORK = multiprocessing.get_context("fork")  # what memory:// holds goes along


@pytest.fixture
def place(tmp_path: Path) -> str:
    """An address with four shards of a person each."""
    return make_shards(f"memory://{tmp_path.name}/s", [[0], [1], [2], [3]])


def kept(cache: Path) -> int:
    """How many shards a cache holds."""
    return len(list(cache.glob("*.arrow")))


def test_what_was_used_longest_ago_goes_first(tmp_path: Path, place: str) -> None:
    cache = tmp_path / "cache"
    sizes = [shard.bytes for shard in opened(place, cache).manifest.shards]
    store = opened(place, cache, 2.5 * max(sizes) / 1e9)  # room for two
    names = [f"{shard.sha256}.arrow" for shard in store.manifest.shards]

    def use(number: int, at: int) -> None:
        assert opened(place, cache, store.cache.most_gb)[number].annotation_id == number
        os.utime(cache / names[number], (at, at))

    use(0, 1000), use(1, 2000), use(0, 3000), use(2, 4000)
    assert {path.name for path in cache.glob("*.arrow")} == {names[0], names[2]}
    # All are read through one store, more than there is room for: what is open stays usable.
    for _ in range(2):
        assert [store[i].annotation_id for i in range(4)] == [0, 1, 2, 3]
        assert kept(cache) == 2 and sum(path.stat().st_size for path in cache.glob("*.arrow")) <= 2.5 * max(sizes)


def test_other_stores_in_that_folder_stay(tmp_path: Path, place: str) -> None:
    mine = make_store(tmp_path / "people.arrow", [sample(0, size=40)]).path
    store = opened(place, tmp_path, 1.2 * opened(place, tmp_path).manifest.shards[0].bytes / 1e9)
    assert [store[i].annotation_id for i in range(4)] == [0, 1, 2, 3] and mine.exists() and kept(tmp_path) == 2


def test_a_shard_that_has_no_room_at_all(tmp_path: Path, place: str) -> None:
    with pytest.raises(LiftwildError, match=r"may take 1e-06 GB, and one shard has .*--cache-gb"):
        opened(place, tmp_path / "cache", 1e-6)[0]
    assert kept(tmp_path / "cache") == 0


def test_a_cache_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(LiftwildError, match="cannot be made a folder"):
        opened(place, tmp_path / "cache")[0]


def test_a_full_disk_is_said(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: ShardFolder, name: str, into: Path) -> None:
        into.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ShardFolder, "fetch", full)
    with pytest.raises(LiftwildError, match="cannot be written: No space left on device"):
        opened(place, tmp_path / "cache")[0]
    assert not [path for path in (tmp_path / "cache").iterdir() if not path.name.startswith("lock-")]


def test_what_was_damaged_in_the_cache_is_fetched_anew(tmp_path: Path, place: str) -> None:
    store = opened(place, tmp_path / "cache")
    assert store[1].annotation_id == 1
    (path,) = (tmp_path / "cache").glob("*.arrow")
    for content in (b"", path.read_bytes()[:-100]):
        path.write_bytes(content)
        assert opened(place, tmp_path / "cache")[1].annotation_id == 1
        assert path.stat().st_size == store.manifest.shards[1].bytes


def test_a_process_that_is_killed_in_a_download_leaves_nothing(tmp_path: Path, place: str) -> None:
    def killed() -> None:
        def fetch(self: ShardFolder, name: str, into: Path) -> None:
            into.write_bytes(b"half of it")
            os.kill(os.getpid(), signal.SIGKILL)

        ShardFolder.fetch = fetch  # type: ignore[method-assign]
        opened(place, tmp_path / "cache")[2]

    process = FORK.Process(target=killed)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and kept(tmp_path / "cache") == 0
    assert list((tmp_path / "cache").glob(".liftwild-*"))
    assert opened(place, tmp_path / "cache")[2].annotation_id == 2  # nobody waits for the lock of a dead process
    assert not list((tmp_path / "cache").glob(".liftwild-*"))


def test_processes_fetch_a_shard_once(tmp_path: Path, place: str) -> None:
    counted = tmp_path / "fetched"
    fetch = ShardFolder.fetch

    def read() -> None:
        def counting(self: ShardFolder, name: str, into: Path) -> None:
            with counted.open("a") as file:
                file.write(f"{name}\n")
            fetch(self, name, into)

        ShardFolder.fetch = counting  # type: ignore[method-assign]
        store = opened(place, tmp_path / "cache")
        assert [store[i].annotation_id for i in range(4)] == [0, 1, 2, 3]

    processes = [FORK.Process(target=read) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(counted.read_text().split()) == [f"0000{number}.arrow" for number in range(4)]


def test_the_next_shards_come_beside(tmp_path: Path, place: str) -> None:
    store = opened(place, tmp_path / "cache")
    store.fetch_ahead([1, 3])
    thread = store._ahead[1]
    assert thread is not None
    thread.join()
    assert kept(tmp_path / "cache") == 2
    store.fetch_ahead([1, 3])
    assert store._ahead[1] is thread  # once
    small = opened(place, tmp_path / "small", 3 * store.manifest.shards[0].bytes / 1e9)
    small.fetch_ahead([1, 3])
    assert small._ahead[1] is None  # it would drive out what is in use
    local = opened(make_shards(tmp_path / "here", [[0]]), tmp_path / "cache")
    local.fetch_ahead([0])
    assert local._ahead[1] is None  # nothing to fetch


def test_the_usual_folder(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTWILD_CACHE", str(tmp_path / "mine"))
    assert ShardedStore(place)[0].annotation_id == 0 and kept(tmp_path / "mine" / "shards") == 1
    monkeypatch.setenv("LIFTWILD_CACHE", "")
    with pytest.raises(LiftwildError, match="name one with --cache"):
        ShardedStore(place)[0]
