"""What runs the detector's network: torch, OpenVINO or ONNX Runtime. Pictures in, ``DetectorMaps`` out."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np
import torch

from liftwild.detection.network import DetectorMaps, DetectorNet, split_cells
from liftwild.errors import LiftwildError
from liftwild.inference.onnx_recorder import recorded
from liftwild.inference.onnx_runtime import onnx_session
from liftwild.inference.openvino_runtime import computes_bf16, openvino_core
from liftwild.inference.runtime_kinds import AUTO
from liftwild.inference.runtimes import check_runtime, fastest, first_of

PHOTOS, CELLS = "photos", "cells"


def detector_graph(net: DetectorNet) -> bytes:
    """The ONNX file of ``net``, on the CPU.

    Input ``photos`` (photos, S, S, 3) uint8 RGB, S = ``config.input_px``; output ``cells`` (photos, C, 1 + 4 bins)
    fp32, as ``network.split_cells`` takes it. LiftwildError without the onnx package.
    """
    return recorded(net, lambda photos: {CELLS: net.cells(photos.permute(0, 3, 1, 2))}, PHOTOS, net.config.input_px)


class DetectorRuntime(Protocol):
    """Runs one network. ``name``: what runs it."""

    name: str

    def __call__(self, pixels: np.ndarray) -> DetectorMaps:
        """What the network says of pictures (B, S, S, 3) uint8 RGB."""
        ...


class TorchDetector:
    """The network in torch, on ``device``."""

    def __init__(self, net: DetectorNet, device: torch.device) -> None:
        self.net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = device
        self.name = "torch fp32" + ("" if device.type == "cpu" else f", {device.type}")

    @torch.inference_mode()
    def __call__(self, pixels: np.ndarray) -> DetectorMaps:
        """As ``DetectorRuntime``; the results lie on the device."""
        tensor = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)  # as it lies in memory: channels_last
        maps: DetectorMaps = self.net(tensor)
        return maps


class OpenVinoDetector:
    """The network in OpenVINO on the CPU; ``precision``: fp32, bf16, or None for bf16 where the CPU computes in it.

    LiftwildError without OpenVINO or onnx, or bf16 if the CPU has none.
    """

    def __init__(self, net: DetectorNet, precision: str | None = None) -> None:
        core = openvino_core()
        able = computes_bf16(core)
        if precision == "bf16" and not able:
            raise LiftwildError("this CPU does not compute in bf16; take the runtime openvino")
        precision = precision or ("bf16" if able else "fp32")
        self.name = f"openvino {precision}"
        model = core.read_model(detector_graph(net))
        side, self._bins = net.config.input_px, net.config.bins
        model.reshape({PHOTOS: [1, side, side, 3]})  # for one photo at a time: faster than for any number
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(precision, precision),
        }
        self._request = core.compile_model(model, "CPU", options).create_infer_request()
        self._lock = threading.Lock()

    def __call__(self, pixels: np.ndarray) -> DetectorMaps:
        """As ``DetectorRuntime``."""
        cells = []
        with self._lock:  # a request holds the results of one call
            for one in pixels:
                found = self._request.infer({PHOTOS: one[None]}, share_inputs=True, share_outputs=True)
                cells.append(found[CELLS].copy())
        return split_cells(torch.from_numpy(np.concatenate(cells)), self._bins)


class OnnxDetector:
    """The network in ONNX Runtime on the CPU. LiftwildError without ONNX Runtime or onnx."""

    name = "onnx fp32"

    def __init__(self, net: DetectorNet) -> None:
        self._session = onnx_session(detector_graph(net))
        self._bins = net.config.bins

    def __call__(self, pixels: np.ndarray) -> DetectorMaps:
        """As ``DetectorRuntime``."""
        (cells,) = self._session.run([CELLS], {PHOTOS: np.ascontiguousarray(pixels)})
        return split_cells(torch.from_numpy(cells), self._bins)


def open_detector_runtime(net: DetectorNet, kind: str, device: torch.device) -> DetectorRuntime:
    """What runs ``net``: ``kind`` is one of ``runtime_kinds.RUNTIME_NAMES``; torch and ONNX Runtime compute in fp32.

    auto is the fastest that is installed, and torch on a GPU; if one cannot be used, the next, with a line on stderr
    that says why. LiftwildError if nothing can run it.
    """
    check_runtime(kind)
    family, _, precision = kind.partition("-")
    kinds = [family]
    if family == AUTO:
        kinds = fastest() if device.type == "cpu" else ["torch"]

    def of(each: str) -> DetectorRuntime:
        if each == "torch":
            return TorchDetector(net, device)
        return OpenVinoDetector(net, precision or None) if each == "openvino" else OnnxDetector(net)

    runtime: DetectorRuntime = first_of(kinds, of, f"the detector cannot be run in {family}")
    return runtime
