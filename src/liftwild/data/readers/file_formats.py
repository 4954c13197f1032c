"""The file formats of the data sets: MATLAB 5, HDF5 (MATLAB 7.3), CDF, npz, videos. Nothing is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def load_npz(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The arrays ``names`` of an npz file, and those of ``optional`` that it has.

    LiftwildError if it is missing, cut short, none such, lacks an array, or holds one as Python objects.
    """
    _need_file(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            lacking = [name for name in names if name not in file.files]
            if lacking:
                raise LiftwildError(f"{path} lacks {', '.join(lacking)}; it holds {', '.join(file.files)}")
            found = {}
            for name in (*names, *(name for name in optional if name in file.files)):
                try:
                    found[name] = file[name]
                except ValueError as error:
                    if "pickle" not in str(error):
                        raise
                    raise LiftwildError(
                        f"{path}: {name} holds Python objects, which are never unpickled; save it as plain numbers"
                    ) from None
            return found
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise LiftwildError(f"{path} cannot be read as npz, perhaps a half download: {error}") from None


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
