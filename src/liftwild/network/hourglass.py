"""The stacked hourglass of Newell et al. (2016), the paper's 2D sub-network."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from liftwild.network.config import PoseNetConfig

HOURGLASS_DEPTH = 4  # times the hourglass halves its maps


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


class StackedHourglass(nn.Module):
    """Pictures in; per stack its heatmaps, and the sum that goes on after the last."""

    def __init__(self, config: PoseNetConfig) -> None:
        super().__init__()
        stem = config.stem
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 7, stride=2, padding=3), nn.BatchNorm2d(stem), nn.ReLU(), Residual(stem, 2 * stem),
            nn.MaxPool2d(2), Residual(2 * stem, 2 * stem), Residual(2 * stem, config.features),
        )  # fmt: skip
        self.stacks = nn.ModuleList(Stack(config) for _ in range(config.stacks))

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """``images`` (B, 3, S, S) in [0, 1] -> per stack heatmaps (B, J, S/4, S/4), and features of that size."""
        x = self.stem(images - 0.5)
        heatmaps = []
        for stack in self.stacks:
            maps, x = stack(x)
            heatmaps.append(maps)
        return heatmaps, x
