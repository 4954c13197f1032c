"""Uploaded videos, as the processes that open them read them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from liftwild.app.recording_folder import UPLOAD
from liftwild.app.video_limits import ClipLimits
from liftwild.media.clip_part import part_of
from liftwild.media.video import Clip, Frame
from liftwild.media.video_file import VideoFile


class LimitedVideo(VideoFile):
    """A video that is held to ``limits``, whatever its head says. LiftwildError where the head says too much."""

    def __init__(self, path: Path, limits: ClipLimits) -> None:
        super().__init__(path)
        self.limits = limits
        limits.check_size(self.width, self.height)
        limits.check_rate(self.fps)
        limits.check_length((self.length or 0) / self.fps)

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
