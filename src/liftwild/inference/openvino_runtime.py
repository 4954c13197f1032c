"""The network in OpenVINO, on the CPU."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.inference.decoding import Outputs
from liftwild.inference.graph_names import CROPS, OUTPUTS
from liftwild.inference.model_cache import compiled
from liftwild.inference.runtime import hash_of_bytes, outputs_by_name
from liftwild.threads import compute_threads, usable_cores

_CORES: list[Any] = []  # one at most, and it stays
_MAKES_CORE = threading.Lock()


def import_openvino() -> Any:
    """The package ``openvino``, whose usage reports are shut off. LiftwildError without it.

    Importing it as it is starts a process that sends an event to a server and writes into ``~/intel``. Without the
    package ``openvino_telemetry`` it does neither, and nothing else is missing: so that package is hidden from this
    process for good.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing it is an ImportError from now on
    try:
        import openvino
    except ImportError as error:
        raise LiftwildError(f"it needs OpenVINO ({error}): pip install 'liftwild[openvino]'") from None
    return openvino


def openvino_core() -> Any:
    """OpenVINO's Core, one for the whole process. LiftwildError without OpenVINO.

    Each Core that uses the CPU gives its thread a stack for signal handlers, and when it goes puts back the one before:
    that of a Core that is gone, if there were several. The next Ctrl-C, or worker that ends, then is a crash.
    """
    openvino = import_openvino()
    with _MAKES_CORE:
        if not _CORES:
            _CORES.append(openvino.Core())
        return _CORES[0]


def computes_bf16(core: Any) -> bool:
    """Whether the CPU does, as OpenVINO sees it."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def chosen_precision(precision: str | None) -> str:
    """``precision``, fp32 or bf16; None is bf16 where the CPU computes in it. LiftwildError on bf16 where not."""
    able = computes_bf16(openvino_core())
    if precision == "bf16" and not able:
        raise LiftwildError("this CPU does not compute in bf16; take the runtime openvino")
    return precision or ("bf16" if able else "fp32")


def openvino_request(make: Callable[[], Any], precision: str, weights: str = "", **more: str) -> Any:
    """What answers for one picture or batch at a time as soon as can be, on the CPU.

    ``make`` gives the model, if it is not kept from before; ``weights``: as for ``model_cache.compiled``; ``more``:
    OpenVINO's options.
    """
    threads = compute_threads()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # On fewer than all cores it would take the first ones, as does the next process or request that does so.
        **({"ENABLE_CPU_PINNING": "NO"} if threads < usable_cores() else {}),
        "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(precision, precision),
        **more,
    }
    return compiled(openvino_core(), make, weights, options).create_infer_request()


class OpenVinoRuntime:
    """An ONNX graph, or OpenVINO's own two files, in OpenVINO on the CPU.

    ``read``: gives the graph, and the weights if they are apart. ``precision``: fp32, bf16, or None for bf16 where the
    CPU computes in it. ``digest``: tells the weights from all others; the compiled network is then kept, and ``read``
    is not asked if it is there. ``about``: the metadata of a file. LiftwildError without OpenVINO, or bf16 if the CPU
    has none; what OpenVINO raises on a file that it cannot run.
    """

    def __init__(self, read: Callable[[], Sequence[bytes]], precision: str | None = None, digest: str = "") -> None:
        self.precision = chosen_precision(precision)
        self.subpixel = False
        self.name = f"openvino {self.precision}"
        self.about: dict[str, str] = {}
        self._hash = digest

        def model() -> Any:
            content = read()
            made = openvino_core().read_model(*content)
            self.about = _about(made)
            self._hash = digest or hash_of_bytes(*content)
            side = int(made.input(CROPS).get_partial_shape()[1].get_length())
            made.reshape({CROPS: [1, side, side, 3]})
            return made

        # It crashes where it fuses chains of narrow linear layers (2026.4, a lifter of 256); 1 % slower so.
        self._request = openvino_request(model, self.precision, digest, SNIPPETS_MODE="DISABLE")
        network = self._request.get_compiled_model()
        self.input_px = int(network.input(CROPS).get_shape()[1])
        self._names = {name for output in network.outputs for name in output.get_names()}
        self._lock = threading.Lock()

    def __call__(self, crops: np.ndarray) -> Outputs:
        """As ``Runtime``. One person goes at a time, always: as fast as several together (docs/log.md), and in bf16
        several together are answered otherwise."""
        with self._lock:  # a request holds the results of one call
            each = [self._infer(crop[None]) for crop in crops]
        return outputs_by_name({name: np.concatenate([one[name] for one in each]) for name in each[0]})

    def _infer(self, crop: np.ndarray) -> dict[str, np.ndarray]:
        found = self._request.infer({CROPS: np.ascontiguousarray(crop)}, share_inputs=True, share_outputs=True)
        return {name: found[name].copy() for name in OUTPUTS if name in self._names}

    def fingerprint(self) -> str:
        """As ``Runtime``."""
        return self._hash


def _about(model: Any) -> dict[str, str]:
    """What a file says of itself."""
    info = dict(model.get_rt_info())
    kept: Any = info.get("liftwild", info.get("framework", {}))  # of OpenVINO's own files; of ONNX
    return {key: value.astype(str) for key, value in kept.items()}
