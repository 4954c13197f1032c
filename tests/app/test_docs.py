"""What docs/serve.md and the OpenAPI document say of limits, options and errors is what the server does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from liftwild.app.problem import ANYWHERE, PROBLEMS
from liftwild.app.settings import Limits
from liftwild.cli.serve import serve_command
from tests.support.paths import ROOT
from tests.support.server import asked, settings_of

TEXT = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")


def test_limits() -> None:
    of = Limits()
    mib, gib = 1 << 20, 1 << 30
    rows = {
        "a photo": (
            f"{of.photo_bytes // mib} MiB, {of.photo_pixels // 10**6} million px, {of.decode_s:g} s to decode, "
            f"{of.photo_body_s:g} s to arrive"
        ),
        "a video": (
            f"{of.video_bytes // gib} GiB, {of.video_s / 60:g} minutes, {of.video_pixels / 1e6:.1f} million px a "
            f"frame, {of.video_fps:g} frames/s"
        ),
        f"a client that is silent, or slower than {of.slowest_bytes_s:g} bytes/s": f"{of.silence_s:g} s",
        "photos at once; of one client": (
            f"{of.photos_at_once}, with {of.photo_bytes_at_once // mib} MiB; {of.photos_each_s:g} a second, "
            f"{10 * of.photos_each_s:g} at once"
        ),
        "videos that wait; of one client": f"{of.videos_queued}; {of.videos_queued_each}",
        "cameras": (
            f"{of.live_sessions}, each up to {of.live_frames_each_s:g} pictures/s of {of.live_frame_bytes // mib} MiB "
            f"and {of.live_pixels // 10**6} million px"
        ),
        "connections; who are told of progress": f"{of.connections}; {of.events_at_once}",
        "memory of a process that decodes; that computes": (
            f"{of.decoder_memory // gib} GiB; {of.worker_memory // gib} GiB of addresses"
        ),
    }
    for what, limit in rows.items():
        assert f"| {what} | {limit} |" in TEXT
    assert of.job_deaths == 3 and "three times" in TEXT


def test_options() -> None:
    named = {option for option in re.findall(r"`(--[a-z-]+)`", TEXT)}
    assert {option for each in serve_command.params for option in each.opts} <= named | {"--open"}


def test_errors(tmp_path: Path) -> None:
    rows = re.findall(r"^\| ((?:\d{3}(?:, )?)+) \|", TEXT, re.MULTILINE)
    assert sorted(int(status) for row in rows for status in row.split(", ")) == sorted(PROBLEMS)

    async def ask() -> dict[str, Any]:
        async with asked(settings_of(tmp_path)) as client:
            return (await client.get("/v1/openapi.json")).json()

    document = asyncio.run(ask())
    assert document["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status", "detail"]
    described = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            errors = {int(status): said for status, said in operation["responses"].items() if int(status) >= 400}
            assert set(ANYWHERE) <= set(errors), (method, path)
            for said in errors.values():
                assert said["content"] == {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }
            described |= set(errors)
    assert described == set(PROBLEMS)
