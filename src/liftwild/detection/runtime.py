"""What runs the detector's network: torch, OpenVINO or ONNX Runtime. Pictures in, ``DetectorMaps`` out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from liftwild.detection.network import DetectorMaps, DetectorNet, split_cells
from liftwild.inference.onnx_recorder import recorded
from liftwild.inference.onnx_runtime import onnx_session
from liftwild.inference.openvino_runtime import chosen_precision, openvino_core, openvino_request
from liftwild.inference.runtime import check_process
from liftwild.inference.runtime_kinds import AUTO, RUNTIMES
from liftwild.inference.runtimes import check_runtime, fastest, first_of

PHOTOS, CELLS = "photos", "cells"


def detector_graph(net: DetectorNet) -> bytes:
    """The ONNX file of ``net``, on the CPU.

    Input ``photos`` (photos, S, S, 3) uint8 RGB, S = ``config.input_px``; output ``cells`` (photos, C, 1 + 4 bins)
    fp32, as ``network.split_cells`` takes it. LiftwildError without the onnx package.
    """
    return recorded(net, lambda photos: {CELLS: net.cells(photos.permute(0, 3, 1, 2))}, PHOTOS, net.config.input_px)


@dataclass(frozen=True)
class DetectorRuntime:
    """Runs one network. ``name``: what runs it; ``cells``: gives (B, C, 1 + 4 ``bins``) of pictures."""

    name: str
    cells: Callable[[np.ndarray], Tensor]
    bins: int

    def __call__(self, pixels: np.ndarray) -> DetectorMaps:
        """What the network says of pictures (B, S, S, 3) uint8 RGB. LiftwildError as of ``check_process``."""
        check_process()
        return split_cells(self.cells(pixels), self.bins)


def _in_torch(net: DetectorNet, device: torch.device) -> DetectorRuntime:
    """In fp32, on ``device``, where the results lie."""
    net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def cells(pixels: np.ndarray) -> Tensor:
        # As it lies in memory this is channels_last.
        return net.cells(torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2))

    return DetectorRuntime("torch fp32" + ("" if device.type == "cpu" else f", {device.type}"), cells, net.config.bins)


def _in_openvino(net: DetectorNet, precision: str | None) -> DetectorRuntime:
    """On the CPU, in fp32, bf16, or the faster of what it computes in. LiftwildError without OpenVINO or onnx."""
    precision, side = chosen_precision(precision), net.config.input_px
    model = openvino_core().read_model(detector_graph(net))
    model.reshape({PHOTOS: [1, side, side, 3]})  # for one photo at a time: faster than for any number
    request, lock = openvino_request(model, precision), threading.Lock()

    def cells(pixels: np.ndarray) -> Tensor:
        with lock:  # a request holds the results of one call
            each = [request.infer({PHOTOS: one[None]}, share_inputs=True)[CELLS] for one in pixels]
        return torch.from_numpy(np.concatenate(each))

    return DetectorRuntime(f"openvino {precision}", cells, net.config.bins)


def _in_onnx(net: DetectorNet) -> DetectorRuntime:
    """In ONNX Runtime on the CPU, in fp32. LiftwildError without ONNX Runtime or onnx."""
    session = onnx_session(detector_graph(net))

    def cells(pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(session.run([CELLS], {PHOTOS: np.ascontiguousarray(pixels)})[0])

    return DetectorRuntime("onnx fp32", cells, net.config.bins)


# What runs the network in each family of ``runtime_kinds.RUNTIMES``.
OF_DETECTOR: dict[str, Callable[[DetectorNet, torch.device, str], DetectorRuntime]] = {
    "torch": lambda net, device, _precision: _in_torch(net, device),
    "openvino": lambda net, _device, precision: _in_openvino(net, precision or None),
    "onnx": lambda net, _device, _precision: _in_onnx(net),
}


def open_detector_runtime(net: DetectorNet, kind: str, device: torch.device) -> DetectorRuntime:
    """What runs ``net``: ``kind`` is one of ``runtime_kinds.RUNTIME_NAMES``; torch and ONNX Runtime compute in fp32.

    auto is the fastest that is installed, and torch on a GPU; if one cannot be used, the next, with a line on stderr
    that says why. LiftwildError if nothing can run it.
    """
    check_runtime(kind)
    kinds = [kind]
    if kind == AUTO:
        kinds = fastest() if device.type == "cpu" else ["torch"]
    runtime: DetectorRuntime = first_of(
        kinds,
        lambda each: OF_DETECTOR[RUNTIMES[each].family](net, device, RUNTIMES[each].precision),
        f"the detector cannot be run in {kind}",
    )
    return runtime
