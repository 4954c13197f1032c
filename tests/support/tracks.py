"""People who move, as joints and as tracks."""

from __future__ import annotations

import numpy as np

from liftwild.pose import PoseTrack
from liftwild.skeleton import MPII_16
from tests.support.poses import RAISED_RIGHT_HAND


def track_of(joints: np.ndarray, frames: np.ndarray | None = None, root_mm: np.ndarray | None = None) -> PoseTrack:
    """The track of joints (T, 16, 3) in mm, camera axes."""
    count = len(joints)
    return PoseTrack(
        0, np.arange(count) if frames is None else frames, joints[..., :2] / 4, joints, np.full((count, 16), 0.9),
        np.tile([0.0, 0.0, 100.0, 200.0], (count, 1)), root_mm=root_mm,
    )  # fmt: skip


def random_photo(rng: np.random.Generator, spread: float = 300.0) -> np.ndarray:
    """A pose (1, 16, 3) that nobody could take."""
    joints = rng.normal(0, spread, (1, 16, 3))
    joints[:, 6] = 0
    return joints


def moving(rng: np.random.Generator, count: int = 20, wildness: float = 0.5) -> np.ndarray:
    """A person (T, 16, 3) whose bones swing smoothly and keep their lengths, angles between them do not."""
    joints, seconds = np.zeros((count, 16, 3)), np.arange(count) / 25
    for joint in (7, 8, 9, 2, 1, 0, 3, 4, 5, 12, 11, 10, 13, 14, 15):
        parent = MPII_16.parents[joint]
        bone = RAISED_RIGHT_HAND[joint] - RAISED_RIGHT_HAND[parent]
        waves = np.sin(2 * np.pi * (seconds[:, None, None] * (0.4, 0.9) + rng.random((3, 2)))) * rng.normal(
            0, wildness, (3, 2)
        )
        direction = bone / np.linalg.norm(bone) + waves.sum(axis=-1)
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        joints[:, joint] = joints[:, parent] + np.linalg.norm(bone) * direction
    return joints
