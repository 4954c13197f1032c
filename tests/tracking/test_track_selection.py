"""Which tracks are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.pose import PoseTrack
from liftwild.tracking.track_selection import check_min_track, was_sure, without_strays, worth_keeping

TIMES = np.arange(100) / 25


def track(
    person: int, frames: Sequence[int], score: float | None = 0.9, sure: float = 0.8, size: float = 100.0
) -> PoseTrack:
    count = len(frames)
    scores = None if score is None else np.where(np.arange(count) % 5 == 0, score, np.nan)
    return PoseTrack(
        person, np.asarray(frames), np.zeros((count, 16, 2)), np.zeros((count, 16, 3)), np.full((count, 16), sure),
        np.tile([0.0, 0.0, size / 2, size], (count, 1)), scores=scores,
    )  # fmt: skip


def kept(*tracks: PoseTrack, **options: object) -> list[int]:
    return [each.person_id for each in worth_keeping(tracks, TIMES, **options)]  # type: ignore[arg-type]


def test_short_tracks_are_left_out_unless_the_clip_is_short() -> None:
    assert kept(track(0, range(100)), track(1, range(12)), track(2, range(13))) == [0, 2]
    assert kept(track(1, range(12)), min_track_s=0.4) == [1]
    short = worth_keeping([track(0, range(2)), track(1, [3])], TIMES[:6])
    assert [each.person_id for each in short] == [0]
    assert [each.person_id for each in worth_keeping([track(0, [0])], TIMES[:1])] == [0]


def test_who_was_never_sure_is_nobody() -> None:
    doubtful = track(0, range(50), score=0.4, sure=0.2)
    assert not was_sure(doubtful) and kept(doubtful) == []
    assert kept(track(0, range(50), score=0.6, sure=0.2), track(1, range(50), score=0.4, sure=0.7)) == [0, 1]
    assert kept(track(0, range(50), score=None, sure=0.1)) == [0]  # no detector was asked


def test_pieces_that_lie_alone_are_slips() -> None:
    frames = [*range(40), 60, 61, *range(70, 100)]
    whole = without_strays(track(0, frames), TIMES, 0.04)
    assert whole.frames.tolist() == [*range(40), *range(70, 100)]
    assert len(whole.joints_2d) == len(whole.boxes) == len(whole) and whole.scores is not None
    near = track(0, [*range(40), 43, 46, *range(50, 100)])
    assert without_strays(near, TIMES, 0.04) is near


def test_the_best_of_the_clip() -> None:
    tracks = track(0, range(100), size=50), track(1, range(20, 100), size=200), track(2, range(60), size=150)
    assert kept(*tracks, most=1) == [1] and kept(*tracks, most=2) == [1, 2] and kept(*tracks, most=5) == [0, 1, 2]


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_the_shortest_track_is_a_time(wrong: float) -> None:
    with pytest.raises(LiftwildError, match="0 s or more"):
        check_min_track(wrong)
