"""The table of ``liftwild.io.csv_table`` as a Parquet file, unrounded, with everything said about it in the schema."""

from __future__ import annotations

import json

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.io.csv_table import COLUMNS, JOINT, track_columns
from liftwild.io.description import about, skeleton_of
from liftwild.pose import Recording
from liftwild.skeleton import Skeleton

FORMAT = "liftwild-parquet"
VERSION = 1


def need_pyarrow() -> None:
    """LiftwildError, with what to install, if Parquet cannot be written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError:
        raise LiftwildError("parquet files need pyarrow: pip install 'liftwild[parquet]'") from None


def parquet_bytes(recording: Recording, skeleton: Skeleton | None = None) -> bytes:
    """The Parquet file of a recording: the columns of the CSV, null where something is not known.

    The schema's metadata has ``liftwild``, JSON with the keys of docs/files.md. ``skeleton``: as for ``about``.
    LiftwildError without pyarrow.
    """
    need_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    skeleton = skeleton or skeleton_of(recording)
    whole = {"frame": pa.int64(), "person_id": pa.int64()}
    fields = [pa.field(name, whole.get(name, pa.float64())) for name in COLUMNS if name != JOINT]
    fields.insert(list(COLUMNS).index(JOINT), pa.field(JOINT, pa.dictionary(pa.int32(), pa.string())))
    tracks = [track_columns(recording, track) for track in recording.tracks]
    arrays = []
    for field in fields:
        values = np.concatenate([np.empty(0), *(columns[field.name] for columns in tracks)])
        if field.name == JOINT:
            joints = pa.array(values.astype(np.int32))
            arrays.append(pa.DictionaryArray.from_arrays(joints, pa.array(skeleton.names, pa.string())))
        else:
            arrays.append(pa.array(values, field.type, from_pandas=field.type == pa.float64()))
    note = {
        "format": FORMAT, "version": VERSION, "file": recording.source, "width": int(recording.width),
        "height": int(recording.height), "is_clip": recording.is_clip, "frames": len(recording.times_s),
        **about(recording, skeleton),
    }  # fmt: skip
    schema = pa.schema(fields, metadata={"liftwild": json.dumps(note)})
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), buffer)
    return bytes(buffer.getvalue().to_pybytes())
