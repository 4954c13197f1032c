"""Predictions of a network without fault."""

from __future__ import annotations

from typing import Any

import numpy as np

from liftwild.camera import bone_lengths, depth_targets
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.predictions import Predictions, StorePredictions
from liftwild.skeleton import MPII_16, PELVIS
from tests.support.poses import STANDING, J

INPUT_PX, PX_PER_MM = 256, 0.1
SEQUENCES = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")


def joint(name: str) -> int:
    """Index of a joint."""
    return MPII_16.index(name)


def perfect(people: int = 6, sizes: float = 60.0) -> Measured:
    """People seen from very far, by a network without fault; all of one summed bone length."""
    pose = STANDING + np.random.default_rng(0).normal(0, sizes, (people, J, 3))
    pose = pose - pose[:, PELVIS : PELVIS + 1]
    pose *= 4000 / bone_lengths(pose).sum(1)[:, None, None]
    middle = pose[:, [PELVIS, joint("upper_neck")]].mean(axis=1)  # Human3.6M's spine, where the authors' code puts it
    true_2d = INPUT_PX / 2 + PX_PER_MM * pose[..., :2]
    all_valid = np.ones((people, J), dtype=bool)
    depth = np.stack([depth_targets(a, b, c, INPUT_PX)[0] for a, b, c in zip(true_2d, pose, all_valid, strict=True)])
    return Measured(
        true_2d.copy(), np.full((people, J), 0.8), depth.astype(np.float64), true_2d, all_valid,
        pose + np.array([0, 0, 5000]), all_valid.copy(), INPUT_PX, 4000.0, spine_3d=middle + np.array([0, 0, 5000]),
    )  # fmt: skip


def predictions(
    measured: Measured, protocol: str, group: tuple[str, ...] = (), head_px: float = np.nan, **about: Any
) -> Predictions:
    """One store of these people, its groups over and over."""
    people = len(measured.pred_2d)
    group = tuple((group or ("",))[i % max(1, len(group))] for i in range(people))
    store = StorePredictions(
        "test", "f" * 64, ("x.jpg",) * people, np.arange(people), ("",) * people, group, np.full(people, head_px),
        measured.pred_2d, measured,
    )  # fmt: skip
    return Predictions(
        {"liftwild": "0", "weights": {"name": "net", "sha256": "0" * 64}, "protocol": protocol, "flip_test": False,
         "input_px": INPUT_PX, "sum_length_mm": measured.sum_length_mm, "bone_length_mm": None, "mean_pose_mm": None,
         **about},
        (store,),
    )  # fmt: skip
