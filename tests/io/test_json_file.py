"""The JSON of poses: its schema, and whole files."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from liftwild.camera import Camera
from liftwild.io.formats import is_ours, save
from liftwild.pose import Recording
from liftwild.skeleton import MPII_16
from tests.support.poses import ARMS_OUT, standing


def test_the_document(tmp_path: Path) -> None:
    poses = [standing(), dataclasses.replace(standing(), annotation_id=7, confidence=np.linspace(0, 1, 16))]
    save(Recording.of_photo("a.jpg", 80, 60, poses), tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert list(document) == [
        "format", "version", "image", "skeleton", "joint_names", "parents", "joint_notes", "frame", "levelled",
        "confidence_is", "computed_by", "camera", "steps", "people",
    ]  # fmt: skip
    assert (document["format"], document["version"]) == ("liftwild-pose", 1)
    assert document["image"] == {"file": "a.jpg", "width": 80, "height": 60}
    assert document["skeleton"] == "mpii16" and document["joint_notes"] == {} and document["steps"] == []
    assert document["camera"] is None and document["levelled"] is None and document["confidence_is"] is None
    assert document["computed_by"] is None
    assert document["joint_names"] == list(MPII_16.names) and document["parents"] == list(MPII_16.parents)
    assert document["frame"]["unit"] == "mm"
    assert document["frame"]["zero"].startswith("pelvis")
    assert document["frame"]["axes"].startswith("x right, y down, z away from the camera")
    assert document["frame"]["root_mm"].startswith("not estimated")
    first, second = document["people"]
    assert list(first) == ["person_id", "box", "score", "joints_2d", "joints_3d", "confidence"]
    assert first["score"] is None
    assert list(second) == ["person_id", "box", "annotation_id", "score", "joints_2d", "joints_3d", "confidence"]
    assert second["annotation_id"] == 7 and (first["person_id"], second["person_id"]) == (0, 1)
    assert first["box"] == [15, 5, 50, 50]
    assert np.array(first["joints_3d"]).tolist() == ARMS_OUT.tolist()
    np.testing.assert_allclose(first["joints_2d"], poses[0].joints_2d, atol=0.005)
    np.testing.assert_allclose(second["confidence"], poses[1].confidence, atol=0.0005)


def test_what_is_known_of_space_is_in_the_document(tmp_path: Path) -> None:
    pose = dataclasses.replace(standing(), depth_sd_mm=np.full(16, 41.26), root_mm=np.array([1, -2, 3000.04]))
    recording = Recording.of_photo("a.jpg", 80, 60, [pose], Camera(70, 71, 40, 30), "exif", ("placed", "scaled"))
    save(recording, tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert document["camera"] == {"fx": 70, "fy": 71, "cx": 40, "cy": 30, "from": "exif"}
    assert document["steps"] == ["placed", "scaled"]
    assert document["frame"]["root_mm"].startswith("mm, the same axes, zero at the camera")
    (person,) = document["people"]
    assert person["root_mm"] == [1, -2, 3000] and person["depth_sd_mm"] == [41.3] * 16


def test_numbers_are_rounded_and_never_minus_zero(tmp_path: Path) -> None:
    pose = dataclasses.replace(standing(), joints_3d=ARMS_OUT * 0 - 0.01, joints_2d=ARMS_OUT[:, :2] / 3)
    save(Recording.of_photo("a.jpg", 80, 60, [pose]), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "-0.0," not in text and "333333" not in text
    assert "[0.0, 0.0, 0.0]" in text  # a joint to a line


def test_hidden_joints_are_null(tmp_path: Path) -> None:
    hidden = np.isin(np.arange(16), (0, 9))
    pose = dataclasses.replace(
        standing(), joints_3d=np.where(hidden[:, None], np.nan, ARMS_OUT), depth_sd_mm=np.where(hidden, np.nan, 30.0)
    )
    save(Recording.of_photo("a.jpg", 80, 60, [pose]), tmp_path / "a.json")
    (person,) = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["people"]
    assert person["joints_3d"][0] == person["joints_3d"][9] == [None] * 3 and person["depth_sd_mm"][9] is None
    # NumPy takes null for NaN, the list for a whole array.
    np.testing.assert_array_equal(np.isnan(np.array(person["joints_3d"], dtype=float)).all(axis=1), hidden)


@pytest.mark.parametrize("field", ["joints_3d", "confidence"])
def test_nothing_but_numbers_in_json(tmp_path: Path, field: str) -> None:
    pose = dataclasses.replace(standing(), **{field: getattr(standing(), field) + np.inf})
    with pytest.raises(ValueError, match="not JSON compliant"):
        save(Recording.of_photo("a.jpg", 80, 60, [pose]), tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ['quote " [ 1 ].jpg', "новый [\n1\n].png", os.fsdecode(b"latin-\xe9.jpg")])
def test_odd_file_names_survive(tmp_path: Path, name: str) -> None:
    save(Recording.of_photo(name, 80, 60, []), tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_bytes())
    assert document["image"]["file"] == name and document["people"] == []


def test_is_ours(tmp_path: Path) -> None:
    save(Recording.of_photo("a.jpg", 80, 60, []), tmp_path / "ours.json")
    (tmp_path / "other.json").write_text('{"shapes": [], "imagePath": "a.jpg"}')
    assert is_ours(tmp_path / "ours.json")
    assert not is_ours(tmp_path / "other.json")
    assert not is_ours(tmp_path / "none.json")
