"""People seen in part: photos that end within them, what is black, and what is said of their joints."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from liftwild.camera import SCALE_BONES, in_unit, mm_per_unit, pose_mm
from liftwild.crop import Crop, blackened, grown
from liftwild.data.augment import Augmentation, augment, cut_off, places, view
from liftwild.data.mixed import targets
from liftwild.losses import depth_spread_loss, place_loss, presence_loss
from liftwild.skeleton import PELVIS
from tests.support.stores import sample


def test_black_is_what_lies_outside_the_box() -> None:
    image = np.full((10, 20, 3), 9, np.uint8)
    out = blackened(image, (2.4, 3.0, 5.0, 4.0))
    assert (out[3:7, 2:8] == 9).all() and out.sum() == 9 * 3 * 4 * 6
    assert blackened(image, (-1, -1, 30, 30)) is image and not blackened(image, (50, 50, 3, 3)).any()
    assert grown((10.0, 20.0, 30.0, 40.0), 0.1) == (6.0, 16.0, 38.0, 48.0)


def test_a_cut_leaves_black_and_says_which_joints_are_gone() -> None:
    whole = sample(0)
    seen = set()
    for seed in range(60):
        part = cut_off(whole, np.random.default_rng(seed))
        if part is whole:
            continue
        assert part.photo is not None
        x, y, w, h = part.photo
        inside = ((part.joints_2d >= (x, y)) & (part.joints_2d < (x + w, y + h))).all(axis=1)
        assert inside.sum() >= 4
        mask = np.ones(whole.image.shape[:2], dtype=bool)
        mask[int(y) : int(y + h), int(x) : int(x + w)] = False
        assert not part.image[mask].any() and (part.image[~mask] == whole.image[~mask]).all()
        bx, by, bw, bh = part.box
        assert bx >= x - 1e-6 and by >= y - 1e-6 and bx + bw <= x + w + 1e-6 and by + bh <= y + h + 1e-6
        shown = view(part, Crop.around(part.box), 128)
        assert shown.presence is not None
        assert (shown.presence == np.where(part.joints_2d_valid, np.where(inside, 2, 1), 0)).all()
        seen.add((x > 0, y > 0, x + w < whole.image.shape[1], y + h < whole.image.shape[0]))
    assert len(seen) >= 3  # below, above, at a side


def test_joints_beyond_the_picture_are_where_the_camera_puts_them() -> None:
    whole = sample(0)
    valid = whole.joints_2d_valid.copy()
    valid[3] = False
    hidden = dataclasses.replace(whole, joints_2d_valid=valid, joints_2d=np.where(valid[:, None], whole.joints_2d, 0))
    found, known = places(hidden)
    assert known.all() and np.allclose(found, whole.joints_2d, atol=1e-6)
    flat = dataclasses.replace(hidden, camera=None)
    assert not places(flat)[1][3]
    batch = targets(augment(hidden, np.random.default_rng(0), Augmentation(), 128), 128, True, beyond=True)
    assert batch["joints_2d_valid"].all() and batch["depth_valid"].all()
    plain = targets(augment(hidden, np.random.default_rng(0), Augmentation(), 128), 128, True)
    assert not plain["joints_2d_valid"][3] and not plain["depth_valid"][3]


def test_the_mask_is_varied_and_keeps_the_person() -> None:
    whole = sample(0)
    bright = dataclasses.replace(whole, image=np.full_like(whole.image, 200))
    shares = {
        round(float((augment(bright, np.random.default_rng(seed), Augmentation(), 64, 0.08).image > 0).mean()), 3)
        for seed in range(8)
    }
    assert len(shares) > 3
    assert (augment(bright, np.random.default_rng(0), Augmentation(), 64).image > 0).mean() > max(shares)


def test_what_is_outside_does_not_decide_the_scale() -> None:
    rng = np.random.default_rng(0)
    joints, depth = rng.uniform(0, 256, (1, 16, 2)), rng.normal(0, 0.3, (1, 16))
    bones = rng.uniform(100, 500, len(SCALE_BONES))
    inside = np.ones((1, 16), dtype=bool)
    inside[0, [0, 1, 4, 5]] = False  # knees and ankles
    total = float(bones.sum())
    moved = joints.copy()
    moved[0, [0, 5]] += 900
    one, other = (
        mm_per_unit(in_unit(each, depth, 256), total, bones, inside) for each in (joints, moved)
    )  # fmt: skip
    np.testing.assert_allclose(one, other)
    assert not np.allclose(mm_per_unit(in_unit(moved, depth, 256), total), one)
    # All inside: as without knowing; too few bones inside: as without knowing.
    everything = mm_per_unit(in_unit(joints, depth, 256), total)
    np.testing.assert_allclose(mm_per_unit(in_unit(joints, depth, 256), total, bones, inside | True), everything)
    np.testing.assert_allclose(mm_per_unit(in_unit(joints, depth, 256), total, bones, inside & False), everything)
    pose, _ = pose_mm(joints, depth, 256, total, PELVIS, bones, inside)
    assert not pose[0, PELVIS].any()


def test_losses_of_spread_place_and_presence() -> None:
    target, valid = torch.tensor([[0.0, 1.0, 5.0]]), torch.tensor([[True, True, False]])
    pred = torch.tensor([[0.2, 1.0, 0.0]], requires_grad=True)
    log = torch.log(torch.tensor([[0.2, 0.1, 1.0]])).requires_grad_()
    found = depth_spread_loss(pred, log, target, valid)
    by_hand = ((0.2 + 0.1 * (1 + np.log(0.2))) + 0.1 * (0 + np.log(0.1))) / 2  # mean of the image's two joints
    assert found.total.item() == pytest.approx(by_hand, rel=1e-5) and found.count == 1
    found.mean().backward()
    assert log.grad is not None and log.grad[0, 0].abs() < 1e-6 and log.grad[0, 2] == 0  # best where it is the error
    away = place_loss(torch.tensor([[[3.0, 4.0], [9.0, 9.0]]]), torch.zeros(1, 2, 2), torch.tensor([[True, False]]))
    assert away.total == 5 and away.count == 1
    odds = torch.tensor([[0.0, 2.0, -2.0]])
    told = presence_loss(odds, torch.tensor([[0, 2, 1]], dtype=torch.uint8))
    assert told.count == 2 and told.mean().item() == pytest.approx(np.log1p(np.exp(-2.0)), rel=1e-5)
