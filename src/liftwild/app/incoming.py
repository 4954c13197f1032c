"""Uploads on their way to become recordings: how many there may be, and what is left of those that do not."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from liftwild.app.jobs import Jobs
from liftwild.app.problem import ProblemError
from liftwild.app.recording_folder import UPLOAD

RETRY_S = 10.0
QUEUE_RETRY_S = 60.0


class Incoming:
    """An upload in the folder of the recording that it may become. ``is_kept``: whether it did."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.id = secrets.token_urlsafe(16)
        self.path: Path = jobs.folders.of(self.id) / UPLOAD
        self.size, self.is_kept = 0, False

    async def grow(self, more: int) -> None:
        """Have room for so many bytes more; ProblemError 507 if there is none."""
        await self._jobs.make_room(more)
        self.size += more
        self._jobs.incoming_bytes += more


class IncomingUploads:
    """All that are on their way."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._of: Counter[str] = Counter()

    @asynccontextmanager
    async def begin(self, client: str) -> AsyncIterator[Incoming]:
        """A folder for an upload of ``client``; it is gone when the block ends, unless the upload ``is_kept``.

        ProblemError 429 if there are too many.
        """
        limits = self._jobs.settings.limits
        if self._of.total() >= limits.uploads_at_once or self._of[client] >= limits.uploads_each:
            raise ProblemError(429, "too many uploads at once; try again later", RETRY_S)
        self._of[client] += 1
        incoming = Incoming(self._jobs)
        try:
            await asyncio.to_thread(self._jobs.folders.make, incoming.id)
            yield incoming
        finally:
            self._of[client] -= 1
            self._of += Counter()  # forgets those at 0
            self._jobs.incoming_bytes -= incoming.size
            if not incoming.is_kept:
                await asyncio.to_thread(self._jobs.folders.remove, incoming.id)

    async def check_queue(self, client: str) -> None:
        """ProblemError 429 if the queue has no room for a video of ``client``."""
        limits = self._jobs.settings.limits
        queued, own = await asyncio.to_thread(self._jobs.store.queued, client)
        if queued >= limits.videos_queued or own >= limits.videos_queued_each:
            raise queue_is_full()


def queue_is_full() -> ProblemError:
    """What is answered where the queue has no room."""
    return ProblemError(429, "the server has enough videos to work on; try again later", QUEUE_RETRY_S)
