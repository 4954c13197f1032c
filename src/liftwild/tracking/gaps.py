"""Short stretches in which a person was not seen, bridged and marked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from liftwild.pose import ARRAYS, PoseTrack
from liftwild.tracking.filters import GAP_S


def fill_gaps(track: PoseTrack, times_s: np.ndarray) -> tuple[PoseTrack, int]:
    """``track`` with poses for the frames of gaps of at most ``GAP_S``, and how many these are.

    Joints, places and boxes are interpolated between the poses on both sides; their confidence and chances are 0, and
    ``filled`` marks them. ``times_s`` (F,): when each frame of the clip is shown, s. Wants a track of rising frames.
    """
    times = np.asarray(times_s, dtype=np.float64)
    own = np.asarray(track.frames)
    steps = np.diff(own)
    short = (steps > 1) & (np.diff(times[own]) <= GAP_S)
    added = np.concatenate(
        [np.arange(own[i] + 1, own[i + 1]) for i in np.flatnonzero(short)] or [np.zeros(0, np.int64)]
    )
    if not len(added):
        return track, 0
    frames = np.sort(np.concatenate([own, added]))
    is_new = np.isin(frames, added)
    before = np.searchsorted(own, frames, side="right") - 1
    after = np.minimum(before + is_new, len(own) - 1)
    span = times[own[after]] - times[own[before]]
    share = np.where(span > 0, (times[frames] - times[own[before]]) / np.where(span > 0, span, 1.0), 0.0)

    def between(values: np.ndarray) -> np.ndarray:
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray(values[before] * (1 - part) + values[after] * part)

    changed: dict[str, Any] = {
        "frames": frames,
        "boxes": between(track.boxes),
        "filled": is_new | _was_filled(track)[before],
    }
    for name in ARRAYS:
        values = getattr(track, name)
        if values is not None:
            changed[name] = between(np.asarray(values))
            if name in ("confidence", "inside", "visible"):
                changed[name][is_new] = 0.0
    if track.scores is not None:
        changed["scores"] = np.where(is_new, np.nan, track.scores[before])
    if track.annotation_ids is not None:
        changed["annotation_ids"] = tuple(
            None if new else track.annotation_ids[i] for new, i in zip(is_new.tolist(), before.tolist(), strict=True)
        )
    return replace(track, **changed), len(added)


def _was_filled(track: PoseTrack) -> np.ndarray:
    return np.zeros(len(track), dtype=bool) if track.filled is None else track.filled
