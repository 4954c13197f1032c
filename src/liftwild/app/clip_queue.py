"""Videos are worked off one after the other, each by a process of its own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import Any

from liftwild.app.job_store import DONE, FAILED, QUEUED, WORKING, Job
from liftwild.app.jobs import NOT_BEGUN, Jobs
from liftwild.app.messages import Message
from liftwild.app.upload_name import named
from liftwild.app.video_limits import ClipLimits
from liftwild.app.worker import Started, TooSlowError, Worker, WorkerDiedError, WorkerFaultError
from liftwild.errors import line_of, reason_of_os

CLIP_NICE = 10  # photos go before videos
LOOK_EVERY_S = 5.0
ROOM_S = 60.0  # until what there was no room for is tried again
AGAIN_S = 5.0  # after the list of recordings could not be written


class ClipQueue:
    """Takes from ``jobs`` what is queued, the oldest first."""

    def __init__(self, jobs: Jobs, started: Started) -> None:
        self.jobs, self.settings, self._started = jobs, jobs.settings, started
        self._current: tuple[str, Worker] | None = None
        self._task: asyncio.Task[None] | None = None
        self._heard_s = 0.0
        jobs.end_work = self._end_work

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """End the process; the next server goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def pid(self) -> int | None:
        """Of the process that works now."""
        return None if self._current is None else self._current[1].pid

    async def _end_work(self, id: str) -> None:
        if self._current is not None and self._current[0] == id:
            await self._current[1].end()

    async def _run(self) -> None:
        while True:
            self.jobs.is_new.clear()
            try:
                job = await asyncio.to_thread(self.jobs.store.next_queued)
                if job is None:
                    await self.jobs.is_new.wait()
                else:
                    await self._work(job)
            except OSError:
                await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        """The disk is full, and not even that can be noted: what was in work is taken up again once there is room."""
        while True:
            await asyncio.sleep(AGAIN_S)
            try:
                await asyncio.to_thread(self.jobs.store.requeue)
                return
            except OSError:
                continue

    async def _work(self, job: Job) -> None:
        limits = self.settings.limits
        worker = Worker(
            "liftwild.app.clip_process", limits.worker_memory, CLIP_NICE, self._started,
            weights=job.weights, runtime=self.settings.runtime,
        )  # fmt: skip
        self._current = job.id, worker
        try:
            self.jobs.tell_progress(job.id, NOT_BEGUN)
            if not await self.jobs.change(job.id, state=WORKING):
                return
            try:
                fields = (await self._ask(worker, job)).fields
                found = {"facts": dict(fields["facts"]), "notes": list(fields["notes"])}
            except (WorkerDiedError, TooSlowError):
                await worker.end()
                await self._died(job, worker.status)
            except MemoryError:
                await self._fail(job, "video: there is not enough memory for it; make it smaller, or cut it")
            except WorkerFaultError as error:
                await self._fail(job, str(error))
            except OSError as error:
                await self._no_room(job, error)
            except Exception as error:
                await self._fail(job, line_of(error, "video"))
            else:
                await self.jobs.change(job.id, state=DONE, finished=time.time(), **found)
        finally:
            self._current = None
            await worker.end()

    async def _ask(self, worker: Worker, job: Job) -> Message:
        """The answer of the process; it is ended if it says nothing for too long."""
        fields = {
            "folder": str(self.jobs.folders.of(job.id).absolute()), "name": job.name, "wishes": job.wishes,
            "limits": asdict(ClipLimits.of(self.settings.limits)),
        }  # fmt: skip
        self._heard_s = time.monotonic()

        def told(progress: dict[str, Any]) -> None:
            self._heard_s = time.monotonic()
            self.jobs.tell_progress(job.id, progress)

        asking = asyncio.create_task(worker.ask(fields, told=told))
        try:
            while not (await asyncio.wait({asking}, timeout=LOOK_EVERY_S))[0]:
                if time.monotonic() - self._heard_s > self.settings.limits.job_silence_s:
                    await worker.end()
            return asking.result()
        finally:
            asking.cancel()

    async def _died(self, job: Job, status: int | None) -> None:
        deaths = job.deaths + 1
        if deaths < self.settings.limits.job_deaths:
            await self.jobs.change(job.id, state=QUEUED, deaths=deaths)
            return
        how = (
            "it was not ready in time" if status is None else f"by signal {-status}" if status < 0 else f"with {status}"
        )
        await self._fail(
            job, f"video: it ended the process that works on it {deaths} times, the last time {how}; save it anew, "
            "smaller, or cut it", deaths=deaths,
        )  # fmt: skip

    async def _no_room(self, job: Job, error: OSError) -> None:
        """The machine has no room for it now; later it may, and if not, others wait behind it."""
        tries = job.deaths + 1
        if tries < self.settings.limits.job_deaths:
            await self.jobs.change(job.id, state=QUEUED, deaths=tries)
            await asyncio.sleep(ROOM_S)
            return
        said = f"the server has no room to work on it: {reason_of_os(error)}; send it again later"
        await self._fail(job, f"video: {said}", deaths=tries)

    async def _fail(self, job: Job, error: str, **values: Any) -> None:
        await self.jobs.change(job.id, state=FAILED, error=named(error, job.name), finished=time.time(), **values)
