"""Weights of the detector: ``detector.safetensors`` and its json."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from liftwild.detection.network import DetectorConfig, DetectorNet
from liftwild.errors import LiftwildError
from liftwild.files import make_folder
from liftwild.weights import SHIPPED, filled, half_state, read_weights_json, write_tensors, write_weights_json

FORMAT = "liftwild-detector"
VERSION = 1
NAME = "detector"


def save_detector(path: Path, net: DetectorNet, card: dict[str, Any]) -> None:
    """Write ``path`` (.safetensors, fp16) and its .json beside it, each whole or not at all.

    ``card`` needs ``min_score``, the score in [0, 1] from which on somebody counts as found, and may hold anything else
    that json can.
    """
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
    if path.is_file():
        return path
    raise LiftwildError(
        f"no detector's weights {str(name_or_path)!r}; {NAME} come with liftwild, or give the path of a "
        ".safetensors file"
    )


def load_detector(name_or_path: str | Path) -> tuple[DetectorNet, dict[str, Any]]:
    """The network (fp32, evaluation mode, on the CPU) and its card (the json).

    LiftwildError when a file is missing or broken, or when tensors and json do not agree.
    """
    path = find_detector(name_or_path)
    card = read_weights_json(path, FORMAT, VERSION)
    score = card.get("min_score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise LiftwildError(f"{path.with_suffix('.json')} lacks a min_score between 0 and 1")
    return filled(lambda: DetectorNet(DetectorConfig(**card["network"])), path, [path]), card
