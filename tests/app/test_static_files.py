"""The page's files as they are served."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx

from liftwild.viz.viewer_html import PAGE_FILES
from tests.support.paths import ROOT
from tests.support.server import asked, settings_of

PAGE = ROOT / "src" / "liftwild" / "app" / "page"


def get(folder: Path, *addresses: str, **headers: str) -> list[httpx.Response]:
    """What a server answers."""

    async def ask() -> list[httpx.Response]:
        async with asked(settings_of(folder), **headers) as client:
            return [await client.get(address) for address in addresses]

    return asyncio.run(ask())


def test_all_files_are_served_as_what_they_are_with_the_policy(tmp_path: Path) -> None:
    names = [
        "/",
        "/live",
        *(f"/page/{path.name}" for path in PAGE.iterdir()),
        *(f"/viewer/{name}" for name in PAGE_FILES),
    ]
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}
    for name, answer in zip(names, get(tmp_path, *names), strict=True):
        kind = kinds[name.rpartition(".")[2] if "." in name else "html"]
        assert answer.status_code == 200 and answer.headers["content-type"].partition(";")[0] == kind, name
        assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_known_is_not_sent_again(tmp_path: Path) -> None:
    (first,) = get(tmp_path / "a", "/viewer/three.min.js")
    (again,) = get(tmp_path / "b", "/viewer/three.min.js", **{"if-none-match": first.headers["etag"]})
    (other,) = get(tmp_path / "c", "/viewer/app.js", **{"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, other.status_code) == (304, b"", 200)
    assert first.headers["cache-control"] == "no-cache"


def test_no_other_file_is_served(tmp_path: Path) -> None:
    wrong = [
        "/page/__init__.py", "/page/..%2fserver.py", "/page/../server.py", "/page/", "/page/main.js%00",
        "/viewer/viewer.html", "/viewer/%2e%2e%2fdraw.py", "/viewer/three_LICENSE",
    ]  # fmt: skip
    assert [answer.status_code for answer in get(tmp_path, *wrong)] == [404] * len(wrong)


def test_the_page_obeys_its_policy() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|style=|\son\w+=|javascript:|https?://", html)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))
    named = set(re.findall(r'(?:href|src)="/page/([^"]+)"', html))
    for script in PAGE.glob("*.js"):
        text = script.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|new Function|https?://", text), script.name
        named |= set(re.findall(r'from "\./([^"]+)"', text)) | set(re.findall(r'new Worker\("/page/([^"]+)"', text))
    # Nothing is missing, and nothing is left over.
    assert named | {"index.html"} == {path.name for path in PAGE.iterdir()}


def test_each_control_of_the_page_has_a_name() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    labelled = set(re.findall(r'<label for="([^"]+)"', html))
    for tag, attributes in re.findall(r"<(input|select|iframe|video|dialog)([^>]*)>", html):
        name = re.search(r'\bid="([^"]+)"', attributes)
        assert name is not None
        is_named = re.search(r"aria-label(ledby)?=|title=|aria-hidden=", attributes) or name[1] in labelled
        is_inside = re.search(rf'<label[^>]*>[^<]*<{tag}[^>]*id="{name[1]}"', html)
        assert is_named or is_inside, name[1]
    assert 'role="status"' in html and 'lang="en"' in html
