"""COCO keypoints: joint sets, people and photos, boxes, 3D joints and cameras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from liftwild.skeleton import MPII_16
from tests.support.label_files import (
    CAMERA,
    HEAD,
    HEIGHT,
    NECK,
    PELVIS,
    THORAX,
    WIDTH,
    Read,
    annotation,
    annotation_3d,
    camera_field,
    keypoints,
    labels,
    one_skip,
)
from tests.support.poses import COCO_17, LSP_14, J, pose

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
    content["categories"].append({"id": 2, "name": "People", "keypoints": ["left_wrist", "left_elbow"]})
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
        (0, float("nan"), "keypoints holds something that is no number (null or NaN for a labelled joint)"),
        (1, float("inf"), "keypoints holds something that is no number (inf)"),
        (1, -float("inf"), "keypoints holds something that is no number (-inf)"),
        (4, "12.5", "keypoints holds something that is no number ('12.5')"),
        (4, True, "keypoints holds something that is no number (True)"),
        (4, [1], "keypoints holds something that is no number ([1])"),
        (4, None, "keypoints holds something that is no number (null or NaN for a labelled joint)"),
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
    assert skip.reason == "too few joints labelled"
    at_one_place = keypoints(np.full((J, 2), 50.0), [2, 2] + [0] * 14)
    skip = one_skip(read, labels([annotation(keypoints=at_one_place, bbox=None)]))
    assert skip.reason == "no bbox and too few joints to make one"


def test_one_joint_is_no_person(read: Read) -> None:
    """A category for each joint, as RectLabel writes."""
    content = labels([annotation(keypoints=[30, 40, 2], bbox=[30, 40, 1, 1])], ["left_wrist"])
    assert one_skip(read, content).reason == "too few joints labelled"


def test_a_dog_with_the_joints_of_a_person(read: Read) -> None:
    content = labels([annotation(1), annotation(2, category_id=2)])
    content["categories"].append({**content["categories"][0], "id": 2, "name": "dog"})
    people, skips = read(content)
    assert [person.annotation_id for person in people] == [1]
    assert [str(skip) for skip in skips] == ["a.png, annotation 2: not a person (category dog)"]
    content["categories"][0]["name"] = "player"  # where none is called person, all with their joints are people
    assert [person.annotation_id for person in read(content)[0]] == [1, 2]


def test_what_is_not_labelled_may_be_nan(read: Read) -> None:
    """As FiftyOne writes it."""
    entry = annotation(5)
    entry["keypoints"][:3] = [float("nan"), float("nan"), 0]
    people, skips = read(labels([entry]))
    assert skips == [] and people[0].joints_2d_valid.tolist() == [False] + [True] * 15


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
