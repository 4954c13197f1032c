"""A person's track as C3D, for motion capture tools: points in mm, y up, at one rate, a file for each person."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.io.format import File, Format
from liftwild.kinematics.animation import clock, in_between
from liftwild.kinematics.upright import upright
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import Skeleton

MARK = "liftwild"
MM_PER_M = 1000.0
SAME, MAX_GAP = 1e-6, 1.5  # frames: times that are one; poses that are further apart have nothing between them
GROUP = 60  # a number that none of the library's own groups has
KIND = b"\x02P"  # what a C3D file begins with
PARAMETER_BYTES = 8192  # the file's part that holds them, at most


def need_c3d() -> None:
    """LiftwildError, with what to install, if C3D cannot be written here."""
    try:
        import c3d  # noqa: F401
    except ModuleNotFoundError:
        raise LiftwildError("c3d files need c3d: pip install 'liftwild[c3d]'") from None


def c3d_bytes(track: PoseTrack, times_s: np.ndarray) -> bytes:
    """The C3D file of a track of at least one frame; ``times_s`` (F,): when the clip's frames are, s.

    Frames go from the person's first to the last, at one rate; their first number is the clip's, from 1, where the
    clip's frames come evenly, else they are resampled. A hidden joint, and a frame without the person, are invalid
    points (residual -1). LiftwildError without the library.
    """
    need_c3d()
    import c3d

    pelvis, joints = upright(track)
    frame_time_s, at, to, is_resampled = clock(np.asarray(times_s, dtype=np.float64), track.frames)
    places = _resampled((joints + pelvis[:, None]) * MM_PER_M, at, to)
    writer = c3d.Writer(point_rate=1 / frame_time_s, point_units="mm")
    writer.set_point_labels(list(track.skeleton.names))
    writer.set_screen_axis("+X", "+Y")
    writer.set_start_frame(1 if is_resampled else int(track.frames[0]) + 1)
    writer.add_group(GROUP, "MANUFACTURER", "").add_str("SOFTWARE", "", MARK, len(MARK))
    nothing = np.zeros((0, 1))
    for points in places:
        known = np.isfinite(points).all(axis=-1)
        row = np.zeros((len(points), 5))
        row[:, :3] = np.where(known[:, None], points, 0.0)
        row[:, 3] = np.where(known, 0.0, -1.0)
        writer.add_frames((row, nothing))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no analog channels
        writer.write(buffer)
    return buffer.getvalue()


def _resampled(places: np.ndarray, at: np.ndarray, to: np.ndarray) -> np.ndarray:
    """``places`` (T, J, 3) at the times ``at`` (T,) as they are at ``to`` (M,), NaN in longer gaps than a frame's."""
    step = float(np.median(np.diff(to))) if len(to) > 1 else 1.0
    after = np.clip(np.searchsorted(at, to - SAME * step), 0, len(at) - 1)
    is_pose = np.abs(at[after] - to) <= SAME * step
    out = in_between(places, at, to)  # NaN next to NaN
    out[is_pose] = places[after[is_pose]]
    out[~is_pose & (at[after] - at[np.maximum(after - 1, 0)] > MAX_GAP * step)] = np.nan
    return out


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    (track,) = recording.tracks
    notes: tuple[str, ...] = ()
    if clock(np.asarray(recording.times_s, dtype=np.float64), track.frames)[-1]:
        notes = ("resampled: the clip's frames come unevenly",)
    yield File(f"{stem}.c3d", c3d_bytes(track, recording.times_s), notes)


def _recognise(path: Path, head: bytes) -> bool:
    """The mark is among the parameters, which follow the header."""
    if not head.startswith(KIND):
        return False
    with path.open("rb") as file:
        return MARK.encode() in file.read(PARAMETER_BYTES)


def _describe(recording: Recording, skeleton: Skeleton) -> list[str]:
    return ["C3D: mm, else as above; an invalid point (residual -1) is a hidden joint, or a frame without the person"]


FORMAT = Format(
    "c3d", "joints as points for motion capture tools, a file a person; needs c3d", (".c3d",), _write, _recognise,
    _describe, per_person=True, needs_floor=True, check=need_c3d,
)  # fmt: skip
