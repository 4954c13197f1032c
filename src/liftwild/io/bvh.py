"""A person's track as BVH, for Blender and other animation tools: m, y up, one file for each person.

A clip's frames come at one constant time, from the clip's first frame on, in every person's file alike. Where a person
was not seen, rotations and place are those between the frames before and after, or of the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liftwild.io.description import seen_frames
from liftwild.io.skeletons import convert
from liftwild.kinematics.rig import Rig, solve
from liftwild.kinematics.upright import upright
from liftwild.pose import PoseTrack
from liftwild.rotation import quaternion_slerp, quaternion_to_euler_zxy_deg
from liftwild.skeleton import MPII_16

DEFAULT_FRAME_TIME_S = 1 / 30  # of a single frame
# A clip whose frames come this near to a constant rate, in frames, has one.
EVEN = 0.1
SAID_MM = 0.05  # smaller differences are those of rounding


@dataclass(frozen=True)
class Bvh:
    """A BVH file: its ``content``; how far its joints are from the poses, mean and at most; frames without a pose of
    the person (T - seen)."""

    content: bytes
    frame_time_s: float
    frames: int
    mean_mm: float
    most_mm: float
    seen: np.ndarray
    resampled: bool

    def notes(self) -> list[str]:
        """What is to be said of the file, a sentence each."""
        rate = f"{self.frames} frame{'s' * (self.frames != 1)} of {self.frame_time_s:.6g} s"
        notes = [rate + (", resampled: the clip's frames come unevenly" if self.resampled else "")]
        if len(self.seen) < self.frames:
            notes.append(f"seen in the clip's frames {seen_frames(self.seen)}; held or interpolated elsewhere")
        if self.most_mm > SAID_MM:
            notes.append(
                f"the bones of the poses change their lengths and those of BVH cannot: joints are {self.mean_mm:.1f} "
                f"mm from the poses on average, at most {self.most_mm:.1f} mm"
            )
        return notes


def write_track(track: PoseTrack, times_s: np.ndarray) -> Bvh:
    """The BVH file of a track of at least one frame; ``times_s`` (F,): when each frame of the clip is shown, s.

    A joint set without a pelvis, which must be the root, is written as MPII-16.
    """
    if "pelvis" not in track.skeleton.names:
        track = convert(track, MPII_16)
    pelvis, joints = upright(track)
    frame_time, at, to, resampled = _clock(np.asarray(times_s, dtype=np.float64), track.frames)
    rig = solve(joints, track.skeleton, at)
    mean, most = _differences(rig, joints)
    known = np.isfinite(pelvis).all(axis=1)
    places = np.stack([np.interp(to, at[known], pelvis[known, axis]) for axis in range(3)], axis=1)
    angles = quaternion_to_euler_zxy_deg(quaternion_slerp(rig.rotations, at, to))
    content = _hierarchy(rig) + _motion(places, angles, frame_time)
    return Bvh(content.encode(), frame_time, len(to), mean, most, track.frames, resampled)


def _clock(times_s: np.ndarray, frames: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, bool]:
    """(time of a frame in s, when the track's frames are, when the file's are, whether these are others).

    Times are in s, or in frames where the clip has a constant rate.
    """
    count = len(times_s)
    if count < 2:
        return DEFAULT_FRAME_TIME_S, frames.astype(np.float64), np.arange(count, dtype=np.float64), False
    step = float(times_s[-1] - times_s[0]) / (count - 1)
    if step > 0 and np.abs(times_s - times_s[0] - step * np.arange(count)).max() <= EVEN * step:
        return step, frames.astype(np.float64), np.arange(count, dtype=np.float64), False
    gaps = np.diff(times_s)
    step = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else DEFAULT_FRAME_TIME_S
    to = times_s[0] + step * np.arange(int((times_s[-1] - times_s[0]) / step + 1e-6) + 1)
    return step, times_s[frames], to, True


def _differences(rig: Rig, joints: np.ndarray) -> tuple[float, float]:
    """Mean and largest distance, mm, of the rig's joints from ``joints`` (T, J, 3) in m, the root left out."""
    positions = rig.positions()
    at = [(index, node.joint) for index, node in enumerate(rig.nodes) if node.joint is not None and node.parent >= 0]
    if not at:
        return 0.0, 0.0
    own, theirs = positions[:, [index for index, _ in at]], joints[:, [joint for _, joint in at]]
    away = 1000 * np.linalg.norm(own - theirs, axis=-1)
    return float(np.nanmean(away)), float(np.nanmax(away))


def _hierarchy(rig: Rig) -> str:
    lines = ["HIERARCHY"]
    open_nodes: list[int] = []

    def close(until: int) -> None:
        while open_nodes and open_nodes[-1] != until:
            open_nodes.pop()
            lines.append("\t" * len(open_nodes) + "}")

    for index, node in enumerate(rig.nodes):
        close(node.parent)
        pad = "\t" * len(open_nodes)
        channels = "3 Zrotation Xrotation Yrotation"
        if node.parent < 0:
            channels = "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
        lines += [f"{pad}{'ROOT' if node.parent < 0 else 'JOINT'} {node.name}", pad + "{"]
        lines += [f"{pad}\tOFFSET {_numbers(node.offset)}", f"{pad}\tCHANNELS {channels}"]
        if node.end is not None:
            lines += [f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET {_numbers(node.end)}", f"{pad}\t}}"]
        open_nodes.append(index)
    close(-1)
    return "\n".join(lines) + "\n"


def _motion(places: np.ndarray, angles: np.ndarray, frame_time_s: float) -> str:
    rows = np.concatenate([places, angles.reshape(len(angles), -1)], axis=1)
    rows = np.round(rows, 6) + 0.0  # no -0.0
    form = " ".join(["%.6f"] * rows.shape[1])
    lines = ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {frame_time_s:.8f}"]
    return "\n".join([*lines, *(form % tuple(row) for row in rows.tolist())]) + "\n"


def _numbers(vector: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in (np.round(vector, 6) + 0.0).tolist())
