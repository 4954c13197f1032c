"""Pinhole camera in pixels, and the geometry of joints in camera space.

Camera space: mm, x right, y down, z away from the camera. Image: px, x right, y down, top-left corner at (0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liftwild.skeleton import DEPTH_ROOT, SCALE_BONES

# Joints of one person that span less than this are not in mm: a person's do so in m.
MIN_SPAN_MM = 5.0
# Projected 3D joints may miss the 2D ones by this share of the person's size (median), before they count as wrong.
REPROJECTION_TOLERANCE = 0.1


@dataclass(frozen=True)
class Camera:
    """Pinhole camera; all fields in px. ``skew`` is 0 but for cameras that were turned in the image plane with
    ``fx != fy``."""

    fx: float
    fy: float
    cx: float
    cy: float
    skew: float = 0.0

    @property
    def K(self) -> np.ndarray:  # noqa: N802  (the field's standard name)
        """Intrinsic matrix (3, 3), px."""
        return np.array([[self.fx, self.skew, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)

    def project(self, joints_3d: np.ndarray) -> np.ndarray:
        """Project camera-space points (..., 3) in mm to image points (..., 2) in px.

        Points with z <= 0 lie behind the camera: ValueError.
        """
        joints_3d = np.asarray(joints_3d, dtype=np.float64)
        if np.any(joints_3d[..., 2] <= 0):
            raise ValueError("cannot project points with z <= 0 (behind the camera)")
        xy = joints_3d[..., :2] / joints_3d[..., 2:]
        return np.stack(
            [self.fx * xy[..., 0] + self.skew * xy[..., 1] + self.cx, self.fy * xy[..., 1] + self.cy], axis=-1
        )

    def unproject(self, points: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Camera-space points (..., 3) in mm from image points (..., 2) in px and their z (...) in mm."""
        points = np.asarray(points, dtype=np.float64)
        z = np.asarray(z, dtype=np.float64)
        y = (points[..., 1] - self.cy) / self.fy
        x = (points[..., 0] - self.cx - self.skew * y) / self.fx
        return np.stack([x * z, y * z, z], axis=-1)

    def warped(self, affine: np.ndarray) -> tuple[Camera, np.ndarray]:
        """The camera of an image warped by ``affine`` (2, 3), and the turn of camera space that goes with it.

        Returns (camera, turn): projecting ``points @ turn.T`` with that camera equals warping the projections of
        ``points``. ``turn`` (3, 3) is orthogonal and leaves z alone: a rotation about the optical axis, times a mirror
        of x if ``affine`` mirrors.
        """
        linear = affine[:, :2] @ self.K[:2, :2]
        # RQ decomposition of a 2x2 matrix: linear = upper @ turn_xy, positive diagonal.
        row = linear[1] / np.hypot(*linear[1])
        mirror = np.sign(np.linalg.det(linear))
        turn_xy = np.array([mirror * np.array([row[1], -row[0]]), row])
        upper = linear @ turn_xy.T
        centre = affine @ np.array([self.cx, self.cy, 1.0])
        turn = np.eye(3)
        turn[:2, :2] = turn_xy
        camera = Camera(fx=upper[0, 0], fy=upper[1, 1], cx=centre[0], cy=centre[1], skew=upper[0, 1])
        return camera, turn


def bone_lengths(joints: np.ndarray, bones: Sequence[tuple[int, int]] = SCALE_BONES) -> np.ndarray:
    """Lengths (..., E) of ``bones`` between joints (..., J, D), in the unit of the joints."""
    joints = np.asarray(joints)
    ends = np.array(bones)
    return np.linalg.norm(joints[..., ends[:, 0], :] - joints[..., ends[:, 1], :], axis=-1)


def depth_targets(
    joints_2d: np.ndarray, joints_3d: np.ndarray, valid: np.ndarray, input_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Depths as the network learns them: thorax-relative z, scaled to the image, in the [-1, 1] unit of its input.

    ``joints_2d`` (J, 2) px of the network's input, ``joints_3d`` (J, 3) mm camera space, ``valid`` (J,) bool: both
    known. Returns depth (J,) and its validity (J,): all False where the thorax or every scale bone is unknown.
    Source: method.md "Depth target": z mm times (sum of 2D bone lengths, px) / (sum of their xy parts in 3D, mm).
    """
    ends = np.array(SCALE_BONES)
    known = valid[ends[:, 0]] & valid[ends[:, 1]]
    depth = np.zeros(len(joints_2d), dtype=np.float32)
    none = np.zeros(len(joints_2d), dtype=bool)
    if not valid[DEPTH_ROOT] or not known.any():
        return depth, none
    flat_mm = bone_lengths(joints_3d[:, :2])[known].sum()
    if flat_mm < 1.0:  # seen exactly end-on: the image tells no scale
        return depth, none
    px_per_mm = bone_lengths(joints_2d)[known].sum() / flat_mm
    z = (joints_3d[:, 2] - joints_3d[DEPTH_ROOT, 2]) * px_per_mm / (input_px / 2)
    depth[valid] = z[valid]
    return depth, valid.copy()


# A person's scale is told by bones with both ends in the photo, where there are so many; else by all.
MIN_SCALE_BONES = 4
MIN_INSIDE = 0.5  # chance from which on a joint counts as in the photo


def mm_per_unit(
    out: np.ndarray, sum_length_mm: float, bone_length_mm: np.ndarray | None = None, inside: np.ndarray | None = None
) -> np.ndarray:
    """How many mm one [-1, 1] unit of the network's input is, for each person (...); 0 for a pose of no size at all.

    ``out`` (..., J, 3) in that unit; ``sum_length_mm`` the mean summed length of ``SCALE_BONES`` in the training data.
    ``bone_length_mm`` (14,): the mean of each; with it and ``inside`` (..., J), the chance that a joint lies in the
    photo, what lies outside does not decide the scale of the rest. Source: method.md, AvgSumLen / SumLen_out.
    """
    lengths = bone_lengths(out)
    known = np.full(lengths.shape[:-1], float(sum_length_mm))
    if bone_length_mm is not None and inside is not None:
        ends = np.array(SCALE_BONES)
        is_inside = inside >= MIN_INSIDE
        both = is_inside[..., ends[:, 0]] & is_inside[..., ends[:, 1]]
        both = both | (both.sum(axis=-1, keepdims=True) < MIN_SCALE_BONES)
        known = sum_length_mm * (both * bone_length_mm).sum(axis=-1) / np.sum(bone_length_mm)
        lengths = lengths * both
    total = lengths.sum(axis=-1)
    return np.where(total > 0, known / np.where(total > 0, total, 1.0), 0.0)


def pose_mm(
    joints_2d: np.ndarray, depth: np.ndarray, input_px: int, sum_length_mm: float, root: int,
    bone_length_mm: np.ndarray | None = None, inside: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The one place where depth becomes mm: root-relative joints (..., J, 3) in mm, and ``mm_per_unit`` (...).

    ``joints_2d`` (..., J, 2) px of the network's input, ``depth`` (..., J) in its [-1, 1] unit; the rest as for
    ``mm_per_unit``. Source: method.md, pose_mm = (out - out_root) * AvgSumLen / SumLen_out. A pose of no size at all
    (every joint at one point) stays at 0.
    """
    out = in_unit(joints_2d, depth, input_px)
    scale = mm_per_unit(out, sum_length_mm, bone_length_mm, inside)
    return (out - out[..., root : root + 1, :]) * scale[..., None, None], scale


def in_unit(joints_2d: np.ndarray, depth: np.ndarray, input_px: int) -> np.ndarray:
    """Joints (..., J, 3) in the [-1, 1] unit of the input, from px of it and depths."""
    return np.concatenate([joints_2d / (input_px / 2) - 1, depth[..., None]], axis=-1).astype(np.float64)


# A fitted camera may miss its points by so much (median): lenses distort, and labels are rounded.
FIT_TOLERANCE_PX = 5.0
FARTHEST_PX, FARTHEST_MM = 1e6, 1e6  # no joint of anybody lies so far away


def fit_camera(points_2d: np.ndarray, points_3d: np.ndarray) -> Camera | None:
    """The camera that projects points (..., 3) in mm, camera space, to points (..., 2) in px, by least squares.

    None if they do not determine one, or if it misses them by more than ``FIT_TOLERANCE_PX`` (median).
    """
    points_2d, points_3d = points_2d.reshape(-1, 2), points_3d.reshape(-1, 3)
    low, high = np.abs(points_2d).max(axis=1, initial=0), np.abs(points_3d).max(axis=1, initial=0)
    usable = (low < FARTHEST_PX) & (high < FARTHEST_MM) & (points_3d[:, 2] > 1)  # NaN is none of these
    points_2d, points_3d = points_2d[usable], points_3d[usable]
    slopes = points_3d[:, :2] / points_3d[:, 2:]
    if len(slopes) < 4 or (np.ptp(slopes, axis=0) < 1e-6).any():
        return None
    (fx, cx), (fy, cy) = (np.polyfit(slopes[:, axis], points_2d[:, axis], 1) for axis in (0, 1))
    camera = Camera(float(fx), float(fy), float(cx), float(cy))
    missed = np.linalg.norm(camera.project(points_3d) - points_2d, axis=1)
    return camera if fx > 0 and fy > 0 and np.median(missed) <= FIT_TOLERANCE_PX else None
