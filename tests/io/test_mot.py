"""MOT files, as OpenSim reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.io.formats import is_ours, save
from liftwild.joint_mapping import in_skeleton
from liftwild.skeleton import SKELETONS
from tests.support.recordings import clip_of_people


def read_mot(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Header and columns, by the rules of OpenSim's Storage files."""
    head, _, body = path.read_text().partition("endheader\n")
    facts = dict(line.split("=") for line in head.splitlines() if "=" in line)
    names, *rows = (line.split("\t") for line in body.splitlines())
    assert (int(facts["nRows"]), int(facts["nColumns"])) == (len(rows), len(names))
    return facts, {name: np.array([float(row[i]) for row in rows]) for i, name in enumerate(names)}


def test_a_file_a_person(tmp_path: Path) -> None:
    recording = clip_of_people(2)
    files = save(recording, tmp_path / "clip.mot")
    assert [file.name for file in files] == ["clip.person0.mot", "clip.person1.mot"]
    facts, columns = read_mot(files[1])
    assert facts["inDegrees"] == "yes" and files[1].read_text().startswith("liftwild joint angles\nversion=1\n")
    track = recording.tracks[1]
    np.testing.assert_allclose(columns["time"], recording.times_s[track.frames], atol=1e-6)
    (_, angles) = recording.angles(0.0)
    np.testing.assert_allclose(columns["knee_angle_r"], angles["right_knee_flexion"], atol=1e-3)
    np.testing.assert_allclose(columns["hip_flexion_l"], angles["left_hip_flexion"], atol=1e-3)
    assert all(is_ours(file) for file in files)


def test_other_joints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LiftwildError, match="MOT needs the joints that were found"):
        save(in_skeleton(clip_of_people(1), SKELETONS["coco17"]), tmp_path / "clip.mot")
