"""What videos are held to."""

from __future__ import annotations

from dataclasses import dataclass

from liftwild.app.settings import Limits
from liftwild.errors import LiftwildError


@dataclass(frozen=True)
class ClipLimits:
    """How long a video may last, s, the pixels of its frames, and how many of them a second."""

    most_s: float
    most_pixels: int
    most_fps: float

    @classmethod
    def of(cls, limits: Limits) -> ClipLimits:
        """Those of a server."""
        return cls(limits.video_s, limits.video_pixels, limits.video_fps)

    def check_length(self, lasts_s: float) -> None:
        """LiftwildError if a video lasts too long."""
        if lasts_s > self.most_s:
            raise LiftwildError(
                f"video: lasts {lasts_s:,.0f} s or more; this server takes up to {self.most_s:,.0f} s: cut it"
            )

    def check_size(self, width: int, height: int) -> None:
        """LiftwildError if frames are too large."""
        if width * height > self.most_pixels:
            raise LiftwildError(
                f"video: has frames of {width} x {height} px; this server takes up to "
                f"{self.most_pixels / 1e6:.1f} million: make it smaller"
            )

    def check_rate(self, fps: float) -> None:
        """LiftwildError if there are too many frames a second."""
        if fps > self.most_fps:
            raise LiftwildError(
                f"video: has {fps:,.0f} frames a second; this server takes up to {self.most_fps:.0f}: save it with less"
            )
