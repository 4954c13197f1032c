"""Rotations as batched matrices. Angles in degrees where the name says so; matrices act on columns."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def about(axis: str, degrees: Tensor) -> Tensor:
    """Rotations (..., 3, 3) about ``axis`` ("x", "y" or "z") by ``degrees`` (...), right-handed."""
    angle = torch.deg2rad(degrees)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    rows = {
        "x": (one, zero, zero, zero, cosine, -sine, zero, sine, cosine),
        "y": (cosine, zero, sine, zero, one, zero, -sine, zero, cosine),
        "z": (cosine, -sine, zero, sine, cosine, zero, zero, zero, one),
    }[axis]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def about_axis(axis: Tensor, radians: Tensor) -> Tensor:
    """Rotations (..., 3, 3) about unit vectors ``axis`` (..., 3) by ``radians`` (...): Rodrigues' formula."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=axis.dtype, device=axis.device)
    sine, cosine = torch.sin(radians)[..., None, None], torch.cos(radians)[..., None, None]
    return eye + sine * cross + (1 - cosine) * (cross @ cross)


def turn_between(start: Tensor, end: Tensor) -> Tensor:
    """The smallest rotation (..., 3, 3) that takes the direction ``start`` (..., 3) to ``end`` (..., 3)."""
    start, end = normalize(start, dim=-1), normalize(end, dim=-1)
    axis = torch.linalg.cross(start, end, dim=-1)
    sine = axis.norm(dim=-1)
    return about_axis(axis / sine.clamp(min=1e-8)[..., None], torch.atan2(sine, (start * end).sum(-1)))


def limb_frame(direction: Tensor, bend: Tensor) -> Tensor:
    """The rotation (..., 3, 3) that takes x to ``direction`` and -y to ``bend`` made square to it."""
    x = normalize(direction, dim=-1)
    y = -normalize(bend - (bend * x).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y, dim=-1)], dim=-1)
