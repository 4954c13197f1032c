"""The server: routes, guard and processes put together, and its run until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from liftwild import __version__
from liftwild.app import about, live, poses, recordings, static_files
from liftwild.app.connections import SPARE, LimitedSocket, protocol_with
from liftwild.app.guard import Guard
from liftwild.app.metrics import Metrics
from liftwild.app.problem import ANYWHERE, SCHEMA, ProblemError, answer_problem, problem_of, problem_responses
from liftwild.app.queries import check_options
from liftwild.app.settings import Settings
from liftwild.app.state import State
from liftwild.app.worker import TooSlowError, WorkerDiedError, WorkerFaultError
from liftwild.console import say
from liftwild.errors import LiftwildError, reason_of_os
from liftwild.files import make_folder
from liftwild.processes import allow_open_files

OTHER_FILES = 256  # that the server has open beside its connections
BACKLOG, AT_ONCE = 2048, 64  # connections that wait to be taken, and that are before others go on
ROUTERS = (poses.router, recordings.router, live.router, about.router, static_files.router)
GRACE_S = 3  # that answers in work have when the server is ended
KNOWN = (ProblemError, LiftwildError, TooSlowError, WorkerDiedError, WorkerFaultError, OSError, MemoryError)
DESCRIPTION = "One photo or video of people in, 3D poses out. Errors are application/problem+json with one clear line."


def create_app(state: State) -> FastAPI:
    """The ASGI application of a server, whose ``state`` the caller starts and ends."""
    app = FastAPI(
        title="liftwild", version=__version__, description=DESCRIPTION, docs_url=None, redoc_url=None,
        openapi_url="/v1/openapi.json", responses=problem_responses(*ANYWHERE), dependencies=[Depends(check_options)],
    )  # fmt: skip
    app.state.liftwild = state
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(WebSocketRequestValidationError, _close_invalid)  # type: ignore[arg-type]
    for kind in KNOWN:
        app.add_exception_handler(kind, answer_problem)
    app.add_middleware(_Counted, metrics=state.metrics)
    app.add_middleware(Guard, settings=state.settings)
    app.openapi().setdefault("components", {}).setdefault("schemas", {})["Problem"] = SCHEMA  # kept, and answered with
    return app


def serve_until_told(settings: Settings, begun: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM; ``begun`` is told the address.

    LiftwildError if the folder cannot be made, the port is taken, or the weights cannot be used.
    """
    os.umask(0o077)  # uploads are nobody else's business
    make_folder(settings.folder)
    limits = settings.limits
    allowed = allow_open_files(limits.connections + SPARE + OTHER_FILES)
    most = min(limits.connections, max(1, allowed - SPARE - OTHER_FILES))
    settings = replace(settings, limits=replace(limits, connections=most))
    listening = _listen(settings.host, settings.port)
    asyncio.run(_serve(settings, listening, begun))


async def _serve(settings: Settings, listening: socket.socket, begun: Callable[[str], object]) -> None:
    state = State(settings)
    port = listening.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # which a browser can open
    shown = f"[{host}]" if ":" in host else host
    server = _Server(config_of(state), lambda: begun(f"http://{shown}:{port}"), state.stop_telling)
    try:
        await state.start()
        await server.serve([listening])
    finally:
        await state.end()


def config_of(state: State) -> uvicorn.Config:
    """How uvicorn serves it."""
    limits = state.settings.limits
    return uvicorn.Config(
        create_app(state), http=protocol_with(limits), ws=LimitedSocket, ws_max_size=limits.live_frame_bytes + 64,
        ws_per_message_deflate=False, access_log=False, log_level="critical", server_header=False,
        timeout_keep_alive=round(limits.silence_s), timeout_graceful_shutdown=GRACE_S, backlog=AT_ONCE, lifespan="off",
    )  # fmt: skip


def _listen(host: str, port: int) -> socket.socket:
    """A socket that others may connect to from now on."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise LiftwildError(
            f"{host} port {port} cannot be listened at: {reason_of_os(error)}; choose another --port"
        ) from None


class _Server(uvicorn.Server):
    """uvicorn's, which says when it is there, and ends without an error when it is told to."""

    def __init__(self, config: uvicorn.Config, begun: Callable[[], object], ending: Callable[[], object]) -> None:
        super().__init__(config)
        self._begun, self._ending = begun, ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)  # asyncio means by it how many it takes at once, too
        self._begun()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _line_of(error: RequestValidationError | WebSocketRequestValidationError) -> str:
    first: Any = error.errors()[0]
    return f"{first['loc'][-1]}: {first['msg'][0].lower()}{first['msg'][1:]}"


async def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return ProblemError(422, _line_of(error)).response()


async def _close_invalid(socket: WebSocket, error: WebSocketRequestValidationError) -> None:
    await live.refuse(socket, _line_of(error))


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = {404: "there is nothing at this address", 405: "this address does not take that method"}
    response = ProblemError(error.status_code, said.get(error.status_code, str(error.detail))).response()
    response.headers.update(error.headers or {})
    return response


def _report(error: Exception) -> None:
    """Say where a fault of ours is; never what it was about: that may be of an upload."""
    where = [frame for frame in traceback.extract_tb(error.__traceback__) if "liftwild" in frame.filename]
    at = f" at {Path(where[-1].filename).name}:{where[-1].lineno}" if where else ""
    say(f"liftwild serve fails on a request, please report this: {type(error).__name__}{at}", err=True)


class _Counted:
    """Counts answers by route, never by address: addresses hold what is secret."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_counted)
        except Exception as error:
            _report(error)
            if status:  # half an answer: the connection is closed, so that nobody takes it for a whole one
                raise
            await problem_of(error).response()(scope, receive, send_counted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.answers.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.monotonic() - begun)
