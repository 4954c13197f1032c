"""Tables of numbers, of one run or of several, as Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liftwild.console import csv_text, printable
from liftwild.files import write_whole


def show_parts(parts: Iterable[str], card: Path | None = None) -> None:
    """Print each of the ``parts`` of a text as it comes, and write all of them to ``card`` where one is given."""
    told = []
    for part in parts:
        print(part, flush=True)
        told.append(part)
    if card is not None:
        write_whole(card, ("\n".join(told) + "\n").encode())


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, without a line break at its end."""
    lines = ([markdown_text(cell) for cell in row] for row in (head, ["---"] * len(head), *rows))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_text(text: str) -> str:
    """``text`` in one line of Markdown, where it makes no cell and no HTML."""
    return printable(text).replace("|", "\\|").replace("<", "&lt;")


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


def mean_cell(values: Sequence[float]) -> Cell:
    """One cell of one run, or of several."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Cell(float(np.mean(values)), spread, len(values))


def _words(found: Cell | None, digits: int, missing: str, plus_minus: str) -> str:
    if found is None:
        return missing
    value = f"{found.value:.{digits}f}"
    return f"{value} {plus_minus} {found.spread:.{digits}f}" if found.runs > 1 else value


def as_markdown(table: Table) -> str:
    """The table with its title; "-" where there is no number, mean ± standard deviation where there are several."""
    rows = [
        [name, *(_words(cells.get(column), table.digits, "-", "±") for column in table.columns)]
        for name, cells in table.rows
    ]
    return f"### {markdown_text(table.title)}\n\n" + markdown_table(("", *table.columns), rows)


_LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{",
          "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}  # fmt: skip


def _escaped(words: str) -> str:
    return "".join(_LATEX.get(c, c) for c in printable(words))


def as_latex(table: Table) -> str:
    """A ``tabular`` with its title in a comment; it needs no package."""
    lines = [f"% {printable(table.title)}", r"\begin{tabular}{l" + "r" * len(table.columns) + "}", r"\hline"]
    lines += [" & ".join(["", *map(_escaped, table.columns)]) + r" \\", r"\hline"]
    for name, cells in table.rows:
        row = [_words(cells.get(column), table.digits, "--", r"$\pm$") for column in table.columns]
        lines.append(" & ".join([_escaped(name), *row]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def as_csv(table: Table) -> str:
    """One line a row: name, runs, and the value of each column, then the spreads; empty where there is none."""
    head = ["row", "runs", *table.columns, *(f"{column} (sd)" for column in table.columns)]
    lines = [[csv_text(each) for each in head]]
    for name, cells in table.rows:
        own = [cells.get(column) for column in table.columns]
        runs = max((found.runs for found in own if found), default=0)
        values = ["" if found is None else f"{found.value:.4f}" for found in own]
        spreads = ["" if found is None or found.runs < 2 else f"{found.spread:.4f}" for found in own]
        lines.append([csv_text(name), str(runs), *values, *spreads])
    return "".join(",".join(line) + "\n" for line in lines)
