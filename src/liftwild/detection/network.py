"""The detector's network: NanoDet-g, a CSP backbone, a path aggregation neck and a head at three strides.

Lyu 2021, NanoDet (Apache-2.0), with the distributions of Li et al. 2020, Generalized Focal Loss, for the sides of a
box. Of its 80 classes only the person is kept. Batch norms are folded into the convolutions, as the weights come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from liftwild.network.mobilenet import doubled
from liftwild.schema import Between, check_fields

STRIDES = (8, 16, 32)  # px of the input in a cell of the three maps
SLOPE = 0.1  # of the leaky ReLU below 0
# What the network was trained with: (RGB / 255 - MEAN) / STD; the published numbers are in BGR and 0 to 255.
MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)


@dataclass(frozen=True)
class DetectorConfig:
    """Size of a DetectorNet; the defaults are NanoDet-g (3.8 M parameters, 1.5 GMAC at 352 px; trained at 416 px).

    ``stem`` channels of the first convolution; ``blocks``: residual blocks of the four stages, each of which doubles
    the channels; ``neck`` channels at all three strides; ``bins`` of a side's distribution: distances of 0 to bins - 1
    cells; ``input_px``: longer side of the photo as the network sees it, a multiple of 32.
    """

    stem: Annotated[int, Between(1, 1024)] = 32
    blocks: tuple[Annotated[int, Between(1, 64)], ...] = (1, 2, 2, 3)
    neck: Annotated[int, Between(1, 1024)] = 128
    bins: Annotated[int, Between(1, 256)] = 11
    input_px: Annotated[int, Between(32, 4096)] = 352

    def __post_init__(self) -> None:
        check_fields(self, "network.")
        if len(self.blocks) != 4:
            raise ValueError(f"network.blocks must be four numbers, not {len(self.blocks)}")
        if self.input_px % STRIDES[-1]:
            raise ValueError(f"network.input_px must be a multiple of {STRIDES[-1]}, not {self.input_px}")
        if self.stem % 2:
            raise ValueError(f"network.stem must be even (a block halves its channels), not {self.stem}")


class DetectorMaps(NamedTuple):
    """What the network says of B pictures in all cells of all strides, C together: first those of stride 8, row by row.

    ``scores`` (B, C): log-odds that a person's box is told by the cell. ``sides`` (B, C, 4, bins): log-probabilities,
    but for a constant, of the distance in cells from the cell's middle to the left, top, right and bottom side.
    """

    scores: Tensor
    sides: Tensor


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
    """Pictures in, ``DetectorMaps`` out."""

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

    def forward(self, images: Tensor) -> DetectorMaps:
        """``images`` (B, 3, H, W) RGB, float in [0, 1] or uint8 in [0, 255]; H and W multiples of 32."""
        return split_cells(self.cells(images), self.config.bins)

    def cells(self, images: Tensor) -> Tensor:
        """As ``forward``; all that is said of each cell, (B, C, 1 + 4 bins)."""
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


def split_cells(cells: Tensor, bins: int) -> DetectorMaps:
    """The maps of (B, C, 1 + 4 bins): of each cell its score and its sides."""
    return DetectorMaps(cells[..., 0], cells[..., 1:].unflatten(2, (4, bins)))


def decode(maps: DetectorMaps, height: int, width: int, most: int) -> tuple[Tensor, Tensor]:
    """Boxes (B, N, 4) x, y, w, h px of inputs of ``height`` x ``width`` px, and scores (B, N) in [0, 1], best first.

    N is ``most``, or the number of cells if that is less. Many boxes show the same person: ``boxes.suppress``.
    """
    scores, at = maps.scores.sigmoid().topk(min(most, maps.scores.shape[1]), dim=1)
    sides = maps.sides.gather(1, at[..., None, None].expand(-1, -1, *maps.sides.shape[2:])).softmax(dim=3)
    cells = sides @ torch.arange(sides.shape[3], dtype=sides.dtype, device=sides.device)
    centres, strides = (each.to(cells)[at] for each in _cells(height, width))
    away = cells * strides[..., None]
    low, high = centres - away[..., :2], centres + away[..., 2:]
    return torch.cat([low, high - low], dim=2), scores


def _cells(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The middles (C, 2) x, y px and the strides (C,) px of all cells."""
    middles, strides = [], []
    for stride in STRIDES:
        y, x = ((torch.arange(side // stride) + 0.5) * stride for side in (height, width))
        middles.append(torch.cartesian_prod(y, x).flip(1))
        strides.append(torch.full((len(middles[-1]),), float(stride)))
    return torch.cat(middles), torch.cat(strides)
