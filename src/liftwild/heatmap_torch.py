"""Heatmaps in torch: drawn as targets, and made of log-odds. ``heatmap`` says where their cells lie, and reads them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def draw(joints_2d: Tensor, size: int, input_px: int, sigma_px: float = 1.0) -> Tensor:
    """Gaussians of peak 1 at the joints: heatmaps (B, J, size, size).

    ``joints_2d`` (B, J, 2) px of the network's input; ``sigma_px`` in heatmap px (cells). A joint outside the input
    leaves only the tail that reaches in. Source: Eq. 1, sigma 1.
    """
    centre = joints_2d * (size / input_px) - 0.5
    cells = torch.arange(size, dtype=joints_2d.dtype, device=joints_2d.device)
    falloff = torch.exp(-((cells - centre[..., None]) ** 2) / (2 * sigma_px**2))
    return falloff[..., 1, :, None] * falloff[..., 0, None, :]


def as_heatmaps(log_odds: Tensor) -> Tensor:
    """Heatmaps (B, J, H, W) in [0, 2] from log-odds over the cells: how much of the probability lies near each cell.

    The softmax over each map, smoothed by a Gaussian of sigma 1 cell, and scaled so that where a joint is as sure as a
    target of sigma 1 its peak is 1. Smoothed, the likeliest neighbourhood wins over the likeliest single cell
    (docs/log.md).
    """
    joints = log_odds.shape[1]
    share = log_odds.flatten(2).softmax(dim=-1).view(log_odds.shape)
    reach = torch.arange(-3, 4, dtype=share.dtype, device=share.device)
    kernel = torch.exp(-(reach**2) / 2).expand(
        joints, 1, 7
    )  # a group for each joint: many times as fast as one map each
    share = functional.conv2d(share, kernel[..., None], padding=(3, 0), groups=joints)
    return functional.conv2d(share, kernel[:, :, None], padding=(0, 3), groups=joints) * 2
