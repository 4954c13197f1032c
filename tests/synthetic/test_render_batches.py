"""Rendering by the numbers of a table: the rows that ``liftwild render`` stores, whoever renders them, in any order."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liftwild import BatchRenderer
from liftwild.data.store import SCHEMA, StoreWriter
from liftwild.errors import LiftwildError
from liftwild.synthetic.render.generate import render_people
from liftwild.synthetic.render.write import write_store
from tests.support.puppet import puppet

SIZE = 64


def table(*numbers: int) -> pa.Table:
    """Numbers of people in a table."""
    return pa.table({"id": pa.array(numbers, pa.int64()), "shard": ["a"] * len(numbers)})


def test_the_same_bytes_as_on_one_machine(tmp_path: Path) -> None:
    """Batches that begin and end anywhere, from another process, in another order."""
    write_store(render_people("wild", 20, 3, size=SIZE), tmp_path / "one.arrow")
    renderer = pickle.loads(pickle.dumps(BatchRenderer("wild", 3, size=SIZE)))
    rows = [
        row
        for numbers in ((17, 3, 18), (0, 1, 2), range(4, 17), (19,))
        for row in renderer(table(*numbers)).to_pylist()
    ]
    assert [row["annotation_id"] for row in rows[:3]] == [17, 3, 18]
    with StoreWriter(tmp_path / "many.arrow") as writer:
        for row in sorted(rows, key=lambda row: row["annotation_id"]):
            writer.add(row)
    assert (tmp_path / "one.arrow").read_bytes() == (tmp_path / "many.arrow").read_bytes()


def test_in_captured_poses(tmp_path: Path) -> None:
    clip = tmp_path / "clip.bvh"
    clip.write_text(puppet(frames=40).text())
    (one,) = render_people("wild", 1, size=SIZE, poses=clip)
    renderer = pickle.loads(pickle.dumps(BatchRenderer("wild", size=SIZE, poses=clip)))
    assert renderer(table(0)).to_pylist()[0]["joints_3d"] == one.sample.joints_3d.ravel().astype(np.float32).tolist()


def test_the_kind_that_was_given_comes_back() -> None:
    renderer = BatchRenderer("lab", number="n", size=SIZE)
    batch = pa.record_batch({"n": [1, 1]})
    found = renderer(batch)
    assert isinstance(found, pa.RecordBatch) and found.schema.equals(SCHEMA, check_metadata=True)
    assert found.slice(0, 1).to_pylist() == found.slice(1).to_pylist()
    assert renderer(batch.slice(0, 0)).num_rows == 0


def test_what_cannot_be_rendered_is_said() -> None:
    with pytest.raises(LiftwildError, match="sizes are 64 to"):
        BatchRenderer("lab", size=65)
    renderer = BatchRenderer("lab", size=SIZE)
    with pytest.raises(LiftwildError, match="no column is called 'id'; there are n"):
        renderer(pa.table({"n": [1]}))
    with pytest.raises(LiftwildError, match="whole, from 0, not -1"):
        renderer(table(-1))
    with pytest.raises(LiftwildError, match=r"whole, from 0, not 1\.5"):
        renderer(pa.table({"id": [1.5]}))
    with pytest.raises(LiftwildError, match="an Arrow table, not dict"):
        renderer({"id": [1]})
