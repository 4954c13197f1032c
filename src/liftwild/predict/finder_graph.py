"""The finder's network in OpenVINO, where the poses are computed there too."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import torch

from liftwild.errors import reason_of
from liftwild.finder_net import MOST_SIDE, STRIDE, FinderNet, PeopleMaps
from liftwild.network.posenet import Hourglass
from liftwild.predict.estimator import Estimator
from liftwild.predict.graph import Writer
from liftwild.predict.runtime import OpenVinoRuntime, openvino_core

PHOTOS, MAPS = "photos", "maps"


def finder_graph(net: FinderNet) -> bytes:
    """The ONNX file of ``net``, in evaluation mode on the CPU.

    Input ``photos`` (B, S, S, 3) uint8 RGB, S = ``config.input_px``; output ``maps`` (B, 5, S/4, S/4) fp32: log-odds of
    centres, and logs of the four sides in cells. LiftwildError without the onnx package.
    """
    return _FinderWriter().file(net)


class _FinderWriter(Writer):
    def file(self, net: FinderNet) -> bytes:
        """The whole."""
        side, cells = net.config.input_px, net.config.input_px // STRIDE
        with torch.no_grad():
            self._finder(net)
        taken, given = ("photos", side, side, 3), ("photos", 5, cells, cells)
        return self.written("liftwild-finder", {PHOTOS: taken}, {MAPS: given})

    def _finder(self, net: FinderNet) -> None:
        """As ``FinderNet.forward``, up to the logs of the sides."""
        x = self.add("Transpose", self.add("Cast", PHOTOS, to=self.onnx.TensorProto.FLOAT), perm=[0, 3, 1, 2])
        x = self.add("Sub", self.add("Mul", x, self.constant(1 / 255)), self.constant(0.5))
        fine = self.chain(x, net.stem)
        low, parts = fine, list(net.body)
        (at,) = (i for i, part in enumerate(parts) if isinstance(part, Hourglass))
        hourglass: Any = parts[at]
        low = self.chain(self.hourglass(self.chain(low, parts[:at]), hourglass), parts[at + 1 :])
        self.add("Identity", self.chain(self.add("Add", fine, self.doubled(low)), net.head), out=MAPS)


class OpenVinoFinder:
    """A FinderNet in OpenVINO on the CPU: pictures (B, S, S, 3) uint8 RGB in, ``PeopleMaps`` out.

    In fp32: bf16 would save 2 ms, and cost two points of recall and three of precision (docs/finder.md). LiftwildError
    without OpenVINO or onnx; what OpenVINO raises if it cannot run it.
    """

    def __init__(self, net: FinderNet) -> None:
        core = openvino_core()
        model = core.read_model(finder_graph(net))
        side = net.config.input_px
        model.reshape({PHOTOS: [1, side, side, 3]})  # for one photo at a time: a sixth faster than for any number
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._request = core.compile_model(model, "CPU", options).create_infer_request()
        self._lock = threading.Lock()

    def __call__(self, pixels: np.ndarray) -> PeopleMaps:
        """As ``FinderNet.forward``."""
        maps = []
        with self._lock:  # a request holds the results of one call
            for one in pixels:
                found = self._request.infer({PHOTOS: one[None]}, share_inputs=True, share_outputs=True)
                maps.append(found[MAPS].copy())
        together = torch.from_numpy(np.concatenate(maps))
        return PeopleMaps(together[:, 0], STRIDE * together[:, 1:].clamp(max=MOST_SIDE).exp())


def faster_finder(net: FinderNet, estimator: Estimator | None) -> OpenVinoFinder | None:
    """``net``, on the CPU, in OpenVINO where ``estimator`` runs there; None elsewhere.

    A line on stderr if it cannot be run there.
    """
    if estimator is None or not isinstance(estimator.runtime, OpenVinoRuntime):
        return None
    try:
        return OpenVinoFinder(net)
    except Exception as error:  # whatever such a library raises
        print(f"note: the finder cannot be run in openvino, torch runs it instead: {reason_of(error)}", file=sys.stderr)
        return None
