"""Metrics of 2D joints, and of left and right, against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from liftwild.evaluation import metrics
from liftwild.skeleton import MPII_16, PELVIS, SYMMETRIC_BONES
from tests.support.poses import JOINT, J, off_by

# --- PCK in 2D ---


def test_pckh_counts_the_threshold_itself() -> None:
    target = np.zeros((2, 3, 2))
    pred = np.array([[[0, 20.0], [12, 16], [0, 20.01]]] * 2)  # 20, 20, 20.01 px off
    np.testing.assert_array_equal(metrics.pckh(pred, target, np.array([40.0, 39.9])), [2 / 3, 0])
    np.testing.assert_array_equal(metrics.pckh(pred, target, np.array([20.0, 19.9]), threshold=1.0), [2 / 3, 0])
    valid = np.array([[True, False, True]] * 2)
    np.testing.assert_array_equal(metrics.pckh(pred, target, np.array([40.0, 50.0]), valid), [0.5, 1])


def test_pckh_head_size() -> None:
    joints = np.zeros((2, J, 2))
    np.testing.assert_array_equal(metrics.pckh(joints, joints, np.array([30.0, np.nan])), [1, np.nan])
    for wrong in (np.array([30.0, 0.0]), np.array([30.0, -1.0]), np.array([30.0]), np.float64(30.0)):
        with pytest.raises(ValueError, match="head_size_px"):
            metrics.pckh(joints, joints, wrong)


def torso(left_right: float, right_left: float) -> np.ndarray:
    """Joints (1, 16, 2) with these two diagonals, left shoulder to right hip first."""
    joints = np.zeros((1, J, 2))
    joints[0, JOINT["right_hip"]] = (0, left_right)
    joints[0, JOINT["left_hip"]] = (right_left, 0)
    return joints


def test_torso_size_and_its_fallback() -> None:
    joints = torso(100, 60)
    valid = np.ones((1, J), dtype=bool)
    np.testing.assert_array_equal(metrics.torso_size(joints), [100])
    for name in ("right_shoulder", "left_hip"):  # the other diagonal does not matter
        one = valid.copy()
        one[0, JOINT[name]] = False
        np.testing.assert_array_equal(metrics.torso_size(joints, one), [100])
    for name in ("left_shoulder", "right_hip"):
        one = valid.copy()
        one[0, JOINT[name]] = False
        np.testing.assert_array_equal(metrics.torso_size(joints, one), [60])
    for names in (["left_shoulder", "right_shoulder"], ["left_shoulder", "left_hip"], ["left_hip", "right_hip"]):
        none = valid.copy()
        none[0, [JOINT[name] for name in names]] = False
        assert np.isnan(metrics.torso_size(joints, none)).all()
    assert np.isnan(metrics.torso_size(torso(0, 60))).all()


def test_pck_torso_counts_the_threshold_itself() -> None:
    target = torso(100, 60)
    pred = target.copy()
    pred[0, JOINT["head_top"]] += (20, 0)
    pred[0, JOINT["left_wrist"]] += (20.01, 0)
    np.testing.assert_allclose(metrics.pck_torso(pred, target), [15 / 16])
    valid = np.ones((1, J), dtype=bool)
    valid[0, JOINT["left_shoulder"]] = False  # threshold 12 px now
    np.testing.assert_allclose(metrics.pck_torso(pred, target, valid), [13 / 15])
    np.testing.assert_allclose(metrics.pck_torso(pred, target, threshold=0.1), [14 / 16])


def test_pck_torso_measures_the_target_not_the_prediction() -> None:
    pred, target = torso(1000, 1000), torso(100, 100)
    np.testing.assert_allclose(metrics.pck_torso(pred, target), [14 / 16])


def test_pck_torso_without_a_torso_is_nan() -> None:
    target = np.repeat(torso(100, 60), 2, axis=0)
    valid = np.ones((2, J), dtype=bool)
    valid[1, [JOINT["left_shoulder"], JOINT["left_hip"]]] = False
    np.testing.assert_array_equal(metrics.pck_torso(target, target, valid), [1, np.nan])


def test_joint_hits_pooled_and_per_joint() -> None:
    target = np.zeros((3, 2, 2))
    pred = np.array([[[1.0, 0], [9, 0]], [[1, 0], [1, 0]], [[9, 0], [9, 0]]])
    valid = np.array([[True, True], [True, False], [True, True]])
    hits = metrics.joint_hits(pred, target, valid, limit=np.array([5.0, 5.0, np.nan]))
    assert hits.hits.dtype == hits.counted.dtype == bool
    np.testing.assert_array_equal(hits.hits, [[True, False], [True, False], [False, False]])
    np.testing.assert_array_equal(hits.counted, [[True, True], [True, False], [False, False]])
    np.testing.assert_array_equal(hits.per_sample(), [0.5, 1, np.nan])
    np.testing.assert_array_equal(hits.per_joint(), [1, 0])
    assert hits.pooled() == pytest.approx(2 / 3)  # not the mean over samples, 3/4
    nothing = metrics.joint_hits(pred, target, valid & False, limit=5.0)
    assert np.isnan(nothing.pooled()) and np.isnan(nothing.per_joint()).all()


def test_joint_hits_limit() -> None:
    pred, target = off_by(5)
    assert not metrics.joint_hits(pred, target, limit=5.0).hits.any()
    assert metrics.joint_hits(pred, target, limit=5.0, inclusive=True).hits.all()
    with pytest.raises(ValueError, match="limit"):
        metrics.joint_hits(pred, target, limit=np.ones(2))


# --- Left and right ---


def test_bone_symmetry_by_hand() -> None:
    joints = np.zeros((1, J, 3))
    joints[0, JOINT["left_wrist"]] = (0, 3, 4)  # left lower arm 5, right 0
    joints[0, JOINT["right_knee"]] = (2, 0, 0)  # right upper and lower leg 2, left 0
    symmetry = metrics.bone_symmetry(joints)
    assert list(symmetry) == list(SYMMETRIC_BONES)
    assert {name: value.tolist() for name, value in symmetry.items()} == {
        "upper arm": [0],
        "lower arm": [5],
        "upper leg": [2],
        "lower leg": [2],
    }


@pytest.mark.parametrize(
    ("missing", "bones"),
    [
        ("left_elbow", {"upper arm", "lower arm"}),
        ("right_wrist", {"lower arm"}),
        ("right_hip", {"upper leg"}),
        ("left_ankle", {"lower leg"}),
        ("head_top", set()),
    ],
)
def test_bone_symmetry_is_nan_where_an_end_is_missing(missing: str, bones: set[str], pose: np.ndarray) -> None:
    valid = np.ones((4, J), dtype=bool)
    valid[1, JOINT[missing]] = False
    symmetry = metrics.bone_symmetry(pose, valid)
    for name, values in symmetry.items():
        np.testing.assert_array_equal(np.isnan(values), [False, name in bones, False, False])


@pytest.mark.parametrize("dims", [2, 3])
def test_left_right_swapped(dims: int, pose: np.ndarray) -> None:
    target = pose[..., :dims]
    swapped = target[:, list(MPII_16.flip_index)]
    np.testing.assert_array_equal(metrics.left_right_swapped(target, target), [False] * 4)
    np.testing.assert_array_equal(metrics.left_right_swapped(swapped, target), [True] * 4)
    mixed = np.where(np.array([True, False, True, False])[:, None, None], swapped, target)
    np.testing.assert_array_equal(metrics.left_right_swapped(mixed, target), [True, False, True, False])


def test_left_right_swapped_goes_by_the_total_over_whole_pairs(pose: np.ndarray) -> None:
    target = pose.copy()
    pred = pose[:, list(MPII_16.flip_index)]
    pred[:, PELVIS] += 1e5  # neither left nor right
    np.testing.assert_array_equal(metrics.left_right_swapped(pred, target), [True] * 4)
    # Every left joint unlabelled: no pair is whole, nothing can be said.
    valid = np.array([not name.startswith("left") for name in MPII_16.names])
    valid = np.broadcast_to(valid, (4, J))
    np.testing.assert_array_equal(metrics.left_right_swapped(pred, target, valid), [False] * 4)
    # Only the wrists are exchanged: the rest outweighs them.
    wrists = pose.copy()
    wrists[:, [JOINT["left_wrist"], JOINT["right_wrist"]]] = pose[:, [JOINT["right_wrist"], JOINT["left_wrist"]]]
    np.testing.assert_array_equal(metrics.left_right_swapped(wrists, target), [False] * 4)
    # ... but are wrong by themselves.
    valid = np.zeros((4, J), dtype=bool)
    valid[:, [JOINT["left_wrist"], JOINT["right_wrist"]]] = True
    np.testing.assert_array_equal(metrics.left_right_swapped(wrists, target, valid), [True] * 4)


def test_left_right_swapped_is_false_on_a_tie() -> None:
    joints = np.zeros((1, J, 2))
    assert not metrics.left_right_swapped(joints, joints + 1).any()


def test_nothing_valid_is_nan_in_2d(pose: np.ndarray) -> None:
    joints, valid = pose[..., :2], np.zeros((4, J), dtype=bool)
    assert np.isnan(metrics.pckh(joints, joints, np.ones(4), valid)).all()
    assert np.isnan(metrics.pck_torso(joints, joints, valid)).all()
    assert all(np.isnan(values).all() for values in metrics.bone_symmetry(joints, valid).values())


def test_what_an_invalid_joint_holds_does_not_matter_in_2d(pose: np.ndarray) -> None:
    target = pose[..., :2]
    pred = target + np.random.default_rng(2).normal(scale=80.0, size=target.shape)
    valid = np.random.default_rng(3).random((4, J)) < 0.7
    spoilt_pred, spoilt = (np.where(valid[..., None], array, np.nan) for array in (pred, target))
    heads = np.full(4, 200.0)
    for one, two in (
        (metrics.pckh(pred, target, heads, valid), metrics.pckh(spoilt_pred, spoilt, heads, valid)),
        (metrics.pck_torso(pred, target, valid), metrics.pck_torso(spoilt_pred, spoilt, valid)),
        (metrics.left_right_swapped(pred, target, valid), metrics.left_right_swapped(spoilt_pred, spoilt, valid)),
    ):
        np.testing.assert_array_equal(one, two)
    scaled = metrics.scale_to_bone_sum(*(np.where(valid[..., None], pose, np.nan),) * 2, valid, root=0)
    np.testing.assert_allclose(
        scaled[valid[:, 0]], (np.where(valid[..., None], pose, np.nan) - pose[:, :1])[valid[:, 0]], atol=1e-9
    )


def test_shapes_that_do_not_fit_in_2d(pose: np.ndarray) -> None:
    with pytest.raises(ValueError, match="joints must have shape"):
        metrics.pckh(pose, pose, np.ones(4))
    with pytest.raises(ValueError, match="joints must have shape"):
        metrics.pck_torso(pose, pose)
    few = pose[:, :14, :2]
    for metric in (metrics.pck_torso, metrics.left_right_swapped):
        with pytest.raises(ValueError, match="16 joints"):
            metric(few, few)
    for measure in (metrics.torso_size, metrics.bone_symmetry):
        with pytest.raises(ValueError, match="16 joints"):
            measure(few)
