"""The network that says where people are: a map of their centres and, at each cell, the four sides of a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from liftwild.network.posenet import Hourglass, Residual

STRIDE = 4  # px of the input in a cell of the maps
HOURGLASS_DEPTH = 3
SPREAD = 0.1  # sigma of a person's Gaussian as a share of the box's sides
LEAST_SPREAD = 0.7  # cells
BOX_CELLS = 0.3  # cells whose Gaussian is above this learn the box
MOST_SIDE = 8.0  # largest log of a side, cells


@dataclass(frozen=True)
class FinderConfig:
    """Size of a FinderNet. The defaults have 0.48 M parameters and 0.31 GMAC at 256 px.

    ``features`` channels of the hourglass (stride 8), ``fine`` of the maps at stride 4, ``stem`` of the first
    convolution; ``input_px``: longer side of the photo as the network sees it, a multiple of 64.
    """

    features: int = 104
    fine: int = 64
    stem: int = 16
    input_px: int = 256

    def __post_init__(self) -> None:
        for name in ("features", "fine", "stem", "input_px"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"network.{name} must be a whole number above 0, not {value!r}")
        if self.input_px % 64:
            raise ValueError(f"network.input_px must be a multiple of 64, not {self.input_px}")
        if self.features % 2 or self.fine % 2:
            raise ValueError("network.features and network.fine must be even (a residual halves its channels)")


class PeopleMaps(NamedTuple):
    """What the network says of B pictures, h x w cells of ``STRIDE`` px each.

    ``centres`` (B, h, w): log-odds that a person's box has its middle in the cell. ``sides`` (B, 4, h, w): px from the
    cell's middle to the left, top, right and bottom side of that box, each above 0.
    """

    centres: Tensor
    sides: Tensor


class FinderNet(nn.Module):
    """Pictures in, ``PeopleMaps`` out; made of PoseNet's parts."""

    def __init__(self, config: FinderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or FinderConfig()
        stem, fine, features = config.stem, config.fine, config.features
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 5, stride=2, padding=2), nn.BatchNorm2d(stem), nn.ReLU(),
            nn.Conv2d(stem, 2 * stem, 3, stride=2, padding=1), nn.BatchNorm2d(2 * stem), nn.ReLU(),
            Residual(2 * stem, fine),
        )  # fmt: skip
        self.body = nn.Sequential(
            nn.MaxPool2d(2), Residual(fine, features), Hourglass(HOURGLASS_DEPTH, 1, features),
            Residual(features, features), nn.Conv2d(features, fine, 1),
        )  # fmt: skip
        self.head = nn.Sequential(Residual(fine, fine), nn.BatchNorm2d(fine), nn.ReLU(), nn.Conv2d(fine, 5, 1))
        last = self.head[-1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.normal_(last.weight, std=0.01)
        # People are rare, and half their sides about eight cells long.
        last.bias.data = torch.tensor([-4.0, 2.0, 2.0, 2.0, 2.0])

    def forward(self, images: Tensor) -> PeopleMaps:
        """``images`` (B, 3, H, W) RGB, float in [0, 1] or uint8 in [0, 255]; H and W multiples of 64."""
        if images.dtype == torch.uint8:
            images = images.float() / 255
        fine = self.stem(images - 0.5)
        fine = fine + functional.interpolate(self.body(fine), scale_factor=2.0, mode="nearest")
        maps = self.head(fine).float()
        return PeopleMaps(maps[:, 0], STRIDE * maps[:, 1:].clamp(max=MOST_SIDE).exp())


def macs(config: FinderConfig) -> int:
    """Multiply-accumulates of the convolutions for one picture of ``config.input_px``."""
    total = 0

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]

    with torch.device("meta"):  # shapes are worked out, nothing is computed
        net = FinderNet(config)
        for layer in net.modules():
            layer.register_forward_hook(count)
        net(torch.zeros(1, 3, config.input_px, config.input_px))
    return total


class Targets(NamedTuple):
    """What the maps should be. ``centres`` (B, h, w) in [0, 1]: 1 in the cell of a box's middle, Gaussians about it.
    ``corners`` (B, 4, h, w): x0, y0, x1, y1 px of the box that a cell belongs to; ``share`` (B, h, w): how much of that
    box's loss the cell carries, over its cells together 1, and 0 where there is no box.
    """

    centres: Tensor
    corners: Tensor
    share: Tensor


def draw_people(boxes: Tensor, valid: Tensor, height: int, width: int) -> Targets:
    """Targets of ``boxes`` (B, M, 4) x, y, w, h in px of the input, where ``valid`` (B, M); maps of height x width."""
    batch, people = valid.shape
    if people == 0:
        empty = boxes.new_zeros(batch, height, width)
        return Targets(empty, boxes.new_zeros(batch, 4, height, width), empty)
    low, size = boxes[..., :2], boxes[..., 2:]
    limit = boxes.new_tensor([width - 1, height - 1])
    middle = torch.minimum(((low + size / 2) / STRIDE).floor().clamp(min=0), limit)  # the cell; its Gaussian peaks at 1
    sigma = (SPREAD * size / STRIDE).clamp(min=LEAST_SPREAD)

    def along(axis: int, length: int) -> Tensor:
        cells = torch.arange(length, dtype=boxes.dtype, device=boxes.device)
        return torch.exp(-(((cells - middle[..., axis, None]) / sigma[..., axis, None]) ** 2) / 2)

    each = along(1, height)[..., :, None] * along(0, width)[..., None, :] * valid[..., None, None]  # (B, M, h, w)
    centres, owner = each.max(dim=1)
    mine = (owner[:, None] == torch.arange(people, device=boxes.device)[:, None, None]) & (each > BOX_CELLS)
    weight = each * mine
    share = (weight / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)).sum(dim=1)
    corners = torch.cat([low, low + size], dim=2)
    picked = corners.gather(1, owner.flatten(1)[..., None].expand(-1, -1, 4))
    return Targets(centres, picked.transpose(1, 2).reshape(batch, 4, height, width), share)


def finder_losses(maps: PeopleMaps, target: Targets, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of the centres and that of the boxes, both per person of the batch.

    ``weight`` (B, h, w) in [0, 1]: how much the absence of a person in a cell counts. Centres: focal loss that asks
    less near a centre (Zhou et al. 2019, Objects as Points, Eq. 1). Boxes: -ln IoU.
    """
    is_centre = target.centres >= 1 - 1e-6
    people = is_centre.sum().clamp(min=1)
    yes, no = functional.logsigmoid(maps.centres), functional.logsigmoid(-maps.centres)
    missed = -(is_centre * (1 - yes.exp()) ** 2 * yes).sum()
    wrong = -(~is_centre * weight * (1 - target.centres) ** 4 * yes.exp() ** 2 * no).sum()
    found, wanted = _corners(maps.sides), target.corners
    low, high = torch.maximum(found[:, :2], wanted[:, :2]), torch.minimum(found[:, 2:], wanted[:, 2:])
    common = (high - low).clamp(min=0).prod(dim=1)
    areas = [(corners[:, 2:] - corners[:, :2]).prod(dim=1) for corners in (found, wanted)]
    iou = (common + 1) / (areas[0] + areas[1] - common + 1)
    return (missed + wrong) / people, -(target.share * iou.log()).sum() / people


def _corners(sides: Tensor) -> Tensor:
    """x0, y0, x1, y1 (B, 4, h, w) px of the box that each cell tells."""
    height, width = sides.shape[2:]
    y = (torch.arange(height, device=sides.device, dtype=sides.dtype)[:, None] + 0.5) * STRIDE
    x = (torch.arange(width, device=sides.device, dtype=sides.dtype)[None, :] + 0.5) * STRIDE
    left, top, right, bottom = sides.unbind(dim=1)
    return torch.stack([x - left, y - top, x + right, y + bottom], dim=1)


def read_people(maps: PeopleMaps, most: int = 64) -> tuple[Tensor, Tensor]:
    """Boxes (B, most, 4) x, y, w, h px of the input, and their scores (B, most) in [0, 1], best first.

    One for each cell that is higher than its eight neighbours; scores of places that there are not are 0.
    """
    scores = maps.centres.sigmoid()
    peak = functional.max_pool2d(scores[:, None], 3, stride=1, padding=1)[:, 0]
    flat = torch.where(scores >= peak, scores, torch.zeros_like(scores)).flatten(1)
    best, at = flat.topk(min(most, flat.shape[1]), dim=1)
    corners = _corners(maps.sides).flatten(2).transpose(1, 2).gather(1, at[..., None].expand(-1, -1, 4))
    return torch.cat([corners[..., :2], corners[..., 2:] - corners[..., :2]], dim=2), best
