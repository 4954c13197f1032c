"""One labelled person (Sample) and a batch of them ready for the network (Batch)."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from liftwild.camera import Camera


@dataclass(frozen=True, eq=False)
class Sample:
    """One person in one picture, MPII-16 joints (J = 16).

    ``image`` (H, W, 3) uint8 RGB. ``joints_2d`` (J, 2) px of that image, ``joints_2d_valid`` (J,) bool.
    ``joints_3d`` (J, 3) mm, camera space, absolute; without ``camera`` perhaps with the pelvis at 0. ``depth_valid``
    (J,) bool, all False without 3D labels.
    ``camera``: of that image, or None. ``box`` (x, y, w, h) px: the person. ``source``: file the picture came from.
    ``annotation_id``: of the label. ``subject``: who it is, as the dataset names them. ``group``: what per-group means
    are over, the action of Human3.6M or the sequence of MPI-INF-3DHP. ``head_size_px``: MPII's own head size, px of
    the image. ``visibility`` (J,) uint8: 2 seen, 1 hidden, 0 not known; None: not known of any. ``photo`` (x, y, w, h)
    px: the part of the image that is photo, black around it; None: all of it. ``presence`` (J,) uint8: 2 in the photo,
    1 beyond its edge, 0 not known; None: not looked at. ``spine_3d`` (3,) mm, the space of ``joints_3d``: Human3.6M's
    own spine joint, which MPII-16 has no place for and the authors' code scores in place of the thorax; None elsewhere.
    """

    image: np.ndarray
    joints_2d: np.ndarray
    joints_2d_valid: np.ndarray
    joints_3d: np.ndarray
    depth_valid: np.ndarray
    camera: Camera | None
    box: tuple[float, float, float, float]
    source: str
    annotation_id: int
    subject: str = ""
    group: str = ""
    head_size_px: float | None = None
    visibility: np.ndarray | None = None
    photo: tuple[float, float, float, float] | None = None
    presence: np.ndarray | None = None
    spine_3d: np.ndarray | None = None

    @property
    def has_3d(self) -> bool:
        """Whether any joint has a known depth."""
        return bool(self.depth_valid.any())


@dataclass(frozen=True, eq=False)
class Batch:
    """B samples cut to the network's input of S px.

    ``images`` (B, 3, S, S) uint8 RGB. ``joints_2d`` (B, J, 2) float32, px of the input; ``joints_2d_valid`` (B, J).
    ``depth`` (B, J) float32, thorax-relative, in the [-1, 1] unit of the input; ``depth_valid`` (B, J).
    ``has_3d`` (B,) bool: drawn as a 3D-labelled image. ``presence`` (B, J) uint8: 2 in the picture, 1 beyond its edge,
    0 not known; ``visibility`` (B, J) uint8: 2 seen, 1 hidden, 0 not known.
    """

    images: Tensor
    joints_2d: Tensor
    joints_2d_valid: Tensor
    depth: Tensor
    depth_valid: Tensor
    has_3d: Tensor
    presence: Tensor
    visibility: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def tensors(self) -> dict[str, Tensor]:
        """The fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        return Batch(**{name: value.to(device, non_blocking=True) for name, value in self.tensors().items()})
