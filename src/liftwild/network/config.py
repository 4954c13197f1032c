"""Size and kind of a PoseNet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from liftwild.network.mobilenet import MobileNetConfig

SUBNETWORKS = ("hourglass", "mobilenet")


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

    stacks: int = 2
    blocks: int = 2
    features: int = 256
    stem: int = 64
    input_px: int = 256
    joints: int = 16
    depth_norm: bool = False
    softmax: bool = False
    subnetwork: Literal["hourglass", "mobilenet"] = "hourglass"
    width: float = 1.0
    lifter: int = 0
    mask: float = 0.0

    def __post_init__(self) -> None:
        for field, least in (
            ("stacks", 1), ("blocks", 1), ("features", 1), ("stem", 1), ("input_px", 1), ("joints", 1), ("lifter", 0),
        ):  # fmt: skip
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"network.{field} must be a whole number of {least} or more, not {value!r}")
        if self.input_px % 64:
            raise ValueError(f"network.input_px must be a multiple of 64, not {self.input_px}")
        if self.features % 2 or self.stem % 2:
            raise ValueError("network.features and network.stem must be even (a residual halves its channels)")
        if self.subnetwork not in SUBNETWORKS:
            raise ValueError(f"network.subnetwork must be one of {', '.join(SUBNETWORKS)}, not {self.subnetwork!r}")
        if not isinstance(self.width, int | float) or isinstance(self.width, bool) or not 0.25 <= self.width <= 4:
            raise ValueError(f"network.width must lie between 0.25 and 4, not at {self.width!r}")
        if not isinstance(self.mask, int | float) or isinstance(self.mask, bool) or not 0 <= self.mask <= 1:
            raise ValueError(f"network.mask must lie between 0 and 1, not at {self.mask!r}")
        if self.subnetwork == "mobilenet" and not (self.softmax and self.lifter):
            raise ValueError("a mobilenet goes with network.softmax = true and a network.lifter above 0")
        if self.subnetwork == "hourglass" and self.lifter:
            raise ValueError("network.lifter goes with the subnetwork mobilenet only")

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
