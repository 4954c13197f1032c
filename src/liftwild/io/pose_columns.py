"""Poses of photos as columns of a table: a row for each photo, its people as a nested list (docs/scale.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from liftwild.pose import Pose, Recording
from liftwild.skeleton import MPII_16

if TYPE_CHECKING:
    import pyarrow as pa

# Of each person: lists of numbers, one for each joint or, of the last two, of each joint's coordinates.
PER_JOINT = ("confidence", "depth_sd_mm", "inside", "visible")
COORDINATES = ("joints_2d", "joints_3d")
POSE_COLUMNS = ("width", "height", "people", "error", "warning")
UNITS = {
    "box": "x, y, w, h px", "joints_2d": "x, y px of the photo",
    "joints_3d": "x, y, z mm, zero at the pelvis; x right, y down, z away from the camera",
    "root_mm": "the pelvis in camera space, mm",
}  # fmt: skip


class PoseRow(NamedTuple):
    """A photo's people, or in place of them the ``error`` in one line; ``warning``: what is to be said of damage."""

    recording: Recording | None
    error: str | None
    warning: str | None


def pose_columns(rows: Sequence[PoseRow]) -> dict[str, list[Any]]:
    """The columns ``POSE_COLUMNS`` of photos, as lists of what JSON holds; None where something is not known.

    ``people`` and sizes are None in a row that has an ``error``; ``people`` is empty where nobody was found.
    """
    found = [row.recording for row in rows]
    return {
        "width": [None if each is None else int(each.width) for each in found],
        "height": [None if each is None else int(each.height) for each in found],
        "people": [None if each is None else [_person(pose) for pose in each.poses] for each in found],
        "error": [row.error for row in rows],
        "warning": [row.warning for row in rows],
    }


def pose_schema() -> pa.Schema:
    """The columns as Arrow types, with joints and units in its metadata; needs pyarrow."""
    import pyarrow as pa

    numbers = pa.list_(pa.float32())
    person = pa.struct(
        [
            ("score", pa.float32()), ("box", numbers), ("root_mm", numbers),
            *((name, pa.list_(numbers)) for name in COORDINATES), *((name, numbers) for name in PER_JOINT),
        ]
    )  # fmt: skip
    columns = [
        ("width", pa.int32()), ("height", pa.int32()), ("people", pa.list_(person)), ("error", pa.string()),
        ("warning", pa.string()),
    ]  # fmt: skip
    note = {"joint_names": list(MPII_16.names), "parents": list(MPII_16.parents), "units": UNITS}
    return pa.schema(columns, metadata={"liftwild": json.dumps(note)})


def _person(pose: Pose) -> dict[str, Any]:
    def known(values: Any) -> Any:
        return None if values is None else np.asarray(values, np.float32).tolist()

    names = ("box", "root_mm", *COORDINATES, *PER_JOINT)
    return {"score": pose.score, **{name: known(getattr(pose, name)) for name in names}}
