"""Videos that are written: times, sizes, the codec that browsers show, full disks."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.media import video_writer
from liftwild.media.video import open_clip
from liftwild.media.video_writer import VideoWriter
from tests.support.videos import FRAMES, HEIGHT, WIDTH, frame_of, number_of


def write(path: Path, times: list[float], crop: int = 0) -> None:
    ends = [*times[1:], times[-1] + 0.5]
    with (
        path.open("wb") as file,
        VideoWriter(file, WIDTH - crop, HEIGHT - crop, 1 / (times[1] - times[0]), path) as writer,
    ):
        for number, (at, until) in enumerate(zip(times, ends, strict=True)):
            writer.write(frame_of(number)[crop:, : WIDTH - crop], at, until)


@pytest.mark.parametrize(
    "times",
    [
        [number / 25 for number in range(FRAMES)], [number / 480 for number in range(FRAMES)],
        [number * 30.0 for number in range(FRAMES)], [0, 0.01, 0.02, 0.5, 0.5001, 7, 7.04, 7.08],
    ],
)  # fmt: skip
def test_each_picture_has_its_time(tmp_path: Path, times: list[float]) -> None:
    path = tmp_path / "clip.mp4"
    write(path, times)
    frames = list(open_clip(path).frames())
    assert [number_of(frame.image) for frame in frames if frame.image is not None] == list(range(len(times)))
    np.testing.assert_allclose([frame.time_s for frame in frames], times, atol=2e-5)
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None and stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(times[-1] + 0.5, abs=1e-4)


def test_what_browsers_show(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4", [0, 0.04, 0.08], crop=1)
    with av.open(tmp_path / "clip.mp4") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)  # odd sides get a line more
        assert (stream.colorspace, stream.color_range) == (video_writer.BT709, video_writer.LIMITED_RANGE)
        (frame, *_) = container.decode(video=0)
    assert np.abs(frame.to_ndarray(format="rgb24")[0, -4].astype(int) - (250, 30, 30)).max() < 30  # colours stay


def test_the_same_pictures_make_the_same_file(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write(tmp_path / name, [number / 25 for number in range(FRAMES)])
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


class FullDisk(io.BytesIO):
    """A file on a disk with room for 20,000 bytes."""

    def write(self, content: object) -> int:
        if self.tell() + len(content) > 20_000:  # type: ignore[arg-type]
            raise OSError(28, "No space left on device")
        return super().write(content)  # type: ignore[arg-type]


@pytest.mark.parametrize("frames", [1, 60])
def test_a_full_disk_is_told(frames: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    with pytest.raises(OSError, match="No space left"), VideoWriter(FullDisk(), 320, 240, 25, "x.mp4") as writer:
        for number in range(frames):
            writer.write(noise, number / 25, (number + 1) / 25)


def test_without_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_writer, "ENCODER", "libnone")
    with pytest.raises(LiftwildError, match=r"x.mp4: this build of PyAV has no libnone; install"):
        VideoWriter(io.BytesIO(), 64, 48, 25, "x.mp4")
    monkeypatch.undo()
    with (
        pytest.raises(LiftwildError, match=r"x.mp4: cannot be encoded as a video"),
        VideoWriter(io.BytesIO(), 20_000, 4, 25, "x.mp4") as writer,
    ):
        writer.write(np.zeros((4, 20_000, 3), np.uint8), 0, 1)
