"""Errors of the API: problem+json (RFC 9457) with one clear line, as the command line says it."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from liftwild.app.worker import TooSlowError, WorkerDiedError, WorkerFaultError
from liftwild.errors import LiftwildError, reason_of_os

MEDIA_TYPE = "application/problem+json"
SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One line: what was wrong, and what to do."},
    },
}
PROBLEMS = {
    400: "The body is cut short or damaged.",
    401: "No token, or a wrong one.",
    403: "Another site's page asks.",
    404: "Not there, or not yours.",
    406: "No such media type.",
    408: "The body comes too slowly.",
    409: "Not done yet, or failed.",
    413: "The body is too large.",
    421: "The server is called by a name that is not its own.",
    422: "The photo, the video or an option is at fault.",
    429: "Full: again after Retry-After s.",
    431: "The head of the request is too large.",
    500: "A fault of the server.",
    503: "Too busy: again after Retry-After s.",
    507: "The disk is full.",
}
ANYWHERE = (400, 401, 403, 421, 422, 429, 431, 500)  # with which any request may be answered


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of routes that answer with these statuses, for the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": PROBLEMS[status], "content": content} for status in statuses}


class ProblemError(Exception):
    """A request that is refused. ``status``: of HTTP; ``detail``: one line of what was wrong and what to do;
    ``retry_s``: after how long it may be tried again; ``closes``: whether the connection ends with it."""

    def __init__(self, status: int, detail: str, retry_s: float | None = None, closes: bool = False) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_s, self.closes = status, detail, retry_s, closes

    def response(self) -> Response:
        """The answer that says so."""
        body = {"type": "about:blank", "title": HTTPStatus(self.status).phrase, "status": self.status}
        headers = {} if self.retry_s is None else {"Retry-After": str(max(1, math.ceil(self.retry_s)))}
        if self.closes:
            headers["Connection"] = "close"
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        content = json.dumps({**body, "detail": self.detail}).encode()
        return Response(content, self.status, headers, MEDIA_TYPE)


def problem_of(error: Exception) -> ProblemError:
    """What is answered when ``error`` was raised."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, LiftwildError):
        return ProblemError(422, str(error))
    if isinstance(error, TooSlowError):
        return ProblemError(503, f"the server is too busy: {error}; try again later", 30)
    if isinstance(error, WorkerDiedError | WorkerFaultError):
        return ProblemError(500, f"{error}; try it again, and if it stays so, report it")
    if isinstance(error, MemoryError):
        return ProblemError(413, "there is not enough memory for it; send something smaller")
    if isinstance(error, OSError):
        # Names of files on this machine are nobody's business.
        return ProblemError(507, f"the server cannot write or read its files: {reason_of_os(error)}; try again later")
    return ProblemError(500, f"liftwild fails on it, please report this ({type(error).__name__})")


async def answer_problem(request: Request, error: Exception) -> Response:
    """Starlette's handler of exceptions."""
    return problem_of(error).response()
