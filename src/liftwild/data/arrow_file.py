"""Arrow IPC files whose content is checked before any of it is used: a damaged one would end the process."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from liftwild.errors import LiftwildError

try:
    import pyarrow as pa
except ImportError:  # pragma: no cover - shown by the wheel check
    raise LiftwildError("stores and predictions need pyarrow: pip install 'liftwild[train]'") from None

LABELS, IMAGES = b"crc32", b"image_crc32"  # of a batch: of all columns but ``image``; of each image, 8 hex digits
IMAGE = "image"


def write_batch(writer: pa.RecordBatchWriter, batch: pa.RecordBatch) -> None:
    """Write a batch with its checksums."""
    images = {IMAGES: "".join(image_checksums(batch))} if IMAGE in batch.schema.names else {}
    writer.write_batch(batch, custom_metadata={LABELS: _labels_checksum(batch), **images})


def read_arrow(path: Path, what: str) -> tuple[pa.Table, list[str | None]]:
    """The table of a file, memory-mapped, and the checksum of each row's image; None: of before there were any.

    FileNotFoundError; LiftwildError, which calls the file ``what``, if it is another, cut short or damaged. Whether an
    image is damaged is left to whoever reads it.
    """
    batches, images = [], []
    try:
        # A memory map has to outlive its reader; pyarrow keeps the buffer.
        reader = pa.ipc.open_file(pa.memory_map(str(path), "r"))
        for number in range(reader.num_record_batches):
            batch, told = reader.get_batch_with_custom_metadata(number)
            batch.validate(full=True)  # offsets of texts and images are taken on trust else
            kept = {name: value.decode("ascii", "replace") for name, value in dict(told or {}).items()}
            if kept.get(LABELS) not in (None, _labels_checksum(batch)):
                raise LiftwildError(f"{path} is damaged: its labels are not those that were written; make it again")
            batches.append(batch)
            images += [kept[IMAGES][8 * at :][:8] if IMAGES in kept else None for at in range(len(batch))]
        return pa.Table.from_batches(batches, reader.schema), images
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise LiftwildError(f"{path} is not {what}, or damaged: {first}") from None


def image_checksums(batch: pa.RecordBatch) -> list[str]:
    """The checksum of each image of a batch."""
    return [checksum(image.as_buffer() or b"") for image in batch[IMAGE]]


def checksum(data: bytes | pa.Buffer) -> str:
    """CRC-32 as 8 hex digits."""
    return f"{zlib.crc32(data):08x}"


def _labels_checksum(batch: pa.RecordBatch) -> str:
    """CRC-32 of the values of all columns but ``image``, whatever their layout in memory."""
    crc = 0
    for name in batch.schema.names:
        column = batch[name]
        if name == IMAGE:
            continue
        crc = zlib.crc32(np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).data, crc)
        if pa.types.is_string(column.type):
            crc = zlib.crc32(repr(column.to_pylist()).encode("utf-8", "surrogateescape"), crc)
            continue
        flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column.drop_null()
        crc = zlib.crc32(np.ascontiguousarray(flat.to_numpy(zero_copy_only=False)).data, crc)
    return f"{crc:08x}"
