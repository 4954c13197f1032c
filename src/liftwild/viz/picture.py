"""Pictures in memory, as a notebook shows them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from liftwild.media.encoding import png_bytes, write_png
from liftwild.pose import Pose, Recording
from liftwild.viz.figure import draw_figure
from liftwild.viz.viewer_html import viewer_page

VIEWER_PX = 560  # height of the viewer in a notebook


class Picture:
    """A picture that a notebook shows: ``pixels`` (H, W, 3) uint8 RGB."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def save(self, path: str | Path) -> None:
        """Write it as a PNG; LiftwildError if it cannot be written."""
        write_png(path, self.pixels)

    def _repr_png_(self) -> bytes:
        return png_bytes(self.pixels)

    def __repr__(self) -> str:
        return f"<Picture: {self.pixels.shape[1]} x {self.pixels.shape[0]} px; .save(path) writes it>"


def picture_of_poses(
    poses: Sequence[Pose], photo: np.ndarray | None = None, size: tuple[int, int] | None = None
) -> Picture:
    """The figure of ``poses``: ``photo`` (H, W, 3) uint8 RGB, or a smaller copy of one of ``size`` (width, height), and
    the 3D pose from three sides; without a photo the skeletons lie on an empty ground."""
    if photo is None:
        known = [pose.joints_2d[np.isfinite(pose.joints_2d).all(axis=1)] for pose in poses]
        corner = np.concatenate([*known, np.ones((1, 2))]).max(axis=0)
        width, height = size or (int(corner[0] * 1.05) + 1, int(corner[1] * 1.05) + 1)
        shrink = min(1.0, 512 / max(width, height))
        photo = np.full((max(1, round(height * shrink)), max(1, round(width * shrink)), 3), 244, np.uint8)
        size = width, height
    return Picture(draw_figure(photo, poses, size))


def notebook_html(recording: Recording) -> str:
    """What a notebook shows of ``recording``: the figure of a photo, the viewer of a clip, in a frame of its own."""
    if not recording.is_clip:
        png = base64.b64encode(recording.plot()._repr_png_()).decode("ascii")
        return f'<img alt="{escape(repr(recording))}" style="max-width:100%" src="data:image/png;base64,{png}">'
    page = escape(viewer_page(recording), quote=True)
    style = f"width:100%;height:{VIEWER_PX}px;border:0"
    return (
        f'<iframe sandbox="allow-scripts" title="{escape(repr(recording))}" style="{style}" srcdoc="{page}"></iframe>'
    )
