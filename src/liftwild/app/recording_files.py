"""Files, pages and pictures of recordings, made by processes that open uploads and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from liftwild import __version__
from liftwild.app.engine import split_files
from liftwild.app.job_store import Job
from liftwild.app.jobs import Jobs
from liftwild.app.messages import Message
from liftwild.app.problem import ProblemError
from liftwild.app.recording_folder import PICTURE
from liftwild.app.upload_name import errors_named
from liftwild.app.video_limits import ClipLimits
from liftwild.app.wishes import FileWishes
from liftwild.app.worker import Started, TooSlowError, WorkerDiedError, WorkerPool
from liftwild.errors import LiftwildError

PROCESSES = 2
FILES_NICE = 3
FILES_S = 600.0  # for one; a page reads its whole video again
RETRY_S = 10.0


class RecordingFiles:
    """Makes what clients ask for of recordings."""

    def __init__(self, jobs: Jobs, started: Started) -> None:
        self.jobs, self.limits = jobs, jobs.settings.limits
        self._pool = WorkerPool(
            PROCESSES, "liftwild.app.files_process", self.limits.decoder_memory, FILES_NICE, started
        )
        self._asked = 0
        self._making: dict[Path, asyncio.Lock] = {}

    async def start(self) -> None:
        """Have a process ready."""
        await self._pool.workers[0].start()

    async def inspect(self, id: str) -> dict[str, Any]:
        """What an upload is: ``kind``, and of a clip ``facts``. LiftwildError if it is nothing that is taken."""
        try:
            message = await self._pool.ask(self._fields(id, "inspect"), limit_s=self.limits.decode_s)
        except TooSlowError:
            raise LiftwildError(f"upload: could not be opened within {self.limits.decode_s:.0f} s") from None
        except (WorkerDiedError, MemoryError):
            raise LiftwildError("upload: is damaged: it ended the program that opens it; save it anew") from None
        return message.fields

    async def files(self, job: Job, wanted: FileWishes, task: str = "files") -> list[tuple[str, bytes]]:
        """The recording in a format, or with ``task`` "angles" the table of its joint angles."""
        answer = await self._ask(job, task, files=asdict(wanted))
        return split_files(answer.fields["files"], answer.content)

    async def page(self, job: Job, kind: str) -> Path:
        """The file of a page, "view" or "report", or of the "picture"; it is made once."""
        name = PICTURE if kind == "picture" else f"{kind}-{__version__}.html"
        path = self.jobs.folders.of(job.id) / name
        with self._alone(path) as alone:
            async with alone:
                if not await asyncio.to_thread(path.exists):
                    answer = await self._ask(job, kind)
                    await asyncio.to_thread(self.jobs.folders.write, job.id, name, answer.content)
                    await self.jobs.change(job.id)
        return path

    async def _ask(self, job: Job, task: str, **fields: Any) -> Message:
        if self._asked >= self.limits.files_at_once:
            raise ProblemError(429, "the server has enough files to make; try again later", RETRY_S)
        self._asked += 1
        try:
            asked = {**self._fields(job.id, task), "kind": job.kind, "wishes": job.wishes, **fields}
            with errors_named(job.name):
                return await self._pool.ask(asked, limit_s=FILES_S)
        except (WorkerDiedError, MemoryError):
            raise LiftwildError(f"{task}: it ended the program that makes it, which may use so much memory") from None
        finally:
            self._asked -= 1

    def _fields(self, id: str, task: str) -> dict[str, Any]:
        return {
            "task": task, "folder": str(self.jobs.folders.of(id).absolute()),
            "limits": asdict(ClipLimits.of(self.limits)), "max_pixels": self.limits.photo_pixels,
        }  # fmt: skip

    @contextmanager
    def _alone(self, path: Path) -> Iterator[asyncio.Lock]:
        """A lock for those that want the same file."""
        lock = self._making.setdefault(path, asyncio.Lock())
        try:
            yield lock
        finally:
            if not lock.locked():
                self._making.pop(path, None)

    async def end(self) -> None:
        """End the processes."""
        await self._pool.end()
