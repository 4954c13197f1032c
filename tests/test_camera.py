"""Projection there and back, and depth in the network's unit there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwild.camera import Camera, bone_lengths, depth_targets, pose_mm
from liftwild.crop import Crop, transform
from liftwild.skeleton import DEPTH_ROOT, MPII_16, PELVIS, SCALE_BONES, THORAX
from tests.support.strategies import J, between, cameras, crops, in_view, quick, seeds

# --- camera ---


def test_project_by_hand() -> None:
    camera = Camera(fx=1000, fy=500, cx=320, cy=240)
    np.testing.assert_array_equal(camera.project(np.array([[0, 0, 1], [1000, -500, 2000]])), [[320, 240], [820, 115]])


@quick
@given(cameras, seeds)
def test_project_and_unproject_are_inverse(camera: Camera, seed: int) -> None:
    points = in_view(seed)
    image = camera.project(points)
    np.testing.assert_allclose(camera.unproject(image, points[:, 2]), points, atol=1e-6)
    homogeneous = points @ camera.K.T
    np.testing.assert_allclose(image, homogeneous[:, :2] / homogeneous[:, 2:], atol=1e-6)


@quick
@given(cameras, crops, st.integers(16, 512), seeds)
def test_warped_camera_sees_the_warped_image(camera: Camera, crop: Crop, output_px: int, seed: int) -> None:
    affine = crop.affine(output_px)
    warped, turn = camera.warped(affine)
    points = in_view(seed)
    expected = transform(affine, camera.project(points))
    np.testing.assert_allclose(warped.project(points @ turn.T), expected, rtol=1e-9, atol=1e-6)
    assert warped.fx > 0 and warped.fy > 0
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(-1 if crop.flip else 1)
    np.testing.assert_array_equal((points @ turn.T)[:, 2], points[:, 2])


def test_warped_by_hand() -> None:
    camera = Camera(fx=1000, fy=500, cx=100, cy=60)
    plain, turn = camera.warped(Crop((100, 60), 200).affine(100))
    assert (plain, turn.tolist()) == (Camera(500, 250, 50, 50), np.eye(3).tolist())
    mirrored, turn = camera.warped(Crop((90, 60), 200, flip=True).affine(100))
    assert (mirrored, turn.tolist()) == (Camera(500, 250, 45, 50), np.diag([-1.0, 1, 1]).tolist())
    # A quarter turn clockwise: what was right is below now, and fx and fy change places.
    turned, turn = camera.warped(Crop((100, 60), 100, rotation_rad=np.pi / 2).affine(100))
    assert (turned.fx, turned.fy, turned.skew) == pytest.approx((500, 1000, 0), abs=1e-9)
    np.testing.assert_allclose(turn @ (1, 0, 0), [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("z", [0.0, -1.0])
def test_points_behind_the_camera_raise(z: float) -> None:
    with pytest.raises(ValueError, match="behind the camera"):
        Camera(1000, 1000, 0, 0).project(np.array([[0.0, 0, 1000], [0, 0, z]]))


# --- depth in the network's unit and back to mm ---


def weak_perspective(joints_3d: np.ndarray, px_per_mm: float) -> np.ndarray:
    return joints_3d[:, :2] * px_per_mm + 128


@quick
@given(seeds, between(0.01, 1), st.sampled_from([64, 256, 384]), between(100, 10_000))
def test_depth_and_back_is_the_pose(seed: int, px_per_mm: float, input_px: int, away: float) -> None:
    joints_3d = np.random.default_rng(seed).normal((30, -70, away), 400.0, size=(J, 3))
    joints_2d = weak_perspective(joints_3d, px_per_mm)
    depth, valid = depth_targets(joints_2d, joints_3d, np.ones(J, dtype=bool), input_px)
    assert valid.all() and depth.dtype == np.float32 and depth[DEPTH_ROOT] == 0
    result, _ = pose_mm(joints_2d, depth, input_px, bone_lengths(joints_3d).sum(), PELVIS)
    expected = joints_3d - joints_3d[PELVIS]
    np.testing.assert_allclose(result, expected, atol=1e-6 * np.abs(expected).max())
    # Another person's size changes the size alone.
    twice, _ = pose_mm(joints_2d, depth, input_px, 2 * bone_lengths(joints_3d).sum(), PELVIS)
    np.testing.assert_allclose(twice, 2 * result)


def test_depth_targets_by_hand() -> None:
    """0.1 px / mm and an input of 200 px: 100 mm behind the thorax are 10 px, so 0.1."""
    joints_3d = np.random.default_rng(0).normal(scale=300.0, size=(J, 3))
    joints_3d[:, 2] = 3000
    joints_3d[MPII_16.index("left_wrist"), 2] += 100
    joints_3d[MPII_16.index("head_top"), 2] -= 50
    depth, _ = depth_targets(weak_perspective(joints_3d, 0.1), joints_3d, np.ones(J, dtype=bool), 200)
    expected = np.zeros(J)
    expected[[MPII_16.index("left_wrist"), MPII_16.index("head_top")]] = 0.1, -0.05
    np.testing.assert_allclose(depth, expected, atol=1e-7)


@quick
@given(seeds, st.lists(st.booleans(), min_size=J, max_size=J))
def test_depth_targets_use_valid_joints_only(seed: int, valid_list: list[bool]) -> None:
    valid = np.array(valid_list)
    joints_3d = np.random.default_rng(seed).normal(scale=400.0, size=(J, 3))
    joints_2d = weak_perspective(joints_3d, 0.1)
    full, _ = depth_targets(joints_2d, joints_3d, np.ones(J, dtype=bool), 256)
    known = [np.where(valid[:, None], joints, np.nan) for joints in (joints_2d, joints_3d)]
    depth, depth_valid = depth_targets(known[0], known[1], valid, 256)
    assert np.isfinite(depth).all() and (depth[~depth_valid] == 0).all()
    if not valid[THORAX] or not any(valid[a] and valid[b] for a, b in SCALE_BONES):
        assert not depth_valid.any()
    else:
        np.testing.assert_array_equal(depth_valid, valid)
        assert depth_valid is not valid
        np.testing.assert_allclose(depth[valid], full[valid], rtol=1e-5, atol=1e-7)


def test_depth_targets_without_thorax_bones_or_size() -> None:
    joints_3d = np.random.default_rng(0).normal(scale=400.0, size=(J, 3))
    no_thorax = np.arange(J) != THORAX
    only_thorax = np.arange(J) == THORAX
    end_on = joints_3d * (0, 0, 1)
    for joints, valid in ((joints_3d, no_thorax), (joints_3d, only_thorax), (end_on, np.ones(J, dtype=bool))):
        depth, depth_valid = depth_targets(weak_perspective(joints, 0.1), joints, valid, 256)
        assert not depth_valid.any() and not depth.any()


def test_pose_mm_of_a_pose_of_no_size_stays_at_zero() -> None:
    joints_2d = np.full((2, J, 2), 50.0)
    joints_2d[1] += np.random.default_rng(0).normal(scale=20, size=(J, 2))
    result, _ = pose_mm(joints_2d, np.zeros((2, J)), 256, 4000.0, PELVIS)
    assert (result[0] == 0).all()
    assert bone_lengths(result[1]).sum() == pytest.approx(4000)
