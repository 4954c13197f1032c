"""The protocols on arrays: perfect predictions, known faults, numbers by hand, counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.evaluation import metrics, paper
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.protocols import find_protocol, mpii
from liftwild.evaluation.protocols.h36m import action
from liftwild.evaluation.protocols.mpi_inf_3dhp import MOVED, NECK, SHARE
from liftwild.skeleton import MPII_16, PELVIS, THORAX
from tests.support.poses import STANDING
from tests.support.predictions import INPUT_PX, PX_PER_MM, SEQUENCES, J, joint, perfect, predictions

FLIP = list(MPII_16.flip_index)


def scores(measured: Measured, protocol: str, *args: Any, **switches: str) -> dict[str, dict[str, float]]:
    """What the protocol makes of these people."""
    rules = find_protocol(protocol)
    return rules.scores(predictions(measured, protocol, *args), rules.chosen(switches))


def pose_of(measured: Measured) -> np.ndarray:
    return measured.pred_3d


def with_pose(true: Measured, pose: np.ndarray) -> Measured:
    """``true`` with another predicted pose (N, J, 3) in mm, as a network would have to give it."""
    return dataclasses.replace(
        true, pred_2d=INPUT_PX / 2 + PX_PER_MM * pose[..., :2], pred_depth=PX_PER_MM * pose[..., 2] / (INPUT_PX / 2)
    )


# --- A perfect prediction, and known faults ---


@pytest.mark.parametrize("root", ["depth", "whole"])
@pytest.mark.parametrize("thorax", ["network", "middle"])
def test_h36m_perfect(root: str, thorax: str) -> None:
    found = scores(perfect(), "h36m", ("Walking", "Sitting"), root=root, thorax=thorax)
    assert found["table1"] == pytest.approx({"Walking": 0, "Sitting": 0, "Average": 0}, abs=1e-3)
    assert found["table2"] == {"PCKh@0.5": 100}


def test_3dhp_perfect() -> None:
    found = scores(perfect(), "mpi-inf-3dhp", SEQUENCES, hips="none")["table3"]
    assert found == pytest.approx(
        {"Studio GS": 100, "Studio no GS": 100, "Outdoor": 100, "All PCK": 100, "AUC": 100 * 30 / 31}
    )


def test_3dhp_a_pose_that_the_authors_rule_returns_scores_0_mm() -> None:
    """Pelvis and hips by one vector, then the scale: whoever inverts that is perfect, at any size."""
    true = perfect()
    pose = true.true_3d - true.true_3d[:, PELVIS : PELVIS + 1]
    # p' = p + 0.2 (neck - pelvis) for pelvis and hips; the pelvis itself gives (neck - pelvis) = (neck - pelvis') / 0.8
    pose[:, MOVED] -= SHARE / (1 - SHARE) * (pose[:, NECK] - pose[:, PELVIS])[:, None]
    moved = with_pose(true, 1.7 * (pose - pose[:, PELVIS : PELVIS + 1]))
    rules = find_protocol("mpi-inf-3dhp")
    aligned = rules.aligned(predictions(moved, "mpi-inf-3dhp", SEQUENCES), rules.chosen({}))["mpi-inf-3dhp"]
    np.testing.assert_allclose(aligned.pred, aligned.true, atol=1e-6)
    assert scores(moved, "mpi-inf-3dhp", SEQUENCES)["table3"]["All PCK"] == 100
    each = rules.aligned(predictions(moved, "mpi-inf-3dhp", SEQUENCES), {"hips": "each"})["mpi-inf-3dhp"]
    assert np.abs(each.pred - each.true).max() > 10


def test_mpii_perfect() -> None:
    found = scores(perfect(), "mpii", (), 20.0)["mpii"]
    assert set(found) == set(paper.MPII_COLUMNS) == {*mpii.COLUMNS, "Mean"} and set(found.values()) == {100}


def test_symmetry_perfect() -> None:
    """The differences are those of the labels, in mm and in px."""
    true = perfect()
    rows = scores(true, "symmetry")
    assert set(rows) == {"table4-mm"}
    truth = {name: d.mean() for name, d in metrics.bone_symmetry(true.true_3d).items()}
    assert rows["table4-mm"] == pytest.approx(truth)
    flat = dataclasses.replace(true, valid_3d=np.zeros_like(true.valid_3d))
    rows = scores(flat, "symmetry")
    # 256 px of input are the crop's px: PX_PER_MM of them are a mm.
    assert set(rows) == {"table4-px"}
    assert rows["table4-px"] == pytest.approx({name: PX_PER_MM * d for name, d in truth.items()}, rel=1e-5)
    half = dataclasses.replace(flat, pred_2d=flat.pred_2d / 2, true_2d=flat.true_2d / 2, input_px=128)
    assert scores(half, "symmetry")["table4-px"] == pytest.approx(rows["table4-px"])


def test_a_known_similarity() -> None:
    """Grown: forgiven, AvgSumLen sets the size. Shifted: forgiven, but for the 10 px, 100 mm in the picture where the
    root's depth alone is aligned. Turned by 90 degrees about the vertical: not forgiven."""
    true = perfect()
    grown = with_pose(true, 3 * (true.true_3d - true.true_3d[:, PELVIS : PELVIS + 1]))
    assert scores(grown, "h36m", ("Walking",))["table1"]["Average"] == pytest.approx(0, abs=1e-3)
    assert scores(grown, "mpi-inf-3dhp", SEQUENCES, hips="none")["table3"]["All PCK"] == 100
    shifted = dataclasses.replace(true, pred_2d=true.pred_2d + np.array([6, 8]), pred_depth=true.pred_depth + 0.3)
    assert scores(shifted, "h36m", ("Walking",))["table1"]["Average"] == pytest.approx(0, abs=1e-3)
    assert scores(shifted, "h36m", ("Walking",), root="depth")["table1"]["Average"] == pytest.approx(100, abs=1e-2)
    pose = true.true_3d - true.true_3d[:, PELVIS : PELVIS + 1]
    turned = pose[..., [2, 1, 0]] * (1, 1, -1)
    expected = np.linalg.norm(turned - pose, axis=-1).mean()
    assert scores(with_pose(true, turned), "h36m", ("Walking",))["table1"]["Average"] == pytest.approx(expected, 1e-5)


def test_mirrored_and_swapped() -> None:
    true = perfect()
    pose = true.true_3d - true.true_3d[:, PELVIS : PELVIS + 1]
    for wrong in (pose * (-1, 1, 1), pose * (1, 1, -1), pose[:, FLIP]):
        error = np.linalg.norm(wrong - pose, axis=-1)
        found = scores(with_pose(true, wrong), "h36m", ("Walking",))["table1"]["Average"]
        assert found == pytest.approx(error.mean(), 1e-5) and found > 10
        table = scores(with_pose(true, wrong), "mpi-inf-3dhp", SEQUENCES, hips="none")["table3"]
        counted = [j for j in range(J) if j not in (PELVIS, THORAX)]
        assert table["All PCK"] == pytest.approx(100 * (error[:, counted] < 150).mean())
        # Neither changes how unlike left and right are.
        assert scores(with_pose(true, wrong), "symmetry") == {
            "table4-mm": pytest.approx(scores(true, "symmetry")["table4-mm"])
        }
    swapped = dataclasses.replace(true, pred_2d=true.pred_2d[:, FLIP])
    distance = np.linalg.norm(true.true_2d[:, FLIP] - true.true_2d, axis=-1)
    found = scores(swapped, "mpii", (), 20.0)["mpii"]
    assert found["Head"] == 100
    own = [joint("left_wrist"), joint("right_wrist")]
    assert found["Wrist"] == pytest.approx(100 * (distance[:, own] <= 10).mean()) and found["Wrist"] < 100


# --- By hand ---


def test_h36m_by_hand() -> None:
    """Two actions of three and one frames: the average is over frames, as the paper's printed ones are."""
    true = perfect(4)
    pose = pose_of(true)
    measured = with_pose(true, pose)
    measured.pred_2d[3] += (16, 0)  # 160 mm at the root's depth, all joints alike
    measured.pred_2d[0] += (0, 3)
    groups = ("Walking", "Walking", "Walking", "Sitting")
    found = scores(measured, "h36m", groups, root="depth")["table1"]
    assert found == pytest.approx({"Walking": 10, "Sitting": 160, "Average": 47.5}, abs=1e-2)
    found = scores(measured, "h36m", groups, root="depth", average="actions")["table1"]
    assert found == pytest.approx({"Walking": 10, "Sitting": 160, "Average": 85}, abs=1e-2)
    middle = scores(measured, "h36m", ("Walking",), thorax="middle")["table1"]
    assert middle["Average"] == pytest.approx(0, abs=1e-3)


def test_the_papers_averages_are_not_the_means_of_its_actions() -> None:
    """Why frames are the default: what is printed differs from the means of the fifteen actions in all four rows."""
    rows = paper.paper_table("table1").rows
    arms = [cells for name, cells in rows if name.startswith("3D")]
    assert len(arms) == 4
    for cells in arms:
        actions = np.mean([cells[name].value for name in paper.TABLE_1_ACTIONS])
        assert abs(actions - cells["Average"].value) > 0.1


def test_h36m_head_is_three_quarters_of_neck_to_head_top() -> None:
    """MPII's convention; the whole length on request. A joint 0.4 of neck-to-top off is a hit of the second alone."""
    true = perfect()
    length = np.linalg.norm(true.true_2d[:, joint("head_top")] - true.true_2d[:, NECK], axis=-1)
    pred = true.pred_2d.copy()
    pred[:, joint("left_wrist"), 0] += 0.4 * length
    off = dataclasses.replace(true, pred_2d=pred)
    assert scores(off, "h36m", ("Walking",))["table2"]["PCKh@0.5"] == pytest.approx(100 * 13 / 14)
    assert scores(off, "h36m", ("Walking",), head="1.0")["table2"] == {"PCKh@0.5": 100}


def test_h36m_thorax_in_the_middle_replaces_the_prediction_alone() -> None:
    """It is compared with the spine as Human3.6M has it: 32 mm from the middle cost 2 mm in the mean of 16 joints."""
    true = perfect()
    assert true.spine_3d is not None
    moved = dataclasses.replace(true, spine_3d=true.spine_3d + np.array([0, 0, 32]))
    found = scores(moved, "h36m", ("Walking",), thorax="middle")["table1"]["Average"]
    assert found == pytest.approx(2, abs=1e-3)
    with pytest.raises(LiftwildError, match="thorax=middle compares with Human3"):
        scores(dataclasses.replace(true, spine_3d=None), "h36m", ("Walking",), thorax="middle")


def test_h36m_thorax_by_hand() -> None:
    """The thorax 160 mm off costs 10 mm in the mean of 16 joints, and nothing where it is made from its neighbours."""
    true = perfect()
    pose = true.true_3d - true.true_3d[:, PELVIS : PELVIS + 1]
    pose[:, THORAX] += (0, 0, 160)  # in none of the bones that set the scale
    for thorax, error in (("network", 10), ("middle", 0)):
        found = scores(with_pose(true, pose), "h36m", ("Walking",), thorax=thorax)["table1"]["Average"]
        assert found == pytest.approx(error, abs=1e-3)


def test_actions_by_their_names() -> None:
    assert [action(name) for name in ("TakingPhoto", "WalkTogether", "SittingDown 1", "walking dog", "Photo")] == [
        "Photo", "WalkPair", "SittingDown", "WalkDog", "Photo"
    ]  # fmt: skip
    assert all(action(name) == name for name in paper.TABLE_1_ACTIONS) and len(paper.TABLE_1_ACTIONS) == 15
    with pytest.raises(LiftwildError, match="no action 'Dancing'"):
        action("Dancing")


def test_3dhp_by_hand_and_its_bounds() -> None:
    """TS1: one of 14 joints is 150 mm off, which is no hit; TS5: 149.9, a hit. Pelvis and thorax do not count."""
    true = perfect(6)
    pose = true.true_3d - true.true_3d[:, PELVIS : PELVIS + 1]
    rules = find_protocol("mpi-inf-3dhp")
    pose[:, THORAX] += 9999
    aligned = rules.aligned(predictions(with_pose(true, pose), "mpi-inf-3dhp", SEQUENCES), {"hips": "none"})
    poses = aligned["mpi-inf-3dhp"]
    poses.pred[:] = poses.true
    poses.pred[0, 0, 0] += 150
    poses.pred[4, 0, 0] += 149.9
    assert poses.valid.sum() == 6 * 14
    exact = poses._replace(pred=np.round(poses.pred - poses.true, 6), true=np.zeros_like(poses.true))
    assert exact.hits(150).pooled() == pytest.approx(83 / 84)
    assert exact.hits(0).pooled() == 0 and exact.hits(5).pooled() == pytest.approx(82 / 84)
    far = with_pose(true, pose)
    far.pred_2d[2:4, joint("head_top")] += (0, -400)
    found = scores(far, "mpi-inf-3dhp", SEQUENCES, hips="none")["table3"]
    assert found["Studio GS"] == found["Outdoor"] == 100 > found["Studio no GS"]
    with pytest.raises(LiftwildError, match="no sequence 'S1'; they are TS1 to TS6"):
        scores(true, "mpi-inf-3dhp", ("S1",))


def test_pelvis_and_hips_are_moved_by_a_fifth() -> None:
    true = perfect()
    rules = find_protocol("mpi-inf-3dhp")
    raw, pred, labels = (
        rules.aligned(predictions(true, "mpi-inf-3dhp", SEQUENCES), {"hips": how})["mpi-inf-3dhp"]
        for how in ("none", "each", "labels")
    )
    neck = raw.pred[:, NECK]
    np.testing.assert_allclose(pred.pred[:, NECK], 0.8 * neck)  # seen from the moved pelvis
    np.testing.assert_allclose(pred.pred[:, 0], raw.pred[:, 0] - 0.2 * neck)
    hip = joint("left_hip")
    np.testing.assert_allclose(pred.pred[:, hip], raw.pred[:, hip] * 0.8)
    np.testing.assert_allclose(pred.true, raw.true)
    np.testing.assert_allclose(labels.true[:, 0], raw.true[:, 0] - 0.2 * raw.true[:, NECK])
    np.testing.assert_allclose(labels.pred, raw.pred)


def test_mpii_by_hand_and_its_bounds() -> None:
    """Half a head size off is a hit, a little more is not; unlabelled joints, pelvis and thorax do not count."""
    true = perfect(2)
    measured = dataclasses.replace(true, true_2d=np.round(true.true_2d), pred_2d=np.round(true.true_2d))
    measured.pred_2d[0, joint("left_wrist")] += (6, 8)
    measured.pred_2d[1, joint("left_wrist")] += (6, 8.01)
    measured.pred_2d[:, [PELVIS, THORAX]] += 99
    measured.valid_2d[0, joint("right_knee")] = False
    measured.pred_2d[0, joint("right_knee")] += 99
    found = scores(measured, "mpii", (), 20.0)["mpii"]
    assert found["Wrist"] == 75 and found["Knee"] == 100 and found["Mean"] == pytest.approx(100 * 26 / 27)
    sizes = predictions(measured, "mpii", (), 20.0)
    sizes.stores[0].head_size_px[1] = np.nan  # nothing of this person counts
    assert find_protocol("mpii").scores(sizes, {})["mpii"]["Mean"] == 100
    with pytest.raises(LiftwildError, match="no head sizes in the predictions"):
        scores(measured, "mpii")


def test_symmetry_by_hand() -> None:
    """A left forearm 100 mm longer than the right one."""
    pose = np.stack([STANDING, STANDING])
    bone = STANDING[joint("left_wrist")] - STANDING[joint("left_elbow")]
    right = np.linalg.norm(STANDING[joint("right_wrist")] - STANDING[joint("right_elbow")])
    pose[1, joint("left_wrist")] = STANDING[joint("left_elbow")] + bone / np.linalg.norm(bone) * (right + 100)
    true = perfect(2)
    labelled = dataclasses.replace(true, true_3d=pose)
    found = scores(with_pose(labelled, pose), "symmetry")["table4-mm"]
    assert found == pytest.approx({"upper arm": 0, "lower arm": 50, "upper leg": 0, "lower leg": 0}, abs=1e-9)
