"""The reader of the open label format: what it makes of labels, and what it says of bad ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwild.data.coco import Person, Skip, boxes_of, read_labels
from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16
from tests.data_fixtures import (
    CAMERA,
    COCO_17,
    HEIGHT,
    LSP_14,
    WIDTH,
    J,
    annotation,
    annotation_3d,
    camera_field,
    keypoints,
    labels,
    pose,
    write_labels,
)

PELVIS, THORAX, NECK, HEAD = (MPII_16.index(name) for name in ("pelvis", "thorax", "upper_neck", "head_top"))
Read = Callable[[Any], tuple[list[Person], list[Skip]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads labels given as what JSON holds."""
    return lambda content: read_labels(write_labels(tmp_path / "labels.json", content))


def one_skip(read: Read, content: Any) -> Skip:
    """The single skip of labels that hold nobody usable."""
    people, skips = read(content)
    assert people == [] and len(skips) == 1
    return skips[0]


# --- joint sets ---


def spread(count: int) -> np.ndarray:
    """``count`` joints (count, 2), each somewhere else."""
    return np.random.default_rng(count).uniform(20, 220, (count, 2)).round(1)


@pytest.mark.parametrize(
    "names",
    [
        LSP_14,
        COCO_17,
        list(MPII_16.names),
        list(MPII_16.names)[::-1],
        [name.upper().replace("_", " ") for name in LSP_14],
        [f" {name.title().replace('_', '-')} " for name in COCO_17],
    ],
    ids=["lsp", "coco", "mpii", "mpii reversed", "upper case", "dashes"],
)
def test_joints_are_mapped_by_name(read: Read, names: list[str]) -> None:
    joints = spread(len(names))
    people, skips = read(labels([annotation(keypoints=keypoints(joints))], names))
    assert skips == [] and len(people) == 1
    (person,) = people
    plain = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in names]
    there = {"upper_neck" if name == "neck" else name: joints[i] for i, name in enumerate(plain)}
    made_up = {"pelvis": ("right_hip", "left_hip"), "thorax": ("right_shoulder", "left_shoulder")}
    for j, name in enumerate(MPII_16.names):
        if name in there:
            assert person.joints_2d_valid[j] and np.array_equal(person.joints_2d[j], there[name]), name
        elif name in made_up:
            a, b = made_up[name]
            assert person.joints_2d_valid[j] and np.allclose(person.joints_2d[j], (there[a] + there[b]) / 2), name
        else:  # COCO has neither a neck nor a head top
            assert j in (NECK, HEAD) and not person.joints_2d_valid[j] and np.all(person.joints_2d[j] == 0)
    assert person.joints_2d.shape == (J, 2) and person.joints_2d.dtype == np.float64
    assert not person.depth_valid.any() and person.camera is None


def test_a_joint_set_with_a_pelvis_does_not_get_one_made_up(read: Read) -> None:
    seen = [2] * J
    seen[PELVIS] = seen[THORAX] = 0
    people, _ = read(labels([annotation(keypoints=keypoints(spread(J), seen))]))
    assert list(np.flatnonzero(~people[0].joints_2d_valid)) == [PELVIS, THORAX]


def test_a_made_up_joint_needs_both_ends(read: Read) -> None:
    seen = [2] * 14
    seen[LSP_14.index("left_hip")] = 0
    people, _ = read(labels([annotation(keypoints=keypoints(spread(14), seen))], LSP_14))
    assert not people[0].joints_2d_valid[PELVIS] and people[0].joints_2d_valid[THORAX]


def test_made_up_joints_in_space(read: Read) -> None:
    joints = pose(3)
    order = [MPII_16.index({"neck": "upper_neck"}.get(name, name)) for name in LSP_14]
    flat = joints[order].ravel().tolist()
    flat[3 * LSP_14.index("right_shoulder")] = None
    entry = annotation(keypoints=keypoints(CAMERA.project(joints[order])), keypoints_3d=flat)
    people, skips = read(labels([entry], LSP_14, camera=camera_field()))
    assert skips == []
    (person,) = people
    shoulder = MPII_16.index("right_shoulder")
    assert list(np.flatnonzero(~person.depth_valid)) == [THORAX, shoulder]
    assert person.joints_2d_valid.all() and np.all(person.joints_3d[[THORAX, shoulder]] == 0)
    middle = (joints[MPII_16.index("right_hip")] + joints[MPII_16.index("left_hip")]) / 2
    assert np.allclose(person.joints_3d[PELVIS], middle)
    assert np.allclose(person.joints_3d[HEAD], joints[HEAD])


# --- people, photos, what is skipped ---


def test_several_people_in_several_photos(read: Read) -> None:
    entries = [annotation(7, 2), annotation(3, 1), annotation(9, 2, category_id=2, keypoints=[30, 40, 2, 35, 90, 1])]
    content = labels(entries, files=["a.png", "sub/b.png"])
    content["categories"].append({"id": 2, "name": "hands", "keypoints": ["left_wrist", "left_elbow"]})
    people, skips = read(content)
    assert skips == []
    assert [(p.file_name, p.annotation_id) for p in people] == [("sub/b.png", 7), ("a.png", 3), ("sub/b.png", 9)]
    assert [int(p.joints_2d_valid.sum()) for p in people] == [J, J, 2]
    assert people[0].photo_size == (WIDTH, HEIGHT)
    assert np.allclose(people[0].joints_2d, CAMERA.project(pose(7)))


def test_what_cannot_be_used_is_counted_with_file_and_reason(read: Read) -> None:
    entries = [
        annotation(1, iscrowd=1),
        annotation(2, iscrowd=True, keypoints=[]),
        annotation(3, keypoints=[]),
        annotation(4, keypoints=None),
        {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]},
        annotation(6, keypoints=[0] * 48),
        annotation(7, image_id=99),
        annotation(8, category_id=99),
        annotation(9, category_id=2),
        annotation(10),
    ]
    content = labels(entries)
    content["categories"].append({"id": 2, "name": "car"})
    people, skips = read(content)
    assert [p.annotation_id for p in people] == [10]
    assert Counter(skip.reason for skip in skips) == {
        "crowd": 2,
        "no keypoints": 4,
        "no joint labelled": 1,
        "no such image_id": 1,
        "no such category_id": 1,
    }
    assert [skip.annotation_id for skip in skips] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert str(skips[0]) == "a.png, annotation 1: crowd"
    assert str(skips[7]) == "a.png, annotation 8: no such category_id (99)"
    assert str(skips[6]).endswith("labels.json, annotation 7: no such image_id (99)")


def nine_wrong(values: list[float], at: int, value: Any) -> list[Any]:
    """``values`` with ``value`` at ``at``."""
    return [*values[:at], value, *values[at + 1 :]]


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0, float("nan"), "keypoints holds something that is no number (nan)"),
        (1, float("inf"), "keypoints holds something that is no number (inf)"),
        (1, -float("inf"), "keypoints holds something that is no number (-inf)"),
        (4, "12.5", "keypoints holds something that is no number (12.5)"),
        (4, True, "keypoints holds something that is no number (True)"),
        (4, [1], "keypoints holds something that is no number ([1])"),
        (4, None, "keypoints holds something that is no number (null for a labelled joint)"),
        (4, 10**400, "keypoints holds something that is no number (1"),
        (2, 3, "keypoint visibility is not 0, 1 or 2"),
        (2, 0.97, "keypoint visibility is not 0, 1 or 2"),
        (2, -1, "keypoint visibility is not 0, 1 or 2"),
        (2, None, "keypoint visibility is not 0, 1 or 2"),
    ],
)
def test_bad_numbers_in_keypoints(read: Read, at: int, value: Any, says: str) -> None:
    entry = annotation(5)
    entry["keypoints"] = nine_wrong(entry["keypoints"], at, value)
    assert str(one_skip(read, labels([entry]))).startswith(f"a.png, annotation 5: {says}")


@pytest.mark.parametrize("count", [1, 47, 51, 32])
def test_a_wrong_count(read: Read, count: int) -> None:
    skip = one_skip(read, labels([annotation(keypoints=[30.0] * count)]))
    assert str(skip) == f"a.png, annotation 1: wrong count in keypoints ({count} numbers for 16 joints)"


def test_keypoints_that_are_no_list(read: Read) -> None:
    for value in ("x" * 48, {"left_knee": [1, 2, 2]}, 48):
        skip = one_skip(read, labels([annotation(keypoints=value)]))
        assert skip.reason == "wrong count in keypoints" and "no list" in skip.detail


def test_null_where_nothing_is_labelled(read: Read) -> None:
    entry = annotation()
    entry["keypoints"][3:6] = [None, None, 0]
    people, skips = read(labels([entry]))
    assert skips == [] and list(np.flatnonzero(~people[0].joints_2d_valid)) == [1]


def test_a_joint_outside_its_photo_is_left_out_and_counted(read: Read) -> None:
    entry = annotation(4)
    knee, wrist, hip = (MPII_16.index(name) for name in ("right_knee", "left_wrist", "left_hip"))
    entry["keypoints"][3 * knee] = WIDTH + 1.5
    entry["keypoints"][3 * wrist + 1] = -40
    entry["keypoints"][3 * hip : 3 * hip + 3] = [5000, 5000, 0]  # not labelled, so nothing to say
    people, skips = read(labels([entry]))
    assert list(np.flatnonzero(~people[0].joints_2d_valid)) == sorted([knee, wrist, hip])
    assert [str(skip) for skip in skips] == [
        "a.png, annotation 4: joint outside the photo, left out (right_knee)",
        "a.png, annotation 4: joint outside the photo, left out (left_wrist)",
    ]
    low, high = people[0].box[1], people[0].box[1] + people[0].box[3]
    assert low >= 0 and high <= HEIGHT  # the box is made from the others
    entry["keypoints"][3 * knee] = WIDTH + 0.9  # on the border, rounded
    entry["keypoints"][3 * wrist + 1] = -0.9
    people, skips = read(labels([entry]))
    assert skips == [] and people[0].joints_2d_valid.sum() == J - 1


def test_a_hip_outside_makes_no_pelvis(read: Read) -> None:
    joints = spread(14)
    joints[LSP_14.index("left_hip")] = (-50, 20)
    people, skips = read(labels([annotation(keypoints=keypoints(joints))], LSP_14))
    assert not people[0].joints_2d_valid[PELVIS] and [skip.detail for skip in skips] == ["left_hip"]


def test_everything_outside_is_nobody(read: Read) -> None:
    assert one_skip(read, labels([annotation(keypoints=[900.0, 900.0, 2] * J)])).reason == "no joint labelled"


def test_joints_that_mpii_lacks_do_not_make_a_person(read: Read) -> None:
    seen = [2] * 5 + [0] * 12
    skip = one_skip(read, labels([annotation(keypoints=keypoints(spread(17), seen))], COCO_17))
    assert skip.reason == "no joint labelled that MPII-16 has"


# --- bbox ---


@pytest.mark.parametrize("bbox", ["missing", None, [], [0, 0, 0, 0], [7, 8, 0, 50], [7, 8, 0.1, 0.2]])
def test_a_missing_bbox_is_made_from_the_joints(read: Read, bbox: Any) -> None:
    entry = annotation() if bbox == "missing" else annotation(bbox=bbox)
    entry["keypoints"][2] = 0
    people, skips = read(labels([entry]))
    joints = CAMERA.project(pose(1))[1:]
    low, high = joints.min(axis=0), joints.max(axis=0)
    assert skips == [] and np.allclose(people[0].box, [*low, *(high - low)])


def test_a_bbox_is_taken_as_it_is(read: Read) -> None:
    people, _ = read(labels([annotation(bbox=[60, -12.5, 150, 260])]))
    assert people[0].box == (60.0, -12.5, 150.0, 260.0)


@pytest.mark.parametrize(
    "bbox",
    [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, float("nan"), 4], [1, 2, "3", 4], "1,2,3,4", {"x": 1}, [1, 2, -30, 40], 7],
)
def test_a_bad_bbox(read: Read, bbox: Any) -> None:
    assert one_skip(read, labels([annotation(bbox=bbox)])).reason.startswith("bbox ")


def test_a_bbox_of_someone_else(read: Read) -> None:
    skip = one_skip(read, labels([annotation(bbox=[290, 200, 20, 30])]))
    assert skip.reason == "bbox and keypoints do not fit"


def test_one_joint_and_no_bbox(read: Read) -> None:
    seen = [2] + [0] * 15
    skip = one_skip(read, labels([annotation(keypoints=keypoints(spread(J), seen))]))
    assert skip.reason == "no bbox and too few joints to make one"


# --- 3D and camera ---


def test_3d_joints_and_camera(read: Read) -> None:
    people, skips = read(labels([annotation_3d(5), annotation(6)], camera=camera_field()))
    assert skips == []
    three, two = people
    assert three.camera == two.camera == CAMERA
    assert three.depth_valid.all() and np.array_equal(three.joints_3d, pose(5))
    assert not two.depth_valid.any() and np.all(two.joints_3d == 0)
    people, skips = read(labels([annotation_3d(5)]))
    assert skips == [] and people[0].camera is None and people[0].depth_valid.all()


def test_3d_joints_that_are_not_known(read: Read) -> None:
    entry = annotation_3d()
    flat: list[Any] = entry["keypoints_3d"]
    flat[0:3] = [None, None, None]
    flat[5] = None
    flat[6:9] = [0, 0, 0]
    people, skips = read(labels([entry], camera=camera_field()))
    assert skips == [] and list(np.flatnonzero(~people[0].depth_valid)) == [0, 1, 2]
    assert people[0].joints_2d_valid.all() and np.all(people[0].joints_3d[:3] == 0)
    people, _ = read(labels([annotation_3d(keypoints_3d=None)], camera=camera_field()))
    assert not people[0].depth_valid.any()


def test_an_unseen_joint_may_be_known_in_space(read: Read) -> None:
    entry = annotation_3d()
    entry["keypoints"][0:3] = [0, 0, 0]
    people, _ = read(labels([entry], camera=camera_field()))
    assert people[0].depth_valid.all() and not people[0].joints_2d_valid[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda flat: flat[:-1], "wrong count in keypoints_3d"),
        (lambda flat: "no", "wrong count in keypoints_3d"),
        (lambda flat: nine_wrong(flat, 4, float("nan")), "keypoints_3d holds something that is no number"),
        (lambda flat: nine_wrong(flat, 4, "1"), "keypoints_3d holds something that is no number"),
        (lambda flat: nine_wrong(flat, 2, -5.0), "keypoints_3d behind the camera"),
        (lambda flat: (np.array(flat) - [0, 0, 4000] * J).tolist(), "keypoints_3d behind the camera"),
        (lambda flat: (np.array(flat) / 1000).tolist(), "keypoints_3d are not in mm"),
        (lambda flat: (np.array(flat) * 1e6).tolist(), "keypoints_3d are not in mm"),
    ],
    ids=["count", "no list", "nan", "string", "behind", "root-relative", "metres", "micrometres"],
)
def test_bad_3d_joints(read: Read, change: Callable[[list[float]], Any], reason: str) -> None:
    entry = annotation_3d(8)
    entry["keypoints_3d"] = change(entry["keypoints_3d"])
    skip = one_skip(read, labels([entry], camera=camera_field()))
    assert (skip.file_name, skip.annotation_id, skip.reason) == ("a.png", 8, reason)


@pytest.mark.parametrize(
    "camera",
    [
        {**camera_field(), "fx": 1000},
        {**camera_field(), "cx": 0.0},
        {**camera_field(), "cy": CAMERA.cx, "cx": CAMERA.cy + 40},
    ],
)
def test_a_camera_that_disagrees_with_the_keypoints(read: Read, camera: dict[str, float]) -> None:
    skip = one_skip(read, labels([annotation_3d()], camera=camera))
    assert skip.reason == "camera and keypoints_3d do not fit the keypoints" and "off by" in skip.detail


@pytest.mark.parametrize(
    "camera",
    [{}, {"fx": 1, "fy": 1, "cx": 1}, [1, 2, 3, 4], "no", {**camera_field(), "fx": None}]
    + [{**camera_field(), "fx": value} for value in (0, -3, float("nan"), float("inf"), 10**400)],
)
def test_a_bad_camera(read: Read, camera: Any) -> None:
    assert one_skip(read, labels([annotation()], camera=camera)).reason.startswith("camera ")


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
    fails(lambda _: read_labels(path), None, "cannot read labels")
    path.mkdir()
    fails(lambda _: read_labels(path), None, "cannot read labels")


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
    assert Counter(skip.reason for skip in skips) == {"no keypoints": 1, "no bbox and too few joints to make one": 1}


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
