"""Frozen layers of a MobileNet in OpenVINO: on a CPU it computes them several times as fast as torch does."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from liftwild.inference.onnx_recorder import recorded
from liftwild.inference.openvino_runtime import openvino_core, openvino_request
from liftwild.network.joint_head import MobileJoints
from liftwild.network.mobilenet import MIN_PREFIX, Features, Keypoints, Prefix
from liftwild.network.posenet import PoseNet
from liftwild.training.stage import Stage

PIXELS = "pixels"
FEATURES = ("fine", "middle", "coarse", "heatmaps", "regressed")  # what all of MoveNet gives
PREFIX = ("quarter", "eighth", "sixteenth", "middle", "last")  # what its first blocks give


def frozen_layers(net: PoseNet, stage: Stage, device: torch.device, bf16: bool) -> FrozenLayers | None:
    """The layers of ``net`` that ``stage`` freezes, in OpenVINO; None where torch is as fast: off the CPU, without
    OpenVINO, or where too few are frozen."""
    there = all(importlib.util.find_spec(name) is not None for name in ("openvino", "onnx"))
    if device.type != "cpu" or not there or not isinstance(net.subnetwork, MobileJoints):
        return None
    blocks = len(net.subnetwork.movenet.trunk.blocks) - stage.last_blocks
    if stage.train == "heads":
        return FrozenLayers(net, 0, bf16)
    if stage.train == "last" and blocks >= MIN_PREFIX:
        return FrozenLayers(net, blocks, bf16)
    return None


class FrozenLayers:
    """MoveNet, or its first ``blocks`` (0: all of it), by the weights that ``net`` has when this is made."""

    def __init__(self, net: PoseNet, blocks: int, bf16: bool) -> None:
        self.blocks = blocks
        graph = recorded(net, self._layers(net), PIXELS, *[net.config.input_px] * 2)
        self._request = openvino_request(lambda: openvino_core().read_model(graph), "bf16" if bf16 else "fp32")

    def _layers(self, net: PoseNet) -> Callable[[Tensor], dict[str, Tensor]]:
        """What the graph computes: ``FEATURES``, or ``PREFIX``."""
        assert isinstance(net.subnetwork, MobileJoints)
        movenet = net.subnetwork.movenet

        def compute(pixels: Tensor) -> dict[str, Tensor]:
            images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
            if self.blocks:
                _, sides, middle, x = movenet.trunk.prefix(images, self.blocks)
                return dict(zip(PREFIX, (*sides, middle, x), strict=True))
            features, keypoints = movenet(images)
            return dict(zip(FEATURES, (*features, *keypoints), strict=True))

        return compute

    def __call__(self, images: Tensor) -> tuple[Features, Keypoints] | Prefix:
        """Their output for ``images`` (B, 3, S, S) uint8: on the CPU, fp32, without gradient."""
        pixels = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
        found = self._request.infer({PIXELS: pixels}, share_inputs=True)

        def tensors(names: tuple[str, ...]) -> list[Tensor]:
            return [torch.from_numpy(np.array(found[name])) for name in names]

        if self.blocks:
            quarter, eighth, sixteenth, middle, x = tensors(PREFIX)
            return Prefix(self.blocks, (quarter, eighth, sixteenth), middle, x)
        fine, middle, coarse, heatmaps, regressed = tensors(FEATURES)
        return Features(fine, middle, coarse), Keypoints(heatmaps, regressed)


def frozen_outputs(
    net: PoseNet, stage: Stage, frozen: FrozenLayers | None, images: Tensor
) -> tuple[Features, Keypoints] | Prefix | None:
    """The output of the frozen layers for ``images``, where it is computed apart: by ``frozen``, or for a teacher."""
    if frozen is not None:
        return frozen(images)
    if stage.pretrained_share == 0:
        return None
    assert isinstance(net.subnetwork, MobileJoints)
    with torch.no_grad():  # as ``PoseNet.forward`` would
        answer: tuple[Features, Keypoints] = net.subnetwork.movenet(images.float() / 127.5 - 1)
    return answer


def teacher_log_odds(net: PoseNet, answer: tuple[Features, Keypoints] | Prefix | None) -> Tensor:
    """MoveNet's own heatmaps of COCO's joints, log-odds (B, 17, H, W), in a stage that freezes it."""
    assert isinstance(net.subnetwork, MobileJoints) and answer is not None and not isinstance(answer, Prefix)
    with torch.no_grad():
        return net.subnetwork.movenet.log_likelihood(answer[1])
