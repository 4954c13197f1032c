"""A person's track as a CSV with one row a frame, one file for each person: for spreadsheets and statistics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftwild.console import csv_text
from liftwild.io.csv_table import COLUMNS
from liftwild.io.format import File, Format
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import Skeleton

BY_FRAME = ("frame", "time_s", "score", "root_x_mm", "root_y_mm", "root_z_mm")
BY_JOINT = ("x_mm", "y_mm", "z_mm", "x_px", "y_px", "confidence")  # of each joint, as left_knee_x_mm
HEADER = ",".join(BY_FRAME)


def csv_wide_bytes(track: PoseTrack, times_s: np.ndarray) -> bytes:
    """The wide CSV file of a track: the numbers of the long one, rounded alike; the unknown is empty."""
    count = len(track)
    nothing = np.full((count, 3), np.nan)
    scores = nothing[:, :1] if track.scores is None else np.asarray(track.scores)[:, None]
    root = nothing if track.root_mm is None else track.root_mm
    joints = np.concatenate([track.joints_3d, track.joints_2d, track.confidence[..., None]], axis=-1)
    frames, times = np.asarray(track.frames)[:, None], np.asarray(times_s)[track.frames][:, None]
    values = np.concatenate([frames, times, scores, root, joints.reshape(count, -1)], axis=1)
    forms = [COLUMNS[name] for name in BY_FRAME] + [COLUMNS[name] for name in BY_JOINT] * len(track.skeleton)
    names = [csv_text(f"{joint}_{name}") for joint in track.skeleton.names for name in BY_JOINT]
    lines = [",".join([*BY_FRAME, *names])]
    for row in values.tolist():
        cells = zip(forms, row, strict=True)
        lines.append(",".join("" if value != value else _number(form, value) for form, value in cells))
    return ("\n".join(lines) + "\n").encode()


def _number(form: str, value: float) -> str:
    return form % value if form == "%d" else form % (round(value, int(form[2])) + 0.0)  # + 0.0: no -0.0


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    (track,) = recording.tracks
    yield File(f"{stem}.wide.csv", csv_wide_bytes(track, recording.times_s))


def _recognise(path: Path, head: bytes) -> bool:
    return head.startswith(HEADER.encode())


def _describe(recording: Recording, skeleton: Skeleton) -> list[str]:
    return [
        "CSV-WIDE: a row for each frame of one person, a column for each number of the rows of csv: left_knee_x_mm is "
        "x_mm of left_knee; units, zero and axes as there; frame: index from 0"
    ]


FORMAT = Format(
    "csv-wide", "a table, one row a frame, a file a person", (".wide.csv",), _write, _recognise, _describe,
    per_person=True,
)  # fmt: skip
