"""Weights of the detector: ``detector.safetensors`` and its json."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from liftwild.detection.config import DetectorConfig
from liftwild.errors import LiftwildError
from liftwild.files import make_folder
from liftwild.schema import Between
from liftwild.weights_card import WeightsFiles, read_weights_json
from liftwild.weights_files import SHIPPED

if TYPE_CHECKING:
    from liftwild.detection.network import DetectorNet

FORMAT = "liftwild-detector"
VERSION = 1
NAME = "detector"


@dataclass(frozen=True)
class DetectorCard:
    """What the json of a detector says that liftwild reads; it may say more."""

    min_score: Annotated[float, Between(0, 1)]
    network: DetectorConfig
    others_allowed: ClassVar[bool] = True


def save_detector(path: Path, net: DetectorNet, card: dict[str, Any]) -> None:
    """Write ``path`` (.safetensors, fp16) and its .json beside it, each whole or not at all.

    ``card`` needs ``min_score``, the score in [0, 1] from which on somebody counts as found, and may hold anything else
    that json can.
    """
    from liftwild.weights import half_state, write_tensors, write_weights_json

    path = Path(path)
    make_folder(path.parent)
    about = {"format": FORMAT, "version": VERSION, "network": asdict(net.config), **card}
    write_tensors(path, half_state(net))
    write_weights_json(path.with_suffix(".json"), about)


def find_detector(name_or_path: str | Path) -> Path:
    """Path of a detector's weights: "detector" for those that ship, or a .safetensors file. LiftwildError if none."""
    path = Path(name_or_path)
    if str(path) == NAME:
        path = SHIPPED / f"{NAME}.safetensors"
    if os.path.isfile(path):
        return path
    raise LiftwildError(
        f"no detector's weights {str(name_or_path)!r}; {NAME} come with liftwild, or give the path of a "
        ".safetensors file"
    )


if TYPE_CHECKING:
    DetectorWeights = WeightsFiles[DetectorNet, DetectorCard]


def open_detector(name_or_path: str | Path) -> DetectorWeights:
    """A detector's weights, not loaded yet. LiftwildError when a file is missing, or the json is broken."""
    path = find_detector(name_or_path)
    about, card = read_weights_json(path, FORMAT, VERSION, DetectorCard)

    def make() -> DetectorNet:
        from liftwild.detection.network import DetectorNet

        return DetectorNet(about.network)

    return WeightsFiles(path, about, card, [path], make)


def load_detector(name_or_path: str | Path) -> tuple[DetectorNet, dict[str, Any]]:
    """The network (fp32, evaluation mode, on the CPU) and its card (the json).

    LiftwildError when a file is missing or broken, or when tensors and json do not agree.
    """
    weights = open_detector(name_or_path)
    return weights.load(), weights.card
