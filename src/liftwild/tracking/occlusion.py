"""Who covers somebody, painted out of the picture: beside another body a pose takes in that one's limbs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from liftwild.pose import Pose
from liftwild.skeleton import MPII_16
from liftwild.tracking.observation import followed_box, side_of

GREY = 127
LIMB_SIDES, MIDDLE_SIDES = 0.08, 0.16  # thickness of limbs, and of trunk and head, in sides of the body's box

_TRUNK = [MPII_16.index(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")]
_MIDDLE = {MPII_16.index(name) for name in ("pelvis", "thorax", "upper_neck", "head_top")}


def painted_out(image: np.ndarray, poses: Sequence[Pose]) -> tuple[np.ndarray, np.ndarray]:
    """``image`` (H, W, 3) uint8 RGB with the bodies of ``poses`` in grey, and where that is (H, W) bool."""
    where = np.zeros(image.shape[:2], np.uint8)
    for pose in poses:
        side = side_of(followed_box(pose))
        joints = np.clip(pose.joints_2d, -30000, 30000).astype(np.int32)
        for child, parent in MPII_16.bones:
            sides = MIDDLE_SIDES if {child, parent} <= _MIDDLE else LIMB_SIDES
            cv2.line(where, joints[child].tolist(), joints[parent].tolist(), 1, max(1, round(sides * side)))
        cv2.fillConvexPoly(where, cv2.convexHull(joints[_TRUNK]), 1)
    hidden = where > 0
    painted = image.copy()
    painted[hidden] = GREY
    return painted, hidden
