"""What an upload is, told by its bytes, and what of it is too much."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwild.app.files_process import inspect_upload, make_picture
from liftwild.app.limited_video import LimitedVideo
from liftwild.app.messages import Message
from liftwild.app.recording_folder import UPLOAD
from liftwild.app.settings import Limits
from liftwild.app.video_limits import ClipLimits
from liftwild.app.worker import Worker, WorkerDiedError, WorkerFaultError
from liftwild.errors import LiftwildError
from liftwild.media.photo import load_photo
from tests.support.images import encode, jpeg_with_exif, picture
from tests.support.videos import FPS, FRAMES, HEIGHT, WIDTH, browser_recording, encode_video, frame_of, write_video

LIMITS = ClipLimits.of(Limits())


def message(kind: str = "clip", limits: ClipLimits = LIMITS, **fields: Any) -> Message:
    """What a server asks."""
    return Message({"limits": asdict(limits), "max_pixels": 50_000_000, "kind": kind, "wishes": {}, **fields})


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a recording's folder, as the process does."""
    monkeypatch.chdir(tmp_path)


def upload(content: bytes) -> None:
    """What was sent."""
    Path(UPLOAD).write_bytes(content)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_photos_are_known(suffix: str) -> None:
    upload(encode(suffix, picture()))
    assert inspect_upload(message())[0] == {"kind": "photo"}


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "libx264"), (".webm", "libvpx"), (".avi", "mpeg4"), (".mkv", "mpeg4"), (".gif", "gif")],
)
def test_videos_are_known(suffix: str, codec: str, tmp_path: Path) -> None:
    write_video(tmp_path / f"x{suffix}", codec).rename(UPLOAD)
    fields = inspect_upload(message())[0]
    assert fields["kind"] == "clip"
    assert fields["facts"] == {"width": WIDTH, "height": HEIGHT, "frames": FRAMES, "fps": FPS}


def test_what_a_browser_records_is_taken(tmp_path: Path) -> None:
    """Its head says neither how long it is nor how many frames a second, but a thousand ticks."""
    upload(browser_recording([30, 36, 33, 28, 38] * 8))
    assert inspect_upload(message())[0]["facts"] == {"width": 64, "height": 48, "frames": None, "fps": 30.303}
    upload(browser_recording([3] * 40))
    with pytest.raises(LiftwildError, match="has 333 frames a second"):
        inspect_upload(message())


def test_a_gif_of_one_picture_is_a_photo(tmp_path: Path) -> None:
    encode_video(tmp_path / "x.gif", [frame_of(3)], "gif").rename(UPLOAD)
    assert inspect_upload(message())[0] == {"kind": "photo"}


@pytest.mark.parametrize(
    "content",
    [b"", b"<html><script>alert(1)</script></html>", b"%PDF-1.7 x", b"PK\3\4 x", b"{}", b"#EXTM3U\nhttp://a/b.ts\n",
     b"\0\0\0\x18ftypisom" + bytes(100)],
)  # fmt: skip
def test_what_is_neither_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    upload(content)
    with pytest.raises(LiftwildError) as error:
        inspect_upload(message())
    line = str(error.value)
    assert line.startswith("upload: ") and "\n" not in line and str(tmp_path) not in line


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (replace(LIMITS, most_s=0.4), "video: lasts 0 s or more; this server takes up to 0 s"),
        (replace(LIMITS, most_pixels=64 * 40), "video: has frames of 64 x 48 px"),
        (replace(LIMITS, most_fps=24), "video: has 25 frames a second"),
    ],
)
def test_more_than_is_taken_is_refused(limits: ClipLimits, said: str, tmp_path: Path) -> None:
    write_video(tmp_path / "x.mp4").rename(UPLOAD)
    with pytest.raises(LiftwildError, match=said):
        inspect_upload(message(limits=limits))


def test_a_head_that_lies_is_found_out(tmp_path: Path) -> None:
    video = LimitedVideo(write_video(tmp_path / "x.mp4"), LIMITS)
    for limits, said in (
        (replace(LIMITS, most_s=0.3), "lasts"), (replace(LIMITS, most_pixels=64 * 40), "frames of"),
        (replace(LIMITS, most_fps=5), "frames a second"),
    ):  # fmt: skip
        video.limits = limits
        seen = []
        with pytest.raises(LiftwildError, match=said):
            seen += [frame.number for frame in video.frames()]
    video.limits = LIMITS
    assert len(list(video.frames())) == FRAMES


def test_the_picture_is_upright_and_not_large(tmp_path: Path) -> None:
    upload(jpeg_with_exif(picture(300, 2000), 6))
    assert load_photo(make_picture(message("photo"))[1]).image.shape == (1280, 192, 3)
    write_video(tmp_path / "x.mp4").rename(UPLOAD)
    assert np.abs(load_photo(make_picture(message())[1]).image.astype(int) - frame_of(0)).mean() < 5


def test_a_process_says_what_is_wrong_and_lives(tmp_path: Path) -> None:
    async def ask() -> None:
        worker = Worker("liftwild.app.files_process", 4 << 30)
        try:
            asked = {"task": "inspect", "folder": str(tmp_path), "limits": asdict(LIMITS)}
            upload(b"no video")
            with pytest.raises(LiftwildError, match="upload: "):
                await worker.ask(asked)
            upload(encode(".png", picture()))
            assert (await worker.ask(asked)).fields == {"kind": "photo"}
            with pytest.raises(WorkerFaultError, match="No such file"):
                await worker.ask({**asked, "folder": str(tmp_path / "nowhere")})
            waiting = asyncio.create_task(worker.ask(asked))
            await worker.end()
            with pytest.raises(WorkerDiedError):
                await waiting
            assert worker.status == -9
            assert (await worker.ask(asked)).fields == {"kind": "photo"}  # another takes its place
        finally:
            await worker.end()

    asyncio.run(ask())
