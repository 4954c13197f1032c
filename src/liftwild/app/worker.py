"""A process of the server, as the server sees it: asked without waiting, started again when it dies."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from liftwild.app.messages import LENGTHS, MAX_FIELDS_BYTES, Message
from liftwild.errors import LiftwildError
from liftwild.threads import usable_cores

Told = Callable[[dict[str, Any]], object]
Started = Callable[[str], object]
START_S = 120.0  # until a process says that it is ready; machines are busy
END_S = 2.0  # from its last word to its end
MAX_CONTENT_BYTES = 1 << 29  # of an answer: a process that was taken over fills no memory of the server's


class WorkerDiedError(Exception):
    """The process ended before it answered."""


class TooSlowError(Exception):
    """No answer came in time; the process was ended."""


class WorkerFaultError(Exception):
    """The process failed on a request, and lives."""


class _Life:
    """A process from its start to its end: what it was asked, and what it answers."""

    def __init__(self, module: str, process: asyncio.subprocess.Process) -> None:
        self.module, self.process = module, process
        self.last_answer = time.monotonic()
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._told: dict[int, Told] = {}
        self._listener = asyncio.create_task(self._listen())

    @property
    def lasts(self) -> bool:
        """Whether it can still answer."""
        return self.process.returncode is None and not self._listener.done()

    async def ask(self, number: int, message: Message, limit_s: float | None, told: Told | None = None) -> Message:
        """The answer to ``message``, which ``number`` is to be known by."""
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        if told is not None:
            self._told[number] = told
        begun = time.monotonic()
        try:
            self._send(message)
            while not answer.done():
                left = None
                if limit_s is not None:
                    left = max(begun, self.last_answer) + limit_s - time.monotonic()
                    if left <= 0:
                        await self.end()
                        raise TooSlowError(f"not done within {limit_s:g} s")
                await asyncio.wait({answer}, timeout=left)
            return answer.result()
        finally:
            del self._waiting[number]
            self._told.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # was seen

    async def end(self) -> None:
        """End it, whatever it does."""
        self._kill()
        await asyncio.wait({self._listener})

    def _kill(self) -> None:
        # asyncio's own way would wait for it, too, and that its watcher does.
        if self.lasts:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    def _send(self, message: Message) -> None:
        stream = self.process.stdin
        assert stream is not None
        if not self.lasts or stream.is_closing():
            raise WorkerDiedError(self.module)
        for piece in message.pieces():
            stream.write(piece)

    async def _listen(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        try:
            while True:
                length, more = LENGTHS.unpack(await stream.readexactly(LENGTHS.size))
                if length > MAX_FIELDS_BYTES or more > MAX_CONTENT_BYTES:
                    break
                fields = json.loads(await stream.readexactly(length))
                self._settle(Message(fields, await stream.readexactly(more)))
        except Exception:  # it has ended, or what it says makes no sense
            pass
        try:  # what it said is over, and so is it, mostly
            await asyncio.wait_for(self.process.wait(), END_S)
        except TimeoutError:
            self._kill()
            await self.process.wait()
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(WorkerDiedError(self.module))

    def _settle(self, message: Message) -> None:
        number = int(message.fields.pop("number"))
        self.last_answer = time.monotonic()
        if "progress" in message.fields:
            if number in self._told:
                self._told[number](message.fields["progress"])
            return
        answer = self._waiting.get(number)
        if answer is None or answer.done():  # nobody waits any more
            return
        error = message.fields.get("error")
        if error is None:
            answer.set_result(message)
        else:
            answer.set_exception(_error_of(message.fields))


def _error_of(fields: dict[str, Any]) -> Exception:
    """What ``child.Parent.refuse`` was told."""
    said, kind = str(fields["error"]), fields.get("kind")
    if kind == "system":
        return OSError(int(fields.get("errno", 0)), said)
    kinds = {"input": LiftwildError, "memory": MemoryError}
    return kinds.get(str(kind), WorkerFaultError)(said)


class Worker:
    """One process that runs ``python -m module``; it is started when it is first asked, and again when it has died.

    ``settings``: what it is told at the start. ``memory_bytes``: that it may use. ``nice``: how far it steps back for
    others. ``started`` is told the module at each start. Requests are numbered: several may wait for their answers.
    """

    def __init__(
        self, module: str, memory_bytes: int, nice: int = 0, started: Started | None = None, **settings: Any
    ) -> None:
        self.module, self._tell_start = module, started
        self.settings = {**settings, "memory_bytes": memory_bytes, "nice": nice}
        self._life: _Life | None = None
        self._numbers = itertools.count(1)
        self._starting: asyncio.Task[_Life] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, if it runs."""
        return self._life.process.pid if self._life is not None and self._life.lasts else None

    @property
    def status(self) -> int | None:
        """With which the process ended; less than 0: by that signal."""
        return None if self._life is None else self._life.process.returncode

    async def start(self) -> None:
        """Start it, if it does not run, and wait until it is ready. LiftwildError if its start was refused, as by
        broken weights."""
        await self._started()

    async def ask(
        self, fields: dict[str, Any], content: bytes = b"", limit_s: float | None = None, told: Told | None = None
    ) -> Message:
        """The answer to a request. Who stops waiting for it disturbs no other.

        ``limit_s``: when the process has said nothing at all for so long, it is ended, with whatever else it does.
        ``told``: hears how far it is.
        LiftwildError if the input is at fault; WorkerDiedError, TooSlowError, WorkerFaultError; OSError if the system
        has no room, MemoryError if it had too little.
        """
        life = await self._started()
        number = next(self._numbers)
        return await life.ask(number, Message({"number": number, **fields}, content), limit_s, told)

    async def end(self) -> None:
        """End the process; to ask again starts another."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self._life is not None:
            await self._life.end()

    async def _started(self) -> _Life:
        if self._starting is None:
            if self._life is not None and self._life.lasts:
                return self._life
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._start_over)
        starting = self._starting
        try:
            return await asyncio.shield(starting)  # of all who wait for it
        except asyncio.CancelledError:
            if starting.cancelled():  # not this one, but the start was ended
                raise WorkerDiedError(self.module) from None
            raise

    def _start_over(self, starting: asyncio.Task[_Life]) -> None:
        self._starting = None
        if not starting.cancelled():
            starting.exception()  # whoever waits for it has it

    async def _start(self) -> _Life:
        if self._tell_start is not None:
            self._tell_start(self.module)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self.module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            limit=1 << 20, env=worker_environment(),
            process_group=0,  # no session of its own: Linux weighs niceness within a session alone
        )  # fmt: skip
        life = self._life = _Life(self.module, process)
        try:
            await life.ask(0, Message(self.settings), START_S)
        except BaseException:
            await life.end()
            raise
        return life


class WorkerPool:
    """Several processes of one kind, each asked for one thing at a time."""

    def __init__(
        self, count: int, module: str, memory_bytes: int, nice: int = 0, started: Started | None = None, **settings: Any
    ) -> None:
        self.workers = [Worker(module, memory_bytes, nice, started, **settings) for _ in range(count)]
        self._free: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()
        for worker in reversed(self.workers):
            self._free.put_nowait(worker)

    async def ask(self, fields: dict[str, Any], content: bytes = b"", limit_s: float | None = None) -> Message:
        """As ``Worker.ask``, of one that is free."""
        worker = await self._free.get()
        # It goes on when nobody wants its answer any more: to start a process anew takes longer than most answers.
        asking = asyncio.create_task(worker.ask(fields, content, limit_s))

        def free(done: asyncio.Task[Message]) -> None:
            self._free.put_nowait(worker)
            if not done.cancelled():
                done.exception()  # whoever waits for it has it

        asking.add_done_callback(free)
        return await asyncio.shield(asking)

    async def end(self) -> None:
        """End them all."""
        await asyncio.gather(*(worker.end() for worker in self.workers))


def worker_environment() -> dict[str, str]:
    """The environment of the server's processes: threads of libraries that stand idle use no core."""
    return {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": str(usable_cores()), **os.environ}
