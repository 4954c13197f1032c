"""MPII's 16 joints from a MobileNet: MoveNet's own answer, and what its features add to it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from liftwild.network.config import PoseNetConfig
from liftwild.network.mobilenet import KEYPOINTS, PYRAMID, Features, Keypoints, MoveNet, distances, doubled
from liftwild.skeleton import COCO_17, MPII_16

HEAD_ABOVE_EARS = 0.45  # how far the top of the head lies above the ears, in distances of ears from shoulders


class Context(NamedTuple):
    """What the depth module sees of the picture: ``middle`` (B, features, S/16, S/16), the head's own features, and
    ``coarse`` (B, C, S/32, S/32) of the backbone."""

    middle: Tensor
    coarse: Tensor


class PlainResidual(nn.Module):
    """1x1 to half, 3x3, 1x1 back, added to its input; it begins as the identity. No batch norm: what it would learn of
    rendered people does not hold for photos."""

    def __init__(self, features: int) -> None:
        super().__init__()
        half = features // 2
        self.enter, self.conv, self.leave = (
            nn.Conv2d(features, half, 1),
            nn.Conv2d(half, half, 3, padding=1),
            nn.Conv2d(half, features, 1),
        )
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) -> the same shape."""
        y = functional.relu(self.conv(functional.relu(self.enter(functional.relu(x)))))
        return x + self.leave(y)


class MobileJoints(nn.Module):
    """Pictures in; log-odds of the joints over the cells of a quarter of the input, and ``Context``.

    log-odds = own(MoveNet's keypoints) - log(distance to where MoveNet says that the joint of this person is) + what
    the features say. Twelve joints are MoveNet's own; the others begin as means of its keypoints.
    """

    def __init__(self, config: PoseNetConfig) -> None:
        super().__init__()
        joints, width = config.joints, config.features
        self.movenet = MoveNet(config.mobilenet)
        channels = self.movenet.trunk.channels
        fine = width // 2
        self.own = nn.Conv2d(KEYPOINTS, joints, 1)
        self.place = nn.Linear(KEYPOINTS, joints, bias=False)
        with torch.device("cpu"):  # constants, also where the rest is made as shapes alone
            shares, places, grid = _shares(0.25), _places(), _grid(config.input_px // 16)
        with torch.no_grad():
            self.own.weight.copy_(shares[..., None, None])
            nn.init.zeros_(self.own.bias)  # type: ignore[arg-type]
            self.place.weight.copy_(places)
        self.middle, self.coarse = nn.Conv2d(channels.middle, width, 1), nn.Conv2d(channels.coarse, width, 1)
        self.where = nn.Conv2d(3, width, 1, bias=False)
        self.context = nn.Sequential(PlainResidual(width), PlainResidual(width))
        self.down = nn.Conv2d(width, fine, 1)
        self.fine = nn.Conv2d(PYRAMID[3] + KEYPOINTS, fine, 2, stride=2)
        self.refine = nn.Sequential(PlainResidual(fine), PlainResidual(fine), nn.ReLU())
        self.out = nn.Conv2d(fine, 4 * joints, 1)  # the four cells in a cell of the refined map
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]
        self.cells = config.input_px // 16
        self.grid: Tensor
        self.register_buffer("grid", grid, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Context]:
        """``images`` (B, 3, S, S) in [0, 1]."""
        return self.found(*self.movenet(images * 2 - 1))

    def found(self, features: Features, keypoints: Keypoints) -> tuple[Tensor, Context]:
        """As ``forward``, of what MoveNet makes of the images."""
        odds = keypoints.heatmaps.clamp(min=-12)
        x = (
            self.middle(features.middle)
            + doubled(self.coarse(features.coarse))
            + self.where(self.grid.to(features.middle.dtype))
        )
        context = self.context(x)
        fine = self.fine(torch.cat([features.fine, odds / 4], dim=1)) + doubled(self.down(context))
        found = functional.pixel_shuffle(self.out(self.refine(fine)), 2)
        return self.prior(keypoints) + found, Context(context, features.coarse)

    def prior(self, keypoints: Keypoints) -> Tensor:
        """What MoveNet alone says of MPII's joints: log-odds (B, J, H, W)."""
        height, width = keypoints.heatmaps.shape[2:]
        where = self.place(keypoints.regressed.transpose(1, 2)).transpose(1, 2)
        nearness = -(distances(where.float(), height, width) + MoveNet.NEAR).log()
        return self.own(functional.logsigmoid(keypoints.heatmaps)) + nearness


def _shares(part: float) -> Tensor:
    """(16, 17): COCO's keypoints that MPII's joints begin with, ``part`` of each for a joint that COCO lacks."""
    parts = {
        "pelvis": ("left_hip", "right_hip"), "thorax": ("left_shoulder", "right_shoulder"),
        "upper_neck": ("left_shoulder", "right_shoulder"), "head_top": ("left_ear", "right_ear"),
    }  # fmt: skip
    shares = torch.zeros(len(MPII_16), len(COCO_17))
    for joint, name in enumerate(MPII_16.names):
        for each in parts.get(name, (name,)):
            shares[joint, COCO_17.index(each)] = part if name in parts else 1.0
    return shares


def _places() -> Tensor:
    """(16, 17): where each of MPII's joints lies, as weights of COCO's keypoints that sum to 1."""
    places = _shares(0.5)
    ears, shoulders = places[MPII_16.index("head_top")].clone(), places[MPII_16.index("thorax")].clone()
    places[MPII_16.index("head_top")] = ears + HEAD_ABOVE_EARS * (ears - shoulders)
    places[MPII_16.index("upper_neck")] = shoulders + 0.4 * (ears - shoulders)
    return places


def _grid(side: int) -> Tensor:
    """(1, 3, side, side): x, y and squared distance from the middle of each cell, in [-1, 1]."""
    line = (torch.arange(side) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y, x**2 + y**2])[None]
