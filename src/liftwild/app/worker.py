"""A process of the server, as the server sees it: asked without waiting, started again when it dies."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from liftwild.app.messages import LENGTHS, MAX_FIELDS_BYTES, Message
from liftwild.errors import LiftwildError
from liftwild.threads import usable_cores

Told = Callable[[dict[str, Any]], object]
Started = Callable[[str], object]
START_S = 120.0  # until a process says that it is ready; machines are busy
END_S = 2.0  # from its last word to its end


class WorkerDiedError(Exception):
    """The process ended before it answered."""


class TooSlowError(Exception):
    """No answer came in time; the process was ended."""


class WorkerFaultError(Exception):
    """The process failed on a request, and lives."""


class Worker:
    """One process that runs ``python -m module``; it is started when it is first asked.

    ``settings``: what it is told at the start. ``memory_bytes``: that it may use. ``nice``: how far it steps back for
    others. ``started`` is told the module at each start. Requests are numbered: several may wait for their answers.
    """

    def __init__(
        self, module: str, memory_bytes: int, nice: int = 0, started: Started | None = None, **settings: Any
    ) -> None:
        self.module, self._started = module, started
        self.settings = {**settings, "memory_bytes": memory_bytes, "nice": nice}
        self.facts: dict[str, Any] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._told: dict[int, Told] = {}
        self._numbers = itertools.count(1)
        self._listener: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Of the process, if it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it, if it does not run, and wait until it is ready. LiftwildError if its start was refused, as by
        broken weights."""
        async with self._starting:
            if self.pid is not None:
                return
            if self._started is not None:
                self._started(self.module)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                limit=1 << 20, env=worker_environment(),
                process_group=0,  # no session of its own: Linux weighs niceness within a session alone
            )  # fmt: skip
            self._process = process
            ready = self._waiting[0] = asyncio.get_running_loop().create_future()
            self._listener = asyncio.create_task(self._listen(process))
            try:
                self._send(process, Message(self.settings))
                self.facts = (await asyncio.wait_for(ready, START_S)).fields
            except TimeoutError:
                await self.end()
                raise TooSlowError(f"{self.module} was not ready within {START_S:.0f} s") from None

    @property
    def status(self) -> int | None:
        """With which the process ended; less than 0: by that signal."""
        return None if self._process is None else self._process.returncode

    async def ask(
        self, fields: dict[str, Any], content: bytes = b"", limit_s: float | None = None, told: Told | None = None
    ) -> Message:
        """The answer to a request.

        ``limit_s``: after that the process is ended, with whatever else it does. ``told``: hears how far it is.
        LiftwildError if the input is at
        fault; WorkerDiedError, TooSlowError, WorkerFaultError; MemoryError if the process had too little.
        """
        await self.start()
        process = self._process
        if process is None or process.returncode is not None:
            raise WorkerDiedError(self.module)
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        if told is not None:
            self._told[number] = told
        try:
            self._send(process, Message({"number": number, **fields}, content))
            return await asyncio.wait_for(answer, limit_s)
        except TimeoutError:
            await self.end()
            raise TooSlowError(f"not done within {limit_s:.0f} s") from None
        finally:
            self._waiting.pop(number, None)
            self._told.pop(number, None)

    async def end(self) -> None:
        """End the process."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._listener is not None:
            await self._listener

    def _send(self, process: asyncio.subprocess.Process, message: Message) -> None:
        assert process.stdin is not None
        if process.stdin.is_closing():
            raise WorkerDiedError(self.module)
        for piece in message.pieces():
            process.stdin.write(piece)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stdout
        assert stream is not None
        try:
            while True:
                length, more = LENGTHS.unpack(await stream.readexactly(LENGTHS.size))
                if length > MAX_FIELDS_BYTES:
                    break
                fields = json.loads(await stream.readexactly(length))
                self._settle(Message(fields, await stream.readexactly(more)))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        try:  # what it said is over, and so is it; to kill one that has just ended confuses asyncio
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(WorkerDiedError(self.module))

    def _settle(self, message: Message) -> None:
        number = int(message.fields.pop("number"))
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
            kinds = {"input": LiftwildError, "memory": MemoryError}
            answer.set_exception(kinds.get(str(message.fields.get("kind")), WorkerFaultError)(error))


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
        try:
            return await worker.ask(fields, content, limit_s)
        except asyncio.CancelledError:  # nobody wants its answer: the next request must not wait for it
            await worker.end()
            raise
        finally:
            self._free.put_nowait(worker)

    async def end(self) -> None:
        """End them all."""
        await asyncio.gather(*(worker.end() for worker in self.workers))


def worker_environment() -> dict[str, str]:
    """The environment of the server's processes: threads of libraries that stand idle use no core."""
    return {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": str(usable_cores()), **os.environ}
