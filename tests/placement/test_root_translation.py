"""Where in front of the camera a person is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.camera import Camera, bone_lengths
from liftwild.placement.root_translation import along_rays, located, place
from liftwild.skeleton import MPII_16, PELVIS, SCALE_BONES
from tests.support.placed_clips import CAMERA, ROOTS, poses, recording

A = MPII_16.index


def test_true_joints_give_the_true_place() -> None:
    pose = poses()
    found = place(CAMERA.project(pose + ROOTS[:, None]), pose, CAMERA)
    np.testing.assert_allclose(found, ROOTS, atol=1e-6)
    one = place(CAMERA.project(pose[1] + ROOTS[1]), pose[1], CAMERA)
    np.testing.assert_allclose(one, ROOTS[1], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    x=st.floats(-0.6, 0.6),
    y=st.floats(-0.4, 0.4),
    z=st.floats(1500, 20000),
    focal=st.floats(200, 5000),
    size=st.floats(0.2, 2),
)
def test_a_person_is_found_wherever_they_are(
    seed: int, x: float, y: float, z: float, focal: float, size: float
) -> None:
    camera, pose, root = Camera(focal, focal, 500, 400), poses(1, seed)[0] * size, np.array([x * z, y * z, z])
    if (pose[:, 2] + z).min() < 300:
        return
    found = place(camera.project(pose + root), pose, camera)
    np.testing.assert_allclose(found, root, rtol=1e-6, atol=1e-3)
    # A person twice as large, twice as far, looks the same.
    np.testing.assert_allclose(place(camera.project(pose + root), pose * 2, camera), 2 * found, rtol=1e-6, atol=1e-3)


def test_a_few_wrong_joints_hardly_move_it() -> None:
    pose = poses(200, 3, 60.0)
    root = np.tile([300.0, 100.0, 4000.0], (200, 1))
    seen = CAMERA.project(pose + root[:, None]) + np.random.default_rng(0).normal(0, 3, (200, 16, 2))
    clean = np.linalg.norm(place(seen, pose, CAMERA) - root, axis=1)
    joints = [A(name) for name in ("left_wrist", "right_ankle", "head_top", "left_elbow", "right_knee")]
    wrong = seen.copy()
    wrong[:, joints[:3]] += (180, -120)
    off = np.linalg.norm(place(wrong, pose, CAMERA) - root, axis=1)
    assert np.median(clean) < 25 and np.median(off) < 1.5 * np.median(clean) and off.max() < 3 * clean.max()
    # Five in one direction are too many, unless the network was not sure of them.
    wrong[:, joints] = seen[:, joints] + (180, -120)
    sure = np.ones((200, 16))
    sure[:, joints] = 0.05
    assert np.median(np.linalg.norm(place(wrong, pose, CAMERA) - root, axis=1)) > 500
    assert np.median(np.linalg.norm(place(wrong, pose, CAMERA, sure) - root, axis=1)) < 2 * np.median(clean)


def test_what_cannot_be_placed_is_nan_and_leaves_the_others() -> None:
    pose = poses(5)
    seen = CAMERA.project(pose + ROOTS[:5, None])
    seen[1] = seen[1, 0]  # all at one point
    weight = np.ones((5, 16))
    weight[2, 1:] = 0  # one joint alone
    pose[3] *= -1  # upside down and inside out: fits nowhere before the camera
    seen[4, 5:9] = np.nan
    pose[4, 10] = np.nan
    found = place(seen, pose, CAMERA, weight)
    assert np.isnan(found[1:4]).all() and np.isfinite(found[[0, 4]]).all()
    np.testing.assert_allclose(found[[0, 4]], ROOTS[[0, 4]], atol=1e-6)
    assert np.isnan(place(np.full((16, 2), np.nan), pose[0], CAMERA)).all()
    with pytest.raises(ValueError, match="joints_2d"):
        place(seen, pose[:, :4], CAMERA)
    with pytest.raises(ValueError, match="weight"):
        place(seen, pose, CAMERA, -weight)


def flattened(pose: np.ndarray, root: np.ndarray, camera: Camera) -> np.ndarray:
    """The pose as the network would say it: x and y follow the picture at the pelvis' scale."""
    seen = camera.project(pose + root[..., None, :])
    x, y = (seen[..., 0] - camera.cx) / camera.fx, (seen[..., 1] - camera.cy) / camera.fy
    flat = np.stack([x * root[..., None, 2], y * root[..., None, 2], pose[..., 2] + root[..., None, 2]], axis=-1)
    return flat - flat[..., PELVIS : PELVIS + 1, :]


def test_perspective_is_given_back() -> None:
    camera, pose, root = replace(CAMERA, skew=0.0), poses(shape=60.0), ROOTS.astype(float)
    seen, flat = camera.project(pose + root[:, None]), flattened(pose, root, camera)
    size, own = (bone_lengths(each, SCALE_BONES).sum(-1)[:, None] for each in (pose, flat))
    flat *= (size / own)[..., None]  # the network's summed bone length is always the same
    rough = place(seen, flat, camera)
    found, placed = along_rays(seen, flat, rough, camera)
    off, was = (np.linalg.norm(each - pose, axis=-1).mean() for each in (found, flat))
    assert off < 0.15 * was
    assert np.linalg.norm(placed - root, axis=-1).mean() < 0.5 * np.linalg.norm(rough - root, axis=-1).mean()
    np.testing.assert_allclose(bone_lengths(found, SCALE_BONES).sum(-1), size[:, 0])
    np.testing.assert_allclose(camera.project(found + placed[:, None]), seen, atol=1e-6)
    assert (found[:, PELVIS] == 0).all()
    # Without a place nothing changes.
    kept, none = along_rays(seen, flat, np.full_like(root, np.nan), camera)
    assert np.array_equal(kept, flat) and np.isnan(none).all()


def test_located_fills_a_recording() -> None:
    pose, times = poses(6, 2, 40.0), np.arange(6) / 30
    seen = CAMERA.project(pose + ROOTS[:, None])
    start = replace(recording(pose, None, times, seen), steps=("before",))
    found = located(start, CAMERA, "given")
    assert found.camera is CAMERA and found.camera_from == "given" and len(found.steps) == 2
    assert "given" in found.steps[1]
    (track,) = found.tracks
    np.testing.assert_allclose(track.root_mm, ROOTS, atol=1e-6)
    np.testing.assert_allclose(track.joints_3d, pose, atol=1e-6)  # these have their perspective
    assert start.tracks[0].root_mm is None
    assert located(replace(start, tracks=()), CAMERA, "given").tracks == ()


def test_joints_outside_the_photo_do_not_place_anybody() -> None:
    pose = poses(6, 2)
    seen = CAMERA.project(pose + ROOTS[:, None])
    outside = np.isin(np.arange(16), (0, 1, 2, 3, 4, 5, 10, 11, 14, 15))
    seen[:, outside] += (0.0, 400.0)  # all alike, so that they look right by their number
    start = recording(pose, None, np.arange(6) / 30, seen)
    track = replace(start.tracks[0], confidence=np.full((6, 16), 0.8))
    told = replace(track, inside=np.where(outside, 0.2, 0.9) + np.zeros((6, 1)), visible=np.full((6, 16), 0.7))
    off = []
    for own in (track, told):
        (found,) = located(replace(start, tracks=(own,)), CAMERA, "given", perspective=False).tracks
        off.append(np.linalg.norm(found.root_mm - ROOTS, axis=-1).mean())
    assert off[1] < 0.02 * off[0]
    assert found.inside is told.inside and found.visible is told.visible
    # Where all are outside, they must.
    gone = replace(
        start, tracks=(replace(told, joints_2d=CAMERA.project(pose + ROOTS[:, None]), inside=np.zeros((6, 16))),)
    )
    np.testing.assert_allclose(located(gone, CAMERA, "given", perspective=False).tracks[0].root_mm, ROOTS, atol=1e-6)
