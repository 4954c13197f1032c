"""Stores of shards, written: shard by shard, by as many processes as there are, and ``store.json`` last.

A shard leaves a record beside it, ``00000.json``; what has one is whole. ``write_manifest`` reads records alone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from liftwild.data.means import Means, joined, means_of
from liftwild.data.shard_folder import ShardFolder
from liftwild.data.shard_parquet import is_shard_file, parquet_of_arrow
from liftwild.data.shards import FORMAT, MANIFEST, VERSION, Shard
from liftwild.data.store import ROWS_A_BATCH, Scale, Store, StoreWriter, fingerprint
from liftwild.errors import LiftwildError
from liftwild.files import check_output
from liftwild.schema import build, parse_json, understood
from liftwild.skeleton import MPII_16

try:
    import pyarrow as pa
except ImportError:  # pragma: no cover - shown by the wheel check
    raise LiftwildError("stores need pyarrow: pip install 'liftwild[train]'") from None

PLAN = "split.json"
MANY = 16  # records that are read at a time
ShardFormat = Literal["arrow", "parquet"]


@dataclass(frozen=True)
class ShardRecord:
    """What is noted of a ``shard`` when it is whole; ``scale`` as in ``Store``, ``means`` over its people."""

    shard: Shard
    scale: Scale
    means: Means


def write_shard(
    folder: str | Path, number: int, rows: Iterable[dict[str, Any] | pa.RecordBatch], scale: Scale = "",
    format: ShardFormat = "arrow",
) -> ShardRecord:  # fmt: skip
    """Write shard ``number`` of the store in ``folder`` (a path or an address), and then its record.

    ``rows``: of ``stored_row``, or batches with the columns of a store. Several processes may each write others.
    LiftwildError if it cannot be written, or ``rows`` has nobody.
    """
    where, name = ShardFolder(str(folder)), f"{number:05d}.{format}"
    if read_record(where, number) is None and where.local is not None:
        check_output(where.local / name, is_shard_file)
    with where.workplace(name) as temporary:
        path = temporary / "shard.arrow"
        with StoreWriter(path, scale) as writer:
            for row in rows:
                if isinstance(row, dict):
                    writer.add(row)
                else:
                    writer.add_batch(row)
        if not writer.rows:
            raise LiftwildError(f"{where.place(name)} would hold nobody")
        means = Store(path).means()
        if format == "parquet":
            source, path = path, path.with_suffix(".parquet")
            parquet_of_arrow(source, path)
        record = ShardRecord(Shard(name, writer.rows, path.stat().st_size, fingerprint(path)), scale, means)
        where.put(path, name)
    content = {"shard": dataclasses.asdict(record.shard), "scale": scale, "means": _plain(means)}
    where.write(_record_name(number), (json.dumps(content) + "\n").encode())
    return record


def write_manifest(folder: str | Path, shards: int) -> str:
    """Write ``store.json`` of the shards 0 to ``shards`` - 1, which must all be there; its SHA-256.

    Reads their records and the folder's list, no shard. LiftwildError names what is missing or does not fit.
    """
    where = ShardFolder(str(folder))
    if shards < 1:
        raise LiftwildError(f"{folder}: a store has one shard at least")
    sizes = where.sizes()
    with ThreadPoolExecutor(MANY) as pool:
        found = list(pool.map(partial(read_record, where), range(shards)))
    records: list[ShardRecord] = []
    for number, record in enumerate(found):
        if record is None:
            raise LiftwildError(
                f"{where.place(_record_name(number))} is missing: that shard is not written, or not whole"
            )
        shard = record.shard
        if sizes is not None and sizes.get(shard.name) != shard.bytes:
            raise LiftwildError(
                f"{where.place(shard.name)} is missing or has not the size of its record: write it anew"
            )
        if records and record.scale != records[0].scale:
            raise LiftwildError(f"{where.place(shard.name)} has another scale than shard 0")
        records.append(record)
    known = [record.means for record in records if record.means.people]
    manifest = {
        "format": FORMAT, "version": VERSION, "scale": records[0].scale, "joint_names": list(MPII_16.names),
        "means": _plain(joined(known) if known else means_of(np.zeros((0, len(MPII_16), 3)))),
        "shards": [dataclasses.asdict(record.shard) for record in records],
    }  # fmt: skip
    where.write(MANIFEST, (json.dumps(manifest, indent=0) + "\n").encode())
    return where.sha256(MANIFEST) or ""


def read_record(where: ShardFolder, number: int) -> ShardRecord | None:
    """The record of a shard, None if there is none; LiftwildError if it is none."""
    name = _record_name(number)
    content = where.read(name)
    if content is None:
        return None
    with understood(where.place(name), "the record of a shard"):
        return build(ShardRecord, parse_json(content, where.place(name)))


def split_stores(
    stores: Sequence[str | Path], folder: str | Path, rows: int = 4096, format: ShardFormat = "arrow",
    progress: Callable[[Iterator[int], int], Iterator[int]] | None = None,
) -> tuple[int, int, int]:  # fmt: skip
    """Split stores into shards of ``rows`` people, shuffled over all of them; people, shards, and how many were kept.

    Begun anew, it keeps the shards that are there with their checksums. LiftwildError if ``folder`` holds anything
    else, or if the stores' scales differ.
    """
    opened = [Store(path) for path in stores]
    if len({store.scale for store in opened}) > 1:
        raise LiftwildError(f"{stores[0]} and others differ in scale: split them into stores of their own")
    where, people = ShardFolder(str(folder)), sum(map(len, opened))
    count = -(-people // rows)
    plan = {"stores": [store.fingerprint() for store in opened], "rows": rows, "format": format}
    _claim(where, json.dumps(plan).encode())
    order = np.random.default_rng(0).permutation(people)
    kept = 0
    numbers = iter(range(count))
    for number in progress(numbers, count) if progress else numbers:
        record = read_record(where, number)
        if record is not None and where.sha256(record.shard.name) == record.shard.sha256:
            kept += 1
            continue
        chosen = np.sort(order[number * rows : (number + 1) * rows])
        write_shard(folder, number, _batches(opened, chosen), opened[0].scale, format)
    write_manifest(folder, count)
    return people, count, kept


def _batches(stores: Sequence[Store], rows: np.ndarray) -> Iterator[pa.RecordBatch]:
    """Rows, counted through all ``stores`` and sorted, as they are stored."""
    start = 0
    for store in stores:
        own = (rows[(start <= rows) & (rows < start + len(store))] - start).tolist()
        yield from (store.stored(own[at : at + ROWS_A_BATCH]) for at in range(0, len(own), ROWS_A_BATCH))
        start += len(store)


def _claim(where: ShardFolder, plan: bytes) -> None:
    """Note what is split into a folder, or go on with it if it is the same."""
    there = where.read(PLAN)
    if there == plan:
        return
    local = where.local
    if local is not None and local.exists() and not local.is_dir():
        raise LiftwildError(f"{where.path} is a file, not a folder for shards; choose another -o")
    if (
        there is not None
        or where.read(MANIFEST) is not None
        or (local is not None and local.is_dir() and where.sizes())
    ):
        raise LiftwildError(f"{where.path} holds something else, or another split; empty it, or choose another -o")
    where.write(PLAN, plan)


def _record_name(number: int) -> str:
    return f"{number:05d}.json"


def _plain(means: Means) -> dict[str, Any]:
    lengths, pose = np.asarray(means.bone_lengths_mm), np.asarray(means.pose_mm)
    return {"people": means.people, "bone_lengths_mm": lengths.tolist(), "pose_mm": pose.tolist()}
