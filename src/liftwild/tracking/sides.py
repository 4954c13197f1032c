"""Left and right of a person over a whole clip: stretches in which the network had them exchanged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from liftwild.boxes import body_box
from liftwild.pose import PoseTrack
from liftwild.tracking.filters import GAP_S

LIMBS = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
# What it costs to take a second of a clip as exchanged, in sides of the body's box that joints jump: so long a stretch
# is put right only where its ends jump enough.
COST_PER_S = 0.15
MIN_JUMP = 0.03  # what an end of such a stretch must gain, so that limbs that cross are left alone


def put_sides_right(track: PoseTrack, times_s: np.ndarray) -> tuple[PoseTrack, int]:
    """``track`` with left and right exchanged back where they jumped, and in how many frames they were.

    Arms and legs are looked at on their own, since a network exchanges either. Of the two readings of each frame, as it
    is and exchanged, those are taken that make joints move least over the clip, by dynamic programming; a reading as
    exchanged costs ``COST_PER_S``. Nothing is compared across gaps. ``times_s`` (F,): when each frame of the clip is
    shown, s.
    """
    flip = np.array(track.skeleton.flip_index)
    if len(track) < 3:
        return track, 0
    times = np.asarray(times_s, dtype=np.float64)[track.frames]
    order, ever = np.tile(np.arange(len(flip)), (len(track), 1)), np.zeros(len(track), dtype=bool)
    for limb in LIMBS:
        lateral = np.flatnonzero([name.partition("_")[2] in limb for name in track.skeleton.names])
        if len(lateral):
            exchanged = _exchanged(track, times, flip, lateral)
            order[np.ix_(exchanged, lateral)] = flip[lateral]
            ever |= exchanged
    if not ever.any():
        return track, 0
    changed: dict[str, Any] = {}
    for name in ("joints_2d", "joints_3d", "confidence", "depth_sd_mm", "inside", "visible"):
        values = getattr(track, name)
        if values is not None:
            changed[name] = values[np.arange(len(track))[:, None], order]
    return replace(track, **changed), int(ever.sum())


def _exchanged(track: PoseTrack, times: np.ndarray, flip: np.ndarray, lateral: np.ndarray) -> np.ndarray:
    """Which frames (T,) are better read with left and right exchanged."""
    joints = np.asarray(track.joints_2d, dtype=np.float64)
    weight = np.minimum(track.confidence[1:], track.confidence[:-1])[:, lateral]
    side = _sides(joints)
    kept, turned = (_moved(joints, order, lateral, weight, side) for order in (np.arange(len(flip)), flip))
    steps = np.diff(times)
    apart = steps > GAP_S
    kept, turned = np.where(apart, 0.0, kept), np.where(apart, 0.0, turned + MIN_JUMP)
    shown = np.minimum(np.append(steps, steps[-1]), GAP_S)
    prices = np.stack([np.zeros(len(joints)), COST_PER_S * shown], axis=1)
    cost, origin = prices[0], np.zeros((len(joints), 2), dtype=np.int64)
    for i in range(1, len(joints)):
        stay, change = cost + kept[i - 1], cost[::-1] + turned[i - 1]
        origin[i] = np.where(stay <= change, [0, 1], [1, 0])
        cost = np.minimum(stay, change) + prices[i]
    state = int(cost.argmin())
    found = np.zeros(len(joints), dtype=bool)
    for i in range(len(joints) - 1, -1, -1):
        found[i] = bool(state)
        state = int(origin[i, state])
    return found


def _moved(
    joints: np.ndarray, order: np.ndarray, lateral: np.ndarray, weight: np.ndarray, side: np.ndarray
) -> np.ndarray:
    """How far (T - 1,) the lateral joints move from frame to frame, the next frame's read in ``order``; box sides."""
    away = np.linalg.norm(joints[1:][:, order] - joints[:-1], axis=-1)[:, lateral]
    known = np.isfinite(away)
    total = np.where(known, weight, 0.0).sum(axis=1)
    moved = np.where(known, away * weight, 0.0).sum(axis=1) / np.maximum(total, 1e-6)
    return np.asarray(moved / side)


def _sides(joints: np.ndarray) -> np.ndarray:
    """The longer side of each later frame's body box (T - 1,), px: the median over the track where there is none."""
    boxes = [body_box(each, np.isfinite(each).all(axis=-1)) for each in joints]
    sides = np.array([np.nan if box is None else max(box[2:]) for box in boxes])
    usual = float(np.nanmedian(sides)) if np.isfinite(sides).any() else 1.0
    return np.maximum(np.where(np.isfinite(sides), sides, usual)[1:], 1e-6)
