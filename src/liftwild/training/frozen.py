"""A frozen sub-network in OpenVINO: on a CPU it computes features several times as fast as torch does."""

from __future__ import annotations

import importlib.util

import numpy as np
import torch
from torch import Tensor

from liftwild.network.joint_head import MobileJoints
from liftwild.network.mobilenet import Features, Keypoints
from liftwild.network.posenet import PoseNet
from liftwild.predict.graph import CROPS
from liftwild.predict.mobilenet_graph import FEATURES, MobileWriter
from liftwild.predict.runtime import openvino_core


def frozen_features(net: PoseNet, device: torch.device, bf16: bool) -> FrozenFeatures | None:
    """What computes the pretrained features of ``net`` where that is faster than torch: None off the CPU, and without
    OpenVINO."""
    there = all(importlib.util.find_spec(name) is not None for name in ("openvino", "onnx"))
    if device.type != "cpu" or not there or not isinstance(net.subnetwork, MobileJoints):
        return None
    return FrozenFeatures(net, bf16)


class FrozenFeatures:
    """``Features`` and ``Keypoints`` of images (B, 3, S, S) uint8, by ``net``'s weights of when this was made."""

    def __init__(self, net: PoseNet, bf16: bool) -> None:
        core = openvino_core()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        }
        model = core.read_model(MobileWriter().features(net))
        self._request = core.compile_model(model, "CPU", options).create_infer_request()

    def __call__(self, images: Tensor) -> tuple[Features, Keypoints]:
        """On the CPU, fp32, without gradient."""
        pixels = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
        found = self._request.infer({CROPS: pixels}, share_inputs=True)
        fine, middle, coarse, heatmaps, regressed = (torch.from_numpy(np.array(found[name])) for name in FEATURES)
        return Features(fine, middle, coarse), Keypoints(heatmaps, regressed)
