"""Who may ask: names, origins, tokens, and how often."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from liftwild.app.guard import COOKIE, Rate
from liftwild.app.problem import ProblemError
from liftwild.app.settings import Settings
from liftwild.errors import LiftwildError
from tests.support.server import asked, settings_of

ONE, TWO = "one-long-token", "two-long-tokens"
OUTSIDE = {"host": "0.0.0.0", "tokens": (ONE, TWO)}


def answers(folder: Path, path: str, *asked_with: dict[str, Any], **changes: object) -> list[httpx.Response]:
    """The answers to a GET with each of these headers."""

    async def ask() -> list[httpx.Response]:
        async with asked(settings_of(folder, **changes)) as client:
            return [await client.get(path, headers=headers) for headers in asked_with]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("host", "host_names", "header", "accepted"),
    [
        ("127.0.0.1", (), "127.0.0.1:8757", True),
        ("127.0.0.1", (), "localhost", True),
        ("127.0.0.1", (), "[::1]:1", True),
        ("127.0.0.1", (), "192.168.1.2", False),  # nobody gets there by it
        ("127.0.0.1", (), "evil.example:8757", False),
        ("127.0.0.1", (), "127.0.0.1.evil.example", False),
        ("127.0.0.1", (), "localhost.", False),
        ("127.0.0.1", (), "localhost:8757:1", False),
        ("127.0.0.1", (), "", False),
        ("127.0.0.1", (), ":8757", False),
        ("127.0.0.1", (), "[::1", False),
        ("::1", (), "[::1]:8757", True),
        ("0.0.0.0", (), "192.168.1.2:8757", True),
        ("0.0.0.0", (), "[fe80::1]:8757", True),
        ("0.0.0.0", (), "localhost:8757", True),
        ("0.0.0.0", (), "evil.example", False),
        ("0.0.0.0", ("pose.example.org",), "Pose.Example.Org", True),
        ("0.0.0.0", ("pose.example.org",), "evil.example", False),
        ("127.0.0.1", ("pose.example.org",), "pose.example.org:443", True),
    ],
)
def test_hosts(tmp_path: Path, host: str, host_names: tuple[str, ...], header: str, accepted: bool) -> None:
    settings = Settings(tmp_path, host, tokens=(ONE,), host_names=host_names)
    assert settings.accepts_host(header) is accepted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host": "0.0.0.0"}, "needs a token"),
        ({"host": "192.168.1.2"}, "needs a token"),
        ({"host_names": ("pose.example.org",)}, "pose.example.org can be reached"),
        ({"host": "0.0.0.0", "tokens": ("short",)}, "letters or more"),
        ({"tokens": ("",)}, "a token is empty"),
    ],
)
def test_nobody_else_reaches_it_without_a_token(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(LiftwildError, match=said):
        Settings(tmp_path, **changes)  # type: ignore[arg-type]


def test_tokens(tmp_path: Path) -> None:
    right = [
        {"authorization": f"Bearer {ONE}"}, {"authorization": f"bearer  {TWO}"}, {"cookie": f"{COOKIE}={TWO}"},
    ]  # fmt: skip
    wrong = [
        {}, {"authorization": "Bearer "}, {"authorization": f"Bearer {ONE}x"}, {"authorization": f"Basic {ONE}"},
        {"authorization": "Bearer wrong", "cookie": f"{COOKIE}={ONE}"}, {"cookie": f"{COOKIE}="},
        {"authorization": b"Bearer one-long-toke\xc3\xa9"},
    ]  # fmt: skip
    found = answers(tmp_path, "/v1/models", *right, *wrong, **OUTSIDE)
    assert [each.status_code for each in found] == [200] * len(right) + [401] * len(wrong)
    assert all(each.headers["www-authenticate"] == "Bearer" for each in found[len(right) :])
    for path in ("/", "/metrics", "/v1/openapi.json", "/v1/recordings", "/page/page.css"):
        (refused,) = answers(tmp_path, path, {}, **OUTSIDE)
        assert refused.status_code == 401, path
    (health,) = answers(tmp_path, "/healthz", {}, **OUTSIDE)
    assert health.status_code == 200


def test_a_browser_gets_its_token_once(tmp_path: Path) -> None:
    (enters,) = answers(tmp_path, f"/enter?token={ONE}", {}, **OUTSIDE)
    assert enters.status_code == 303 and enters.headers["location"] == "/"
    cookie = enters.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "secure" not in cookie
    assert enters.headers["referrer-policy"] == "no-referrer" and enters.headers["cache-control"] == "no-store"
    (refused,) = answers(tmp_path, "/enter?token=wrong", {}, **OUTSIDE)
    assert refused.status_code == 401 and "set-cookie" not in refused.headers


def test_no_other_site_changes_who_one_is(tmp_path: Path) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    found = answers(tmp_path, f"/enter?token={TWO}", link, {**link, "cookie": f"{COOKIE}={ONE}"}, **OUTSIDE)
    assert [each.status_code for each in found] == [303, 403]


def test_owners_are_of_tokens(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, **OUTSIDE)
    assert settings.owner(ONE) != settings.owner(TWO)
    assert settings.owner(None) is None and settings.owner("") is None
    assert ONE not in str(settings.owner(ONE))
    assert settings_of(tmp_path).owner(None) == settings_of(tmp_path).owner("whatever")


def test_other_sites(tmp_path: Path) -> None:
    own = [
        {"origin": "http://127.0.0.1"}, {"origin": "HTTP://127.0.0.1"}, {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},  # a link to the page
    ]  # fmt: skip
    others = [
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://["}, {"origin": "http://127.0.0.1:9"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, {"sec-fetch-site": "same-site"},
    ]  # fmt: skip
    found = answers(tmp_path, "/v1/models", *own, *others)
    assert [each.status_code for each in found] == [200] * len(own) + [403] * len(others)
    for each in found:
        policy = each.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "access-control-allow-origin" not in each.headers


def test_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    rate = Rate(2.0, 5.0)
    for _ in range(10):
        rate.take("a")
    with pytest.raises(ProblemError) as refused:
        rate.take("a")
    assert refused.value.response().headers["retry-after"] == "1"
    rate.take("b")  # another's
    now += 0.6
    rate.take("a")
    monkeypatch.setattr(Rate, "CLIENTS", 100)
    for number in range(1000):
        rate.take(str(number))
    assert len(rate._left) <= 101
