"""Videos and folders of frames; each numbered frame tells its number."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np

from tests.support.images import encode

WIDTH, HEIGHT, FRAMES, FPS = 64, 48, 12, 25.0
# Good enough to count columns in.
QUALITY = {
    "mpeg4": {"qmin": "2", "qmax": "2"}, "mjpeg": {"qmin": "2", "qmax": "2"}, "libx264": {"crf": "12"},
    "libvpx": {"crf": "8", "b": "2M"}, "libvpx-vp9": {"crf": "20", "b": "0"}, "mpeg2video": {"b": "2M"}, "gif": {},
    "prores": {}, "libx265": {"crf": "12", "x265-params": "log-level=none"},
    "libsvtav1": {"crf": "10", "preset": "10"},
}  # fmt: skip
PIXELS = {"mjpeg": "yuvj420p", "prores": "yuv422p10le", "gif": "rgb8"}
BOX = "10,6,30,36"  # a person's box in them, for --box


def frame_of(number: int) -> np.ndarray:
    """A frame that tells its number: as many bright columns, left of the middle; (H, W, 3) RGB."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[:, : 2 * number + 2] = 220
    image[: HEIGHT // 4, WIDTH - 8 :] = (250, 30, 30)  # red, in the upper right corner
    return image


def number_of(image: np.ndarray) -> int:
    """The number that an upright frame tells."""
    return round(float((image[HEIGHT // 2 :, :, 1] > 130).sum(axis=1).mean() - 2) / 2)


def encode_video(
    path: Path,
    frames: Iterable[np.ndarray],
    codec: str = "mpeg4",
    fps: float = FPS,
    options: dict[str, str] | None = None,
) -> Path:
    """A video of pictures (H, W, 3) uint8 RGB, all of one size; ``options`` are of FFmpeg's encoder ``codec``."""
    # In a thread of its own: SVT-AV1 gives the one that calls it real-time priority where it may, and leaves it so;
    # what that one starts afterwards would have it, too, and take the machine.
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(_encode, path, frames, codec, fps, options or {}).result()


def _encode(path: Path, frames: Iterable[np.ndarray], codec: str, fps: float, options: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = list(frames)
    height, width = pictures[0].shape[:2]
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(os.fspath(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={**QUALITY[codec], **options})
        stream.width, stream.height = width, height
        stream.pix_fmt = PIXELS.get(codec, "yuv420p")
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_video(path: Path, codec: str = "mpeg4", frames: int = FRAMES) -> Path:
    """A video of ``frames`` numbered frames."""
    return encode_video(path, map(frame_of, range(frames)), codec)


def write_frames(path: Path, frames: int = FRAMES) -> Path:
    """A folder of ``frames`` numbered frames."""
    path.mkdir(parents=True)
    for number in range(frames):
        (path / f"{number}.png").write_bytes(encode(".png", frame_of(number)))
    return path


def browser_recording(gaps_ms: Sequence[int]) -> bytes:
    """A WebM as a browser's MediaRecorder makes it of a camera: frames so many ms apart, and no length at its head."""

    class Sink:
        """Takes bytes, and cannot go back."""

        def __init__(self) -> None:
            self.written = bytearray()

        def write(self, content: bytes) -> int:
            self.written += content
            return len(content)

    sink, tick = Sink(), Fraction(1, 1000)
    with av.open(sink, "w", format="webm", options={"live": "1"}) as container:
        stream = container.add_stream("libvpx", rate=1000, options=QUALITY["libvpx"])
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, shown in enumerate(accumulate([0, *gaps_ms])):
            frame = av.VideoFrame.from_ndarray(frame_of(number % FRAMES), format="rgb24")
            frame.pts, frame.time_base = shown, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return bytes(sink.written)
