"""Which placed poses lie in the axes of the camera: their joints fall where they are in the photo."""

from __future__ import annotations

import numpy as np

from liftwild.camera import Camera
from liftwild.pose import PoseTrack


def in_camera_space(
    track: PoseTrack, camera: Camera, max_error: float, min_span_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Joints (T, J, 3) in mm, zero at the camera, NaN where not known; and which poses (T,) bool are in its axes.

    Such a pose lies before the camera and is at least ``min_span_mm`` wide along one axis. The median distance between
    its projected joints and its ``joints_2d``, of joints inside the photo, is at most ``max_error`` times the longer
    side of its box. Poses that were turned level fail here, and so do all of a track without ``root_mm``.
    """
    is_in_axes = np.zeros(len(track), dtype=bool)
    if track.root_mm is None:
        return np.full(np.shape(track.joints_3d), np.nan), is_in_axes
    absolute = track.joints_3d + track.root_mm[:, None]
    known = np.isfinite(track.joints_2d).all(axis=-1) & np.isfinite(absolute).all(axis=-1)
    shown = known & ~track.is_outside
    before = shown.any(axis=1) & (np.where(known, absolute[..., 2], np.inf) > 0).all(axis=1)
    known &= before[:, None]
    joints = np.where(known[..., None], absolute, np.nan)
    projected = camera.project(np.where(known[..., None], absolute, (0.0, 0.0, 1.0)))[before]
    error = np.linalg.norm(projected - track.joints_2d[before], axis=-1)
    error = np.nanmedian(np.where(shown[before], error, np.nan), axis=1)
    span = np.nanmax(joints[before], axis=1) - np.nanmin(joints[before], axis=1)
    fits = error <= max_error * track.boxes[before, 2:].max(axis=1)
    is_in_axes[before] = fits & (span.max(axis=1) >= min_span_mm)
    return joints, is_in_axes
