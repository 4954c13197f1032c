"""What pictures of poses are drawn with: the house's colours, lines, skeletons, and a camera about a 3D pose."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

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

FINE = 2  # everything is drawn this much larger and shrunk at the end
SHIFT = 4  # fractional bits of cv2's coordinates

UNSURE = 0.1  # joints with less confidence are drawn hollow, their bones thin
PITCH_DEG = 12.0  # every view looks down a little, so that the floor shows
DISTANCE_MM = 6000.0
GRID_MM = 500


class View:
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


def draw_pose(
    panel: np.ndarray, view: View, pose: Pose, scale: float, offset: np.ndarray, stroke: float, right: Colour = RIGHT
) -> None:
    """A 3D pose on its floor; ``scale`` px for a mm, the middle of the view at ``offset``, far parts paler."""
    _floor(panel, view, pose.joints_3d, pose.skeleton, scale, offset)
    seen = view.see(pose.joints_3d)
    depth = seen[:, 2]
    far = (depth - depth.min()) / max(float(np.ptp(depth)), 300.0)
    draw_skeleton(panel, seen[:, :2] * scale + offset, pose, stroke, far, ROOM, shaded=True, right=right)


def _floor(
    panel: np.ndarray, view: View, joints: np.ndarray, skeleton: Skeleton, scale: float, offset: np.ndarray
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
            line(panel, place(centre[0] + x0, centre[1] + z0), place(centre[0] + x1, centre[1] + z1), GRID, 1.2 * FINE)
    shadow = np.zeros(panel.shape[:2], np.uint8)
    for child, parent in skeleton.bones:
        line(shadow, place(*joints[child, [0, 2]]), place(*joints[parent, [0, 2]]), 255, 7 * FINE)
    dark = cv2.GaussianBlur(shadow, (0, 0), 3.0 * FINE).astype(np.float32)[..., None] * (0.2 / 255)
    panel[:] = (panel * (1 - dark)).astype(np.uint8)


def draw_skeleton(
    canvas: np.ndarray,
    points: np.ndarray,
    pose: Pose,
    stroke: float,
    far: np.ndarray,
    halo: Colour,
    shaded: bool = False,
    right: Colour = RIGHT,
) -> None:
    """Bones and joints at ``points`` (J, 2), the far ones first; ``far`` (J,) in [0, 1]."""
    skeleton, sure = pose.skeleton, pose.confidence >= UNSURE
    bones = sorted(skeleton.bones, key=lambda bone: -(far[bone[0]] + far[bone[1]]))
    for child, parent in bones:
        colour = _fade(side_colour(skeleton, child, right), 0.45 * (far[child] + far[parent]) / 2 if shaded else 0.0)
        width = stroke if sure[child] and sure[parent] else stroke * 0.45
        line(canvas, points[child], points[parent], halo, width + 0.9 * stroke)
        line(canvas, points[child], points[parent], colour, width)
        for joint in (child, parent):
            own = _fade(side_colour(skeleton, joint, right), 0.45 * far[joint] if shaded else 0.0)
            _joint(canvas, points[joint], own, stroke, bool(sure[joint]), halo)


def _joint(canvas: np.ndarray, point: np.ndarray, colour: Colour, stroke: float, sure: bool, halo: Colour) -> None:
    disc(canvas, point, 1.05 * stroke, colour)
    if not sure:
        disc(canvas, point, 0.6 * stroke, halo)


def side_colour(skeleton: Skeleton, joint: int, right: Colour = RIGHT) -> Colour:
    """The colour of a joint, and of the bone to its parent: by the side of the person."""
    name = skeleton.names[joint]
    return LEFT if name.startswith("left_") else right if name.startswith("right_") else MIDDLE


def _fade(colour: Colour, share: float) -> Colour:
    """``colour`` mixed with ``share`` of white."""
    red, green, blue = (round(c + (255 - c) * share) for c in colour)
    return red, green, blue


def _fixed(point: Sequence[float] | np.ndarray) -> tuple[int, int]:
    """A point (x, y) in cv2's fixed-point numbers, kept where they cannot overflow."""
    x, y = (round(float(np.clip(value, -1e5, 1e5) - 0.5) * (1 << SHIFT)) for value in point)
    return x, y


def line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, colour: Colour | int, width: float) -> None:
    """A line with round ends."""
    cv2.line(canvas, _fixed(start), _fixed(end), colour, max(1, round(width)), cv2.LINE_AA, SHIFT)


def disc(canvas: np.ndarray, centre: np.ndarray, radius: float, colour: Colour) -> None:
    """A filled circle."""
    cv2.circle(canvas, _fixed(centre), round(radius * (1 << SHIFT)), colour, cv2.FILLED, cv2.LINE_AA, SHIFT)


def text(
    canvas: np.ndarray, words: str, at: tuple[float, float], size: float, colour: Colour, centred: bool = False
) -> None:
    """One line of text; ``at`` is the left end of its base line, or its middle."""
    font, scale, weight = cv2.FONT_HERSHEY_SIMPLEX, size * FINE, FINE
    x, y = at
    if centred:
        (width, height), _ = cv2.getTextSize(words, font, scale, weight)
        x, y = x - width / 2, y + height / 2
    cv2.putText(canvas, words, (round(x), round(y)), font, scale, colour, weight, cv2.LINE_AA)
