"""Poses without pictures: the bank, random views, and the errors that are put into them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from liftwild.camera import bone_lengths
from liftwild.errors import LiftwildError
from liftwild.network.lifter import Lifter, Reading
from liftwild.skeleton import DEPTH_ROOT, MPII_16, PELVIS, SCALE_BONES
from liftwild.synthetic.body.body import load_body
from liftwild.synthetic.poses.pose_bank import read_poses, sample_joints, write_poses
from liftwild.synthetic.poses.pose_views import PoseView, corrupt_joints, project_poses, sample_views
from liftwild.training.objective import lifter_loss


@pytest.fixture(scope="module")
def poses() -> torch.Tensor:
    return torch.from_numpy(sample_joints(load_body(), 64, "wild", (0, 0))).float()


def test_poses_are_peoples(poses: torch.Tensor) -> None:
    lengths = bone_lengths(poses.numpy(), SCALE_BONES)
    assert (lengths.sum(axis=1) > 2).all() and (lengths.sum(axis=1) < 5.5).all()
    np.testing.assert_allclose(poses[:, PELVIS, :2], 0, atol=1e-6)
    names = MPII_16.names
    for bone in ("knee", "ankle", "elbow", "wrist"):  # left and right are alike
        parent = {"knee": "hip", "ankle": "knee", "elbow": "shoulder", "wrist": "elbow"}[bone]
        left, right = (
            (poses[:, names.index(f"{s}_{bone}")] - poses[:, names.index(f"{s}_{parent}")]).norm(dim=-1)
            for s in ("left", "right")
        )
        torch.testing.assert_close(left, right, atol=2e-3, rtol=0)


def test_the_same_seed_draws_the_same(poses: torch.Tensor) -> None:
    again = torch.from_numpy(sample_joints(load_body(), 64, "wild", (0, 0))).float()
    assert torch.equal(poses, again)
    assert not torch.equal(poses, torch.from_numpy(sample_joints(load_body(), 64, "wild", (0, 1))).float())


def test_banks_are_written_whole_and_read_back(tmp_path: Path) -> None:
    write_poses(tmp_path / "poses.npy", 300, 0)
    found = read_poses(tmp_path / "poses.npy")
    assert found.shape == (300, 16, 3) and found.dtype == np.float16
    assert [path.name for path in tmp_path.iterdir()] == ["poses.npy"]
    np.save(tmp_path / "other.npy", np.zeros((3, 4)))
    (tmp_path / "text.npy").write_text("no")
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object))
    for name, said in (("other", "not poses"), ("text", "does not hold"), ("none", "no poses"), ("pickled", "hold")):
        with pytest.raises(LiftwildError, match=said):
            read_poses(tmp_path / f"{name}.npy")


def test_views_are_of_the_pose(poses: torch.Tensor) -> None:
    """Flat joints and depths, put together, are the pose in another frame, but for perspective: bones keep their
    ratios within it."""
    joints, depth = project_poses(poses, torch.Generator().manual_seed(1))
    assert not depth[:, DEPTH_ROOT].any()
    assert (joints.abs() <= 1 + 1e-5).all()
    sides = (joints.amax(1) - joints.amin(1)).amax(1) / 2
    assert (sides >= 0.6).all() and (sides <= 0.88).all()
    seen = bone_lengths(torch.cat([joints, depth[..., None]], -1).numpy(), SCALE_BONES)
    true = bone_lengths(poses.numpy(), SCALE_BONES)
    ratio = (seen / seen.sum(1, keepdims=True)) / (true / true.sum(1, keepdims=True))
    assert 0.95 < np.median(ratio) < 1.05 and np.percentile(ratio, 5) > 0.75 and np.percentile(ratio, 95) < 1.3


def test_errors_are_of_the_kinds_that_networks_make(poses: torch.Tensor) -> None:
    rng = torch.Generator().manual_seed(2)
    joints, _ = project_poses(poses.repeat(40, 1, 1), rng)
    reading, inside = corrupt_joints(joints, rng)
    size = (joints.amax(1) - joints.amin(1)).amax(1)[:, None]
    away = (reading.joints - joints).norm(dim=-1) / size
    ok = inside & (reading.mass > 0.5)
    assert away[ok].median() < 0.035 and (away[ok] > 0.1).float().mean() < 0.15
    assert 0.05 < (~inside).float().mean() < 0.25 and (inside.sum(1) >= 4).all()
    assert reading.mass[inside].mean() > reading.mass[~inside].mean() + 0.4
    other = joints[:, list(MPII_16.flip_index)]
    paired = (joints - other).norm(dim=-1) > 0.2
    exchanged = ((reading.joints - other).norm(dim=-1) < 0.03) & paired & inside
    assert 0.02 < exchanged[paired & inside].float().mean() < 0.2
    for each in reading:
        assert each.isfinite().all()
    assert (reading.mass >= 0).all() and (reading.mass <= 1).all() and (reading.spread > 0).all()


def test_views_depend_on_the_generator_alone(poses: torch.Tensor) -> None:
    one, other = (sample_views(poses, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.reading, other.reading, strict=True))
    assert torch.equal(one.depth, other.depth) and torch.equal(one.inside, other.inside)


def test_a_lifters_loss_is_a_mean_over_people(poses: torch.Tensor) -> None:
    torch.manual_seed(0)
    lifter = Lifter(16, 32)
    view = sample_views(poses[:4], torch.Generator().manual_seed(5))
    twice = PoseView(
        Reading(*(torch.cat([each, each]) for each in view.reading)),
        *(torch.cat([each, each]) for each in view[1:]),
    )
    assert torch.allclose(lifter_loss(lifter, view)[0], lifter_loss(lifter, twice)[0], rtol=1e-5)
