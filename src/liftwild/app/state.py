"""What the routes of one server share."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.requests import HTTPConnection, Request

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
from liftwild.app.worker import TooSlowError, WorkerDiedError, WorkerFaultError
from liftwild.errors import LiftwildError

T = TypeVar("T")
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
    def body_room(self) -> Iterator[Callable[[int], None]]:
        """Room for a photo while it is received: what is yielded is told of each so many bytes that come in.

        It takes no place of those that are worked on: slow clients keep nobody waiting. ProblemError 429 if there is
        no room, or none among those that are worked on.
        """
        held = 0

        def hold(count: int) -> None:
            nonlocal held
            self._hold(count)
            held += count

        self._check_places()
        try:
            yield hold
        finally:
            self._photo_bytes -= held

    @contextmanager
    def photo_room(self, size: int = 0) -> Iterator[None]:
        """Room for a photo while it is worked on; ``size``: bytes of it that no ``body_room`` counts. ProblemError 429
        if there is none."""
        self._check_places()
        self._hold(size)
        self._photos += 1
        self.metrics.photos.set(self._photos)
        try:
            yield
        finally:
            self._photos -= 1
            self._photo_bytes -= size
            self.metrics.photos.set(self._photos)

    def _check_places(self) -> None:
        if self._photos >= self.settings.limits.photos_at_once:
            raise ProblemError(429, "the server has enough photos to work on; try again later", RETRY_S)

    def _hold(self, count: int) -> None:
        if self._photo_bytes + count > self.settings.limits.photo_bytes_at_once:
            raise ProblemError(429, "the server has enough photos in its memory; try again later", RETRY_S)
        self._photo_bytes += count

    async def start(self) -> None:
        """Have everything ready. LiftwildError if the weights cannot be used, or a process cannot be started."""
        await self.start_jobs()
        try:
            await asyncio.gather(self.engine.start(), self.files.start())
        except TooSlowError as error:
            raise LiftwildError(
                f"the server's processes are not ready: {error}; start it when less is going on"
            ) from None
        except (WorkerDiedError, WorkerFaultError) as error:
            raise LiftwildError(
                f"a process of the server does not start ({error}); is there enough memory for it?"
            ) from None

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
    return f"{owner_of(connection)} {_home(connection.client.host if connection.client else '')}"


def _home(address: str) -> str:
    """Of an address of IPv6 its network: whoever has one has all that are in it."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # whatever a proxy says
        return address[:64]
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address


async def while_client_waits(request: Request, work: Coroutine[object, object, T]) -> T:
    """What ``work`` returns; it is cancelled when the client goes, and ProblemError 400 raised, which nobody sees."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, going = asyncio.create_task(work), asyncio.create_task(gone())
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ProblemError(400, "the client has gone")
        return working.result()
    finally:
        working.cancel()
        going.cancel()
        await asyncio.wait({working, going})
