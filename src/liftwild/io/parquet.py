"""The table of ``liftwild.io.csv_table`` as a Parquet file, unrounded, with everything said about it in the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftwild.errors import LiftwildError, reason_of
from liftwild.files import reading
from liftwild.io.csv_table import COLUMNS, JOINT, table
from liftwild.io.description import metadata
from liftwild.io.format import File, Format
from liftwild.io.table_reader import recording_of_table
from liftwild.pose import Recording
from liftwild.skeleton import Skeleton

KIND = "liftwild-parquet"
VERSION = 1


def need_pyarrow() -> None:
    """LiftwildError, with what to install, if Parquet cannot be written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError:
        raise LiftwildError("parquet files need pyarrow: pip install 'liftwild[parquet]'") from None


def parquet_bytes(recording: Recording, skeleton: Skeleton) -> bytes:
    """The Parquet file of a recording in the joints of ``skeleton``: the columns of the CSV, null where something is
    not known.

    The schema's metadata has ``liftwild``, JSON with the keys of docs/files.md. LiftwildError without pyarrow.
    """
    need_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {}
    for name, values in table(recording).items():
        if name == JOINT:
            joints = pa.array(values.astype(np.int32))
            arrays[name] = pa.DictionaryArray.from_arrays(joints, pa.array(skeleton.names, pa.string()))
        else:
            arrays[name] = pa.array(values, from_pandas=True)  # NaN becomes null
    note = {
        "format": KIND, "version": VERSION, "file": recording.source, "width": int(recording.width),
        "height": int(recording.height), "is_clip": recording.is_clip, "frames": len(recording.times_s),
        **metadata(recording, skeleton),
    }  # fmt: skip
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, metadata={"liftwild": json.dumps(note)}), buffer)
    return bytes(buffer.getvalue().to_pybytes())


def read_parquet(path: str | Path) -> Recording:
    """The recording in a file of the format ``parquet``: poses equal in every number, boxes made up (``table_reader``).

    LiftwildError if it cannot be read or holds something else, and without pyarrow.
    """
    need_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    with reading(path):
        content = path.read_bytes()
    try:
        found = pq.read_table(pa.BufferReader(content))
        note = json.loads(found.schema.metadata[b"liftwild"])
        if (note["format"], note["version"]) != (KIND, VERSION):
            raise LiftwildError(f"{path} is {note['format']} version {note['version']}, not {KIND} version {VERSION}")
        columns = {name: found[name].to_numpy() for name in COLUMNS if name != JOINT}
        at = {name: joint for joint, name in enumerate(note["joint_names"])}
        columns[JOINT] = np.array([at[name] for name in found[JOINT].to_pylist()], dtype=np.int64)
        columns = {name: values.astype(np.int64 if COLUMNS[name] == "%d" else None) for name, values in columns.items()}
        return recording_of_table(columns, note["joint_names"], str(path), note)
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        if isinstance(error, LiftwildError):
            raise
        raise LiftwildError(f"{path} is no parquet file of liftwild, or damaged: {reason_of(error)}") from None


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    yield File(f"{stem}.parquet", parquet_bytes(recording, skeleton))


def _recognise(path: Path, head: bytes) -> bool:
    """Parquet has its schema, with our metadata, at the file's end."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 20_000))
        return KIND.encode() in head + file.read()


FORMAT = Format(
    "parquet",
    "the rows of csv, not rounded; needs pyarrow",
    (".parquet",),
    _write,
    _recognise,
    check=need_pyarrow,
    read=read_parquet,
)
