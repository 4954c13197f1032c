"""The recordings of a server: what is known of each, who is told of changes, and how long they are kept."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from liftwild.app.downloads import writable_formats
from liftwild.app.job_store import DONE, QUEUED, WORKING, Job, JobStore
from liftwild.app.metrics import Metrics
from liftwild.app.problem import ProblemError
from liftwild.app.recording_folder import RecordingFolders
from liftwild.app.settings import Settings
from liftwild.errors import LiftwildError
from liftwild.files import lock

NO_ROOM_RETRY_S = 600.0
SWEEP_S = 30.0  # between looks for what has expired
NOT_BEGUN = {"stage": "", "done": 0, "total": None}


class Jobs:
    """The recordings of a server; ``start`` before anything else."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.folders = RecordingFolders(settings.folder)
        self.changes = Changes()
        self.incoming_bytes = 0  # of uploads that have not become recordings yet
        self.is_new = asyncio.Event()  # set when something was queued
        self.end_work: Callable[[str], Awaitable[None]] | None = None  # ends the work on a recording, whatever it is
        self._progress: dict[str, dict[str, Any]] = {}
        self._store: JobStore | None = None
        self._lock: int | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._room = asyncio.Lock()

    @property
    def store(self) -> JobStore:
        """Where they stand; its methods are for threads."""
        assert self._store is not None
        return self._store

    async def start(self) -> None:
        """Go on from where an earlier server ended. LiftwildError if another one runs, or the folder cannot be used."""
        await asyncio.to_thread(self._open)
        await self.count()
        self._sweeper = asyncio.create_task(self._sweep())

    def _open(self) -> None:
        folder = self.settings.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not lock(self._lock):
            raise LiftwildError(f"{folder} is used by another 'liftwild serve'; choose another --data")
        self._store = JobStore(folder / "recordings.sqlite")
        self._store.requeue()
        known = self._store.ids()
        self.folders.remove_others(known)
        for id in known:
            if not self.folders.of(id).is_dir():
                self._store.remove(id)

    async def end(self) -> None:
        """Let everything go; what is queued or in work stays so."""
        self.changes.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        if self._store is not None:
            await asyncio.to_thread(self._store.close)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def find(self, id: str, owner: str) -> Job:
        """A recording of ``owner``; ProblemError 404 if there is none: whose it is else, nobody learns."""
        job = await asyncio.to_thread(self.store.get, id)
        if job is None or job.owner != owner:
            raise ProblemError(404, "there is no such recording, or not any more")
        return job

    async def add(self, job: Job) -> bool:
        """Add one whose folder is there; False if the queue has no room for it."""
        limits = self.settings.limits
        most = (limits.videos_queued, limits.videos_queued_each) if job.state == QUEUED else (None, None)
        size = await asyncio.to_thread(self.folders.size, job.id)
        if not await asyncio.to_thread(self.store.add, replace(job, size=size), *most):
            return False
        await self.count()
        if job.state == QUEUED:
            self.is_new.set()
        return True

    async def change(self, id: str, **values: Any) -> bool:
        """Set columns of one; False if it is not there any more."""
        values["size"] = await asyncio.to_thread(self.folders.size, id)
        is_there = await asyncio.to_thread(lambda: self.store.change(id, **values))
        if "state" in values:
            if values["state"] != WORKING:
                self._progress.pop(id, None)
            await self.count()
            self.changes.tell_all()  # places in the queue changed, too
        return is_there

    def tell_progress(self, id: str, progress: dict[str, Any]) -> None:
        """Note how far the work is."""
        self._progress[id] = progress
        self.changes.tell(id)

    async def remove(self, id: str) -> None:
        """End the work on one, forget it and remove its files."""
        if not await asyncio.to_thread(self.store.remove, id):
            return
        if self.end_work is not None:
            await self.end_work(id)
        self._progress.pop(id, None)
        await asyncio.to_thread(self.folders.remove, id)
        await self.count()
        self.changes.tell_all()

    async def make_room(self, more: int = 0) -> None:
        """Remove the oldest that are done until ``more`` bytes fit; ProblemError 507 if they never do."""
        limits = self.settings.limits
        async with self._room:
            while True:
                total = await asyncio.to_thread(self.store.total_size) + self.incoming_bytes + more
                count = sum((await asyncio.to_thread(self.store.counts)).values())
                if total <= limits.keep_bytes and count <= limits.keep_count:
                    return
                oldest = await asyncio.to_thread(self.store.finished)
                if not oldest:
                    most = f"{limits.keep_bytes / 2**30:,.2f} GiB"
                    raise ProblemError(507, f"the server has no room for it: it keeps up to {most}", NO_ROOM_RETRY_S)
                await self.remove(oldest[0].id)

    async def sweep(self) -> None:
        """Remove what has expired."""
        before = time.time() - self.settings.limits.keep_s
        while old := await asyncio.to_thread(self.store.finished, before, 100):
            for job in old:
                await self.remove(job.id)

    async def _sweep(self) -> None:
        while True:
            try:
                await self.sweep()
                await self.make_room()
            except (OSError, ProblemError):
                pass  # the disk is full, or all that is kept is still queued: the next look may find more
            await asyncio.sleep(min(SWEEP_S, self.settings.limits.keep_s / 4))

    async def count(self) -> None:
        """Have the metrics say how many there are."""
        for state, number in (await asyncio.to_thread(self.store.counts)).items():
            self.metrics.jobs.labels(state).set(number)

    async def document(self, job: Job) -> dict[str, Any]:
        """What clients see of a recording."""
        here = f"/v1/recordings/{job.id}"
        links: dict[str, Any] = {"self": here, "events": f"{here}/events", "picture": f"{here}/picture"}
        if job.state == DONE:
            formats = [*writable_formats(), *(["angles"] if job.kind == "clip" else [])]
            links |= {"view": f"{here}/view", "files": {name: f"{here}/files/{name}" for name in formats}}
            links |= {"report": f"{here}/report"} if job.kind == "clip" else {}
        facts = {"width": None, "height": None, "frames": None, "fps": None, "people": [], **job.facts}
        return {
            "id": job.id, "name": job.name, "kind": job.kind, "state": job.state,
            "place": await asyncio.to_thread(self.store.place, job) if job.state == QUEUED else None,
            "progress": self._progress.get(job.id, NOT_BEGUN), "error": job.error or None, "notes": job.notes,
            "created": _iso(job.created),
            "expires": None if job.finished is None else _iso(job.finished + self.settings.limits.keep_s),
            **facts, "links": links,
        }  # fmt: skip


class Changes:
    """Who waits for changes of which recording."""

    def __init__(self) -> None:
        self.is_closed = False
        self._waiting: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def follow(self, id: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change."""
        event = asyncio.Event()
        self._waiting.setdefault(id, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[id].discard(event)
            if not self._waiting[id]:
                del self._waiting[id]

    def tell(self, id: str) -> None:
        """One has changed."""
        for event in self._waiting.get(id, ()):
            event.set()

    def tell_all(self) -> None:
        """All may have changed."""
        for id in self._waiting:
            self.tell(id)

    def close(self) -> None:
        """The server ends: nobody needs to wait any more."""
        self.is_closed = True
        self.tell_all()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
