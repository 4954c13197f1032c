"""What a user holds: one person's pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liftwild.skeleton import MPII_16, Skeleton


@dataclass(frozen=True, eq=False)
class Pose:
    """One person found in one photo.

    ``joints_2d`` (J, 2): px of the photo, x right, y down, the photo's top-left corner at (0, 0).
    ``joints_3d`` (J, 3): mm, camera axes (x right, y down, z away from the camera), pelvis at 0.
    ``confidence`` (J,): height of the joint's heatmap peak, cut to [0, 1]; not a calibrated probability.
    ``box`` (x, y, w, h): px of the photo, where the person was looked for.
    ``annotation_id``: id of the label that gave the box, or None.
    """

    joints_2d: np.ndarray
    joints_3d: np.ndarray
    confidence: np.ndarray
    box: tuple[float, float, float, float]
    annotation_id: int | None = None
    skeleton: Skeleton = MPII_16

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The J joint names, in the order of the arrays."""
        return self.skeleton.names
