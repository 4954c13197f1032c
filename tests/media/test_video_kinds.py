"""Videos of many kinds: codecs, interlaced, trimmed, with pauses and long sound, with names that are not plain."""

from __future__ import annotations

import itertools
import os
import socket
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.media import video, video_file
from liftwild.media.video import open_clip
from liftwild.media.video_file import VideoFile
from tests.support.videos import FPS, FRAMES, HEIGHT, WIDTH, encode_video, frame_of, number_of, write_video


def read(path: Path) -> tuple[list[int], list[float], int]:
    """The numbers that the frames of a clip tell, their times, and how many frames are missing."""
    clip = open_clip(path)
    frames = list(clip.frames())
    return [number_of(f.image) for f in frames if f.image is not None], [f.time_s for f in frames], clip.missing()


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx264", ".mp4"), ("libx265", ".mp4"), ("libsvtav1", ".mp4"), ("libvpx", ".webm"), ("libvpx-vp9", ".webm"),
        ("mpeg4", ".avi"), ("mjpeg", ".mov"), ("mpeg2video", ".ts"), ("mpeg2video", ".mpg"), ("libx264", ".flv"),
        ("prores", ".mov"),
    ],
)  # fmt: skip
def test_codecs_and_containers(tmp_path: Path, codec: str, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_video(tmp_path / f"clip{suffix}", codec)
    capfd.readouterr()  # encoders talk
    numbers, times, missing = read(path)
    assert numbers == list(range(FRAMES)) and missing == 0
    np.testing.assert_allclose(times, np.arange(FRAMES) / FPS, atol=0.001)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_interlaced_frames_show_one_moment(tmp_path: Path, codec: str) -> None:
    moments = [0, 0, 0, 0, 9, 9, 9, 9]
    odd = np.arange(HEIGHT)[:, None, None] % 2
    combed = [np.where(odd, frame_of(late), frame_of(early)) for early, late in itertools.pairwise(moments)]
    more = {"x264-params": "interlaced=1"} if codec == "libx264" else {}
    path = encode_video(tmp_path / "clip.mp4", combed, codec, options={"flags": "+ildct+ilme", **more})
    with av.open(path) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    numbers, times, missing = read(path)
    assert numbers in ([0, 0, 0, 0, 9, 9, 9], [0, 0, 0, 9, 9, 9, 9]) and missing == 0
    np.testing.assert_allclose(times, np.arange(len(combed)) / FPS, atol=0.001)


def test_parts_of_a_clip_that_are_interlaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = list(map(frame_of, range(FRAMES)))
    plain = encode_video(tmp_path / "plain.mp4", pictures, "mpeg2video")
    interlaced = encode_video(tmp_path / "interlaced.mp4", pictures, "mpeg2video", options={"flags": "+ildct+ilme"})
    larger = [np.pad(each, ((0, 16), (0, 0), (0, 0)), mode="edge") for each in pictures]
    taller = encode_video(tmp_path / "taller.mp4", larger, "mpeg2video", options={"flags": "+ildct+ilme"})
    shown: list[av.VideoFrame] = []
    for path in (plain, interlaced, taller, plain):
        with av.open(path) as container:
            shown += container.decode(video=0)
    monkeypatch.setattr(VideoFile, "_decoded", lambda *_: iter(shown))
    numbers, times, _ = read(plain)
    assert numbers == 4 * list(range(FRAMES)) and (np.diff(times) > 0).all()


def mux(path: Path, pts: list[int], sound_s: float = 0, options: dict[str, str] | None = None) -> Path:
    """A clip of numbered frames that are shown at ``pts`` / FPS s, with ``sound_s`` of silence."""
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=Fraction(FPS), options={"qscale": "2"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000) if sound_s else None
        for number, at in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(frame_of(number), format="rgb24")
            frame.pts, frame.time_base = at, 1 / Fraction(FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, round(8000 * sound_s)), np.int16), layout="mono")
            silence.sample_rate, silence.pts = 8000, 0
            container.mux(sound.encode(silence))
    return path


def test_a_webm_that_says_no_rate_has_the_usual_one(tmp_path: Path) -> None:
    """As a browser records a camera: frames at any time, in ms, and nothing about their rate."""
    path = tmp_path / "camera.webm"
    times_ms = np.cumsum([0, *[20, 61, 37, 90, 13] * 4])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=1000, options={"lag-in-frames": "0", "auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(frame_of(number), format="rgb24")
            frame.pts, frame.time_base = int(time_ms), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    says = b"\x23\xe3\x83\x83\x0f\x42\x40"  # DefaultDuration, 1 ms; in its place nothing of that length
    content = path.read_bytes()
    assert content.count(says) == 1
    path.write_bytes(content.replace(says, b"\xec\x85" + bytes(5)))
    assert VideoFile(path).fps == video.FPS
    assert read(path)[1] == pytest.approx(list(times_ms / 1000))


def test_healthy_clips_lack_nothing(tmp_path: Path) -> None:
    plain = list(range(FRAMES))
    for name, pts, sound_s in (
        ("late.mkv", [at + 250 for at in plain], 0), ("late.mp4", [at + 250 for at in plain], 0),
        ("sound.mkv", plain, 5.0), ("sound.mov", plain, 5.0),
        ("pause.mkv", [at + 50 * (at > 8) for at in plain], 0), ("pause.mp4", [at + 50 * (at > 8) for at in plain], 0),
    ):  # fmt: skip
        numbers, times, missing = read(mux(tmp_path / name, pts, sound_s))
        assert (name, numbers, missing) == (name, plain, 0)
        np.testing.assert_allclose(times, (np.array(pts) - pts[0]) / FPS, atol=0.001, err_msg=name)


def test_what_a_trim_left_out_is_not_missing(tmp_path: Path) -> None:
    trimmed = mux(tmp_path / "trim.mp4", list(range(-4, FRAMES - 4)), options={"avoid_negative_ts": "disabled"})
    with av.open(trimmed) as container:
        assert container.streams.video[0].frames == FRAMES  # all of them are in the file
    numbers, times, missing = read(trimmed)
    assert numbers == list(range(4, FRAMES)) and missing == 0 and times[0] == 0


def test_a_clip_that_is_cut_short_lacks_its_end(tmp_path: Path) -> None:
    whole = mux(tmp_path / "whole.mkv", list(range(50)))
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    numbers, _, missing = read(tmp_path / "cut.mkv")
    assert 10 < len(numbers) < 40 and abs(len(numbers) + missing - 50) <= 1


@pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"folder\xff/clip.mp4", b"a\nb.mp4", "день.mp4".encode()])
def test_any_name(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    try:
        path.write_bytes(write_video(tmp_path / "plain.mp4").read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    assert read(path)[0] == list(range(FRAMES))


@pytest.mark.parametrize("name", ["tcp:127.0.0.1:{}?.mp4", "http:127.0.0.1:{}.mp4", "concat:a.mp4|b.mp4", "-"])
def test_names_do_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plain = write_video(tmp_path / "plain.mp4")
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        local = Path(name.format(server.getsockname()[1]))
        local.write_bytes(plain.read_bytes())
        assert read(local)[0] == list(range(FRAMES))
        with pytest.raises(BlockingIOError):  # nobody came
            server.accept()


def test_contents_open_nothing(tmp_path: Path) -> None:
    inside = write_video(tmp_path / "inside.ts", "mpeg2video")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        playlist = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
        for name, content in (
            ("local.m3u8", playlist.format(inside)), ("remote.m3u8", playlist.format(f"http://127.0.0.1:{port}/a.ts")),
            ("list.mp4", f"ffconcat version 1.0\nfile '{inside}'\n"),
            ("remote.mp4", f"ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/a.ts'\n"),
            ("session.mp4", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 0 RTP/AVP 96\n"
             "a=rtpmap:96 H264/90000\n"),
        ):  # fmt: skip
            (tmp_path / name).write_text(content)
            with pytest.raises(LiftwildError, match="no video in it that can be read"):
                open_clip(tmp_path / name)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_what_cannot_be_a_clip(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", "libx264")
    data = video.read_bytes()
    (tmp_path / "unknown.mp4").write_bytes(data.replace(b"avc1", b"zzzz"))
    with pytest.raises(
        LiftwildError,
        match=r"unknown.mp4: its video is coded in a way that is not known here; videos are .* coded in H.264",
    ):
        open_clip(tmp_path / "unknown.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(LiftwildError, match=r"pipe.mp4: is not a regular file"):
        open_clip(tmp_path / "pipe.mp4")


def test_frames_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "clip.mp4", "libx264")
    with av.open(video) as container:  # as a frame that grows within the clip
        container.streams.video[0].codec_context.options = {**video_file.OPTIONS, "max_pixels": "1000"}
        with pytest.raises(av.FFmpegError):
            next(container.decode(video=0))
    monkeypatch.setattr(video_file, "MAX_PIXELS", 1000)
    with pytest.raises(LiftwildError, match=r"frames of 64 x 48 px are too large; at most 1,000 px are read"):
        open_clip(video)


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="priorities are told by Linux")
def test_videos_made_for_tests_leave_priorities_alone(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", "libsvtav1")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
