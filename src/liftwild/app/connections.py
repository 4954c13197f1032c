"""Connections of HTTP and WebSockets: no more than the system lets us hold, and none that stands still for long."""

from __future__ import annotations

import socket
from typing import Any

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from liftwild.app.guard import with_headers
from liftwild.app.problem import ProblemError
from liftwild.app.settings import Limits

LOOK_EVERY_S = 1.0
LINGER_S = 3.0  # that a client may go on sending after its answer, which it would not read otherwise
IDLE_S = 2.0  # after that a connection without a request makes room for another
SPARE = 128  # connections that are held only to be told that there is no room
RETRY_S = 2.0
MAX_UNREAD_BYTES = 1 << 20  # of a WebSocket
CLOSE_S = 10.0  # that a WebSocket has to close


class TimedProtocol(H11Protocol):
    """A connection that is closed when its client stands still: in the middle of a request's head, between requests,
    or while it should read an answer. Bodies are timed by whoever reads them (``uploads``)."""

    limits = Limits()

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        # asyncio does so for sockets that it opened itself; without, an answer waits up to 40 ms for what comes next.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        now = self.loop.time()
        self._idle_since, self._moved_at = now, now
        self._unread, self._has_moved, self._is_refused = 0, False, False
        self._timer = self.loop.call_later(self._look_every, self._look)
        if len(self.connections) > self.limits.connections and not self._make_room(now):
            self._is_refused = True
            self.app = _answer_full
            if len(self.connections) > self.limits.connections + SPARE:
                transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._timer.cancel()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leave it to the protocol of WebSockets, which has times of its own."""
        self._timer.cancel()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._has_moved = True
        super().resume_writing()

    def eof_received(self) -> None:
        """Say that a body is cut short to a client who still listens; the connection is then closed."""
        if self.conn.their_state is h11.SEND_BODY:
            self._refuse("the body is cut short")

    def send_400_response(self, msg: str) -> None:
        """Say that what came is no HTTP."""
        self._refuse("this is no request of HTTP, or its head is too large")

    def _refuse(self, why: str) -> None:
        """Say so where an answer may still be sent, and close the connection."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # nobody hears what the application may still say
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        response = ProblemError(400, why, closes=True).response()
        event = h11.Response(status_code=400, headers=response.raw_headers, reason=STATUS_PHRASES[400])
        for part in (event, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(part))
        self.transport.close()

    def _should_upgrade(self) -> bool:
        return not self._is_refused and super()._should_upgrade()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _look_every(self) -> float:
        return min(LOOK_EVERY_S, self.limits.silence_s / 4)

    def _make_room(self, now: float) -> bool:
        """Close the connection that has waited longest without a request; False if all have one."""
        others = (each for each in self.connections if isinstance(each, TimedProtocol) and each is not self)
        idle = [each for each in others if each._is_idle and now - each._idle_since > IDLE_S]
        if not idle:
            return False
        longest = min(idle, key=lambda each: each._idle_since)
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    def _look(self) -> None:
        now = self.loop.time()
        if self._is_silent(now) or self._is_stuck(now):
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(self._look_every, self._look)

    def _is_silent(self, now: float) -> bool:
        if not self._is_idle or self.transport.get_write_buffer_size():
            return False
        lingers = self.conn.their_state in (h11.SEND_BODY, h11.ERROR)
        return now - self._idle_since > (min(LINGER_S, self.limits.silence_s) if lingers else self.limits.silence_s)

    def _is_stuck(self, now: float) -> bool:
        unread = self.transport.get_write_buffer_size()
        least = self.limits.slowest_bytes_s * self._look_every
        if not unread or self._has_moved or unread <= self._unread - least:
            self._moved_at = now
        self._unread, self._has_moved = unread, False
        return now - self._moved_at > self.limits.silence_s


class LimitedSocket(WebSocketsSansIOProtocol):
    """A WebSocket that is closed when its client asks for more than it reads, or does not let it close."""

    def connection_made(self, transport: Any) -> None:
        """Begin to look after it."""
        super().connection_made(transport)
        self._closing_since: float | None = None
        self._timer = self.loop.call_later(LOOK_EVERY_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; each ping is answered, whether the answers are read or not."""
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()

    def _look(self) -> None:
        now = self.loop.time()
        if self.close_sent or self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > CLOSE_S:
                self.transport.abort()
                return
        self._timer = self.loop.call_later(LOOK_EVERY_S, self._look)


def protocol_with(limits: Limits) -> type[TimedProtocol]:
    """The protocol of a server that holds ``limits``."""
    return type("Protocol", (TimedProtocol,), {"limits": limits})


async def _answer_full(scope: Scope, receive: Receive, send: Send) -> None:
    problem = ProblemError(429, "the server has as many connections as it can hold; try again later", RETRY_S, True)
    await problem.response()(scope, receive, with_headers(send))
