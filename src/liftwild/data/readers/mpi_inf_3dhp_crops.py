"""Reader of the crops of 368 px in which the authors had MPI-INF-3DHP's test set before its release.

``TS1`` to ``TS6`` with ``bb_cropped_data.mat`` (HDF5): images (1, n) refers to the network input of each frame,
(scales, 3, 368, 368) blue, green, red, 0.4 taken off; univ_annot3 (n, 1, 17, 3) mm, valid_frame (n, 1). The second
scale is taken, as the authors' code does; what is exactly 0 in all three channels is no photo, and black.

For the 2D joints, beside the folders, if they are there: ``MPI-INF-3DHP_2d_annot/TS1_gt_2d_annot.mat`` (annot2d, for
each frame (17, 2) px of the whole picture) and ``MPI-INF-3DHP_crop_info/TS1_crop_info.mat`` (crop_rectangle, for each
frame x, y, w, h). The crop is the square of the longer side about the rectangle's middle.

All of this as GetMPI-INF-3D.py and fusion.lua of pose-hg-3d read it; nothing of it is documented or public.
Unconfirmed: the order of the colours and of the axes of a picture, and that the second scale shows the whole square.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.crop import BOX_MARGIN
from liftwild.data.dataset import Dataset, Part
from liftwild.data.labels import Skip, labelled_sample, positions
from liftwild.data.readers.common import PEOPLE_A_PART, need_folder
from liftwild.data.readers.file_formats import load_hdf5, load_mat, load_referred
from liftwild.data.readers.mpi_inf_3dhp import PUBLISHED_TEST, SEQUENCES, TEST_FRAMES, TEST_JOINTS, UNUSED
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.schema import understood

DATA = "bb_cropped_data.mat"
CROP_PX = 368
SCALE_SHOWN = 1  # of a frame's network inputs
MEAN = 0.4  # taken off every pixel
NO_PHOTO = 1e-4  # farther from 0 than this is photo


def has_crops(source: Path) -> bool:
    """Whether ``source`` holds this layout, and not the released one."""
    there = [source / name for name in SEQUENCES if (source / name / DATA).is_file()]
    return bool(there) and not any((folder / "annot_data.mat").is_file() for folder in there)


def mpi_inf_3dhp_crops(source: str | Path, scale: str = "universal") -> Dataset:
    """The valid frames of TS1 to TS6, 3D joints scaled to one height for all.

    LiftwildError if there are none, or for another ``scale``. Source: Mehta et al., 3DV 2017; Zhou et al., ICCV 2017.
    """
    source = Path(source)
    if scale != "universal":
        raise LiftwildError(f"--scale {scale}: {DATA} holds the universal scale alone")
    need_folder(source, "TS1 to TS6 of MPI-INF-3DHP's test set")
    here = [name for name in SEQUENCES if (source / name / DATA).is_file()]
    if not here:
        raise LiftwildError(f"{source} holds no TS1/{DATA} and so on")
    parts, odd, flat_lacking = [], [], []
    for name in here:
        path = source / name / DATA
        (valid,) = load_hdf5(path, "valid_frame")
        with understood(path, DATA):
            frames = np.flatnonzero(np.ravel(valid) > 0.5)
        if len(frames) != TEST_FRAMES[name]:
            odd.append(f"{name} has {len(frames)} valid frames instead of {TEST_FRAMES[name]}")
        joints_2d = read_flat(source, name)
        if joints_2d is None:
            flat_lacking.append(name)
        elif len(frames) and len(joints_2d) <= frames[-1]:
            raise LiftwildError(f"{_flat_files(source, name)[0]} ends before the frames of {path}")
        for start in range(0, len(frames), PEOPLE_A_PART):
            some = frames[start : start + PEOPLE_A_PART]
            flat = None if joints_2d is None else joints_2d[some]
            parts.append(Part(f"{name}-{start:06d}", partial(_read, path, some, flat)))
    lacking = [name for name in SEQUENCES if name not in here]
    warnings = [f"MPI-INF-3DHP test: {', '.join(lacking)} not there"] if lacking else []
    warnings += [f"MPI-INF-3DHP test: {', '.join(odd)}"] if odd else []
    if flat_lacking:
        files = " and ".join(str(path) for path in _flat_files(source, flat_lacking[0]))
        warnings.append(f"no 2D joints of {', '.join(flat_lacking)}: {files} would have them")
    settings = {"source": str(source.resolve()), "split": "test", "crops": CROP_PX, "flat": flat_lacking}
    return Dataset("MPI-INF-3DHP test (crops)", parts, settings, (PUBLISHED_TEST, PUBLISHED_TEST), warnings, scale)


def _flat_files(source: Path, name: str) -> tuple[Path, Path]:
    """Where the 2D joints and the rectangles of a sequence are."""
    return (source / "MPI-INF-3DHP_2d_annot" / f"{name}_gt_2d_annot.mat",
            source / "MPI-INF-3DHP_crop_info" / f"{name}_crop_info.mat")  # fmt: skip


def read_flat(source: Path, name: str) -> np.ndarray | None:
    """Joints (n, 17, 2) in px of the crops of a sequence; None if one of its two files is not there."""
    joints_file, rectangles_file = _flat_files(source, name)
    if not (joints_file.is_file() and rectangles_file.is_file()):
        return None
    joints = _rows(joints_file, "annot2d", (len(TEST_JOINTS), 2))
    rectangles = _rows(rectangles_file, "crop_rectangle", (4,))
    if len(joints) != len(rectangles):
        raise LiftwildError(f"{joints_file} has {len(joints)} frames, {rectangles_file} has {len(rectangles)}")
    middle, side = rectangles[:, :2] + rectangles[:, 2:] / 2, rectangles[:, 2:].max(axis=1)
    known = side > 0
    px = np.divide(CROP_PX, side, out=np.full(len(side), np.nan), where=known)
    return np.asarray((joints - middle[:, None]) * px[:, None, None] + CROP_PX / 2)


def _rows(path: Path, field: str, shape: tuple[int, ...]) -> np.ndarray:
    """A variable (n, *shape): an array, or a cell for each frame."""
    values = load_mat(path, names=[field])
    with understood(path, f"what belongs to {DATA}"):
        values = values[field]
        cells: Any = values[:, 0] if values.dtype == object else values
        return np.stack([np.asarray(cell, dtype=np.float64).reshape(shape) for cell in cells])


def _read(path: Path, frames: np.ndarray, joints_2d: np.ndarray | None) -> Iterator[Sample | Skip]:
    """The people of some frames of one sequence."""
    match, name = positions(TEST_JOINTS, UNUSED), path.parent.name
    side = CROP_PX / BOX_MARGIN  # the crop is the whole picture
    corner = (CROP_PX - side) / 2
    (all_joints,) = load_hdf5(path, "univ_annot3")
    with understood(path, DATA):
        space = all_joints[frames].astype(np.float64)
    if space.shape[1:] != (1, len(TEST_JOINTS), 3):
        raise LiftwildError(f"{path}: univ_annot3 is {all_joints.shape}, not (n, 1, {len(TEST_JOINTS)}, 3)")
    for at, frame in enumerate(frames.tolist()):
        yield labelled_sample(
            picture_of(path, load_referred(path, "images", (0, frame))), match,
            None if joints_2d is None else joints_2d[at], joints_3d=space[at, 0], source=f"{name}/{DATA}#{frame}",
            annotation_id=frame, box=(corner, corner, side, side), subject=name, group=name,
        )  # fmt: skip


def picture_of(path: Path, blob: np.ndarray) -> np.ndarray:
    """The picture (368, 368, 3) uint8 RGB of a network input (scales, 3, 368, 368); LiftwildError if it is none."""
    if (
        blob.ndim != 4
        or blob.shape[0] <= SCALE_SHOWN
        or blob.shape[1:] != (3, CROP_PX, CROP_PX)
        or blob.dtype.kind not in "iuf"
    ):
        raise LiftwildError(f"{path}: a frame of images is {blob.shape}, not (2 or more, 3, {CROP_PX}, {CROP_PX})")
    shown = np.nan_to_num(blob[SCALE_SHOWN].astype(np.float64))  # NaN of a damaged file is no photo either
    is_photo = (np.abs(shown) > NO_PHOTO).any(axis=0)
    bgr = np.where(is_photo, np.clip(shown + MEAN, 0, 1) * 255, 0).round().astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(bgr[::-1], 0, -1))
