"""Poses filtered while they come: calmer at rest, near to what is seen in motion, turned with the axes."""

from __future__ import annotations

import numpy as np

from liftwild.pose import Pose
from liftwild.tracking.live_filter import LiveFilter
from tests.support.poses import STANDING

TIMES = np.arange(60) / 30


def filtered(shift_mm: np.ndarray, noise_mm: float = 0.0, unsure: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What comes out, px (T, 16, 2) at 0.2 px for a mm and mm (T, 16, 3), of somebody who is shifted (T,) mm to the
    right; joint ``unsure`` jumps by a metre in the 40th pose, without confidence."""
    noise, smooth = np.random.default_rng(0), LiveFilter()
    found = []
    for number, (time_s, shift) in enumerate(zip(TIMES.tolist(), shift_mm, strict=True)):
        joints = STANDING + np.array([shift, 0, 0]) + noise.normal(0, noise_mm, STANDING.shape)
        confidence = np.full(16, 0.8)
        if unsure is not None and number == 40:
            joints[unsure] += 1000
            confidence[unsure] = 0.0
        pose = Pose(0.2 * joints[:, :2] + 300, joints, confidence, (0.0, 0.0, 1.0, 1.0))
        found.append(smooth.step(pose, time_s))
    return np.array([each.joints_2d for each in found]), np.array([each.joints_3d for each in found])


def test_noise_is_calmed_in_the_picture_as_in_space() -> None:
    flat, deep = filtered(np.zeros(60), noise_mm=10.0)
    assert (deep - STANDING)[20:].std() < 6
    assert (flat - 0.2 * STANDING[:, :2] - 300)[20:].std() < 0.2 * 6


def test_what_moves_is_followed_closely() -> None:
    shift = 1500 * TIMES
    flat, deep = filtered(shift)
    behind = (STANDING[:, 0] + shift[:, None] - deep[..., 0])[20:] / 1500
    assert behind.max() < 1.5 / 30  # s
    np.testing.assert_allclose(flat, 0.2 * deep[..., :2] + 300, atol=0.5)


def test_a_joint_that_is_not_sure_moves_little() -> None:
    _, deep = filtered(np.zeros(60), unsure=10)
    assert np.abs(deep[40, 10] - STANDING[10]).max() < 250
    assert np.abs(np.delete(deep[40], 10, axis=0) - np.delete(STANDING, 10, axis=0)).max() < 1e-9
