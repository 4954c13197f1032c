"""A person's track as TRC, for OpenSim: markers in m, y up, tabs between, one file for each person."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftwild.io.format import File, Format
from liftwild.kinematics.upright import upright
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import Skeleton

DEFAULT_RATE_HZ = 30.0  # of a single frame


def trc_bytes(track: PoseTrack, times_s: np.ndarray, name: str) -> bytes:
    """The TRC file called ``name`` of a track of at least one frame; ``times_s`` (F,): when the clip's frames are, s.

    Rows go from the person's first to the last frame, counted from 1, at the clip's own times, even or not; hidden
    joints and frames without the person are empty cells. ``DataRate`` is that of the clip (median).
    """
    times_s = np.asarray(times_s, dtype=np.float64)
    pelvis, joints = upright(track)
    first, last = int(track.frames[0]), int(track.frames[-1])
    places = np.full((last - first + 1, len(track.skeleton), 3), np.nan)
    places[track.frames - first] = joints + pelvis[:, None]
    steps = np.diff(times_s)
    rate = f"{1 / np.median(steps[steps > 0]) if (steps > 0).any() else DEFAULT_RATE_HZ:.6g}"
    count, markers = len(places), len(track.skeleton)
    facts = {
        "DataRate": rate, "CameraRate": rate, "NumFrames": count, "NumMarkers": markers, "Units": "m",
        "OrigDataRate": rate, "OrigDataStartFrame": first + 1, "OrigNumFrames": count,
    }  # fmt: skip
    axes = [f"{axis}{marker}" for marker in range(1, markers + 1) for axis in "XYZ"]
    lines = ["\t".join(cells) for cells in (["PathFileType", "4", "(X/Y/Z)", name], facts, map(str, facts.values()))]
    # A tab after every cell, as OpenSim writes them: it overlooks an empty cell at the end of a line without one.
    lines.append("".join(["Frame#\tTime\t", *(f"{marker}\t\t\t" for marker in track.skeleton.names)]))
    lines += ["".join(["\t\t", *(f"{axis}\t" for axis in axes)]), ""]
    flat = np.round(places, 6).reshape(count, -1) + 0.0
    for number, row in enumerate(flat.tolist(), first + 1):
        cells = ["\t" if math.isnan(value) else f"{value:.6f}\t" for value in row]
        lines.append("".join([f"{number}\t{times_s[number - 1]:.6f}\t", *cells]))
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    (track,) = recording.tracks
    name = f"{stem}.trc"
    yield File(name, trc_bytes(track, recording.times_s, name))


def _recognise(path: Path, head: bytes) -> bool:
    return head.startswith(b"PathFileType\t4\t(X/Y/Z)\t" + os.fsencode(path.name) + b"\n")


def _describe(recording: Recording, skeleton: Skeleton) -> list[str]:
    return ["TRC: an empty cell is a hidden joint, or a frame without the person"]


FORMAT = Format(
    "trc", "joints as markers for OpenSim, a file a person", (".trc",), _write, _recognise, _describe,
    per_person=True, needs_floor=True,
)  # fmt: skip
