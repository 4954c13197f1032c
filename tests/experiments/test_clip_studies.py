"""The studies of clips: one on steps whose truth is known, one on its own bookkeeping."""

from __future__ import annotations

import numpy as np
import pytest

from liftwild.pipeline.options import PoseOptions
from liftwild.skeleton import MPII_16
from tests.support.paths import ROOT
from tests.support.scripts import load_script
from tests.support.steps import stepping


def test_the_motion_study_sees_that_feet_are_held() -> None:
    study = load_script(ROOT / "experiments" / "motion_study.py")
    track, times, _ = stepping()
    joints = track.joints_3d + track.root_mm[:, None] - (800.0, 0.0, 0.0)
    case = study.with_errors("steps", joints, times, np.random.default_rng(0))
    camera = (study.FOCAL, study.FOCAL, study.SIZE / 2, study.SIZE / 2)
    raw, held = (
        [float(cell) for cell in study.row("x", PoseOptions(camera=camera, smooth=smooth), [case])[1:6]]
        for smooth in (False, True)
    )
    assert held[4] < raw[4] / 3 and held[3] < raw[3] / 2 and held[0] < raw[0]


def test_the_motion_study_sees_that_a_turning_camera_drags_held_feet() -> None:
    study = load_script(ROOT / "experiments" / "motion_study.py")
    track, times, _ = stepping()
    joints = track.joints_3d + track.root_mm[:, None] + (0.0, 500.0, 1000.0)
    table = study.before_turning_camera([(joints, times)], np.random.default_rng(0))
    rows = [[float(cell.split("(")[0]) for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]
    still, turning = rows[0], next(row for row in rows if row[0] == 1)
    assert still[1] == still[2] and turning[1] > 2 * still[1] and turning[2] < turning[1] / 2


def test_a_missing_head_lies_on_the_line_of_the_neck() -> None:
    study = load_script(ROOT / "experiments" / "motion_study.py")
    track, _, _ = stepping()
    joints = track.joints_3d.copy()
    top, neck, thorax = (MPII_16.index(name) for name in ("head_top", "upper_neck", "thorax"))
    joints[::2, top] = np.nan
    whole = study.with_head(joints)
    assert np.array_equal(whole[1::2], joints[1::2])
    assert np.linalg.norm(whole[0, top] - joints[0, neck]) == pytest.approx(study.HEAD_MM)
    assert np.linalg.norm(np.cross(whole[0, top] - joints[0, neck], joints[0, neck] - joints[0, thorax])) < 1e-6


def test_pictures_hang_above_everybody() -> None:
    study = load_script(ROOT / "experiments" / "tracking_study.py")
    size, boxes = study.SIZE, np.array([[100.0, 90.0, 50.0, 150.0]])
    clip = [study.Seen(np.zeros((size, size, 3), np.uint8), boxes, np.ones(1, dtype=bool)) for _ in range(2)]
    first, second = (frame.image for frame in study.with_pictures(clip, 1))
    assert np.array_equal(first, second) and not clip[0].image.any()
    columns = np.flatnonzero(first.any(axis=(0, 2)))
    assert not first[90:].any() and (np.diff(columns) > 1).sum() == study.HUNG - 1


def test_how_much_of_a_box_is_covered() -> None:
    study = load_script(ROOT / "experiments" / "tracking_study.py")
    box = np.array([0.0, 0.0, 10.0, 10.0])
    others = np.array([[5.0, 0.0, 20.0, 20.0], [20.0, 20.0, 5.0, 5.0]])
    assert study.covered(box, others) == pytest.approx(0.5) and study.covered(box, others[:0]) == 0.0
