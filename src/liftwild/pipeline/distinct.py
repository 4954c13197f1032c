"""Photos: of several poses of one person, the clearest. A box around half of somebody shows the same body again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liftwild.pose import Pose

SAME = 0.7  # poses that are more alike are one person's: docs/detection.md
NEAR = 0.05  # joints so near, in longer sides of the larger box, are alike by exp(-1/2)


def distinct(poses: Sequence[Pose]) -> list[Pose]:
    """``poses`` of a photo without those of a person who has a clearer one, by ``Pose.peak``; in their order."""
    if len(poses) < 2:
        return list(poses)
    joints = np.stack([pose.joints_2d for pose in poses])
    sure = np.stack([pose.confidence for pose in poses])
    sides = np.array([max(pose.box[2:]) for pose in poses])
    kept: list[int] = []
    for at in sorted(range(len(poses)), key=lambda at: -(poses[at].peak or 0.0)):
        alike = similarity(joints[at], joints[kept], sure[at] * sure[kept], np.maximum(sides[at], sides[kept]))
        if not (alike > SAME).any():
            kept.append(at)
    return [poses[at] for at in sorted(kept)]


def similarity(joints: np.ndarray, others: np.ndarray, weights: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """How alike a pose (J, 2) and ``others`` (N, J, 2) px are, each in [0, 1]: the mean over joints, by ``weights``
    (N, J), of exp(-d^2 / 2), d their distance in ``NEAR`` of the ``sides`` (N,) px. COCO's object keypoint similarity,
    with the sureness of joints in place of labels."""
    away = np.linalg.norm(others - joints, axis=2) / (NEAR * sides[:, None])
    return (weights * np.exp(-(away**2) / 2)).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
