"""Uploaded videos, as the processes that open them read them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from liftwild.app.recording_folder import UPLOAD
from liftwild.app.video_limits import ClipLimits
from liftwild.media.clip_part import part_of
from liftwild.media.video import Clip, Frame
from liftwild.media.video_file import VideoFile

PACKETS = 240  # by whose times the frame rate is measured


class LimitedVideo(VideoFile):
    """A video that is held to ``limits``, whatever its head says. LiftwildError where the head says too much.

    ``rate``: frames a second, measured at its beginning: heads of what browsers record say nonsense.
    """

    def __init__(self, path: Path, limits: ClipLimits) -> None:
        super().__init__(path)
        self.limits = limits
        self.rate = self._measured_rate()
        self.lasts_s = (self.length or 0) / self.fps
        limits.check_size(self.width, self.height)
        limits.check_rate(self.rate)
        limits.check_length(self.lasts_s)

    def _measured_rate(self) -> float:
        with self._open() as (container, stream):
            packets = islice(container.demux(stream), PACKETS)
            found = {packet.dts if packet.pts is None else packet.pts for packet in packets if packet.size}
            stamps = [stamp for stamp in found if stamp is not None]
            tick_s = float(stream.time_base or 0)
        lasts_s = (max(stamps, default=0) - min(stamps, default=0)) * tick_s
        return (len(stamps) - 1) / lasts_s if lasts_s > 0 else self.fps

    def frames(self, start: int = 0, *args: Any, **kwargs: Any) -> Generator[Frame, None, None]:
        """As ``VideoFile.frames``; LiftwildError at the frame that is too much."""
        with closing(super().frames(start, *args, **kwargs)) as frames:
            for frame in frames:
                self.limits.check_length(frame.time_s)
                self.limits.check_rate((frame.number - self.limits.most_fps) / max(frame.time_s, 1.0))
                if frame.image is not None:
                    self.limits.check_size(frame.image.shape[1], frame.image.shape[0])
                yield frame


def part_of_upload(limits: ClipLimits, start: float | None, end: float | None, slow_motion: float | None) -> Clip:
    """The part that is wanted of the video in this folder; arguments as for ``part_of``."""
    return part_of(LimitedVideo(Path(UPLOAD), limits), start, end, slow_motion)
