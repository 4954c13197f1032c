"""Size and kind of a PoseNet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from liftwild.schema import Between, check_fields


@dataclass(frozen=True)
class MobileNetConfig:
    """Size of a MobileNet: ``width`` multiplies its channels; ``input_px`` side of the square input."""

    width: float = 1.75
    input_px: int = 256

    def channels(self, base: int) -> int:
        """``base`` channels at this width: to the nearest 8, as MobileNetV2 rounds."""
        exact = base * self.width
        rounded = max(8, int(exact + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * exact else rounded


@dataclass(frozen=True)
class PoseNetConfig:
    """Size of a PoseNet. The defaults are the paper's: 14.4 M parameters, 16.2 GMAC at 256 px.

    ``subnetwork``: which 2D sub-network finds the joints, a stacked hourglass as the paper has it, or a MobileNet that
    begins with pretrained weights. ``input_px``: side of the square input. ``lifter``: channels of the lifter whose
    depths the depth module corrects (0: none, as in the paper). ``mask`` above 0: crops are black farther from the
    person's box than this share of its longer side, so that neighbours are not seen (0: nothing is).
    Of an hourglass: ``stacks`` of them, ``blocks`` residual modules at each place, ``features`` channels, ``stem``
    channels after the first convolution. ``depth_norm`` adds batch norm + ReLU to what enters the depth module and its
    last linear layer; the paper has none, short trainings need it (docs/log.md).
    Of a MobileNet: ``width`` multiplies its channels; ``features`` are those of the heads.
    ``softmax``: a map is log-odds over its cells, trained by ``losses.heatmap_cross_entropy`` instead of the paper's
    squared error; it learns more from the same images, and its joints are read finer than to the paper's
    quarter cell (docs/log.md). A MobileNet always has it.
    """

    stacks: Annotated[int, Between(1, 16)] = 2
    blocks: Annotated[int, Between(1, 16)] = 2
    features: Annotated[int, Between(1, 2048)] = 256
    stem: Annotated[int, Between(1, 2048)] = 64
    input_px: Annotated[int, Between(64, 2048)] = 256
    joints: Literal[16] = 16
    depth_norm: bool = False
    softmax: bool = False
    subnetwork: Literal["hourglass", "mobilenet"] = "hourglass"
    width: Annotated[float, Between(0.25, 4)] = 1.0
    lifter: Annotated[int, Between(0, 8192)] = 0
    mask: Annotated[float, Between(0, 1)] = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.input_px % 64:
            raise ValueError(f"input_px must be a multiple of 64, not {self.input_px}")
        if self.features % 2 or self.stem % 2:
            raise ValueError("features and stem must be even (a residual halves its channels)")
        if self.subnetwork == "mobilenet" and not (self.softmax and self.lifter):
            raise ValueError("a mobilenet goes with softmax = true and a lifter above 0")
        if self.subnetwork == "hourglass" and self.lifter:
            raise ValueError("a lifter goes with the subnetwork mobilenet only")

    @property
    def mobilenet(self) -> MobileNetConfig:
        """Size of the MobileNet."""
        return MobileNetConfig(float(self.width), self.input_px)

    def extends(self, other: PoseNetConfig) -> bool:
        """Whether a network of this size can take over the weights of ``other``: the same, or with fewer stacks; masks
        do not matter."""
        return other.stacks <= self.stacks and other == replace(self, stacks=other.stacks, mask=other.mask)

    @property
    def heatmap_px(self) -> int:
        """Side of the heatmaps: a quarter of the input."""
        return self.input_px // 4


MASK = 0.05  # docs/log.md

# Named sizes that a recipe or a weights file can ask for.
PAPER = PoseNetConfig()
SMALL = PoseNetConfig(subnetwork="mobilenet", width=1.0, features=64, input_px=192, softmax=True, lifter=384, mask=MASK)
BASE = PoseNetConfig(subnetwork="mobilenet", width=1.75, features=96, input_px=256, softmax=True, lifter=512, mask=MASK)
SIZES = {"paper": PAPER, "base": BASE, "small": SMALL}
