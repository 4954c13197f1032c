"""ONNX graphs of what torch computes: each operation is written down when torch does it, so a network is written once.

Torch's own exporters need further packages, or seconds; this takes one pass of the network. It knows the operations of
liftwild's networks (``ELEMENTWISE``, ``WRITERS``). tests/inference/test_runtime.py holds graphs against networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from liftwild.errors import LiftwildError

OPSET, IR_VERSION = 17, 8  # of 2022: whatever reads ONNX today reads these
END = 2**31 - 1  # of a slice: the axis' own


def recorded(
    net: nn.Module, compute: Callable[[Tensor], Mapping[str, Tensor]], name: str, height: int, width: int
) -> bytes:
    """The ONNX file of ``compute``, which computes with ``net``, on the CPU.

    ``compute`` takes pictures (people, ``height``, ``width``, 3) uint8 RGB, the input called ``name``, and gives the
    outputs (people, ...) fp32 by name; there may be any number of people. Convolutions are called as the layers of
    ``net``; padding before them and batch norms after them become part of them. LiftwildError without the onnx
    package; NotImplementedError on an operation that is not known here.
    """
    graph = Recorder(net)
    pictures = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    graph.names[id(pictures)] = name
    with torch.no_grad(), graph:
        outputs = compute(pictures)
    for output, tensor in outputs.items():
        graph.add("Identity", tensor, out=output)
    helper, kind = graph.onnx.helper, graph.onnx.TensorProto
    taken = helper.make_tensor_value_info(name, kind.UINT8, ["people", height, width, 3])
    given = [
        helper.make_tensor_value_info(output, kind.FLOAT, ["people", *tensor.shape[1:]])
        for output, tensor in outputs.items()
    ]
    whole = helper.make_graph(graph.nodes, "liftwild", [taken], given, graph.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION, producer_name="liftwild")
    return bytes(model.SerializeToString())


class Recorder(TorchFunctionMode):
    """Nodes and constants of one graph. ``names``: of the tensors that the graph computes, by their ``id``."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        try:
            import onnx
        except ImportError as error:
            raise LiftwildError(
                f"it needs the package onnx ({error}): pip install 'liftwild[openvino]' or 'liftwild[onnx]'"
            ) from None
        self.onnx = onnx
        self.layers = {id(value): name.removesuffix(".weight") for name, value in net.named_parameters()}
        self.names: dict[int, str] = {}
        self.kept: list[Tensor] = []  # of these names, so that no ``id`` is given away again
        # By name, what torch was given: a batch norm goes into the one before it, one goes into a convolution after it.
        self.convolutions: dict[str, tuple[Any, ...]] = {}
        self.paddings: dict[str, tuple[Tensor, Sequence[int]]] = {}
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Torch's result of ``function``; what it does to a tensor of the graph is written down."""
        result = function(*args, **(kwargs or {}))
        inputs = args[0] if args and isinstance(args[0], list | tuple) else args
        is_new = isinstance(result, Tensor) and id(result) not in self.names
        operation = function.__name__.strip("_")
        if is_new and operation not in CONSTANT and any(id(each) in self.names for each in inputs):
            if operation in ELEMENTWISE:
                kind = next(each.dtype for each in inputs if isinstance(each, Tensor))
                both = (each if isinstance(each, Tensor) else torch.tensor(each, dtype=kind) for each in inputs[:2])
                name = self.add(ELEMENTWISE[operation], *both)
            elif operation in WRITERS:
                name = WRITERS[operation](self, result, *args, **(kwargs or {}))
            else:
                raise NotImplementedError(f"no ONNX is known for {resolve_name(function)}")
            self.names[id(result)] = name
            self.kept.append(result)
        return result

    def add(self, operation: str, *inputs: Any, out: str = "", **attributes: Any) -> str:
        """A node of ONNX's ``operation``; its result is called ``out``, or by its number.

        ``inputs``: names of results, tensors, and constants: numbers (fp32) and lists of whole numbers (int64).
        """
        out = out or f"{operation}{len(self.nodes)}"
        names = [each if isinstance(each, str) else self.names.get(id(each)) or self._constant(each) for each in inputs]
        self.nodes.append(self.onnx.helper.make_node(operation, names, [out], out, **attributes))
        return out

    def ends_with(self, x: Tensor, those: Mapping[str, Any]) -> bool:
        """Whether the last node gives ``x`` and is one of ``those``, by name."""
        return self.nodes[-1].name == self.names[id(x)] and self.nodes[-1].name in those

    def _constant(self, values: Any) -> str:
        array = values.numpy() if isinstance(values, Tensor) else values
        if not isinstance(array, np.ndarray):
            array = np.array(values, np.int64 if isinstance(values, list) else np.float32)
        name = f"constant{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


# The writers take what torch was given, after the graph and torch's result; they return the name of the result.


def _conv(
    graph: Recorder, result: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1,
    padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> str:  # fmt: skip
    pads = _pair(padding) * 2
    if graph.ends_with(x, graph.paddings):
        x, (left, right, top, bottom) = graph.paddings[graph.names[id(x)]]
        pads = [pads[0] + top, pads[1] + left, pads[2] + bottom, pads[3] + right]
        del graph.nodes[-1], graph.constants[-1]
    how = {"kernel_shape": weight.shape[2:], "strides": _pair(stride), "pads": pads, "group": groups}
    return _convolution(graph, graph.layers.get(id(weight), ""), x, weight, bias, how)


def _convolution(
    graph: Recorder, name: str, x: Tensor, weight: Tensor, bias: Tensor | None, how: dict[str, Any]
) -> str:
    numbers = [each.float() for each in (weight, bias) if each is not None]
    name = graph.add("Conv", x, *numbers, out=name, **how)
    graph.convolutions[name] = (x, weight, bias, how)
    return name


def _batch_norm(
    graph: Recorder, result: Tensor, x: Tensor, mean: Tensor, variance: Tensor, *, weight: Tensor, bias: Tensor,
    eps: float, **_: Any,
) -> str:  # fmt: skip
    if not graph.ends_with(x, graph.convolutions):
        return graph.add("BatchNormalization", x, weight, bias, mean, variance, epsilon=eps)
    name = graph.names[id(x)]
    source, kernel, shift, how = graph.convolutions[name]
    del graph.nodes[-1], graph.constants[-2:]
    scale = weight.double() / (variance.double() + eps).sqrt()
    shift = bias.double() + (shift.double() - mean.double()) * scale
    return _convolution(graph, name, source, kernel.double() * scale[:, None, None, None], shift, how)


def _max_pool(
    graph: Recorder, result: Tensor, x: Tensor, size: int, *, stride: int | None, padding: int, **_: Any
) -> str:
    return graph.add("MaxPool", x, kernel_shape=_pair(size), strides=_pair(stride or size), pads=[padding] * 4)


def _avg_pool(
    graph: Recorder, result: Tensor, x: Tensor, size: int, stride: int | None = None, padding: int = 0
) -> str:
    return graph.add(
        "AveragePool", x, kernel_shape=_pair(size), strides=_pair(stride or size), pads=[padding] * 4,
        count_include_pad=1,
    )  # fmt: skip


def _pad(graph: Recorder, result: Tensor, x: Tensor, sides: Sequence[int], **_: Any) -> str:
    left, right, top, bottom = sides
    out = graph.add("Pad", x, [0, 0, top, left, 0, 0, bottom, right])
    graph.paddings[out] = (x, sides)
    return out


def _interpolate(graph: Recorder, result: Tensor, x: Tensor, *, scale_factor: float, mode: str, **_: Any) -> str:
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if mode == "nearest":
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.add("Resize", x, "", np.array([1, 1, scale_factor, scale_factor], np.float32), **how)


def _linear(graph: Recorder, result: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> str:
    product = graph.add("MatMul", x, weight.T)
    return product if bias is None else graph.add("Add", product, bias)


def _layer_norm(
    graph: Recorder, result: Tensor, x: Tensor, shape: Sequence[int], *, weight: Tensor, bias: Tensor, eps: float
) -> str:
    return graph.add("LayerNormalization", x, weight, bias, axis=-len(shape), epsilon=eps)


def _clamp(graph: Recorder, result: Tensor, x: Tensor, min: float | None = None, max: float | None = None) -> str:
    return graph.add("Clip", x, *("" if limit is None else float(limit) for limit in (min, max)))


def _square(graph: Recorder, result: Tensor, x: Tensor, exponent: int) -> str:
    if exponent != 2:
        raise NotImplementedError(f"no ONNX is known for a power of {exponent}")
    return graph.add("Mul", x, x)


def _reverse_sub(graph: Recorder, result: Tensor, x: Tensor, other: float) -> str:
    return graph.add("Sub", float(other), x)


def _to_float(graph: Recorder, result: Tensor, x: Tensor, dtype: torch.dtype = torch.float32) -> str:
    if dtype != torch.float32:
        raise NotImplementedError(f"no ONNX is known for a change to {dtype}")
    return graph.add("Cast", x, to=graph.onnx.TensorProto.FLOAT)


def _stack(graph: Recorder, result: Tensor, parts: Sequence[Tensor], dim: int) -> str:
    return graph.add("Concat", *(graph.add("Unsqueeze", part, [dim]) for part in parts), axis=dim)


def _sum(graph: Recorder, result: Tensor, x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> str:
    return graph.add("ReduceSum", x, list(dim) if isinstance(dim, tuple) else [dim], keepdims=int(keepdim))


def _transpose(graph: Recorder, result: Tensor, x: Tensor, one: int, other: int) -> str:
    axes = list(range(x.ndim))
    axes[one], axes[other] = axes[other], axes[one]
    return graph.add("Transpose", x, perm=axes)


def _part(graph: Recorder, result: Tensor, x: Tensor, index: Any) -> str:
    """``x[index]``: slices and numbers cut axes, None and numbers change the shape."""
    index = index if isinstance(index, tuple) else (index,)
    named = sum(each is not None and each is not ... for each in index)
    axis, cuts = 0, []
    for each in index:
        if each is ...:
            axis += x.ndim - named
        elif isinstance(each, int):
            cuts.append((each, each + 1 or END, axis))
        elif isinstance(each, slice) and each != slice(None):
            cuts.append((each.start or 0, END if each.stop is None else each.stop, axis))
        axis += each is not None and each is not ...
    cut = graph.add("Slice", x, *map(list, zip(*cuts, strict=True))) if cuts else x
    return _shaped(graph, result, x, name=cut)


def _shaped(graph: Recorder, result: Tensor, x: Tensor, *_: Any, name: Any = None) -> str:
    """``x``, or what is called ``name`` and was a part of it, in the shape of ``result``, for any number of people."""
    first = 0 if x.shape[0] == result.shape[0] else -1  # ONNX: as before, or what the others leave
    return graph.add("Reshape", x if name is None else name, [first, *result.shape[1:]])


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


# Torch's functions by name. Those that are one node, whose inputs are the first one or two of torch's:
ELEMENTWISE = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "remainder": "Mod", "matmul": "MatMul", "abs": "Abs",
    "neg": "Neg", "log": "Log", "sqrt": "Sqrt", "sigmoid": "Sigmoid", "relu": "Relu", "le": "LessOrEqual",
}  # fmt: skip
# Those that give constants, whatever a tensor holds:
CONSTANT = {"new_tensor", "arange"}
# All others:
WRITERS: dict[str, Callable[..., str]] = {
    "conv2d": _conv, "batch_norm": _batch_norm, "max_pool2d": _max_pool, "avg_pool2d": _avg_pool, "pad": _pad,
    "interpolate": _interpolate, "linear": _linear, "layer_norm": _layer_norm, "clamp": _clamp, "pow": _square,
    "rsub": _reverse_sub, "float": _to_float, "to": _to_float, "stack": _stack, "sum": _sum, "transpose": _transpose,
    "getitem": _part, "flatten": _shaped, "view": _shaped, "view_as": _shaped,
    "relu6": lambda graph, result, x, **_: graph.add("Clip", x, 0.0, 6.0),
    "leaky_relu": lambda graph, result, x, negative_slope, **_: graph.add("LeakyRelu", x, alpha=negative_slope),
    "log_sigmoid": lambda graph, result, x: graph.add("Neg", graph.add("Softplus", graph.add("Neg", x))),
    "softmax": lambda graph, result, x, dim: graph.add("Softmax", x, axis=dim),
    "argmax": lambda graph, result, x, dim: graph.add("ArgMax", x, axis=dim, keepdims=0),
    "permute": lambda graph, result, x, *axes: graph.add("Transpose", x, perm=axes),
    "cat": lambda graph, result, parts, dim: graph.add("Concat", *parts, axis=dim),
    "pixel_shuffle": lambda graph, result, x, by: graph.add("DepthToSpace", x, blocksize=by, mode="CRD"),
    "gather": lambda graph, result, x, dim, index: graph.add("GatherElements", x, index, axis=dim),
    "expand": lambda graph, result, x, *_: graph.add("Expand", x, [1, *result.shape[1:]]),
    "flip": lambda graph, result, x, dim: graph.add("Slice", x, [-1], [-END], [dim], [-1]),
}  # fmt: skip
