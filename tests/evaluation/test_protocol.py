"""What all protocols have in common: parts as one whole, counts, switches."""

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
from liftwild.evaluation.protocols import find_protocol
from liftwild.evaluation.protocols.h36m import PEOPLE, action
from liftwild.evaluation.protocols.mpi_inf_3dhp import SCENES, scene
from liftwild.losses import geometric_loss
from liftwild.skeleton import PELVIS, RATIO_GROUPS, SCALE_BONES, SYMMETRIC_BONES
from tests.support.predictions import SEQUENCES, J, joint, perfect, predictions


def scores(measured: Measured, protocol: str, *args: Any, **switches: str) -> dict[str, dict[str, float]]:
    """What the protocol makes of these people."""
    rules = find_protocol(protocol)
    return rules.scores(predictions(measured, protocol, *args), rules.chosen(switches))


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
