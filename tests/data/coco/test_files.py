"""COCO files as a whole: what is wrong with them, what labelling tools write, boxes alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwild.data.readers.coco import read_labels
from liftwild.data.readers.coco_file import boxes_of
from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16
from tests.support.label_files import CAMERA, HEAD, HEIGHT, WIDTH, Read, annotation, keypoints, labels, write_labels
from tests.support.poses import J, pose

# --- what is wrong with the file as a whole ---


def fails(read: Callable[[Any], Any], content: Any, says: str) -> None:
    """Reading ``content`` is one clear error that names the file."""
    with pytest.raises(LiftwildError) as caught:
        read(content)
    line = str(caught.value)
    assert says in line and "labels.json" in line and "\n" not in line


@pytest.mark.parametrize(
    ("table", "key", "says"),
    [
        ("images", 1, "id 1 is used twice in 'images'"),
        ("annotations", 1, "id 1 is used twice in 'annotations'"),
        ("categories", 1, "id 1 is used twice in 'categories'"),
        ("images", 1.0, "id 1 is used twice in 'images'"),
        ("annotations", "1", "id 1 is used twice in 'annotations'"),
        ("images", True, "an entry of 'images' has no usable id: True"),
        ("annotations", 1.5, "an entry of 'annotations' has no usable id: 1.5"),
        ("annotations", None, "an entry of 'annotations' has no usable id: None"),
        ("categories", [1], "an entry of 'categories' has no usable id: [1]"),
        ("images", float("nan"), "an entry of 'images' has no usable id: nan"),
        ("annotations", "one", "annotation id 'one' is not a whole number"),
        ("annotations", 2**63, "is not a whole number of 64 bits"),
    ],
)
def test_ids(read: Read, table: str, key: Any, says: str) -> None:
    content = labels([annotation()])
    content[table].append({**content[table][0], "id": key})
    fails(read, content, says)


def test_unknown_and_repeated_joint_names(read: Read) -> None:
    names = list(MPII_16.names)
    fails(read, labels([annotation()], [*names[:3], "left_flipper", *names[4:]]), "unknown joint name 'left_flipper'")
    fails(read, labels([annotation()], [*names[:8], "thorax", *names[9:]]), "named twice")
    fails(read, labels([annotation()], [*names[:8], "Top of head", *names[9:]]), "named twice")
    for bad in ("left_knee", {"left_knee": 1}, [1, 2, 3]):
        content = labels([annotation()])
        content["categories"][0]["keypoints"] = bad
        fails(read, content, "must be a list of joint names")


def test_animals_beside_people_are_skipped(read: Read) -> None:
    content = labels([annotation(1), annotation(2, category_id=2, keypoints=[1, 2, 2, 50, 60, 2])])
    content["categories"].append({"id": 2, "name": "dog", "keypoints": ["nose", "tail"]})
    people, skips = read(content)
    assert [person.annotation_id for person in people] == [1]
    assert str(skips[0]).startswith("a.png, annotation 2: not the joints of a person (unknown joint name 'tail'; known")


def test_not_coco(read: Read, tmp_path: Path) -> None:
    for content in ([], 3, None, "x", {}, {"images": {}, "categories": [], "annotations": []}):
        fails(read, content, "is not COCO JSON: it has no list 'images'")
    for table in ("images", "categories", "annotations"):
        for value in (None, {}, [1], "x"):
            fails(read, {**labels([annotation()]), table: value}, f"it has no list '{table}'")
    path = tmp_path / "labels.json"
    for broken in (b"", b"{", b"\xff\xfe\x00", b"person,1,2,3", b"[" * 100_000, b'{"images": [' + b"1" * 5000 + b"]}"):
        path.write_bytes(broken)
        fails(lambda _: read_labels(path), None, "is not JSON")
    path.unlink()
    fails(lambda _: read_labels(path), None, "no such file")
    path.mkdir()
    fails(lambda _: read_labels(path), None, "cannot be read")


@pytest.mark.parametrize("name", ["missing", None, "", 7, ["a.png"], "a\ud800.png"])
def test_a_photo_without_a_usable_name(read: Read, name: Any) -> None:
    content = labels([annotation()])
    content["images"][0].pop("file_name")
    if name != "missing":
        content["images"][0]["file_name"] = name
    fails(read, content, "image 1 has no usable file_name")


def test_an_empty_file_of_labels_holds_nobody(read: Read) -> None:
    assert read(labels([])) == ([], [])


# --- what labelling tools write ---


def test_cvat(read: Read) -> None:
    """COCO Keypoints 1.0 of CVAT: each joint is a category too, tracks without points, 0 x 0 for unknown photos."""
    about = {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
    joints = CAMERA.project(pose(1)).round(2)
    content = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        "categories": [
            {"id": 1, "name": "person", "supercategory": "", "keypoints": list(MPII_16.names), "skeleton": [[1, 2]]},
            *(
                {"id": 2 + j, "name": name, "supercategory": "person", "keypoints": [], "skeleton": []}
                for j, name in enumerate(MPII_16.names)
            ),
        ],
        "images": [
            {"id": 1, "width": WIDTH, "height": HEIGHT, "file_name": "sub/a.png", **about},
            {"id": 2, "width": 0, "height": 0, "file_name": "b.png", **about},
        ],
        "annotations": [
            {
                "id": 1, "image_id": 1, "category_id": 1, "segmentation": [], "area": 3624.4992, "iscrowd": 0,
                "bbox": [100.0, 20.0, 120.0, 200.0], "attributes": {"occluded": False, "track_id": 0, "keyframe": True},
                "keypoints": keypoints(joints, [2, 1, 0] + [2] * 13), "num_keypoints": 15,
            },
            {
                "id": 2, "image_id": 2, "category_id": 1, "segmentation": [], "area": 0, "iscrowd": 0,
                "bbox": [0, 0, 0, 0], "attributes": {"occluded": False}, "keypoints": [], "num_keypoints": 0,
            },
            {
                "id": 3, "image_id": 2, "category_id": 1, "segmentation": [], "area": 12.5, "iscrowd": 0,
                "bbox": [100.0, 20.0, 120.0, 200.0], "attributes": {}, "keypoints": keypoints(joints),
                "num_keypoints": 16, "score": 1.0,
            },
        ],
    }  # fmt: skip
    people, skips = read(content)
    assert [(p.file_name, p.photo_size, p.joints_2d_valid.sum()) for p in people] == [
        ("sub/a.png", (WIDTH, HEIGHT), 15),
        ("b.png", None, 16),
    ]
    assert np.allclose(people[1].joints_2d, joints) and not people[0].joints_2d_valid[2]
    assert [str(skip) for skip in skips] == ["b.png, annotation 2: no keypoints"]


def test_label_studio(read: Read) -> None:
    """Ids from 0 on, boxes as annotations of their own, a box without width, a task labelled by two people."""
    joints = CAMERA.project(pose(1)).round().astype(int)
    point = [0] * (3 * J)
    point[3 * HEAD : 3 * HEAD + 3] = [100, 40, 2]
    content = {
        "images": [
            {"width": WIDTH, "height": HEIGHT, "id": 0, "file_name": "images/1c2d-a.png"},
            {"width": WIDTH, "height": HEIGHT, "id": 1, "file_name": "images/1c2d-a.png"},
            {"width": None, "height": None, "id": 2, "file_name": "..\\..\\media\\upload\\4\\1c2d-b.png"},
        ],
        "categories": [
            {"id": 0, "name": "box"},
            {
                "id": 1,
                "name": "default",
                "supercategory": "default",
                "keypoints": list(MPII_16.names),
                "skeleton": [],
            },
        ],
        "annotations": [
            {
                "id": 0, "image_id": 0, "category_id": 0, "segmentation": [], "bbox": [90.5, 20.0, 120.0, 200.0],
                "ignore": 0, "iscrowd": 0, "area": 24000.0,
            },
            *(
                {
                    "id": 1 + i, "image_id": i, "category_id": 1, "keypoints": keypoints(joints),
                    "num_keypoints": J, "bbox": [0, 0, 0, 0], "iscrowd": 0,
                }
                for i in range(3)
            ),
            {
                "id": 4, "image_id": 0, "category_id": 1, "keypoints": point, "num_keypoints": 1,
                "bbox": [100, 40, 0, 0], "iscrowd": 0,
            },
        ],
        "info": {"year": 2025, "version": "1.0", "description": "", "contributor": "Label Studio"},
    }  # fmt: skip
    people, skips = read(content)
    assert [p.annotation_id for p in people] == [1, 2, 3]
    assert [p.file_name for p in people][::2] == ["images/1c2d-a.png", "..\\..\\media\\upload\\4\\1c2d-b.png"]
    assert Counter(skip.reason for skip in skips) == {"no keypoints": 1, "too few joints labelled": 1}


def test_numbers_as_other_tools_write_them(tmp_path: Path) -> None:
    """Ids and sizes as floats or strings (pandas, JavaScript), a byte-order mark, iscrowd missing or false."""
    content = labels([annotation(id=1.0, category_id=1.0)], id=1.0, width=float(WIDTH), height=str(HEIGHT))
    content["annotations"][0].update(iscrowd=False, image_id="1")
    content["categories"][0]["id"] = "1"
    path = tmp_path / "labels.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    people, skips = read_labels(path)
    assert skips == [] and people[0].annotation_id == 1 and people[0].photo_size == (WIDTH, HEIGHT)
    content = labels([annotation(category_id="person")], id="frame-7")
    content["categories"][0]["id"] = "person"
    content["annotations"][0]["image_id"] = "frame-7"
    del content["annotations"][0]["iscrowd"]
    people, skips = read_labels(write_labels(path, content))
    assert skips == [] and people[0].file_name == "a.png"


# --- boxes alone ---


def test_read_boxes(tmp_path: Path) -> None:
    joints = keypoints(np.array([[10.0, 20.0], [50.0, 100.0], [7.0, 7.0]]), [2, 1, 0])
    content = labels(
        [
            {"id": 4, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30.5, 40]},
            {"id": 5, "image_id": 1, "category_id": 1, "bbox": [9, 9, 9, 9], "iscrowd": 1},
            {"id": 6, "image_id": 2, "category_id": 1, "keypoints": joints},
            {"id": 7, "image_id": 1, "category_id": 8, "bbox": [5.0, 6.0, 7.0, 8.0], "keypoints": [1, 2]},
            {"id": 8, "image_id": 1, "category_id": 1, "bbox": [0, 0, 0, 0], "keypoints": []},
        ],
        files=["a.png", "sub/b.png", "c.png"],
    )
    del content["categories"]
    assert boxes_of(tmp_path / "labels.json", content) == {
        "a.png": [(4, (1.0, 2.0, 30.5, 40.0)), (7, (5.0, 6.0, 7.0, 8.0))],
        "sub/b.png": [(6, (10.0, 20.0, 40.0, 80.0))],
        "c.png": [],
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bbox": [1, 2, 3]}, "annotation 4 of a.png: bbox is not four numbers"),
        ({"bbox": [1, 2, float("nan"), 4]}, "annotation 4 of a.png: bbox is not four numbers"),
        ({"bbox": [1, 2, -3, 4]}, "annotation 4 of a.png: bbox has a size below 0"),
        ({"keypoints": [1, 2, 3]}, "annotation 4 of a.png: keypoint visibility"),
        ({"keypoints": [1, 2]}, "annotation 4 of a.png: wrong count in keypoints"),
        ({"image_id": 9}, "annotation 4 names image_id 9, which is not there"),
        ({"id": None}, "an entry of 'annotations' has no usable id"),
    ],
)
def test_read_boxes_says_what_is_wrong(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    content = labels([{"id": 4, "image_id": 1, "category_id": 1, **change}])
    fails(lambda c: boxes_of(tmp_path / "labels.json", c), content, says)
