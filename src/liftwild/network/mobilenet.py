"""MobileNetV2 with a feature pyramid, and MoveNet on it: a 2D sub-network that already knows people.

The shapes are those of Google's MoveNet SinglePose (Apache-2.0): inverted residuals (Sandler et al. 2018), a pyramid
with bilinear upsampling to a quarter of the input, and the heads of CenterNet (Zhou et al. 2019). Batch norms come
folded into the convolutions of the published weights, so there are none here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from liftwild.network.config import MobileNetConfig

# (channels at width 1, blocks, stride of the first) of MobileNetV2's seven groups; the first group does not expand.
GROUPS = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
STEM, LAST, EXPAND = 32, 1280, 6
TAPS = (2, 5, 9, 12)  # blocks whose outputs leave the backbone, at 1/4, 1/8, 1/16 and 1/16 of the input
MIN_PREFIX = TAPS[-1] + 1
PYRAMID = (64, 64, 32, 24)  # channels of the pyramid at 1/32, 1/16, 1/8, 1/4 of the input
HEAD = 96  # hidden channels of MoveNet's heads
KEYPOINTS = 17  # COCO's


class SameConv(nn.Conv2d):
    """A square convolution padded as TensorFlow's SAME on even sides: at stride 2 to the right and below only."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, bias: bool = True
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return super().forward(functional.pad(x, (0, 1, 0, 1)) if self.stride[0] == 2 else x)


class InvertedResidual(nn.Module):
    """1x1 to more channels, 3x3 on each by itself, 1x1 to fewer; added to its input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = inputs * expand
        self.expand = nn.Conv2d(inputs, inner, 1) if expand > 1 else None
        self.depthwise = SameConv(inner, inner, 3, stride, groups=inner)
        self.project = nn.Conv2d(inner, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        y = x if self.expand is None else functional.relu6(self.expand(x))
        y = self.project(functional.relu6(self.depthwise(y)))
        return x + y if self.adds else y


class Separable(nn.Module):
    """3x3 on each channel, 1x1, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = SameConv(inputs, inputs, 3, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        return functional.relu(self.pointwise(self.depthwise(x)))


class Features(NamedTuple):
    """Maps of one photo at several sizes. ``fine`` (B, 24, H/4, W/4) of the pyramid; ``middle`` and ``coarse`` of the
    backbone, at 1/16 and 1/32 (channels: ``MobileNet.channels``)."""

    fine: Tensor
    middle: Tensor
    coarse: Tensor


class Prefix(NamedTuple):
    """What the first ``blocks`` inverted residuals make of a photo: ``sides``, maps at 1/4, 1/8 and 1/16 for the
    pyramid, ``middle`` as in ``Features``, and ``x``, which goes on."""

    blocks: int
    sides: tuple[Tensor, Tensor, Tensor]
    middle: Tensor
    x: Tensor


class Channels(NamedTuple):
    """Channels of ``Features``."""

    fine: int
    middle: int
    coarse: int


class MobileNet(nn.Module):
    """Pictures in, ``Features`` out."""

    def __init__(self, config: MobileNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels(STEM)
        self.stem = SameConv(3, channels, 3, 2)
        self.blocks = nn.ModuleList()
        ends: list[int] = []
        for number, (base, count, stride) in enumerate(GROUPS):
            for index in range(count):
                outputs = config.channels(base)
                step = stride if index == 0 else 1
                self.blocks.append(InvertedResidual(channels, outputs, step, EXPAND if number else 1))
                channels = outputs
            ends.append(channels)
        self.channels = Channels(PYRAMID[3], ends[4], ends[6])
        self.last = nn.Conv2d(channels, LAST, 1)
        sides = (LAST, ends[3], ends[2], ends[1])
        self.laterals = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip(sides, PYRAMID, strict=True))
        self.smooths = nn.ModuleList(
            Separable(i, o) for i, o in zip(PYRAMID[1:], (*PYRAMID[2:], PYRAMID[3]), strict=True)
        )

    def forward(self, x: Tensor) -> Features:
        """``x`` (B, 3, H, W) in [-1, 1], H and W multiples of 32."""
        return self.rest(self.prefix(x, MIN_PREFIX))

    def prefix(self, x: Tensor, blocks: int) -> Prefix:
        """The first ``blocks`` inverted residuals, ``MIN_PREFIX`` or more."""
        x = functional.relu6(self.stem(x))
        found: list[Tensor] = []  # the output of each
        for block in self.blocks[:blocks]:
            x = block(x)
            found.append(x)
        quarter, eighth, sixteenth, middle = (found[last] for last in TAPS)
        return Prefix(blocks, (quarter, eighth, sixteenth), middle, x)

    def rest(self, prefix: Prefix) -> Features:
        """What follows ``prefix``."""
        x = prefix.x
        for block in self.blocks[prefix.blocks :]:
            x = block(x)
        y = self.laterals[0](functional.relu6(self.last(x)))
        for lateral, smooth, side in zip(self.laterals[1:], self.smooths, prefix.sides[::-1], strict=True):
            y = smooth(doubled(y) + lateral(side))
        return Features(y, prefix.middle, x)


def doubled(x: Tensor) -> Tensor:
    """Twice as high and wide, bilinear, with pixel centres at +0.5."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Head(nn.Module):
    """One of MoveNet's heads on the fine map: separable convolution to 96 channels, 1x1 to ``outputs``."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.depthwise = SameConv(PYRAMID[3], PYRAMID[3], 3, groups=PYRAMID[3], bias=False)
        self.pointwise = nn.Conv2d(PYRAMID[3], HEAD, 1)
        self.out = nn.Conv2d(HEAD, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 24, H, W) -> (B, outputs, H, W)."""
        return self.out(functional.relu(self.pointwise(self.depthwise(x))))


class Keypoints(NamedTuple):
    """What MoveNet's heads say. ``heatmaps`` (B, 17, h, w): log-odds that a keypoint of anybody lies in the cell.
    ``regressed`` (B, 17, 2): x, y in cells, where the keypoints of the person in the middle are said to be."""

    heatmaps: Tensor
    regressed: Tensor


class MoveNet(nn.Module):
    """MoveNet SinglePose but for its offsets within a cell: COCO's 17 keypoints of the person in the middle.

    Its reading of a photo: the likeliest centre near the middle says by regression where each keypoint should be, and
    each heatmap is divided by the distance from there (``log_likelihood``).
    """

    NEAR = 1.8  # cells added to each distance, as published

    def __init__(self, config: MobileNetConfig) -> None:
        super().__init__()
        self.trunk = MobileNet(config)
        self.heatmap, self.regress, self.centre = Head(KEYPOINTS), Head(2 * KEYPOINTS), Head(1)

    def forward(self, x: Tensor) -> tuple[Features, Keypoints]:
        """``x`` (B, 3, H, W) in [-1, 1]."""
        features = self.trunk(x)
        return features, self.keypoints(features.fine)

    def after(self, prefix: Prefix) -> tuple[Features, Keypoints]:
        """As ``forward``, from what the first blocks make of the photo."""
        features = self.trunk.rest(prefix)
        return features, self.keypoints(features.fine)

    def keypoints(self, fine: Tensor) -> Keypoints:
        """The heads, on the fine map (B, 24, h, w)."""
        centre = self.centre(fine)[:, 0].sigmoid()
        height, width = centre.shape[1:]
        weighed = centre / distances(centre.new_tensor([[[width // 2, height // 2]]]), height, width)[0, 0].add(
            self.NEAR
        )
        at = weighed.flatten(1).argmax(dim=1)
        place = torch.stack([at % width, at.div(width, rounding_mode="floor")], dim=1).to(fine.dtype)
        away = self.regress(fine).flatten(2).gather(2, at[:, None, None].expand(-1, 2 * KEYPOINTS, 1))
        away = away.view(-1, KEYPOINTS, 2).flip(2)  # it says y before x
        return Keypoints(self.heatmap(fine), place[:, None] + away)

    def log_likelihood(self, keypoints: Keypoints) -> Tensor:
        """Log of MoveNet's own score of each cell (B, 17, h, w): heatmap over distance to where it should be."""
        height, width = keypoints.heatmaps.shape[2:]
        away = distances(keypoints.regressed, height, width)
        return functional.logsigmoid(keypoints.heatmaps) - (away + self.NEAR).log()


def distances(points: Tensor, height: int, width: int) -> Tensor:
    """Distance (B, J, height, width) of each cell from ``points`` (B, J, 2) x, y, all in cells counted from 0."""
    y = torch.arange(height, dtype=points.dtype, device=points.device)[:, None]
    x = torch.arange(width, dtype=points.dtype, device=points.device)
    dx, dy = x - points[..., 0, None, None], y - points[..., 1, None, None]
    return (dx**2 + dy**2 + 1e-12).sqrt()
