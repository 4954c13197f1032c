"""Somebody in a frame: the pose, the colours of the clothes, and what boxes and poses have to do with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from liftwild.boxes import Box, body_box, clipped, ious
from liftwild.pose import Pose
from liftwild.skeleton import MPII_16

MIN_SURE = 0.1  # joints with less confidence, found where there is no photo, shape no box where enough others do
ENOUGH_JOINTS = 6
MIN_PX = 2.0  # a box with a shorter side shows nobody
ALIKE_SIZE = 0.6  # ratio of box sides below which two boxes are not one person's
MAX_FRAMES = 3.0  # nor does one longer than so many frames: its pose fills whatever it is given

_GRID = 6  # points across a part of the body, and along it
_AT = {name: index for index, name in enumerate(MPII_16.names)}
_TRUNK = tuple(_AT[name] for name in ("right_shoulder", "left_shoulder", "right_hip", "left_hip"))
_THIGHS = tuple((_AT[f"{side}_hip"], _AT[f"{side}_knee"]) for side in ("left", "right"))
_LIGHT = 0.5  # of a difference in lightness counts: light changes from place to place


class Observation(NamedTuple):
    """Somebody in a frame: ``pose``, and the ``colours`` (6,) float32 of trunk and thighs (CIELAB; NaN if unknown).

    ``ago``: frames before the one in which the person was found, from which they were followed back.
    """

    pose: Pose
    colours: np.ndarray
    ago: int = 0

    def scored(self, score: float | None) -> Observation:
        """The same, with the detector's score."""
        return self if score is None else Observation(replace(self.pose, score=float(np.float32(score))), self.colours)


def as_kept(pose: Pose) -> Pose:
    """``pose`` rounded to 32 bits, as it is kept on disk: who goes on from there sees what was seen before."""

    def rounded(values: np.ndarray) -> np.ndarray:
        return np.asarray(values, np.float32).astype(np.float64)

    x, y, w, h = (float(value) for value in rounded(np.array(pose.box)))
    return replace(
        pose,
        joints_2d=rounded(pose.joints_2d),
        joints_3d=rounded(pose.joints_3d),
        confidence=np.asarray(pose.confidence, np.float32),
        box=(x, y, w, h),
        depth_sd_mm=None if pose.depth_sd_mm is None else np.asarray(pose.depth_sd_mm, np.float32),
        peak=None if pose.peak is None else float(np.float32(pose.peak)),
        inside=None if pose.inside is None else np.asarray(pose.inside, np.float32),
        visible=None if pose.visible is None else np.asarray(pose.visible, np.float32),
        score=None if pose.score is None else float(np.float32(pose.score)),
    )


def followed_box(pose: Pose) -> Box:
    """The box (x, y, w, h) px around the body that ``pose`` shows: where to look for it next."""
    sure = pose.confidence >= MIN_SURE
    box = body_box(pose.joints_2d, sure if sure.sum() >= ENOUGH_JOINTS else np.ones_like(sure))
    return pose.box if box is None or side_of(box) <= 0 else box


def side_of(box: Box) -> float:
    """The longer side of a box, px."""
    return max(box[2], box[3])


def apart(first: Pose, second: Pose, shift: np.ndarray | float = 0.0) -> float:
    """Mean distance of the joints of two poses, ``shift`` added to the first, in sides of their boxes."""
    side = (side_of(followed_box(first)) + side_of(followed_box(second))) / 2
    return float(np.linalg.norm(first.joints_2d + shift - second.joints_2d, axis=1).mean() / max(side, 1e-6))


def best_iou(box: Box, others: Sequence[Box]) -> float:
    """The largest IoU of ``box`` with one of ``others``; 0 if there are none."""
    return float(ious(np.array([box]), np.array(others)).max()) if len(others) else 0.0


def wider(box: Box, factor: float) -> Box:
    """``box`` about its middle, ``factor`` times as large."""
    x, y, w, h = box
    return x - w * (factor - 1) / 2, y - h * (factor - 1) / 2, w * factor, h * factor


def in_sight(box: Box, image: np.ndarray) -> Box | None:
    """``box``, or None if it lies outside of ``image``, or is too small or too large to show anybody."""
    height, width = image.shape[:2]
    fits = MIN_PX <= side_of(box) <= MAX_FRAMES * max(height, width)
    return box if fits and clipped(box, (0.0, 0.0, float(width), float(height))) else None


def centre(box: Box) -> np.ndarray:
    """The middle (2,) px of a box."""
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])


def alike(first: Box, second: Box) -> bool:
    """Whether two boxes are so much of one size that they may be one person's."""
    small, large = sorted((side_of(first), side_of(second)))
    return small >= ALIKE_SIZE * large


def presence(pose: Pose) -> float:
    """How sure it is that somebody is there: the mean peak of the heatmaps, else the mean confidence of the joints.

    Calibrated confidence will not do: it falls for everybody whose box reaches the photo's edge (docs/video.md).
    """
    return float(pose.confidence.mean()) if pose.peak is None else pose.peak


def colours_of(image: np.ndarray, pose: Pose, hidden: np.ndarray | None = None) -> np.ndarray:
    """Median colours of trunk and thighs in ``image`` (H, W, 3) uint8 RGB: L, a, b of each (6,); NaN out of sight.

    ``hidden`` (H, W) bool: where somebody else is.
    """
    along = (np.arange(_GRID) + 0.5) / _GRID
    joints = pose.joints_2d
    right, left, right_hip, left_hip = (joints[joint] for joint in _TRUNK)
    u, v = (axis.reshape(-1, 1) for axis in np.meshgrid(0.15 + 0.7 * along, 0.1 + 0.8 * along))
    trunk = (1 - v) * ((1 - u) * right + u * left) + v * ((1 - u) * right_hip + u * left_hip)
    thighs = np.concatenate([joints[hip] + along[:, None] * (joints[knee] - joints[hip]) for hip, knee in _THIGHS])
    return np.concatenate([_median_colour(image, part, hidden) for part in (trunk, thighs)]).astype(np.float32)


def _median_colour(image: np.ndarray, points: np.ndarray, hidden: np.ndarray | None) -> np.ndarray:
    inside = (points >= 0).all(axis=1) & (points[:, 0] < image.shape[1]) & (points[:, 1] < image.shape[0])
    x, y = points[inside].astype(int).T
    if hidden is not None:
        x, y = (axis[~hidden[y, x]] for axis in (x, y))
    if len(x) < len(points) / 2:
        return np.full(3, np.nan)
    lab = cv2.cvtColor((image[y, x][None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)
    return np.asarray(np.median(lab[0], axis=0))


def colour_distance(first: np.ndarray, second: np.ndarray) -> float:
    """How unlike two people's colours (6,) are: mean distance in CIELAB, lightness halved; 0 where unknown."""
    parts = np.linalg.norm((np.asarray(first) - second).reshape(2, 3) * (_LIGHT, 1, 1), axis=1)
    known = parts[np.isfinite(parts)]
    return float(known.mean()) if len(known) else 0.0
