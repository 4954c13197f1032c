"""The file formats of the data sets: MATLAB 5, HDF5 (MATLAB 7.3), CDF, videos. Nothing in them is ever unpickled.

All but videos are read by a process of its own. LiftwildError, which names the file, if one is missing, cut short,
damaged, of another format, or lacks what is asked for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.data.readers import binary_files
from liftwild.data.readers.foreign_process import read_apart
from liftwild.errors import LiftwildError


def _need(path: Path, module: str = "") -> None:
    if module and importlib.util.find_spec(module) is None:
        raise LiftwildError(f"reading this data set needs {module}: pip install 'liftwild[datasets]'")
    if not path.is_file():
        raise LiftwildError(f"no file {path}")


def load_mat(path: Path, structs: bool = False, names: Sequence[str] | None = None) -> dict[str, Any]:
    """The variables ``names`` (None: all) of a MATLAB 5 file; with ``structs`` as objects with attributes, dimensions
    of 1 dropped."""
    _need(path, "scipy.io")
    return read_apart(binary_files.mat_variables, path, structs, names)


def load_hdf5(path: Path, *names: str) -> list[np.ndarray]:
    """The datasets ``names`` of an HDF5 file."""
    _need(path, "h5py")
    return read_apart(binary_files.hdf5_arrays, path, names)


def load_referred(path: Path, name: str, at: tuple[int, int]) -> np.ndarray:
    """The array to which the reference ``at`` in the dataset ``name`` of an HDF5 file refers."""
    _need(path, "h5py")
    return read_apart(binary_files.hdf5_referred, path, name, at)


def load_mask_extents(path: Path, name: str, frames: Sequence[int]) -> list[tuple[int, int, int, int] | None]:
    """Of each of ``frames`` left, right, top and bottom of its mask (width, height) in an HDF5 file, px; None where it
    is empty or not there."""
    _need(path, "h5py")
    return read_apart(binary_files.hdf5_mask_extents, path, name, frames)


def load_cdf(path: Path, variable: str = "Pose") -> np.ndarray:
    """One variable of a CDF file."""
    _need(path, "cdflib")
    return read_apart(binary_files.cdf_variable, path, variable)


def video_frames(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Frames (H, W, 3) uint8 RGB of a video with their numbers from 0 on; ``wanted`` rises.

    Ends early where the video does. LiftwildError if it is missing or not a single frame can be read.
    """
    _need(path)
    from liftwild.media.video_file import VideoFile  # loads FFmpeg, which other formats do not need

    one_read = False
    try:
        video = VideoFile(path)
        for frame in video.frames(wanted=frozenset(wanted)):
            if video.missing() or frame.image is None:  # what cannot be decoded has no number: later ones are wrong
                break
            one_read = True
            yield frame.number, frame.image
            if frame.number == wanted[-1]:
                return
    except LiftwildError as error:
        raise LiftwildError(f"{path} cannot be read as a video, perhaps a half download: {error}") from None
    if not one_read:
        raise LiftwildError(f"{path} cannot be read as a video, perhaps a half download")
