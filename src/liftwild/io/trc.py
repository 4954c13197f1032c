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
    per_person=True, needs_floor=True,
)  # fmt: skip
