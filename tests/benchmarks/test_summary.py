"""benchmarks/summary.py: rows of the one table, and whether two runs agree."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_a_row_takes_its_ratios_round_by_round() -> None:
    from summary import row_of, table

    # The machine is half as fast in the second round: the times lie apart, the ratios do not.
    row = row_of("job", [0.010, 0.020, 0.010], [0.005, 0.010, 0.005], [0.040, 0.080, 0.040])
    assert (row.ours_ms, row.floor_ms, row.peer_ms) == (10, 5, 40)
    assert (row.of_floor, row.of_peer) == (pytest.approx(2), pytest.approx(0.25))
    assert row.spread == pytest.approx(1.0)  # of ours: quartiles 10 and 20 ms, median 10
    alone = row_of("alone", [0.010], None, None)
    assert alone.spread == 0
    assert table([row, alone]).splitlines()[2:] == [
        "| job | 10.00 | 5.00 | 40.00 | 2.00 | 0.25 | 100 |", "| alone | 10.00 | - | - | - | - | 0 |",
    ]  # fmt: skip


def test_two_runs_agree_within_the_wider_spread() -> None:
    from summary import Row, agreements, compared

    first = [Row("a", 10, 5, 20, 2.0, 0.5, 0.04), Row("gone", 1, 1, 1, 1, 1, 0)]
    second = [Row("a", 11, 5, 20, 2.1, 0.55, 0.06), Row("new", 1, 1, 1, 1, 1, 0)]
    found = agreements(first, second)
    assert [(each.ratio, each.holds) for each in found] == [("of the floor", True), ("of MediaPipe", False)]
    assert compared(found).endswith("1 of 2 ratios agree within the stated spread")


def test_a_kept_run_is_read_again(tmp_path: Path) -> None:
    from summary import Row, read, write

    rows = [Row("a", 10.5, None, 20, None, 0.525, 0.04)]
    write(tmp_path / "run.json", "a machine", rows)
    assert read(tmp_path / "run.json") == ("a machine", rows)
    (tmp_path / "other.json").write_text('{"format": "x"}')
    for name in ("other.json", "missing.json"):
        with pytest.raises(SystemExit, match="is no run kept by make bench"):
            read(tmp_path / name)
