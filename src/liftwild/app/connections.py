"""The listening side: connections that say nothing are closed, and no more are held than the system lets us."""

from __future__ import annotations

import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedProtocol(H11Protocol):
    """A connection of HTTP that is closed unless a whole request's head comes within ``SILENCE_S``."""

    SILENCE_S = 20.0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        # asyncio does so for sockets that it opened itself; without, an answer waits up to 40 ms for what comes next.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._silence = self.loop.call_later(self.SILENCE_S, self._close_silent)

    def _close_silent(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Leave the connection to the WebSocket, which has a limit of its own."""
        self._silence.cancel()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._silence.cancel()
        super().connection_lost(exc)
