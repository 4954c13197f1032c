"""A part of a clip, and clips that were filmed faster than they are shown."""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path

from liftwild.errors import LiftwildError
from liftwild.media.video import Clip, Frame

SLOW_RANGE = (0.01, 100.0)


class ClipPart:
    """The frames of ``clip`` from ``start_s`` until before ``end_s`` (None: its end), in its own seconds.

    ``slow_motion``: how many times slower than life the clip shows what it filmed: times are divided by it. Numbers and
    times count from the part's first frame. LiftwildError if there is no such part.
    """

    def __init__(self, clip: Clip, start_s: float = 0.0, end_s: float | None = None, slow_motion: float = 1.0) -> None:
        check_part(start_s, end_s, slow_motion)
        self.clip, self.start_s, self.end_s, self.slow_motion = clip, start_s, end_s, slow_motion
        self.name, self.rereadable = clip.name, clip.rereadable
        self.length: int | None = clip.length if start_s == 0 and end_s is None else None
        self._first: int | None = None  # number of the part's first frame in the clip, once it is known

    def identity(self) -> str:
        """As ``Clip.identity``."""
        end = "end" if self.end_s is None else f"{self.end_s:g} s"
        return f"{self.clip.identity()} from {self.start_s:g} s to {end}, slow motion {self.slow_motion:g}"

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        """As ``Clip.frames``; LiftwildError if the clip ends before the part begins."""
        first: Frame | None = None
        frames = self.clip.frames()
        try:
            for frame in frames:
                if frame.time_s < self.start_s:
                    continue
                if self.end_s is not None and frame.time_s >= self.end_s:
                    break
                first = first or frame
                self._first = first.number
                number = frame.number - first.number
                if number >= start:
                    yield frame._replace(number=number, time_s=(frame.time_s - first.time_s) / self.slow_motion)
        finally:
            frames.close()
        if first is None:
            raise LiftwildError(f"{self.name}: it has no frame from {self.start_s:g} s on")

    def path_of(self, index: int) -> Path | None:
        """As ``Clip.path_of``."""
        return None if self._first is None else self.clip.path_of(index + self._first)

    def missing(self) -> int:
        """As ``Clip.missing``; 0 of a part that ends before the clip."""
        return self.clip.missing() if self.end_s is None else 0


def part_of(clip: Clip, start_s: float | None, end_s: float | None, slow_motion: float | None) -> Clip:
    """``clip`` itself where nothing is asked for, else that ``ClipPart``."""
    if start_s is None and end_s is None and slow_motion is None:
        return clip
    return ClipPart(clip, start_s or 0.0, end_s, 1.0 if slow_motion is None else slow_motion)


def check_part(start_s: float | None, end_s: float | None, slow_motion: float | None) -> None:
    """LiftwildError if no clip can have such a part; None: as in ``part_of``."""
    start_s = start_s or 0.0
    if not (math.isfinite(start_s) and start_s >= 0):
        raise LiftwildError(f"a part begins 0 s or more after the clip's beginning, not {start_s:g}")
    if end_s is not None and not (math.isfinite(end_s) and end_s > start_s):
        raise LiftwildError(f"a part ends after its start at {start_s:g} s, not at {end_s:g}")
    if slow_motion is not None and not (math.isfinite(slow_motion) and SLOW_RANGE[0] <= slow_motion <= SLOW_RANGE[1]):
        raise LiftwildError(f"slow motion is {SLOW_RANGE[0]:g} to {SLOW_RANGE[1]:g} times slower, not {slow_motion:g}")
