"""Charts of measurements: written, of the same bytes each time, and asked for in one line where matplotlib lacks."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.viz import plots

BINS = [(0.05 + 0.1 * i, min(1.0, 0.12 * i), 10 * i) if i else (np.nan, np.nan, 0) for i in range(10)]
CURVES = {"a": np.linspace(0, 90, 31), "b, which was not measured": np.full(31, np.nan)}
ERRORS = {"a": np.array([50.0, np.nan, 80.0]), "b": np.array([60.0, np.nan, np.nan])}


def test_charts_are_written_and_always_the_same(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    before = set(sys.modules)
    for number in range(2):
        plots.write_pck_curves(tmp_path / f"pck-{number}.png", "PCK on x", range(0, 151, 5), CURVES)
        plots.write_joint_errors(tmp_path / f"joints-{number}.png", "by joint", ("hip", "pelvis", "left_knee"), ERRORS)
        plots.write_reliability(tmp_path / f"curve-{number}.png", "right?", {"now": BINS, "before": BINS[::-1]})
    assert "matplotlib.pyplot" not in set(sys.modules) - before
    for name in ("pck", "joints", "curve"):
        one, other = (tmp_path / f"{name}-{number}.png" for number in range(2))
        assert one.read_bytes() == other.read_bytes()
        picture = cv2.imread(str(one))
        blue = np.abs(picture.astype(int) - (178, 114, 0)).max(axis=-1) < 10
        assert picture.shape[1] > 500 and blue.sum() > 100
    assert len(list(tmp_path.iterdir())) == 6


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(LiftwildError, match=r"^charts need matplotlib: pip install 'liftwild\[figures\]'$"):
        plots.write_reliability(tmp_path / "curve.png", "right?", {"now": BINS})
    assert not list(tmp_path.iterdir())
