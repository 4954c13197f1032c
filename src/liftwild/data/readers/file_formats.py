"""The file formats of the data sets: MATLAB 5, HDF5 (MATLAB 7.3), CDF, npz, videos. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from liftwild.errors import LiftwildError


def _lacks(module: str | None) -> LiftwildError:
    return LiftwildError(f"reading this data set needs {module}: pip install 'liftwild[datasets]'")


def _need_file(path: Path) -> None:
    if not path.is_file():
        raise LiftwildError(f"no file {path}")


def load_mat(path: Path, structs: bool = False) -> dict[str, Any]:
    """The variables of a MATLAB 5 file; with ``structs`` as objects with attributes, dimensions of 1 dropped.

    All of them, so that a file that was cut short is noticed. LiftwildError if it is missing, cut short or none such.
    """
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError as error:
        raise _lacks(error.name) from None
    _need_file(path)
    try:
        return loadmat(path, squeeze_me=structs, struct_as_record=not structs)
    except NotImplementedError:
        raise LiftwildError(f"{path} is a MATLAB 7.3 file; a MATLAB 5 file is expected") from None
    except Exception as error:  # scipy raises whatever a broken file leads it to
        raise LiftwildError(f"{path} cannot be read, perhaps a half download: {error}") from None


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """The h5py file at ``path``; LiftwildError if it is missing, cut short, no such file or lacks what is read."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise _lacks(error.name) from None
    _need_file(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except KeyError as error:
        raise LiftwildError(f"{path} lacks a field: {error.args[0]}") from None
    except OSError as error:
        raise LiftwildError(f"{path} cannot be read, perhaps a half download: {error}") from None


def load_cdf(path: Path, variable: str = "Pose") -> np.ndarray:
    """One variable of a CDF file; LiftwildError if the file is missing, cut short or has no such variable."""
    try:
        import cdflib
    except ModuleNotFoundError as error:
        raise _lacks(error.name) from None
    _need_file(path)
    try:
        return np.asarray(cdflib.CDF(path).varget(variable), dtype=np.float64)
    except Exception as error:  # cdflib raises whatever a broken file leads it to
        raise LiftwildError(f"{path} cannot be read, perhaps a half download: {error}") from None


def video_frames(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Frames (H, W, 3) uint8 RGB of a video with their numbers from 0 on; ``wanted`` rises.

    Ends early where the video does. LiftwildError if it is missing or not a single frame can be read.
    """
    _need_file(path)
    video = cv2.VideoCapture(str(path))
    try:
        at = 0
        for number in wanted:
            while at < number and video.grab():
                at += 1
            there, frame = video.read() if at == number else (False, None)
            if not there or frame is None:
                if number == wanted[0]:
                    raise LiftwildError(f"{path} cannot be read as a video, perhaps a half download")
                return
            at += 1
            yield number, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        video.release()
