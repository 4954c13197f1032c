"""How much is augmented: what is drawn, what is covered, and settings that make no sense."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from liftwild.crop import BOX_MARGIN, Crop
from liftwild.data import augment as augment_module
from liftwild.data.augment import PAPER_2D, Augmentation, augment, cover, view
from liftwild.sample import Sample
from tests.support.stores import same, sample

PX = 64


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
