"""What runs the detector's network: torch, OpenVINO or ONNX Runtime. Pictures in, ``DetectorMaps`` out.

Torch is loaded where it is needed: not to run a network that OpenVINO has compiled before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from liftwild.detection.decoding import DetectorMaps, split_cells
from liftwild.inference.onnx_runtime import onnx_session
from liftwild.inference.openvino_runtime import chosen_precision, openvino_core, openvino_request
from liftwild.inference.runtime import check_process, find_device, is_cpu
from liftwild.inference.runtime_kinds import AUTO, RUNTIMES
from liftwild.inference.runtimes import check_runtime, fastest, first_of

if TYPE_CHECKING:
    from liftwild.detection.network import DetectorNet
    from liftwild.detection.weights import DetectorWeights

PHOTOS, CELLS = "photos", "cells"


def detector_graph(net: DetectorNet, height: int, width: int) -> bytes:
    """The ONNX file of ``net``, on the CPU, for pictures of one size.

    Input ``photos`` (photos, ``height``, ``width``, 3) uint8 RGB; output ``cells`` (photos, C, 1 + 4 bins) fp32, as
    ``decoding.split_cells`` takes it. LiftwildError without the onnx package.
    """
    from liftwild.inference.onnx_recorder import recorded

    return recorded(net, lambda photos: {CELLS: net(photos.permute(0, 3, 1, 2))}, PHOTOS, height, width)


@dataclass(frozen=True)
class DetectorRuntime:
    """Runs one network. ``name``: what runs it; ``cells``: gives (B, C, 1 + 4 ``bins``) of pictures (B, H, W, 3)."""

    name: str
    cells: Callable[[np.ndarray], np.ndarray]
    bins: int

    def __call__(self, pixels: np.ndarray) -> DetectorMaps:
        """What the network says of pictures (B, H, W, 3) uint8 RGB. LiftwildError as of ``check_process``."""
        check_process()
        return split_cells(self.cells(pixels), self.bins)


def _in_torch(weights: DetectorWeights, name: str | None) -> DetectorRuntime:
    """In fp32, on the device called ``name``."""
    import torch

    device = find_device(name)
    net = weights.load().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def cells(pixels: np.ndarray) -> np.ndarray:
        # As it lies in memory this is channels_last.
        return np.asarray(net(torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)).cpu())

    where = "" if device.type == "cpu" else f", {device.type}"
    return DetectorRuntime(f"torch fp32{where}", cells, weights.about.network.bins)


def _in_openvino(weights: DetectorWeights, side: int, precision: str | None) -> DetectorRuntime:
    """On the CPU, in fp32, bf16, or the faster of what it computes in. LiftwildError without OpenVINO or onnx."""
    precision, core, digest = chosen_precision(precision), openvino_core(), weights.digest()

    def opened(height: int, width: int) -> Callable[[np.ndarray], np.ndarray]:
        def model() -> Any:
            made = core.read_model(detector_graph(weights.load(), height, width))
            made.reshape({PHOTOS: [1, height, width, 3]})  # for one photo at a time: faster than for any number
            return made

        request = openvino_request(model, precision, f"{digest} {height} {width}")
        return lambda pixels: np.concatenate(
            [request.infer({PHOTOS: one[None]}, share_inputs=True)[CELLS] for one in pixels]
        )

    return DetectorRuntime(f"openvino {precision}", _for_each_size(side, opened), weights.about.network.bins)


def _in_onnx(weights: DetectorWeights, side: int) -> DetectorRuntime:
    """In ONNX Runtime on the CPU, in fp32. LiftwildError without ONNX Runtime or onnx."""
    net = weights.load()

    def opened(height: int, width: int) -> Callable[[np.ndarray], np.ndarray]:
        session = onnx_session(detector_graph(net, height, width))
        return lambda pixels: session.run([CELLS], {PHOTOS: np.ascontiguousarray(pixels)})[0]

    return DetectorRuntime("onnx fp32", _for_each_size(side, opened), weights.about.network.bins)


def _for_each_size(
    side: int, opened: Callable[[int, int], Callable[[np.ndarray], np.ndarray]]
) -> Callable[[np.ndarray], np.ndarray]:
    """``DetectorRuntime.cells`` of what is ``opened`` for pictures of one size, when one of that size first comes.

    That of square pictures is opened now: so it is known that it can be.
    """
    lock, by_size = threading.Lock(), {(side, side): opened(side, side)}

    def cells(pixels: np.ndarray) -> np.ndarray:
        size = (pixels.shape[1], pixels.shape[2])
        with lock:  # what is opened holds the results of one call
            if size not in by_size:
                by_size[size] = opened(*size)
            return by_size[size](pixels)

    return cells


# What runs the network in each family of ``runtime_kinds.RUNTIMES``, with ``side`` px for the longer side of photos.
OF_DETECTOR: dict[str, Callable[[DetectorWeights, int, str | None, str], DetectorRuntime]] = {
    "torch": lambda weights, _side, device, _precision: _in_torch(weights, device),
    "openvino": lambda weights, side, _device, precision: _in_openvino(weights, side, precision or None),
    "onnx": lambda weights, side, _device, _precision: _in_onnx(weights, side),
}


def open_detector_runtime(weights: DetectorWeights, side: int, kind: str, device: str | None) -> DetectorRuntime:
    """What runs ``weights`` on pictures whose longer side has ``side`` px.

    ``kind`` is one of ``runtime_kinds.RUNTIME_NAMES``; ``device``: as for ``find_device``; torch and ONNX Runtime
    compute in fp32. auto is the fastest that is installed, and torch on a GPU; if one cannot be used, the next, with a
    line on stderr that says why.
    LiftwildError if nothing can run it.
    """
    check_runtime(kind)
    kinds = [kind]
    if kind == AUTO:
        kinds = fastest() if is_cpu(device) else ["torch"]
    runtime: DetectorRuntime = first_of(
        kinds,
        lambda each: OF_DETECTOR[RUNTIMES[each].family](weights, side, device, RUNTIMES[each].precision),
        f"the detector cannot be run in {kind}",
    )
    return runtime
