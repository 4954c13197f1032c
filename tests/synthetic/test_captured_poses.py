"""Poses of motion capture for a lifter, ``liftwild prepare poses``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16, PELVIS
from liftwild.synthetic.mocap.motion import read_bvh, spread_frames
from liftwild.synthetic.poses.pose_bank import read_poses, write_captured_poses
from tests.support.commands import liftwild
from tests.support.files import Write
from tests.support.motion_files import TINY
from tests.support.puppet import puppet, source_directions

ENDS = {"upper arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"), "thigh": ("hip", "knee")}


def test_limbs_point_where_the_clip_has_them(write: Write, tmp_path: Path) -> None:
    source = write(puppet(frames=8).text(), "a.bvh")
    assert write_captured_poses(tmp_path / "poses.npy", [source]) == (4, [])
    found = read_poses(tmp_path / "poses.npy").astype(float)
    motion = read_bvh(source)
    chosen = spread_frames(motion)
    expected = {name: along[chosen] for name, along in source_directions(motion).items()}
    for side in ("left", "right"):
        for part, ends in ENDS.items():
            start, end = (found[:, MPII_16.index(f"{side}_{name}")] for name in ends)
            along = (end - start) / np.linalg.norm(end - start, axis=-1, keepdims=True)
            assert ((along * expected[f"{side} {part}"]).sum(-1) > 0.99).all()  # joints lie up to 2 cm off bones
    np.testing.assert_allclose(found[:, PELVIS, :2], 0, atol=1e-6)
    assert (found[..., 2] >= -1e-3).all() and (found[..., 2].min(axis=1) < 0.2).all()
    sizes = np.linalg.norm(found[:, MPII_16.index("left_knee")] - found[:, MPII_16.index("left_hip")], axis=-1)
    assert np.ptp(sizes) > 0.01  # each on a body of its own


def test_folders_and_files_that_cannot_be_used(write: Write, tmp_path: Path) -> None:
    for name in ("a.bvh", "b.bvh"):
        write(puppet(frames=3).text(), name)
    write(TINY, "nobody.bvh")
    done = liftwild("prepare", "poses", tmp_path, "-o", tmp_path / "new" / "x.npy")
    assert "4 poses in" in done.output  # of three frames two are 0.1 s apart
    assert "1 of the files left out" in done.output and "nobody.bvh: no joint" in done.output
    with pytest.raises(LiftwildError, match=r"nobody.bvh"):
        write_captured_poses(tmp_path / "y.npy", [tmp_path / "nobody.bvh"])
    assert not (tmp_path / "y.npy").exists()
