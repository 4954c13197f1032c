"""``/v1/live``: pictures of a camera in, people and their poses out, over a WebSocket; nothing of them is kept."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from liftwild.app.guard import Rate
from liftwild.app.live_engine import LiveSession
from liftwild.app.problem import ProblemError
from liftwild.app.queries import weights_of
from liftwild.app.settings import Limits
from liftwild.app.state import client_of, state_of
from liftwild.errors import LiftwildError
from liftwild.pipeline.options import PoseOptions
from liftwild.skeleton import MPII_16

router = APIRouter()
MOST_PEOPLE = 6
TIME = struct.Struct("<d")
BURST_S = 1.0  # of pictures that come at once, as after a pause of the network
UNREADABLE, REFUSED, TOO_LARGE, FULL = 1003, 1008, 1009, 1013  # of RFC 6455
HELLO = {"joint_names": list(MPII_16.names), "parents": list(MPII_16.parents)}


class _CloseError(Exception):
    """The session is to be closed, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@router.websocket("/v1/live")
async def follow_camera(
    socket: WebSocket,
    weights: str | None = None,
    people: Annotated[int, Query(ge=1, le=MOST_PEOPLE)] = MOST_PEOPLE,
    fov: float | None = None,
    height_m: float | None = None,
) -> None:
    """Answer the newest picture that waits, until the client goes."""
    state = state_of(socket)
    await socket.accept()
    try:
        state.rate.take(client_of(socket))
        used = weights_of(state.settings.live_weights, weights)
        PoseOptions(fov_deg=fov, height_m=height_m)
        async with state.live.session(weights=used, people=people, fov=fov, height_m=height_m) as session:
            await _Conversation(socket, session, state.settings.limits).run()
    except WebSocketDisconnect:
        pass
    except _CloseError as closed:
        await _close(socket, closed.code, closed.reason)
    except ProblemError as problem:
        await _close(socket, FULL if problem.status == 429 else REFUSED, problem.detail)
    except LiftwildError as error:
        await _close(socket, REFUSED, str(error))


class _Conversation:
    """One client's pictures and their answers. Only the newest picture waits; one is in work, so that sessions take
    turns."""

    def __init__(self, socket: WebSocket, session: LiveSession, limits: Limits) -> None:
        self.socket, self.session, self.limits = socket, session, limits
        self._newest: tuple[float, bytes] | None = None
        self._came = asyncio.Event()

    async def run(self) -> None:
        """Until the client goes, or is to go."""
        await self._send({"hello": HELLO})
        both = [asyncio.create_task(self._receive()), asyncio.create_task(self._answer())]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _receive(self) -> None:
        rate = Rate(self.limits.live_frames_each_s, BURST_S)
        while True:
            try:
                message = await asyncio.wait_for(self.socket.receive(), self.limits.silence_s)
            except TimeoutError:
                raise _CloseError(REFUSED, f"no picture came for {self.limits.silence_s:.0f} s") from None
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            content = message.get("bytes")
            if content is None:
                raise _CloseError(UNREADABLE, "a message is 8 bytes of time and a picture, not text")
            if len(content) > TIME.size + self.limits.live_frame_bytes:
                raise _CloseError(TOO_LARGE, f"a picture has up to {self.limits.live_frame_bytes:,} bytes")
            try:
                rate.take("")
            except ProblemError:
                most = self.limits.live_frames_each_s
                raise _CloseError(REFUSED, f"up to {most:.0f} pictures a second are taken") from None
            if len(content) <= TIME.size:
                await self._send({"t": None, "error": "a message is 8 bytes of time and a picture; this one is short"})
                continue
            (time_s,) = TIME.unpack_from(content)
            if not math.isfinite(time_s):
                await self._send({"t": None, "error": "the picture's time is no number"})
                continue
            self._newest = time_s, content[TIME.size :]
            self._came.set()

    async def _answer(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            assert self._newest is not None
            time_s, picture = self._newest
            self._newest = None
            await self._send(await self.session.poses(time_s, picture))

    async def _send(self, fields: dict[str, Any]) -> None:
        try:
            # Without spaces: a third less to send.
            await asyncio.wait_for(
                self.socket.send_text(json.dumps(fields, separators=(",", ":"))), self.limits.silence_s
            )
        except TimeoutError:
            raise _CloseError(REFUSED, "answers were not taken") from None


async def refuse(socket: WebSocket, reason: str) -> None:
    """Close a socket that was not accepted yet so that a page can read the ``reason``."""
    await socket.accept()
    await _close(socket, REFUSED, reason)


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # the client was faster
        await socket.close(code, reason[:120])
