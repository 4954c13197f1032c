"""Ranges, sides, repetitions, strides and steps of movements that are made up, so that all is known."""

from __future__ import annotations

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.kinematics.angles import JointAngles, angle_index, angles_of_joints
from liftwild.kinematics.cycles import gait, repetitions, strides
from liftwild.kinematics.upright import Y_UP
from tests.support.angle_poses import posed
from tests.support.tracks import track_of

FPS = 25
KNEE = "left_knee_flexion"


def bent(seconds: np.ndarray, **bends: np.ndarray) -> JointAngles:
    """The angles of a person who is bent so at ``seconds`` (T,)."""
    names = list(bends)
    joints = np.stack([posed(**dict(zip(names, row, strict=True))) for row in np.stack([*bends.values()], axis=1)])
    return JointAngles(0, np.arange(len(seconds)), seconds, angles_of_joints(joints))


def squats(begin: float, seconds: float = 8.0, period: float = 2.0) -> JointAngles:
    """Both knees bend to 80 degrees, the right one to 60, every ``period`` s, straight at ``begin`` s."""
    times = np.arange(0, seconds, 1 / FPS)
    wave = (1 - np.cos(2 * np.pi * (times - begin) / period)) / 2
    jitter = np.random.default_rng(0).normal(0, 1, len(times))
    return bent(times, left_knee_flexion=80 * wave + jitter, right_knee_flexion=60 * wave)


def test_ranges_and_symmetry() -> None:
    angles = squats(0.0)
    knee = angles.ranges()["right_knee_flexion"]
    assert knee.known == 1 and knee.low == pytest.approx(0, abs=0.2) and knee.span == pytest.approx(60, abs=0.5)
    assert knee.mean == pytest.approx(30, abs=0.5)
    sides = angles.symmetry()["knee_flexion"]
    assert sides.asymmetry == pytest.approx(100 * 20 / 70, abs=3) and sides.mean_difference == pytest.approx(10, abs=1)
    assert np.isnan(angles.symmetry()["elbow_flexion"].asymmetry)  # nothing moves
    angles.degrees[:, angle_index(KNEE)] = np.nan
    assert angles.ranges()[KNEE].known == 0 and np.isnan(angles.ranges()[KNEE].low)
    angles.degrees[:10, angle_index("right_knee_flexion")] = np.nan
    assert angles.ranges()["right_knee_flexion"].known == pytest.approx(0.95)


@pytest.mark.parametrize(("begin", "whole"), [(0.0, 4), (0.5, 3), (1.0, 3), (1.5, 3)])
def test_repetitions_are_counted_and_cut_where_the_clip_cuts_them(begin: float, whole: int) -> None:
    found = squats(begin).repetitions(KNEE)
    assert len(found) == whole
    np.testing.assert_allclose(found.durations_s, 2, atol=0.25)
    mean, spread = found.mean_range()
    assert mean[angle_index(KNEE)] == pytest.approx(80, abs=4) and spread[angle_index(KNEE)] < 3
    middle = found.mean_curve()[0][50]
    assert middle[angle_index("right_knee_flexion")] == pytest.approx(60, abs=5)


def test_a_gap_costs_the_angle_its_curve_and_not_the_repetition() -> None:
    angles = squats(0.0)
    at = angle_index("right_knee_flexion")
    angles.degrees[50:75, at] = np.nan  # half of the second one
    angles.degrees[110:113, angle_index(KNEE)] = np.nan
    found = repetitions(angles, KNEE)
    assert len(found) == 4
    np.testing.assert_array_equal(np.isfinite(found.curves[:, 0, at]), [True, False, True, True])
    assert found.mean_range()[0][at] == pytest.approx(60, abs=1)


def test_nothing_repeats_in_somebody_who_stands() -> None:
    times = np.arange(0, 4, 1 / FPS)
    still = bent(times, left_knee_flexion=5 + 3 * np.sin(9 * times))
    assert len(still.repetitions(KNEE)) == 0
    assert len(bent(times[:2], left_knee_flexion=np.array([0.0, 50.0])).repetitions(KNEE)) == 0
    assert np.isnan(still.repetitions(KNEE).mean_range()[0]).all()
    with pytest.raises(LiftwildError, match="no angle 'knee'"):
        still.repetitions("knee")


def walking(cycles: int = 5, period: float = 1.2, step_share: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (T,), joints (T, 16, 3) in m, y up, contacts (T, 2): touches at 0 and ``step_share`` of each stride,
    stance 60 %; the thighs swing 25 degrees to each side and are foremost at the touch."""
    times = np.arange(0, cycles * period - 1e-9, 1 / 50)
    phase = np.stack([times / period, times / period - step_share], axis=1) % 1
    swing = 25 * np.cos(2 * np.pi * phase)
    joints = np.stack([posed(left_hip_flexion=a, right_hip_flexion=b, pelvis_rotation=70) for a, b in swing])
    return times, joints, phase < 0.6


def test_steps_of_somebody_who_walks() -> None:
    times, joints, contacts = walking()
    track = track_of(joints * 1000 @ Y_UP)
    found = gait(track, times, contacts)
    assert found.cadence == pytest.approx(100, abs=1)
    for side in ("left", "right"):
        assert found.stride_time_s[side][0] == pytest.approx(1.2, abs=0.02)
        assert found.step_time_s[side][0] == pytest.approx(0.6, abs=0.02)
        assert found.stance[side][0] == pytest.approx(0.6, abs=0.02)
        assert found.step_length_m[side][0] == pytest.approx(4 * 0.45 * np.sin(np.radians(25)), abs=0.01)
    assert found.step_length_m["right"][2] == 5 and found.stride_time_s["right"][2] == 4


def test_strides_carry_curves_from_touch_to_touch() -> None:
    times, joints, contacts = walking()
    angles = JointAngles(0, np.arange(len(times)), times, angles_of_joints(joints))
    found = strides(angles, contacts, "right")
    assert len(found) == 4
    mean, spread = found.mean_curve()
    at = angle_index("right_hip_flexion")
    np.testing.assert_allclose(mean[:, at], 25 * np.cos(2 * np.pi * np.linspace(0, 1, 101)), atol=0.3)
    assert spread[:, at].max() < 0.5
    # Contacts that flicker for less than 0.1 s change nothing.
    flickering = contacts.copy()
    flickering[[20, 45, 77, 130, 190], 1] ^= True
    np.testing.assert_allclose(strides(angles, flickering, "right").times_s, found.times_s, atol=0.05)


def test_wrong_contacts_are_told() -> None:
    times, joints, contacts = walking(2)
    angles = JointAngles(0, np.arange(len(times)), times, angles_of_joints(joints))
    with pytest.raises(LiftwildError, match=r"contacts are bool of shape \(120, 2\).* not bool of shape \(120,\)"):
        strides(angles, contacts[:, 0])
    with pytest.raises(LiftwildError, match="not float64"):
        gait(track_of(joints * 1000 @ Y_UP), times, contacts.astype(float))
    with pytest.raises(LiftwildError, match="left or right, not 'both'"):
        strides(angles, contacts, "both")
