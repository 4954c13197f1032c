"""A person's track as an animation: a rig whose bones keep their lengths, at one constant time a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liftwild.joint_mapping import track_in_skeleton
from liftwild.kinematics.mixamo import solve_mixamo
from liftwild.kinematics.rig import Rig, solve
from liftwild.kinematics.rigify import solve_rigify
from liftwild.kinematics.upright import upright
from liftwild.pose import PoseTrack
from liftwild.rotation import quaternion_slerp
from liftwild.skeleton import MPII_16

NAMED = {"mixamo": solve_mixamo, "rigify": solve_rigify}
RIGS = ("plain", *NAMED)
DEFAULT_FRAME_TIME_S = 1 / 30  # of a single frame
MAX_UNEVENNESS = 0.1  # frames; a clip whose frames are nearer than this to a constant rate has one


@dataclass(frozen=True, eq=False)
class Animation:
    """A rig that moves: F frames, ``frame_time_s`` apart, from the person's first frame in the clip to the last.

    ``start_s``: when the first of them is, s from the clip's first frame. ``rig``: its ``rotations`` are (F, N, 4), its
    ``places`` (F, N, 3). ``pelvis_m`` (F, 3): m, y up. ``mean_error_mm``, ``max_error_mm``: how far the rig's joints
    are from those of the poses, over the frames with a pose. ``seen`` (T,): the clip's frames with a pose.
    ``is_resampled``: the clip's frames come unevenly, so the animation has others.
    """

    start_s: float
    rig: Rig
    pelvis_m: np.ndarray
    frame_time_s: float
    mean_error_mm: float
    max_error_mm: float
    seen: np.ndarray
    is_resampled: bool

    def __len__(self) -> int:
        return len(self.pelvis_m)


def animate(track: PoseTrack, times_s: np.ndarray, rig: str = "plain") -> Animation:
    """The animation of a track of at least one frame; ``times_s`` (F,): when each frame of the clip is shown, s.

    ``rig``: "plain" has the track's joints where they are; "mixamo" and "rigify" have the names of Mixamo's characters
    and of Rigify's metarig, at constant places.

    Where the person was not seen in between, rotations and place are interpolated; a hidden joint is held before the
    first and after the last pose that has it. A joint set without a pelvis, which must be the root, is animated as
    MPII-16.
    """
    if rig in NAMED or "pelvis" not in track.skeleton.names:
        track = track_in_skeleton(track, MPII_16)
    pelvis, joints = upright(track)
    times_s = np.asarray(times_s, dtype=np.float64)
    frame_time_s, at, to, is_resampled = clock(times_s, track.frames)
    solved = NAMED[rig](joints, at) if rig in NAMED else solve(joints, track.skeleton, at)
    mean, largest = _errors_mm(solved, joints)
    known = np.isfinite(pelvis).all(axis=1)
    moving = Rig(solved.nodes, quaternion_slerp(solved.rotations, at, to), in_between(solved.places, at, to))
    places = in_between(pelvis[known], at[known], to)
    start_s = float(times_s[track.frames[0]])
    return Animation(start_s, moving, places, frame_time_s, mean, largest, track.frames, is_resampled)


def clock(times_s: np.ndarray, frames: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, bool]:
    """A constant frame rate for a track in ``frames`` (T,) of a clip whose frames are at ``times_s`` (F,), s.

    Returns the time of a frame in s, the times (T,) of the track's frames, those (M,) of frames at this rate from the
    track's first to its last, and whether these are others than the clip's. The times are in s, or in frames where
    the clip has a constant rate.
    """
    count = len(times_s)
    first, last = int(frames[0]), int(frames[-1])
    even = np.arange(first, last + 1, dtype=np.float64)
    if count < 2:
        return DEFAULT_FRAME_TIME_S, frames.astype(np.float64), even, False
    step = float(times_s[-1] - times_s[0]) / (count - 1)
    if step > 0 and np.abs(times_s - times_s[0] - step * np.arange(count)).max() <= MAX_UNEVENNESS * step:
        return step, frames.astype(np.float64), even, False
    gaps = np.diff(times_s)
    step = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else DEFAULT_FRAME_TIME_S
    to = times_s[first] + step * np.arange(int((times_s[last] - times_s[first]) / step + 1e-6) + 1)
    return step, times_s[frames], to, True


def in_between(values: np.ndarray, at: np.ndarray, to: np.ndarray) -> np.ndarray:
    """``values`` (T, ...) at the times ``at`` (T,), rising, linearly interpolated at the times ``to`` (M,)."""
    flat = values.reshape(len(values), -1)
    columns = [np.interp(to, at, column) for column in flat.T]
    return np.stack(columns, axis=1).reshape(len(to), *values.shape[1:])


def _errors_mm(rig: Rig, joints: np.ndarray) -> tuple[float, float]:
    """Mean and largest distance, mm, of the rig's joints from ``joints`` (T, J, 3) in m, the root left out."""
    positions = rig.positions()
    at = [(index, node.joint) for index, node in enumerate(rig.nodes) if node.joint is not None and node.parent >= 0]
    own, theirs = positions[:, [index for index, _ in at]], joints[:, [joint for _, joint in at]]
    distance = 1000 * np.linalg.norm(own - theirs, axis=-1)
    distance = distance[np.isfinite(distance)]
    return (float(distance.mean()), float(distance.max())) if len(distance) else (0.0, 0.0)
