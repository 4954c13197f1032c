"""What pictures of poses are drawn with: the house's colours, marks, skeletons, a floor, a camera about a 3D pose.

A picture is a list of marks, each in px of its canvas; ``paint`` puts them on an image, ``vector`` into a PDF or SVG.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
SHADE: Colour = (221, 224, 229)  # a shadow where it cannot be soft

FINE = 2  # everything is drawn this much larger and shrunk at the end
SOFT_PX = 3.0 * FINE  # of shadows' edges
SHIFT = 4  # fractional bits of cv2's coordinates

# Joints with less confidence are drawn hollow, their bones thin: of people wholly in the photo a few in a hundred,
# three in four of them wrong (docs/viewer.md). So are, in 3D, joints outside the photo.
UNSURE = 0.3
PITCH_DEG = 12.0  # every view looks down a little, so that the floor shows
DISTANCE_MM = 6000.0
GRID_MM = 500  # cells of the floor; larger where there would be too many
MAX_CELLS = 8


class Line(NamedTuple):
    """A line with round ends."""

    start: np.ndarray
    end: np.ndarray
    colour: Colour
    width: float


class Disc(NamedTuple):
    """A filled circle."""

    centre: np.ndarray
    radius: float
    colour: Colour


class Words(NamedTuple):
    """One line of text; ``at`` is the left end of its base line, or its middle."""

    words: str
    at: np.ndarray
    size: float
    colour: Colour
    centred: bool = False


Mark = Line | Disc | Words


class View:
    """A camera that looks at ``middle`` (mm), turned about the vertical by ``yaw_deg``, from ``pitch_deg`` above.

    ``flat``: without perspective, so that lengths across the view are the same everywhere.
    """

    def __init__(self, middle: np.ndarray, yaw_deg: float, pitch_deg: float = PITCH_DEG, flat: bool = False) -> None:
        yaw, pitch = np.radians([yaw_deg, pitch_deg])
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        self.rotation = nod @ turn
        self.middle = middle
        self.flat = flat

    def see(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) in mm as seen: x, y in mm at the distance of the middle, and how far behind it (mm)."""
        turned = (points - self.middle) @ self.rotation.T
        if self.flat:
            return turned
        nearness = DISTANCE_MM / np.maximum(DISTANCE_MM + turned[:, 2:], DISTANCE_MM / 10)
        return np.concatenate([turned[:, :2] * nearness, turned[:, 2:]], axis=1)


class Placing(NamedTuple):
    """Where a view lies on a canvas: ``scale`` px for a mm, the view's middle at ``offset`` (2,) px."""

    view: View
    scale: float
    offset: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) in mm as px (N, 2) of the canvas."""
        return self.view.see(np.asarray(points, dtype=np.float64))[:, :2] * self.scale + self.offset


@dataclass(frozen=True)
class Floor:
    """A grid below a pose: at height ``level`` (mm, y), lines at ``xs`` and ``zs`` (mm), ``step_mm`` apart."""

    level: float
    xs: np.ndarray
    zs: np.ndarray
    step_mm: int

    @classmethod
    def below(cls, joints: np.ndarray) -> Floor:
        """The floor at the lowest of ``joints`` (J, 3) in mm, as far as they reach; NaN ones do not count."""
        joints = joints[np.isfinite(joints).all(axis=1)]
        low, high = joints.min(axis=0), joints.max(axis=0)
        step = GRID_MM
        while (high - low)[[0, 2]].max() / step > MAX_CELLS - 2:
            step *= 2
        ticks = []
        for axis in (0, 2):
            first, last = np.floor(low[axis] / step), np.ceil(high[axis] / step)
            while last - first < 2:  # the shorter side first
                first, last = (
                    (first - 1, last) if low[axis] - first * step < last * step - high[axis] else (first, last + 1)
                )
            ticks.append(np.arange(first, last + 1) * step)
        return cls(float(high[1]), ticks[0], ticks[1], step)

    @property
    def corners(self) -> np.ndarray:
        """Its four corners (4, 3) in mm."""
        return np.array([[x, self.level, z] for x in self.xs[[0, -1]] for z in self.zs[[0, -1]]])

    def lines(self, place: Placing) -> list[Line]:
        """Its lines on the canvas."""
        ends = [((x, self.zs[0]), (x, self.zs[-1])) for x in self.xs]
        ends += [((self.xs[0], z), (self.xs[-1], z)) for z in self.zs]
        found = []
        for (x0, z0), (x1, z1) in ends:
            start, end = place(np.array([[x0, self.level, z0], [x1, self.level, z1]]))
            found.append(Line(start, end, GRID, 1.2 * FINE))
        return found

    def shadow(self, place: Placing, pose: Pose) -> list[Line]:
        """What the bones of ``pose`` cast on it from straight above."""
        points = place(
            np.stack([pose.joints_3d[:, 0], np.full(len(pose.joints_3d), self.level), pose.joints_3d[:, 2]], 1)
        )
        return [Line(points[a], points[b], SHADE, 7 * FINE) for a, b in seen_bones(pose.skeleton, points)]


def in_photo(pose: Pose) -> np.ndarray:
    """``joints_2d`` (J, 2) of ``pose``, NaN where a joint is rather outside the photo: it is not drawn there."""
    return np.where(pose.is_outside[:, None], np.nan, pose.joints_2d)


def seen_bones(skeleton: Skeleton, points: np.ndarray) -> list[tuple[int, int]]:
    """The (child, parent) bones of which both ends of ``points`` (J, D) are known: none of them NaN."""
    known = np.isfinite(points).all(axis=1)
    return [bone for bone in skeleton.bones if known[bone[0]] and known[bone[1]]]


def draw_pose(panel: np.ndarray, view: View, pose: Pose, scale: float, offset: np.ndarray, stroke: float) -> None:
    """A 3D pose on its floor; ``scale`` px for a mm, the middle of the view at ``offset``, far parts paler."""
    if not np.isfinite(pose.joints_3d).all(axis=1).any():
        return
    place, floor = Placing(view, scale, offset), Floor.below(pose.joints_3d)
    paint(panel, floor.lines(place))
    cast(panel, floor.shadow(place, pose))
    paint(panel, pose_marks(place, pose, stroke))


def pose_marks(place: Placing, pose: Pose, stroke: float) -> list[Mark]:
    """A 3D pose on the canvas, without its floor."""
    depth = place.view.see(pose.joints_3d)[:, 2]
    near, farthest = (np.nanmin(depth), np.nanmax(depth)) if np.isfinite(depth).any() else (0.0, 0.0)
    far = (depth - near) / max(float(farthest - near), 300.0)
    return skeleton_marks(place(pose.joints_3d), pose, stroke, far, ROOM, shaded=True)


def draw_skeleton(
    canvas: np.ndarray, points: np.ndarray, pose: Pose, stroke: float, far: np.ndarray, halo: Colour
) -> None:
    """``skeleton_marks`` on ``canvas``."""
    paint(canvas, skeleton_marks(points, pose, stroke, far, halo))


def skeleton_marks(
    points: np.ndarray, pose: Pose, stroke: float, far: np.ndarray, halo: Colour, shaded: bool = False
) -> list[Mark]:
    """Bones and joints at ``points`` (J, 2), the far ones first; ``far`` (J,) in [0, 1]. None that is NaN."""
    skeleton, sure = pose.skeleton, (pose.confidence >= UNSURE) & ~pose.is_outside
    bones = sorted(seen_bones(skeleton, points), key=lambda bone: -(far[bone[0]] + far[bone[1]]))
    marks: list[Mark] = []

    def joint_marks(joint: int) -> None:
        own = _fade(side_colour(skeleton, joint), 0.45 * far[joint] if shaded else 0.0)
        marks.append(Disc(points[joint], 1.05 * stroke, own))
        if not sure[joint]:
            marks.append(Disc(points[joint], 0.6 * stroke, halo))

    alone = set(np.flatnonzero(np.isfinite(points).all(axis=1)).tolist()) - {end for bone in bones for end in bone}
    for joint in sorted(alone):
        joint_marks(joint)
    for child, parent in bones:
        colour = _fade(side_colour(skeleton, child), 0.45 * (far[child] + far[parent]) / 2 if shaded else 0.0)
        width = stroke if sure[child] and sure[parent] else stroke * 0.45
        marks.append(Line(points[child], points[parent], halo, width + 0.9 * stroke))
        marks.append(Line(points[child], points[parent], colour, width))
        for joint in (child, parent):
            joint_marks(joint)
    return marks


def side_colour(skeleton: Skeleton, joint: int) -> Colour:
    """The colour of a joint, and of the bone to its parent: by the side of the person."""
    name = skeleton.names[joint]
    return LEFT if name.startswith("left_") else RIGHT if name.startswith("right_") else MIDDLE


def _fade(colour: Colour, share: float) -> Colour:
    """``colour`` mixed with ``share`` of white."""
    red, green, blue = (round(c + (255 - c) * share) for c in colour)
    return red, green, blue


def paint(canvas: np.ndarray, marks: Iterable[Mark]) -> None:
    """Draw ``marks`` on ``canvas`` (H, W, 3) uint8, in their order."""
    for mark in marks:
        if isinstance(mark, Line):
            line(canvas, *mark)
        elif isinstance(mark, Disc):
            disc(canvas, *mark)
        else:
            text(canvas, mark.words, (float(mark.at[0]), float(mark.at[1])), mark.size, mark.colour, mark.centred)


def blank(width: int, height: int, colour: Colour) -> np.ndarray:
    """An empty canvas (height, width, 3) uint8."""
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = np.tile(np.array(colour, np.uint8), (width, 1))  # row by row: px by px it takes ten times as long
    return canvas


def cast(canvas: np.ndarray, shadow: Sequence[Line]) -> None:
    """Darken ``canvas`` softly below the lines of ``shadow``."""
    ends = np.array([point for each in shadow for point in (each.start, each.end)]).clip(-1e5, 1e5)
    if not len(ends):
        return
    reach = max(each.width for each in shadow) + 4 * SOFT_PX  # nothing is darkened beyond
    left, top = np.floor(ends.min(axis=0) - reach).clip(0).astype(int)
    right, bottom = np.ceil(ends.max(axis=0) + reach).clip(0).astype(int)
    part = canvas[top:bottom, left:right]
    if not part.size:
        return
    dark = np.zeros(part.shape[:2], np.uint8)
    for start, end, _, width in shadow:
        line(dark, start - (left, top), end - (left, top), 255, width)
    share = cv2.GaussianBlur(dark, (0, 0), SOFT_PX).astype(np.float32)[..., None] * (0.2 / 255)
    part[:] = (part * (1 - share)).astype(np.uint8)


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
