"""What a server knows of its recordings, in SQLite."""

from __future__ import annotations

import errno
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from liftwild.app.job_store import DONE, QUEUED, WORKING, Job, JobStore
from liftwild.errors import LiftwildError

JOB = Job("a", "me", "here", "clip.mp4", "clip", QUEUED, "base", 1.0, {"box": [1, 2, 3, 4]}, {"fps": 25}, ["x"])


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    store = JobStore(path)
    assert store.add(JOB) and store.add(replace(JOB, id="b", owner="you"))
    assert store.change("a", state=WORKING, facts={"fps": None}, deaths=2)
    store.close()
    again = JobStore(path)
    assert again.get("a") == replace(JOB, state=WORKING, facts={"fps": None}, deaths=2, number=1)
    assert [job.id for job in again.of_owner("you", 10)] == ["b"]
    assert again.counts() == {"queued": 1, "working": 1, "done": 0, "failed": 0}
    assert again.requeue() == 1 and again.next_queued() == replace(JOB, facts={"fps": None}, deaths=2, number=1)
    assert again.remove("a") and not again.remove("a") and again.get("a") is None
    assert not again.change("a", state=DONE)
    assert again.ids() == {"b"}
    again.close()
    assert b"here" in path.read_bytes()  # of the other
    JobStore(path).remove("b")
    assert b"clip.mp4" not in path.read_bytes()  # nothing is left of what was removed


def test_no_more_are_queued_than_there_is_room_for(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "x.sqlite")
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda i: store.add(replace(JOB, id=f"{i}"), 5, 5), range(40)))
    assert sum(added) == 5 and store.queued("here") == (5, 5)
    assert not store.add(replace(JOB, id="other", client="there"), 5, 5)
    assert store.add(replace(JOB, id="other", client="there"), 6, 5)
    assert not store.add(replace(JOB, id="one more"), 10, 5)
    assert store.add(replace(JOB, id="photo", state=DONE, finished=time.time()))
    assert [store.place(job) for job in store.of_owner("me", 2)] == [6, 6]  # of what is done nobody asks


def test_what_is_over_goes_oldest_first(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "x.sqlite")
    for id, finished, size in (("a", 30.0, 5), ("b", 10.0, 7), ("c", 20.0, 1)):
        store.add(replace(JOB, id=id, state=DONE, finished=finished, size=size))
    store.add(replace(JOB, id="d", size=100))
    assert [job.id for job in store.finished(most=9)] == ["b", "c", "a"]
    assert [job.id for job in store.finished(before=20.0, most=9)] == ["b"]
    assert store.total_size() == 113


def test_a_full_disk_is_said_and_nothing_is_half_done(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "x.sqlite")
    store.add(JOB)
    store._base.execute(f"PRAGMA max_page_count = {store._base.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(OSError) as error:
        store.change("a", error="x" * 100_000)
    assert error.value.errno == errno.ENOSPC
    assert store.get("a") == replace(JOB, number=1)


@pytest.mark.parametrize("kind", ["no base", "newer"])
def test_another_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.sqlite"
    if kind == "newer":
        with sqlite3.connect(path) as base:
            base.execute("PRAGMA user_version = 99")
    else:
        path.write_bytes(b"what somebody else wrote here" * 100)
    with pytest.raises(LiftwildError, match="delete it, or choose another --data"):
        JobStore(path)
