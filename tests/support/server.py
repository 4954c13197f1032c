"""A server to ask: one in this process, or one that was started as a user starts it."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from liftwild.app.server import config_of, create_app
from liftwild.app.settings import Limits, Settings
from liftwild.app.state import State
from tests.support.commands import ENVIRONMENT
from tests.support.paths import ROOT

PHOTO = ROOT / "examples" / "person.jpg"
CLIP = ROOT / "examples" / "clip.mp4"
START_S, END_S = 120.0, 30.0
BASE = "http://127.0.0.1"


def settings_of(folder: Path, **changes: Any) -> Settings:
    """Settings of a server with small weights; ``changes``: of its settings, or of its limits."""
    limits = {name: changes.pop(name) for name in list(changes) if name in Limits.__dataclass_fields__}
    return replace(Settings(folder, weights="small", runtime="torch", limits=Limits(**limits)), **changes)


@asynccontextmanager
async def asked(settings: Settings, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server in this process, which has no port; its processes are real, and start when they are needed.

    An answer is handed over once it is whole: of events, all at once. ``client.state`` is the server's.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    state = State(settings)
    transport = httpx.ASGITransport(create_app(state), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers, timeout=None) as client:
        client.state = state  # type: ignore[attr-defined]
        try:
            await state.start_jobs()
            yield client
        finally:
            await state.end()


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[tuple[str, State]]:
    """A server in this process at a port of its own: HOST:PORT, and its state; its processes start when needed."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    state = State(settings)
    server = uvicorn.Server(config_of(state))
    with socket.create_server((settings.host, 0)) as bound:
        serving = asyncio.create_task(server.serve([bound]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield f"{settings.host}:{bound.getsockname()[1]}", state
        finally:
            server.should_exit = True
            await serving
            await state.end()


@dataclass
class RunningServer:
    """A server that was started as a user starts it. ``address``: http://127.0.0.1:PORT; ``process``: it; ``folder``:
    its data."""

    address: str
    process: subprocess.Popen[str]
    folder: Path

    def end(self) -> int:
        """End it as Ctrl-C does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(END_S)

    def kill(self) -> None:
        """End it as the system may: at once."""
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """What it wrote on stderr so far."""
        return (self.folder.parent / f"{self.folder.name}.stderr").read_text(encoding="utf-8")


@contextmanager
def running_server(folder: Path, *options: str) -> Iterator[RunningServer]:
    """``liftwild serve --port 0 --data FOLDER`` with small weights, ready to answer; ended when the block ends.

    ``options``: more of the command line.
    """
    command = [sys.executable, "-m", "liftwild", "serve", "--port", "0", "--data", str(folder), "--weights", "small",
               "--runtime", "torch", *options]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.stderr").open("a") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    try:
        begun = time.monotonic()
        line = process.stdout.readline()
        assert line.startswith("liftwild serves http"), (line, time.monotonic() - begun)
        address = line.split()[-1].partition("/enter")[0].rstrip("/")
        yield RunningServer(address, process, folder)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()
