"""Clips read frame by frame: videos with odd metadata and faults, folders, streams."""

from __future__ import annotations

import io
import itertools
import re
import struct
import threading
import time
import wave
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.errors import LiftwildError
from liftwild.media import video_file
from liftwild.media.image_stream import split_images
from liftwild.media.video import Frame, FrameFolder, FrameStream, is_video_name, open_clip, read_ahead
from liftwild.media.video_file import VideoFile
from tests.support.images import encode, picture
from tests.support.videos import FPS, FRAMES, HEIGHT, WIDTH, frame_of, number_of, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4")


def patched(video: Path, to: Path, mark: bytes, skip: int, new: bytes) -> Path:
    """A copy of an mp4 with ``new`` written ``skip`` bytes after the name of the first box ``mark``."""
    data = bytearray(video.read_bytes())
    at = data.find(mark) + len(mark) + skip
    data[at : at + len(new)] = new
    to.write_bytes(data)
    return to


def test_a_video_frame_by_frame(video: Path) -> None:
    clip = open_clip(video)
    frames = list(clip.frames())
    assert (clip.name, clip.length, clip.missing()) == ("clip.mp4", FRAMES, 0)
    assert [frame.number for frame in frames] == list(range(FRAMES))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(FRAMES) / FPS, atol=1e-6)
    for frame in frames:
        assert frame.image is not None and frame.image.shape == (HEIGHT, WIDTH, 3) and frame.image.dtype == np.uint8
        assert number_of(frame.image) == frame.number
        assert frame.image[4, WIDTH - 4, 0] > 180 > 90 > frame.image[4, WIDTH - 4, 2]  # RGB: the corner is red


@pytest.mark.parametrize("start", [1, 7, FRAMES, FRAMES + 5])
def test_from_a_frame_on(video: Path, start: int) -> None:
    whole, rest = list(open_clip(video).frames()), list(open_clip(video).frames(start))
    assert [(frame.number, frame.time_s) for frame in rest] == [(f.number, f.time_s) for f in whole[start:]]
    for one, other in zip(whole[start:], rest, strict=True):
        assert np.array_equal(one.image, other.image)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a", "b", "c", "d", "upright"),
    [
        (1, 0, 0, 1, lambda image: image),
        (-1, 0, 0, 1, lambda image: image[:, ::-1]),
        (-1, 0, 0, -1, lambda image: image[::-1, ::-1]),
        (1, 0, 0, -1, lambda image: image[::-1]),
        (0, 1, 1, 0, lambda image: image.swapaxes(0, 1)),
        (0, 1, -1, 0, lambda image: np.rot90(image, -1)),  # a quarter turn clockwise, as phones write it
        (0, -1, -1, 0, lambda image: np.rot90(image, -1)[::-1]),
        (0, -1, 1, 0, lambda image: np.rot90(image)),
    ],
)
def test_videos_are_turned_and_mirrored_upright(
    video: Path, tmp_path: Path, a: int, b: int, c: int, d: int, upright: Callable[[np.ndarray], np.ndarray]
) -> None:
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)  # of the track header
    turned = patched(video, tmp_path / "turned.mp4", b"tkhd", 4 + 20 + 16, matrix)
    frame, plain = next(open_clip(turned).frames()), next(open_clip(video).frames())
    assert frame.image is not None and plain.image is not None and frame.image.flags.c_contiguous
    assert np.array_equal(frame.image, upright(plain.image))


def test_the_frame_rate_may_vary(video: Path, tmp_path: Path) -> None:
    data = bytearray(video.read_bytes())
    # Time to sample: one run of equal steps becomes two, in a table that is made longer; mp4 says sizes above it.
    at = data.find(b"stts")
    ticks = struct.unpack(">I", data[at + 16 : at + 20])[0]
    table = struct.pack(">II4I", 0, 2, 6, ticks, FRAMES - 6, 3 * ticks)
    grown = data[:at] + b"stts" + table + data[at + 20 :]
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        place = grown.find(box) - 4
        grown[place : place + 4] = struct.pack(">I", struct.unpack(">I", grown[place : place + 4])[0] + 8)
    (tmp_path / "slow.mp4").write_bytes(grown)
    clip = open_clip(tmp_path / "slow.mp4")
    times = [frame.time_s for frame in clip.frames()]
    steps = np.diff(times) * FPS
    np.testing.assert_allclose(steps[:6], 1, atol=0.01)
    np.testing.assert_allclose(steps[6:], 3, atol=0.01)
    assert clip.missing() == 0  # a slow part is no gap


def test_times_rise_where_the_container_says_nothing(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = itertools.cycle([None, 0.0, 0.07, -0.05])

    def decoded(*_: object) -> Iterator[av.VideoFrame]:
        """Frames without a time, or with one that goes back."""
        for shown in itertools.islice(told, FRAMES):
            frame = av.VideoFrame(WIDTH, HEIGHT)
            frame.time_base = Fraction(1, 1000)
            frame.pts = None if shown is None else round(1000 * shown)
            yield frame

    monkeypatch.setattr(VideoFile, "_decoded", decoded)
    times = np.array([frame.time_s for frame in open_clip(video).frames()])
    assert len(times) == FRAMES and times[0] == 0 and (np.diff(times) > 0.01).all()


def test_what_cannot_be_decoded_is_counted(video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = write_video(tmp_path / "whole.avi", "mjpeg", 60)
    data = whole.read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    clip = open_clip(tmp_path / "cut.avi")
    read = sum(1 for frame in clip.frames() if frame.image is not None)
    assert 15 < read < 45 and clip.missing() == 60 - read
    # Frames in the middle that are no JPEGs: their times are a gap.
    begins = [found.start() for found in re.finditer(b"\xff\xd8\xff", data)]
    for count in (1, 20):
        torn = bytearray(data)
        for begin, end in itertools.pairwise(begins[30 : 31 + count]):
            torn[begin : end - 8] = bytes(end - 8 - begin)  # but for the head of the next
        (tmp_path / "hole.avi").write_bytes(torn)
        clip = open_clip(tmp_path / "hole.avi")
        frames = list(clip.frames())
        assert len(frames) == 60 - count == 60 - clip.missing() and all(frame.image is not None for frame in frames)
        np.testing.assert_allclose(frames[30].time_s - frames[29].time_s, (1 + count) / FPS)
    assert capfd.readouterr().err == ""


def test_a_frame_that_is_decoded_and_not_understood(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        """Cannot make a picture of the fourth and the fifth frame."""

        def __init__(self) -> None:
            self.real, self.numbers = av.video.reformatter.VideoReformatter(), itertools.count()

        def reformat(self, frame: av.VideoFrame, **how: Any) -> av.VideoFrame:
            if next(self.numbers) in (3, 4):
                raise ValueError("unsupported")
            return self.real.reformat(frame, **how)

    monkeypatch.setattr(video_file, "VideoReformatter", Odd)
    frames = list(open_clip(video).frames())
    assert [frame.number for frame in frames if frame.image is None] == [3, 4] and len(frames) == FRAMES
    assert "frame 3 of" in frames[3].fault and frames[2].fault == ""


def test_what_is_no_video_is_one_line(tmp_path: Path, video: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    (tmp_path / "sound.mp4").write_bytes((tmp_path / "sound.wav").read_bytes())
    (tmp_path / "words.mp4").write_bytes(b"no video" * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "cut.mp4").write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    for name, reason in (
        ("sound.mp4", "only sound, or cut short; videos are MP4, MOV"), ("words.mp4", "no video; videos are MP4, MOV"),
        ("cut.mp4", "cut short"),
        ("empty.mp4", "is empty"), ("none.mp4", "no such file"),
    ):  # fmt: skip
        with pytest.raises(LiftwildError, match=reason) as caught:
            open_clip(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name)) and "\n" not in str(caught.value)
    with pytest.raises(LiftwildError, match="tells its own frame rate"):
        open_clip(video, 25)
    assert capfd.readouterr().err == ""


def test_a_clip_is_known_again(video: Path, tmp_path: Path) -> None:
    other = write_video(tmp_path / "clip.mp4", frames=5)
    assert open_clip(video).identity() == open_clip(video).identity() != open_clip(other).identity()
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(encode(".png", frame_of(number)))
    one, slower = open_clip(tmp_path), open_clip(tmp_path, 10)
    assert one.identity() == open_clip(tmp_path).identity() != slower.identity()
    (tmp_path / "3.png").write_bytes(encode(".png", frame_of(3)))
    assert one.identity() != open_clip(tmp_path).identity()


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    names = ["frame_2.png", "frame_10.png", "frame_9.jpg", "frame_1.png"]
    for name in names:
        (tmp_path / name).write_bytes(encode(Path(name).suffix, frame_of(int(Path(name).stem[6:]))))
    (tmp_path / "frame_3.png").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("no image")
    clip = open_clip(tmp_path, 10)
    frames = list(clip.frames())
    assert clip.length == 5 and clip.missing() == 0 and clip.name == tmp_path.name
    assert [number_of(f.image) for f in frames if f.image is not None] == [1, 2, 9, 10]
    assert frames[2].image is None and "frame_3.png" in frames[2].fault
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(5) / 10)
    assert [frame.number for frame in clip.frames(3)] == [3, 4]
    assert isinstance(clip, FrameFolder) and clip.path_of(0) == tmp_path / "frame_1.png"


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 1e6])
def test_frame_rates_that_make_no_sense(tmp_path: Path, fps: float) -> None:
    (tmp_path / "1.png").write_bytes(encode(".png", picture()))
    with pytest.raises(LiftwildError, match="frames a second make no sense"):
        open_clip(tmp_path, fps)


def test_video_names() -> None:
    assert is_video_name("a.MP4") and is_video_name(Path("b/c.webm")) and not is_video_name("a.jpg")


class Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = most

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self.most)


IMAGES = [encode(suffix, picture(20 + i, 30, seed=i)) for i, suffix in enumerate((".jpg", ".png", ".jpg", ".png"))]


def parts_of(data: bytes, most: int = 1 << 20) -> list[tuple[bytes, str]]:
    return list(split_images(Trickle(data, most), "stream"))


@settings(max_examples=60, deadline=None)
@given(order=st.lists(st.integers(0, 3), min_size=1, max_size=6), most=st.integers(1, 4000))
def test_a_stream_gives_its_images_however_it_comes(order: list[int], most: int) -> None:
    images = [IMAGES[i] for i in order]
    assert parts_of(b"".join(images), most) == [(image, "") for image in images]


@pytest.mark.parametrize("most", [7, 1 << 20])
def test_broken_images_of_a_stream_are_passed_over(most: int) -> None:
    jpeg, png = IMAGES[0], IMAGES[1]
    damaged = bytearray(png)
    damaged[len(png) // 2] ^= 255
    data = jpeg + jpeg[: len(jpeg) // 2] + jpeg + b"garbage" * 5 + png + bytes(damaged) + jpeg + png[:40]
    faults = [fault for _, fault in parts_of(data, most)]
    assert [fault == "" for fault in faults] == [True, False, True, False, True, False, True, False]
    assert "cut short" in faults[1] and "no image" in faults[3] and "damaged" in faults[5] and "cut short" in faults[7]
    whole = [part for part, fault in parts_of(data, most) if not fault]
    assert whole == [jpeg, jpeg, png, jpeg]


def test_a_thumbnail_inside_a_jpeg_is_no_image() -> None:
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + len(IMAGES[2])) + IMAGES[2]
    with_thumbnail = IMAGES[0][:2] + thumbnail + IMAGES[0][2:]
    assert parts_of(with_thumbnail + IMAGES[1], 50) == [(with_thumbnail, ""), (IMAGES[1], "")]


def test_line_breaks_between_images_are_no_fault() -> None:
    assert parts_of(IMAGES[0] + b"\r\n" + IMAGES[1] + b"\n", 9) == [(IMAGES[0], ""), (IMAGES[1], "")]


def test_what_is_no_stream_of_images() -> None:
    for data, reason in ((b"\x00\x00\x00\x18ftypmp42" * 9, "no stream of JPEG or PNG"), (b"", "no images came")):
        clip = FrameStream(Trickle(data, 100), name="stdin")
        with pytest.raises(LiftwildError, match=reason) as caught:
            clip.identity()
        assert str(caught.value).startswith("stdin: ")


def test_frames_of_a_stream() -> None:
    data = b"".join([*IMAGES[:2], IMAGES[2][:100], *IMAGES[2:]])
    clip = FrameStream(Trickle(data, 5000), 20)
    assert clip.identity() == FrameStream(Trickle(data, 9), 20).identity()
    frames = list(clip.frames())
    assert [frame.image is None for frame in frames] == [False, False, True, False, False]
    assert "image 2 of stream is cut short" in frames[2].fault
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(5) / 20)
    np.testing.assert_allclose(frames[1].image, picture(21, 30, seed=1))
    later = FrameStream(Trickle(data, 5000), 20)
    later.identity()
    assert [frame.number for frame in later.frames(3)] == [3, 4]


def numbered(count: int, taken: list[int]) -> Generator[Frame, None, None]:
    for number in range(count):
        taken.append(number)
        yield Frame(number, number / 25, picture())


def test_frames_are_read_ahead_but_not_far() -> None:
    taken: list[int] = []
    frames = read_ahead(numbered(100, taken), most=3)
    assert next(frames).number == 0
    time.sleep(0.3)
    assert len(taken) <= 6  # three wait, one is being put, one was given
    assert [frame.number for frame in frames] == list(range(1, 100))


def test_the_readers_error_is_the_callers() -> None:
    def broken() -> Generator[Frame, None, None]:
        yield Frame(0, 0.0, picture())
        raise LiftwildError("torn")

    frames = read_ahead(broken())
    assert next(frames).number == 0
    with pytest.raises(LiftwildError, match="torn"):
        next(frames)


def test_closing_ends_the_reader() -> None:
    before = threading.active_count()
    frames = read_ahead(numbered(10**6, []))
    next(frames)
    assert threading.active_count() == before + 1
    frames.close()
    assert threading.active_count() == before
