"""Left and right that jump are put right; limbs that cross, and who turns, are left alone."""

from __future__ import annotations

import numpy as np

from liftwild.pose import PoseTrack
from liftwild.skeleton import MPII_16
from liftwild.tracking.sides import put_sides_right
from tests.support.poses import STANDING

FLIP = np.array(MPII_16.flip_index)
TIMES = np.arange(90) / 30
LEGS = [MPII_16.index(f"{side}_{part}") for side in ("left", "right") for part in ("hip", "knee", "ankle")]


def track_of(joints: np.ndarray) -> PoseTrack:
    count = len(joints)
    sure = np.tile(np.linspace(0.5, 0.9, 16), (count, 1))
    return PoseTrack(
        0, np.arange(count), joints[..., :2] / 4 + 300, joints, sure, np.tile([0.0, 0, 300, 500], (count, 1))
    )


def swaying() -> np.ndarray:
    """Joints (90, 16, 3) mm of somebody who sways, with noise."""
    noise = np.random.default_rng(0).normal(0, 6, (90, 16, 3))
    return STANDING + noise + (60 * np.sin(TIMES * 3))[:, None, None]


def exchanged(joints: np.ndarray, frames: slice, limbs: list[int] | None = None) -> np.ndarray:
    order = FLIP.copy()
    if limbs is not None:
        order = np.where(np.isin(np.arange(16), limbs), FLIP, np.arange(16))
    out = joints.copy()
    out[frames] = joints[frames][:, order]
    return out


def test_frames_in_which_sides_are_exchanged_are_put_right() -> None:
    joints = swaying()
    wrong = exchanged(exchanged(joints, slice(20, 26)), slice(50, 51))
    right, count = put_sides_right(track_of(wrong), TIMES)
    assert count == 7 and np.array_equal(right.joints_3d, joints)
    assert np.array_equal(right.joints_2d, joints[..., :2] / 4 + 300)
    assert np.array_equal(right.confidence[20], right.confidence[0][FLIP])


def test_legs_alone() -> None:
    joints = swaying()
    right, count = put_sides_right(track_of(exchanged(joints, slice(40, 46), LEGS)), TIMES)
    assert count == 6 and np.array_equal(right.joints_3d, joints)


def test_what_is_right_stays() -> None:
    track = track_of(swaying())
    same, count = put_sides_right(track, TIMES)
    assert count == 0 and same is track
    turning = np.cos(TIMES * 2)[:, None]
    joints = swaying()
    joints[..., 0] *= turning  # who turns about shows limbs that cross in the picture
    assert put_sides_right(track_of(joints), TIMES)[1] == 0


def test_most_of_the_clip_is_believed_and_gaps_are_not_bridged() -> None:
    joints = swaying()
    right, count = put_sides_right(track_of(exchanged(joints, slice(0, 85))), TIMES)
    assert count == 5 and np.array_equal(right.joints_3d, joints[:, FLIP])
    apart = np.concatenate([TIMES[:45], TIMES[45:] + 2.0])
    assert put_sides_right(track_of(exchanged(joints, slice(45, 90))), apart)[1] == 0
