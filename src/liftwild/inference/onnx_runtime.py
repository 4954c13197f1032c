"""The network in ONNX Runtime, on the CPU."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.inference.decoding import Outputs
from liftwild.inference.graph_names import CROPS, OUTPUTS
from liftwild.inference.runtime import hash_of_bytes, outputs_by_name
from liftwild.threads import compute_threads


def onnx_session(graph: bytes) -> Any:
    """An ONNX graph in ONNX Runtime on the CPU. LiftwildError without ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError as error:
        raise LiftwildError(f"it needs ONNX Runtime ({error}): pip install 'liftwild[onnx]'") from None
    onnxruntime.disable_telemetry_events()  # usage reports, which its builds for Windows have
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = compute_threads()
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
        self.name, self.subpixel = f"onnx {self.precision}", False
        self._names = [each.name for each in self._session.get_outputs() if each.name in OUTPUTS]
        (crops,) = (each for each in self._session.get_inputs() if each.name == CROPS)
        self.input_px = int(crops.shape[1])
        self._hash = hash_of_bytes(graph)

    def __call__(self, crops: np.ndarray) -> Outputs:
        """As ``Runtime``."""
        found = self._session.run(self._names, {CROPS: np.ascontiguousarray(crops)})
        return outputs_by_name(dict(zip(self._names, found, strict=True)))

    def fingerprint(self) -> str:
        """As ``Runtime``."""
        return self._hash
