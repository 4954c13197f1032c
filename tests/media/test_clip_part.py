"""Parts of clips and slow motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.media.clip_part import ClipPart, part_of
from liftwild.media.video import open_clip
from tests.support.videos import FPS, FRAMES, number_of, write_frames, write_video


def test_a_part_has_its_own_numbers_and_times(tmp_path: Path) -> None:
    clip = open_clip(write_video(tmp_path / "a.mp4"))
    part = list(ClipPart(clip, 3 / FPS, 8 / FPS).frames())
    assert [frame.number for frame in part] == list(range(5))
    np.testing.assert_allclose([frame.time_s for frame in part], np.arange(5) / FPS, atol=1e-6)
    assert [number_of(frame.image) for frame in part if frame.image is not None] == [3, 4, 5, 6, 7]
    again = list(ClipPart(clip, 3 / FPS, 8 / FPS).frames(2))
    assert [frame.number for frame in again] == [2, 3, 4] and again[0].time_s == part[2].time_s


def test_slow_motion_is_faster_in_truth(tmp_path: Path) -> None:
    clip = ClipPart(open_clip(write_frames(tmp_path / "frames"), 30), slow_motion=8.0)
    times = [frame.time_s for frame in clip.frames()]
    np.testing.assert_allclose(times, np.arange(FRAMES) / 240)
    assert clip.length == FRAMES


def test_labels_know_the_frames_of_a_part(tmp_path: Path) -> None:
    clip = ClipPart(open_clip(write_frames(tmp_path / "frames"), 10), 0.5)
    assert len(list(clip.frames())) == FRAMES - 5
    path = clip.path_of(0)
    assert path is not None and path.name == "5.png"


def test_parts_differ_and_no_part_is_the_clip(tmp_path: Path) -> None:
    clip = open_clip(write_frames(tmp_path / "frames"), 10)
    assert part_of(clip, None, None, None) is clip
    texts = {part_of(clip, *asked).identity() for asked in ((0.2, None, None), (None, 0.5, None), (None, None, 4.0))}
    assert len({*texts, clip.identity()}) == 4


@pytest.mark.parametrize(
    ("asked", "said"),
    [((-1.0, None, None), "0 s or more"), ((2.0, 1.0, None), "after its start"), ((None, None, 0.0), "times slower"),
     ((float("nan"), None, None), "0 s or more"), ((99.0, None, None), "no frame from 99 s on")],
)  # fmt: skip
def test_parts_that_are_none(tmp_path: Path, asked: tuple[float | None, ...], said: str) -> None:
    clip = open_clip(write_frames(tmp_path / "frames"), 10)
    with pytest.raises(LiftwildError, match=said):
        list(part_of(clip, *asked).frames())
