"""Boxes that somebody else knows: which photo or frame an entry of labels or of a detector's results belongs to."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwild.data.external_boxes import ExternalBoxes
from liftwild.errors import LiftwildError
from liftwild.io.formats import write_formats
from liftwild.pose import PoseTrack, Recording
from tests.support.label_files import labels
from tests.support.recordings import photo

BOX, OTHER = (1.0, 2.0, 30.5, 40.0), (5.0, 6.0, 7.0, 8.0)


def result(image_id: Any = 12, **change: Any) -> dict[str, Any]:
    """A result as detectors write it; a change to None takes the entry out."""
    entry = {"image_id": image_id, "category_id": 1, "bbox": list(BOX), "score": 0.9, **change}
    return {key: value for key, value in entry.items() if value is not None}


def given(tmp_path: Path, content: Any, photo_ids: Any = None, **more: Any) -> ExternalBoxes:
    """What is read of a file that holds ``content``."""
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    if photo_ids is not None:
        (tmp_path / "ids.json").write_text(json.dumps(photo_ids))
        more["photo_ids"] = tmp_path / "ids.json"
    return ExternalBoxes.read(tmp_path / "boxes.json", **more)


@pytest.mark.parametrize(
    ("entry", "mine", "others"),
    [
        (result(397133), ["000000397133.jpg", "sub/397133.png", "COCO_val2014_000000397133.jpg"],
         ["1397133.jpg", "im_397133.jpg", "397133_1.jpg"]),
        (result("000012"), ["12.jpg", "0012.webp"], ["112.jpg"]),
        (result(12.0), ["000012.jpg"], ["12a.jpg"]),
        (result(zlib.crc32(b"me.jpg")), ["me.jpg", "sub/me.jpg"], ["me.png"]),
        (result("me"), ["me.jpg", "sub/me.png"], ["you.jpg", "me.x.jpg"]),
        (result("sub/me.jpg"), ["sub/me.jpg"], ["me.jpg", "sub/me.png"]),
        (result(None, file_name="me.jpg"), ["me.jpg"], ["me.png"]),
        (result(12, file_name="me.jpg"), ["me.jpg"], ["000012.jpg"]),
    ],
    ids=["number", "text of digits", "a float", "CRC-32", "stem", "path", "file_name", "file_name first"],
)  # fmt: skip
def test_a_result_belongs_to_the_photo_it_calls(
    tmp_path: Path, entry: dict[str, Any], mine: list[str], others: list[str]
) -> None:
    boxes = given(tmp_path, [entry])
    assert [list(boxes.of(tmp_path / name)) for name in mine] == [[(1, BOX)]] * len(mine)
    assert [list(boxes.of(tmp_path / name)) for name in others] == [[]] * len(others)


def test_labels_say_which_photo_an_id_is(tmp_path: Path) -> None:
    ids = labels([], files=["a.png", "sub/b.png", "3.png"])
    ids["categories"] = [{"id": 1, "name": "dog"}, {"id": 7, "name": "Person"}]
    found = [result(2, category_id=7), result(1, category_id=7, bbox=list(OTHER)), result(1), result("3")]
    boxes = given(tmp_path, found, ids)
    assert list(boxes.of(tmp_path / "sub" / "b.png")) == [(1, BOX)]
    assert list(boxes.of(tmp_path / "a.png")) == [(2, OTHER)]  # the dogs are left out
    assert not boxes.of(tmp_path / "2.png") and not boxes.of(tmp_path / "3.png")
    with pytest.raises(LiftwildError, match=r"result 1 is of image_id 9, which .*ids\.json does not have$"):
        given(tmp_path, [result(9, category_id=7)], ids)
    with pytest.raises(
        LiftwildError, match=r"holds labels, which name their photos themselves: no need of .*ids\.json"
    ):
        given(tmp_path, ids, ids)


def test_only_people_that_are_sure_enough(tmp_path: Path) -> None:
    found = [result(score=0.29), result(score=0.3, bbox=list(OTHER)), result(category_id=18), result(score=None)]
    assert list(given(tmp_path, found).of(Path("12.jpg"))) == [(2, OTHER), (4, BOX)]
    assert [key for key, _ in given(tmp_path, found, least_score=0.0).of(Path("12.jpg"))] == [1, 2, 4]
    # Of one category alone, its number does not matter: detectors of people count from 0.
    assert list(given(tmp_path, [result(category_id=0)]).of(Path("12.jpg"))) == [(1, BOX)]
    assert list(given(tmp_path, [result(category_id=None)]).of(Path("12.jpg"))) == [(1, BOX)]
    joints = [1.0, 2.0, 1, 31.5, 42.0, 1, 0, 0, 0]
    assert list(given(tmp_path, [result(bbox=None, keypoints=joints)]).of(Path("12.jpg"))) == [(1, BOX)]


def test_other_things_than_people_in_labels(tmp_path: Path) -> None:
    content = labels(
        [{"id": 4, "image_id": 1, "category_id": kind, "bbox": list(BOX)} for kind in (1,)], files=["a.png"]
    )
    content["annotations"].append({"id": 5, "image_id": 1, "category_id": 18, "bbox": list(OTHER)})
    content["categories"] = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
    assert list(given(tmp_path, content).of(tmp_path / "a.png")) == [(4, BOX)]
    content["categories"] = [{"id": 1, "name": "skier"}, {"id": 18, "name": "goalkeeper"}]
    assert len(given(tmp_path, content).of(tmp_path / "a.png")) == 2  # who knows


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"info": {}}, r"neither COCO labels \(it has no list 'images'\) nor COCO results \(it is no bare list\)"),
        (7, "neither COCO labels"),
        ([7], "entry 1 is no COCO result: it has no image_id"),
        ([result(), {"bbox": [1, 2, 3, 4]}], "entry 2 is no COCO result"),
        ([result(), result(bbox=[1, 2, 3])], "result 2: bbox is not four numbers"),
        ([result(bbox=[1, 2, -3, 4])], "result 1: bbox has a size below 0"),
        ([result(score="high")], "result 1: its score is no number: 'high'"),
        ([result(score=float("nan"))], "result 1: its score is no number"),
        ([result(True)], "result 1 has no usable image_id: True"),
        ([result(1.5)], "result 1 has no usable image_id"),
        ([result(category_id=0), result(category_id=16)], "categories 0, 16, none of them 1, which are people in COCO"),
        ([result(bbox=None, segmentation=[[1, 2]])], "none of its results has a bbox"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(LiftwildError, match=says) as error:
        given(tmp_path, content)
    assert str(tmp_path / "boxes.json") in str(error.value) and "\n" not in str(error.value)


def test_boxes_of_no_photo_at_all_are_a_mistake(tmp_path: Path) -> None:
    photos = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    given(tmp_path, [result("b")]).check(photos, "x.json")
    given(tmp_path, []).check(photos, "x.json")  # a detector that found nobody
    given(tmp_path, labels([], files=["b.jpg"])).check(photos, "x.json")  # known to be empty
    given(tmp_path, [result()]).check([], "x.json")
    with pytest.raises(
        LiftwildError, match=r"^x\.json knows none of the photos: it has image_id 12, not 'a\.jpg'; --pho"
    ):
        given(tmp_path, [result()]).check(photos, "x.json")
    with pytest.raises(LiftwildError, match=r"it has 'sub/c\.jpg', not 'a\.jpg'$"):
        given(tmp_path, labels([], files=["sub/c.jpg"])).check(photos, "x.json")


def test_our_own_files_are_given_back(tmp_path: Path) -> None:
    recording = replace(photo(), source="a photo.jpg")
    for path in write_formats(recording, tmp_path, "a", ["coco"]):
        boxes = ExternalBoxes.read(path, least_score=0.0)
        found = boxes.of(tmp_path / "a photo.jpg")
        assert [box for _, box in found] == [pytest.approx(track.boxes[0], abs=0.006) for track in recording.tracks]
        assert not boxes.of(tmp_path / "another.jpg")


def test_our_own_files_of_a_clip(tmp_path: Path) -> None:
    poses = [track.pose(0) for track in photo(3).tracks]
    tracks = (PoseTrack.of_poses(4, [0, 2], poses[:2]), PoseTrack.of_poses(6, [2], poses[2:]))
    recording = Recording("a clip.mp4", 640, 480, np.arange(4) / 25, tracks, is_clip=True)
    for path in write_formats(recording, tmp_path, "a", ["coco"]):
        boxes = ExternalBoxes.read(path, least_score=0.0)
        for frame in range(len(recording.times_s)):
            found = [box for _, box in boxes.of_frame(recording.source, frame, tmp_path / recording.source)]
            here = [track.boxes[list(track.frames).index(frame)] for track in recording.tracks if frame in track.frames]
            assert found == [pytest.approx(box, abs=0.006) for box in here]


def test_frames_that_are_files_go_by_their_names_first(tmp_path: Path) -> None:
    boxes = given(tmp_path, [result("img_7"), result(0, bbox=list(OTHER)), result(3, bbox=list(OTHER))])
    assert list(boxes.of_frame("frames", 0, tmp_path / "frames" / "img_7.png")) == [(1, BOX)]
    assert list(boxes.of_frame("frames", 3, tmp_path / "frames" / "img_10.png")) == [(3, OTHER)]
    assert not boxes.of_frame("frames", 1, tmp_path / "frames" / "img_8.png")
    first = given(tmp_path, labels([{"id": 4, "image_id": 1, "category_id": 1, "bbox": list(BOX)}], files=["clip.mp4"]))
    assert list(first.of_frame("clip.mp4", 0, tmp_path / "clip.mp4")) == [(4, BOX)]
    assert not first.of_frame("clip.mp4", 1)


def test_of_several_names_the_longest_counts(tmp_path: Path) -> None:
    boxes = ExternalBoxes(
        {"im1.jpg": [(1, BOX)], "sub/im1.jpg": [(2, BOX)], "a\\b\\im2.jpg": [(3, BOX)], "./im3": [(4, BOX)]}
    )
    for path, key in (("im1.jpg", 1), ("x/im1.jpg", 1), ("sub/im1.jpg", 2), ("a/b/im2.jpg", 3), ("q/im3.png", 4)):
        assert [number for number, _ in boxes.of(tmp_path / path)] == [key]
    assert not boxes.of(tmp_path / "b" / "im2.jpg") and not boxes.of(tmp_path / "im4.jpg")


def test_a_result_has_its_score_and_a_label_has_none(tmp_path: Path) -> None:
    boxes = given(tmp_path, [result(score=0.75), result(score=0.4), result(score=1.5)])
    assert [boxes.score_of(key) for key, _ in boxes.of(Path("12.jpg"))] == [0.75, 0.4, 1.0]
    assert boxes.score_of(None) is None and boxes.score_of(9) is None
    unscored = {key: value for key, value in result().items() if key != "score"}
    assert given(tmp_path, [unscored]).score_of(1) is None


def test_the_fingerprint_tells_boxes_apart(tmp_path: Path) -> None:
    one, same, moved, other = (
        given(tmp_path, [entry]) for entry in (result(), result(), result(bbox=list(OTHER)), result(13))
    )
    assert one.fingerprint == same.fingerprint != moved.fingerprint != other.fingerprint != one.fingerprint
