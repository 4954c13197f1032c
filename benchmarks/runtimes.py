"""liftwild's runtimes as jobs, and the way that the authors' code runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from clock import Job

from liftwild.heatmap_torch import as_heatmaps
from liftwild.inference.runtimes import open_runtime
from liftwild.weights import load_weights

EAGER = "torch fp32, contiguous"  # eager PyTorch as it comes, and as the authors' code runs it
# What each row is called, which of ``runtime.RUNTIMES`` it is, and its precision.
ROWS = (
    (EAGER, "", "fp32"),
    ("torch fp32, channels_last", "torch", "fp32"),
    ("torch bf16 autocast, channels_last", "torch-bf16", "bf16"),
    ("onnx fp32", "onnx", "fp32"),
    ("openvino fp32", "openvino-fp32", "fp32"),
    ("openvino bf16", "openvino-bf16", "bf16"),
)
AUTO = "auto"


def runtime_job(weights: Path | str, pixels: np.ndarray, kind: str) -> Job:
    """Crops (B, S, S, 3) uint8 through the network: heatmaps and depths; LiftwildError where it cannot be run here."""
    run = _contiguous(weights) if kind == "" else open_runtime(weights, kind, "cpu")[0]
    return lambda: run(pixels)


def _contiguous(weights: Path | str) -> Callable[[np.ndarray], object]:
    """The network in torch with maps laid out channel by channel."""
    net, _ = load_weights(weights)

    @torch.inference_mode()
    def run(pixels: np.ndarray) -> object:
        pred = net(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())
        return as_heatmaps(pred.heatmaps[-1]) if net.config.softmax else pred.heatmaps[-1], pred.depth

    return run
