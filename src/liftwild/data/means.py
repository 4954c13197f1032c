"""Mean bone lengths and mean pose of the people that a network learns from: what its weights state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from liftwild.camera import bone_lengths
from liftwild.errors import LiftwildError
from liftwild.schema import ArrayOf, Between
from liftwild.skeleton import MPII_16, PELVIS, SCALE_BONES


@dataclass(frozen=True, eq=False)
class Means:
    """Over ``people`` whose 3D joints are all known: ``bone_lengths_mm`` (14,) of the scale bones, ``pose_mm`` (J, 3)
    root-relative, camera axes. All 0 without people."""

    people: Annotated[int, Between(0, 1e12)]
    bone_lengths_mm: Annotated[Any, ArrayOf(len(SCALE_BONES))]
    pose_mm: Annotated[Any, ArrayOf(len(MPII_16), 3)]

    @property
    def sum_length_mm(self) -> float:
        """AvgSumLen of the training data: the scale bones' mean lengths together, mm."""
        return float(np.sum(self.bone_lengths_mm))


def means_of(joints_3d: np.ndarray) -> Means:
    """The means over people's joints (N, J, 3), mm, all known."""
    if not len(joints_3d):
        return Means(0, np.zeros(len(SCALE_BONES)), np.zeros((len(MPII_16), 3)))
    lengths = bone_lengths(joints_3d, SCALE_BONES).mean(axis=0, dtype=np.float64)
    poses = joints_3d - joints_3d[:, PELVIS : PELVIS + 1]
    return Means(len(joints_3d), lengths, poses.mean(axis=0, dtype=np.float64))


def joined(parts: Iterable[Means]) -> Means:
    """The means over the people of all ``parts``; LiftwildError if there is nobody."""
    found = [part for part in parts if part.people]
    if not found:
        raise LiftwildError("no store with complete 3D poses: the size of a person cannot be told")
    weights = [part.people for part in found]
    lengths = np.average([part.bone_lengths_mm for part in found], axis=0, weights=weights)
    return Means(sum(weights), lengths, np.average([part.pose_mm for part in found], axis=0, weights=weights))
