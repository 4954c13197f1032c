"""What docs/serve.md says of limits and options is what the server holds."""

from __future__ import annotations

import re

from liftwild.app.settings import Limits
from liftwild.cli.serve import serve_command
from tests.support.paths import ROOT

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
