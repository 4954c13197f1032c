"""What a store costs the process that reads it, in one file and in shards: time to open, memory, samples/s.

python benchmarks/shards.py [--rows 10000,100000,1000000] [--repeated 10000000] [--draws 200000] [--folder FOLDER]

Times are of a core, without waiting. People are stand-ins with pictures of 16 px, some 1.8 kB each. --repeated: one
more store in shards, whose list names the shards of the largest several times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from liftwild.data.shard_order import RowOrder
from liftwild.data.shard_writing import write_manifest, write_shard
from liftwild.data.shards import MANIFEST, open_store
from liftwild.data.store import ROWS_A_BATCH, SCHEMA, StoreWriter, stored_row
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16

SHARD_ROWS = 4096
COLUMNS = {"rows": 0, "open_s": 2, "own_mb": 0, "all_mb": 0, "samples_s": 0}  # and their digits
EVERY = 2000  # draws between two looks at the memory


def stand_ins() -> pa.RecordBatch:
    """A batch of people of noise."""
    rng, known = np.random.default_rng(0), np.ones(len(MPII_16), dtype=bool)
    rows = []
    for number in range(ROWS_A_BATCH):
        image, joints = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8), rng.normal(0, 300, (len(MPII_16), 3))
        places, box = rng.uniform(2, 14, (len(MPII_16), 2)), (2.0, 2.0, 12.0, 12.0)
        rows.append(stored_row(Sample(image, places, known, joints, known, None, box, f"{number:04d}.jpg", number)))
    return pa.record_batch({name: [row[name] for row in rows] for name in SCHEMA.names}, schema=SCHEMA)


def batches(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    """So many rows."""
    for first in range(0, rows, len(batch)):
        yield batch.slice(0, min(len(batch), rows - first))


def write_both(folder: Path, rows: int) -> None:
    """A store of so many people in one file, and one in shards."""
    batch = stand_ins()
    if not (folder / f"{rows}.arrow").exists():
        with StoreWriter(folder / f"{rows}.arrow") as writer:
            for each in batches(batch, rows):
                writer.add_batch(each)
    shards = folder / f"{rows}-shards"
    if not (shards / MANIFEST).exists():
        counts = [min(SHARD_ROWS, rows - first) for first in range(0, rows, SHARD_ROWS)]
        for number, count in enumerate(counts):
            write_shard(str(shards), number, batches(batch, count))
        write_manifest(str(shards), len(counts))


def repeat_shards(source: Path, target: Path, rows: int) -> None:
    """A store of at least so many rows: a list that names the shards of ``source`` several times, which are linked."""
    target.mkdir(exist_ok=True)
    content = json.loads((source / MANIFEST).read_text())
    for shard in content["shards"]:
        if not (target / shard["name"]).exists():
            os.link(source / shard["name"], target / shard["name"])
    content["shards"] *= -(-rows // sum(shard["rows"] for shard in content["shards"]))
    (target / MANIFEST).write_text(json.dumps(content))


def memory_mb() -> tuple[float, float]:
    """Of this process: its own memory, and with what is mapped of files, MB."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    kib = {words[0]: int(words[1]) for words in lines if words[0] in ("RssAnon:", "VmRSS:")}
    return kib["RssAnon:"] * 1024 / 1e6, kib["VmRSS:"] * 1024 / 1e6


def read(path: str, draws: int) -> dict[str, float]:
    """Open a store and draw people as training does, but for augmentation."""
    before, start = memory_mb(), time.process_time()
    store = open_store(path)
    open_s, opened = time.process_time() - start, memory_mb()
    in_shards = len(store.shard_rows) > 1
    order, rng = RowOrder(store.shard_rows, (0,)), np.random.default_rng(0)
    peaks, start, looks_s = opened, time.process_time(), 0.0
    for number in range(draws):
        store[order.row(number) if in_shards else int(rng.integers(len(store)))]
        if number % EVERY == 0:
            look = time.process_time()
            peaks = tuple(map(max, peaks, memory_mb()))  # type: ignore[assignment]
            looks_s += time.process_time() - look
    each_s = (time.process_time() - start - looks_s) / draws
    return {
        "rows": len(store), "open_s": open_s, "own_mb": peaks[0] - before[0], "all_mb": peaks[1] - before[1],
        "before_mb": before[1], "samples_s": 1 / each_s,
    }  # fmt: skip


def main() -> None:
    """Measure, each store in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--repeated", type=int, default=10_000_000)
    parser.add_argument("--draws", type=int, default=200_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read:
        print(json.dumps(read(asked.read, asked.draws)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, counts = asked.folder or Path(temporary), [int(count) for count in asked.rows.split(",")]
        folder.mkdir(exist_ok=True)
        stores = []
        for rows in counts:
            write_both(folder, rows)
            stores += [("one file", folder / f"{rows}.arrow"), ("shards", folder / f"{rows}-shards")]
        if asked.repeated:
            repeat_shards(folder / f"{counts[-1]}-shards", folder / "repeated", asked.repeated)
            stores.append(("shards, listed several times", folder / "repeated"))
        print("| store | people | opens in, s | own memory, MB | with mapped files, MB | samples/s |")
        print("| --- | --- | --- | --- | --- | --- |")
        for kind, path in stores:
            command = [sys.executable, __file__, "--read", str(path), "--draws", str(asked.draws)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            numbers = (f"{found[name]:,.{digits}f}" for name, digits in COLUMNS.items())
            print(f"| {kind} | {' | '.join(numbers)} |", flush=True)
        print(f"\nMemory is the peak, beyond {found['before_mb']:.0f} MB of the process before it opened the store.")


if __name__ == "__main__":
    main()
