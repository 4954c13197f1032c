"""Tables of photos: rows in, their poses as columns out."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import liftwild
from liftwild import BatchPredictor
from liftwild.errors import LiftwildError
from liftwild.io.pose_columns import POSE_COLUMNS, pose_schema
from liftwild.pipeline import shared_networks
from liftwild.skeleton import MPII_16
from tests.support.paths import ROOT

PHOTO = ROOT / "examples" / "person.jpg"
BOX = [150.0, 40.0, 220.0, 430.0]


@pytest.fixture
def predictor(tiny_weights: Path) -> BatchPredictor:
    """One that asks no detector."""
    return BatchPredictor(whole=True, weights=str(tiny_weights), runtime="torch", device="cpu")


def rows() -> dict[str, list[Any]]:
    """Good and bad photos."""
    content = PHOTO.read_bytes()
    return {
        "id": [10, 11, 12, 13, 14, 15],
        "photo": [content, content[:2000], None, b"", content, b"<svg/>"],
    }


def check(found: dict[str, Any]) -> None:
    """What becomes of ``rows``."""
    assert list(found["id"]) == rows()["id"]
    people = [None if each is None else len(each) for each in found["people"]]
    assert people == [1, None, None, None, 1, None]
    errors = list(found["error"])
    assert errors[0] is None and errors[4] is None
    for error, words in zip(errors, ("", "cut short", "none in this row", "is empty", "", "SVG"), strict=True):
        assert words in (error or "") and "\n" not in (error or "")


def test_a_dict_of_columns(predictor: BatchPredictor) -> None:
    found = predictor(rows())
    assert list(found) == ["id", *POSE_COLUMNS]
    check(found)
    (person,) = found["people"][0]
    (pose,) = liftwild.predict(
        PHOTO, whole=True, weights=predictor.weights, runtime="torch", device="cpu"
    ).poses  # fmt: skip
    assert np.array_equal(person["joints_3d"], pose.joints_3d.astype(np.float32))
    assert np.array_equal(person["joints_2d"], pose.joints_2d.astype(np.float32))
    assert person["score"] is None and len(person["confidence"]) == len(MPII_16)


def test_arrow_tables_and_batches(predictor: BatchPredictor) -> None:
    given = pa.table({"id": rows()["id"], "photo": pa.array(rows()["photo"], pa.binary())})
    found = predictor(given)
    assert isinstance(found, pa.Table) and found.schema.names == ["id", *POSE_COLUMNS]
    for field in pose_schema():
        assert found.schema.field(field.name).type == field.type
    note = json.loads(found.schema.metadata[b"liftwild"])
    assert note["joint_names"] == list(MPII_16.names) and "mm" in note["units"]["joints_3d"]
    check(found.to_pydict())
    batch = predictor(given.to_batches()[0])
    assert isinstance(batch, pa.RecordBatch) and pa.Table.from_batches([batch]).equals(found)
    nothing = predictor(given.slice(0, 0))
    assert nothing.num_rows == 0 and nothing.schema == found.schema


def test_a_data_frame(predictor: BatchPredictor) -> None:
    given = pd.DataFrame(rows(), index=range(7, 13))
    given.loc[9, "photo"] = np.nan
    found = predictor(given)
    assert list(found.columns) == ["id", *POSE_COLUMNS] and list(found.index) == list(range(7, 13))
    check({name: list(found[name]) for name in found.columns})
    assert list(given.columns) == ["id", "photo"]


def test_paths_images_and_boxes(tiny_weights: Path) -> None:
    predictor = BatchPredictor("image", "box", keep=["name"], weights=str(tiny_weights), runtime="torch", device="cpu")
    images = [str(PHOTO), {"bytes": PHOTO.read_bytes(), "path": None}, {"bytes": None, "path": "no.jpg"}, str(PHOTO)]
    boxes = [BOX, BOX, BOX, [1.0, 2.0]]
    found = predictor({"image": images, "box": boxes, "name": list("abcd"), "more": [0, 0, 0, 0]})
    assert list(found) == ["name", *POSE_COLUMNS]
    assert found["people"][0] == found["people"][1] != []
    assert found["people"][0][0]["box"] == BOX
    assert found["error"][:2] == [None, None]
    assert "no.jpg: no such file" in found["error"][2] and "four numbers" in found["error"][3]


def test_an_address_is_no_file(predictor: BatchPredictor) -> None:
    found = predictor({"photo": ["s3://bucket/a.jpg", str(PHOTO)]})["error"]
    assert found[1] is None and found[0].startswith("s3://bucket/a.jpg: it is an address, and only files are read")


def test_columns_of_the_same_names_are_the_poses(predictor: BatchPredictor) -> None:
    given = pa.table({"id": [1], "width": [7], "error": ["old"], "photo": [PHOTO.read_bytes()]})
    found = predictor(given)
    assert found.schema.names == ["id", *POSE_COLUMNS]
    assert found["width"].to_pylist() == [512] and found["error"].to_pylist() == [None]
    assert predictor({name: given[name].to_pylist() for name in given.schema.names})["error"] == [None]
    with pytest.raises(LiftwildError, match="error, width would stand there twice"):
        BatchPredictor(keep=["id", "width", "error"])


def test_it_is_pickled_without_networks(predictor: BatchPredictor) -> None:
    before = len(pickle.dumps(predictor))
    first = predictor(rows())
    assert len(pickle.dumps(predictor)) == before < 2000
    assert pickle.loads(pickle.dumps(predictor))(rows()) == first


def test_copies_in_a_process_share_networks(predictor: BatchPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask and Spark send a copy for each part of a table."""
    first = predictor(rows())
    monkeypatch.setattr(shared_networks, "Estimator", None)
    assert pickle.loads(pickle.dumps(predictor))(rows()) == first


@pytest.mark.parametrize(
    ("given", "words"),
    [({"id": [1]}, "no column is called 'photo'"), ([1, 2], "not list"), (7, "not int")],
)
def test_what_is_no_batch(predictor: BatchPredictor, given: Any, words: str) -> None:
    with pytest.raises(LiftwildError, match=words):
        predictor(given)


def test_options_that_make_no_sense() -> None:
    for options in ({"people": 0}, {"fov": 500.0}, {"height_m": -1.0}):
        with pytest.raises(LiftwildError):
            BatchPredictor(**options)
    with pytest.raises(LiftwildError, match="keep"):
        BatchPredictor(keep=["nix"])({"photo": []})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_a_forked_process(predictor: BatchPredictor) -> None:
    """As ``datasets`` maps with several: an error, not one in each row, and no wait for ever."""
    predictor(rows())
    with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(LiftwildError, match="was forked from"):
        pool.apply_async(predictor, (rows(),)).get(60)
