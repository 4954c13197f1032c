"""The page, what it is made of, and the viewer's files: served from memory, nothing from elsewhere."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from liftwild.app.problem import ProblemError
from liftwild.pose import Recording
from liftwild.viz.viewer_html import PAGE_FILES, Article, page_file, viewer_page

router = APIRouter(include_in_schema=False)
VIEWER = "/viewer/"  # where linked pages look for ``PAGE_FILES``
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Asked for anew each time, sent only where it differs: a newer version of the server has a newer page.
CACHE = "no-cache"
LIVE = Article("", {}, ("live.js",), ())
LIVE_SIZE = 640, 480  # px, until the first picture comes


class _Content(NamedTuple):
    text: bytes
    media_type: str
    tag: str


@router.get("/")
async def get_page(request: Request) -> Response:
    """The page."""
    return _answer(request, _page_content("index.html"))


@router.get("/page/{name}")
async def get_page_file(request: Request, name: str) -> Response:
    """One of the page's own files."""
    if name not in _page_names():
        raise ProblemError(404, "there is nothing at this address")
    return _answer(request, _page_content(name))


@router.get("/viewer/{name}")
async def get_viewer_file(request: Request, name: str) -> Response:
    """One of the viewer's files, as its linked pages name them."""
    if name not in PAGE_FILES:
        raise ProblemError(404, "there is nothing at this address")
    return _answer(request, _viewer_content(name))


@router.get("/live")
async def get_live_view(request: Request) -> Response:
    """The viewer without a recording, whose people come from a camera while it is open."""
    return _answer(request, _live_content())


def _answer(request: Request, content: _Content) -> Response:
    headers = {"Cache-Control": CACHE, "ETag": content.tag}
    if request.headers.get("if-none-match") == content.tag:
        return Response(status_code=304, headers=headers)
    return Response(content.text, headers=headers, media_type=content.media_type)


def _content(text: bytes, suffix: str) -> _Content:
    return _Content(text, MEDIA_TYPES[suffix], f'"{hashlib.sha256(text).hexdigest()[:20]}"')


@cache
def _page_names() -> frozenset[str]:
    folder = files("liftwild.app") / "page"
    return frozenset(each.name for each in folder.iterdir() if f".{each.name.rpartition('.')[2]}" in MEDIA_TYPES)


@cache
def _page_content(name: str) -> _Content:
    return _content((files("liftwild.app") / "page" / name).read_bytes(), f".{name.rpartition('.')[2]}")


@cache
def _viewer_content(name: str) -> _Content:
    return _content(page_file(name).encode(), f".{name.rpartition('.')[2]}")


@cache
def _live_content() -> _Content:
    nobody = Recording("camera", *LIVE_SIZE, np.zeros(1), ())
    return _content(viewer_page(nobody, article=LIVE, linked=VIEWER).encode(), ".html")
