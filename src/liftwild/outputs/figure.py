"""A picture of the result: the photo with its skeletons, and the 3D pose from the camera's side and turned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from liftwild.errors import LiftwildError
from liftwild.outputs.draw import (
    FAINT,
    FINE,
    GRID_MM,
    INK,
    LEFT,
    PAPER,
    RIGHT,
    ROOM,
    Colour,
    View,
    draw_pose,
    draw_skeleton,
    line,
    text,
)
from liftwild.outputs.files import write_whole
from liftwild.pose import Pose

EMPTY: Colour = (228, 230, 234)  # beside a photo that does not fill its panel

PANEL_PX = 512  # height of the panels and width of the 3D ones
TITLE_PX = 42
FOOT_PX = 40
GAP_PX = 12
PHOTO_WIDTH_PX = (256, 1024)  # least and most
TURN_DEG = 65.0
LEAST_SIZE_MM = 600.0


def draw_figure(image: np.ndarray, poses: Sequence[Pose], photo_size: tuple[int, int] | None = None) -> np.ndarray:
    """The picture of one photo's poses: (H, W, 3) uint8 RGB, H fixed, W by the photo's shape.

    ``image`` (h, w, 3) uint8 RGB: the photo, or a smaller copy of it if ``photo_size`` (width, height) says how large
    the photo is that the poses are in. With several people the 3D panels show the one with the largest box. Blue is
    the person's left, orange the right; a joint with confidence under 0.1 is hollow.
    """
    width, height = photo_size or (image.shape[1], image.shape[0])
    photo = _photo_panel(image, poses, width, height)
    panels = [photo, *_pose_panels(poses)]
    side = GAP_PX * FINE
    total = (TITLE_PX + PANEL_PX + FOOT_PX) * FINE, sum(panel.shape[1] + side for panel in panels) + side, 3
    canvas = np.full(total, PAPER, np.uint8)
    whose = f" of the largest of {len(poses)} people" if len(poses) > 1 else ""
    titles = ("Photo", f"3D{whose}, from the camera", f"3D, turned by {TURN_DEG:.0f} degrees")
    x = side
    for panel, title in zip(panels, titles, strict=True):
        top = TITLE_PX * FINE
        canvas[top : top + panel.shape[0], x : x + panel.shape[1]] = panel
        text(canvas, title, (x + 2 * FINE, top - 14 * FINE), 0.62, INK)
        x += panel.shape[1] + side
    _legend(canvas)
    return cv2.resize(canvas, None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA)


def shrink_for_figure(image: np.ndarray) -> np.ndarray:
    """A copy of a photo (H, W, 3) no larger than ``draw_figure`` can show, to keep while a batch waits."""
    width, height = _shown_size(image.shape[1], image.shape[0])
    if width >= image.shape[1]:
        return image.copy()
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write ``image`` (H, W, 3) uint8 RGB as a PNG, whole or not at all; LiftwildError if it cannot be written."""
    done, content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise LiftwildError(f"{path}: the picture cannot be encoded")
    write_whole(path, content.tobytes())


def _shown_size(width: int, height: int) -> tuple[int, int]:
    """Width and height (fine px) at which a photo is shown."""
    scale = min(PHOTO_WIDTH_PX[1] / width, PANEL_PX / height) * FINE
    return max(1, round(width * scale)), max(1, round(height * scale))


def _photo_panel(image: np.ndarray, poses: Sequence[Pose], width: int, height: int) -> np.ndarray:
    """The photo with all skeletons, the largest person's on top."""
    shown = _shown_size(width, height)
    enlarged = shown[0] > image.shape[1]
    photo = cv2.resize(image, shown, interpolation=cv2.INTER_CUBIC if enlarged else cv2.INTER_AREA)
    scale = np.array(shown) / (width, height)
    for pose in sorted(poses, key=_box_area):
        size = max(pose.box[2:]) * scale[0]
        stroke = float(np.clip(size * 0.014, 1.6 * FINE, 5.0 * FINE))
        draw_skeleton(photo, pose.joints_2d * scale, pose, stroke, np.zeros(len(pose.joints_2d)), (250, 250, 250))
    panel_width = max(shown[0], PHOTO_WIDTH_PX[0] * FINE)
    panel = np.full((PANEL_PX * FINE, panel_width, 3), EMPTY, np.uint8)
    y, x = (panel.shape[0] - shown[1]) // 2, (panel_width - shown[0]) // 2
    panel[y : y + shown[1], x : x + shown[0]] = photo
    return panel


def _pose_panels(poses: Sequence[Pose]) -> list[np.ndarray]:
    """The 3D pose from the camera's side and turned, at one scale."""
    panels = [np.full((PANEL_PX * FINE, PANEL_PX * FINE, 3), ROOM, np.uint8) for _ in range(2)]
    if not poses:
        for panel in panels:
            text(panel, "no person", (panel.shape[1] // 2, panel.shape[0] // 2), 0.6, FAINT, centred=True)
        return panels
    pose = max(poses, key=_box_area)
    joints = pose.joints_3d
    middle = (joints.min(axis=0) + joints.max(axis=0)) / 2
    views = [View(middle, yaw) for yaw in (0.0, TURN_DEG)]
    reach = max(LEAST_SIZE_MM / 2, *(float(np.abs(view.see(joints)[:, :2]).max()) for view in views))
    scale = 0.39 * PANEL_PX * FINE / reach
    for panel, view in zip(panels, views, strict=True):
        offset = np.array([panel.shape[1] / 2, panel.shape[0] * 0.46])
        draw_pose(panel, view, pose, scale, offset, 4.6 * FINE)
        _axes(panel, view)
    return panels


def _axes(panel: np.ndarray, view: View) -> None:
    """Small arrows for x, y and z in the lower left corner."""
    origin = np.array([34.0, 40.0]) * FINE
    for axis, name in enumerate("xyz"):
        along = view.rotation[:2, axis]
        tip = origin + along * 34 * FINE
        length = float(np.linalg.norm(along))
        if length > 0.12:
            line(panel, origin, tip, FAINT, 1.6 * FINE)
            ahead, aside = along / length, np.array([-along[1], along[0]]) / length
            for sign in (-1, 1):
                line(panel, tip, tip - (ahead * 6 - sign * aside * 3.5) * FINE, FAINT, 1.6 * FINE)
            text(panel, name, tuple(tip + ahead * 9 * FINE), 0.42, FAINT, centred=True)


def _legend(canvas: np.ndarray) -> None:
    """Which colour is which side, and how large the cells of the grid are, below the panels."""
    y, x = canvas.shape[0] - FOOT_PX * FINE // 2, GAP_PX * FINE
    for name, colour, step in (("left", LEFT, 78), ("right", RIGHT, 88)):
        line(canvas, np.array([x + 4 * FINE, y]), np.array([x + 22 * FINE, y]), colour, 5 * FINE)
        text(canvas, name, (x + 32 * FINE, y + 5 * FINE), 0.48, INK)
        x += step * FINE
    x = canvas.shape[1] - 2 * (PANEL_PX + GAP_PX) * FINE
    text(canvas, f"floor grid {GRID_MM} mm     x right, y down, z away from the camera", (x, y + 5 * FINE), 0.48, FAINT)


def _box_area(pose: Pose) -> float:
    return pose.box[2] * pose.box[3]
