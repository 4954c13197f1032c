"""One table of what everything costs, and whether two of them agree: arithmetic alone, nothing is measured here."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clock import spread

from liftwild.evaluation.tables import markdown_table

FORMAT = "liftwild benchmark 1"
SPREAD = "spread, %: ours / of the floor / of MediaPipe"
COLUMNS = ("job", "ours, ms", "floor, ms", "MediaPipe, ms", "of the floor", "of MediaPipe", SPREAD)
TOO_NOISY = 0.25  # a wider spread lets nearly everything agree
COMPARED = ("job", "ratio", "first", "second", "apart, %", "stated spread, %", "agree")


@dataclass(frozen=True)
class Row:
    """A job: medians in ms, ratios, and the spread of ours and of each ratio: how far apart the middle half of the
    rounds lies, as a part of the median. None where there is nothing to compare with."""

    job: str
    ours_ms: float
    floor_ms: float | None
    peer_ms: float | None
    of_floor: float | None
    of_peer: float | None
    spread: float
    spread_of_floor: float | None
    spread_of_peer: float | None


def row_of(job: str, ours: Sequence[float], floor: Sequence[float] | None, peer: Sequence[float] | None) -> Row:
    """Of seconds by round; the ratio is taken in each round, so that a slow moment of the machine hits both."""
    ratios = [None if other is None else [a / b for a, b in zip(ours, other, strict=True)] for other in (floor, peer)]
    medians = [None if each is None else statistics.median(each) for each in ratios]
    return Row(
        job, 1e3 * statistics.median(ours), _ms(floor), _ms(peer), medians[0], medians[1], spread(ours),
        *(None if each is None else spread(each) for each in ratios),
    )  # fmt: skip


def _ms(seconds: Sequence[float] | None) -> float | None:
    return None if seconds is None else 1e3 * statistics.median(seconds)


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""

    def cell(value: float | None, digits: int = 2) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    cells = [
        [row.job, cell(row.ours_ms), cell(row.floor_ms), cell(row.peer_ms), cell(row.of_floor), cell(row.of_peer),
         " / ".join("-" if each is None else f"{100 * each:.0f}"
                    for each in (row.spread, row.spread_of_floor, row.spread_of_peer))]
        for row in rows
    ]  # fmt: skip
    return markdown_table(COLUMNS, cells)


def write(path: Path, machine: str, rows: Sequence[Row]) -> None:
    """Keep a run."""
    about: dict[str, Any] = {"format": FORMAT, "machine": machine, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(about, indent=1) + "\n")


def read(path: Path) -> tuple[str, list[Row]]:
    """The machine and the rows of a run that was kept. SystemExit with one line if the file is none."""
    try:
        about = json.loads(path.read_text())
        if about["format"] != FORMAT:
            raise ValueError
        return str(about["machine"]), [Row(**row) for row in about["rows"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise SystemExit(
            f"error: {path} is no run kept by make bench; make one: make bench BENCH='--save FILE'"
        ) from None


@dataclass(frozen=True)
class Agreement:
    """A ``ratio`` of a job in two runs; ``stated``: the wider of its two spreads."""

    job: str
    ratio: str
    first: float
    second: float
    stated: float

    @property
    def apart(self) -> float:
        """By how much the second is another, as a part of the first."""
        return abs(self.second / self.first - 1)

    @property
    def says(self) -> str:
        """Whether they differ by no more than is stated: yes, no, or that the spread is too wide to tell."""
        return "too noisy" if self.stated > TOO_NOISY else "yes" if self.apart <= self.stated else "no"


def agreements(first: Sequence[Row], second: Sequence[Row]) -> list[Agreement]:
    """Of all ratios that both runs have."""
    before, found = {row.job: row for row in first}, []
    for row in second:
        old = before.get(row.job)
        for name, ratio, wide in (
            ("of the floor", "of_floor", "spread_of_floor"),
            ("of MediaPipe", "of_peer", "spread_of_peer"),
        ):
            if old is not None and getattr(old, ratio) is not None and getattr(row, ratio) is not None:
                stated = max(getattr(old, wide), getattr(row, wide))
                found.append(Agreement(row.job, name, getattr(old, ratio), getattr(row, ratio), stated))
    return found


def compared(found: Sequence[Agreement]) -> str:
    """A table of the agreements, and a line below."""
    cells = [
        [each.job, each.ratio, f"{each.first:.2f}", f"{each.second:.2f}", f"{100 * each.apart:.1f}",
         f"{100 * each.stated:.1f}", each.says]
        for each in found
    ]  # fmt: skip
    yes, no, noisy = (sum(each.says == word for each in found) for word in ("yes", "no", "too noisy"))
    return (
        f"{markdown_table(COMPARED, cells)}\n\n{yes} of {len(found)} ratios agree within the stated spread, {no} do "
        f"not; {noisy} have a spread of more than {100 * TOO_NOISY:.0f} %, which lets nearly everything agree"
    )
