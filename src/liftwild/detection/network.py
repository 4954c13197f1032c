"""The detector's network: NanoDet-g, a CSP backbone, a path aggregation neck and a head at three strides.

Lyu 2021, NanoDet (Apache-2.0), with the distributions of Li et al. 2020, Generalized Focal Loss, for the sides of a
box. Of its 80 classes only the person is kept. Batch norms are folded into the convolutions, as the weights come.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from liftwild.detection.config import STRIDES, DetectorConfig
from liftwild.network.mobilenet import doubled

SLOPE = 0.1  # of the leaky ReLU below 0
# What the network was trained with: (RGB / 255 - MEAN) / STD; the published numbers are in BGR and 0 to 255.
MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)


class ConvAct(nn.Sequential):
    """A convolution of odd ``kernel`` that keeps the size (or divides it by ``stride``), and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.LeakyReLU(SLOPE))


class Block(nn.Module):
    """Half of the channels, and half of them once more, side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvAct(channels, channels // 2)
        self.second = ConvAct(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        first = self.first(x)
        return torch.cat([self.second(first), first], dim=1)


class CspStage(nn.Module):
    """Blocks beside a way around them: C channels in, 2 C out, H and W divided by ``stride``."""

    def __init__(self, channels: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.enter = ConvAct(channels, channels, stride=stride)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        self.leave = ConvAct(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2 C, H / stride, W / stride)."""
        around = self.enter(x)
        return torch.cat([self.leave(self.blocks(around)), around], dim=1)


class DetectorNet(nn.Module):
    """Pictures in, what is said of their cells out."""

    def __init__(self, config: DetectorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DetectorConfig()
        self.stem = nn.Sequential(ConvAct(3, config.stem, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        self.stages = nn.ModuleList(
            CspStage(config.stem * 2**i, blocks, stride=1 if i == 0 else 2) for i, blocks in enumerate(config.blocks)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(config.stem * 2**i, config.neck, 1) for i in (2, 3, 4))
        outputs = 1 + 4 * config.bins
        self.heads = nn.ModuleList(
            nn.Sequential(ConvAct(config.neck, config.neck), nn.Conv2d(config.neck, outputs, 1)) for _ in STRIDES
        )

    def forward(self, images: Tensor) -> Tensor:
        """All that is said of each cell, (B, C, 1 + 4 bins), as ``decoding.split_cells`` takes it.

        ``images`` (B, 3, H, W) RGB, float in [0, 1] or uint8 in [0, 255]; H and W multiples of 32.
        """
        if images.dtype == torch.uint8:
            images = images.float() / 255
        x = self.stem((images - images.new_tensor(MEAN)[:, None, None]) / images.new_tensor(STD)[:, None, None])
        features = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i > 0:
                features.append(self.laterals[i - 1](x))
        fine, middle, coarse = features
        middle = middle + doubled(coarse)
        fine = fine + doubled(middle)
        # Bilinear to half the size is the mean of 2 x 2.
        middle = middle + functional.avg_pool2d(fine, 2)
        coarse = coarse + functional.avg_pool2d(middle, 2)
        maps = [head(level) for head, level in zip(self.heads, (fine, middle, coarse), strict=True)]
        return torch.cat([each.flatten(2) for each in maps], dim=2).transpose(1, 2).float()
