"""The camera's process as the server sees it: who may have a session, and when the process runs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from liftwild.app.metrics import Metrics
from liftwild.app.problem import ProblemError
from liftwild.app.settings import Settings
from liftwild.app.worker import Started, TooSlowError, Worker, WorkerDiedError, WorkerFaultError
from liftwild.errors import LiftwildError, reason_of_os

LIVE_NICE = 0  # live pictures go before photos, photos before videos
PICTURE_S = 10.0  # for a picture, with those of other sessions before it
KEEP_S = 60.0  # that the process stays after the last session


class LiveEngine:
    """Follows people before cameras, for several sessions at once, in one process."""

    def __init__(self, settings: Settings, metrics: Metrics, started: Started) -> None:
        self.settings, self.metrics = settings, metrics
        self.worker = Worker(
            "liftwild.app.live_process", settings.limits.worker_memory, LIVE_NICE, started,
            weights=settings.live_weights, runtime=settings.runtime,
            max_pixels=settings.limits.live_pixels, sessions=settings.limits.live_sessions,
        )  # fmt: skip
        self.sessions = 0
        self._closed: LiveSession | None = None  # the last that was
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def session(self, **options: Any) -> AsyncIterator[LiveSession]:
        """A place for one camera, and the process about to be ready. ``options``: of ``LiveSession``.

        ProblemError 429 if all places are taken.
        """
        if self.sessions >= self.settings.limits.live_sessions:
            raise ProblemError(429, "the server follows enough cameras; try again later")
        self._count(1)
        session = LiveSession(self, options)
        # Its faults are told to the first picture, which starts it again.
        self._keep(asyncio.create_task(_quietly(self.worker.start())))
        try:
            yield session
        finally:
            self._count(-1)
            self._closed = session
            self._keep(asyncio.create_task(self._forget(session)))

    async def _forget(self, session: LiveSession) -> None:
        """Have the process forget a session, and end a while after the last one."""
        if self.worker.pid is not None:
            await _quietly(self.worker.ask({"session": session.key, "ends": True}, limit_s=PICTURE_S))
        await asyncio.sleep(KEEP_S)
        if self._closed is session and not self.sessions:
            await self.worker.end()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)  # else it may be collected while it runs
        task.add_done_callback(self._tasks.discard)

    def _count(self, change: int) -> None:
        self.sessions += change
        self.metrics.live.set(self.sessions)

    async def end(self) -> None:
        """End the process."""
        for task in self._tasks:
            task.cancel()
        await self.worker.end()


class LiveSession:
    """One camera. ``options``: its ``weights``, ``people``, ``fov``, ``height_m``."""

    def __init__(self, engine: LiveEngine, options: dict[str, Any]) -> None:
        self.engine, self.options = engine, options
        self.key = secrets.token_hex(8)

    async def poses(self, time_s: float, picture: bytes) -> dict[str, Any]:
        """What is answered to a picture taken at ``time_s``: people, or one line of what is wrong with it."""
        fields = {"session": self.key, "t": time_s, **self.options}
        try:
            answer = await self.engine.worker.ask(fields, picture, PICTURE_S)
        except (LiftwildError, WorkerFaultError) as error:
            return {"t": time_s, "error": str(error)}
        except (WorkerDiedError, TooSlowError):
            return {"t": time_s, "error": "the process that finds poses ended; it starts anew"}
        except MemoryError:
            return {"t": time_s, "error": "there is not enough memory for the picture"}
        except OSError as error:
            return {"t": time_s, "error": f"the process that finds poses cannot be started: {reason_of_os(error)}"}
        self.engine.metrics.frames.inc()
        return {"t": time_s, **answer.fields}


async def _quietly(work: Any) -> None:
    """Await ``work``; what is wrong with the process is told elsewhere."""
    with suppress(LiftwildError, WorkerDiedError, WorkerFaultError, TooSlowError, MemoryError, OSError):
        await work
