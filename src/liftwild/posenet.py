"""The network: stacked hourglass for the joints, a depth module on its features (Zhou et al. 2017, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from liftwild.heatmap import as_heatmaps, decode
from liftwild.skeleton import MPII_16

HOURGLASS_DEPTH = 4  # times the hourglass halves its maps
DEPTH_LEVELS = 4  # times the depth module halves them


@dataclass(frozen=True)
class PoseNetConfig:
    """Size of a PoseNet. The defaults are the paper's: 14.4 M parameters, 16.2 GMAC at 256 px.

    ``stacks`` hourglasses, ``blocks`` residual modules at each place, ``features`` channels, ``stem`` channels after
    the first convolution, ``input_px`` side of the square input. ``depth_norm`` adds batch norm + ReLU to what enters
    the depth module and its last linear layer; the paper has none, short trainings need it (docs/log.md).
    ``softmax``: a map is log-odds over its cells, trained by cross-entropy (``losses.cell_loss``) instead of the
    paper's squared error; it learns more from the same images, and its joints are read finer than to the paper's
    quarter cell (docs/log.md).
    """

    stacks: int = 2
    blocks: int = 2
    features: int = 256
    stem: int = 64
    input_px: int = 256
    joints: int = 16
    depth_norm: bool = False
    softmax: bool = False

    def __post_init__(self) -> None:
        for field in ("stacks", "blocks", "features", "stem", "input_px", "joints"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"network.{field} must be a whole number above 0, not {value!r}")
        if self.input_px % 64:
            raise ValueError(f"network.input_px must be a multiple of 64, not {self.input_px}")
        if self.features % 2 or self.stem % 2:
            raise ValueError("network.features and network.stem must be even (a residual halves its channels)")

    def extends(self, other: PoseNetConfig) -> bool:
        """Whether a network of this size can take over the weights of ``other``: the same, or with fewer stacks."""
        return other.stacks <= self.stacks and other == replace(self, stacks=other.stacks)

    @property
    def heatmap_px(self) -> int:
        """Side of the heatmaps: a quarter of the input."""
        return self.input_px // 4


# Named sizes that a recipe or a weights file can ask for.
PAPER = PoseNetConfig()
SMALL = PoseNetConfig(stacks=3, blocks=1, features=128, stem=32, input_px=128, depth_norm=True, softmax=True)
BASE = PoseNetConfig(stacks=2, blocks=1, features=192, stem=64, input_px=192, depth_norm=True, softmax=True)
SIZES = {"paper": PAPER, "base": BASE, "small": SMALL}


class Prediction(NamedTuple):
    """What the network says of a batch of crops.

    ``heatmaps``: one (B, J, H, W) per stack, the last is the answer; log-odds where the network's config says
    ``softmax``, and ``infer`` makes them heatmaps. ``depth``: (B, J), relative to the thorax, in the
    [-1, 1] unit of the input (input_px / 2 = 1), or None if the depth module was not run.
    """

    heatmaps: list[Tensor]
    depth: Tensor | None


class Residual(nn.Module):
    """Pre-activation bottleneck: BN-ReLU-1x1, BN-ReLU-3x3, BN-ReLU-1x1, half the channels inside."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, half, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, half, 3, padding=1)
        self.bn3, self.conv3 = nn.BatchNorm2d(half), nn.Conv2d(half, outputs, 1)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        y = self.conv1(functional.relu(self.bn1(x)))
        y = self.conv2(functional.relu(self.bn2(y)))
        y = self.conv3(functional.relu(self.bn3(y)))
        return y + self.skip(x)


def residuals(count: int, features: int) -> nn.Sequential:
    """``count`` residual modules of one width."""
    return nn.Sequential(*(Residual(features, features) for _ in range(count)))


class Hourglass(nn.Module):
    """Down ``depth`` times and up again by nearest neighbours, with a skip branch at each size (Newell et al. 2016)."""

    def __init__(self, depth: int, blocks: int, features: int) -> None:
        super().__init__()
        self.skip = residuals(blocks, features)
        self.down = residuals(blocks, features)
        self.inner = Hourglass(depth - 1, blocks, features) if depth > 1 else residuals(blocks, features)
        self.up = residuals(blocks, features)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) -> the same shape; H and W divisible by 2 ** depth."""
        low = self.up(self.inner(self.down(functional.max_pool2d(x, 2))))
        return self.skip(x) + functional.interpolate(low, scale_factor=2.0, mode="nearest")


class Stack(nn.Module):
    """One hourglass with its head: features, heatmaps, and the sum that goes on."""

    def __init__(self, config: PoseNetConfig) -> None:
        super().__init__()
        width = config.features
        self.hourglass = Hourglass(HOURGLASS_DEPTH, config.blocks, width)
        self.head = nn.Sequential(
            residuals(config.blocks, width), nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.to_heatmaps = nn.Conv2d(width, config.joints, 1)
        self.from_features = nn.Conv2d(width, width, 1)
        self.from_heatmaps = nn.Conv2d(config.joints, width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, features, H, W) -> heatmaps (B, J, H, W) and the next input (B, features, H, W)."""
        features = self.head(self.hourglass(x))
        heatmaps = self.to_heatmaps(features)
        return heatmaps, x + self.from_features(features) + self.from_heatmaps(heatmaps)


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


class PoseNet(nn.Module):
    """Crops in, heatmaps and depths out. Size set by ``config``; parameters as PyTorch initialises them."""

    def __init__(self, config: PoseNetConfig = PAPER) -> None:
        super().__init__()
        self.config = config
        stem = config.stem
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 7, stride=2, padding=3), nn.BatchNorm2d(stem), nn.ReLU(), Residual(stem, 2 * stem),
            nn.MaxPool2d(2), Residual(2 * stem, 2 * stem), Residual(2 * stem, config.features),
        )  # fmt: skip
        self.stacks = nn.ModuleList(Stack(config) for _ in range(config.stacks))
        self.depth = DepthModule(config)

    def forward(self, images: Tensor, with_depth: bool = True) -> Prediction:
        """Predict from RGB crops.

        ``images`` (B, 3, S, S), float in [0, 1] or uint8 in [0, 255]; S is ``config.input_px``, or any multiple of 64
        if ``with_depth`` is False (the hourglass is convolutional, the depth module is not).
        """
        if images.dtype == torch.uint8:
            images = images.float() / 255
        x = self.stem(images - 0.5)
        heatmaps = []
        for stack in self.stacks:
            maps, x = stack(x)
            heatmaps.append(maps)
        return Prediction(heatmaps, self.depth(x) if with_depth else None)

    def take(self, smaller: PoseNet) -> None:
        """Take over the weights of a network of the same size or with fewer stacks, the depth module's too.

        Stacks beyond begin as copies of its last one that hand on their input as it came: depths stay what they were,
        and joints nearly so (docs/log.md). ValueError if it differs in anything else.
        """
        if not self.config.extends(smaller.config):
            raise ValueError(f"a network of {self.config} cannot take the weights of one of {smaller.config}")
        self.load_state_dict({**self.state_dict(), **smaller.state_dict()})
        for stack in list(self.stacks)[len(smaller.stacks) :]:
            assert isinstance(stack, Stack)
            stack.load_state_dict(smaller.stacks[-1].state_dict())
            for hand_on in (stack.from_features, stack.from_heatmaps):
                for values in hand_on.parameters():
                    nn.init.zeros_(values)

    def depth_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that only the depths depend on: the depth module, and what the last stack feeds it through."""
        last = self.stacks[-1]
        assert isinstance(last, Stack)
        for part in (last.from_features, last.from_heatmaps, self.depth):
            yield from part.parameters()


def macs(config: PoseNetConfig) -> int:
    """Multiply-accumulates of convolutions and linear layers for one image of ``config.input_px``."""
    total = 0

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
        elif isinstance(layer, nn.Linear):
            total += layer.in_features * layer.out_features

    with torch.device("meta"):  # shapes are worked out, nothing is computed
        net = PoseNet(config)
        for layer in net.modules():
            layer.register_forward_hook(count)
        net(torch.zeros(1, 3, config.input_px, config.input_px))
    return total


class Decoded(NamedTuple):
    """What the network found: ``joints_2d`` (B, J, 2) px of the input, ``peaks`` (B, J) of the heatmaps, ``depth``
    (B, J) as in ``Prediction``; all fp32."""

    joints_2d: Tensor
    peaks: Tensor
    depth: Tensor | None


def infer(net: PoseNet, images: Tensor, flip_test: bool = False, with_depth: bool = True) -> Decoded:
    """Run ``net`` (in evaluation mode) on ``images`` as ``PoseNet.forward`` takes them, and decode.

    ``flip_test``: also look at the mirrored images and average heatmaps and depths.
    """
    pred = net(torch.cat([images, images.flip(3)]) if flip_test else images, with_depth=with_depth)
    heatmaps, depth = pred.heatmaps[-1].float(), None if pred.depth is None else pred.depth.float()
    if net.config.softmax:
        heatmaps = as_heatmaps(heatmaps)
    return read(heatmaps, depth, images.shape[-1], net.config.softmax, flip_test)


def read(heatmaps: Tensor, depth: Tensor | None, input_px: int, fine: bool, flip_test: bool = False) -> Decoded:
    """Decode heatmaps (B, J, H, W) and depths (B, J) of an input of ``input_px``, fp32.

    ``fine``: as for ``heatmap.decode``; networks with ``softmax`` are read so. ``flip_test``: the second half of the
    batch are the mirrored images of the first, and is averaged with it.
    """
    if flip_test:
        swap = list(MPII_16.flip_index)
        plain, mirrored = heatmaps.chunk(2)
        heatmaps = (plain + mirrored.flip(3)[:, swap]) / 2
        if depth is not None:
            plain, mirrored = depth.chunk(2)
            depth = (plain + mirrored[:, swap]) / 2  # a mirror changes no depth
    return Decoded(*decode(heatmaps, input_px, fine), depth)
