"""The runtimes that users can name. Loads nothing heavy: the command line's help lists them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuntimeKind:
    """A runtime by its ``name``. ``library``: the module that it needs, "" for torch alone; ``precision``: "" for the
    fastest that the CPU computes in; ``suffixes``: of the exported files that it runs."""

    name: str
    library: str
    precision: str
    suffixes: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name without its precision."""
        return self.name.partition("-")[0]


RUNTIMES = {
    kind.name: kind
    for kind in (
        RuntimeKind("torch", "", "fp32"),
        RuntimeKind("torch-bf16", "", "bf16"),
        RuntimeKind("openvino", "openvino", "", (".onnx", ".xml")),
        RuntimeKind("openvino-fp32", "openvino", "fp32", (".onnx", ".xml")),
        RuntimeKind("openvino-bf16", "openvino", "bf16", (".onnx", ".xml")),
        RuntimeKind("onnx", "onnxruntime", "fp32", (".onnx",)),
    )
}
AUTO = "auto"  # the fastest that is installed
RUNTIME_NAMES = (AUTO, *RUNTIMES)
EXPORTED = tuple(dict.fromkeys(suffix for kind in RUNTIMES.values() for suffix in kind.suffixes))
