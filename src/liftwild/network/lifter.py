"""From joints in the picture to depths, without the picture: what a pose looks like says most of how deep it is.

``read_joints`` reads each heatmap as a probability: where the joint is, how surely, and where else it may be.
``Lifter`` makes depths and their spread of that; it can be trained alone on poses that nobody ever photographed
(``synthetic.poses.pose_views``), and goes on within the whole network. Not in the paper (docs/log.md).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from liftwild.skeleton import DEPTH_ROOT

REACH = 0.1  # of the map's side: cells about the likeliest place that count for it
COARSE = 4  # cells in a side of what ``Reading.share`` adds up
INPUTS, OUTPUTS = 7, 4  # of each joint
BLOCKS = 2
LOG_SPREAD = (-5.0, 2.0)  # limits of ``Lifted.log_spread``, relative to the pose's size
FAR = 4.0  # limit of what enters, in sizes of the pose


class Reading(NamedTuple):
    """Joints read from heatmaps. B people, J joints, coordinates in the [-1, 1] unit of the input.

    ``joints`` (B, J, 2): mean of the probability about its likeliest place. ``mass`` (B, J): how much of it lies there.
    ``spread`` (B, J): its standard deviation there. ``second`` (B, J, 2) and ``second_mass`` (B, J): the same of the
    likeliest place elsewhere.
    """

    joints: Tensor
    mass: Tensor
    spread: Tensor
    second: Tensor
    second_mass: Tensor


def read_joints(log_odds: Tensor) -> tuple[Reading, Tensor]:
    """What heatmaps of log-odds (B, J, H, W) say, and each joint's probability (B, J, H/4, W/4) in coarse cells."""
    batch, joints, height, width = log_odds.shape
    chance = log_odds.float().flatten(2).softmax(dim=-1).view(batch, joints, height, width)
    place, mass, spread, around = _likeliest(chance)
    second, second_mass, _, _ = _likeliest(chance * (1 - around))
    return Reading(place, mass, spread, second, second_mass), _coarse(chance)


def _coarse(chance: Tensor) -> Tensor:
    return functional.avg_pool2d(chance, COARSE) * COARSE**2


def _likeliest(chance: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, mass and spread of ``chance`` about its likeliest place, and the mask of the cells about it."""
    side = chance.shape[-1]
    blurred = functional.avg_pool2d(_coarse(chance), 3, 1, 1)
    at = blurred.flatten(2).argmax(dim=-1)
    coarse = side // COARSE
    y, x = at.div(coarse, rounding_mode="floor"), at % coarse
    unit = 2 / side
    cells = (torch.arange(side, device=chance.device, dtype=chance.dtype) + 0.5) * unit - 1
    middle = torch.stack([x, y], dim=-1).to(chance.dtype).add(0.5) * (COARSE * unit) - 1
    reach = 2 * REACH + 1e-4
    near_y = ((cells - middle[..., 1, None]).abs() <= reach).to(chance.dtype)
    near_x = ((cells - middle[..., 0, None]).abs() <= reach).to(chance.dtype)
    around = near_y[..., :, None] * near_x[..., None, :]
    here = chance * around
    mass = here.sum(dim=(2, 3))
    rows, columns = here.sum(dim=3), here.sum(dim=2)
    known = mass.clamp(min=1e-6)
    # From the middle of the window, so that numbers are small where arithmetic is coarse.
    dy, dx = cells - middle[..., 1, None], cells - middle[..., 0, None]
    mean_y, mean_x = (rows * dy).sum(-1) / known, (columns * dx).sum(-1) / known
    squared = ((rows * dy**2).sum(-1) + (columns * dx**2).sum(-1)) / known
    spread = (squared - mean_x**2 - mean_y**2).clamp(min=1e-8).sqrt()
    return middle + torch.stack([mean_x, mean_y], dim=-1), mass, spread, around


class Lifted(NamedTuple):
    """What the lifter says, in the unit of its joints. ``depth`` (B, J): relative to the thorax. ``log_spread`` (B, J):
    log of its expected error. ``joints`` (B, J, 2): where the joints are, those too that the picture does not show."""

    depth: Tensor
    log_spread: Tensor
    joints: Tensor


class LifterBlock(nn.Module):
    """Pre-normalised residual of two linear layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.first, self.second = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) -> (B, width)."""
        return x + self.second(functional.relu(self.first(self.norm(x))))


class Lifter(nn.Module):
    """``Reading`` in, ``Lifted`` out; it makes no difference where in the picture the person is, nor how large."""

    def __init__(self, joints: int, width: int) -> None:
        super().__init__()
        self.joints, self.width = joints, width
        self.enter = nn.Linear(INPUTS * joints, width)
        self.blocks = nn.ModuleList(LifterBlock(width) for _ in range(BLOCKS))
        self.norm, self.leave = nn.LayerNorm(width), nn.Linear(width, OUTPUTS * joints)
        with torch.no_grad():  # it begins flat, with the joints where they were read
            self.leave.weight *= 0.1

    def forward(self, reading: Reading) -> tuple[Lifted, Tensor]:
        """Depths, and the features (B, width) that they were made of."""
        weight = (reading.mass + 0.05)[..., None]
        total = weight.sum(dim=1, keepdim=True)
        middle = (reading.joints * weight).sum(dim=1, keepdim=True) / total
        away = reading.joints - middle
        size = ((away**2).sum(-1, keepdim=True) * weight).sum(dim=1, keepdim=True) / total
        size = size.clamp(min=1e-6).sqrt()
        inputs = [
            (away / size).clamp(-FAR, FAR),
            ((reading.second - reading.joints) / size).clamp(-FAR, FAR),
            reading.mass[..., None] * 2 - 1,
            (reading.spread[..., None] / size).clamp(max=1) * 4,
            reading.second_mass[..., None] * 4,
        ]
        x = self.enter(torch.cat(inputs, dim=-1).flatten(1))
        for block in self.blocks:
            x = block(x)
        x = functional.relu(self.norm(x))
        out = self.leave(x).view(-1, self.joints, OUTPUTS)
        size = size[..., 0]
        depth = (out[..., 0] - out[:, DEPTH_ROOT, None, 0]) * size
        log_spread = out[..., 1].clamp(*LOG_SPREAD) + size.log()
        return Lifted(depth, log_spread, reading.joints + out[..., 2:] * size[..., None]), x
