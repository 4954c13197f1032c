"""Measuring: scores of made-up predictions worked out by hand, the predictions file, and the pages of pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from liftwild.camera import bone_lengths, depth_targets, pose_mm
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation import pictures
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.metric_table import METRICS, Metric, Value, head_hits, partly_known, score_all, symmetry
from liftwild.evaluation.predictions import (
    SCHEMA,
    Predictions,
    StorePredictions,
    check_names,
    encode,
    predict_store,
    read_predictions,
)
from liftwild.evaluation.protocols import find_protocol
from liftwild.evaluation.protocols.open import joint_rows, picture_row, space_rows, symmetry_rows
from liftwild.evaluation.report import CARD_MARK, report
from liftwild.evaluation.run import evaluate_stores
from liftwild.evaluation.scored import compare, score, tables_text
from liftwild.skeleton import MPII_16, PELVIS
from liftwild.training.recipe_file import recipe_from_dict
from liftwild.viz.draw import LEFT, RIGHT
from liftwild.weights import load_weights, save_weights
from tests.support.paths import ROOT
from tests.support.poses import STANDING
from tests.support.stores import write_store
from tests.support.training import tiny_recipe

J = len(MPII_16)
FLIP = list(MPII_16.flip_index)
INPUT_PX = 200
PX_PER_MM = 0.1


def joint(name: str) -> int:
    return MPII_16.index(name)


def perfect(people: int = 3, **changes: Any) -> Measured:
    """People seen from very far, by a network without fault."""
    true_3d = STANDING + np.random.default_rng(0).normal(0, 60, (people, J, 3))
    true_2d = 100 + PX_PER_MM * true_3d[..., :2]
    known = np.ones((people, J), dtype=bool)
    depth = np.stack([depth_targets(a, b, c, INPUT_PX)[0] for a, b, c in zip(true_2d, true_3d, known, strict=True)])
    measured = Measured(
        true_2d.copy(), np.full((people, J), 0.8), depth, true_2d, known, true_3d + np.array([0, 0, 5000]),
        known.copy(), INPUT_PX, 4000.0,
    )  # fmt: skip
    return dataclasses.replace(measured, **changes)


def network_mm(measured: Measured) -> tuple[float, float]:
    """MPJPE and PA-MPJPE of the network's row."""
    found = score_all(measured)
    return found["mpjpe_mm"], found["pa_mpjpe_mm"]


# --- The measures ---


def test_a_perfect_prediction() -> None:
    measured = perfect()
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
    true = perfect()
    measured = dataclasses.replace(true, pred_2d=true.pred_2d[:, FLIP], pred_depth=true.pred_depth[:, FLIP])
    row = picture_row("s", measured)
    assert float(row[1].split()[0]) < 50
    assert row[2:4] == ["100.0 (3)", "100.0 (3)"]
    assert min(network_mm(measured)) > 20


def test_turned_and_grown_is_forgiven_by_pa_only() -> None:
    true = perfect()
    c, s = np.cos(0.5), np.sin(0.5)
    turned = (true.pred_2d - 100) @ np.array([[c, s], [-s, c]]) * 0.3 + 60
    measured = dataclasses.replace(true, pred_2d=turned, pred_depth=true.pred_depth * 0.3)
    mpjpe, pa = network_mm(measured)
    assert mpjpe > 100 and pa == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("axis", ["x", "z"])
def test_mirrored_is_not_forgiven(axis: str) -> None:
    true = perfect()
    change = {"pred_2d": true.pred_2d * (-1, 1) + (200, 0)} if axis == "x" else {"pred_depth": -true.pred_depth}
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
    row = symmetry_rows("s", perfect(valid_3d=np.zeros((3, J), dtype=bool)))
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
    true = perfect()
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
    measured = perfect()
    assert score_all(measured)["toy"] == pytest.approx(80) and "80.0 (3)" in picture_row("s", measured)
    store = StorePredictions(
        "s",
        "f" * 64,
        ("x.jpg",) * 3,
        np.arange(3),
        ("",) * 3,
        ("",) * 3,
        np.full(3, np.nan),
        measured.pred_2d,
        measured,
    )
    found = Predictions({"liftwild": "0", "weights": {"name": "net", "sha256": "0" * 64}, "protocol": "open",
                         "flip_test": False, "sum_length_mm": 4000.0, "mean_pose_mm": None}, (store,))  # fmt: skip
    one = score(Path("p.arrow"), found)
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


# --- The predictions file ---


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five people with 3D labels and four without."""
    folder = tmp_path_factory.mktemp("stores")
    return [write_store(folder / "studio.arrow", 5, True), write_store(folder / "wild.arrow", 4, False, seed=1)]


@pytest.fixture(scope="module")
def predictions(stores: list[Path], tiny_weights: Path) -> Predictions:
    """A tiny network's, untrained."""
    net, _ = load_weights(tiny_weights)
    about = {
        "liftwild": "0", "weights": {"name": "tiny", "sha256": "abc"}, "protocol": "open", "flip_test": False,
        "input_px": 64, "sum_length_mm": 4000.0, "bone_length_mm": None, "mean_pose_mm": STANDING.tolist(),
    }  # fmt: skip
    return Predictions(about, tuple(predict_store(net, Store(path), 4000.0, batch_size=2) for path in stores))


def replace_measured(predictions: Predictions, store: StorePredictions, **changes: Any) -> Predictions:
    """One store of the predictions, something of its people changed."""
    changed = dataclasses.replace(store, measured=dataclasses.replace(store.measured, **changes))
    return dataclasses.replace(predictions.of(changed), about=dict(predictions.about))


def test_scores_from_the_file_are_the_scores(predictions: Predictions, tmp_path: Path) -> None:
    path = tmp_path / "p.arrow"
    path.write_bytes(encode(predictions))
    read = read_predictions(path)
    assert read.about == predictions.about
    for one, other in zip(predictions.stores, read.stores, strict=True):
        assert (one.name, one.fingerprint, one.source) == (other.name, other.fingerprint, other.source)
        np.testing.assert_array_equal(one.annotation_id, other.annotation_id)
        np.testing.assert_allclose(one.pred_2d_picture, other.pred_2d_picture, atol=1e-4)
        for field in dataclasses.fields(Measured):
            np.testing.assert_array_equal(getattr(one.measured, field.name), getattr(other.measured, field.name))
    first = predictions.stores[0]
    inside = np.random.default_rng(0).random((5, J), dtype=np.float32)
    told = replace_measured(predictions, first, inside=inside, bone_length_mm=np.arange(14.0))
    told.about["bone_length_mm"] = list(range(14))
    path.write_bytes(encode(told))
    again = read_predictions(path).stores[0].measured
    np.testing.assert_array_equal(again.inside, inside)
    np.testing.assert_array_equal(again.pred_3d, told.stores[0].measured.pred_3d)
    tables = find_protocol("open").tables
    assert tables(read) == tables(predictions)
    for words in ("| studio | mean pose |", "studio (5 people", "| wild | network |", "PCK@0.2-torso by joint, wild"):
        assert words in tables(read)


def test_any_arrow_reader_can_use_the_file(predictions: Predictions, tmp_path: Path) -> None:
    table = pa.ipc.open_file(pa.BufferReader(encode(predictions))).read_all()
    assert table["store"].to_pylist() == ["studio"] * 5 + ["wild"] * 4
    assert table["source"][1].as_py() == "1.png" and table["annotation_id"][1].as_py() == 1
    about = json.loads(table.schema.metadata[b"about"])
    assert about["stores"][1] == {"name": "wild", "people": 4, "fingerprint": predictions.stores[1].fingerprint}
    pose = np.array(table["pred_3d"][0].as_py()).reshape(J, 3)
    assert pose[PELVIS].tolist() == [0, 0, 0]
    assert table.schema.field("pred_2d").metadata[b"is"] == b"x, y in px of the network's input"


def test_joints_in_px_of_the_stored_picture(stores: list[Path], predictions: Predictions) -> None:
    """Where the labels are in the network's input and in the picture, the predictions are too."""
    first, sample = predictions.stores[0], Store(stores[0])[0]
    measured = first.measured
    scale = np.ptp(sample.joints_2d[:, 1]) / np.ptp(measured.true_2d[0, :, 1])
    shift = sample.joints_2d[0] - scale * measured.true_2d[0, 0]
    np.testing.assert_allclose(first.pred_2d_picture[0], scale * measured.pred_2d[0] + shift, atol=1e-3)


def write_arrow(path: Path, content: bytes, metadata: dict[str, Any]) -> Path:
    """``content`` again with other schema metadata."""
    table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    table = table.replace_schema_metadata(
        {**table.schema.metadata, **{key.encode(): value for key, value in metadata.items()}}
    )
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


def test_what_is_no_predictions_file(predictions: Predictions, stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "words").write_text("no predictions")
    content = encode(predictions)
    about = json.loads(pa.ipc.open_file(pa.BufferReader(content)).schema.metadata[b"about"])
    about["stores"][0]["people"] = 4
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    for path, words in (
        (tmp_path / "none", "no predictions"),
        (tmp_path / "words", "is not a predictions file"),
        (tmp_path / "cut", "is not a predictions file"),
        (tmp_path, "is not a predictions file"),
        (stores[0], "is an Arrow file, but not a predictions file"),
        (write_arrow(tmp_path / "new", content, {"liftwild_predictions": "2"}), "of version 2; this liftwild reads 4"),
        (write_arrow(tmp_path / "few", content, {"about": json.dumps(about)}), "does not hold the predictions"),
        (write_arrow(tmp_path / "odd", content, {"about": "{"}), "does not hold the predictions"),
    ):
        with pytest.raises(LiftwildError, match=words) as caught:
            read_predictions(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert len(SCHEMA) == 17


def test_stores_of_one_name() -> None:
    with pytest.raises(LiftwildError, match=r"a/val.arrow and b/val.arrow have one name, val"):
        check_names([Path("a/val.arrow"), Path("c/other.arrow"), Path("b/val.arrow")])


# --- From files to files ---


def test_evaluate_and_report(stores: list[Path], tiny_weights: Path, tmp_path: Path) -> None:
    out, card, folder = tmp_path / "p.arrow", tmp_path / "card.md", tmp_path / "page"
    for _ in range(2):  # what it wrote itself it writes over
        tables = evaluate_stores(str(tiny_weights), stores, out=out, card=card, page=folder, batch_size=3)
    assert card.read_text() == CARD_MARK + tables
    assert "no flip test" in tables and "Weights tiny (sha256 " in tables
    assert report([out], tmp_path / "again.md") == tables == (tmp_path / "again.md").read_text()[len(CARD_MARK) :]
    assert sorted(path.name for path in folder.iterdir()) == ["chosen.jpg", "worst.jpg"]
    flipped = evaluate_stores(str(tiny_weights), stores[1:], flip_test=True)
    assert "with flip test" in flipped and "Poses in space" not in flipped


def test_the_fingerprint_of_weights(stores: list[Path], tiny_weights: Path, tmp_path: Path) -> None:
    """That of the file; of weights in several files, of all of them."""
    net, card = load_weights(tiny_weights)
    shards = save_weights(tmp_path / "cut.safetensors", net, card, shard_mb=0.1)
    assert len(shards) > 1
    for weights, files in ((tiny_weights, [tiny_weights]), (tmp_path / "cut.safetensors", shards)):
        evaluate_stores(str(weights), stores[1:], out=tmp_path / "p.arrow")
        about = read_predictions(tmp_path / "p.arrow").about
        content = b"".join(file.read_bytes() for file in files)
        assert about["weights"] == {"name": weights.stem, "sha256": hashlib.sha256(content).hexdigest()}


def test_nothing_foreign_is_written_over(stores: list[Path], tiny_weights: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    before = stores[0].read_bytes()
    for options, words in (
        ({"out": stores[0]}, "is no predictions file; it is not written over"),
        ({"card": notes}, "was not written by --card"),
        ({"out": tmp_path / "x", "card": tmp_path / "x"}, "are both"),
        ({"out": tmp_path}, "is a folder"),
        ({"page": notes}, "is a file, not a folder"),
        ({"card": tmp_path / "none" / "card.md"}, "no folder"),
    ):
        with pytest.raises(LiftwildError, match=words):
            evaluate_stores(str(tiny_weights), stores, **options)
    assert notes.read_text() == "mine" and stores[0].read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["notes.md"]


# --- Pages of pictures ---


def test_who_is_on_the_pages() -> None:
    assert pictures.choose(500, 0) == pictures.choose(500, 0) == sorted(set(pictures.choose(500, 0)))
    assert len(pictures.choose(500, 0)) == 48 and pictures.choose(500, 0) != pictures.choose(500, 1)
    assert pictures.choose(3, 0) == [0, 1, 2]
    pck = np.array([0.5, np.nan, 0.0, 0.5, 0.2])
    assert pictures.worst(pck, np.array([9, 1, 5, 3, 4])) == [2, 4, 3, 0]
    assert pictures.worst(pck, np.array([9, 1, 5, 3, 4]), most=2) == [2, 4]


def test_a_page_is_small_enough(predictions: Predictions, stores: list[Path], tmp_path: Path) -> None:
    pictures.write_people_page(tmp_path, Store(stores[0]), predictions.stores[0], "tiny")
    for name in ("chosen", "worst"):
        path = tmp_path / f"{name}.jpg"
        assert path.stat().st_size < 1_500_000 and cv2.imread(str(path)).shape[1] == 2400
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert len(pictures.small_jpeg(noise, 30_000)) < 30_000 < len(pictures.small_jpeg(noise))


def test_the_page_shows_prediction_and_labels(stores: list[Path], predictions: Predictions) -> None:
    """The right side orange, the left blue, in the photo and in space; a person without a torso says so."""
    store, own = Store(stores[0]), predictions.stores[0]
    drawn = pictures.draw_people_page(store, own, [0, 1], 2, "title")
    assert drawn.shape[:2] == (pictures.TITLE_PX + pictures.CAPTION_PX + pictures.GAP_PX + 596, 2400)
    for half in (drawn[:, :596], drawn[:, 596:1192]):
        for colour in (RIGHT, LEFT):
            assert (np.abs(half.astype(int) - colour).max(axis=-1) < 40).sum() > 50
    measured = dataclasses.replace(own.measured, valid_2d=np.zeros((5, J), dtype=bool))
    bare = pictures.draw_people_page(store, dataclasses.replace(own, measured=measured), [0, 1], 2, "title")
    assert not np.array_equal(bare, drawn)
