"""Steadier tracks: filtered over time, and one skeleton for a whole clip.

docs/video.md says what the numbers are and on what they were chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import Skeleton
from liftwild.tracking.filters import GAP_S, Butterworth, Filter, spans

MIN_TRUST = 0.1  # of a joint that the network is not sure of at all
FLAT_WEIGHT = 4.0  # how much dearer a mm across the picture is than one in depth, when bones get their lengths


@dataclass(frozen=True)
class Steadiness:
    """How much tracks shake: ``jitter_mm`` mean acceleration of a joint about the pelvis, mm/s^2; ``jitter_px`` the
    same in the picture, px/s^2; ``bone_spread``: coefficient of variation of a bone's length over its track, mean over
    the bones. NaN where nothing can be measured."""

    jitter_mm: float
    jitter_px: float
    bone_spread: float


def smooth_recording(recording: Recording, settings: Filter | None = None) -> Recording:
    """``recording`` with every track smoothed and given one skeleton, and ``steps`` that say so."""
    settings = settings or Butterworth()
    tracks = tuple(with_one_skeleton(smooth_track(track, recording.times_s, settings)) for track in recording.tracks)
    steps = (
        settings.in_words(),
        "one skeleton for each person: bones keep their median length over the clip, depths give way before x and y",
    )
    return replace(recording, tracks=tracks, steps=(*recording.steps, *steps))


def smooth_track(track: PoseTrack, times_s: np.ndarray, settings: Filter | None = None) -> PoseTrack:
    """``track`` filtered over time, in 2D and 3D; ``times_s`` (F,): when each frame of the clip is shown, s.

    2D goes through the same filter in mm, at the person's median scale over the track. Joints that are NaN stay so.
    Confidence and chances stay those of each frame. ``settings``: None is Butterworth by residual analysis.
    """
    settings = settings or Butterworth()
    times = np.asarray(times_s, dtype=np.float64)[track.frames]
    px_per_mm = usual_px_per_mm(track.joints_2d, track.joints_3d, track.skeleton)
    joints_2d, joints_3d = np.array(track.joints_2d, np.float64), np.array(track.joints_3d, np.float64)
    roots = None if track.root_mm is None else np.array(track.root_mm, np.float64)
    trust = trust_in(track.confidence)
    for span in spans(times):
        joints_3d[span] = settings(joints_3d[span], times[span], trust[span])
        if px_per_mm > 0:
            joints_2d[span] = settings(joints_2d[span] / px_per_mm, times[span], trust[span]) * px_per_mm
        if roots is not None:
            roots[span] = settings(roots[span], times[span], None)
    return replace(track, joints_2d=joints_2d, joints_3d=joints_3d, root_mm=roots)


def trust_in(confidence: np.ndarray) -> np.ndarray:
    """How far (T, J) each measurement moves the filter: ``confidence`` (T, J) over the joint's median, at most 1."""
    usual = np.maximum(np.median(confidence, axis=0), 1e-6)
    return np.clip(confidence / usual, MIN_TRUST, 1.0)


def usual_px_per_mm(joints_2d: np.ndarray, joints_3d: np.ndarray, skeleton: Skeleton) -> float:
    """The median scale of poses (T, J, 2) px and (T, J, 3) mm of one person; 0 where it cannot be told."""
    bones = np.array(skeleton.bones)
    flat_mm = np.linalg.norm(_vectors(joints_3d[..., :2], bones), axis=-1).sum(-1)
    px = np.linalg.norm(_vectors(joints_2d, bones), axis=-1).sum(-1)
    known = np.isfinite(flat_mm) & np.isfinite(px) & (flat_mm > 1)
    return float(np.median(px[known] / flat_mm[known])) if known.any() else 0.0


def _vectors(joints: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """Bones (..., E, D) as vectors from parent to child."""
    return joints[..., bones[:, 0], :] - joints[..., bones[:, 1], :]


def with_one_skeleton(track: PoseTrack) -> PoseTrack:
    """``track`` with the bone lengths of ``track_bone_lengths`` in every frame, by ``refit``; 2D stays as it is."""
    return replace(track, joints_3d=refit(track.joints_3d, track_bone_lengths(track), track.skeleton))


def track_bone_lengths(track: PoseTrack) -> np.ndarray:
    """Lengths (E,) mm of the skeleton's bones over a track, left and right alike; NaN for a bone that is never there.

    The median over the half of the frames in which the network is surest of the bone's less sure end.
    """
    bones = np.array(track.skeleton.bones)
    lengths = np.linalg.norm(_vectors(np.asarray(track.joints_3d, np.float64), bones), axis=-1)
    sure = np.where(np.isfinite(lengths), np.minimum(*(track.confidence[:, bones[:, end]] for end in (0, 1))), np.nan)
    found = np.full(len(bones), np.nan)
    for bone in range(len(bones)):
        known = np.isfinite(sure[:, bone])
        if known.any():
            enough = known & (sure[:, bone] >= np.median(sure[known, bone]))
            found[bone] = np.median(lengths[enough, bone])
    return _symmetric(found, track.skeleton)


def _symmetric(lengths: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Each bone's length, averaged with that of the bone it mirrors where both are known."""
    flip = skeleton.flip_index
    place = {bone: i for i, bone in enumerate(skeleton.bones)}
    other = lengths[[place.get((flip[child], flip[parent]), i) for i, (child, parent) in enumerate(skeleton.bones)]]
    return np.where(np.isfinite(other) & np.isfinite(lengths), (lengths + other) / 2, lengths)


def refit(joints_3d: np.ndarray, lengths: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Joints (T, J, 3) mm, root where it is, with bones of ``lengths`` (E,) mm, as near to those given as can be.

    Each bone becomes the vector of its length that is nearest to what it was, a mm in x or y counting ``FLAT_WEIGHT``
    times as much as one in z, squared: depth gives way before what the picture shows, and the side that the depth was
    on stays. Keeping x and y exactly would throw the depth of a bone that lies flat in the picture from side
    to side, since its side is then chance. NaN in, NaN out; a bone without length stays so.
    """
    bones = np.array(skeleton.bones)
    given = np.asarray(joints_3d, dtype=np.float64)
    towards = _vectors(given, bones)
    known = np.isfinite(towards).all(-1) & np.isfinite(lengths) & (np.abs(towards).max(-1) > 1e-9)
    towards[known] = _at_length(towards[known], np.broadcast_to(lengths, known.shape)[known])
    out = given.copy()
    for bone in sorted(range(len(bones)), key=lambda bone: _generation(skeleton, skeleton.bones[bone][0])):
        child, parent = skeleton.bones[bone]
        out[:, child] = out[:, parent] + towards[:, bone]
    # What hangs on a joint that is not known stays where it was.
    return np.where(np.isnan(out) & ~np.isnan(given), given, out)


def _generation(skeleton: Skeleton, joint: int) -> int:
    return 0 if skeleton.parents[joint] < 0 else 1 + _generation(skeleton, skeleton.parents[joint])


def _at_length(towards: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The vectors (N, 3) of ``length`` (N,) nearest to ``towards`` (N, 3), x and y weighed by w = ``FLAT_WEIGHT``.

    With a multiplier m the nearest is (w x, w y) / (w - 1 + m) and z / m; its length falls as m grows, so m is found
    by halving between 0 and where it is surely too short.
    """
    flat, z = towards[:, :2], towards[:, 2]
    low = np.zeros(len(towards))
    high = np.linalg.norm(np.column_stack([FLAT_WEIGHT * flat, z]), axis=1) / np.maximum(length, 1e-9)
    flat_mm = np.linalg.norm(flat, axis=1)
    for _ in range(60):
        middle = (low + high) / 2
        far = np.hypot(FLAT_WEIGHT * flat_mm / (FLAT_WEIGHT - 1 + middle), z / np.maximum(middle, 1e-300)) > length
        low, high = np.where(far, middle, low), np.where(far, high, middle)
    new = flat * (FLAT_WEIGHT / (FLAT_WEIGHT - 1 + high))[:, None]
    short = np.minimum(1.0, length / np.maximum(np.linalg.norm(new, axis=1), 1e-300))
    new = new * short[:, None]
    depth = np.sqrt(np.maximum(length**2 - (new**2).sum(1), 0.0))
    return np.column_stack([new, np.where(z < 0, -depth, depth)])


def steadiness(recording: Recording) -> Steadiness:
    """How much the tracks of ``recording`` shake; of several, the mean over all their frames."""
    tracks = recording.tracks
    times = [np.asarray(recording.times_s, np.float64)[track.frames] for track in tracks]
    return Steadiness(
        _mean([accelerations(track.joints_3d, time) for track, time in zip(tracks, times, strict=True)]),
        _mean([accelerations(track.joints_2d, time) for track, time in zip(tracks, times, strict=True)]),
        _mean([bone_spread(track.joints_3d, track.skeleton) for track in tracks]),
    )


def _mean(parts: Sequence[np.ndarray]) -> float:
    every = np.concatenate([np.ravel(part) for part in parts]) if parts else np.empty(0)
    every = every[np.isfinite(every)]
    return float(every.mean()) if len(every) else float("nan")


def accelerations(joints: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Size of each joint's acceleration (N, J), in the joints' unit / s^2, from three neighbouring times each.

    ``joints`` (T, J, D) at ``times_s`` (T,); steps may differ. Triples across a gap of more than ``GAP_S`` are left
    out.
    """
    steps = np.diff(times_s)
    speeds = np.diff(np.asarray(joints, np.float64), axis=0) / steps[:, None, None]
    between = (steps[1:] + steps[:-1]) / 2
    whole = (steps[1:] <= GAP_S) & (steps[:-1] <= GAP_S)
    return np.linalg.norm(np.diff(speeds, axis=0) / between[:, None, None], axis=-1)[whole]


def bone_spread(joints_3d: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Coefficient of variation (E,) of each bone's length over joints (T, J, 3); NaN below two frames."""
    lengths = np.linalg.norm(_vectors(np.asarray(joints_3d, np.float64), np.array(skeleton.bones)), axis=-1)
    spread = np.full(lengths.shape[1], np.nan)
    for bone, own in enumerate(lengths.T):
        own = own[np.isfinite(own)]
        if len(own) > 1 and own.mean() > 0:
            spread[bone] = own.std() / own.mean()
    return spread
