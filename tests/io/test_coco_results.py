"""COCO labels and results: liftwild and COCO's own rules read them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from liftwild.data.readers.coco import read_labels
from liftwild.data.readers.coco_file import boxes_of, read_document
from liftwild.io.coco_results import COCO_LINES, image_id
from liftwild.io.formats import write_formats
from liftwild.skeleton import COCO_17, MPII_16
from tests.support.poses import COCO_17 as COCO_NAMES
from tests.support.recordings import CAMERA, hide, photo, portrait, random_recording, written
from tests.support.strategies import quick, seeds


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
        assert (
            skip.reason in ("joint outside the photo, left out", "no joint labelled", "too few joints labelled")
            or "do not fit" in skip.reason
        )
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
