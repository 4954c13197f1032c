"""A runtime: what computes the network. Crops in, heatmaps and depths out, in torch, OpenVINO or ONNX Runtime."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.inference.decoding import Decoded, Outputs, decode_outputs
from liftwild.inference.graph_names import OUTPUTS

if TYPE_CHECKING:
    import torch


class Runtime(Protocol):
    """Runs one network. ``name``: what runs it and in which precision; ``input_px``: side S of its crops; ``subpixel``:
    how joints are read from its heatmaps, as in ``heatmap.decode``."""

    name: str
    input_px: int
    subpixel: bool

    def __call__(self, crops: np.ndarray) -> Outputs:
        """What the network gives of crops (B, S, S, 3) uint8 RGB."""
        ...

    def fingerprint(self) -> str:
        """What tells this network's weights from all others."""
        ...


_USED_IN: list[int] = []  # the process that networks first ran in; one at most


def check_process() -> None:
    """LiftwildError in a process that was forked from one in which networks ran.

    The threads of torch, OpenVINO and ONNX Runtime are not there after a fork, and who waits for them waits for ever.
    """
    if not _USED_IN:
        _USED_IN.append(os.getpid())
    elif _USED_IN[0] != os.getpid():
        raise LiftwildError(
            "this process was forked from one that had used liftwild's networks, and they cannot run in it; start "
            'processes with multiprocessing.get_context("spawn"), or use liftwild in the forked ones alone'
        )


def outputs_by_name(found: Mapping[str, np.ndarray]) -> Outputs:
    """By the names that the graph has for them."""
    return Outputs(**{OUTPUTS[name]: each for name, each in found.items()})


def infer_crops(runtime: Runtime, crops: np.ndarray, flip_test: bool = False) -> Decoded:
    """What ``runtime`` finds in crops (B, S, S, 3) uint8 RGB; ``flip_test``: the mean with what it finds in mirrored
    ones. LiftwildError after a fork, as ``check_process``."""
    check_process()
    seen = np.concatenate([crops, crops[:, :, ::-1]]) if flip_test else crops
    return decode_outputs(runtime(seen), runtime.input_px, runtime.subpixel, flip_test)


def find_device(name: str | None) -> torch.device:
    """The torch device called ``name``, tried out; None is a GPU if there is one, else the CPU.

    LiftwildError if it cannot be used.
    """
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or ["unknown"])[0]
        if reason.startswith(("Expected one of", "Invalid device")):
            reason = "there is no such kind; cpu, cuda (NVIDIA, AMD), mps (Apple) and xpu (Intel) are known"
        raise LiftwildError(f"device {name!r} cannot be used: {reason}") from None


def is_cpu(device: str | None) -> bool:
    """Whether the device called so, as for ``find_device``, is the CPU; LiftwildError if it cannot be used.

    Torch is not loaded where that is known without: that takes longer than a photo.
    """
    return device == "cpu" or (device is None and not _may_have_gpu()) or find_device(device).type == "cpu"


def _may_have_gpu() -> bool:
    """Whether the torch that is installed was built for GPUs, as its file ``version.py`` says."""
    found = importlib.util.find_spec("torch")
    if "torch" in sys.modules or found is None or found.origin is None:
        return True
    try:
        said = (Path(found.origin).parent / "version.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True
    built = re.findall(r"^(?:cuda|hip)\b[^=\n]*= *(.*)$", said, re.MULTILINE)
    return len(built) != 2 or any(each.strip() != "None" for each in built)


def hash_of_bytes(*contents: bytes) -> str:
    """What tells the files of a network from all others."""
    found = hashlib.sha256()
    for content in contents:
        found.update(content)
    return found.hexdigest()[:16]
