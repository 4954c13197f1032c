"""What the routes of one server share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import HTTPConnection

from liftwild.app.clip_queue import ClipQueue
from liftwild.app.engine import PhotoEngine
from liftwild.app.guard import Rate
from liftwild.app.incoming import IncomingUploads
from liftwild.app.jobs import Jobs
from liftwild.app.live_engine import LiveEngine
from liftwild.app.metrics import Metrics
from liftwild.app.problem import ProblemError
from liftwild.app.recording_files import RecordingFiles
from liftwild.app.settings import Settings

RETRY_S = 2.0  # when there is no room: a photo takes a part of a second


class State:
    """One server: its settings, processes, counters."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.engine = PhotoEngine(settings, self._started)
        self.jobs = Jobs(settings, self.metrics)
        self.clips = ClipQueue(self.jobs, self._started)
        self.files = RecordingFiles(self.jobs, self._started)
        self.incoming = IncomingUploads(self.jobs)
        self.listeners = 0  # to events
        self.live = LiveEngine(settings, self.metrics, self._started)
        self.rate = Rate(settings.limits.photos_each_s)
        self._photos, self._photo_bytes = 0, 0

    def _started(self, module: str) -> None:
        self.metrics.starts.labels(module.rpartition(".")[2]).inc()

    @contextmanager
    def photo_room(self, size: int) -> Iterator[None]:
        """Room for a photo of ``size`` bytes while it is received and worked on; ProblemError 429 if there is none."""
        limits = self.settings.limits
        if self._photos >= limits.photos_at_once or self._photo_bytes + size > limits.photo_bytes_at_once:
            raise ProblemError(429, "the server has enough photos to work on; try again later", RETRY_S)
        self._photos += 1
        self._photo_bytes += size
        self.metrics.photos.set(self._photos)
        try:
            yield
        finally:
            self._photos -= 1
            self._photo_bytes -= size
            self.metrics.photos.set(self._photos)

    async def start(self) -> None:
        """Have everything ready. LiftwildError if the weights cannot be used."""
        await self.start_jobs()
        await asyncio.gather(self.engine.start(), self.files.start())

    async def start_jobs(self) -> None:
        """Go on with the recordings that there are; the rest starts when it is needed."""
        await self.jobs.start()
        self.clips.start()

    def stop_telling(self) -> None:
        """Let those go who wait to be told of something: the server is about to end."""
        self.jobs.changes.close()

    async def end(self) -> None:
        """End all that was started."""
        await self.clips.end()
        await asyncio.gather(self.engine.end(), self.files.end(), self.live.end())
        await self.jobs.end()


def state_of(connection: HTTPConnection) -> State:
    """The server's state."""
    found: State = connection.app.state.liftwild
    return found


def owner_of(connection: HTTPConnection) -> str:
    """Whose results a request may see."""
    return str(connection.state.owner)


def client_of(connection: HTTPConnection) -> str:
    """Who counts as one client."""
    address = connection.client.host if connection.client else ""
    return f"{owner_of(connection)} {address}"
