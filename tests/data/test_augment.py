"""Augmentation: picture, 2D joints, 3D joints and camera go the same way, and left stays left."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liftwild.crop import BOX_MARGIN, Crop
from liftwild.data import augment as augment_module
from liftwild.data.augment import PAPER_2D, Augmentation, augment, cover, view
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16
from tests.support.poses import RAISED_RIGHT_HAND, J
from tests.support.stores import sample

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


def same(a: Sample, b: Sample) -> bool:
    """Whether two samples hold the same, to rounding."""
    arrays = ("joints_2d", "joints_2d_valid", "joints_3d", "depth_valid", "box")
    cameras = a.camera is b.camera is None or np.allclose(a.camera.K, b.camera.K)  # type: ignore[union-attr]
    close = all(np.allclose(getattr(a, name), getattr(b, name), atol=1e-9) for name in arrays)
    return close and cameras and np.array_equal(a.image, b.image)


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


# --- how much ---


def drawn(monkeypatch: pytest.MonkeyPatch, how: Augmentation, count: int) -> tuple[list[Crop], np.ndarray]:
    """``count`` seeded draws: the crop of each, and its colour gains (count, 3)."""
    seen: list[Crop] = []
    grey = replace(sample(), image=np.full((1, 1, 3), 150, np.uint8))

    def remember(_: Sample, crop: Crop, __: int) -> Sample:
        seen.append(crop)
        return grey

    monkeypatch.setattr(augment_module, "view", remember)
    pixels = [augment(sample(), np.random.default_rng([5, i]), how, PX).image[0, 0] for i in range(count)]
    return seen, np.array(pixels) / 150


def test_the_papers_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asdict(PAPER_2D) == {
        "scale_octaves": 0.25, "rotation_deg": 30.0, "rotation_probability": 0.4, "flip_probability": 0.5,
        "shift": 0.0, "colour": 0.4, "occlusion": 0.0, "cut": 0.0,
    }  # fmt: skip
    count = 3000
    seen, gains = drawn(monkeypatch, PAPER_2D, count)
    base = Crop.around(sample().box, BOX_MARGIN)
    octaves = np.log2([crop.size_px / base.size_px for crop in seen]) / 0.25
    turns = np.rad2deg([crop.rotation_rad for crop in seen]) / 30
    flips = np.array([crop.flip for crop in seen])
    assert {crop.center_px for crop in seen} == {base.center_px}
    # Shares: four standard deviations of the mean are 0.036. A normal cut at 2 has a deviation of 0.959.
    assert abs((turns != 0).mean() - 0.4) < 0.036 and abs(flips.mean() - 0.5) < 0.036
    for values in (octaves, turns[turns != 0]):
        assert np.abs(values).max() == pytest.approx(2) and abs(values.mean()) < 0.1
        assert abs(values.std() - 0.959) < 0.06 and 0.02 < (np.abs(values) > 1.999).mean() < 0.07
    assert gains.min() >= 0.6 - 0.004 and gains.max() <= 1.4 + 0.004
    assert np.all(np.abs(gains.mean(axis=0) - 1) < 0.02) and np.all(np.abs(gains.std(axis=0) - 0.231) < 0.01)
    everything = np.corrcoef(np.column_stack([octaves, turns, flips, gains]).T) - np.eye(6)
    assert np.abs(everything).max() < 0.08  # drawn independently


def test_switching_one_off_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    full = replace(PAPER_2D, shift=0.1)
    crops, gains = drawn(monkeypatch, full, 30)
    for off in ("scale_octaves", "rotation_deg", "flip_probability", "shift", "colour"):
        fewer, other = drawn(monkeypatch, replace(full, **{off: 0.0}), 30)
        for name, owner in (
            ("size_px", "scale_octaves"),
            ("rotation_rad", "rotation_deg"),
            ("flip", "flip_probability"),
            ("center_px", "shift"),
        ):
            equal = [getattr(a, name) == getattr(b, name) for a, b in zip(crops, fewer, strict=True)]
            assert all(equal) == (owner != off), (off, name)
        assert np.array_equal(gains, other) == (off != "colour")


def test_shift_moves_the_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, _ = drawn(monkeypatch, Augmentation(shift=0.1), 1000)
    base = Crop.around(sample().box, BOX_MARGIN)
    moved = np.array([np.array(crop.center_px) - base.center_px for crop in seen]) / (0.1 * base.size_px)
    assert np.abs(moved).max() == pytest.approx(2) and np.all(np.abs(moved.std(axis=0) - 0.959) < 0.1)


def test_no_augmentation_is_the_plain_crop() -> None:
    for seed in range(3):
        before = sample(seed)
        plain = view(before, Crop.around(before.box, BOX_MARGIN), PX)
        assert same(augment(before, np.random.default_rng(seed), Augmentation(), PX), plain)
        x, y, w, h = plain.box
        assert max(w, h) == pytest.approx(PX / BOX_MARGIN) and (x + w / 2, y + h / 2) == pytest.approx((PX / 2, PX / 2))


def test_colours_saturate_and_nothing_else_changes() -> None:
    before = replace(sample(), image=np.full((160, 160, 3), 230, np.uint8))
    plain = augment(before, np.random.default_rng(0), Augmentation(), PX)
    person = plain.image[..., 0] == 230
    seen = set()
    for seed in range(20):
        after = augment(before, np.random.default_rng(seed), Augmentation(colour=1.0), PX)
        assert same(replace(after, image=plain.image), plain)
        assert np.all(after.image[person] == after.image[PX // 2, PX // 2])  # one gain a channel for all pixels
        assert np.all(after.image[plain.image == 0] == 0)
        seen.update(after.image[PX // 2, PX // 2].tolist())
    assert max(seen) == 255 and min(seen) < 60 and len(seen) > 20  # never wrapped round to dark


def test_what_is_covered() -> None:
    """One piece of 10 to 40 % of each side, anywhere, of each kind; the rest of the picture stays."""
    image = np.full((100, 100, 3), 90, np.uint8)
    image[::2] = 120
    kinds, full, tops = set(), [], []
    for seed in range(300):
        before = image.copy()
        rng = np.random.default_rng(seed)
        after = cover(image, rng)
        assert np.array_equal(image, before)
        changed = (after != image).any(axis=-1)
        colours = np.unique(after[changed], axis=0)
        if len(colours) > 2:  # noise, which leaves hardly a pixel as it was
            kinds.add("noise")
            rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
            height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
            assert 9 <= height <= 40 and 9 <= width <= 40
            full.append(changed.sum() / (height * width))
            tops.append(rows[0])
        else:
            kinds.add("flat" if len(colours) == 1 else "piece")
            assert changed.sum() <= 1600
    assert kinds == {"noise", "flat", "piece"} and min(tops) < 10 and max(tops) > 60
    ellipses = np.array(full) < 0.9
    assert 0.3 < ellipses.mean() < 0.7 and abs(np.array(full)[ellipses].mean() - np.pi / 4) < 0.03


def test_covering_leaves_labels_and_other_draws() -> None:
    often = replace(PAPER_2D, shift=0.1, occlusion=0.5)
    covered = 0
    for seed in range(40):
        with_it, without = (
            augment(sample(3), np.random.default_rng(seed), how, PX) for how in (often, replace(often, occlusion=0.0))
        )
        assert same(replace(with_it, image=without.image), without)
        covered += not np.array_equal(with_it.image, without.image)
    assert 10 < covered < 30
    # The others leave it as it was: the same places are covered, whatever the picture.
    plain = replace(often, occlusion=1.0, colour=0.0)
    for seed in range(10):
        places = []
        for how in (plain, replace(plain, rotation_deg=0.0, scale_octaves=0.0, flip_probability=0.0, shift=0.0)):
            one, other = (augment(sample(3), np.random.default_rng(seed), h, PX)
                          for h in (how, replace(how, occlusion=0.0)))  # fmt: skip
            places.append((one.image != other.image).any(axis=-1))
        assert (places[0] == places[1]).mean() > 0.9


def test_the_sample_itself_is_left_alone() -> None:
    before, copy = sample(4), sample(4)
    augment(before, np.random.default_rng(0), replace(PAPER_2D, shift=0.2, occlusion=1.0), PX)
    assert same(before, copy)


@pytest.mark.parametrize(
    "bad",
    [
        {"scale_octaves": -0.1},
        {"rotation_deg": float("nan")},
        {"shift": float("inf")},
        {"rotation_probability": 1.01},
        {"flip_probability": 2},
        {"colour": 1.5},
        {"occlusion": 1.5},
        {"flip_probability": True},
        {"colour": "0.4"},
        {"colour": None},
    ],
)
def test_bad_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Augmentation(**bad)
