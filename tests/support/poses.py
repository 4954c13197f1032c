"""Poses and lists of joint names."""

from __future__ import annotations

import numpy as np

from liftwild.boxes import body_box
from liftwild.crop import BOX_MARGIN
from liftwild.pose import Pose
from liftwild.skeleton import MPII_16

J = len(MPII_16)
JOINT = {name: index for index, name in enumerate(MPII_16.names)}
LSP_14 = [
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
]  # fmt: skip
COCO_17 = [
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
]  # fmt: skip
# Someone who faces the camera with the right hand raised: x right, y down, mm, about the pelvis. Seen from the front,
# the person's right side is on the left of the picture.
RAISED_RIGHT_HAND = np.array(
    [
        (-120, 860, 10), (-115, 440, -30), (-110, 5, 0), (110, -5, 0), (118, 435, 25), (130, 855, 60), (0, 0, 0),
        (0, -480, -20), (0, -560, -25), (5, -760, -60), (-330, -900, -120), (-300, -680, -60), (-170, -490, -20),
        (170, -470, -20), (220, -200, 30), (230, 40, -40),
    ],
    dtype=np.float64,
)  # fmt: skip


def pose(seed: int = 0, x: float = 0.0, z: float = 4000.0) -> np.ndarray:
    """Joints (16, 3) in mm, camera space: ``RAISED_RIGHT_HAND``, a little otherwise for each ``seed``."""
    change = np.random.default_rng(seed).normal(0, 25, (J, 3))
    return RAISED_RIGHT_HAND + change + (x, 30.0, z)


# A person facing the camera, mm: x right in the picture, so their right side has negative x.
STANDING = np.array([
    [-100, 850, 0], [-100, 430, 0], [-100, 0, 0], [100, 0, 0], [100, 430, 0], [100, 850, 0], [0, 0, 0],
    [0, -480, 0], [0, -560, 0], [0, -780, 0], [-190, 20, 0], [-190, -230, 0], [-180, -480, 0], [180, -480, 0],
    [190, -230, 0], [190, 20, 0],
], dtype=np.float64)  # fmt: skip


def off_by(*distances: float) -> tuple[np.ndarray, np.ndarray]:
    """One sample (1, len(distances), 3) whose joints are off by these distances."""
    pred = np.zeros((1, len(distances), 3))
    pred[0, :, 1] = distances
    return pred, np.zeros_like(pred)


def figure(input_px: int) -> np.ndarray:
    """Joints (16, 2) px of a standing person in a network's input whose body's box is where it was looked for."""
    joints = STANDING[:, :2]
    x, y, w, h = body_box(joints, np.ones(16, dtype=bool)) or (0.0, 0.0, 1.0, 1.0)
    return (joints - (x + w / 2, y + h / 2)) * (input_px / BOX_MARGIN / max(w, h)) + input_px / 2


# A person who stands, arms out, MPII-16 order: right ankle ... left wrist; mm, pelvis at 0.
ARMS_OUT = np.array(
    [
        [-110, 860, 30], [-115, 440, -10], [-110, 5, 0], [110, 5, 0], [120, 440, -30], [115, 850, 60], [0, 0, 0],
        [0, -480, 10], [0, -560, 5], [0, -800, -10], [-610, -420, -120], [-400, -440, 20], [-170, -470, 20],
        [170, -470, 20], [380, -360, 90], [420, -130, 250],
    ],
    dtype=np.float64,
)  # fmt: skip


def standing(x: float = 40, y: float = 30, size: float = 50, confidence: float = 0.8) -> Pose:
    """The standing person, ``size`` px tall about (x, y)."""
    joints_2d = ARMS_OUT[:, :2] * (size / 1700) + (x, y)
    return Pose(joints_2d, ARMS_OUT, np.full(16, confidence), (x - size / 2, y - size / 2, size, size))
