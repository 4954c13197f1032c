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
    assert row.spread == pytest.approx(1.0)  # quartiles 10 and 20 ms, median 10
    assert (row.spread_of_floor, row.spread_of_peer) == (pytest.approx(0), pytest.approx(0))
    alone = row_of("alone", [0.010], None, None)
    assert alone.spread == 0
    assert table([row, alone]).splitlines()[2:] == [
        "| job | 10.00 | 5.00 | 40.00 | 2.00 | 0.25 | 100 / 0 / 0 |", "| alone | 10.00 | - | - | - | - | 0 / - / - |",
    ]  # fmt: skip


def test_two_runs_agree_within_the_wider_spread_of_a_ratio() -> None:
    from summary import Row, agreements, compared

    first = [
        Row("a", 10, 5, 20, 2.0, 0.5, 0.9, 0.01, 0.01), Row("b", 10, 5, None, 2.0, None, 0, 0.01, None),
        Row("gone", 1, 1, 1, 1, 1, 0, 0, 0),
    ]  # fmt: skip
    second = [
        Row("a", 11, 5, 20, 2.1, 0.55, 0.9, 0.06, 0.06), Row("b", 10, 5, 20, 2.0, 0.5, 0, 0.3, 0.01),
        Row("new", 1, 1, 1, 1, 1, 0, 0, 0),
    ]  # fmt: skip
    found = agreements(first, second)
    assert [(each.job, each.ratio, each.says) for each in found] == [
        ("a", "of the floor", "yes"), ("a", "of MediaPipe", "no"), ("b", "of the floor", "too noisy"),
    ]  # fmt: skip
    assert "1 of 3 ratios agree within the stated spread, 1 do not; 1 have" in compared(found)


def test_a_kept_run_is_read_again(tmp_path: Path) -> None:
    from summary import Row, read, write

    rows = [Row("a", 10.5, None, 20, None, 0.525, 0.04, None, 0.02)]
    write(tmp_path / "run.json", "a machine", rows)
    assert read(tmp_path / "run.json") == ("a machine", rows)
    (tmp_path / "other.json").write_text('{"format": "x"}')
    for name in ("other.json", "missing.json"):
        with pytest.raises(SystemExit, match="is no run kept by make bench"):
            read(tmp_path / name)
