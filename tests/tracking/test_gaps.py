"""Gaps that are short are filled and marked; others stay."""

from __future__ import annotations

import numpy as np

from liftwild.pose import PoseTrack
from liftwild.tracking.gaps import fill_gaps

TIMES = np.arange(60) / 20


def track_of(frames: list[int]) -> PoseTrack:
    at = np.array(frames, dtype=np.float64)
    count = len(frames)
    joints = np.ones((count, 16, 3)) * at[:, None, None]
    return PoseTrack(
        4, np.array(frames), joints[..., :2], joints, np.full((count, 16), 0.9), np.ones((count, 4)) * at[:, None],
        root_mm=joints[:, 0] * 10, scores=np.full(count, 0.7), annotation_ids=tuple(range(count)),
    )  # fmt: skip


def test_short_gaps_are_interpolated() -> None:
    filled, count = fill_gaps(track_of([0, 1, 2, 6, 7, 30, 31]), TIMES)
    assert count == 3 and filled.frames.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 30, 31]
    assert filled.filled is not None and np.flatnonzero(filled.filled).tolist() == [3, 4, 5]
    assert np.allclose(filled.joints_3d[:, 0, 0], filled.frames) and np.allclose(filled.boxes[:, 2], filled.frames)
    assert filled.root_mm is not None and np.allclose(filled.root_mm[:, 1], 10 * filled.frames)
    assert (filled.confidence[3:6] == 0).all() and (filled.confidence[:3] == 0.9).all()
    assert filled.scores is not None and np.isnan(filled.scores[3:6]).all() and filled.scores[6] == 0.7
    assert filled.annotation_ids == (0, 1, 2, None, None, None, 3, 4, 5, 6)


def test_long_gaps_and_whole_tracks_stay() -> None:
    for frames in ([0, 1, 2, 3], [0, 15, 30], [5]):
        track = track_of(frames)
        assert fill_gaps(track, TIMES) == (track, 0)


def test_hidden_joints_stay_hidden() -> None:
    track = track_of([0, 1, 4, 5])
    track.joints_3d[1, 3] = np.nan
    filled, _ = fill_gaps(track, TIMES)
    assert np.isnan(filled.joints_3d[1:4, 3]).all() and np.isfinite(filled.joints_3d[:, 4]).all()
