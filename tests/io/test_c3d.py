"""C3D, as another library reads it: points, labels, rate, units and frame numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwild.io.formats import check_formats
from liftwild.placement.floor import Levelled
from liftwild.skeleton import MPII_16
from tests.support.recordings import photo, written
from tests.support.tracks import moving, track_of

pytest.importorskip("c3d")
ezc3d = pytest.importorskip("ezc3d")


def clip_of(frames: list[int], times_s: np.ndarray) -> Levelled:
    """Somebody in these frames, in space, with the floor at 0."""
    joints = moving(np.random.default_rng(1), len(frames), 0.3)
    track = track_of(joints, np.array(frames), np.array([[100.0 * frame, -900, 3000] for frame in frames]))
    return Levelled("c.mp4", 640, 480, times_s, (track,), is_clip=True)


def read(path: Path) -> tuple[Any, np.ndarray]:
    """The file and its points (F, J, 3), mm, NaN where invalid."""
    file = ezc3d.c3d(str(path))
    return file, file["data"]["points"][:3].transpose(2, 1, 0)


def test_points_labels_rate_and_units(tmp_path: Path) -> None:
    clip = clip_of([3, 4, 6, 9], np.arange(12) / 25)
    (track,) = clip.tracks
    file, points = read(written(tmp_path, clip, "c3d"))
    facts = file["parameters"]["POINT"]
    assert tuple(facts["LABELS"]["value"]) == MPII_16.names
    assert facts["UNITS"]["value"] == ["mm"] and facts["RATE"]["value"][0] == pytest.approx(25)
    assert facts["X_SCREEN"]["value"] == ["+X"] and facts["Y_SCREEN"]["value"] == ["+Y"]
    assert file["header"]["points"]["first_frame"] == 3 and file["header"]["points"]["last_frame"] == 9  # from 0
    assert np.isnan(points[[2, 4, 5]]).all() and len(points) == 7
    expected = (track.joints_3d + track.root_mm[:, None]) * (1, -1, -1)
    np.testing.assert_allclose(points[[0, 1, 3, 6]], expected, atol=0.01)


def test_hidden_joints_are_invalid_and_a_photo_is_one_frame(tmp_path: Path) -> None:
    recording = photo(1)
    joints = recording.tracks[0].joints_3d
    joints[0, MPII_16.index("left_wrist")] = np.nan
    file, points = read(written(tmp_path, recording, "c3d"))
    assert len(points) == 1 and file["data"]["meta_points"]["residuals"].min() == -1
    assert np.flatnonzero(np.isnan(points[0, :, 0])).tolist() == [MPII_16.index("left_wrist")]
    own = points[0] - points[0, MPII_16.index("pelvis")]
    np.testing.assert_allclose(own, joints[0] * (1, -1, -1), atol=0.01)


def test_uneven_frames_are_resampled(tmp_path: Path) -> None:
    times = np.concatenate([np.arange(6) / 25, 5 / 25 + np.arange(1, 7) / 10])
    file, points = read(written(tmp_path, clip_of(list(range(12)), times), "c3d"))
    assert len(points) == int(times[-1] * file["parameters"]["POINT"]["RATE"]["value"][0] + 1e-6) + 1
    assert "a.person0.c3d: resampled" in (tmp_path / "a.about.txt").read_text()


def test_its_lack_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "c3d", None)
    with pytest.raises(ValueError, match=r"pip install 'liftwild\[c3d\]'"):
        check_formats(["c3d"])
