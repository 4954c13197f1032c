"""The protocols on arrays: perfect predictions, known faults, numbers by hand, counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from liftwild.data.readers import h36m as data_h36m
from liftwild.data.readers import mpi_inf_3dhp as data_3dhp
from liftwild.data.readers import mpii as data_mpii
from liftwild.errors import LiftwildError
from liftwild.evaluation import metrics, paper
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.predictions import StorePredictions
from liftwild.evaluation.protocols import find_protocol, mpii
from liftwild.evaluation.protocols.h36m import PEOPLE, action
from liftwild.evaluation.protocols.mpi_inf_3dhp import MOVED, NECK, SCENES, SHARE, scene
from liftwild.losses import geometric_loss
from liftwild.skeleton import MPII_16, PELVIS, RATIO_GROUPS, SCALE_BONES, SYMMETRIC_BONES, THORAX
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


# --- What all have in common ---


@pytest.mark.parametrize("protocol", ["h36m", "mpi-inf-3dhp", "mpii", "symmetry"])
def test_in_parts_as_in_one(protocol: str) -> None:
    """One by one, in several stores, and in one: the same sums."""
    noise = np.random.default_rng(3)
    true = perfect()
    measured = dataclasses.replace(true, pred_2d=true.pred_2d + noise.normal(0, 9, true.pred_2d.shape))
    group = tuple(paper.TABLE_1_ACTIONS[:3]) if protocol == "h36m" else SEQUENCES
    whole = predictions(measured, protocol, group, 20.0)
    store = whole.stores[0]

    def part(rows: slice) -> StorePredictions:
        own = {
            item.name: None if getattr(measured, item.name) is None else getattr(measured, item.name)[rows]
            for item in dataclasses.fields(Measured)
            if item.name not in ("input_px", "sum_length_mm")
        }
        return dataclasses.replace(
            store, source=store.source[rows], annotation_id=store.annotation_id[rows], subject=store.subject[rows],
            group=store.group[rows], head_size_px=store.head_size_px[rows],
            pred_2d_picture=store.pred_2d_picture[rows], measured=dataclasses.replace(measured, **own),
        )  # fmt: skip

    rules = find_protocol(protocol)
    chosen = rules.chosen({})
    expected = rules.scores(whole, chosen)
    several = dataclasses.replace(whole, stores=(part(slice(0, 1)), part(slice(1, 4)), part(slice(4, 6))))
    for table, row in rules.scores(several, chosen).items():
        assert row == pytest.approx(expected[table])
    if rules.align is not None:
        poses = rules.aligned(whole, chosen)[protocol]
        for i in range(6):
            one = rules.aligned(dataclasses.replace(whole, stores=(part(slice(i, i + 1)),)), chosen)[protocol]
            np.testing.assert_allclose(one.pred[0], poses.pred[i])
            np.testing.assert_array_equal(one.valid[0], poses.valid[i])


def test_the_loss_and_the_measures_agree_on_bones() -> None:
    """A pose whose limbs are as the canonical skeleton's has no geometric loss and no difference of left and right; one
    longer forearm is in both. The loss's limbs are the measure's, and are in the bones that set the scale."""
    limbs = {frozenset(bone) for group in ("arms", "legs") for bone, _ in RATIO_GROUPS[group]}
    assert limbs == {frozenset(bone) for pair in SYMMETRIC_BONES.values() for bone in pair}
    assert {frozenset(bone) for group in RATIO_GROUPS.values() for bone, _ in group} <= set(map(frozenset, SCALE_BONES))
    pose = np.zeros((J, 3))
    placed = {6, 8}
    pose[8] = (0, -500, 0)
    bones = [(bone, length) for group in ("hips", "shoulders", "legs", "arms") for bone, length in RATIO_GROUPS[group]]
    rng = np.random.default_rng(0)
    while bones:
        (a, b), length = bones.pop(0)
        if not {a, b} & placed:
            bones.append(((a, b), length))
            continue
        new, old = (a, b) if b in placed else (b, a)
        way = rng.normal(size=3)
        pose[new] = pose[old] + length * way / np.linalg.norm(way)
        placed.add(new)

    def loss(of: np.ndarray) -> float:
        unit = torch.tensor(of * 1e-3)[None]
        return float(geometric_loss(unit[..., 2], unit[..., :2], torch.ones(1, J, dtype=torch.bool)).mean())

    assert loss(pose) == pytest.approx(0, abs=1e-12)
    assert all(d == pytest.approx(0, abs=1e-9) for d in metrics.bone_symmetry(pose).values())
    elbow, wrist = joint("left_elbow"), joint("left_wrist")
    pose[wrist] = pose[elbow] + (pose[wrist] - pose[elbow]) * 1.2
    assert loss(pose) > 1e-4
    assert metrics.bone_symmetry(pose)["lower arm"] == pytest.approx(0.2 * 249.773)


def test_people_who_cannot_be_placed_are_left_out() -> None:
    true = perfect()
    true.valid_3d[0, PELVIS] = False
    true.true_3d[0, PELVIS] = np.nan
    true.valid_2d[1, PELVIS] = False
    rules = find_protocol("h36m")
    for root, second in (("whole", True), ("depth", False)):  # the second's root has no place in the picture
        poses = rules.aligned(predictions(true, "h36m", ("Walking",)), rules.chosen({"root": root}))["h36m"]
        assert poses.valid.any(1).tolist() == [False, second, True, True, True, True]
    assert scores(true, "h36m", ("Walking",))["table1"]["Average"] == pytest.approx(0, abs=1e-3)
    assert scores(true, "mpi-inf-3dhp", SEQUENCES, hips="none")["table3"]["All PCK"] == 100


# --- Counts and switches ---


def test_readers_and_protocols_speak_of_the_same() -> None:
    assert (data_h36m.PUBLISHED_TEST, data_3dhp.PUBLISHED_TEST, data_mpii.PUBLISHED["val"][0]) == (PEOPLE, 2929, 2958)
    assert {action(name) for name in data_h36m.ACTIONS.values()} == set(paper.TABLE_1_ACTIONS)
    assert {scene(name) for name in data_3dhp.SEQUENCES} == set(SCENES)


def test_counts() -> None:
    for name, people in (("h36m", PEOPLE), ("mpi-inf-3dhp", 2929), ("symmetry", 2929)):
        assert find_protocol(name).check_people([(people - 9, True), (9, True)], any_count=True) == ""
        assert find_protocol(name).check_people([(12, True)], any_count=True) == f"12 people instead of {people:,}"
    assert (
        find_protocol("mpii").check_people([(2958, False)], any_count=True)
        == find_protocol("symmetry").check_people([(2958, False)], any_count=True)
        == ""
    )
    assert find_protocol("symmetry").check_people([(2958, False), (2929, True)], any_count=True) == ""
    assert find_protocol("open").check_people([(7, False), (8, True)], any_count=True) == ""
    with pytest.raises(LiftwildError, match="protocol h36m does not measure people without 3D labels, and there are 5"):
        find_protocol("h36m").check_people([(5, False)], any_count=True)
    assert predictions(perfect(), "mpii").counts == [(6, True)]
    with pytest.raises(LiftwildError, match="protocol mpii: 6 people instead of 2,958; give its whole test set"):
        find_protocol("mpii").check_people([(6, True)], any_count=False)


def test_switches() -> None:
    assert find_protocol("h36m").chosen({"root": "depth"}) == {
        "average": "frames", "root": "depth", "thorax": "network", "head": "0.75"
    }  # fmt: skip
    assert find_protocol("mpi-inf-3dhp").chosen({}) == {"hips": "together"}
    with pytest.raises(LiftwildError, match="protocol mpii has no switch 'root'; it has none"):
        find_protocol("mpii").chosen({"root": "whole"})
    with pytest.raises(LiftwildError, match="switch root is whole or depth, not 'joint'"):
        find_protocol("h36m").chosen({"root": "joint"})
