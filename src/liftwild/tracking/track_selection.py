"""Which tracks of a clip are people: sure at least once, long enough, and the best if only so many are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.pose import ARRAYS, PoseTrack

MIN_TRACK_S = 0.5  # a shorter track is not written, unless the clip is not three times as long
SURE_SCORE = 0.5  # of a detector, once in a track ...
SURE_POSE = 0.5  # ... or the median over its frames of the mean confidence: somebody is there
STRAY_S = 0.1  # a piece of a track that is shorter, with nothing this near before or after, is a slip
GAP_S = 0.2


def check_min_track(min_track_s: float) -> float:
    """``min_track_s``; LiftwildError unless it is a number of 0 or more."""
    if not (np.isfinite(min_track_s) and min_track_s >= 0):
        raise LiftwildError(f"the shortest track lasts 0 s or more, not {min_track_s:g}")
    return min_track_s


def worth_keeping(
    tracks: Sequence[PoseTrack], times_s: np.ndarray, min_track_s: float = MIN_TRACK_S, most: int | None = None
) -> tuple[PoseTrack, ...]:
    """``tracks`` without those that are nobody, in their order; frames that are slips of a track go, too.

    ``times_s`` (F,): when each frame of the clip is shown, s. A track lasts at least ``min_track_s``, or a third of the
    clip where that is less; was sure once, if a detector found it; ``most``: only so many, those that are seen best:
    the sum over the frames of height in the picture times confidence.
    """
    times = np.asarray(times_s, dtype=np.float64)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    least = min(min_track_s, (times[-1] - times[0] + step) / 3) if len(times) else 0.0
    kept = [without_strays(track, times, step) for track in tracks]
    kept = [track for track in kept if len(track) * step >= least - 1e-9 and was_sure(track)]
    if most is not None and len(kept) > most:
        best = sorted(kept, key=lambda track: -_seen(track))[:most]
        kept = [track for track in kept if any(track is each for each in best)]
    return tuple(kept)


def was_sure(track: PoseTrack) -> bool:
    """Whether a detector was sure of the track once, or its poses mostly are; True where no detector was asked."""
    if track.scores is None:
        return True
    sure = float(np.median(track.confidence.mean(axis=1)))
    return bool(np.nanmax(track.scores) >= SURE_SCORE) or sure >= SURE_POSE


def without_strays(track: PoseTrack, times_s: np.ndarray, step_s: float) -> PoseTrack:
    """``track`` without pieces of less than ``STRAY_S`` that lie alone; the longest piece stays."""
    if not len(track):
        return track
    times = times_s[track.frames]
    piece = np.concatenate([[0], np.cumsum(np.diff(times) > GAP_S + step_s)])
    lengths = np.bincount(piece)
    keep = (lengths * step_s >= STRAY_S) | (lengths == lengths.max())
    return track if keep.all() else taken(track, np.flatnonzero(keep[piece]))


def taken(track: PoseTrack, rows: np.ndarray) -> PoseTrack:
    """The poses of ``track`` at ``rows`` (N,) alone."""
    arrays: dict[str, Any] = {
        name: getattr(track, name) for name in (*ARRAYS, "scores", "boxes", "frames", "filled", "contacts")
    }
    changed: dict[str, Any] = {name: None if own is None else own[rows] for name, own in arrays.items()}
    if track.annotation_ids is not None:
        changed["annotation_ids"] = tuple(track.annotation_ids[row] for row in rows.tolist())
    return replace(track, **changed)


def _seen(track: PoseTrack) -> float:
    return float((track.boxes[:, 2:].max(axis=1) * track.confidence.mean(axis=1)).sum())
