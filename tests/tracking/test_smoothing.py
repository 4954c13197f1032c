"""Steadier tracks: the filter against what it should be by its formula, and bones that keep their length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.camera import bone_lengths
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MPII_16, PELVIS
from liftwild.tracking.filters import GAP_S, OneEuro, both_ways, one_euro, spans
from liftwild.tracking.smoothing import (
    accelerations,
    bone_spread,
    refit,
    smooth_recording,
    smooth_track,
    steadiness,
    track_bone_lengths,
    with_one_skeleton,
)
from tests.support.poses import STANDING

BONES = MPII_16.bones
STILL = OneEuro(min_cutoff_hz=2.0, beta_hz_per_mm_s=0.0)
seeds = st.integers(0, 2**32 - 1)


def track_of(joints_3d: np.ndarray, confidence: float = 0.8, px_per_mm: float = 0.25) -> PoseTrack:
    """A track of joints (T, 16, 3), seen at one scale."""
    count = len(joints_3d)
    return PoseTrack(
        3, np.arange(count), joints_3d[..., :2] * px_per_mm + 300, joints_3d, np.full((count, 16), confidence),
        np.tile([100.0, 50.0, 200.0, 400.0], (count, 1)), annotation_ids=tuple(range(count)),
    )  # fmt: skip


def moving(frames: int, seed: int = 0, noise_mm: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Joints (T, 16, 3) of somebody who turns to and fro, stiff, with noise, and the times (T,) s."""
    times = np.arange(frames) / 25
    angle = np.sin(2 * np.pi * 0.4 * times)
    zero, one = np.zeros(frames), np.ones(frames)
    turns = np.array([[np.cos(angle), zero, np.sin(angle)], [zero, one, zero], [-np.sin(angle), zero, np.cos(angle)]])
    joints = STANDING @ turns.transpose(2, 1, 0)
    noise = noise_mm * np.random.default_rng(seed).normal(size=joints.shape)
    noise[:, PELVIS] = 0
    return joints + noise, times


def test_without_speed_it_is_a_low_pass_filter() -> None:
    rng = np.random.default_rng(1)
    values, times = rng.normal(size=(40, 3)), np.cumsum(rng.uniform(0.01, 0.1, 40))
    expected = [values[0]]
    for i in range(1, 40):
        share = 1 / (1 + 1 / (2 * np.pi * 2.0 * (times[i] - times[i - 1])))
        expected.append(expected[-1] + share * (values[i] - expected[-1]))
    np.testing.assert_allclose(one_euro(values, times, STILL), expected, rtol=1e-12)


def test_the_published_filter_on_one_number() -> None:
    """The formulas of Casiez et al. 2012, one value at a time."""
    rng = np.random.default_rng(2)
    values, rate = rng.normal(0, 50, 60), 30.0
    setting = OneEuro(1.0, 0.007, 1.0)

    def share(cutoff: float) -> float:
        return 1 / (1 + rate / (2 * np.pi * cutoff))

    state, speed, expected = values[0], 0.0, [values[0]]
    for value in values[1:]:
        speed = share(1.0) * (value - state) * rate + (1 - share(1.0)) * speed
        part = share(1.0 + 0.007 * abs(speed))
        state = part * value + (1 - part) * state
        expected.append(state)
    found = one_euro(values[:, None], np.arange(60) / rate, setting)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_it_turns_with_the_axes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, times = rng.normal(0, 100, (20, 4, 3)), np.cumsum(rng.uniform(0.01, 0.2, 20))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    shift = rng.normal(0, 1000, 3)
    turned = both_ways(values @ turn.T + shift, times, OneEuro())
    np.testing.assert_allclose(turned, both_ways(values, times, OneEuro()) @ turn.T + shift, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_time_may_run_backward(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, times = rng.normal(0, 100, (15, 2, 3)), np.cumsum(rng.uniform(0.01, 0.2, 15))
    backward = both_ways(values[::-1], -times[::-1], OneEuro())[::-1]
    np.testing.assert_allclose(backward, both_ways(values, times, OneEuro()), atol=1e-9)


def test_a_steady_walk_is_not_held_back() -> None:
    times = np.arange(200) / 25
    values = np.outer(times, [700.0, 0.0, 0.0])
    middle = slice(75, 125)
    assert (values - one_euro(values, times, STILL))[middle, 0].min() > 40  # one way lags
    assert np.abs(values - both_ways(values, times, STILL))[middle].max() < 1


def test_the_frame_rate_may_vary() -> None:
    """A step answered at irregular times is the step answered at regular ones."""
    rng = np.random.default_rng(3)
    even, uneven = np.linspace(0, 1, 401), np.sort(np.append(rng.uniform(0, 1, 400), 0.0))
    answers = []
    for times in (even, uneven):
        values = np.where(times < 0.2, 0.0, 100.0)[:, None]
        answers.append(np.interp(even, times, one_euro(values, times, STILL)[:, 0]))
    assert np.abs(answers[0] - answers[1]).max() < 6


def test_nan_stays_and_is_passed_over() -> None:
    values, times = np.random.default_rng(4).normal(0, 50, (12, 2, 3)), np.arange(12) / 10
    values[0, 0], values[5:7, 0, 1] = np.nan, np.nan
    found = one_euro(values, times, OneEuro())
    assert np.isnan(found[[0, 5, 6], 0]).all() and np.isfinite(found[:, 1]).all()
    assert np.isfinite(found[[1, 2, 3, 4, 7, 8], 0]).all()
    seen = [1, 2, 3, 4, 7, 8, 9, 10, 11]
    np.testing.assert_allclose(found[seen, 0], one_euro(values[seen, 0], times[seen], OneEuro()), rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], one_euro(values[:, 1], times, OneEuro()), rtol=1e-12)


def test_nothing_is_filtered_over_a_gap() -> None:
    assert spans(np.array([0.0, 0.1, 0.1 + GAP_S * 1.01, 0.7, 0.8 + GAP_S])) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    joints, times = moving(30, noise_mm=30)
    times = times + np.where(np.arange(30) < 12, 0, 2.0)
    whole = smooth_track(track_of(joints), times, OneEuro())
    for part in (slice(0, 12), slice(12, 30)):
        alone = both_ways(joints[part], times[part], OneEuro())
        np.testing.assert_allclose(whole.joints_3d[part], alone)


def test_what_is_unsure_moves_the_filter_less() -> None:
    joints, times = moving(40)
    joints[20, 10] += 500
    sure = track_of(joints)
    confidence = sure.confidence.copy()
    confidence[20, 10] = 0.1
    unsure = dataclasses.replace(sure, confidence=confidence)
    off = [
        np.abs(smooth_track(track, times, OneEuro()).joints_3d - moving(40)[0])[18:23, 10].max()
        for track in (sure, unsure)
    ]
    assert off[1] < 0.5 * off[0]


@pytest.mark.parametrize("px_per_mm", [0.05, 1.0])
def test_2d_goes_through_the_same_filter_at_the_persons_scale(px_per_mm: float) -> None:
    joints, times = moving(60, noise_mm=25)
    smoothed = smooth_track(track_of(joints, px_per_mm=px_per_mm), times, OneEuro())
    expected = both_ways(joints[..., :2], times, OneEuro()) * px_per_mm + 300
    np.testing.assert_allclose(smoothed.joints_2d, expected, atol=1e-6)


def test_smoothing_brings_noise_nearer_to_the_truth_and_lowers_jitter() -> None:
    true, times = moving(100)
    noisy, _ = moving(100, noise_mm=40)
    recording = Recording("a.mp4", 640, 480, times, (track_of(noisy),), is_clip=True)
    smoothed = smooth_recording(recording)
    (track,) = smoothed.tracks
    before, after = steadiness(recording), steadiness(smoothed)
    off = [np.linalg.norm(joints - true, axis=-1).mean() for joints in (noisy, track.joints_3d)]
    assert off[1] < 0.75 * off[0]
    assert after.jitter_mm < 0.4 * before.jitter_mm and after.jitter_px < 0.4 * before.jitter_px
    assert before.bone_spread > 0.05 and after.bone_spread < 1e-9
    assert len(smoothed.steps) == 2 and "Butterworth" in smoothed.steps[0] and "skeleton" in smoothed.steps[1]
    assert track.person_id == 3 and track.annotation_ids == tuple(range(100))
    assert np.array_equal(recording.tracks[0].joints_3d, noisy)  # what was given is not changed
    assert np.array_equal(track.boxes, recording.tracks[0].boxes)


def test_chances_stay_those_of_each_frame() -> None:
    joints, times = moving(20, noise_mm=20.0)
    chances = np.random.default_rng(0).random((2, 20, 16))
    track = dataclasses.replace(track_of(joints), inside=chances[0], visible=chances[1])
    (found,) = smooth_recording(Recording("c.mp4", 640, 480, times, (track,), is_clip=True)).tracks
    assert np.array_equal(found.inside, chances[0]) and np.array_equal(found.visible, chances[1])
    assert not np.array_equal(found.joints_2d, track.joints_2d)


def test_places_are_smoothed_too() -> None:
    joints, times = moving(50)
    roots = np.array([0.0, 0.0, 4000.0]) + np.random.default_rng(5).normal(0, 50, (50, 3))
    placed = dataclasses.replace(track_of(joints), root_mm=roots)
    smoothed = smooth_track(placed, times, OneEuro())
    assert smoothed.root_mm is not None
    np.testing.assert_allclose(smoothed.root_mm, both_ways(roots, times, OneEuro()))


def test_bone_lengths_are_those_of_the_surer_frames_and_symmetric() -> None:
    joints = np.tile(STANDING, (11, 1, 1))
    joints[:5] *= 3.0
    confidence = np.full((11, 16), 0.9)
    confidence[:5] = 0.1
    track = dataclasses.replace(track_of(joints), confidence=confidence)
    true = bone_lengths(STANDING, BONES)
    np.testing.assert_allclose(track_bone_lengths(track), true)
    lopsided = STANDING.copy()
    ankle, knee = MPII_16.index("right_ankle"), MPII_16.index("right_knee")
    lopsided[ankle] += (0, 40, 0)
    found = track_bone_lengths(track_of(lopsided[None]))
    left = BONES.index((MPII_16.index("left_ankle"), MPII_16.index("left_knee")))
    assert found[BONES.index((ankle, knee))] == found[left] == pytest.approx(true[left] + 20)


def some_pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    joints = STANDING + rng.normal(0, 150, (3, 16, 3))
    return joints - joints[:, PELVIS : PELVIS + 1]


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_refit_keeps_lengths_sides_and_the_root(seed: int) -> None:
    joints, lengths = some_pose(seed), bone_lengths(some_pose(seed + 1)[0], BONES)
    fitted = refit(joints, lengths, MPII_16)
    np.testing.assert_allclose(bone_lengths(fitted, BONES), np.tile(lengths, (3, 1)), rtol=1e-6)
    assert np.array_equal(fitted[:, PELVIS], joints[:, PELVIS])
    ends = np.array(BONES)
    before, after = (pose[:, ends[:, 0]] - pose[:, ends[:, 1]] for pose in (joints, fitted))
    deep = np.abs(after[..., 2]) > 1e-3
    assert (np.sign(before[..., 2]) == np.sign(after[..., 2]))[deep].all()
    np.testing.assert_allclose(refit(fitted, lengths, MPII_16), fitted, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_refit_finds_the_nearest_bone(seed: int) -> None:
    """No other direction is nearer, x and y counting four times."""
    rng = np.random.default_rng(seed)
    joints, lengths = some_pose(seed), bone_lengths(some_pose(seed + 1)[0], BONES)
    fitted = refit(joints, lengths, MPII_16)
    weight = np.array([4.0, 4.0, 1.0])
    others = rng.normal(size=(4000, 3))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    for bone, (child, parent) in enumerate(BONES):
        given_bone, found = (pose[0, child] - pose[0, parent] for pose in (joints, fitted))
        cost = (weight * (found - given_bone) ** 2).sum()
        assert cost <= (weight * (others * lengths[bone] - given_bone) ** 2).sum(axis=1).min() * (1 + 1e-9) + 1e-6


def test_a_bone_that_lies_flat_does_not_flicker() -> None:
    """A forearm a little longer in the picture than its length, its depth noise about 0: it stays flat."""
    joints = np.tile(STANDING, (2, 1, 1))
    wrist, elbow = MPII_16.index("right_wrist"), MPII_16.index("right_elbow")
    joints[:, wrist] = joints[:, elbow] + (240, 0, 0)
    joints[:, wrist, 2] += (1.0, -1.0)
    lengths = bone_lengths(joints[0], BONES)
    lengths[BONES.index((wrist, elbow))] = 260
    fitted = refit(joints, lengths, MPII_16)
    assert np.abs(fitted[0] - fitted[1]).max() < 12  # keeping x and y exactly would make this 200


def test_refit_passes_over_what_is_not_known() -> None:
    joints, lengths = some_pose(7), bone_lengths(some_pose(8)[0], BONES)
    elbow = MPII_16.index("left_elbow")
    joints[1, elbow] = np.nan
    fitted = refit(joints, lengths, MPII_16)
    assert np.isnan(fitted[1, elbow]).all() and np.isfinite(np.delete(fitted[1], elbow, axis=0)).all()
    assert np.array_equal(fitted[1, MPII_16.index("left_wrist")], joints[1, MPII_16.index("left_wrist")])
    flat = np.zeros((1, 16, 3))
    assert np.array_equal(refit(flat, lengths, MPII_16), flat)
    unknown = lengths.copy()
    unknown[3] = np.nan
    assert np.isfinite(refit(some_pose(7), unknown, MPII_16)).all()


def test_one_skeleton_hides_nothing_of_the_picture() -> None:
    joints, _ = moving(10, noise_mm=20)
    track = track_of(joints)
    fitted = with_one_skeleton(track)
    assert np.array_equal(fitted.joints_2d, track.joints_2d)
    moved = np.abs(fitted.joints_3d - joints).mean(axis=(0, 1))
    assert moved[2] > moved[:2].mean()  # depth gives way first


def test_acceleration_of_a_fall_at_any_frame_rate() -> None:
    times = np.cumsum(np.random.default_rng(6).uniform(0.01, 0.1, 20))
    joints = np.zeros((20, 2, 3))
    joints[:, 0, 1] = 0.5 * 9810 * times**2
    found = accelerations(joints, times)
    np.testing.assert_allclose(found[:, 0], 9810, rtol=1e-6)
    assert (found[:, 1] == 0).all() and found.shape == (18, 2)
    late = times + np.where(np.arange(20) < 10, 0, 5.0)
    assert accelerations(joints, late).shape == (16, 2)  # the two triples across the gap are left out


def test_measures_of_nearly_nothing_are_nan() -> None:
    joints, times = moving(2)
    few = steadiness(Recording("a", 1, 1, times, (track_of(joints),)))
    assert np.isnan(few.jitter_mm) and few.bone_spread < 1e-9
    none = steadiness(Recording("a", 1, 1, times, ()))
    assert np.isnan(none.jitter_mm) and np.isnan(none.bone_spread)
    assert np.isnan(bone_spread(joints[:1], MPII_16)).all()
    np.testing.assert_allclose(bone_spread(np.stack([STANDING, 3 * STANDING]), MPII_16), 0.5)
    smoothed = smooth_recording(Recording("a", 1, 1, times[:1], (track_of(joints[:1]),), is_clip=True))
    assert np.isfinite(smoothed.tracks[0].joints_3d).all()
