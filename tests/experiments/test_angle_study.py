"""experiments/angle_study.py: angles of joints are those that bones were turned by, as far as 16 joints tell."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from liftwild.kinematics.angles import ANGLE_NAMES
from liftwild.synthetic.body.body import load_body
from tests.support.paths import ROOT
from tests.support.scripts import load_script


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """The script as a module."""
    return load_script(ROOT / "experiments" / "angle_study.py")


def test_angles_of_joints_are_those_of_the_bones(study: ModuleType) -> None:
    body = load_body()
    case = study.from_bones(body, *study.made_up(body, "lab", 60))
    off = {kind: np.abs(case.off(kind)[0]) for kind in study.DEGREES_OFF}
    assert all(len(errors) >= 55 for errors in off.values())
    for kind, limit in study.DEGREES_OFF.items():
        assert off[kind].mean() < limit, kind
    assert {kind.partition("_")[2] if kind.startswith(("left_", "right_")) else kind for kind in ANGLE_NAMES} == set(
        off
    )


def test_a_table_counts_what_is_known(study: ModuleType) -> None:
    true = np.zeros((4, len(ANGLE_NAMES)))
    found, sure = true + 350.0, np.full_like(true, 0.9)  # ten degrees too small
    sure[0] = 0.1
    found[1] = np.nan
    text = study.table({"x": study.Case(found, true, sure)})
    assert text.count("| 10.0 (-10.0) 50 % |") == 14
    ranges = study.range_table(
        {"x": [study.Case(np.linspace(0, 1, 101)[:, None] * true[:1] + 5, true[:1].repeat(101, 0), sure)]}
    )
    assert ranges.count("| 0 of 0 |") == 14
