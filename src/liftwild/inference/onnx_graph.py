"""The network as an ONNX graph: crops in, heatmaps and depths out. What runs outside torch, and what is exported."""

from __future__ import annotations

from torch import Tensor

from liftwild.inference.graph_names import CROPS, OUTPUTS
from liftwild.inference.onnx_recorder import recorded
from liftwild.network.posenet import PoseNet, outputs_of


def graph_of(net: PoseNet) -> bytes:
    """The ONNX file of ``net``, in evaluation mode on the CPU.

    Input ``crops`` (people, S, S, 3) uint8 RGB, S = ``config.input_px``; outputs as ``outputs_of`` gives them, fp32, by
    the names of ``OUTPUTS``: ``heatmaps`` (people, J, S/4, S/4), ``depth`` (people, J), ... LiftwildError without the
    onnx package.
    """

    def compute(crops: Tensor) -> dict[str, Tensor]:
        found = outputs_of(net(crops.permute(0, 3, 1, 2)), net.config.softmax)
        return {name: found[field] for name, field in OUTPUTS.items() if field in found}

    return recorded(net, compute, CROPS, *[net.config.input_px] * 2)
