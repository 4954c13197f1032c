"""Draw joints as Gaussians, find them again. Owns the half-pixel rule.

A heatmap of S cells over an input of ``input_px``: cell i covers [i, i + 1) * (input_px / S) px, so its centre lies at
(i + 0.5) * (input_px / S).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MIN_HEIGHT = 1e-6  # of a cell, before its log is taken


def draw(joints_2d: Tensor, size: int, input_px: int, sigma_px: float = 1.0) -> Tensor:
    """Gaussians of peak 1 at the joints: heatmaps (B, J, size, size).

    ``joints_2d`` (B, J, 2) px of the network's input; ``sigma_px`` in heatmap px (cells). A joint outside the input
    leaves only the tail that reaches in. Source: Eq. 1, sigma 1.
    """
    centre = joints_2d * (size / input_px) - 0.5
    cells = torch.arange(size, dtype=joints_2d.dtype, device=joints_2d.device)
    falloff = torch.exp(-((cells - centre[..., None]) ** 2) / (2 * sigma_px**2))
    return falloff[..., 1, :, None] * falloff[..., 0, None, :]


def decode(heatmaps: Tensor, input_px: int, subpixel: bool = False) -> tuple[Tensor, Tensor]:
    """Joints (B, J, 2) in px of the network's input, and the peaks (B, J), from heatmaps (B, J, H, W).

    Argmax, then in x and in y by itself a quarter cell toward the higher neighbour (none at the border, none where both
    are equal), plus half a cell. Source: the authors' Torch7 code. ``subpixel``: instead of the quarter, to the top of
    the parabola through the logs of the peak and its two neighbours, half a cell at most; exact for what ``draw`` draws
    (docs/log.md).
    """
    batch, joints, height, width = heatmaps.shape
    cells = heatmaps.flatten(2)
    peak, flat = _highest(cells)
    x, y = flat % width, torch.div(flat, width, rounding_mode="floor")

    def at(index: Tensor) -> Tensor:
        values = cells.gather(2, index.clamp(0, height * width - 1)[..., None])[..., 0]
        return values.clamp(min=MIN_HEIGHT).log() if subpixel else values

    top = at(flat)

    def toward(index: Tensor, step: int, length: int) -> Tensor:
        low, high = at(flat - step), at(flat + step)
        if subpixel:
            bend = 2 * top - low - high  # 0 where all three are equal, never less
            offset = ((high - low) / (2 * bend.clamp(min=MIN_HEIGHT))).clamp(-0.5, 0.5)
        else:
            offset = 0.25 * torch.sign(high - low)
        inside = (index > 0) & (index < length - 1)
        return torch.where(inside, offset, torch.zeros_like(peak))

    found = torch.stack([x + 0.5 + toward(x, 1, width), y + 0.5 + toward(y, width, height)], dim=-1)
    scale = torch.tensor([input_px / width, input_px / height], dtype=found.dtype, device=found.device)
    return found * scale, peak


def _highest(cells: Tensor) -> tuple[Tensor, Tensor]:
    """The highest of cells (..., N), and its index, the first of several."""
    if cells.device.type != "cpu" or cells.requires_grad or cells.dtype != torch.float32:
        peak, flat = cells.max(dim=-1)
        return peak, flat
    # torch would wake its threads for a person's maps: longer than it takes, and beside other threads many times so.
    flat = torch.from_numpy(cells.numpy().argmax(axis=-1))
    return cells.gather(-1, flat[..., None])[..., 0], flat


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
