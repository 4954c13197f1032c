"""A picture of the result: the photo with its skeletons, and the 3D pose from the front, the side and the top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from liftwild.pose import Pose
from liftwild.viz.draw import (
    FAINT,
    FINE,
    INK,
    LEFT,
    PAPER,
    PITCH_DEG,
    RIGHT,
    ROOM,
    Colour,
    Disc,
    Floor,
    Line,
    Mark,
    Placing,
    View,
    Words,
    blank,
    cast,
    in_photo,
    paint,
    pose_marks,
    skeleton_marks,
)

EMPTY: Colour = (228, 230, 234)  # beside a photo that does not fill its panel
HALO: Colour = (250, 250, 250)  # about skeletons on a photo

PANEL_PX = 512  # height of the panels
POSE_WIDTH_PX = 400  # width of the 3D ones
TITLE_PX = 42
FOOT_PX = 40
GAP_PX = 12
ROW_PX, ROW_WIDTH_PX, MAX_ROWS = 300, 300, 4  # of the 3D panels where there are several people
PHOTO_WIDTH_PX = (256, 1024)  # least and most
# Where each 3D panel looks from: yaw and pitch in degrees, and without perspective. The side is the picture's right.
VIEWS = {"Front": (0.0, PITCH_DEG, False), "Side": (90.0, PITCH_DEG, False), "Top": (0.0, 90.0, True)}
MIN_SIZE_MM = 600.0


@dataclass
class Panel:
    """A rectangle of the figure and what is in it, all in fine px: ``corner`` of the figure, the rest of the panel.

    ``below`` is drawn first, ``shadow`` over it, then ``marks``. ``photo``: a picture (h, w, 3) as it shall be shown,
    and its corner in the panel, or None.
    """

    title: str
    corner: tuple[int, int]
    size: tuple[int, int]
    ground: Colour
    below: list[Line]
    shadow: list[Line]
    marks: list[Mark]
    photo: tuple[np.ndarray, tuple[int, int]] | None = None


@dataclass
class Layout:
    """A figure before it is drawn: its ``size`` (width, height) in fine px, panels, and the words about them."""

    size: tuple[int, int]
    panels: list[Panel]
    words: list[Mark]


def draw_figure(image: np.ndarray, poses: Sequence[Pose], photo_size: tuple[int, int] | None = None) -> np.ndarray:
    """The picture of one photo's poses: (H, W, 3) uint8 RGB, H fixed, W by the photo's shape.

    ``image`` (h, w, 3) uint8 RGB: the photo, or a smaller copy of it if ``photo_size`` (width, height) says how large
    the photo is that the poses are in. With several people the surest ``MAX_ROWS`` have a row of 3D panels each, and
    the number by which files name them. Blue is the person's left, orange the right; a joint with confidence under
    ``draw.UNSURE`` is hollow, one that is NaN is not drawn. One that is rather outside the photo is not drawn in it,
    and hollow in the 3D panels.
    """
    figure = lay_out(image, poses, photo_size)
    canvas = blank(*figure.size, PAPER)
    for panel in figure.panels:
        drawn = blank(*panel.size, panel.ground)
        if panel.photo is not None:
            photo, (x, y) = panel.photo
            drawn[y : y + photo.shape[0], x : x + photo.shape[1]] = photo
        paint(drawn, panel.below)
        if panel.shadow:
            cast(drawn, panel.shadow)
        paint(drawn, panel.marks)
        x, y = panel.corner
        canvas[y : y + panel.size[1], x : x + panel.size[0]] = drawn
    paint(canvas, figure.words)
    return cv2.resize(canvas, None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA)


def shrink_for_figure(image: np.ndarray) -> np.ndarray:
    """A copy of a photo (H, W, 3) no larger than ``draw_figure`` can show, to keep while a batch waits."""
    width, height = _shown_size(image.shape[1], image.shape[0])
    if width >= image.shape[1]:
        return image.copy()
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def lay_out(
    image: np.ndarray, poses: Sequence[Pose], photo_size: tuple[int, int] | None = None, text: float = 1.0
) -> Layout:
    """What the figure shows and where: arguments as ``draw_figure``; ``text`` times the usual size of all words."""
    width, height = photo_size or (image.shape[1], image.shape[0])
    shown = surest(poses, MAX_ROWS)
    several = len(poses) > 1
    photo = _photo_panel(image, poses, width, height, [poses.index(pose) for pose in shown] if several else [])
    pose_size = (POSE_WIDTH_PX, PANEL_PX) if not several else (ROW_WIDTH_PX, ROW_PX)
    rows = [_pose_panels(pose, pose_size, text) for pose in (shown or (None,))]
    side = GAP_PX * FINE
    title_px, foot_px = round(TITLE_PX * text) * FINE, round(FOOT_PX * text) * FINE
    words: list[Mark] = []

    def put(panel: Panel, x: int, y: int, title: str) -> int:
        """Place ``panel``; where the next one begins."""
        panel.corner = x, y
        if title:
            words.append(Words(title, np.array([x + 2 * FINE, y - 14 * FINE]), 0.62 * text, INK))
        return x + panel.size[0] + side

    begin = put(photo, side, title_px, photo.title)
    panels, right = [photo], begin
    for number, (_, row) in enumerate(rows):
        right = begin
        for panel in row:
            right = put(panel, right, title_px + number * (pose_size[1] * FINE + side), "" if number else panel.title)
        if several:
            row[0].marks.append(_number(shown[number], np.array(row[0].size) * (0.93, 0.1), text))
        panels += row
    bottom = max(panel.corner[1] + panel.size[1] for panel in panels)
    size = right, bottom + foot_px
    steps = {step for step, _ in rows if step}
    words += _legend(panels, size[1] - foot_px / 2, text, steps.pop() if len(steps) == 1 else 0, bool(poses))
    if len(poses) > len(shown):
        at = np.array([panels[1].corner[0] + 74 * text * FINE, title_px - 14 * FINE])
        words.append(Words(f"the surest {len(shown)} of {len(poses)} people", at, 0.48 * text, FAINT))
    return Layout(size, panels, words)


def surest(poses: Sequence[Pose], most: int) -> list[Pose]:
    """The ``most`` surest of ``poses``, by the detector's score and the mean confidence of the joints, surest first."""

    def sure(pose: Pose) -> float:
        return float(np.nanmean(pose.confidence)) * (1.0 if pose.score is None else pose.score)

    return sorted(poses, key=sure, reverse=True)[:most]


def _number(pose: Pose, at: np.ndarray, text: float) -> Words:
    """The number of a person, as the files have it."""
    return Words("?" if pose.person_id is None else str(pose.person_id), at, 0.7 * text, INK, centred=True)


def _shown_size(width: int, height: int) -> tuple[int, int]:
    """Width and height (fine px) at which a photo is shown."""
    scale = min(PHOTO_WIDTH_PX[1] / width, PANEL_PX / height) * FINE
    return max(1, round(width * scale)), max(1, round(height * scale))


def _photo_panel(image: np.ndarray, poses: Sequence[Pose], width: int, height: int, numbered: Sequence[int]) -> Panel:
    """The photo with all skeletons, the largest person's on top; those ``numbered`` have their number by the head."""
    shown = _shown_size(width, height)
    enlarged = shown[0] > image.shape[1]
    photo = cv2.resize(image, shown, interpolation=cv2.INTER_CUBIC if enlarged else cv2.INTER_AREA)
    size = max(shown[0], PHOTO_WIDTH_PX[0] * FINE), PANEL_PX * FINE
    x, y = (size[0] - shown[0]) // 2, (size[1] - shown[1]) // 2
    scale = np.array(shown) / (width, height)
    marks: list[Mark] = []
    for pose in sorted(poses, key=_box_area):
        stroke = float(np.clip(max(pose.box[2:]) * scale[0] * 0.014, 1.6 * FINE, 5.0 * FINE))
        marks += skeleton_marks(
            in_photo(pose) * scale + (x, y), pose, stroke, np.zeros(len(pose.joints_2d)), HALO
        )  # fmt: skip
    for person in numbered:
        known = in_photo(poses[person])
        known = known[np.isfinite(known).all(axis=1)]
        if len(known):
            above = known[known[:, 1].argmin()] * scale + (x, y - 12 * FINE)
            at = np.clip(above, 10 * FINE, np.array(size) - 10 * FINE)
            marks += [Disc(at, 11 * FINE, PAPER), _number(poses[person], at, 0.9)]
    return Panel("Photo", (0, 0), size, EMPTY, [], [], marks, (photo, (x, y)))


def _pose_panels(pose: Pose | None, size_px: tuple[int, int], text: float) -> tuple[int, list[Panel]]:
    """The 3D pose from all sides of ``VIEWS``, at one scale, and the cells of its floor in mm."""
    size = size_px[0] * FINE, size_px[1] * FINE
    panels = [Panel(title, (0, 0), size, ROOM, [], [], []) for title in VIEWS]
    if pose is None or not np.isfinite(pose.joints_3d).all(axis=1).any():
        for panel in panels:
            words = "no person" if pose is None else "nothing to show"
            panel.marks.append(Words(words, np.array(size) / 2, 0.6 * text, FAINT, centred=True))
        return 0, panels
    floor = Floor.below(pose.joints_3d)
    joints = pose.joints_3d[np.isfinite(pose.joints_3d).all(axis=1)]
    shown = np.concatenate([joints, floor.corners])
    middle = (joints.min(axis=0) + joints.max(axis=0)) / 2
    views = [View(middle, *look) for look in VIEWS.values()]
    extents = [(view.see(shown)[:, :2].min(axis=0), view.see(shown)[:, :2].max(axis=0)) for view in views]
    margin = np.array([32.0 * text, 38.0 * text**0.5]) * FINE
    largest = np.max([np.maximum(high - low, MIN_SIZE_MM) for low, high in extents], axis=0)
    scale = float(((np.array(size) - 2 * margin) / largest).min())
    upright = [ends for view, ends in zip(views, extents, strict=True) if not view.flat]
    for panel, view, (low, high) in zip(panels, views, extents, strict=True):
        centre = (low + high) / 2
        if not view.flat:  # feet beside feet, heads beside heads
            centre[1] = (min(low[1] for low, _ in upright) + max(high[1] for _, high in upright)) / 2
        place = Placing(view, scale, np.array(size) / 2 - centre * scale)
        panel.below, panel.shadow = floor.lines(place), floor.shadow(place, pose)
        panel.marks = [*_ticks(place, floor, text), *_axes(view, text), *pose_marks(place, pose, 4.6 * FINE)]
    return floor.step_mm, panels


def _ticks(place: Placing, floor: Floor, text: float) -> list[Mark]:
    """Numbers in mm along the floor's near edge; from above also along its left one."""
    across, away = place.view.rotation[0, [0, 2]], place.view.rotation[2, [0, 2]]
    edges = [np.array([[x, floor.level, floor.zs[0]] for x in floor.xs])]
    if abs(across[0]) < 0.5:
        edges = [np.array([[floor.xs[-1 if away[0] < 0 else 0], floor.level, z] for z in floor.zs])]
    shifts = [np.array([0.0, 13.0])]
    if place.view.flat:
        edges.append(np.array([[floor.xs[0], floor.level, z] for z in floor.zs]))
        shifts.append(np.array([-20.0, 0.0]))
    marks: list[Mark] = []
    for edge, shift in zip(edges, shifts, strict=True):
        axis = 2 if np.ptp(edge[:, 0]) == 0 else 0
        marks += [
            Words(f"{point[axis]:.0f}", at + shift * FINE * text, 0.38 * text, FAINT, centred=True)
            for point, at in zip(edge, place(edge), strict=True)
        ]
    return marks


def _axes(view: View, text: float) -> list[Mark]:
    """Small arrows for x, y and z in the upper left corner."""
    origin, long = np.array([26.0, 30.0]) * FINE * text, 26 * FINE * text
    if view.flat:  # z points up
        origin[1] += long
    marks: list[Mark] = []
    for axis, name in enumerate("xyz"):
        along = view.rotation[:2, axis]
        length = float(np.linalg.norm(along))
        if length < 0.3:
            continue
        tip = origin + along * long
        ahead, aside = along / length, np.array([-along[1], along[0]]) / length
        marks.append(Line(origin, tip, FAINT, 1.6 * FINE))
        for sign in (-1, 1):
            marks.append(Line(tip, tip - (ahead * 6 - sign * aside * 3.5) * FINE, FAINT, 1.6 * FINE))
        marks.append(Words(name, tip + ahead * 9 * FINE * text, 0.42 * text, FAINT, centred=True))
    return marks


def _legend(panels: Sequence[Panel], y: float, text: float, step: int, has_poses: bool) -> list[Mark]:
    """Which colour is which side, and what the numbers are, below the panels."""
    marks: list[Mark] = []
    x, fine = float(panels[0].corner[0]), FINE * text
    for name, colour, width in (("left", LEFT, 78), ("right", RIGHT, 88)):
        marks.append(Line(np.array([x + 4 * fine, y]), np.array([x + 22 * fine, y]), colour, 5 * FINE))
        marks.append(Words(name, np.array([x + 32 * fine, y + 5 * fine]), 0.48 * text, INK))
        x += width * fine
    if has_poses:
        words = "mm from the pelvis: x right, y down, z away from the camera"
        words += f"; floor grid {step} mm" if step else ""
        marks.append(Words(words, np.array([panels[1].corner[0] + 2 * FINE, y + 5 * fine]), 0.48 * text, FAINT))
    return marks


def _box_area(pose: Pose) -> float:
    return pose.box[2] * pose.box[3]
