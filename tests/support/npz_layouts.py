"""People in the npz files of mmpose and SPIN, and in MPI-INF-3DHP's crops of 368 px."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

from liftwild.data.readers import h36m, mpi_inf_3dhp
from tests.support.dataset_layouts import MADE_UP, Cast
from tests.support.images import write_photo

# Where SPIN's programs put the 17 joints of Human3.6M, and those of MPI-INF-3DHP in the same order, among their 24.
SPIN_PLACES = (14, 2, 1, 0, 3, 4, 5, 16, 12, 17, 18, 9, 10, 11, 8, 7, 6)
CENTRE, SCALE = (150.0, 110.0), 0.9


def write_npz(path: Path, kind: str, names: Sequence[str], cast: Cast = MADE_UP, **changed: Any) -> Path:
    """An npz file of ``kind`` "mmpose h36m", "mmpose 3dhp" or "spin", person i of it number i of the cast, and the
    photos ``names`` in ``images/`` beside it. ``changed``: other arrays, None: without that one."""
    joints = mpi_inf_3dhp.TEST_JOINTS if kind == "mmpose 3dhp" else h36m.JOINTS
    people = range(len(names))
    flat = np.stack([cast.flat_in(joints, number) for number in people])
    space = np.stack([cast.space_in(joints, number) for number in people]) / 1000
    part, points = (np.concatenate([each, np.ones((*each.shape[:2], 1))], axis=2) for each in (flat, space))
    if kind == "spin":
        points[..., :3] -= points[:, :1, :3]
        part, points = (_among_24(each) for each in (part, points))
    arrays: dict[str, Any] = {
        "imgname": np.array(names), "center": np.tile(CENTRE, (len(names), 1)), "scale": np.full(len(names), SCALE),
        "part": part, "S": points,
    }  # fmt: skip
    arrays |= changed
    for number, name in enumerate(names):
        write_photo(path.parent / "images" / name, cast.picture(number))
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    return path


def _among_24(joints: np.ndarray) -> np.ndarray:
    placed = np.zeros((len(joints), 24, joints.shape[2]))
    placed[:, SPIN_PLACES] = joints
    return placed


RECTANGLE = (40.0, 10.0, 200.0, 220.0)  # of every crop, in px of the whole picture


def write_3dhp_crops(source: Path, name: str, frames: int, flat: str = "cells", cast: Cast = MADE_UP) -> Path:
    """One sequence of crops; every third frame is not valid. ``flat``: 2D joints as "cells", as an "array", or "" for
    none. The left half of each picture is blue, the right one grey, the uppermost 10 rows no photo."""
    (source / name).mkdir(parents=True)
    numbers = range(frames)
    with h5py.File(source / name / "bb_cropped_data.mat", "w") as file:
        refs = file.create_dataset("images", (1, frames), dtype=h5py.ref_dtype)
        for number in numbers:
            blob = np.full((2, 3, 368, 368), 0.25)
            blob[1, :, :, :184] = np.array([0.5, -0.3, -0.35])[:, None, None]  # blue, green, red
            blob[1, :, :10] = 0
            refs[0, number] = file.create_dataset(f"#refs#/{number}", data=blob, compression="gzip").ref
        file["univ_annot3"] = np.stack([cast.space_in(mpi_inf_3dhp.TEST_JOINTS, i) for i in numbers])[:, None]
        file["valid_frame"] = np.array([[float(i % 3 != 2)] for i in numbers])
        file["activity_annotation"] = np.ones((frames, 1))
    if flat:
        joints = np.stack([cast.flat_in(mpi_inf_3dhp.TEST_JOINTS, i) for i in numbers])
        rectangles = np.tile(RECTANGLE, (frames, 1))
        cells = [np.empty((frames, 1), dtype=object) for _ in range(2)]
        for i in numbers:
            cells[0][i, 0], cells[1][i, 0] = joints[i], rectangles[i : i + 1]
        is_array = flat == "array"
        for folder, file_name, field, values in (
            ("MPI-INF-3DHP_2d_annot", f"{name}_gt_2d_annot.mat", "annot2d", joints[:, None] if is_array else cells[0]),
            ("MPI-INF-3DHP_crop_info", f"{name}_crop_info.mat", "crop_rectangle", rectangles if is_array else cells[1]),
        ):
            (source / folder).mkdir(exist_ok=True)
            savemat(source / folder / file_name, {field: values})
    return source / name
