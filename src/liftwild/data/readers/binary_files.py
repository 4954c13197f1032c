"""Binary files of data sets as their C libraries read them. Runs in a process of its own (``read_apart``): a damaged
file may end it or never be done. Imports little, as that process starts with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def mat_variables(path: Path, structs: bool, names: Sequence[str] | None) -> dict[str, Any]:
    """The variables ``names`` of a MATLAB 5 file, None: all. All are read, so that a file cut short is noticed."""
    from scipy.io import loadmat

    try:
        found = loadmat(path, squeeze_me=structs, struct_as_record=not structs)
    except NotImplementedError:
        raise ValueError("it is a MATLAB 7.3 file; a MATLAB 5 file is expected") from None
    return {name: value for name, value in found.items() if names is None or name in names}


def cdf_variable(path: Path, name: str) -> np.ndarray:
    """One variable of a CDF file."""
    import cdflib

    return np.asarray(cdflib.CDF(path).varget(name), dtype=np.float64)


def hdf5_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """The datasets ``names`` of an HDF5 file."""
    import h5py

    with h5py.File(path, "r") as file:
        return [np.asarray(file[name][()]) for name in names]


def hdf5_referred(path: Path, name: str, at: tuple[int, int]) -> np.ndarray:
    """What the reference ``at`` in the dataset ``name`` of an HDF5 file refers to."""
    import h5py

    with h5py.File(path, "r") as file:
        return np.asarray(file[file[name][at]])


def hdf5_mask_extents(path: Path, name: str, frames: Sequence[int]) -> list[tuple[int, int, int, int] | None]:
    """Of each of ``frames`` left, right, top and bottom of the ones in its mask (width, height), to which the dataset
    ``name`` (n, 1) refers; None where a mask is empty or not there."""
    import h5py

    found: list[tuple[int, int, int, int] | None] = []
    with h5py.File(path, "r") as file:
        masks = file[name]
        for frame in frames:
            mask = np.asarray(file[masks[frame, 0]]) == 1 if frame < len(masks) else np.zeros((0, 0), dtype=bool)
            if mask.ndim != 2:
                raise ValueError(f"the mask of frame {frame} is {mask.shape}, not (width, height)")
            columns, rows = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            sides = (columns[0], columns[-1] + 1, rows[0], rows[-1] + 1) if len(columns) else None
            found.append(None if sides is None else tuple(map(int, sides)))  # type: ignore[arg-type]
    return found
