"""Augmentation: picture, 2D joints, 3D joints and camera go the same way, and left stays left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liftwild.crop import Crop
from liftwild.data.augment import Augmentation, augment, view
from liftwild.skeleton import MPII_16
from tests.support.poses import RAISED_RIGHT_HAND, J
from tests.support.stores import same, sample

PX = 64
quick = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
share = st.floats(0, 1, allow_subnormal=False)
augmentations = st.builds(
    Augmentation,
    scale_octaves=st.floats(0, 1.5),
    rotation_deg=st.floats(0, 180),
    rotation_probability=share,
    flip_probability=share,
    shift=st.floats(0, 0.5),
    colour=share,
    occlusion=share,
)
crops = st.builds(
    Crop,
    center_px=st.tuples(st.floats(20, 140), st.floats(20, 140)),
    size_px=st.floats(40, 400),
    rotation_rad=st.floats(-7, 7),
    flip=st.booleans(),
)
RIGHT_WRIST, LEFT_WRIST, RIGHT_HIP, LEFT_HIP, THORAX, PELVIS = (
    MPII_16.index(name) for name in ("right_wrist", "left_wrist", "right_hip", "left_hip", "thorax", "pelvis")
)
FLIP = list(MPII_16.flip_index)


def distances(joints: np.ndarray) -> np.ndarray:
    """Distance of every joint to every other (J, J)."""
    return np.linalg.norm(joints[:, None] - joints[None], axis=-1)


# --- consistency ---


@quick
@given(seed=seeds, how=augmentations)
def test_augmenting_then_projecting_is_projecting_then_augmenting(seed: int, how: Augmentation) -> None:
    before = sample(seed)
    assert before.camera is not None and before.camera.fx != before.camera.fy
    after = augment(before, np.random.default_rng(seed), how, PX)
    assert after.camera is not None
    assert np.abs(after.camera.project(after.joints_3d) - after.joints_2d).max() < 1e-6
    assert after.image.shape == (PX, PX, 3) and after.image.dtype == np.uint8
    assert after.joints_2d_valid.all() and after.depth_valid.all()
    assert (after.source, after.annotation_id) == (before.source, before.annotation_id)
    # Depths stay, whoever is named left or right.
    assert np.allclose(np.sort(after.joints_3d[:, 2]), np.sort(before.joints_3d[:, 2]))


@quick
@given(seed=seeds, crop=crops)
def test_lengths_and_depths_stay(seed: int, crop: Crop) -> None:
    before = sample(seed)
    after = view(before, crop, PX)
    order = FLIP if crop.flip else list(range(J))
    assert np.allclose(distances(after.joints_3d), distances(before.joints_3d)[np.ix_(order, order)], atol=1e-6)
    assert np.allclose(after.joints_3d[:, 2], before.joints_3d[order, 2])
    assert np.allclose(after.joints_2d, crop.to_crop(before.joints_2d, PX)[order])


@quick
@given(seed=seeds, crop=crops)
def test_without_a_camera_the_joints_in_space_turn_all_the_same(seed: int, crop: Crop) -> None:
    with_camera = sample(seed)
    square = replace(with_camera, camera=replace(with_camera.camera, fx=200.0, fy=200.0))  # type: ignore[type-var]
    without = view(replace(square, camera=None), crop, PX)
    assert without.camera is None
    assert np.allclose(without.joints_3d, view(square, crop, PX).joints_3d)


@quick
@given(seed=seeds, crop=crops, mask=st.integers(0, 2**32 - 1))
def test_what_is_unknown_stays_unknown(seed: int, crop: Crop, mask: int) -> None:
    before = sample(seed)
    seen, known = (np.random.default_rng(mask + i).random(J) < 0.6 for i in range(2))
    after = view(replace(before, joints_2d_valid=seen, depth_valid=known), crop, PX)
    order = FLIP if crop.flip else list(range(J))
    assert np.array_equal(after.joints_2d_valid, seen[order]) and np.array_equal(after.depth_valid, known[order])
    assert np.all(after.joints_2d[~seen[order]] == 0) and np.all(after.joints_3d[~known[order]] == 0)
    full = view(before, crop, PX)
    assert np.array_equal(after.joints_2d[seen[order]], full.joints_2d[seen[order]])
    assert np.array_equal(after.joints_3d[known[order]], full.joints_3d[known[order]])


@quick
@given(seed=seeds, crop=crops, joint=st.integers(0, J - 1))
def test_picture_and_joints_move_together(seed: int, crop: Crop, joint: int) -> None:
    before = sample(seed)
    x, y = before.joints_2d[joint]
    ys, xs = np.mgrid[:160, :160] + 0.5
    dot = 250 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 3.0**2))
    before = replace(before, image=np.repeat(dot[..., None], 3, axis=2).astype(np.uint8))
    name = FLIP[joint] if crop.flip else joint
    place = crop.to_crop(np.array([x, y]), PX)
    margin = 10 * max(1.0, PX / crop.size_px)
    assume(np.all(place > margin) and np.all(place < PX - margin))
    after = view(before, crop, PX)
    bright = after.image[..., 0].astype(float)
    bright[bright < 8] = 0
    ys, xs = np.mgrid[:PX, :PX] + 0.5
    centre = np.array([(bright * xs).sum(), (bright * ys).sum()]) / bright.sum()
    assert np.abs(centre - after.joints_2d[name]).max() < 0.5


@quick
@given(seed=seeds, crop=crops)
def test_the_box_still_holds_the_person(seed: int, crop: Crop) -> None:
    after = view(sample(seed), crop, PX)
    x, y, w, h = after.box
    assert np.all(after.joints_2d >= (x - 1e-6, y - 1e-6)) and np.all(after.joints_2d <= (x + w + 1e-6, y + h + 1e-6))


# --- left and right ---


@quick
@given(seed=seeds, crop=crops)
def test_mirroring_twice_restores(seed: int, crop: Crop) -> None:
    mirror = Crop((PX / 2, PX / 2), PX, flip=True)
    once = view(sample(seed), crop, PX)
    assert same(view(view(once, mirror, PX), mirror, PX), once)
    assert not same(view(once, mirror, PX), once)


def test_the_head_grows_with_the_picture_and_names_stay() -> None:
    before = replace(sample(0), subject="S1", group="Walking", head_size_px=24.0)
    for crop in (Crop((80.0, 70.0), 160.0), Crop((80.0, 80.0), 40.0, rotation_rad=1.0, flip=True)):
        after = view(before, crop, PX)
        assert after.head_size_px == pytest.approx(24.0 * PX / crop.size_px)
        assert (after.subject, after.group) == ("S1", "Walking")
    assert view(sample(0), Crop((80.0, 70.0), 160.0), PX).head_size_px is None


def test_left_stays_left() -> None:
    """Someone facing the camera with the right hand raised; in the mirror, someone with the left hand raised."""
    before = sample(0)
    assert before.camera is not None
    joints_3d = RAISED_RIGHT_HAND + np.array([0, 0, 4000])
    before = replace(before, joints_3d=joints_3d, joints_2d=before.camera.project(joints_3d))
    plain, mirrored = (view(before, Crop((80.0, 80.0), 160.0, flip=flip), 160) for flip in (False, True))
    for one in (plain, mirrored):  # the person's right side is on the left of the picture, in px and in mm
        assert one.joints_2d[RIGHT_HIP, 0] < one.joints_2d[LEFT_HIP, 0]
        assert one.joints_3d[RIGHT_HIP, 0] < one.joints_3d[LEFT_HIP, 0]
        # ... and in space they face us: hips right to left, then up, then toward the camera, a left-handed turn.
        across, up = one.joints_3d[LEFT_HIP] - one.joints_3d[RIGHT_HIP], one.joints_3d[THORAX] - one.joints_3d[PELVIS]
        assert np.cross(across, up)[2] < 0
    assert plain.joints_2d[RIGHT_WRIST, 1] < plain.joints_2d[LEFT_WRIST, 1] - 30  # y down: the right hand is up
    assert mirrored.joints_2d[LEFT_WRIST, 1] < mirrored.joints_2d[RIGHT_WRIST, 1] - 30
    assert np.allclose(mirrored.joints_2d[RIGHT_WRIST], (160, 0) + plain.joints_2d[LEFT_WRIST] * (-1, 1))
    assert np.allclose(mirrored.joints_2d[LEFT_WRIST], (160, 0) + plain.joints_2d[RIGHT_WRIST] * (-1, 1))
    assert np.allclose(mirrored.joints_3d[RIGHT_WRIST], plain.joints_3d[LEFT_WRIST] * (-1, 1, 1))
    assert np.array_equal(mirrored.image, plain.image[:, ::-1])


def test_rotation_turns_the_content_clockwise() -> None:
    crop = Crop((80.0, 80.0), 160.0, rotation_rad=np.pi / 2)
    before = sample(0)
    after = view(before, crop, 160)
    x, y = before.joints_2d[LEFT_WRIST]
    assert np.allclose(after.joints_2d[LEFT_WRIST], (160 - y, x))
    assert np.array_equal(after.image, np.rot90(before.image, -1))
    # "Up" in the picture now points right, in space too.
    up = before.joints_3d[THORAX] - before.joints_3d[PELVIS]
    turned = after.joints_3d[THORAX] - after.joints_3d[PELVIS]
    assert turned[0] == pytest.approx(-up[1]) and turned[1] == pytest.approx(up[0])
