"""Poses as a table, one row for each joint of each person in each frame, and that table as CSV.

The first row of a CSV names the columns and their units. Comments would not pass ``pandas.read_csv`` or a spreadsheet;
the zero and the axes stand in the text beside the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftwild.console import csv_text
from liftwild.errors import LiftwildError
from liftwild.files import reading
from liftwild.io.description import metadata
from liftwild.io.format import File, Format
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import Skeleton

# Column -> how its numbers are written.
COLUMNS = {
    "frame": "%d", "time_s": "%.6f", "person_id": "%d", "joint": "%s", "x_px": "%.2f", "y_px": "%.2f", "x_mm": "%.1f",
    "y_mm": "%.1f", "z_mm": "%.1f", "confidence": "%.3f", "depth_sd_mm": "%.1f", "root_x_mm": "%.1f",
    "root_y_mm": "%.1f", "root_z_mm": "%.1f", "score": "%.3f", "inside": "%.3f", "visible": "%.3f",
}  # fmt: skip
HEADER = ",".join(COLUMNS)
MARK = HEADER.partition(",score")[0]  # what the first row begins with, also in files from before there were more
JOINT = "joint"  # the one column that holds no numbers; in the table it holds positions in the skeleton's names

AT_ONCE = 4096  # rows that are made text together


def track_table(recording: Recording, track: PoseTrack) -> dict[str, np.ndarray]:
    """One person's columns, (T * J,) each, as in ``table``."""
    count, joints = len(track), len(track.skeleton)
    nothing = np.full((count, joints), np.nan)
    root = np.full((count, 3), np.nan) if track.root_mm is None else track.root_mm
    spread = nothing if track.depth_sd_mm is None else track.depth_sd_mm
    by_frame = {
        "frame": track.frames, "time_s": np.asarray(recording.times_s)[track.frames],
        "person_id": np.full(count, track.person_id), "root_x_mm": root[:, 0], "root_y_mm": root[:, 1],
        "root_z_mm": root[:, 2], "score": np.full(count, np.nan) if track.scores is None else track.scores,
    }  # fmt: skip
    by_joint = {
        "x_px": track.joints_2d[..., 0], "y_px": track.joints_2d[..., 1], "x_mm": track.joints_3d[..., 0],
        "y_mm": track.joints_3d[..., 1], "z_mm": track.joints_3d[..., 2], "confidence": track.confidence,
        "depth_sd_mm": spread, "inside": nothing if track.inside is None else track.inside,
        "visible": nothing if track.visible is None else track.visible,
    }  # fmt: skip
    columns = {name: np.repeat(values, joints) for name, values in by_frame.items()}
    columns |= {name: np.asarray(values, dtype=np.float64).reshape(-1) for name, values in by_joint.items()}
    columns[JOINT] = np.tile(np.arange(joints), count)
    return {name: columns[name] for name in COLUMNS}


def table(recording: Recording) -> dict[str, np.ndarray]:
    """The columns by the names of ``COLUMNS``, (N,) each: int64 or float64, NaN where something is hidden or not known.

    ``joint`` is the joint's position in the skeleton's names.
    """
    tracks = [track_table(recording, track) for track in recording.tracks]
    columns = {}
    for name, form in COLUMNS.items():
        kind = np.int64 if form == "%d" or name == JOINT else np.float64
        columns[name] = np.concatenate([np.empty(0, kind), *(own[name] for own in tracks)]).astype(kind)
    return columns


def csv_bytes(recording: Recording, skeleton: Skeleton) -> bytes:
    """The CSV file of a recording in the joints of ``skeleton``: 2D to 0.01 px, 3D to 0.1 mm, confidence, score and
    chances to 0.001; the unknown is empty."""
    names = np.array([csv_text(name) for name in skeleton.names], dtype=object)
    pieces = [HEADER + "\n"]
    for track in recording.tracks:
        pieces.extend(_lines(track_table(recording, track), names))
    return "".join(pieces).encode()


def _lines(columns: dict[str, np.ndarray], names: np.ndarray) -> Iterator[str]:
    row = ",".join(COLUMNS.values()) + "\n"
    for start in range(0, len(columns["frame"]), AT_ONCE):
        chunk = []
        for name, form in COLUMNS.items():
            values = columns[name][start : start + AT_ONCE]
            if name == JOINT:
                values = names[values]
            elif form != "%d":
                values = np.round(values, int(form[2])) + 0.0  # + 0.0: no -0.0
            chunk.append(values.tolist())
        text = "".join(row % line for line in zip(*chunk, strict=True)).replace(",nan\n", ",\n")
        yield text.replace(",nan,", ",,").replace(",nan,", ",,")  # twice: neighbours share a comma


def read_csv(path: str | Path) -> Recording:
    """The recording in a file of the format ``csv``: poses to the rounding; without the camera and what else the file
    does not hold (``table_reader``).

    LiftwildError if it cannot be read or holds something else.
    """
    from liftwild.io.table_reader import recording_of_table

    path = Path(path)
    with reading(path):
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    names = lines[0].split(",") if lines else []
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise LiftwildError(f"{path} is no csv of poses: its first row has no {', '.join(missing)}")
    rows = [line.split(",") for line in lines[1:] if line]
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != len(names)), None)
    if wrong is not None:
        raise LiftwildError(f"{path}, line {wrong}: not {len(names)} cells; is the file cut short?")
    cells = dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))
    joints = list(dict.fromkeys(cells[JOINT]))
    columns = {}
    for name, form in COLUMNS.items():
        try:
            if name == JOINT:
                columns[name] = np.array([joints.index(cell) for cell in cells[name]], dtype=np.int64)
            elif form == "%d":
                columns[name] = np.array([int(cell) for cell in cells[name]], dtype=np.int64)
            else:
                columns[name] = np.array([float(cell or "nan") for cell in cells[name]], dtype=np.float64)
        except ValueError as error:
            raise LiftwildError(f"{path}: column {name} holds something else than numbers: {error}") from None
    return recording_of_table(columns, joints, str(path))


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    yield File(f"{stem}.csv", csv_bytes(recording, skeleton))


def _recognise(path: Path, head: bytes) -> bool:
    return head.startswith(MARK.encode())


def _describe(recording: Recording, skeleton: Skeleton) -> list[str]:
    facts = metadata(recording, skeleton)
    frame = facts["frame"]
    return [
        "CSV: a row for each joint of each person in each frame; an empty cell is hidden or not known",
        "frame: index from 0; time_s: seconds from the clip's first frame",
        f"x_px, y_px: {frame['joints_2d']}",
        f"x_mm, y_mm, z_mm: unit {frame['unit']}; zero: {frame['zero']}; axes: {frame['axes']}",
        f"scale: {frame['scale']}",
        f"root_x_mm, root_y_mm, root_z_mm: {frame['root_mm']}",
        f"confidence: in [0, 1]; {facts['confidence_is'] or 'what it is was not kept'}",
        "depth_sd_mm: spread of z_mm, one standard deviation",
        "inside, visible: chances in [0, 1] that the joint lies in the photo, and that it is not hidden there",
    ]


FORMAT = Format("csv", "a table, one row a joint", (".csv",), _write, _recognise, _describe, read=read_csv)
