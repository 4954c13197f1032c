"""Damaged Arrow files: each is read as it was written, or refused by one line; none ends the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from liftwild.data.store import SCHEMA, Store, StoreWriter
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from tests.support.files import mutated
from tests.support.stores import make_store, sample


def same(first: Sample, second: Sample) -> bool:
    """Whether two samples are equal in every field."""
    return all(
        np.array_equal(getattr(first, f.name), getattr(second, f.name))
        if isinstance(getattr(first, f.name), np.ndarray)
        else getattr(first, f.name) == getattr(second, f.name)
        for f in fields(Sample)
    )


def test_a_damaged_store_is_read_as_it_was_or_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path / "x.arrow", (sample(i, three=i != 1, size=40) for i in range(3)))
    rows, content = [store[i] for i in range(3)], store.path.read_bytes()
    rng, refused, path = np.random.default_rng(0), 0, tmp_path / "y.arrow"
    for _ in range(150):
        path.write_bytes(mutated(content, rng))
        try:
            read = Store(path)
            assert all(same(read[i], row) for i, row in enumerate(rows))
        except LiftwildError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
    assert 50 < refused < 150  # some bytes are padding


def with_column(path: Path, name: str, change: Callable[[Any], Any]) -> Path:
    """A store of two people without checksums, as older ones are; ``change`` takes a column's Arrow array."""
    whole = make_store(path.with_suffix(".whole"), [sample(0, size=40), sample(1, size=40)])
    batch = whole._table.combine_chunks().to_batches()[0]
    columns = [change(batch[each]) if each == name else batch[each] for each in SCHEMA.names]
    with pa.ipc.new_file(str(path), SCHEMA) as writer:
        writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
    return path


def offset_out_of_bounds(column: Any) -> Any:
    """Texts, or pictures, of which the second begins far beyond the file."""
    ends = np.array([0, 1_500_000_000, column.buffers()[2].size], np.int32)
    return pa.Array.from_buffers(column.type, 2, [None, pa.py_buffer(ends), column.buffers()[2]])


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("image", offset_out_of_bounds, "not a store, or damaged"),
        ("source", offset_out_of_bounds, "not a store, or damaged"),
        ("joints_2d", lambda column: pa.nulls(2, column.type), "joints_2d is missing of somebody"),
        ("source", lambda column: pa.nulls(2, column.type), "source is missing of somebody"),
        ("box", lambda column: pa.array([[0, 0, -1, 5], [0, 0, 5, 5]], column.type), "box has no size"),
        ("joints_3d", lambda column: pa.array([[np.nan] * 48] * 2, column.type), "joints_3d holds what is no number"),
    ],
)
def test_what_a_store_cannot_hold(tmp_path: Path, name: str, change: Callable[[Any], Any], says: str) -> None:
    path = with_column(tmp_path / "x.arrow", name, change)
    with pytest.raises(LiftwildError, match=says) as caught:
        Store(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_part_whose_picture_is_damaged_is_not_copied(tmp_path: Path) -> None:
    part = make_store(tmp_path / "part.arrow", [sample(0, size=40)])
    content = part.path.read_bytes()
    at = content.index(part._table["image"][0].as_py()) + 300
    part.path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with (
        pytest.raises(LiftwildError, match="a picture in it is damaged"),
        StoreWriter(tmp_path / "x.arrow") as writer,
    ):
        writer.add_store(part.path)
    with pytest.raises(LiftwildError, match="picture of row 0 is broken"):
        Store(part.path)[0]
