"""A reader of TRC files."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_trc(path: Path) -> tuple[dict[str, str], list[str], np.ndarray, np.ndarray, list[int]]:
    """Header, marker names, places (T, J, 3), times (T,), frame numbers of a TRC file, told by its layout alone."""
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[0] == f"PathFileType\t4\t(X/Y/Z)\t{path.name}" and lines[5] == "" and lines[-1] == ""
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    labels, axes = lines[3].split("\t"), lines[4].split("\t")
    assert labels[:2] == ["Frame#", "Time"]
    names = [name for name in labels[2:] if name]
    assert labels[2::3] == [*names, ""] and axes[:2] == ["", ""]
    assert axes[2:-1] == [f"{axis}{i}" for i in range(1, len(names) + 1) for axis in "XYZ"]
    rows = [line.split("\t") for line in lines[6:-1]]
    assert all(len(row) == 3 * len(names) + 3 and row[-1] == "" for row in rows)  # a tab after every cell
    values = np.array([[float(cell) if cell else np.nan for cell in row[2:-1]] for row in rows])
    return header, names, values.reshape(len(rows), -1, 3), np.array([float(row[1]) for row in rows]), [
        int(row[0]) for row in rows
    ]  # fmt: skip
