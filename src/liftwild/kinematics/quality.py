"""What there is to doubt in a person's track: unsure and interpolated frames, sides exchanged, a body cut off."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liftwild.pose import PoseTrack, Recording

MANY_UNSURE = 0.25  # part of a frame's joints: with so many unsure ones the frame counts as unsure
# Limbs change sides where, over so many seconds (smoothing spreads a change), exchanging them makes their step this
# much shorter, and the step is no small one: m, mean over the limb's joints.
CHANGE_S, SHORTER, MIN_STEP_M = 0.12, 0.5, 0.1
MAX_SPEED_M_S = 12.0  # of the pelvis; nobody runs faster
LIMBS = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))


class TrackQuality(NamedTuple):
    """What there is to doubt in a track of T frames. ``unsure``: part of the joints, ``unsure_frames``: part of the
    frames with a quarter of unsure joints or more, ``cut_off``: part of the frames in which a joint lies outside the
    picture, each in [0, 1]; ``cut_joints``: their names, the most frequent first. ``side_changes``: the clip's frames
    in which arms or legs change sides; ``jumps``: those in which the pelvis moves faster than anybody runs;
    ``missing``: those between its first and last in which the person was not seen; ``filled``: those that were
    interpolated."""

    unsure: float
    unsure_frames: float
    cut_off: float
    cut_joints: tuple[str, ...]
    side_changes: np.ndarray
    jumps: np.ndarray
    missing: np.ndarray
    filled: np.ndarray


def track_quality(recording: Recording, track: PoseTrack, unsure_below: float) -> TrackQuality:
    """What there is to doubt in a ``track`` of ``recording``; confidence under ``unsure_below`` makes a joint unsure.

    Joints that are hidden (NaN) count neither as sure nor as unsure.
    """
    known = np.isfinite(track.joints_3d).all(axis=-1)
    unsure = (track.confidence < unsure_below) & known
    outside = _outside(recording, track)
    often = np.argsort(-outside.sum(axis=0), kind="stable")
    filled = track.filled
    span = np.arange(track.frames[0], track.frames[-1] + 1) if len(track) else np.zeros(0, int)
    return TrackQuality(
        unsure=_share(unsure.sum(), known.sum()),
        unsure_frames=_share((unsure.sum(axis=1) >= MANY_UNSURE * np.maximum(known.sum(axis=1), 1)).sum(), len(track)),
        cut_off=_share(outside.any(axis=1).sum(), len(track)),
        cut_joints=tuple(track.skeleton.names[joint] for joint in often if outside[:, joint].any()),
        side_changes=_side_changes(track, recording.times_s),
        jumps=_jumps(track, recording.times_s),
        missing=np.setdiff1d(span, track.frames),
        filled=np.zeros(0, int) if filled is None else track.frames[filled],
    )


def _share(part: float, whole: float) -> float:
    return float(part) / max(float(whole), 1.0)


def _outside(recording: Recording, track: PoseTrack) -> np.ndarray:
    """(T, J) bool: joints outside the picture, as the network says, or, where it does not tell, by their place."""
    if track.inside is not None or not recording.width:
        return track.is_outside
    points = track.joints_2d
    return np.asarray(((points < 0) | (points > (recording.width, recording.height))).any(axis=-1))


def _side_changes(track: PoseTrack, times_s: np.ndarray) -> np.ndarray:
    names, times = track.skeleton.names, times_s[track.frames]
    changed = np.zeros(len(track), dtype=bool)
    # Each row beside the last one that is CHANGE_S older, but none from before a gap.
    before = np.searchsorted(times, times - CHANGE_S, side="right") - 1
    rows = np.flatnonzero((before >= 0) & (times - times[before] < 2.5 * CHANGE_S))
    joints = track.joints_3d / 1000
    for limb in LIMBS:
        pairs = [(f"left_{part}", f"right_{part}") for part in limb]
        pairs = [pair for pair in pairs if set(pair) <= set(names)]
        if not pairs:
            continue
        left, right = (joints[:, [names.index(pair[side]) for pair in pairs]] for side in (0, 1))
        same, other = (
            (
                np.linalg.norm(a[rows] - left[before[rows]], axis=-1)
                + np.linalg.norm(b[rows] - right[before[rows]], axis=-1)
            ).mean(axis=1)
            / 2
            for a, b in ((left, right), (right, left))
        )
        changed[rows] |= (other < SHORTER * same) & (same > MIN_STEP_M)
    return track.frames[changed & ~np.r_[False, changed[:-1]]]  # where each begins


def _jumps(track: PoseTrack, times_s: np.ndarray) -> np.ndarray:
    if track.root_mm is None or len(track) < 2:
        return np.zeros(0, int)
    steps = np.linalg.norm(np.diff(track.root_mm, axis=0), axis=1) / 1000
    fast = steps > MAX_SPEED_M_S * np.diff(times_s[track.frames])
    return track.frames[1:][fast]
