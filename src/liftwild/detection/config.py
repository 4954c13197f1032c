"""Size of the detector's network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from liftwild.schema import Between, check_fields

STRIDES = (8, 16, 32)  # px of the input in a cell of the three maps


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
