"""Shards as Parquet files, for tools that read no Arrow files: the same columns."""

from __future__ import annotations

from pathlib import Path

from liftwild.data.store import SCHEMA, StoreWriter, is_store
from liftwild.errors import LiftwildError

try:
    import pyarrow as pa
    import pyarrow.parquet
except ImportError:  # pragma: no cover - shown by the wheel check
    raise LiftwildError("stores need pyarrow: pip install 'liftwild[train]'") from None

ROWS_A_GROUP = 512
ROWS_A_BATCH = 64


def arrow_of_parquet(source: Path, target: Path, scale: str, where: str) -> None:
    """Write the rows of a Parquet file as the store ``target``; LiftwildError, which calls the file ``where``, if it
    has other columns or is damaged."""
    try:
        with pa.parquet.ParquetFile(source) as file, StoreWriter(target, scale) as writer:
            for batch in file.iter_batches(ROWS_A_BATCH):
                columns = [batch[field.name].cast(field.type) for field in SCHEMA]
                writer.add_batch(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
    except (pa.ArrowException, OSError, KeyError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise LiftwildError(f"{where} is not a shard of a store: {first}") from None


def parquet_of_arrow(source: Path, target: Path) -> None:
    """Write the rows of the store ``source`` as a Parquet file; pictures, which are packed already, as they are."""
    with pa.memory_map(str(source), "r") as mapped:
        reader = pa.ipc.open_file(mapped)
        with pa.parquet.ParquetWriter(target, reader.schema, compression="NONE", use_dictionary=False) as writer:
            writer.write_table(reader.read_all(), row_group_size=ROWS_A_GROUP)


def is_shard_file(path: Path) -> bool:
    """Whether a file is a store or Parquet."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1" or is_store(path)
