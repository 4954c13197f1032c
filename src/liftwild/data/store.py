"""The store: one Arrow IPC file of labelled people, memory-mapped, random access, readable by any Arrow reader.

One row is one person: a JPEG crop of up to 384 px (1.5 times the network's crop, so that augmentation finds picture at
its edges) and the labels in px of that crop.
"""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

import cv2
import numpy as np

from liftwild.camera import Camera
from liftwild.crop import BOX_MARGIN, Crop, transform
from liftwild.data.arrow_file import checksum, image_checksums, read_arrow, write_batch
from liftwild.data.means import Means, means_of
from liftwild.errors import LiftwildError
from liftwild.files import atomic_path, check_output, writing
from liftwild.media.library_noise import without_noise
from liftwild.sample import Sample
from liftwild.schema import shown
from liftwild.skeleton import MPII_16

try:
    import pyarrow as pa
    import pyarrow.compute
except ImportError:  # pragma: no cover - shown by the wheel check
    raise LiftwildError("stores need pyarrow: pip install 'liftwild[train]'") from None

VERSION = 1
CROP_PX = 384
CONTEXT = 1.5  # side of a stored crop over the side of the network's crop
JPEG_QUALITY = 95
ROWS_A_BATCH = 64
J = len(MPII_16)

SCHEMA = pa.schema(
    [
        pa.field("image", pa.binary(), metadata={"is": "JPEG, square"}),
        pa.field("joints_2d", pa.list_(pa.float32(), 2 * J), metadata={"is": "x, y in px of the image"}),
        pa.field("joints_2d_valid", pa.list_(pa.bool_(), J)),
        pa.field("joints_3d", pa.list_(pa.float32(), 3 * J), metadata={"is": "x, y, z in mm, camera space"}),
        pa.field("depth_valid", pa.list_(pa.bool_(), J)),
        pa.field("camera", pa.list_(pa.float64(), 5), metadata={"is": "fx, fy, cx, cy, skew in px of the image"}),
        pa.field("box", pa.list_(pa.float32(), 4), metadata={"is": "x, y, w, h in px of the image"}),
        pa.field("source", pa.string(), metadata={"is": "file of the photo"}),
        pa.field("annotation_id", pa.int64()),
        pa.field("crop", pa.list_(pa.float64(), 3), metadata={"is": "centre x, y and side, px of the photo"}),
        pa.field("subject", pa.string(), metadata={"is": "who, as the dataset names them"}),
        pa.field("group", pa.string(), metadata={"is": "what per-group means are over: action, sequence"}),
        pa.field("head_size_px", pa.float64(), metadata={"is": "MPII's head size, px of the image"}),
        pa.field("visibility", pa.list_(pa.uint8(), J), metadata={"is": "2 seen, 1 hidden, 0 not known"}),
        pa.field("photo", pa.list_(pa.float32(), 4), metadata={"is": "x, y, w, h of the photo, px of the image"}),
        pa.field(
            "spine_3d", pa.list_(pa.float32(), 3), metadata={"is": "Human3.6M's spine: x, y, z in mm, camera space"}
        ),
    ],
    metadata={"liftwild_store": str(VERSION), "joint_names": json.dumps(MPII_16.names)},
)

Scale = Literal["", "true", "universal"]
# Columns that older stores lack, and what they then hold.
DEFAULTS: dict[str, Any] = {
    "subject": "", "group": "", "head_size_px": None, "visibility": None, "photo": None, "spine_3d": None,
}  # fmt: skip
NULLABLE = {"camera", *(name for name, value in DEFAULTS.items() if value is None)}


def stored_row(sample: Sample) -> dict[str, Any]:
    """The row of a sample whose image is the whole photo: cut, scaled down to at most 384 px, encoded."""
    crop = Crop.around(sample.box, BOX_MARGIN * CONTEXT)
    size = int(min(CROP_PX, max(16, np.ceil(crop.size_px))))
    if crop.size_px <= size:  # the photo's own pixels, untouched
        corner = np.round(np.array(crop.center_px) - size / 2)
        crop = Crop((float(corner[0] + size / 2), float(corner[1] + size / 2)), size)
    affine = crop.affine(size)
    camera = sample.camera.warped(affine)[0] if sample.camera else None
    joints_2d = np.where(sample.joints_2d_valid[:, None], transform(affine, sample.joints_2d), 0.0)
    scale = size / crop.size_px
    x, y = transform(affine, np.array(sample.box[:2]))
    height, width = sample.image.shape[:2]
    left, top, wide, high = sample.photo or (0.0, 0.0, float(width), float(height))
    photo = [*transform(affine, np.array([left, top])), wide * scale, high * scale]
    done, jpeg = cv2.imencode(
        ".jpg",
        cv2.cvtColor(crop.apply(sample.image, size), cv2.COLOR_RGB2BGR),
        [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY],
    )
    if not done:
        raise LiftwildError(f"{sample.source}: the crop could not be encoded")
    return {
        "image": jpeg.tobytes(),
        "joints_2d": joints_2d.ravel().astype(np.float32),
        "joints_2d_valid": sample.joints_2d_valid,
        "joints_3d": sample.joints_3d.ravel().astype(np.float32),
        "depth_valid": sample.depth_valid,
        "camera": None if camera is None else [camera.fx, camera.fy, camera.cx, camera.cy, camera.skew],
        "box": [x, y, sample.box[2] * scale, sample.box[3] * scale],
        "source": sample.source,
        "annotation_id": sample.annotation_id,
        "crop": [*crop.center_px, crop.size_px],
        "subject": sample.subject,
        "group": sample.group,
        "head_size_px": None if sample.head_size_px is None else sample.head_size_px * scale,
        "visibility": sample.visibility,
        "photo": photo,
        "spine_3d": None if sample.spine_3d is None else sample.spine_3d.astype(np.float32),
    }


class StoreWriter:
    """Writes rows to a hidden file beside ``path``; the store appears, whole, when the ``with`` block ends without an
    error.

    ``scale`` as in ``Store``. LiftwildError if it cannot be written, if another process is writing the same store, or
    if ``path`` holds anything but a store.
    """

    def __init__(self, path: str | Path, scale: str = "") -> None:
        self.path = Path(path)
        self.rows = 0
        self._schema = SCHEMA.with_metadata({**SCHEMA.metadata, b"scale": scale.encode()})
        self._pending: list[dict[str, Any]] = []

    def __enter__(self) -> StoreWriter:
        if not os.path.isdir(self.path.parent):
            raise LiftwildError(f"no folder {self.path.parent} to write {self.path.name} into")
        check_output(self.path, is_store)
        with writing(self.path), ExitStack() as stack:
            part = stack.enter_context(atomic_path(self.path, durable=True, alone=True))
            file = stack.enter_context(pa.OSFile(str(part), "wb"))
            self._writer = pa.ipc.new_file(file, self._schema)
            self._open = stack.pop_all()
        return self

    def add(self, row: dict[str, Any]) -> None:
        """Append one row (``stored_row``)."""
        self._pending.append(row)
        self.rows += 1
        if len(self._pending) == ROWS_A_BATCH:
            self._flush()

    def add_store(self, path: Path) -> set[str]:
        """Append the rows of another store, which may hold nobody; the files that its photos come from."""
        self._flush()
        sources: set[str] = set()
        try:
            table, images = read_arrow(path, "a store")
        except FileNotFoundError:
            raise LiftwildError(f"cannot copy {path} into {self.path}: it is gone") from None
        for batch in table.to_batches():
            found, images, kept = image_checksums(batch), images[len(batch) :], images[: len(batch)]
            if any(kept) and found != kept:
                raise LiftwildError(f"cannot copy {path} into {self.path}: a picture in it is damaged")
            self.add_batch(batch)
            sources.update(batch["source"].to_pylist())
        return sources

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Append rows with the columns of ``SCHEMA``."""
        self._flush()
        with writing(self.path):
            write_batch(self._writer, batch)
        self.rows += len(batch)

    def _flush(self) -> None:
        if self._pending:
            columns = {name: [row[name] for row in self._pending] for name in SCHEMA.names}
            with writing(self.path):
                write_batch(self._writer, pa.record_batch(columns, schema=SCHEMA))
            self._pending = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._open.__exit__(kind, error, trace)
            return
        with writing(self.path), self._open:
            self._flush()
            self._writer.close()


def is_store(path: Path) -> bool:
    """Whether the file ``path`` is a store, of any version."""
    try:
        with pa.memory_map(str(path), "r") as file:
            return b"liftwild_store" in (pa.ipc.open_file(file).schema.metadata or {})
    except (OSError, pa.ArrowException):
        return False


class Store:
    """Read access to a store by row. Cheap to copy to worker processes: only the path travels.

    ``scale``: of its 3D joints: "true" or "universal" (everybody scaled to one height) of MPI-INF-3DHP, else "".
    LiftwildError if the file is missing, is not a store, or a picture in it is broken.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._open()

    def _open(self) -> None:
        try:
            self._table, self._checksums = read_arrow(self.path, "a store")
        except FileNotFoundError:
            raise LiftwildError(f"no store {self.path}; make one with 'liftwild prepare'") from None
        schema = self._table.schema
        about = schema.metadata or {}
        if about.get(b"liftwild_store") != str(VERSION).encode():
            raise LiftwildError(f"{self.path} is an Arrow file, but not a liftwild store of version {VERSION}")
        missing = [name for name in DEFAULTS if name not in schema.names]
        expected = pa.schema([field for field in SCHEMA if field.name not in missing], SCHEMA.metadata)
        if not schema.equals(expected) or about.get(b"joint_names") != SCHEMA.metadata[b"joint_names"]:
            raise LiftwildError(f"{self.path} does not have the columns and joints of a liftwild store")
        if len(self._table) == 0:
            raise LiftwildError(f"{self.path} holds nobody")
        for name in missing:
            field = SCHEMA.field(name)
            self._table = self._table.append_column(field, pa.array([DEFAULTS[name]] * len(self._table), field.type))
        self.scale = about.get(b"scale", b"").decode("ascii", "replace")
        if self.scale not in get_args(Scale):
            raise LiftwildError(f"{self.path} is damaged: its scale is {shown(self.scale)}; prepare it again")
        self._check_values()
        self._parts = self._table.select(SCHEMA.names).to_batches()
        self._ends = list(accumulate(map(len, self._parts)))

    def _check_values(self) -> None:
        """LiftwildError if a value is missing that nobody can lack, or a number cannot be."""
        for name in SCHEMA.names:
            lists = pa.types.is_fixed_size_list(SCHEMA.field(name).type)
            column = self._table[name].combine_chunks() if lists else self._table[name]
            inner = column.flatten() if lists else column
            if (column.null_count and name not in NULLABLE) or (lists and inner.null_count):
                raise LiftwildError(f"{self.path} is damaged: {name} is missing of somebody; prepare it again")
            if lists and not np.isfinite(inner.to_numpy(zero_copy_only=False)).all():
                raise LiftwildError(f"{self.path} is damaged: {name} holds what is no number; prepare it again")
        if not (self.column("box")[:, 2:] > 0).all():
            raise LiftwildError(f"{self.path} is damaged: somebody's box has no size; prepare it again")

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._table)

    def column(self, name: str) -> np.ndarray:
        """A column as (N, ...): joints as (N, J, 2 or 3), validity as (N, J), box as (N, 4); ``subject``, ``group`` and
        ``source`` as (N,) text, ``annotation_id`` as (N,); ``head_size_px`` as (N,) and ``spine_3d`` as (N, 3), NaN
        where there is none."""
        column = self._table[name].combine_chunks()
        if name == "spine_3d":
            spines = np.full((len(self), 3), np.nan)
            spines[column.is_valid().to_numpy(zero_copy_only=False)] = column.flatten().to_numpy().reshape(-1, 3)
            return spines
        if name in ("subject", "group", "source", "annotation_id", "head_size_px"):
            return column.to_numpy(zero_copy_only=False)
        width = {"joints_2d": (J, 2), "joints_3d": (J, 3), "joints_2d_valid": (J,), "depth_valid": (J,), "box": (4,)}
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(self), *width[name])

    def __getitem__(self, index: int) -> Sample:
        """Row ``index`` with its picture decoded."""
        part, at = self._part(index)
        row = {name: part[name][at] for name in SCHEMA.names}
        encoded = np.frombuffer(row["image"].as_buffer(), dtype=np.uint8)
        whole = self._checksums[index] in (None, checksum(row["image"].as_buffer()))
        with without_noise() as noise:
            image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if whole and len(encoded) else None
        if image is None or noise.damage:
            raise LiftwildError(f"{self.path}: the picture of row {index} is broken; prepare the store again")

        def numbers(name: str, dtype: type = np.float64) -> np.ndarray:
            return row[name].values.to_numpy(zero_copy_only=False).astype(dtype)

        camera = Camera(*row["camera"].as_py()) if row["camera"].is_valid else None
        x, y, w, h = (float(value) for value in numbers("box"))
        return Sample(
            image=cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
            joints_2d=numbers("joints_2d").reshape(J, 2),
            joints_2d_valid=numbers("joints_2d_valid", np.bool_),
            joints_3d=numbers("joints_3d").reshape(J, 3),
            depth_valid=numbers("depth_valid", np.bool_),
            camera=camera,
            box=(x, y, w, h),
            source=row["source"].as_py(),
            annotation_id=row["annotation_id"].as_py(),
            subject=row["subject"].as_py(),
            group=row["group"].as_py(),
            head_size_px=row["head_size_px"].as_py(),
            visibility=numbers("visibility", np.uint8) if row["visibility"].is_valid else None,
            photo=tuple(numbers("photo").tolist()) if row["photo"].is_valid else None,
            spine_3d=numbers("spine_3d") if row["spine_3d"].is_valid else None,
        )

    def _part(self, index: int) -> tuple[pa.RecordBatch, int]:
        """The batch of a row, and its place in it: a table takes longer the more batches it has."""
        index = range(len(self))[index]
        part = bisect_right(self._ends, index)
        return self._parts[part], index - self._ends[part] + len(self._parts[part])

    def stored(self, rows: Sequence[int]) -> pa.RecordBatch:
        """Rows as they are stored, with the columns of ``SCHEMA``; LiftwildError if a picture in them is damaged."""
        parts = [part.slice(at, 1) for part, at in map(self._part, rows)]
        batch = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
        for row, found in zip(rows, image_checksums(batch), strict=True):
            if self._checksums[row] not in (None, found):
                raise LiftwildError(f"{self.path}: the picture of row {row} is broken; prepare the store again")
        return batch

    def fingerprint(self) -> str:
        """SHA-256 of the file: tells one store from another."""
        return fingerprint(self.path)

    def means(self) -> Means:
        """The means over every person whose 3D joints are all known."""
        return means_of(self.column("joints_3d")[self.column("depth_valid").all(axis=1)])

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return os.path.getsize(self.path)

    @property
    def shard_rows(self) -> tuple[int, ...]:
        """Rows of each of its files."""
        return (len(self),)


def fingerprint(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
