"""Contact sheets: many small pictures in one, with or without their joints."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from liftwild.skeleton import MPII_16
from liftwild.synthetic.render.generate import RenderedSample

SHEET_COLUMNS, MAX_PICTURES = 8, 48
_RIGHT, _LEFT, _MIDDLE, _HIDDEN = (230, 60, 50), (60, 90, 235), (240, 200, 40), (120, 120, 120)


def contact_sheet(samples: Sequence[RenderedSample], joints: bool = False) -> np.ndarray:
    """Pictures of one size in rows of ``SHEET_COLUMNS``: (H, W, 3) uint8 RGB. ``joints``: with bones, right red, left
    blue, and hidden joints grey."""
    pictures = [draw_joints(each) if joints else each.sample.image for each in samples]
    columns = min(SHEET_COLUMNS, len(pictures))
    pictures += [np.zeros_like(pictures[0])] * (-len(pictures) % columns)
    rows = [np.concatenate(pictures[start : start + columns], 1) for start in range(0, len(pictures), columns)]
    return np.concatenate(rows, 0)


def draw_joints(rendered: RenderedSample) -> np.ndarray:
    """A sample's picture with its bones and joints drawn on it."""
    picture = rendered.sample.image.copy()
    # cv2 counts pixel centres at 0, and drawing in sixteenths of a pixel keeps the line where the label is.
    points = np.round((rendered.sample.joints_2d - 0.5) * 16).astype(int)
    for child, parent in MPII_16.bones:
        name = MPII_16.names[child]
        colour = _RIGHT if name.startswith("right") else _LEFT if name.startswith("left") else _MIDDLE
        cv2.line(picture, points[child].tolist(), points[parent].tolist(), colour, 1, cv2.LINE_AA, 4)
    for joint, point in enumerate(points):
        colour = (255, 255, 255) if rendered.visible[joint] else _HIDDEN
        cv2.circle(picture, point.tolist(), 24, colour, -1, cv2.LINE_AA, 4)
    return picture
