"""Weights files: ``NAME.safetensors`` with the tensors, ``NAME.json`` with what they are. Never a pickle.

Large ones may come in shards instead, ``NAME-00001-of-0000N.safetensors``, which the json lists under ``files``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from liftwild.errors import LiftwildError
from liftwild.files import make_folder, write_whole
from liftwild.network.posenet import PoseNet
from liftwild.schema import shorter
from liftwild.skeleton import MPII_16
from liftwild.weights_card import FORMAT, VERSION, open_weights

DIGITS = 6  # of floats in the json
Network = TypeVar("Network", bound=nn.Module)


def save_weights(path: Path, net: PoseNet, card: dict[str, Any], shard_mb: float = 0.0) -> list[Path]:
    """Write ``path`` (.safetensors) and its .json beside it, each whole or not at all; the files with the tensors.

    ``card`` needs ``sum_length_mm`` (mean summed length of the scale bones in the 3D training data) and may hold
    anything else that json can. Floats are stored as fp16, where they fit. ``shard_mb`` above 0: shards of at most so
    many million bytes instead of one file; LiftwildError if a single tensor is larger.
    """
    path = Path(path)
    state = half_state(net)
    about = {
        "format": FORMAT,
        "version": VERSION,
        "network": asdict(net.config),
        "joint_names": list(MPII_16.names),
        **{name: value for name, value in card.items() if name != "files"},
    }
    files = {path: state}
    if shard_mb > 0:
        shards = _shards(state, int(shard_mb * 1e6))
        files = {
            path.with_name(f"{path.stem}-{number:05d}-of-{len(shards):05d}.safetensors"): shard
            for number, shard in enumerate(shards, start=1)
        }
        about["files"] = [file.name for file in files]
    make_folder(path.parent)
    for file, tensors in files.items():
        write_tensors(file, tensors)
    write_weights_json(path.with_suffix(".json"), about)
    # What an earlier save left in another number of files is no part of these weights.
    of_others = re.compile(re.escape(path.stem) + r"(-\d{5}-of-\d{5})?\.safetensors")
    for other in path.parent.iterdir():
        if of_others.fullmatch(other.name) and other not in files:
            other.unlink()
    return list(files)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a .safetensors file, whole or not at all."""
    write_whole(path, save(tensors))  # save_file makes files private, and its errors are no OSError


def write_weights_json(path: Path, card: dict[str, Any]) -> None:
    """Write the json beside weights, whole or not at all; floats keep ``DIGITS`` significant digits."""
    write_whole(path, (_json_text(_rounded(card)) + "\n").encode())


def _json_text(value: Any, indent: str = "\n") -> str:
    """JSON with an entry of an object, or an object of a list, a line; what has no objects in it is one line."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any("{" in json.dumps(item) for item in inner):
        return json.dumps(value)
    deeper = indent + " "
    if isinstance(value, list):
        return "[" + ",".join(deeper + _json_text(item, deeper) for item in inner) + indent + "]"
    entries = (f"{deeper}{json.dumps(name)}: {_json_text(item, deeper)}" for name, item in value.items())
    return "{" + ",".join(entries) + indent + "}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


def check_shards(net: PoseNet, shard_mb: float) -> None:
    """LiftwildError if ``save_weights`` could not cut ``net`` into such shards; to be known before a long training."""
    if shard_mb > 0:
        _shards(half_state(net), int(shard_mb * 1e6))


def half_state(net: nn.Module) -> dict[str, Tensor]:
    """The tensors of ``net`` by name, floats as fp16 where they fit."""
    return {
        name: (_halved(tensor) if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in net.state_dict().items()
    }


def _halved(tensor: Tensor) -> Tensor:
    """``tensor`` as fp16; as it is where fp16 cannot hold it, as a running variance above 65,504."""
    half = tensor.half()
    return half if torch.equal(half.isfinite(), tensor.isfinite()) else tensor


def _shards(state: dict[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    """``state`` cut, in its order, into parts whose files have at most ``limit`` bytes."""
    shards: list[dict[str, Tensor]] = []
    filled = limit
    for name, tensor in state.items():
        size = tensor.nbytes + len(name) + 160  # its entry in the file's header, at most
        if size + 16 > limit:
            raise LiftwildError(f"{name} alone has {tensor.nbytes / 1e6:.2g} MB: a shard must be larger than that")
        if filled + size > limit:
            shards.append({})
            filled = 16  # the header's length and padding
        shards[-1][name] = tensor
        filled += size
    return shards


def load_weights(name_or_path: str | Path) -> tuple[PoseNet, dict[str, Any]]:
    """The network (fp32, evaluation mode, on the CPU) and its card (the json).

    LiftwildError when a file is missing or broken, or when tensors and json do not agree: nothing is guessed.
    """
    weights = open_weights(name_or_path)
    return weights.load(), weights.card


def filled(make: Callable[[], Network], path: Path, files: Sequence[Path]) -> Network:
    """The network that ``make`` makes of the json beside ``path``, with the tensors of ``files``: fp32, in evaluation
    mode, on the CPU. LiftwildError if the two do not agree; no memory is taken before the shapes do."""
    try:
        with torch.device("meta"):
            net = make()
        expected = {name: list(tensor.shape) for name, tensor in net.state_dict().items()}
        state: dict[str, Tensor] = {}
        for file in files:
            with safe_open(file, "pt") as tensors:
                shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
                strange = next((name for name, shape in shapes.items() if expected.get(name) != shape), None)
                if strange is not None:
                    raise ValueError(f"{strange} is {shapes[strange]}, not {expected.get(strange, 'part of it')}")
                for name in shapes:
                    found = tensors.get_tensor(name)
                    if not bool(torch.isfinite(found).all()):
                        raise ValueError(f"{name} holds NaN or infinity")
                    state[name] = found.to(torch.float32 if found.is_floating_point() else found.dtype, copy=True)
        net.load_state_dict(state, strict=True, assign=True)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        first, beside = (str(error).strip().splitlines() or [""])[0], path.with_suffix(".json").name
        raise LiftwildError(
            f"{path} does not hold the network that {beside} describes: {shorter(first, 200)}"
        ) from None
    net.eval().requires_grad_(False)
    return net
