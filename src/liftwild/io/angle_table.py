"""Joint angles as a table, one row a person and frame, one column an angle; as CSV and as a DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from liftwild.console import csv_text
from liftwild.errors import LiftwildError
from liftwild.files import starts_with, write_whole
from liftwild.kinematics.angles import ANGLE_NAMES, JointAngles

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("frame", "time_s", "person_id")
UNIT = "_deg"
HEADER = ",".join(csv_text(name) for name in [*KEYS, *(name + UNIT for name in ANGLE_NAMES)])
MARK = HEADER.partition(",left_")[0].encode()
TABLE = ".csv"


def angle_table(people: Sequence[JointAngles]) -> dict[str, np.ndarray]:
    """The columns by name, (N,) each, one person after the other: ``frame`` from 0 and ``person_id`` int64, ``time_s``
    and each angle float64, in degrees, NaN where not known."""
    out: dict[str, np.ndarray] = {
        "frame": np.concatenate([np.empty(0, np.int64), *(each.frames for each in people)]).astype(np.int64),
        "time_s": np.concatenate([np.empty(0), *(each.times_s for each in people)]),
        "person_id": np.repeat(np.array([each.person_id for each in people], np.int64), [*map(len, people)]),
    }
    degrees = np.concatenate([np.empty((0, len(ANGLE_NAMES))), *(each.degrees for each in people)])
    return out | {name + UNIT: degrees[:, i] for i, name in enumerate(ANGLE_NAMES)}


def angles_csv(people: Sequence[JointAngles]) -> bytes:
    """The CSV file: ``angle_table``, angles to 0.01 degrees, empty where not known."""
    columns = angle_table(people)
    form = ",".join(["%d", "%.6f", "%d", *["%s"] * len(ANGLE_NAMES)]) + "\n"
    texts = [columns[name].tolist() for name in KEYS]
    for name in ANGLE_NAMES:
        values = np.round(columns[name + UNIT], 2) + 0.0  # + 0.0: no -0.0
        texts.append(["" if value != value else f"{value:.2f}" for value in values.tolist()])
    return (HEADER + "\n" + "".join(form % row for row in zip(*texts, strict=True))).encode()


def angle_dataframe(people: Sequence[JointAngles]) -> pd.DataFrame:
    """``angle_table`` as pandas has it. LiftwildError without pandas."""
    try:
        import pandas as pd
    except ModuleNotFoundError:
        raise LiftwildError("a DataFrame needs pandas: pip install pandas") from None
    return pd.DataFrame(angle_table(people))


def is_angles_csv(path: Path) -> bool:
    """Whether the file holds what ``angles_csv`` wrote."""
    return starts_with(path, MARK)


def save_angles(people: Sequence[JointAngles], path: Path) -> None:
    """Write the table as a .csv file. LiftwildError on another ending, or if it cannot be written."""
    if path.suffix.lower() == TABLE:
        write_whole(path, angles_csv(people))
        return
    raise LiftwildError(f"{path}: angles are written as {TABLE}; other formats are of a recording: recording.save")
