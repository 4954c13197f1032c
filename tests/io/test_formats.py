"""json, npz, tables and COCO: what is written is read again, and by others."""

from __future__ import annotations

import csv as stdlib_csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from liftwild.data.readers.coco import boxes_of, read_document, read_labels
from liftwild.errors import LiftwildError
from liftwild.io.coco_results import COCO_LINES, image_id
from liftwild.io.csv_table import HEADER
from liftwild.io.formats import is_ours, save, write_formats
from liftwild.io.json_file import read_json
from liftwild.io.npz import read_npz
from liftwild.pose import Recording
from liftwild.skeleton import COCO_17, H36M_17, MPII_16
from tests.support.poses import COCO_17 as COCO_NAMES
from tests.support.recordings import CAMERA, assert_same, hide, photo, portrait, random_recording, random_track, written
from tests.support.strategies import quick, seeds

# --- json and npz, and back ---


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
        (b'{"format": "liftwild-pose", "version": 1}', "is damaged: KeyError"),
        (b'{"format": "liftwild-clip", "version": 1, "clip": 3, "joint_names": [], "parents": []}', "is damaged"),
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


# --- tables ---


@quick
@given(seed=seeds)
def test_the_table_has_every_joint_of_everybody(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    recording = random_recording(seed)
    skeleton = recording.tracks[0].skeleton if recording.tracks else H36M_17
    out = tmp_path_factory.mktemp("table")
    write_formats(recording, out, "a", ["csv", "parquet"], skeleton)
    with (out / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(stdlib_csv.DictReader(file))
    table = pq.read_table(out / "a.parquet").to_pylist()
    expected = [
        (track.frames[i], track.person_id, name, i, joint, track)
        for track in recording.tracks
        for i in range(len(track))
        for joint, name in enumerate(skeleton.names)
    ]
    assert len(rows) == len(table) == len(expected)
    for row, exact, (frame, person, name, i, joint, track) in zip(rows, table, expected, strict=True):
        assert (int(row["frame"]), int(row["person_id"]), row["joint"]) == (frame, person, name)
        assert (exact["frame"], exact["person_id"], exact["joint"]) == (frame, person, name)
        root = [None] * 3 if track.root_mm is None else track.root_mm[i].tolist()
        values = {
            "time_s": (recording.times_s[frame], 1e-6),
            **{key: (track.joints_2d[i, joint, axis], 0.01) for axis, key in enumerate(("x_px", "y_px"))},
            **{key: (track.joints_3d[i, joint, axis], 0.1) for axis, key in enumerate(("x_mm", "y_mm", "z_mm"))},
            "confidence": (float(track.confidence[i, joint]), 0.001),
            "depth_sd_mm": (None if track.depth_sd_mm is None else track.depth_sd_mm[i, joint], 0.1),
            **{key: (root[axis], 0.1) for axis, key in enumerate(("root_x_mm", "root_y_mm", "root_z_mm"))},
            "score": (None if track.scores is None else track.scores[i], 0.001),
            "inside": (None if track.inside is None else track.inside[i, joint], 0.001),
            "visible": (None if track.visible is None else track.visible[i, joint], 0.001),
        }
        assert set(values) | {"frame", "person_id", "joint"} == set(row) == set(exact)
        for key, (value, step) in values.items():
            if value is None or np.isnan(value):
                assert row[key] == "" and exact[key] is None, key
            else:
                assert float(row[key]) == pytest.approx(value, abs=0.5001 * step) and exact[key] == value, key


def test_chances_are_in_every_format_and_old_files_are_read(tmp_path: Path) -> None:
    known, unknown = photo(tracks=(portrait(0.12345, 0.3),)), photo(tracks=(portrait(None),))
    legs = [name.endswith(("ankle", "knee")) for name in MPII_16.names]
    for name in ("json", "npz"):
        read = read_json if name == "json" else read_npz
        (told,) = read(written(tmp_path, known, name)).tracks
        np.testing.assert_allclose(told.inside, [np.where(legs, 0.12345, 0.9)], atol=0.0005 if name == "json" else 0)
        assert told.visible is not None and (told.visible < 0.5).sum() == 1 and told.is_outside.tolist() == [legs]
        (silent,) = read(written(tmp_path, unknown, name)).tracks
        assert silent.inside is None and silent.visible is None and not silent.is_outside.any()
    document = json.loads(written(tmp_path, known, "json").read_text(encoding="utf-8"))
    (person,) = document["people"]
    assert person["inside"][0] == 0.123 and person["visible"].count(0.8) == 15
    assert "inside under 0.5" in document["frame"]["joints_2d"]
    document = json.loads(written(tmp_path, unknown, "json").read_text(encoding="utf-8"))
    assert not {"inside", "visible"} & set(document["people"][0]) and "inside" not in document["frame"]["joints_2d"]
    row = written(tmp_path, known, "csv").read_text(encoding="utf-8").splitlines()
    assert row[0].endswith(",score,inside,visible") and row[1].endswith(",,0.123,0.800")
    assert "inside, visible: chances" in (tmp_path / "a.about.txt").read_text(encoding="utf-8")
    assert written(tmp_path, unknown, "csv").read_text(encoding="utf-8").splitlines()[1].endswith(",,,")
    # Files from before.
    path = written(tmp_path, known, "npz")
    with np.load(path) as arrays:
        assert arrays["track_has"].shape == (1, 3)
        np.savez(tmp_path / "old.npz", **{key: arrays[key] for key in arrays.files if key not in ("inside", "visible")})
    (old,) = read_npz(tmp_path / "old.npz").tracks
    assert old.inside is None and old.visible is None and old.root_mm is not None
    for header in (HEADER, HEADER.partition(",inside")[0], HEADER.partition(",score")[0]):
        (tmp_path / "old.csv").write_text(header + "\n", encoding="utf-8")
        assert is_ours(tmp_path / "old.csv")
    (tmp_path / "old.csv").write_text("frame,time_s,person\n", encoding="utf-8")
    assert not is_ours(tmp_path / "old.csv")


def test_csv_is_a_plain_table(tmp_path: Path) -> None:
    nobody = photo(0)
    assert written(tmp_path, nobody, "csv").read_bytes() == HEADER.encode() + b"\n"
    low = replace(photo(1).tracks[0], joints_3d=np.full((1, 16, 3), -0.04))
    text = written(tmp_path, photo(tracks=(low,)), "csv").read_text(encoding="utf-8")
    assert text.splitlines()[1].startswith("0,0.000000,0,right_ankle,") and ",0.0,0.0,0.0," in text
    assert "-0.0," not in text and '"' not in text and "#" not in text


def test_parquet_says_what_it_holds(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = written(tmp_path, photo(), "parquet")
    about = json.loads(pq.read_schema(path).metadata[b"liftwild"])
    assert about["file"] == "000012.jpg" and about["frame"]["unit"] == "mm" and about["camera"]["from"] == "given"
    assert about["joint_names"] == list(MPII_16.names) and about["steps"] == ["placed"]


def test_parquet_without_pyarrow_is_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(LiftwildError, match=r"pip install 'liftwild\[parquet\]'"):
        write_formats(photo(), tmp_path / "out", "a", ["json", "parquet"])
    assert not (tmp_path / "out").exists()


# --- coco ---


def test_coco_labels_are_read_by_liftwild(tmp_path: Path) -> None:
    recording = photo()
    labels, results = write_formats(recording, tmp_path, "a", ["coco"])
    assert (labels.name, results.name) == ("a.coco.json", "a.coco-results.json")
    boxes = boxes_of(labels, read_document(labels))
    assert list(boxes) == ["000012.jpg"] and [key for key, _ in boxes["000012.jpg"]] == [1, 2]
    np.testing.assert_allclose(boxes["000012.jpg"][1][1], recording.tracks[1].boxes[0], atol=0.006)
    people, skips = read_labels(labels)
    assert skips == [] and len(people) == 2
    for person, track in zip(people, recording.tracks, strict=True):
        assert person.joints_2d_valid.all() and person.depth_valid.all() and person.camera == CAMERA
        np.testing.assert_allclose(person.joints_2d, track.joints_2d[0], atol=0.006)
        np.testing.assert_allclose(person.joints_3d, (track.joints_3d + track.root_mm)[0], atol=0.06)
    document = json.loads(labels.read_text(encoding="utf-8"))
    assert document["info"]["frame"]["unit"] == "mm" and document["images"][0]["id"] == 12
    found = json.loads(results.read_text(encoding="utf-8"))
    assert [entry["image_id"] for entry in found] == [12, 12] and found[0]["category_id"] == 1
    assert found[0]["score"] == 0.8 and found[0]["keypoints"][2::3] == [1] * 16


def test_the_score_of_coco_is_the_detectors(tmp_path: Path) -> None:
    tracks = (replace(photo(1).tracks[0], scores=np.array([0.6254])), photo(2).tracks[1])
    labels, results = write_formats(photo(tracks=tracks), tmp_path, "a", ["coco"])
    assert [entry["score"] for entry in json.loads(results.read_text(encoding="utf-8"))] == [0.625, 0.8]
    annotations = json.loads(labels.read_text(encoding="utf-8"))["annotations"]
    assert [entry["score"] for entry in annotations] == [0.625, 0.8]


def test_coco_flags_tell_what_is_outside_and_what_is_hidden(tmp_path: Path) -> None:
    legs = [name.endswith(("ankle", "knee")) for name in MPII_16.names]
    track = replace(portrait(0.49, 0.49), confidence=np.where(legs, 0.2, 0.8)[None])
    labels, results = write_formats(photo(tracks=(track,)), tmp_path, "a", ["coco"])
    (label,) = json.loads(labels.read_text(encoding="utf-8"))["annotations"]
    flags = dict(zip(MPII_16.names, label["keypoints"][2::3], strict=True))
    assert {name for name, flag in flags.items() if flag == 0} == {
        f"{side}_{joint}" for side in ("left", "right") for joint in ("ankle", "knee")
    }
    assert {name for name, flag in flags.items() if flag == 1} == {"left_wrist"} and label["num_keypoints"] == 12
    assert label["keypoints"][:3] == [0, 0, 0] and label["score"] == 0.8
    (found,) = json.loads(results.read_text(encoding="utf-8"))
    assert found["keypoints"][:3] == [0, 0, 0] and found["keypoints"][2::3].count(1) == 12
    people, skips = read_labels(labels)
    assert skips == [] and people[0].joints_2d_valid.sum() == 12 and people[0].depth_valid.all()
    # Even chances, and what is not told, change nothing.
    whole = [
        written(tmp_path, photo(tracks=(one,)), "coco").read_bytes() for one in (portrait(0.5, 0.5), portrait(None))
    ]
    assert whole[0] == whole[1]
    # Somebody who is wholly outside is a label without joints.
    gone = replace(portrait(), inside=np.full((1, 16), 0.1))
    (label,) = json.loads(written(tmp_path, photo(tracks=(gone,)), "coco").read_text(encoding="utf-8"))["annotations"]
    assert label["num_keypoints"] == 0 and label["keypoints"] == [0] * 48 and label["score"] == 0


def test_coco17_is_what_coco_calls_it(tmp_path: Path) -> None:
    recording = photo()
    recording = replace(recording, tracks=(hide(recording.tracks[0], "left_knee"), recording.tracks[1]))
    labels, results = write_formats(recording, tmp_path, "a", ["coco"], COCO_17)
    document = json.loads(labels.read_text(encoding="utf-8"))
    (category,) = document["categories"]
    assert category["keypoints"] == COCO_NAMES and category["skeleton"] == [list(line) for line in COCO_LINES]
    first = document["annotations"][0]
    flags = dict(zip(COCO_NAMES, first["keypoints"][2::3], strict=True))
    assert {name for name, flag in flags.items() if flag == 0} == {*COCO_NAMES[:5], "left_knee"}
    assert first["num_keypoints"] == 11 and first["keypoints"][:3] == [0, 0, 0]
    assert first["keypoint_scores"][:5] == [0] * 5
    assert json.loads(results.read_text(encoding="utf-8"))[0]["keypoints"][2::3].count(1) == 11
    people, skips = read_labels(labels)
    assert skips == [] and not people[0].joints_2d_valid[MPII_16.index("left_knee")]
    assert people[1].joints_2d_valid[[MPII_16.index("pelvis"), MPII_16.index("thorax")]].all()  # made up by the reader


@quick
@given(seed=seeds)
def test_coco_of_anything_can_be_read(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    recording = random_recording(seed)
    out = tmp_path_factory.mktemp("coco")
    labels, results = write_formats(recording, out, "a", ["coco"], MPII_16)
    document = json.loads(labels.read_text(encoding="utf-8"))
    found = json.loads(results.read_text(encoding="utf-8"))
    poses = sum(map(len, recording.tracks))
    assert len(document["images"]) == len(recording.times_s) and len(found) == poses == len(document["annotations"])
    assert {entry["image_id"] for entry in found} <= {image["id"] for image in document["images"]}
    assert sum(map(len, boxes_of(labels, document).values())) == poses
    for skip in read_labels(labels)[1]:  # random joints lie anywhere, but nothing is misunderstood
        assert skip.reason in ("joint outside the photo, left out", "no joint labelled") or "do not fit" in skip.reason
        assert "camera" not in skip.reason and "keypoints_3d" not in skip.reason


def test_keypoints_3d_only_where_they_are_camera_space(tmp_path: Path) -> None:
    turned = replace(photo().tracks[0], root_mm=np.array([[0.0, 1500.0, 4000.0]]))
    for changes in ({"tracks": (turned,)}, {"camera": None, "camera_from": ""}):
        document = json.loads(written(tmp_path, photo(**changes), "coco").read_text(encoding="utf-8"))
        assert "camera" not in document["images"][0]
        assert not any("keypoints_3d" in annotation for annotation in document["annotations"])


def test_image_ids() -> None:
    assert image_id(photo()) == 12
    names = ("a.jpg", "b.jpg", "12 .jpg", "9" * 40 + ".jpg", "٣.jpg")
    found = [image_id(photo(source=name)) for name in names]
    assert len(set(found)) == len(names) and all(0 <= value < 2**32 for value in found)
    assert image_id(photo(source="7.mp4", is_clip=True), 3) == 3
