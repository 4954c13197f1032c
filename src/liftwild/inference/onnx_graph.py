"""The network as an ONNX graph: crops in, heatmaps and depths out. What runs outside torch, and what is exported.

Written from the network's modules instead of traced, which takes a thirtieth of a second instead of many, needs no
exporter of torch's, and fits any number of people. tests/test_runtime.py holds it against the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from liftwild.errors import LiftwildError
from liftwild.network.depth import DepthModule
from liftwild.network.hourglass import Hourglass, Residual, Stack, StackedHourglass
from liftwild.network.posenet import PoseNet

OPSET, IR_VERSION = 17, 8  # of 2022: whatever reads ONNX today reads these
CROPS, HEATMAPS, DEPTH = "crops", "heatmaps", "depth"
LOG_SPREAD, INSIDE, VISIBLE, JOINTS = "depth_log_spread", "inside", "visible", "joints"  # of networks with a lifter
MAPS = "maps"  # what the convolutions that give heatmaps, and smooth them, are called first


def graph_of(net: PoseNet, about: Mapping[str, str] | None = None) -> bytes:
    """The ONNX file of ``net``, in evaluation mode on the CPU; ``about`` becomes its metadata.

    Input ``crops`` (people, S, S, 3) uint8 RGB, S = ``config.input_px``; outputs ``heatmaps`` (people, J, S/4, S/4), as
    ``heatmap.as_heatmaps`` makes them where the network is of that kind, and ``depth`` (people, J), both fp32. Batch
    norms are folded into the convolutions before them. LiftwildError without the onnx package.
    """
    if net.config.subnetwork == "mobilenet":
        from liftwild.inference.mobilenet_graph import MobileWriter

        return MobileWriter().model(net, about or {})
    return Writer().model(net, about or {})


Shapes = Mapping[str, Sequence[int | str]]  # by the name of what has it; a str is any number


class Writer:
    """Nodes and constants of one graph; every method adds some and returns the name of their result."""

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError as error:
            raise LiftwildError(
                f"it needs the package onnx ({error}): pip install 'liftwild[openvino]' or 'liftwild[onnx]'"
            ) from None
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def model(self, net: PoseNet, about: Mapping[str, str]) -> bytes:
        """The whole file: ``graph_of``."""
        side = net.config.input_px
        with torch.no_grad():
            self.network(net)
        return self.written("liftwild", {CROPS: ["people", side, side, 3]}, self.outputs(net), about)

    def outputs(self, net: PoseNet) -> Shapes:
        """What the graph gives, by name."""
        joints, cells = net.config.joints, net.config.heatmap_px
        return {HEATMAPS: ("people", joints, cells, cells), DEPTH: ("people", joints)}

    def pixels(self) -> str:
        """The crops as (people, 3, S, S) in [0, 255], fp32."""
        return self.add("Transpose", self.add("Cast", CROPS, to=self.onnx.TensorProto.FLOAT), perm=[0, 3, 1, 2])

    def written(self, name: str, inputs: Shapes, outputs: Shapes, about: Mapping[str, str] | None = None) -> bytes:
        """The file of what was added: uint8 inputs and fp32 outputs by name, with their shapes."""
        helper, kind = self.onnx.helper, self.onnx.TensorProto
        taken, given = (
            [helper.make_tensor_value_info(each, dtype, shape) for each, shape in values.items()]
            for dtype, values in ((kind.UINT8, inputs), (kind.FLOAT, outputs))
        )
        graph = helper.make_graph(self.nodes, name, taken, given, self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="liftwild")
        helper.set_model_props(model, dict(about or {}))
        return bytes(model.SerializeToString())

    def constant(self, values: Any, dtype: type = np.float32) -> str:
        """A constant: a tensor as fp32, anything else as ``dtype``."""
        array = values.float().numpy() if isinstance(values, Tensor) else np.array(values, dtype)
        name = f"constant{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operation: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """A node of ONNX's ``operation``; its result is called ``out``, or by its number."""
        out = out or f"{operation}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operation, inputs, [out], out, **attributes))
        return out

    def network(self, net: PoseNet) -> None:
        """As ``PoseNet.forward``, with what comes before and after it."""
        body, module = net.subnetwork, net.depth
        assert isinstance(body, StackedHourglass) and isinstance(module, DepthModule)
        x = self.add("Sub", self.add("Mul", self.pixels(), self.constant(1 / 255)), self.constant(0.5))
        x = self.chain(x, body.stem)
        for number, stack in enumerate(body.stacks):
            assert isinstance(stack, Stack)
            features = self.chain(self.hourglass(x, stack.hourglass), stack.head)
            maps = self.conv(features, stack.to_heatmaps, out=f"{MAPS}{number}")
            both = self.add("Add", self.conv(features, stack.from_features), self.conv(maps, stack.from_heatmaps))
            x = self.add("Add", x, both)
        if net.config.softmax:
            maps = self.smoothed(self.chance(maps, net), net)
        self.add("Identity", maps, out=HEATMAPS)
        x = self.add("Flatten", self.chain(x, (module.enter, module.levels, module.leave)), axis=1)
        weight, bias = self.constant(module.linear.weight), self.constant(module.linear.bias)
        self.add("Gemm", x, weight, bias, out=DEPTH, transB=1)

    def chain(self, x: str, parts: Iterable[nn.Module]) -> str:
        """``parts`` one after another, sequences opened."""
        waiting = list(parts)
        while waiting:
            part = waiting.pop(0)
            if isinstance(part, nn.Sequential):
                waiting = [*part, *waiting]
            elif isinstance(part, Residual):
                x = self.residual(x, part)
            elif isinstance(part, nn.Conv2d):
                follows = bool(waiting) and isinstance(waiting[0], nn.BatchNorm2d)
                x = self.conv(x, part, waiting.pop(0) if follows else None)
            elif isinstance(part, nn.BatchNorm2d):
                x = self.norm(x, part)
            elif isinstance(part, nn.ReLU):
                x = self.add("Relu", x)
            elif isinstance(part, nn.LeakyReLU):
                x = self.add("LeakyRelu", x, alpha=part.negative_slope)
            elif isinstance(part, nn.MaxPool2d):
                x = self.pool(x, part)
            elif not isinstance(part, nn.Identity):
                raise TypeError(f"the graph has no {type(part).__name__}")
        return x

    def residual(self, x: str, part: Residual) -> str:
        """As ``Residual.forward``."""
        y = self.conv(self.add("Relu", self.norm(x, part.bn1)), part.conv1, part.bn2)
        y = self.conv(self.add("Relu", y), part.conv2, part.bn3)
        y = self.conv(self.add("Relu", y), part.conv3)
        return self.add("Add", y, self.chain(x, [part.skip]))

    def hourglass(self, x: str, part: Hourglass) -> str:
        """As ``Hourglass.forward``."""
        low = self.chain(self.pool(x), part.down)
        low = self.hourglass(low, part.inner) if isinstance(part.inner, Hourglass) else self.chain(low, part.inner)
        return self.add("Add", self.chain(x, part.skip), self.doubled(self.chain(low, part.up)))

    def doubled(self, x: str) -> str:
        """Twice as high and wide, by nearest neighbours."""
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.add("Resize", x, "", self.constant([1, 1, 2, 2]), **how)

    def conv(self, x: str, conv: nn.Conv2d, norm: nn.Module | None = None, out: str = "") -> str:
        """A convolution, with the batch norm that follows it folded in."""
        assert conv.bias is not None and isinstance(conv.padding, tuple)
        weight, bias = conv.weight.double(), conv.bias.double()
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            weight = weight * scale[:, None, None, None]
            bias = norm.bias.double() + (bias - norm.running_mean.double()) * scale
        return self.add(
            "Conv", x, self.constant(weight), self.constant(bias), out=out, kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride), pads=[*conv.padding, *conv.padding],
        )  # fmt: skip

    def norm(self, x: str, norm: nn.BatchNorm2d) -> str:
        """A batch norm by itself, as it is in evaluation."""
        assert norm.running_mean is not None and norm.running_var is not None
        numbers = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        return self.add("BatchNormalization", x, *(self.constant(each) for each in numbers), epsilon=norm.eps)

    def pool(self, x: str, part: nn.MaxPool2d | None = None) -> str:
        """As ``part``, all of whose numbers are whole; the highest of 2 x 2 where that is None."""
        size, stride, pad = (2, 2, 0) if part is None else (part.kernel_size, part.stride, part.padding)
        return self.add("MaxPool", x, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def chance(self, log_odds: str, net: PoseNet) -> str:
        """The softmax over each map."""
        joints, cells = net.config.joints, net.config.heatmap_px
        flat = self.add("Reshape", log_odds, self.constant([0, joints, -1], np.int64))
        share = self.add("Softmax", flat, axis=-1)
        return self.add("Reshape", share, self.constant([0, joints, cells, cells], np.int64))

    def smoothed(self, share: str, net: PoseNet) -> str:
        """What ``heatmap.as_heatmaps`` makes of ``chance``."""
        joints = net.config.joints
        kernel = np.exp(-(np.arange(-3, 4) ** 2) / 2)
        for axis, shape, pads, scale in (("y", (7, 1), [3, 0, 3, 0], 2.0), ("x", (1, 7), [0, 3, 0, 3], 1.0)):
            weight = self.constant(np.tile((scale * kernel).reshape(1, 1, *shape), (joints, 1, 1, 1)))
            share = self.add(
                "Conv", share, weight, out=f"{MAPS}_smooth_{axis}", group=joints, kernel_shape=shape, pads=pads
            )
        return share
