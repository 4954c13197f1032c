"""What every request goes through: is it meant for this server, may it ask, and what browsers may do with answers."""

from __future__ import annotations

import time
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from liftwild.app.problem import ProblemError
from liftwild.app.settings import Settings

COOKIE = "liftwild"
MAX_HEAD_BYTES = 32 << 10
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
OPEN_PATHS = ("/healthz",)  # that tell nothing
SAFE_METHODS = ("GET", "HEAD")


class Guard:
    """Lets a request through to ``app``, with ``scope["state"]["owner"]`` said, or refuses it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        send_guarded = with_headers(send)
        try:
            scope.setdefault("state", {})["owner"] = self._owner(scope)
        except ProblemError as problem:
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": problem.detail[:120]})
            else:
                await problem.response()(scope, receive, send_guarded)
            return
        await self.app(scope, receive, send_guarded)

    def _owner(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        if sum(len(name) + len(value) for name, value in headers.raw) + len(scope["path"]) > MAX_HEAD_BYTES:
            raise ProblemError(431, "the head of the request is too large", closes=True)
        if "transfer-encoding" in headers and "content-length" in headers:  # a proxy may believe the other one
            raise ProblemError(400, "Content-Length and Transfer-Encoding exclude each other", closes=True)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.settings.accepts_host(hosts[0]):
            raise ProblemError(421, "this server is not called so; --host-name says by which names it may be called")
        if any(not _is_origin(origin, hosts[0]) for origin in headers.getlist("origin")):
            raise ProblemError(403, "a page of another site asks; this server answers its own page alone")
        navigates = headers.get("sec-fetch-mode") == "navigate" and scope.get("method") in SAFE_METHODS
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not navigates:
            raise ProblemError(403, "a page of another site asks; this server answers its own page alone")
        if scope["path"] in OPEN_PATHS:
            return ""
        owner = self.settings.owner(token_of(HTTPConnection(scope)))
        if scope["path"] == "/enter" and owner is not None and headers.get("sec-fetch-site") == "cross-site":
            raise ProblemError(403, "another site's link would make you somebody else here; open it by hand")
        if owner is None and scope["path"] != "/enter":
            raise ProblemError(
                401, "this server wants its token: as 'Authorization: Bearer TOKEN', or open /enter?token=TOKEN"
            )
        return owner or ""


def with_headers(send: Send) -> Send:
    """``send``, with the headers that every answer has."""

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_guarded


def _is_origin(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def token_of(connection: HTTPConnection) -> str | None:
    """The token that came with a request, or None."""
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else connection.cookies.get(COOKIE)


class Rate:
    """How much each client may ask: ``each_s`` a second on average, and ten seconds' worth at once."""

    CLIENTS = 10_000  # that are remembered

    def __init__(self, each_s: float, burst_s: float = 10.0) -> None:
        self.each_s, self.most = each_s, each_s * burst_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request; ProblemError 429 if it is one too many."""
        now = time.monotonic()
        left, before = self._left.pop(client, (self.most, now))
        left = min(self.most, left + (now - before) * self.each_s)
        self._left[client] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > self.CLIENTS:
            self._left.popitem(last=False)
        if left < 1:
            raise ProblemError(429, "too many requests from one client; try again later", (1 - left) / self.each_s)
