"""Rendered people in motion: what is known of them is true, and they move as people could."""

from __future__ import annotations

import numpy as np

from liftwild.camera import bone_lengths
from liftwild.synthetic.render.clip import render_clip


def test_a_clip_of_two_people() -> None:
    frames = list(render_clip(6, seed=1, people=2, fps=5.0, size=64))
    assert [frame.time_s for frame in frames] == [np.float32(number / 5) for number in range(6)]
    for frame in frames:
        assert frame.image.shape == (64, 64, 3) and frame.image.dtype == np.uint8
        assert frame.joints_2d.shape == (2, 16, 2) and frame.joints_3d.shape == (2, 16, 3)
        np.testing.assert_allclose(frame.camera.project(frame.joints_3d), frame.joints_2d, atol=1e-2)
        assert ((frame.joints_2d > -4) & (frame.joints_2d < 68)).all()
    joints = np.stack([frame.joints_3d for frame in frames])
    limbs = bone_lengths(joints, ((0, 1), (1, 2), (10, 11), (11, 12)))
    assert (np.ptp(limbs, axis=0) < 3).all()  # mm: bodies are stiff
    assert np.abs(np.diff(joints, axis=0)).max(axis=(0, 2, 3)).min() > 20  # and move
    assert np.abs(joints[:, 0] - joints[:, 1]).min(axis=(1, 2)).max() < 1500
    # The same seed gives the same clip, however long.
    again = next(iter(render_clip(1, seed=1, people=2, fps=5.0, size=64)))
    np.testing.assert_allclose(again.joints_3d, frames[0].joints_3d, atol=1e-2)
    assert np.abs(again.image.astype(int) - frames[0].image).mean() < 1
    other = next(iter(render_clip(1, seed=2, fps=5.0, size=64)))
    assert other.joints_3d.shape == (1, 16, 3) and np.abs(other.joints_3d[0] - frames[0].joints_3d[0]).max() > 20
