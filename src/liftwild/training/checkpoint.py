"""Checkpoints: folders of safetensors + json that appear whole or not at all. Never pickles."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from liftwild.errors import LiftwildError, reason_of
from liftwild.files import atomic_path, make_folder, remove_folder

FORMAT = "liftwild-checkpoint"
VERSION = 1
NET, AVERAGE, OPTIMIZER = "net.safetensors", "average.safetensors", "optimizer.safetensors"
STATE = "state.json"
KEPT = 2  # checkpoints left in a run's folder
_NAME = re.compile(r"step-(\d{8})")


@dataclass(frozen=True)
class Position:
    """Where a run stands: ``stage`` index, ``step`` done in that stage, ``total`` steps done over all stages."""

    stage: int = 0
    step: int = 0
    total: int = 0


def save_checkpoint(
    folder: Path, step: int, net: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any],
    average: nn.Module | None = None,
) -> Path:  # fmt: skip
    """Write ``folder/step-NNNNNNNN`` with network, its average, optimiser and ``state`` (anything json can hold).

    A kill at any moment leaves the older checkpoints. Only the last ``KEPT`` stay.
    """
    make_folder(folder)
    target = folder / f"step-{step:08d}"
    with atomic_path(target, durable=True) as part:
        part.mkdir()
        sums = {}
        for name, one in ((NET, net), (AVERAGE, average), (OPTIMIZER, optimizer)):
            if isinstance(one, nn.Module):
                content = save({key: tensor.contiguous().cpu() for key, tensor in one.state_dict().items()})
            elif one is not None:
                content = save(_optimizer_tensors(net, one))
            else:
                continue
            (part / name).write_bytes(content)
            sums[name] = hashlib.sha256(content).hexdigest()
        about = {"format": FORMAT, "version": VERSION, "step": step, **state, "sha256": sums}
        (part / STATE).write_text(json.dumps({**about, "own_sha256": _sum_of(about)}, indent=1) + "\n")
    for old in list_checkpoints(folder)[:-KEPT]:
        remove_folder(old)
    return target


def list_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())


def newest_whole(folder: Path, say: Callable[[str], None] = lambda _: None) -> Path | None:
    """The newest checkpoint of a run that is whole, None if it has none; ``say``: told about newer, damaged ones.

    LiftwildError if it has only damaged ones.
    """
    found = list_checkpoints(folder)
    for checkpoint in reversed(found):
        try:
            check_whole(checkpoint)
            return checkpoint
        except LiftwildError as error:
            say(str(error))
    if found:
        raise LiftwildError(f"none of the checkpoints in {folder} is whole; train into another --out")
    return None


def check_whole(checkpoint: Path) -> None:
    """LiftwildError unless the files of a checkpoint hold what was written; those of older ones are not compared."""
    for name, wanted in read_state(checkpoint).get("sha256", {}).items():
        try:
            with (checkpoint / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise LiftwildError(f"{checkpoint / name} cannot be read: {error.strerror}") from None
        if found != wanted:
            raise LiftwildError(f"{checkpoint / name} is damaged")


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The json of a checkpoint; LiftwildError if it is not one, or damaged (older ones do not hold their own sum)."""
    try:
        state = json.loads((checkpoint / STATE).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise LiftwildError(f"{checkpoint} is not a checkpoint: {error}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT or state.get("version") != VERSION:
        raise LiftwildError(f"{checkpoint} is not a liftwild checkpoint of version {VERSION}")
    if state.pop("own_sha256", None) not in (None, _sum_of(state)):
        raise LiftwildError(f"{checkpoint / STATE} is damaged")
    return state


def _sum_of(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def load_net(checkpoint: Path, net: nn.Module, file: str = NET) -> None:
    """Fill ``net`` from a checkpoint's ``file``; every tensor must be there and fit."""
    try:
        net.load_state_dict(load_file(checkpoint / file), strict=True)
    except Exception as error:
        raise LiftwildError(f"{checkpoint} does not fit this network: {str(error).splitlines()[0]}") from None


def load_optimizer(checkpoint: Path, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Fill ``optimizer`` (over parameters of ``net``) from a checkpoint."""
    try:
        saved = load_file(checkpoint / OPTIMIZER)
    except (OSError, SafetensorError) as error:
        raise LiftwildError(f"{checkpoint / OPTIMIZER} cannot be read: {reason_of(error)}") from None
    parameters = dict(net.named_parameters())
    state: dict[int, dict[str, Any]] = {}
    for index, name in enumerate(_names(net, optimizer)):
        prefix, own = f"{name}/", parameters[name]
        entries = {key[len(prefix) :]: value for key, value in saved.items() if key.startswith(prefix)}
        for key, value in entries.items():
            if value.shape == own.shape:  # fused steps go through memory, so it must lie as the parameter does
                entries[key] = torch.empty_like(own, dtype=value.dtype, requires_grad=False).copy_(value)
        if entries:
            state[index] = entries
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _optimizer_tensors(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimiser's state as "parameter/entry" -> tensor."""
    names = _names(net, optimizer)
    return {
        f"{names[index]}/{key}": torch.as_tensor(value).contiguous().cpu()
        for index, entries in optimizer.state_dict()["state"].items()
        for key, value in entries.items()
    }


def _names(net: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Names of the optimiser's parameters, in its order."""
    by_id = {id(parameter): name for name, parameter in net.named_parameters()}
    return [by_id[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
