"""Predictions on labelled stores, kept in one Arrow IPC file with the labels: what every score is made from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.crop import BOX_MARGIN, Crop
from liftwild.data.arrow_file import read_arrow, write_batch
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation import measure
from liftwild.evaluation.about import About, StoreNote
from liftwild.evaluation.measure import Measured, Watch
from liftwild.network.posenet import PoseNet
from liftwild.sample import Sample
from liftwild.schema import build, parse_json, shorter
from liftwild.skeleton import MPII_16

try:
    import pyarrow as pa
    import pyarrow.compute
except ImportError:  # pragma: no cover - shown by the wheel check
    raise LiftwildError("predictions need pyarrow: pip install 'liftwild[train]'") from None

VERSION = 4  # 2: subject, group, head_size_px; 3: inside, and bone_length_mm in ``about``; 4: spine_3d
J = len(MPII_16)
INPUT_PX = {"is": "x, y in px of the network's input"}
CAMERA_MM = {"is": "x, y, z in mm, camera space"}

SCHEMA = pa.schema(
    [
        pa.field("store", pa.string()),
        pa.field("source", pa.string(), metadata={"is": "file of the photo"}),
        pa.field("annotation_id", pa.int64()),
        pa.field("subject", pa.string()),
        pa.field("group", pa.string(), metadata={"is": "what a protocol averages by: an action, a sequence"}),
        pa.field("head_size_px", pa.float64(), metadata={"is": "px of the network's input, null: unknown"}),
        pa.field("pred_2d", pa.list_(pa.float32(), 2 * J), metadata=INPUT_PX),
        pa.field("pred_2d_picture", pa.list_(pa.float32(), 2 * J), metadata={"is": "x, y in px of the stored picture"}),
        pa.field("confidence", pa.list_(pa.float32(), J), metadata={"is": "height of the heatmap's peak"}),
        pa.field("pred_depth", pa.list_(pa.float32(), J), metadata={"is": "1 is half the network's input"}),
        pa.field("inside", pa.list_(pa.float32(), J), metadata={"is": "chance to lie in the photo, null: unknown"}),
        # Follows from pred_2d, pred_depth and inside, from which scores are made; here for other readers.
        pa.field("pred_3d", pa.list_(pa.float32(), 3 * J), metadata={"is": "x, y, z in mm, camera axes, pelvis at 0"}),
        pa.field("true_2d", pa.list_(pa.float64(), 2 * J), metadata=INPUT_PX),
        pa.field("valid_2d", pa.list_(pa.bool_(), J)),
        pa.field("true_3d", pa.list_(pa.float64(), 3 * J), metadata=CAMERA_MM),
        pa.field("valid_3d", pa.list_(pa.bool_(), J)),
        pa.field("spine_3d", pa.list_(pa.float64(), 3), metadata={"is": "Human3.6M's spine as true_3d, null: unknown"}),
    ]
)
WIDTHS = {
    field.name: field.type.list_size // J
    for field in SCHEMA
    if pa.types.is_fixed_size_list(field.type) and field.type.list_size >= J
}
OWN = ("pred_2d_picture", "pred_3d")  # columns that ``Measured`` does not keep


@dataclass(frozen=True, eq=False)
class StorePredictions:
    """Predictions on one store, N people in its order.

    ``name``, ``fingerprint``, ``scale``: of the store; ``source`` (N) photos' files, ``annotation_id`` (N,) int;
    ``subject``, ``group`` (N) as in ``Sample``; ``head_size_px`` (N,) px of the network's input, NaN: unknown;
    ``pred_2d_picture`` (N, J, 2): the predicted joints in px of the stored picture; ``measured``: the rest.
    """

    name: str
    fingerprint: str
    source: tuple[str, ...]
    annotation_id: np.ndarray
    subject: tuple[str, ...]
    group: tuple[str, ...]
    head_size_px: np.ndarray
    pred_2d_picture: np.ndarray
    measured: Measured
    scale: str = ""

    @property
    def has_3d(self) -> bool:
        """Whether the store has 3D labels."""
        return bool(self.measured.valid_3d.any())


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one network predicted on some stores.

    ``about``: liftwild (version), weights {name, sha256}, protocol, flip_test, input_px, sum_length_mm, bone_length_mm
    (14, or None), mean_pose_mm (J lists of 3, or None); perhaps switches (of the protocol, by name) and any_count
    (bool).
    """

    about: dict[str, Any]
    stores: tuple[StorePredictions, ...]

    @property
    def mean_pose_mm(self) -> np.ndarray | None:
        """Mean pose of the training data (J, 3) in mm, if the weights know it."""
        pose = self.about["mean_pose_mm"]
        return None if pose is None else np.array(pose, dtype=np.float64)

    @property
    def counts(self) -> list[tuple[int, bool]]:
        """How many people each store has, and whether there are 3D labels."""
        return [(len(store.source), store.has_3d) for store in self.stores]

    @property
    def measured(self) -> Measured:
        """Everybody of all stores."""
        return Measured.joined([store.measured for store in self.stores])

    @property
    def group(self) -> list[str]:
        """Which group everybody is of (N)."""
        return [group for store in self.stores for group in store.group]

    @property
    def head_size_px(self) -> np.ndarray:
        """Everybody's head size (N,), px of the network's input, NaN: unknown."""
        return np.concatenate([store.head_size_px for store in self.stores])

    def of(self, *stores: StorePredictions) -> Predictions:
        """Only these stores."""
        return replace(self, stores=stores)


def predict_store(
    net: PoseNet,
    store: Store,
    sum_length_mm: float,
    batch_size: int = 32,
    flip_test: bool = False,
    watch: Watch = iter,
    bone_length_mm: np.ndarray | None = None,
) -> StorePredictions:
    """Predict everybody in ``store``; ``watch`` sees the people go by, for a progress bar; the rest as in
    ``measure.run``."""
    labels: list[tuple[str, int, str, str, float]] = []
    crops: list[Crop] = []

    def noted() -> Iterator[Sample]:
        for sample in measure.rows(store):
            crop = Crop.around(sample.box, BOX_MARGIN)
            head = np.nan if sample.head_size_px is None else sample.head_size_px / crop.size_px
            labels.append((sample.source, sample.annotation_id, sample.subject, sample.group, head))
            crops.append(crop)
            yield sample

    measured = measure.run(net, watch(noted()), sum_length_mm, batch_size, flip_test, bone_length_mm=bone_length_mm)
    measured = replace(measured, depth_spread=None, visible=None, presence=None)  # a file does not keep them
    in_picture = [
        crop.to_photo(joints, measured.input_px) for crop, joints in zip(crops, measured.pred_2d, strict=True)
    ]
    source, ids, subject, group, head = zip(*labels, strict=True)
    return StorePredictions(
        store.path.stem, store.fingerprint(), source, np.array(ids, dtype=np.int64), subject, group,
        np.array(head) * measured.input_px, np.stack(in_picture), measured, store.scale,
    )  # fmt: skip


def encode(predictions: Predictions) -> bytes:
    """The content of a predictions file."""
    stores = [
        {"name": each.name, "people": len(each.source), "fingerprint": each.fingerprint}
        | ({"scale": each.scale} if each.scale else {})
        for each in predictions.stores
    ]
    about = {
        "liftwild_predictions": str(VERSION),
        "joint_names": json.dumps(MPII_16.names),
        "about": json.dumps({**predictions.about, "stores": stores}),
    }
    sink = pa.BufferOutputStream()
    schema = SCHEMA.with_metadata(about)
    with pa.ipc.new_file(sink, schema) as writer:
        for each in predictions.stores:
            values = _values(each)
            columns = [_column(field, values[field.name], len(each.source)) for field in SCHEMA]
            write_batch(writer, pa.record_batch(columns, schema=schema))
    return sink.getvalue().to_pybytes()


def _values(each: StorePredictions) -> dict[str, Any]:
    """The columns of one store."""
    measured = each.measured
    return {
        "store": [each.name] * len(each.source),
        "source": each.source,
        "annotation_id": each.annotation_id,
        "subject": each.subject,
        "group": each.group,
        "head_size_px": [None if np.isnan(size) else size for size in each.head_size_px.tolist()],
        "pred_2d_picture": each.pred_2d_picture,
        "pred_3d": measured.pred_3d,
        "spine_3d": None if measured.spine_3d is None else _or_null(measured.spine_3d),
        **{name: getattr(measured, name) for name in WIDTHS if name not in OWN},
    }


def _or_null(rows: np.ndarray) -> list[list[float] | None]:
    """Rows (N, K), None where one is not a number."""
    return [row.tolist() if np.isfinite(row).all() else None for row in rows]


def _column(field: pa.Field, values: Any, people: int) -> pa.Array:
    if values is None:
        return pa.nulls(people, field.type)
    if field.name not in WIDTHS:
        return pa.array(values, field.type)
    kind = field.type.value_type
    flat = np.ascontiguousarray(values).ravel().astype(kind.to_pandas_dtype())
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, kind), type=field.type)


def find_predictions(paths: Sequence[Path]) -> list[Path]:
    """The predictions files in ``paths``, which are such files or folders that hold some, however deep.

    LiftwildError if one holds none.
    """
    found: list[Path] = []
    for path in paths:
        own = [path]
        if path.is_dir():
            own = [file for file in sorted(path.rglob("*.arrow")) if is_predictions_file(file)]
            if not own:
                raise LiftwildError(f"no predictions in {path}; 'liftwild evaluate ... -o {path}/x.arrow' makes them")
        found += [file for file in own if file not in found]
    return found


def is_predictions_file(path: Path) -> bool:
    """Whether ``path`` is a predictions file of any version."""
    try:
        with pa.OSFile(str(path), "rb") as file:
            return b"liftwild_predictions" in (pa.ipc.open_file(file).schema.metadata or {})
    except (OSError, pa.ArrowException):
        return False


def read_predictions(path: Path) -> Predictions:
    """The predictions in a file that ``encode`` filled.

    LiftwildError if it is missing, is something else, of another version, or does not hold what it says it does.
    """
    try:
        table, _ = read_arrow(path, "a predictions file")
    except FileNotFoundError:
        raise LiftwildError(f"no predictions {path}; 'liftwild evaluate WEIGHTS STORE -o {path}' makes them") from None
    metadata = table.schema.metadata or {}
    version = metadata.get(b"liftwild_predictions")
    if version is None:
        raise LiftwildError(f"{path} is an Arrow file, but not a predictions file of 'liftwild evaluate -o'")
    if version != str(VERSION).encode():
        other = shorter(version.decode("ascii", "replace"))
        raise LiftwildError(f"{path} is a predictions file of version {other}; this liftwild reads {VERSION}")
    told = parse_json(metadata.get(b"about", b""), f"the description in {path}")
    try:
        about = build(About, told)
        whole = table.schema.equals(SCHEMA) and metadata.get(b"joint_names") == json.dumps(MPII_16.names).encode()
        whole = whole and sum(each.people for each in about.stores) == len(table) > 0
        stores = tuple(_store(table, about, each) for each in about.stores) if whole else ()
    except ValueError as error:
        raise LiftwildError(f"{path} does not hold the predictions that it should: {error}; make it again") from None
    if not stores:
        raise LiftwildError(f"{path} does not hold the predictions that its own description promises; make it again")
    return Predictions({key: value for key, value in told.items() if key != "stores"}, stores)


def _store(table: pa.Table, about: About, own: StoreNote) -> StorePredictions:
    """One store's part of a file; ValueError if it is not as its description says."""
    rows = table.filter(pa.compute.equal(table["store"], own.name)).combine_chunks()
    if len(rows) != own.people:
        raise ValueError(f"{own.name} has {len(rows)} people, not {own.people}")
    if any(rows[name].null_count for name in ("source", "annotation_id", "subject", "group")):
        raise ValueError("somebody has no source, annotation_id, subject or group")

    def array(name: str) -> np.ndarray:
        flat = rows[name].combine_chunks().flatten()
        if flat.null_count:
            raise ValueError(f"{name} has holes")
        if name != "inside" and not np.isfinite(flat.to_numpy(zero_copy_only=False)).all():
            raise ValueError(f"{name} holds what is no number")
        shape = (len(rows), J) if WIDTHS[name] == 1 else (len(rows), J, WIDTHS[name])
        return flat.to_numpy(zero_copy_only=False).reshape(shape)

    absent = {"inside"} if rows["inside"].null_count == len(rows) else set()
    bones = about.bone_length_mm
    spines = np.array([spine or [np.nan] * 3 for spine in rows["spine_3d"].to_pylist()], dtype=np.float64)
    measured = Measured(
        **{name: array(name) for name in WIDTHS if name not in OWN and name not in absent},
        input_px=about.input_px,
        sum_length_mm=about.sum_length_mm,
        bone_length_mm=None if bones is None else np.array(bones, dtype=np.float64),
        spine_3d=spines,
    )
    return StorePredictions(
        own.name, own.fingerprint, tuple(rows["source"].to_pylist()), rows["annotation_id"].to_numpy(),
        tuple(rows["subject"].to_pylist()), tuple(rows["group"].to_pylist()),
        rows["head_size_px"].to_numpy().astype(np.float64), array("pred_2d_picture"), measured, own.scale,
    )  # fmt: skip


def check_names(paths: Sequence[Path]) -> None:
    """LiftwildError if two stores would have one name."""
    for number, path in enumerate(paths):
        for other in paths[:number]:
            if other.stem == path.stem:
                raise LiftwildError(f"{other} and {path} have one name, {path.stem}; rename one or give it once")
