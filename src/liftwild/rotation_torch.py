"""Rotations as matrices (..., 3, 3) of PyTorch tensors, as ``rotation`` has them of NumPy arrays."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def rotation_about(axis: str, degrees: Tensor) -> Tensor:
    """Rotations (..., 3, 3) by ``degrees`` (...) about the coordinate axis "x", "y" or "z"."""
    angle = torch.deg2rad(degrees)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    rows = {
        "x": (one, zero, zero, zero, cosine, -sine, zero, sine, cosine),
        "y": (cosine, zero, sine, zero, one, zero, -sine, zero, cosine),
        "z": (cosine, -sine, zero, sine, cosine, zero, zero, zero, one),
    }[axis]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def rotation_euler(axes: str, *degrees: Tensor, start: Tensor | None = None) -> Tensor:
    """Intrinsic rotations (..., 3, 3) after ``start``: "xyz" is start @ Rx @ Ry @ Rz, by ``degrees`` (...) each."""
    for axis, angle in zip(axes, degrees, strict=True):
        step = rotation_about(axis, angle)
        start = step if start is None else start @ step
    assert start is not None
    return start


def rotation_about_vector(axis: Tensor, radians: Tensor) -> Tensor:
    """Rotations (..., 3, 3) by ``radians`` (...) about unit vectors ``axis`` (..., 3): Rodrigues' formula."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=axis.dtype, device=axis.device)
    sine, cosine = torch.sin(radians)[..., None, None], torch.cos(radians)[..., None, None]
    return eye + sine * cross + (1 - cosine) * (cross @ cross)


def rotation_between(start: Tensor, end: Tensor) -> Tensor:
    """The smallest rotations (..., 3, 3) that take directions ``start`` (..., 3) to ``end`` (..., 3), not opposite."""
    start, end = normalize(start, dim=-1), normalize(end, dim=-1)
    axis = torch.linalg.cross(start, end, dim=-1)
    sine = axis.norm(dim=-1)
    return rotation_about_vector(axis / sine.clamp(min=1e-8)[..., None], torch.atan2(sine, (start * end).sum(-1)))


def rotation_of_limb(direction: Tensor, bend: Tensor) -> Tensor:
    """The rotations (..., 3, 3) that take x to ``direction`` (..., 3) and -y to ``bend`` (..., 3) made square to it."""
    x = normalize(direction, dim=-1)
    y = -normalize(bend - (bend * x).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y, dim=-1)], dim=-1)
