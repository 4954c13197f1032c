"""A person's track as TRC, for OpenSim: markers in m, y up, tabs between, one file for each person."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import reading
from liftwild.io.description import FARTHEST, MAX_FRAMES
from liftwild.io.format import File, Format
from liftwild.io.places_reader import UNITS_M, recording_of_places
from liftwild.kinematics.upright import upright
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import Skeleton

DEFAULT_RATE_HZ = 30.0  # of a single frame


def trc_bytes(track: PoseTrack, times_s: np.ndarray, name: str) -> bytes:
    """The TRC file called ``name`` of a track of at least one frame; ``times_s`` (F,): when the clip's frames are, s.

    Rows are the frames in which a joint is known, with their numbers in the clip, from 1, and their times; hidden
    joints are empty cells. A row without any marker would end OpenSim's inverse kinematics: it is left out, but for a
    person without any. ``DataRate`` is that of the clip (median).
    """
    times_s = np.asarray(times_s, dtype=np.float64)
    pelvis, joints = upright(track)
    places = joints + pelvis[:, None]
    seen = np.isfinite(places).all(axis=-1).any(axis=-1)
    if not seen.any():
        seen[:] = True
    frames, places = np.asarray(track.frames)[seen], places[seen]
    steps = np.diff(times_s)
    rate = f"{1 / np.median(steps[steps > 0]) if (steps > 0).any() else DEFAULT_RATE_HZ:.6g}"
    count, markers = len(places), len(track.skeleton)
    facts = {
        "DataRate": rate, "CameraRate": rate, "NumFrames": count, "NumMarkers": markers, "Units": "m",
        "OrigDataRate": rate, "OrigDataStartFrame": int(frames[0]) + 1, "OrigNumFrames": count,
    }  # fmt: skip
    axes = [f"{axis}{marker}" for marker in range(1, markers + 1) for axis in "XYZ"]
    lines = ["\t".join(cells) for cells in (["PathFileType", "4", "(X/Y/Z)", name], facts, map(str, facts.values()))]
    # A tab after every cell, as OpenSim writes them: it overlooks an empty cell at the end of a line without one.
    lines.append("".join(["Frame#\tTime\t", *(f"{marker}\t\t\t" for marker in track.skeleton.names)]))
    lines += ["".join(["\t\t", *(f"{axis}\t" for axis in axes)]), ""]
    flat = np.round(places, 6).reshape(count, -1) + 0.0
    for frame, row in zip(frames.tolist(), flat.tolist(), strict=True):
        cells = ["\t" if math.isnan(value) else f"{value:.6f}\t" for value in row]
        lines.append("".join([f"{frame + 1}\t{times_s[frame]:.6f}\t", *cells]))
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def read_trc(path: str | Path) -> Recording:
    """The recording of one person in a TRC file, also of other programs: markers are joints by their names
    (``places_reader``), y is up.

    Frames count from 0 here. LiftwildError, with the line, if it is no TRC file or its markers are no joints.
    """
    path = Path(path)
    with reading(path):
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    if len(lines) < 6 or not lines[0].startswith("PathFileType"):
        raise LiftwildError(f"{path} is no TRC file: it should begin with PathFileType")
    facts = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    unit = UNITS_M.get(facts.get("Units", "").strip())
    if unit is None:
        raise LiftwildError(f"{path}, line 3: unknown Units {facts.get('Units')!r}; known are {', '.join(UNITS_M)}")
    names = [name.strip() for name in lines[3].split("\t")[2:] if name.strip()]
    rows = []
    for number, line in enumerate(lines[5:], 6):
        cells = [cell.strip() for cell in line.split("\t")]
        if not any(cells):
            continue
        try:
            rows.append([float(cell or "nan") for cell in (cells + [""] * 3 * len(names))[: 2 + 3 * len(names)]])
        except ValueError as error:
            raise LiftwildError(f"{path}, line {number}: {error}") from None
    values = np.array(rows).reshape(-1, 2 + 3 * len(names))
    if not len(values) or not np.isfinite(values[:, :2]).all() or (np.diff(values[:, 0]) <= 0).any():
        raise LiftwildError(f"{path}: wants rows whose first cells are rising frame numbers, and times")
    if (np.abs(values) > FARTHEST).any() or values[-1, 0] > MAX_FRAMES:
        raise LiftwildError(f"{path}: wants frame numbers up to {MAX_FRAMES:,}, and other numbers up to {FARTHEST:g}")
    frames = values[:, 0].astype(np.int64) - 1
    if frames[0] < 0:  # counted from 0
        frames -= frames[0]
    times_s = np.interp(np.arange(frames[-1] + 1), frames, values[:, 1])
    step = (values[-1, 1] - values[0, 1]) / max(frames[-1] - frames[0], 1)
    times_s[: frames[0]] = np.maximum(values[0, 1] - step * np.arange(frames[0], 0, -1), 0.0)
    places = values[:, 2:].reshape(len(values), -1, 3) * unit
    return recording_of_places(path, places, names, frames, times_s, (f"read from {path.name}, y up, no picture",))


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    (track,) = recording.tracks
    name = f"{stem}.trc"
    yield File(name, trc_bytes(track, recording.times_s, name))


def _recognise(path: Path, head: bytes) -> bool:
    return head.startswith(b"PathFileType\t4\t(X/Y/Z)\t" + os.fsencode(path.name) + b"\n")


def _describe(recording: Recording, skeleton: Skeleton) -> list[str]:
    return [
        "TRC: an empty cell is a hidden joint; frames without the person have no row; Frame# is the clip's, from 1",
        "TRC markers on an OpenSim model: --format markers",
    ]


FORMAT = Format(
    "trc", "joints as markers for OpenSim, a file a person", (".trc",), _write, _recognise, _describe,
    per_person=True, needs_floor=True, read=read_trc,
)  # fmt: skip
