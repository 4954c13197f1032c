"""Clips of one person with a known place in space."""

from __future__ import annotations

import numpy as np

from liftwild.camera import Camera
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import PELVIS
from tests.support.poses import STANDING

CAMERA = Camera(1100.0, 1050.0, 640.0, 350.0, 12.0)


def poses(count: int = 6, seed: int = 0, shape: float = 150.0) -> np.ndarray:
    """Root-relative poses (count, 16, 3) mm."""
    joints = STANDING + np.random.default_rng(seed).normal(0, shape, (count, 16, 3))
    return joints - joints[:, PELVIS : PELVIS + 1]


ROOTS = np.array([[0, 0, 3000], [900, -200, 4000], [-700, 300, 2500], [0, 0, 9000], [200, 0, 1700], [-2000, 0, 6000]])


def recording(
    joints: np.ndarray, root: np.ndarray | None, times: np.ndarray, seen: np.ndarray | None = None
) -> Recording:
    """A clip of one person: joints (T, 16, 3) mm about the pelvis."""
    count = len(joints)
    track = PoseTrack(
        0, np.arange(count), np.zeros((count, 16, 2)) if seen is None else seen, joints, np.full((count, 16), 0.5),
        np.tile([0.0, 0.0, 1.0, 1.0], (count, 1)), np.full((count, 16), 80.0), root,
    )  # fmt: skip
    return Recording("a.mp4", 1280, 720, times, (track,), is_clip=count > 1)
