"""The root's depth over a clip: what wavers is calmed, what walks goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from liftwild.camera import Camera
from liftwild.placement.steady_root import SteadyDepth, steady_root
from liftwild.pose import PoseTrack
from tests.support.poses import STANDING

CAMERA = Camera(1000.0, 1000.0, 500.0, 500.0)
TIMES = np.arange(150) / 30


def seen_at(roots: np.ndarray, size: np.ndarray) -> PoseTrack:
    """A track seen at ``roots`` (T, 3), whose poses are ``size`` (T,) times as large as they are."""
    count = len(roots)
    picture = CAMERA.project(STANDING + roots[:, None])
    pose = STANDING * size[:, None, None]
    return PoseTrack(
        0, np.arange(count), picture, pose, np.full((count, 16), 0.8), np.ones((count, 4)), root_mm=roots * 1.3
    )


def test_a_depth_that_wavers_is_calmed_and_x_and_y_follow_the_picture() -> None:
    roots = np.stack([300 * np.sin(TIMES * 4), np.zeros(150), np.full(150, 4000.0)], axis=1)
    waver = 1 + 0.06 * np.sin(2 * np.pi * 2.0 * TIMES)
    waver[70] = 1.8  # and one frame is far off
    found = steady_root(seen_at(roots, waver), TIMES, CAMERA).root_mm
    assert found is not None and np.abs(found[15:-15, 2] - 4000).max() < 60
    assert np.abs(found[15:-15, 0] - roots[15:-15, 0]).max() < 15


def test_who_walks_toward_the_camera_does() -> None:
    roots = np.stack([np.zeros(150), np.zeros(150), 6000 - 800 * TIMES], axis=1)
    found = steady_root(seen_at(roots, np.ones(150)), TIMES, CAMERA).root_mm
    assert found is not None and np.abs(found[20:-20, 2] - roots[20:-20, 2]).max() < 60


def test_without_a_place_nothing_is_done() -> None:
    track = replace(seen_at(np.full((3, 3), 4000.0), np.ones(3)), root_mm=None)
    assert steady_root(track, TIMES, CAMERA) is track


def test_while_it_comes_a_depth_is_calmed_and_follows_who_walks() -> None:
    waver = 4000 * (1 + 0.06 * np.sin(2 * np.pi * 2.0 * TIMES))
    waver[70] = 7000
    steady, walking = SteadyDepth(), SteadyDepth()
    found = np.array([steady.step(depth, time) for depth, time in zip(waver, TIMES.tolist(), strict=True)])
    assert np.abs(found[30:] - 4000).max() < 120
    truth = 8000 - 800 * TIMES
    found = np.array([walking.step(depth, time) for depth, time in zip(truth, TIMES.tolist(), strict=True)])
    late = (found - truth)[30:] / 800  # s
    assert late.min() > 0 and late.max() < 0.7
    assert np.isnan(steady.step(float("nan"), 9.0))
    assert np.isfinite(steady.step(4000.0, 10.0))
