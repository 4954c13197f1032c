"""Depth modules: the paper's, on the features of an hourglass, and one that corrects a lifter."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from liftwild.network.config import PoseNetConfig
from liftwild.network.hourglass import residuals
from liftwild.network.joint_head import Context, PlainResidual
from liftwild.network.lifter import Lifted, Reading
from liftwild.network.mobilenet import MobileNet, doubled
from liftwild.skeleton import DEPTH_ROOT

DEPTH_LEVELS = 4  # times the paper's depth module halves its maps
EACH = 48  # channels that are read at each joint
HIDDEN = 256


class DepthModule(nn.Module):
    """Joint depths from the summed features after the last stack: 4 times (residuals, pool), then one linear layer."""

    def __init__(self, config: PoseNetConfig) -> None:
        super().__init__()
        width = config.features
        cells = config.heatmap_px // 2**DEPTH_LEVELS

        def norm() -> nn.Module:
            return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU()) if config.depth_norm else nn.Identity()

        self.enter = norm()
        self.levels = nn.Sequential(
            *(nn.Sequential(residuals(config.blocks, width), nn.MaxPool2d(2)) for _ in range(DEPTH_LEVELS))
        )
        self.leave = norm()
        self.linear = nn.Linear(width * cells * cells, config.joints)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) -> depth (B, J)."""
        return self.linear(self.leave(self.levels(self.enter(x))).flatten(1))


class DepthCorrection(NamedTuple):
    """What the picture says of each joint, (B, J). ``depth`` and ``log_spread``: corrections of the lifter's.
    ``inside``: log-odds that the joint lies in the photo; ``visible``: that nothing hides it."""

    depth: Tensor
    log_spread: Tensor
    inside: Tensor
    visible: Tensor


class ContextDepth(nn.Module):
    """Features at several sizes and heatmaps in; what they add to the lifter's answer out.

    Features are read at each joint by its probability, and over the whole picture. It begins by correcting nothing.
    """

    def __init__(self, config: PoseNetConfig) -> None:
        super().__init__()
        joints, width = config.joints, config.features
        coarse = MobileNet(config.mobilenet).channels.coarse
        cells = (config.input_px // 32) ** 2
        self.joints = joints
        self.enter = nn.Conv2d(width + joints, width, 1)
        self.first = nn.Sequential(PlainResidual(width), nn.MaxPool2d(2))
        self.coarse = nn.Conv2d(coarse, width, 1)
        self.second = nn.Sequential(PlainResidual(width), PlainResidual(width))
        self.each = nn.Conv2d(2 * width, EACH, 1)
        self.whole = nn.Conv2d(width, 32, 1)
        self.of_whole, self.of_each = nn.Linear(32 * cells, HIDDEN), nn.Linear(joints * EACH, HIDDEN)
        self.of_lifter, self.of_joints = nn.Linear(config.lifter, HIDDEN), nn.Linear(7 * joints, HIDDEN)
        self.norm, self.hidden = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.leave, self.out = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, 4 * joints)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, context: Context, share: Tensor, reading: Reading, lifted: Lifted, lifter: Tensor
    ) -> DepthCorrection:
        """``share`` (B, J, S/16, S/16): each joint's probability; ``lifter`` (B, L): the lifter's features."""
        x = self.first(self.enter(torch.cat([context.middle, share.to(context.middle.dtype) * 4], dim=1)))
        x = self.second(x + self.coarse(context.coarse))
        each = self.each(torch.cat([doubled(x), context.middle], dim=1))
        read = torch.matmul(share.flatten(2).to(each.dtype), each.flatten(2).transpose(1, 2))
        said = torch.cat(
            [
                reading.joints, reading.second - reading.joints, reading.mass[..., None],
                reading.second_mass[..., None], lifted.depth[..., None],
            ], dim=-1,
        )  # fmt: skip
        y = self.of_whole(functional.relu(self.whole(functional.relu(x))).flatten(1)) + self.of_each(read.flatten(1))
        y = y + self.of_lifter(lifter) + self.of_joints(said.flatten(1))
        y = y + self.hidden(functional.relu(self.norm(y)))
        out = self.out(functional.relu(self.leave(y))).float().view(-1, self.joints, 4)
        depth = out[..., 0] - out[:, DEPTH_ROOT, None, 0]
        return DepthCorrection(depth, out[..., 1], out[..., 2], out[..., 3])
