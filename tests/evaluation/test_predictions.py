"""The predictions file: what is written is read, and all else is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.predictions import (
    SCHEMA,
    Predictions,
    StorePredictions,
    check_names,
    encode,
    read_predictions,
)
from liftwild.evaluation.protocols import find_protocol
from liftwild.skeleton import MPII_16, PELVIS
from tests.support.files import mutated

J = len(MPII_16)


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
        (write_arrow(tmp_path / "odd", content, {"about": "{"}), "the description in .* is not JSON"),
    ):
        with pytest.raises(LiftwildError, match=words) as caught:
            read_predictions(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert len(SCHEMA) == 17


def test_stores_of_one_name() -> None:
    with pytest.raises(LiftwildError, match=r"a/val.arrow and b/val.arrow have one name, val"):
        check_names([Path("a/val.arrow"), Path("c/other.arrow"), Path("b/val.arrow")])


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("protocol", ["open"], "protocol must be text"),
        ("switches", None, "switches must be a table"),
        ("switches", {"a": 5}, "switches.a must be text"),
        ("weights", 5, "weights must be a table"),
        ("weights", {"name": 5, "sha256": "a"}, "weights.name must be text"),
        ("sum_length_mm", "a", "sum_length_mm must be a number"),
        ("sum_length_mm", float("nan"), "sum_length_mm must be a number"),
        ("input_px", 10**12, "input_px must be a whole number"),
        ("mean_pose_mm", [[1, 2], [3]], "mean_pose_mm must be 16 x 3 finite numbers"),
        ("bone_length_mm", [10**400] * 14, "bone_length_mm must be 14 finite numbers"),
        ("flip_test", 1, "flip_test must be true or false"),
        ("stores", "ab", r"stores must be a list"),
        ("stores", [{"name": "studio"}], r"stores\[0\].people is missing"),
    ],
)
def test_what_a_file_says_of_itself(
    predictions: Predictions, tmp_path: Path, key: str, value: object, says: str
) -> None:
    content = encode(predictions)
    about = json.loads(pa.ipc.open_file(pa.BufferReader(content)).schema.metadata[b"about"])
    path = write_arrow(tmp_path / "x.arrow", content, {"about": json.dumps({**about, key: value})})
    with pytest.raises(LiftwildError, match=says) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_file_is_read_as_it_was_or_refused(predictions: Predictions, tmp_path: Path) -> None:
    content, rng, refused, path = encode(predictions), np.random.default_rng(0), 0, tmp_path / "x.arrow"
    for _ in range(100):
        path.write_bytes(mutated(content, rng))
        try:
            measured = read_predictions(path).measured
            np.testing.assert_array_equal(measured.pred_2d, predictions.measured.pred_2d)
            np.testing.assert_array_equal(measured.true_3d, predictions.measured.true_3d)
        except LiftwildError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
    assert 30 < refused < 100
