"""A picture of the result: the photo with its skeletons, and the 3D pose from the camera's side and turned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from liftwild.errors import LiftwildError
from liftwild.outputs.files import write_whole
from liftwild.pose import Pose
from liftwild.skeleton import Skeleton

Colour = tuple[int, int, int]

# Left and right differ in lightness as well as in hue: they read in grey and for the colour-blind (Okabe and Ito 2008).
LEFT: Colour = (0, 114, 178)
RIGHT: Colour = (240, 138, 20)
MIDDLE: Colour = (96, 100, 108)
PAPER: Colour = (255, 255, 255)
ROOM: Colour = (245, 246, 248)  # ground of the 3D panels
INK: Colour = (45, 48, 54)
FAINT: Colour = (125, 130, 138)
GRID: Colour = (208, 212, 218)
EMPTY: Colour = (228, 230, 234)  # beside a photo that does not fill its panel

PANEL_PX = 512  # height of the panels and width of the 3D ones
TITLE_PX = 42
FOOT_PX = 40
GAP_PX = 12
PHOTO_WIDTH_PX = (256, 1024)  # least and most
FINE = 2  # everything is drawn this much larger and shrunk at the end
SHIFT = 4  # fractional bits of cv2's coordinates

UNSURE = 0.1  # joints with less confidence are drawn hollow, their bones thin
TURN_DEG = 65.0
PITCH_DEG = 12.0  # both views look down a little, so that the floor shows
DISTANCE_MM = 6000.0
GRID_MM = 500
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
        _text(canvas, title, (x + 2 * FINE, top - 14 * FINE), 0.62, INK)
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
        _skeleton(photo, pose.joints_2d * scale, pose, stroke, np.zeros(len(pose.joints_2d)), (250, 250, 250))
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
            _text(panel, "no person", (panel.shape[1] // 2, panel.shape[0] // 2), 0.6, FAINT, centred=True)
        return panels
    pose = max(poses, key=_box_area)
    joints = pose.joints_3d
    middle = (joints.min(axis=0) + joints.max(axis=0)) / 2
    views = [_View(middle, yaw) for yaw in (0.0, TURN_DEG)]
    reach = max(LEAST_SIZE_MM / 2, *(float(np.abs(view.see(joints)[:, :2]).max()) for view in views))
    scale = 0.39 * PANEL_PX * FINE / reach
    for panel, view in zip(panels, views, strict=True):
        offset = np.array([panel.shape[1] / 2, panel.shape[0] * 0.46])
        _floor(panel, view, joints, pose.skeleton, scale, offset)
        seen = view.see(joints)
        depth = seen[:, 2]
        far = (depth - depth.min()) / max(float(np.ptp(depth)), 300.0)
        _skeleton(panel, seen[:, :2] * scale + offset, pose, 4.6 * FINE, far, ROOM, shaded=True)
        _axes(panel, view)
    return panels


class _View:
    """A camera that looks at ``middle`` (mm), turned about the vertical by ``yaw_deg`` and looking down a little."""

    def __init__(self, middle: np.ndarray, yaw_deg: float) -> None:
        yaw, pitch = np.radians([yaw_deg, PITCH_DEG])
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        self.rotation = nod @ turn
        self.middle = middle

    def see(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) in mm as seen: x, y in mm at the distance of the middle, and how far behind it (mm)."""
        turned = (points - self.middle) @ self.rotation.T
        nearness = DISTANCE_MM / np.maximum(DISTANCE_MM + turned[:, 2:], DISTANCE_MM / 10)
        return np.concatenate([turned[:, :2] * nearness, turned[:, 2:]], axis=1)


def _floor(
    panel: np.ndarray, view: _View, joints: np.ndarray, skeleton: Skeleton, scale: float, offset: np.ndarray
) -> None:
    """A grid at the height of the lowest joint, and the pose's shadow on it."""
    level = joints[:, 1].max()
    centre = np.round(view.middle[[0, 2]] / GRID_MM) * GRID_MM
    spread = np.abs(joints[:, [0, 2]] - centre).max()
    cells = int(np.clip(np.ceil(spread / GRID_MM), 2, 6))
    ticks = np.arange(-cells, cells + 1) * GRID_MM

    def place(x: float, z: float) -> np.ndarray:
        return view.see(np.array([[x, level, z]]))[0, :2] * scale + offset

    for tick in ticks:
        ends = ((tick, ticks[0]), (tick, ticks[-1])), ((ticks[0], tick), (ticks[-1], tick))
        for (x0, z0), (x1, z1) in ends:
            _line(panel, place(centre[0] + x0, centre[1] + z0), place(centre[0] + x1, centre[1] + z1), GRID, 1.2 * FINE)
    shadow = np.zeros(panel.shape[:2], np.uint8)
    for child, parent in skeleton.bones:
        _line(shadow, place(*joints[child, [0, 2]]), place(*joints[parent, [0, 2]]), 255, 7 * FINE)
    dark = cv2.GaussianBlur(shadow, (0, 0), 3.0 * FINE).astype(np.float32)[..., None] * (0.2 / 255)
    panel[:] = (panel * (1 - dark)).astype(np.uint8)


def _skeleton(
    canvas: np.ndarray,
    points: np.ndarray,
    pose: Pose,
    stroke: float,
    far: np.ndarray,
    halo: Colour,
    shaded: bool = False,
) -> None:
    """Bones and joints at ``points`` (J, 2), the far ones first; ``far`` (J,) in [0, 1]."""
    skeleton, sure = pose.skeleton, pose.confidence >= UNSURE
    bones = sorted(skeleton.bones, key=lambda bone: -(far[bone[0]] + far[bone[1]]))
    for child, parent in bones:
        colour = _fade(_colour(skeleton, child), 0.45 * (far[child] + far[parent]) / 2 if shaded else 0.0)
        width = stroke if sure[child] and sure[parent] else stroke * 0.45
        _line(canvas, points[child], points[parent], halo, width + 0.9 * stroke)
        _line(canvas, points[child], points[parent], colour, width)
        for joint in (child, parent):
            own = _fade(_colour(skeleton, joint), 0.45 * far[joint] if shaded else 0.0)
            _joint(canvas, points[joint], own, stroke, bool(sure[joint]), halo)


def _joint(canvas: np.ndarray, point: np.ndarray, colour: Colour, stroke: float, sure: bool, halo: Colour) -> None:
    _disc(canvas, point, 1.05 * stroke, colour)
    if not sure:
        _disc(canvas, point, 0.6 * stroke, halo)


def _axes(panel: np.ndarray, view: _View) -> None:
    """Small arrows for x, y and z in the lower left corner."""
    origin = np.array([34.0, 40.0]) * FINE
    for axis, name in enumerate("xyz"):
        along = view.rotation[:2, axis]
        tip = origin + along * 34 * FINE
        length = float(np.linalg.norm(along))
        if length > 0.12:
            _line(panel, origin, tip, FAINT, 1.6 * FINE)
            ahead, aside = along / length, np.array([-along[1], along[0]]) / length
            for sign in (-1, 1):
                _line(panel, tip, tip - (ahead * 6 - sign * aside * 3.5) * FINE, FAINT, 1.6 * FINE)
            _text(panel, name, tuple(tip + ahead * 9 * FINE), 0.42, FAINT, centred=True)


def _legend(canvas: np.ndarray) -> None:
    """Which colour is which side, and how large the cells of the grid are, below the panels."""
    y, x = canvas.shape[0] - FOOT_PX * FINE // 2, GAP_PX * FINE
    for name, colour, step in (("left", LEFT, 78), ("right", RIGHT, 88)):
        _line(canvas, np.array([x + 4 * FINE, y]), np.array([x + 22 * FINE, y]), colour, 5 * FINE)
        _text(canvas, name, (x + 32 * FINE, y + 5 * FINE), 0.48, INK)
        x += step * FINE
    x = canvas.shape[1] - 2 * (PANEL_PX + GAP_PX) * FINE
    _text(
        canvas, f"floor grid {GRID_MM} mm     x right, y down, z away from the camera", (x, y + 5 * FINE), 0.48, FAINT
    )


def _box_area(pose: Pose) -> float:
    return pose.box[2] * pose.box[3]


def _colour(skeleton: Skeleton, joint: int) -> Colour:
    name = skeleton.names[joint]
    return LEFT if name.startswith("left_") else RIGHT if name.startswith("right_") else MIDDLE


def _fade(colour: Colour, share: float) -> Colour:
    """``colour`` mixed with ``share`` of white."""
    red, green, blue = (round(c + (255 - c) * share) for c in colour)
    return red, green, blue


def _fixed(point: Sequence[float] | np.ndarray) -> tuple[int, int]:
    """A point (x, y) in cv2's fixed-point numbers, kept where they cannot overflow."""
    x, y = (round(float(np.clip(value, -1e5, 1e5) - 0.5) * (1 << SHIFT)) for value in point)
    return x, y


def _line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, colour: Colour | int, width: float) -> None:
    """A line with round ends."""
    cv2.line(canvas, _fixed(start), _fixed(end), colour, max(1, round(width)), cv2.LINE_AA, SHIFT)


def _disc(canvas: np.ndarray, centre: np.ndarray, radius: float, colour: Colour) -> None:
    cv2.circle(canvas, _fixed(centre), round(radius * (1 << SHIFT)), colour, cv2.FILLED, cv2.LINE_AA, SHIFT)


def _text(
    canvas: np.ndarray, text: str, at: tuple[float, float], size: float, colour: Colour, centred: bool = False
) -> None:
    """One line of text; ``at`` is the left end of its base line, or its middle."""
    font, scale, weight = cv2.FONT_HERSHEY_SIMPLEX, size * FINE, FINE
    x, y = at
    if centred:
        (width, height), _ = cv2.getTextSize(text, font, scale, weight)
        x, y = x - width / 2, y + height / 2
    cv2.putText(canvas, text, (round(x), round(y)), font, scale, colour, weight, cv2.LINE_AA)
