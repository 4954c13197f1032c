"""Videos that browsers and players show: H.264 in mp4, each picture at its own time, without sound."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import av
import numpy as np
from av.codec import Codec
from av.codec.context import Flags, ThreadType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from liftwild.errors import LiftwildError

ENCODER = "libx264"
TICKS_S = 90_000  # times are multiples of 1 / 90,000 s
# One thread, so that the same pictures make the same file; no pictures that wait for later ones.
OPTIONS = {"preset": "veryfast", "crf": "20", "bf": "0"}
BT709, LIMITED_RANGE = 1, 1  # as H.264 numbers them


class VideoWriter:
    """Writes an mp4 into ``file``, open for writing and seekable; it is whole at the end of a ``with`` block.

    ``width``, ``height`` px of the pictures; ``fps``: about how many a second, which steers the encoder alone.
    ``name``: what errors call it. LiftwildError if it cannot be encoded; OSError of ``file`` if it cannot be written.
    """

    def __init__(self, file: BinaryIO, width: int, height: int, fps: float, name: str | Path) -> None:
        self.name, self.fps = name, fps
        self._pad = ((0, height % 2), (0, width % 2), (0, 0))  # H.264 has one colour for 2 x 2 px
        self._last = -1
        try:
            Codec(ENCODER, "w")
        except av.codec.codec.UnknownCodecError:
            raise LiftwildError(
                f"{name}: this build of PyAV has no {ENCODER}; install the one of the package index: pip install av"
            ) from None
        self._container = av.open(file, "w", format="mp4")
        stream = self._container.add_stream(ENCODER, rate=Fraction(fps).limit_denominator(1001), options=OPTIONS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.thread_type, stream.thread_count = ThreadType.NONE, 1
        stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS_S)
        stream.colorspace = stream.color_primaries = stream.color_trc = BT709
        stream.color_range = LIMITED_RANGE
        stream.codec_context.flags |= Flags.frame_duration
        self._stream = stream

    def write(self, image: np.ndarray, time_s: float, until_s: float) -> None:
        """Show ``image`` (H, W, 3) uint8 RGB from ``time_s`` to ``until_s``, s; times rise."""
        frame = VideoFrame.from_ndarray(np.pad(image, self._pad, mode="edge"), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE, threads=1)
        self._last = max(self._last + 1, round(time_s * TICKS_S))
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS_S)
        frame.duration = max(1, round(until_s * TICKS_S) - self._last)
        self._encode(frame)

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except av.FFmpegError as error:
            raise LiftwildError(f"{self.name}: cannot be encoded as a video: {error.strerror}") from None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._encode(None)
            self._container.close()
        else:
            with suppress(av.FFmpegError, OSError):  # that it cannot be ended either
                self._container.close()
