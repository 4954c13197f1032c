"""The paper's tables and our rows beside them, as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PAPER = Path(__file__).with_name("paper-tables.json")
PAPER_TABLES = ("table1", "table2", "table3", "table4-mm", "table4-px")
NAME_OF_TABLE_4 = {"table4-mm": "MPI-INF-3DHP, mm", "table4-px": "MPII validation, px of a 256 px crop"}
MPII_COLUMNS = ("Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean")


@dataclass(frozen=True)
class Cell:
    """A number, the mean of ``runs`` of which ``spread`` is the standard deviation (with n - 1; 0 for one run)."""

    value: float
    spread: float = 0.0
    runs: int = 1


@dataclass
class Table:
    """``rows``: name of a row, and its cells by column; a column that a row lacks is missing there."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, dict[str, Cell]]] = field(default_factory=list)
    digits: int = 1


def cell(values: Sequence[float]) -> Cell:
    """One cell of one run, or of several."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Cell(float(np.mean(values)), spread, len(values))


@cache
def _paper() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(PAPER.read_text(encoding="utf-8"))
    return loaded


TABLE_1_ACTIONS: tuple[str, ...] = tuple(_paper()["table1"]["columns"][:-1])


def paper_table(key: str) -> Table:
    """A table of the paper (``PAPER_TABLES``) with the paper's rows; what else there is, ``key`` "mpii", has none."""
    if key == "mpii":
        return Table(key, "MPII validation people, PCKh@0.5 in percent", MPII_COLUMNS)
    part = _paper()[key[:6]]
    title = f"Table {key[5]}: {part['what']}"
    if key in NAME_OF_TABLE_4:
        rows = part[NAME_OF_TABLE_4[key]]
        title, columns = f"{title}; {NAME_OF_TABLE_4[key]}", tuple(next(iter(rows.values())))
    elif key == "table2":
        columns = ("PCKh@0.5",)
        rows = {name: {"PCKh@0.5": value} for name, value in part.items() if name != "what"}
    else:
        columns = tuple(part["columns"])
        rows = {name: dict(zip(columns, row, strict=True)) for name, row in part["rows"].items()}
    table = Table(key, title, columns, digits={"table3": 1, "table4-mm": 1}.get(key, 2))
    table.rows = [(name, {column: Cell(value) for column, value in row.items()}) for name, row in rows.items()]
    return table


def _words(found: Cell | None, digits: int, missing: str, plus_minus: str) -> str:
    if found is None:
        return missing
    value = f"{found.value:.{digits}f}"
    return f"{value} {plus_minus} {found.spread:.{digits}f}" if found.runs > 1 else value


def markdown(table: Table) -> str:
    """The table with its title; "-" where there is no number, mean ± standard deviation where there are several."""
    lines = [["", *table.columns], ["---"] * (len(table.columns) + 1)]
    for name, cells in table.rows:
        label = name.replace("|", "\\|")
        lines.append([label, *(_words(cells.get(column), table.digits, "-", "±") for column in table.columns)])
    return f"### {table.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


_LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{",
          "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}  # fmt: skip


def _latex(words: str) -> str:
    return "".join(_LATEX.get(c, c) for c in words)


def latex(table: Table) -> str:
    """A ``tabular`` with its title in a comment; it needs no package."""
    lines = [f"% {table.title}", r"\begin{tabular}{l" + "r" * len(table.columns) + "}", r"\hline"]
    lines += [" & ".join(["", *map(_latex, table.columns)]) + r" \\", r"\hline"]
    for name, cells in table.rows:
        row = [_words(cells.get(column), table.digits, "--", r"$\pm$") for column in table.columns]
        lines.append(" & ".join([_latex(name), *row]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def as_csv(table: Table) -> str:
    """One line a row: name, runs, and the value of each column, then the spreads; empty where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["row", "runs", *table.columns, *(f"{column} (sd)" for column in table.columns)])
    for name, cells in table.rows:
        own = [cells.get(column) for column in table.columns]
        runs = max((found.runs for found in own if found), default=0)
        values = ["" if found is None else f"{found.value:.4f}" for found in own]
        spreads = ["" if found is None or found.runs < 2 else f"{found.spread:.4f}" for found in own]
        writer.writerow([name, runs, *values, *spreads])
    return out.getvalue()
