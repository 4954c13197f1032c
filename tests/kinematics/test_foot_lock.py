"""Feet that are held: legs keep their lengths, feet their places, and the rest of the body its pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwild.kinematics.contacts import ankle_places, sliding
from liftwild.kinematics.foot_lock import bend_leg, hold_feet
from liftwild.skeleton import MPII_16
from tests.support.steps import stepping

BONES = np.array(MPII_16.bones)
LEGS = [MPII_16.index(f"{side}_{part}") for side in ("left", "right") for part in ("knee", "ankle")]


@given(st.integers(0, 2**32 - 1))
def test_a_bent_leg_keeps_its_lengths_and_reaches_its_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hip, knee, ankle = (rng.normal(size=(20, 3)) * 100 + (0, low, 0) for low in (0, 430, 850))
    thigh, shank = np.linalg.norm(knee - hip, axis=1), np.linalg.norm(ankle - knee, axis=1)
    target = ankle + rng.normal(size=(20, 3)) * 150
    new_knee, new_ankle = bend_leg(hip, knee, ankle, target)
    assert np.linalg.norm(new_knee - hip, axis=1) == pytest.approx(thigh)
    assert np.linalg.norm(new_ankle - new_knee, axis=1) == pytest.approx(shank)
    away = np.linalg.norm(target - hip, axis=1)
    within = (away < 0.95 * (thigh + shank)) & (away > np.abs(thigh - shank) + 1)
    assert np.linalg.norm(new_ankle - target, axis=1)[within] == pytest.approx(0, abs=1e-6)
    straight = np.linalg.norm(np.cross(new_ankle - hip, target - hip), axis=1)
    assert straight == pytest.approx(0, abs=1e-3 * away.max() ** 2)


def test_a_leg_that_is_where_it_should_be_stays() -> None:
    track, _, _ = stepping()
    hip, knee, ankle = (track.joints_3d[:, MPII_16.index(f"left_{part}")] for part in ("hip", "knee", "ankle"))
    new_knee, new_ankle = bend_leg(hip, knee, ankle, ankle)
    assert np.abs(new_knee - knee).max() < 2.0 and np.abs(new_ankle - ankle).max() < 2.0


def test_no_knee_snaps_straight() -> None:
    """A foot goes evenly out of reach; the leg follows, and the knee comes to rest without a jump."""
    away = np.linspace(770, 900, 61)
    hip, knee, ankle = np.zeros((61, 3)), np.tile((0, 400.0, 120.0), (61, 1)), np.tile((0, 770.0, 0), (61, 1))
    target = np.stack([0 * away, away, 0 * away], axis=1)
    new_knee, new_ankle = bend_leg(hip, knee, ankle, target)
    thigh, shank = new_knee - hip, new_ankle - new_knee
    cosine = (thigh * shank).sum(axis=1) / np.linalg.norm(thigh, axis=1) / np.linalg.norm(shank, axis=1)
    bent = np.degrees(np.arccos(cosine))
    reached = np.linalg.norm(new_ankle - hip, axis=1)
    assert (np.diff(reached) > 0).all() and (reached <= np.linspace(770, 900, 61) + 1e-9).all()
    assert bent[0] > 25 and bent[-1] < 8 and np.abs(np.diff(bent, 2)).max() < 0.2


def test_a_foot_goes_smoothly_from_one_place_to_the_next() -> None:
    """Two contacts at places 100 mm apart, 0.15 s between them: nothing leaps where the one gives way to the other."""
    track, times, stands = stepping()
    assert track.root_mm is not None
    way = np.clip((times - 0.925) / 0.15, 0, 1)[:, None] * (100.0, 0.0, 0.0)
    moved = replace(
        track,
        joints_3d=np.repeat(track.joints_3d[:1], len(track), axis=0),
        root_mm=track.root_mm[:1] + way,
        contacts=np.stack([np.abs(times - 1.0) > 0.075, np.zeros(len(times), bool)], axis=1),
    )
    held = hold_feet(moved, times)
    steps = np.linalg.norm(np.diff(ankle_places(held)[:, 0], axis=0), axis=-1)
    even = 100 * np.diff(times).max() / 0.15
    assert steps.max() < 1.3 * even


def test_feet_that_slide_are_held() -> None:
    track, times, stands = stepping()
    assert track.root_mm is not None
    rng = np.random.default_rng(0)
    waver = 80 * np.sin(2 * np.pi * 0.6 * times)[:, None] * (0.3, 0.2, 1.0)
    noisy = replace(
        track,
        contacts=stands,
        root_mm=track.root_mm + waver,
        joints_3d=track.joints_3d + rng.normal(0, 8, track.joints_3d.shape),
    )
    held = hold_feet(noisy, times)
    assert sliding((noisy,)).mm > 60 and sliding((held,)).mm < 3.0
    lengths = [
        np.linalg.norm(each.joints_3d[:, BONES[:, 0]] - each.joints_3d[:, BONES[:, 1]], axis=-1)
        for each in (noisy, held)
    ]
    assert np.allclose(*lengths)
    others = [joint for joint in range(16) if joint not in LEGS]
    assert np.array_equal(held.joints_3d[:, others], noisy.joints_3d[:, others])
    assert held.root_mm is not None
    assert np.abs(held.root_mm - track.root_mm).mean() < np.abs(noisy.root_mm - track.root_mm).mean()
    speed = np.linalg.norm(np.diff(ankle_places(held), axis=0), axis=-1).max()
    assert speed < 1.5 * np.linalg.norm(np.diff(ankle_places(noisy), axis=0), axis=-1).max()  # it does not leap


def test_a_foot_that_is_nowhere_near_is_let_go() -> None:
    track, times, stands = stepping()
    assert track.root_mm is not None
    always = replace(track, contacts=np.ones_like(stands))  # said to stand while it walks four metres
    held = hold_feet(always, times)
    assert held.contacts is not None and not held.contacts.any()
    bare = replace(track, contacts=np.zeros_like(stands))
    assert hold_feet(bare, times) is bare
