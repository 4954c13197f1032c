"""Which runtime runs given weights. docs/architecture.md has what a new one touches."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from liftwild.console import say
from liftwild.errors import LiftwildError, reason_of
from liftwild.inference.onnx_runtime import OnnxRuntime
from liftwild.inference.openvino_runtime import OpenVinoRuntime, computes_bf16, openvino_core
from liftwild.inference.runtime import Runtime, check_process, find_device, is_cpu
from liftwild.inference.runtime_kinds import AUTO, EXPORTED, RUNTIME_NAMES, RUNTIMES, RuntimeKind
from liftwild.schema import parse_json
from liftwild.skeleton import MPII_16
from liftwild.weights_card import FORMAT as WEIGHTS_FORMAT
from liftwild.weights_card import WeightsCard, as_card, open_weights

if TYPE_CHECKING:
    from liftwild.weights_card import PoseWeights

FORMAT, VERSION = "liftwild-export", "1"


def _in_torch(weights: PoseWeights, device: str | None, precision: str) -> Any:
    from liftwild.inference.torch_runtime import TorchRuntime

    return TorchRuntime(weights.load(), find_device(device), precision)


def _graph_of(weights: PoseWeights) -> bytes:
    from liftwild.inference.onnx_graph import graph_of

    return graph_of(weights.load())


# What makes a runtime of each family, of weights on a device, or of an exported file and the .bin beside it. Torch is
# loaded where it is needed: not to run a network that OpenVINO has compiled before.
OF_WEIGHTS: dict[str, Callable[[PoseWeights, str | None, str], Any]] = {
    "torch": _in_torch,
    "openvino": lambda weights, _device, precision: _tried(
        OpenVinoRuntime(lambda: [_graph_of(weights)], precision or None, weights.digest())
    ),
    "onnx": lambda weights, _device, _precision: _tried(OnnxRuntime(_graph_of(weights))),
}
OF_FILE: dict[str, Callable[[bytes, bytes | None, str], Any]] = {
    "openvino": lambda content, beside, precision: _tried(
        OpenVinoRuntime(lambda: [content] if beside is None else [content, beside], precision or None)
    ),
    "onnx": lambda content, _beside, _precision: _tried(OnnxRuntime(content)),
}
# On a CPU: docs/runtimes.md. In fp32 ONNX Runtime is a little faster than OpenVINO, and starts sooner.
FASTEST_FIRST = {"bf16": ("openvino", "onnx", "torch"), "fp32": ("onnx", "openvino", "torch")}


def check_runtime(name: str) -> None:
    """LiftwildError if there is no runtime of that name, or none can run in this process (``check_process``)."""
    check_process()
    if name not in RUNTIME_NAMES:
        raise LiftwildError(f"no runtime {name!r}; there are {', '.join(RUNTIME_NAMES)}")


def open_runtime(weights: str | Path, name: str = AUTO, device: str | None = None) -> tuple[Runtime, dict[str, Any]]:
    """What runs ``weights``, and their card: the json of a weights file, or what an exported file holds of it.

    ``weights``: as for ``weights_files.find_weights``, or a file of ``liftwild export`` (.onnx, .xml). ``name``: one of
    ``RUNTIME_NAMES``. auto is the fastest that is installed: torch on a GPU; if one cannot be used, the next, with a
    line on stderr that says why. ``device``: as in ``find_device``; only torch runs on others than the CPU.
    LiftwildError if nothing can run it.
    """
    check_runtime(name)
    path, on_cpu = Path(weights), is_cpu(device)
    is_exported = path.suffix in EXPORTED
    if device is not None and not on_cpu and (is_exported or (name != AUTO and RUNTIMES[name].library)):
        raise LiftwildError(
            f"{path} is computed on the CPU, not on {device}; weights run there, in torch" if is_exported else
            f"the runtime {name} computes on the CPU, not on {device}"
        )  # fmt: skip
    if is_exported:
        return _open_exported(path, name)
    files = open_weights(weights)
    names = [name]
    if name == AUTO:
        names = fastest() if on_cpu else ["torch"]
    runtime = first_of(
        names,
        lambda each: OF_WEIGHTS[RUNTIMES[each].family](files, device, RUNTIMES[each].precision),
        f"the runtime {name} cannot be used",
    )
    runtime.subpixel = files.about.network.softmax
    return runtime, files.card


def _open_exported(path: Path, name: str) -> tuple[Runtime, dict[str, Any]]:
    able = [kind for kind in RUNTIMES.values() if path.suffix in kind.suffixes]
    families = list(dict.fromkeys(kind.family for kind in able))
    if name != AUTO and RUNTIMES[name] not in able:
        raise LiftwildError(f"{path} is run by {' or '.join(families)}, not by {RUNTIMES[name].family}")
    content, beside = _read_exported(path)
    names = [each for each in fastest() if RUNTIMES[each] in able] if name == AUTO else [name]
    if not names:
        raise LiftwildError(f"{path} needs {' or '.join(families)}: pip install 'liftwild[{families[-1]}]'")
    runtime = first_of(names, lambda each: _of_file(path, content, beside, RUNTIMES[each]), f"{path} cannot be run")
    card = _card_of(runtime.about, path)
    runtime.subpixel = card.get("network", {}).get("softmax", False)
    return runtime, card


def fastest() -> list[str]:
    """What is installed, the fastest on this CPU first."""
    there = {
        kind.family for kind in RUNTIMES.values()
        if not kind.library or importlib.util.find_spec(kind.library) is not None
    }  # fmt: skip
    best = "fp32"
    if {"openvino", "onnx"} <= there:  # else there is nothing to choose
        try:
            best = "bf16" if computes_bf16(openvino_core()) else "fp32"
        except Exception:  # a broken one is tried first, so that its fault is told
            best = "bf16"
    return [each for each in FASTEST_FIRST[best] if each in there]


def first_of(kinds: list[str], make: Any, failed: str) -> Any:
    """The first of ``kinds`` that can be made; a line on stderr for each that cannot, LiftwildError if none can."""
    reasons: dict[str, str] = {}
    for kind in kinds:
        try:
            runtime = make(kind)
        except Exception as error:  # whatever such a library raises
            reasons[kind] = reason_of(error)
            continue
        for other, reason in reasons.items():
            say(f"note: {other} cannot be used, {runtime.name} runs instead: {reason}", err=True)
        return runtime
    raise LiftwildError(f"{failed}: {reasons[kinds[-1]]}") from None


def _tried(runtime: Any) -> Any:
    """``runtime``, after it has looked at one grey crop: it gives numbers of the right shapes."""
    side = runtime.input_px
    found = runtime(np.full((1, side, side, 3), 128, np.uint8))
    heatmaps, depth = found.heatmaps, found.depth
    joints = len(MPII_16)
    if heatmaps.shape != (1, joints, side // 4, side // 4) or depth.shape != (1, joints):
        raise LiftwildError(f"it gives heatmaps {tuple(heatmaps.shape)} and depths {tuple(depth.shape)}")
    return runtime


def _read_exported(path: Path) -> tuple[bytes, bytes | None]:
    """The bytes of an exported file, and of the .bin beside an .xml."""
    beside = path.with_suffix(".bin")
    for file in (path, beside) if path.suffix == ".xml" else (path,):
        if not file.is_file():
            raise LiftwildError(f"no file {file}" if file == path else f"{path} has no {file.name} beside it")
    return path.read_bytes(), beside.read_bytes() if path.suffix == ".xml" else None


def _of_file(path: Path, content: bytes, beside: bytes | None, kind: RuntimeKind) -> Any:
    runtime: Any = OF_FILE[kind.family](content, beside, kind.precision)
    about = runtime.about
    if about.get("format") != FORMAT or about.get("version") != VERSION:
        raise LiftwildError(
            f"it was not written by 'liftwild export', version {VERSION}: its joints and units are not known"
        )
    if beside is not None and about.get("bin_sha256") != hashlib.sha256(beside).hexdigest():
        raise LiftwildError(f"{path.with_suffix('.bin').name} is not the one that {path.name} was written with")
    if about.get("precision") == "int8":
        runtime.name = f"{kind.family} int8"
    return runtime


def _card_of(about: Mapping[str, str], path: Path) -> dict[str, Any]:
    """The card in an exported file's metadata."""
    card = parse_json(about.get("card", ""), f"the card in {path}")
    if not isinstance(card, dict) or card.get("format") != WEIGHTS_FORMAT:
        raise LiftwildError(f"{path} does not say its joints and units; export it again")
    as_card(card, WeightsCard, f"the card in {path}")
    return card
