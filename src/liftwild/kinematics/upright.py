"""People in metres with y up, as animation and biomechanics tools want them."""

from __future__ import annotations

import numpy as np

from liftwild.placement.floor import Levelled, level
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MPII_16

AXES = "x right, y up, z toward the camera; turned, not mirrored: left stays left"
ON_FLOOR = "on the floor below the camera"
AT_CAMERA = "the camera; of people without a place in space, the floor below the pelvis"
NOT_PLACED = (
    "the floor below the pelvis: x and z of the pelvis are 0, and its height is one for all frames, so that the lowest "
    "sole or joint is at 0 (in the median frame)"
)
M_PER_MM = 1e-3
SOLE_SHARE = 0.18  # of the lower leg: from the ankle to the sole (0.045 of 0.246 of the standing height)
# A proper rotation: its determinant is 1.
Y_UP = np.diag([1.0, -1.0, -1.0])


def on_floor(recording: Recording) -> Recording:
    """The recording as it is to be turned upright: on its floor, levelled where the feet show which way is down.

    One that is levelled already, in which somebody has no place in space, or in other joints than were found, is taken
    as it is.
    """
    known = all(track.root_mm is not None and track.skeleton == MPII_16 for track in recording.tracks)
    if isinstance(recording, Levelled) or not known or not recording.tracks:
        return recording
    levelled = level(recording)
    return levelled if np.isfinite(levelled.camera_height_mm) else recording


def zero_of(recording: Recording) -> str:
    """Where the zero of ``upright`` lies, for people to read."""
    if isinstance(recording, Levelled):
        return ON_FLOOR
    return AT_CAMERA if any(is_placed(track) for track in recording.tracks) else NOT_PLACED


def upright(track: PoseTrack) -> tuple[np.ndarray, np.ndarray]:
    """Pelvis (T, 3) and joints relative to it (T, J, 3), in m, y up.

    A track that was placed in space is only turned: its zero stays where ``root_mm`` has it, the camera or, levelled,
    the floor; the pelvis is NaN in frames in which it has none. A track without a place gets one height for all frames,
    so that the lowest sole or joint is on the floor, y = 0, in the median frame.
    """
    joints = np.asarray(track.joints_3d, dtype=np.float64) @ Y_UP.T * M_PER_MM
    if is_placed(track):
        return np.asarray(track.root_mm, dtype=np.float64) @ Y_UP.T * M_PER_MM, joints
    heights = joints[..., 1].copy()
    for knee, ankle in (("left_knee", "left_ankle"), ("right_knee", "right_ankle")):
        if knee not in track.skeleton.names or ankle not in track.skeleton.names:
            continue
        low = track.skeleton.index(ankle)
        shin = np.linalg.norm(joints[:, track.skeleton.index(knee)] - joints[:, low], axis=-1)
        shin = shin[np.isfinite(shin)]
        heights[:, low] -= SOLE_SHARE * np.median(shin) if len(shin) else 0.0
    lowest = np.where(np.isfinite(heights), heights, np.inf).min(axis=1)
    lowest = lowest[np.isfinite(lowest)]
    pelvis = np.zeros((len(track), 3))
    pelvis[:, 1] = -np.median(lowest) if len(lowest) else 0.0
    return pelvis, joints


def is_placed(track: PoseTrack) -> bool:
    """Whether it is known in any frame where the person is in space."""
    return track.root_mm is not None and bool(np.isfinite(track.root_mm).all(axis=1).any())
