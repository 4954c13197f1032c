"""Weights files: ``NAME.safetensors`` with the tensors, ``NAME.json`` with what they are. Never a pickle."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from liftwild.errors import LiftwildError
from liftwild.posenet import PoseNet, PoseNetConfig
from liftwild.skeleton import MPII_16

FORMAT = "liftwild-weights"
VERSION = 1
SHIPPED = Path(__file__).parent


def shipped_names() -> list[str]:
    """Names of the weights that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def save_weights(path: Path, net: PoseNet, card: dict[str, Any], half: bool = True) -> None:
    """Write ``path`` (.safetensors) and its .json beside it, each whole or not at all.

    ``card`` needs ``sum_length_mm`` (mean summed length of the scale bones in the 3D training data) and may hold
    anything else that json can; ``half`` stores floats as fp16.
    """
    path = Path(path)
    state = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in net.state_dict().items()
    }
    about = {
        "format": FORMAT,
        "version": VERSION,
        "network": asdict(net.config),
        "joint_names": list(MPII_16.names),
        **card,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    save_file(state, part)
    part.chmod(0o644)  # safetensors makes it private
    os.replace(part, path)
    part = path.with_name(f".{path.stem}.json.part")
    part.write_text(json.dumps(about, indent=1) + "\n")
    os.replace(part, path.with_suffix(".json"))


def find_weights(name_or_path: str | Path) -> Path:
    """Path of a weights file, by the name of one that ships, by its path, or by the folder of a training run.

    LiftwildError if there is none. A shipped name goes before a file of that name.
    """
    path = Path(name_or_path)
    if str(path) in shipped_names():
        return SHIPPED / f"{path}.safetensors"
    found = path / "weights.safetensors" if path.is_dir() else path
    if found.is_file():
        return found
    if found.suffix == ".safetensors" or len(path.parts) > 1:
        raise LiftwildError(f"no weights file {found}")
    raise LiftwildError(
        f"no weights named {str(path)!r}; {', '.join(shipped_names()) or 'none'} come with liftwild, "
        "or give the path of a .safetensors file or of a training run's folder"
    )


def load_weights(name_or_path: str | Path) -> tuple[PoseNet, dict[str, Any]]:
    """The network (fp32, evaluation mode, on the CPU) and its card (the json).

    LiftwildError when a file is missing or broken, or when tensors and json do not agree: nothing is guessed.
    """
    path = find_weights(name_or_path)
    beside = path.with_suffix(".json")
    try:
        card = json.loads(beside.read_text())
    except FileNotFoundError:
        raise LiftwildError(f"{path} has no {beside.name} beside it; the two belong together") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LiftwildError(f"{beside} is not json: {error}") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT or card.get("version") != VERSION:
        raise LiftwildError(f"{beside} is not the json of liftwild weights, version {VERSION}")
    if card.get("joint_names") != list(MPII_16.names) or not isinstance(card.get("sum_length_mm"), int | float):
        raise LiftwildError(f"{beside} lacks the MPII-16 joint_names or sum_length_mm")
    try:
        net = PoseNet(PoseNetConfig(**card["network"]))
        state = {
            name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_file(path).items()
        }
        net.load_state_dict(state, strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise LiftwildError(f"{path} does not hold the network that {beside.name} describes: {first}") from None
    net.eval().requires_grad_(False)
    return net, card
