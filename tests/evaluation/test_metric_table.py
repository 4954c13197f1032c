"""Scores of made-up predictions, worked out by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from liftwild.camera import bone_lengths, pose_mm
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.metric_table import METRICS, Metric, Value, head_hits, partly_known, score_all, symmetry
from liftwild.evaluation.protocols.open import joint_rows, picture_row, space_rows, symmetry_rows
from liftwild.evaluation.scored import compare, score, tables_text
from liftwild.skeleton import MPII_16, PELVIS
from liftwild.training.recipe_file import recipe_from_dict
from tests.support.paths import ROOT
from tests.support.poses import STANDING, J
from tests.support.predictions import INPUT_PX, joint, perfect, predictions
from tests.support.training import tiny_recipe

FLIP = list(MPII_16.flip_index)


def network_mm(measured: Measured) -> tuple[float, float]:
    """MPJPE and PA-MPJPE of the network's row."""
    found = score_all(measured)
    return found["mpjpe_mm"], found["pa_mpjpe_mm"]


def test_a_perfect_prediction() -> None:
    measured = perfect(3)
    assert picture_row("s", measured) == ["s", "100.0 (3)", "100.0 (3)", "0.0 (3)", "100.0 (3)", "0"]
    assert network_mm(measured) == pytest.approx((0, 0), abs=1e-3)
    rows = {row[1]: row[2:] for row in space_rows("s", measured, measured.true_3d[0])}
    assert rows["network"] == rows["network depth, true 2D"] == rows["true depth, predicted 2D"]
    assert rows["network"] == ["0.0 (3)", "0.0 (3)"] != rows["flat depth, true 2D"] != rows["mean pose"]
    # The same bones, at the size of the labels and at that of the training people.
    network, labels = symmetry_rows("s", perfect(1))
    percent = [[cell.split()[2] for cell in row[2:]] for row in (network, labels)]
    assert percent[0] == percent[1]


def test_left_for_right() -> None:
    true = perfect(3)
    measured = dataclasses.replace(true, pred_2d=true.pred_2d[:, FLIP], pred_depth=true.pred_depth[:, FLIP])
    row = picture_row("s", measured)
    assert float(row[1].split()[0]) < 50
    assert row[2:4] == ["100.0 (3)", "100.0 (3)"]
    assert min(network_mm(measured)) > 20


def test_turned_and_grown_is_forgiven_by_pa_only() -> None:
    true = perfect(3)
    c, s = np.cos(0.5), np.sin(0.5)
    turned = (true.pred_2d - INPUT_PX / 2) @ np.array([[c, s], [-s, c]]) * 0.3 + 60
    measured = dataclasses.replace(true, pred_2d=turned, pred_depth=true.pred_depth * 0.3)
    mpjpe, pa = network_mm(measured)
    assert mpjpe > 100 and pa == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("axis", ["x", "z"])
def test_mirrored_is_not_forgiven(axis: str) -> None:
    true = perfect(3)
    change = {"pred_2d": true.pred_2d * (-1, 1) + (INPUT_PX, 0)} if axis == "x" else {"pred_depth": -true.pred_depth}
    assert min(network_mm(dataclasses.replace(true, **change))) > 20


def test_joints_by_hand() -> None:
    measured = perfect(4)
    for person, name in ((0, "left_knee"), (1, "left_knee"), (2, "right_knee"), (0, "head_top"), (0, "pelvis")):
        measured.pred_2d[person, joint(name)] += 1000
    measured.valid_2d[3, joint("left_knee")] = False
    measured.valid_2d[:, [joint("left_wrist"), joint("left_ankle"), joint("right_ankle")]] = False
    rows = {name: cells for name, *cells in joint_rows(measured)}
    assert rows["knee"] == ["33.3 (3)", "75.0 (4)", "54.2 (4)"]
    assert rows["wrist"] == ["- (0)", "100.0 (4)", "100.0 (4)"]
    assert rows["ankle"] == ["- (0)", "- (0)", "- (0)"]
    assert rows["head_top"] == ["", "", "75.0 (4)"]
    assert not {"pelvis", "thorax"} & set(rows)
    assert score_all(measured)["pck_torso"] == pytest.approx(100 * (4 * 14 - 13 - 4) / (4 * 14 - 13))


def test_heads_and_torsos_that_are_not_labelled() -> None:
    measured = perfect(4)
    measured.valid_2d[0, joint("upper_neck")] = False
    measured.valid_2d[1, joint("head_top")] = False
    measured.valid_2d[1, [joint("left_shoulder"), joint("right_shoulder")]] = False
    for joints in (measured.true_2d, measured.pred_2d):
        joints[2, joint("head_top")] = joints[2, joint("upper_neck")]
    assert picture_row("s", measured)[1:] == ["100.0 (3)", "100.0 (3)", "0.0 (4)", "100.0 (1)", "3"]
    head = np.linalg.norm(measured.true_2d[3, joint("upper_neck")] - measured.true_2d[3, joint("head_top")])
    measured.pred_2d[3, joint("left_wrist")] += (0, 0.499 * head)
    assert head_hits(measured).pooled() == 1
    measured.pred_2d[3, joint("left_wrist")] += (0, 0.002 * head)
    assert head_hits(measured).pooled() == pytest.approx(13 / 14)


def test_symmetry_by_hand() -> None:
    pose = STANDING.copy()
    pose[joint("left_wrist")] = pose[joint("left_elbow")] + (0, 300, 0)
    pose[joint("right_wrist")] = pose[joint("right_elbow")] + (0, 200, 0)
    valid = np.ones((3, J), dtype=bool)
    valid[2, joint("left_knee")] = False
    other = STANDING.copy()
    for side in ("left", "right"):
        other[joint(f"{side}_wrist")] = other[joint(f"{side}_elbow")] + (0, 250, 0)
    scores = symmetry(np.stack([pose, other, pose * 9]), valid)
    assert scores["people"] == 2
    assert scores["lower arm mm"] == pytest.approx(50) and scores["lower arm %"] == pytest.approx(20)
    assert scores["upper leg mm"] == scores["upper leg %"] == 0
    assert scores["mean mm"] == pytest.approx(12.5) and scores["mean %"] == pytest.approx(5)
    assert symmetry(STANDING[None], valid[2:]) == {}
    row = symmetry_rows("s", dataclasses.replace(perfect(3), valid_3d=np.zeros((3, J), dtype=bool)))
    assert [cells[1] for cells in row] == ["network"]


def test_errors_in_space_are_over_the_same_people() -> None:
    measured = perfect(5)
    measured.valid_3d[0] = False
    measured.valid_3d[1, PELVIS] = False
    measured.valid_2d[2, 4:] = False  # no thorax in the picture
    rows = partly_known(measured, STANDING).values()
    assert {METRICS["mpjpe_mm"].function(row).people for row in rows} == {2} and len(rows) == 6
    measured.valid_3d[:] = False
    assert (
        partly_known(measured) == {} and "mpjpe_mm" not in score_all(measured) and space_rows("s", measured, None) == []
    )


def test_joints_outside_the_photo_do_not_decide_the_scale() -> None:
    """As in ``predict``; what is scaled to the labels does not change."""
    true = perfect(3)
    bones = bone_lengths(true.true_3d).mean(axis=0)
    inside = np.ones((3, J))
    inside[:, [joint("left_ankle"), joint("right_ankle")]] = 0.4
    told = dataclasses.replace(true, bone_length_mm=bones, inside=inside, sum_length_mm=float(bones.sum()))
    pose, scale = pose_mm(true.pred_2d, true.pred_depth, INPUT_PX, float(bones.sum()), PELVIS, bones, inside >= 0.5)
    assert np.array_equal(told.pred_3d, pose) and np.array_equal(told.mm_per_unit, scale)
    untold = dataclasses.replace(told, inside=None)
    assert not np.allclose(untold.pred_3d, pose)
    one, other = score_all(told), score_all(untold)
    assert one.pop("symmetry_mm") != other.pop("symmetry_mm") and one == pytest.approx(other, abs=1e-9)
    both = Measured.joined([told, told])
    assert len(both) == 6 and np.array_equal(both.pred_3d[3:], pose) and both.depth_spread is None


def test_a_metric_is_a_function_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in tables of one store and of several, in logs, and may be the best of a recipe."""

    def confidence(measured: Measured) -> Value:
        return Value(100 * float(measured.confidence.mean()), len(measured))

    monkeypatch.setitem(METRICS, "toy", Metric("toy", "mean confidence", "%", False, confidence))
    measured = perfect(3)
    assert score_all(measured)["toy"] == pytest.approx(80) and "80.0 (3)" in picture_row("s", measured)
    one = score(Path("p.arrow"), predictions(measured, "open"))
    assert "| mean confidence, % |" in tables_text([one])
    (table,) = compare([one])
    assert table.rows[0][1]["mean confidence, %"].value == pytest.approx(80)
    recipe = tiny_recipe("three.arrow", "two.arrow", best="val:toy")
    recipe["stores"]["val"] = {"path": "val.arrow", "use": "val"}
    assert recipe_from_dict(recipe).best == "val:toy"
    assert METRICS["toy"].is_better(1, 2) and not METRICS["toy"].is_better(3, 2) and METRICS["toy"].is_better(3, None)
    assert not METRICS["toy"].is_better(float("nan"), None) and METRICS["pckh"].is_better(3, 2)


def test_every_metric_is_explained() -> None:
    page = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    assert all(f"| {metric.column} |" in page for metric in METRICS.values())
