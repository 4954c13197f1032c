"""What runs the network: torch, OpenVINO or ONNX Runtime. Crops in, heatmaps and depths out."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from liftwild.errors import LiftwildError, reason_of
from liftwild.inference.onnx_graph import CROPS, DEPTH, HEATMAPS, INSIDE, JOINTS, LOG_SPREAD, VISIBLE, graph_of
from liftwild.network.posenet import Decoded, Outputs, PoseNet, outputs_of, read
from liftwild.skeleton import MPII_16
from liftwild.weights import FORMAT as WEIGHTS_FORMAT
from liftwild.weights import load_weights

RUNTIMES = ("auto", "torch", "torch-bf16", "openvino", "openvino-fp32", "openvino-bf16", "onnx")
# On a CPU: docs/runtimes.md. In fp32 ONNX Runtime is a little faster than OpenVINO, and starts sooner.
FASTEST_FIRST = {"bf16": ("openvino", "onnx", "torch"), "fp32": ("onnx", "openvino", "torch")}
MODULES = {"openvino": "openvino", "onnx": "onnxruntime"}

FORMAT, VERSION = "liftwild-export", "1"
# What a graph gives, by its names there, and as ``Outputs`` has it.
OUTPUTS = {
    HEATMAPS: "heatmaps", DEPTH: "depth", LOG_SPREAD: "log_spread", INSIDE: "inside", VISIBLE: "visible",
    JOINTS: "joints",
}  # fmt: skip
# Which runtimes take an exported file, by its suffix.
EXPORTED = {".onnx": ("openvino", "onnx"), ".xml": ("openvino",)}
# OpenVINO is set up for one person, and once more, in some 0.4 s, for any number. A few at a time go one by one until
# so many have that the second would have paid.
FEW, PAYS_AFTER = 7, 200


class Runtime(Protocol):
    """Runs one network. ``name``: what runs it and in which precision; ``input_px``: side S of its crops; ``fine``: how
    joints are read from its heatmaps, as in ``heatmap.decode``."""

    name: str
    input_px: int
    fine: bool

    def __call__(self, crops: np.ndarray) -> Outputs:
        """What the network gives of crops (B, S, S, 3) uint8 RGB."""
        ...

    def fingerprint(self) -> str:
        """What tells this network's weights from all others."""
        ...


class TorchRuntime:
    """The network in torch, on ``device``; ``precision`` fp32, or bf16 where torch finds that safe (autocast)."""

    def __init__(self, net: PoseNet, device: torch.device, precision: str = "fp32") -> None:
        self.net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device, self.precision, self.input_px = device, precision, net.config.input_px
        self.fine = net.config.softmax
        self.name = f"torch {precision}" + ("" if device.type == "cpu" else f", {device.type}")

    @torch.inference_mode()
    def __call__(self, crops: np.ndarray) -> Outputs:
        """As ``Runtime``; the results lie on the device."""
        pixels = torch.from_numpy(np.ascontiguousarray(crops)).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            pred = self.net(pixels.permute(0, 3, 1, 2))  # as it lies in memory this is channels_last
        return outputs_of(pred, self.net.config.softmax)

    def fingerprint(self) -> str:
        """As ``Runtime``."""
        return hash_of(self.net)


_CORES: list[Any] = []  # one at most, and it stays
_MAKES_CORE = threading.Lock()


def openvino_core() -> Any:
    """OpenVINO's Core, one for the whole process. LiftwildError without OpenVINO.

    Each Core that uses the CPU gives its thread a stack for signal handlers, and when it goes puts back the one before:
    that of a Core that is gone, if there were several. The next Ctrl-C, or worker that ends, then is a crash.
    """
    try:
        import openvino
    except ImportError as error:
        raise LiftwildError(f"it needs OpenVINO ({error}): pip install 'liftwild[openvino]'") from None
    with _MAKES_CORE:
        if not _CORES:
            _CORES.append(openvino.Core())
        return _CORES[0]


class OpenVinoRuntime:
    """An ONNX graph, or OpenVINO's own two files, in OpenVINO on the CPU.

    ``precision``: fp32, bf16, or None for bf16 where the CPU computes in it. ``about``: the metadata of the file.
    LiftwildError without OpenVINO, or bf16 if the CPU has none; what OpenVINO raises on a file that it cannot run.
    """

    def __init__(self, graph: bytes, weights: bytes | None = None, precision: str | None = None) -> None:
        self._core = openvino_core()
        able = computes_bf16(self._core)
        if precision == "bf16" and not able:
            raise LiftwildError("this CPU does not compute in bf16; take the runtime openvino")
        self.precision = precision or ("bf16" if able else "fp32")
        self.fine = False
        self.name = f"openvino {self.precision}"
        self._model = self._core.read_model(graph) if weights is None else self._core.read_model(graph, weights)
        self.about = self._about()
        self.input_px = int(self._model.input(CROPS).get_partial_shape()[1].get_length())
        self._hash = _hash(graph, weights or b"")
        self._names = {name for output in self._model.outputs for name in output.get_names()}
        self._requests: dict[int, Any] = {}
        self._went_singly = 0
        self._lock = threading.Lock()
        self._request(1)

    def __call__(self, crops: np.ndarray) -> Outputs:
        """As ``Runtime``."""
        with self._lock:  # a request holds the results of one call
            singly = len(crops) <= FEW and self._went_singly <= PAYS_AFTER
            if len(crops) == 1 or not singly:
                return self._infer(crops)
            self._went_singly += len(crops)
            each = [self._infer(crop[None]) for crop in crops]
            parts = zip(*each, strict=True)
            return Outputs(*(None if part[0] is None else torch.cat(part) for part in parts))  # type: ignore[arg-type]

    def _infer(self, crops: np.ndarray) -> Outputs:
        found = self._request(len(crops)).infer(
            {CROPS: np.ascontiguousarray(crops)}, share_inputs=True, share_outputs=True
        )
        there = [name for name in OUTPUTS if name in self._names]
        return _outputs({name: torch.from_numpy(found[name].copy()) for name in there})

    def _request(self, people: int) -> Any:
        fixed = 1 if people == 1 else -1
        if fixed not in self._requests:
            side = self.input_px
            self._model.reshape({CROPS: [fixed, side, side, 3]})
            options = {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(self.precision, self.precision),
                # It crashes where it fuses chains of narrow linear layers (2026.4, a lifter of 256); 1 % slower so.
                "SNIPPETS_MODE": "DISABLE",
            }
            self._requests[fixed] = self._core.compile_model(self._model, "CPU", options).create_infer_request()
        return self._requests[fixed]

    def _about(self) -> dict[str, str]:
        info = dict(self._model.get_rt_info())
        kept: Any = info.get("liftwild", info.get("framework", {}))  # of OpenVINO's own files; of ONNX
        return {key: value.astype(str) for key, value in kept.items()}

    def fingerprint(self) -> str:
        """As ``Runtime``."""
        return self._hash


def onnx_session(graph: bytes) -> Any:
    """An ONNX graph in ONNX Runtime on the CPU. LiftwildError without ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError as error:
        raise LiftwildError(f"it needs ONNX Runtime ({error}): pip install 'liftwild[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    if os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE":  # said for torch, meant for all
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class OnnxRuntime:
    """An ONNX graph in ONNX Runtime on the CPU, in fp32. ``about``: its metadata.

    LiftwildError without ONNX Runtime; what that raises on a graph that it cannot run.
    """

    precision = "fp32"

    def __init__(self, graph: bytes) -> None:
        self._session = onnx_session(graph)
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.name, self.fine = f"onnx {self.precision}", False
        self._names = [each.name for each in self._session.get_outputs() if each.name in OUTPUTS]
        (crops,) = (each for each in self._session.get_inputs() if each.name == CROPS)
        self.input_px = int(crops.shape[1])
        self._hash = _hash(graph)

    def __call__(self, crops: np.ndarray) -> Outputs:
        """As ``Runtime``."""
        found = self._session.run(self._names, {CROPS: np.ascontiguousarray(crops)})
        return _outputs({name: torch.from_numpy(each) for name, each in zip(self._names, found, strict=True)})

    def fingerprint(self) -> str:
        """As ``Runtime``."""
        return self._hash


def _outputs(found: dict[str, Tensor]) -> Outputs:
    """By the names that the graph has for them."""
    return Outputs(**{OUTPUTS[name]: each for name, each in found.items()})


def look(runtime: Runtime, crops: np.ndarray, flip_test: bool = False) -> Decoded:
    """What ``runtime`` finds in crops (B, S, S, 3) uint8 RGB; ``flip_test``: the mean with what it finds in mirrored
    ones."""
    seen = np.concatenate([crops, crops[:, :, ::-1]]) if flip_test else crops
    return read(runtime(seen), runtime.input_px, runtime.fine, flip_test)


def find_device(name: str | None) -> torch.device:
    """The torch device called ``name``, tried out; None is a GPU if there is one, else the CPU.

    LiftwildError if it cannot be used.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or ["unknown"])[0]
        raise LiftwildError(f"device {name!r} cannot be used: {reason}") from None


def open_runtime(
    weights: str | Path, kind: str | None = None, device: str | None = None
) -> tuple[Runtime, dict[str, Any]]:
    """What runs ``weights``, and their card: the json of a weights file, or what an exported file holds of it.

    ``weights``: as for ``weights.find_weights``, or a file of ``liftwild export`` (.onnx, .xml). ``kind``: one of
    ``RUNTIMES``. auto is the fastest that is installed: torch on a GPU; if one cannot be used, the next, with a line on
    stderr that says why. None: torch, and auto for an exported file. ``device``: as in ``find_device``; only torch runs
    on others than the CPU. LiftwildError if nothing can run it.
    """
    if kind is not None and kind not in RUNTIMES:
        raise LiftwildError(f"no runtime {kind!r}; there are {', '.join(RUNTIMES)}")
    path, where = Path(weights), find_device(device)
    exported = EXPORTED.get(path.suffix)
    if kind is None:
        kind = "torch" if exported is None else "auto"
    family = kind.partition("-")[0]
    if exported is not None and kind != "auto" and family not in exported:
        raise LiftwildError(f"{path} is run by {' or '.join(exported)}, not by {family}")
    on_cpu = family in MODULES or exported is not None
    if on_cpu and device is not None and where.type != "cpu":
        raise LiftwildError(f"the runtime {kind} computes on the CPU, not on {device}" if exported is None else
                            f"{path} is computed on the CPU, not on {device}; weights run there, in torch")  # fmt: skip
    if exported is not None:
        content, beside = _read_exported(path)
        kinds = [each for each in fastest() if each in exported] if kind == "auto" else [kind]
        if not kinds:
            raise LiftwildError(f"{path} needs {' or '.join(exported)}: pip install 'liftwild[{exported[-1]}]'")
        runtime = first_of(kinds, lambda each: _of_file(path, content, beside, each), f"{path} cannot be run")
        card = _card_of(runtime.about, path)
        runtime.fine = card.get("network", {}).get("softmax", False)
        return runtime, card
    net, card = load_weights(weights)
    kinds = [kind]
    if kind == "auto":
        kinds = fastest() if where.type == "cpu" else ["torch"]

    def of_weights(each: str) -> Any:
        family, _, precision = each.partition("-")
        if family == "torch":
            return TorchRuntime(net, where, precision or "fp32")
        graph = graph_of(net)
        return _tried(OpenVinoRuntime(graph, None, precision or None) if family == "openvino" else OnnxRuntime(graph))

    runtime = first_of(kinds, of_weights, f"the runtime {kind} cannot be used")
    runtime.fine = net.config.softmax
    return runtime, card


def fastest() -> list[str]:
    """What is installed, the fastest on this CPU first."""
    there = {each for each in MODULES if importlib.util.find_spec(MODULES[each]) is not None} | {"torch"}
    best = "fp32"
    if {"openvino", "onnx"} <= there:  # else there is nothing to choose
        try:
            best = "bf16" if computes_bf16(openvino_core()) else "fp32"
        except Exception:  # a broken one is tried first, so that its fault is told
            best = "bf16"
    return [each for each in FASTEST_FIRST[best] if each in there]


def computes_bf16(core: Any) -> bool:
    """Whether the CPU does, as OpenVINO sees it."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


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
            print(f"note: {other} cannot be used, {runtime.name} runs instead: {reason}", file=sys.stderr)
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


def _of_file(path: Path, content: bytes, beside: bytes | None, kind: str) -> Any:
    family, _, precision = kind.partition("-")
    runtime: Any = OpenVinoRuntime(content, beside, precision or None) if family == "openvino" else OnnxRuntime(content)
    about = runtime.about
    if about.get("format") != FORMAT or about.get("version") != VERSION:
        raise LiftwildError(
            f"it was not written by 'liftwild export', version {VERSION}: its joints and units are not known"
        )
    if beside is not None and about.get("bin_sha256") != hashlib.sha256(beside).hexdigest():
        raise LiftwildError(f"{path.with_suffix('.bin').name} is not the one that {path.name} was written with")
    if about.get("precision") == "int8":
        runtime.name = f"{family} int8"
    return _tried(runtime)


def _card_of(about: Mapping[str, str], path: Path) -> dict[str, Any]:
    """The card in an exported file's metadata."""
    try:
        card = json.loads(about["card"])
        whole = card["format"] == WEIGHTS_FORMAT and card["joint_names"] == list(MPII_16.names)
        float(card["sum_length_mm"])
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise LiftwildError(f"{path} does not say its joints and units; export it again")
    return dict(card)


def hash_of(net: nn.Module) -> str:
    """What tells a network's weights from all others."""
    found = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        found.update(name.encode())
        found.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return found.hexdigest()[:16]


def _hash(*contents: bytes) -> str:
    found = hashlib.sha256()
    for content in contents:
        found.update(content)
    return found.hexdigest()[:16]
