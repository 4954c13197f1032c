"""Motion files and folders, and which frames are taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.rotation import matrix_about
from liftwild.synthetic.mocap.motion import read_bvh, read_motion, retarget, spread_frames
from tests.support.files import Write
from tests.support.motion_files import AMC, ASF, TINY
from tests.support.puppet import HEADS, NAMES, PARENTS, puppet


def test_read_motion_finds_what_it_needs(write: Write, tmp_path: Path) -> None:
    for name in ("b.bvh", "A.BVH", ".hidden.bvh"):
        write(TINY, name)
    write("nothing", "notes.txt")
    write(ASF, "01.asf")
    write(ASF.replace("length 7", "length 9"), "02.asf")
    write(AMC, "02_07.amc")
    found = read_motion(tmp_path)
    assert [Path(motion.source).name for motion in found] == ["02_07.amc", "A.BVH", "b.bvh"]
    np.testing.assert_allclose(found[0].rest_positions[2], [0, -9, 0])
    assert len(read_motion(tmp_path / "b.bvh")) == len(read_motion(str(tmp_path / "02_07.amc"))) == 1


def test_read_motion_says_what_is_missing(write: Write, tmp_path: Path) -> None:
    def said(path: Path) -> str:
        with pytest.raises(LiftwildError) as caught:
            read_motion(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no .bvh or .amc" in said(tmp_path)
    assert "no such file or folder" in said(tmp_path / "nowhere.bvh")
    amc = write(AMC, "05_01.amc")
    assert "no .asf file" in said(amc) and "05.asf" in said(amc)
    only = write(ASF, "skeleton.asf")
    assert len(read_motion(amc)) == 1
    write(ASF, "other.asf")
    assert "several .asf files" in said(amc)
    assert ".amc files with an .asf beside them" in said(only)


def test_frames_are_chosen(write: Write) -> None:
    motion = read_bvh(write(puppet(frames=8).text()))
    every = retarget(motion, NAMES, PARENTS, HEADS)
    np.testing.assert_array_equal(retarget(motion, NAMES, PARENTS, HEADS, [6, 1]), every[[6, 1]])
    np.testing.assert_array_equal(retarget(motion, NAMES, PARENTS, HEADS, slice(2, 4)), every[2:4])
    np.testing.assert_allclose(motion.positions([6, 1]), motion.positions()[[6, 1]])


def test_spread_frames_keeps_frames_that_differ(write: Write) -> None:
    figure = puppet(frames=41)  # 0.05 s a frame
    figure.local[:] = np.eye(3)
    elbow = figure.names.index("LeftForeArm")
    figure.local[:, elbow] = matrix_about(1, np.radians(np.r_[np.arange(0, 41, 2), np.arange(38, -1, -2)]))
    figure.local[:, 0] = matrix_about(1, np.radians(np.arange(41) * 9.0))  # turning on the spot is no change
    motion = read_bvh(write(figure.text()))
    # 4 degrees a step of 0.1 s: 16 of them from the first, then 32; on the way back nothing is new.
    assert spread_frames(motion).tolist() == [0, 8, 16]
    assert spread_frames(motion, min_change_deg=0).tolist() == list(range(0, 41, 2))
    assert spread_frames(motion, step_s=1, min_change_deg=0).tolist() == [0, 20, 40]
    assert spread_frames(motion, step_s=0.001, min_change_deg=39).tolist() == [0, 20]
    figure.local[30, 0] = matrix_about(0, np.radians(80))  # lying down is
    assert spread_frames(read_bvh(write(figure.text()))).tolist() == [0, 8, 16, 30]
