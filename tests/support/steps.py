"""Somebody who steps forward across the picture: feet that stand at exact places, one after the other."""

from __future__ import annotations

import numpy as np

from liftwild.kinematics.foot_lock import bend_leg
from liftwild.pose import PoseTrack
from liftwild.skeleton import MPII_16
from tests.support.poses import STANDING

FPS, STEP_S, STEPS, LONG_MM, HIGH_MM = 30, 0.5, 8, 400.0, 120.0
DOWN = np.array([0.0, 1.0, 0.0])
LOW_MM = 60.0  # how much lower than standing the pelvis is, so that legs reach


def stepping() -> tuple[PoseTrack, np.ndarray, np.ndarray]:
    """A track with a place, camera space; its times (T,) s; which feet stand (T, 2).

    Left and right swing in turn for ``STEP_S`` each; a foot that does not swing is where it was.
    """
    count = round(STEPS * STEP_S * FPS)
    times = np.arange(count) / FPS
    feet, stands = np.zeros((count, 2, 3)), np.ones((count, 2), dtype=bool)
    for side, first in ((0, 0), (1, 1)):
        x = (100.0, -100.0)[side]  # below the hip
        for step in range(STEPS):
            own = slice(round(step * STEP_S * FPS), round((step + 1) * STEP_S * FPS))
            share = (np.arange(count)[own] - own.start + 1) / (STEP_S * FPS)
            swings = step % 2 == first
            feet[own, side, 0] = x + (LONG_MM * (3 * share**2 - 2 * share**3) if swings else 0.0)
            feet[own, side, 1] = -HIGH_MM * np.sin(np.pi * share) if swings else 0.0
            stands[own, side] = not swings
            x += LONG_MM if swings else 0.0
    names = [MPII_16.index(f"{side}_{part}") for side in ("left", "right") for part in ("hip", "knee", "ankle")]
    root = np.zeros((count, 3))
    root[:, 0] = feet[..., 0].mean(axis=1)
    root[:, 1:] = (LOW_MM, 4000.0)
    joints = np.tile(STANDING, (count, 1, 1))
    ground = STANDING[names[2], 1]
    for side, (hip, knee, ankle) in enumerate((names[:3], names[3:])):
        target = feet[:, side] + (0.0, ground, 4000.0) - root
        target[:, 2] = 0.0
        bent = joints[:, knee] + (0.0, 0.0, -50.0)  # knees bend toward the camera
        shank = np.linalg.norm(STANDING[ankle] - STANDING[knee])
        low = bent + (joints[:, ankle] - bent) / np.linalg.norm(joints[:, ankle] - bent, axis=1, keepdims=True) * shank
        joints[:, knee], joints[:, ankle] = bend_leg(joints[:, hip], bent, low, target)
    picture = (joints + root[:, None])[..., :2] / 4 + 200
    track = PoseTrack(
        0,
        np.arange(count),
        picture,
        joints,
        np.full((count, 16), 0.8),
        np.tile([0.0, 0, 200, 400], (count, 1)),
        root_mm=root,
    )
    return track, times, stands
