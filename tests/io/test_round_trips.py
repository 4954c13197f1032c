"""JSON and npz: what is written is read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from liftwild.errors import LiftwildError
from liftwild.io.formats import save
from liftwild.io.json_file import read_json
from liftwild.io.npz import read_npz
from liftwild.pose import Recording
from liftwild.skeleton import MPII_16
from tests.support.files import mutated
from tests.support.recordings import assert_same, photo, random_recording, random_track, written
from tests.support.strategies import quick, seeds


@quick
@given(seed=seeds)
def test_json_and_npz_give_back_what_was_written(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("round")
    recording = random_recording(seed)
    save(recording, folder / "a.json")
    save(recording, folder / "a.npz")
    assert_same(recording, read_json(folder / "a.json"), exact=False)
    assert_same(recording, read_npz(folder / "a.npz"), exact=True)


def test_a_clip_has_a_frame_to_a_line(tmp_path: Path) -> None:
    track = random_track(np.random.default_rng(0), np.arange(3), 5, MPII_16)
    clip = Recording("c.mp4", 640, 480, np.array([0, 0.04, 0.1]), (track,), is_clip=True)
    save(clip, tmp_path / "c.json")
    text = (tmp_path / "c.json").read_text(encoding="utf-8")
    document = json.loads(text)
    assert (document["format"], document["version"]) == ("liftwild-clip", 1)
    assert document["clip"] == {"file": "c.mp4", "width": 640, "height": 480}
    assert document["times_s"] == [0, 0.04, 0.1] and document["people"][0]["frames"] == [0, 1, 2]
    row = json.dumps(document["people"][0]["joints_3d"][1])
    assert f"\n    {row},\n" in text


def test_a_photo_from_before_there_were_more_keys(tmp_path: Path) -> None:
    recording = photo()
    document = json.loads(written(tmp_path, recording, "json").read_text(encoding="utf-8"))
    for key in ("skeleton", "parents", "joint_notes", "levelled", "confidence_is", "camera", "steps"):
        del document[key]
    for person in document["people"]:
        del person["person_id"], person["root_mm"], person["depth_sd_mm"]
    (tmp_path / "old.json").write_text(json.dumps(document), encoding="utf-8")
    old = read_json(tmp_path / "old.json")
    assert [track.person_id for track in old.tracks] == [0, 1] and old.camera is None and old.steps == ()
    np.testing.assert_allclose(old.tracks[1].joints_3d, recording.tracks[1].joints_3d, atol=0.051)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[1, 2]", "holds no poses of liftwild"),
        (b'{"format": "liftwild-pose", "version": 2}', "has version 2"),
        (b'{"format": "liftwild-pose", "version": 1}', "or damaged: it lacks 'image'"),
        (b'{"format": "liftwild-clip", "version": 1, "clip": 3, "joint_names": [], "parents": []}', "or damaged: "),
    ],
)
def test_json_of_something_else_is_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(LiftwildError, match=says) as caught:
        read_json(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value) and "\n" not in str(caught.value)


def test_json_cut_short_or_with_a_joint_too_few_is_one_line(tmp_path: Path) -> None:
    whole = written(tmp_path, photo(), "json").read_text(encoding="utf-8")
    document = json.loads(whole)
    document["people"][1]["joints_3d"].pop()
    for content in (whole[:2000], json.dumps(document)):
        (tmp_path / "b.json").write_text(content, encoding="utf-8")
        with pytest.raises(LiftwildError, match=r"not JSON|damaged"):
            read_json(tmp_path / "b.json")


def test_npz_holds_no_objects_and_unpickles_none(tmp_path: Path) -> None:
    path = written(tmp_path, photo(), "npz")
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays.files[0] == "liftwild"
        about = json.loads(str(arrays["liftwild"]))
        assert about["frame"]["unit"] == "mm" and about["joint_names"] == arrays["joint_names"].tolist()
        assert arrays["joints_3d"].shape == (2, 16, 3) and arrays["person_id"].tolist() == [0, 1]
    np.savez(tmp_path / "evil.npz", liftwild=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:900])
    for name in ("evil.npz", "other.npz", "single.npy", "empty.npz", "cut.npz", "none.npz"):
        with pytest.raises(LiftwildError) as caught:
            read_npz(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def damaged_json(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Documents of a photo, each with one thing that cannot be."""
    first = document["people"][0]
    people = {"joints_2d": float("inf"), "confidence": [1.0], "box": None, "person_id": float("inf")}
    found = {name: {**document, "people": [{**first, name: value}]} for name, value in people.items()}
    return found | {
        "width": {**document, "image": {**document["image"], "width": float("inf")}},
        "file": {**document, "image": {**document["image"], "file": ["a"]}},
        "parents": {**document, "parents": [0] * 16},
        "joint_names": {**document, "joint_names": ["pelvis"] * 16},
        "camera": {**document, "camera": {"fx": 10**400, "fy": 1, "cx": 1, "cy": 1, "from": "given"}},
    }


def test_json_with_a_value_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    document = json.loads(written(tmp_path, photo(), "json").read_text(encoding="utf-8"))
    for name, changed in damaged_json(document).items():
        (tmp_path / "b.json").write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(LiftwildError, match="is not a file of poses of liftwild, or damaged") as caught:
            read_json(tmp_path / "b.json")
        assert "\n" not in str(caught.value) and "b.json" in str(caught.value), name


@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path: Path, suffix: str) -> None:
    content, rng, refused = written(tmp_path, photo(), suffix).read_bytes(), np.random.default_rng(0), 0
    read = read_json if suffix == "json" else read_npz
    for _ in range(150):
        (tmp_path / "x").write_bytes(mutated(content, rng))
        try:
            read(tmp_path / "x")
        except LiftwildError as error:
            refused += 1
            assert str(tmp_path / "x") in str(error) and "\n" not in str(error)
    assert refused > 30
