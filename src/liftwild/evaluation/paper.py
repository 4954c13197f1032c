"""The tables of the paper: Zhou et al. 2017."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from liftwild.evaluation.tables import Cell, Table

PAPER = Path(__file__).with_name("paper-tables.json")
PAPER_TABLES = ("table1", "table2", "table3", "table4-mm", "table4-px")
NAME_OF_TABLE_4 = {"table4-mm": "MPI-INF-3DHP, mm", "table4-px": "MPII validation, px of a 256 px crop"}
MPII_COLUMNS = ("Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean")


@cache
def _paper() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(PAPER.read_text(encoding="utf-8"))
    return loaded


TABLE_1_ACTIONS: tuple[str, ...] = tuple(_paper()["table1"]["columns"][:-1])


def paper_cost() -> tuple[str, str]:
    """What the paper says of the time of a forward pass, and of training."""
    cost = _paper()["cost"]
    return cost["forward pass"], cost["training"]


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
