"""The network in torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from liftwild.inference.decoding import Decoded, Outputs, decode_outputs
from liftwild.inference.runtime import hash_of_bytes
from liftwild.network.posenet import PoseNet, Prediction, outputs_of


class TorchRuntime:
    """The network in torch, on ``device``; ``precision`` fp32, or bf16 where torch finds that safe (autocast)."""

    def __init__(self, net: PoseNet, device: torch.device, precision: str = "fp32") -> None:
        self.net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device, self.precision, self.input_px = device, precision, net.config.input_px
        self.subpixel = net.config.softmax
        self.name = f"torch {precision}" + ("" if device.type == "cpu" else f", {device.type}")

    @torch.inference_mode()
    def __call__(self, crops: np.ndarray) -> Outputs:
        """As ``Runtime``."""
        pixels = torch.from_numpy(np.ascontiguousarray(crops)).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            pred = self.net(pixels.permute(0, 3, 1, 2))  # as it lies in memory this is channels_last
        return as_outputs(pred, self.net.config.softmax)

    def fingerprint(self) -> str:
        """As ``Runtime``."""
        return hash_of(self.net)


def as_outputs(pred: Prediction, softmax: bool) -> Outputs:
    """What a network says, as any runtime gives it; ``softmax``: as its config has it."""
    found = {name: np.asarray(each.cpu()) for name, each in outputs_of(pred, softmax).items()}
    return Outputs(*(found.get(name) for name in Outputs._fields))  # type: ignore[arg-type]


def infer(net: PoseNet, images: Tensor, flip_test: bool = False, with_depth: bool = True) -> Decoded:
    """Run ``net`` (in evaluation mode) on ``images`` as ``PoseNet.forward`` takes them, and decode.

    ``flip_test``: also look at the mirrored images and average heatmaps and depths.
    """
    pred = net(torch.cat([images, images.flip(3)]) if flip_test else images, with_depth=with_depth)
    softmax = net.config.softmax
    return decode_outputs(as_outputs(pred, softmax), images.shape[-1], softmax, flip_test)


def hash_of(net: nn.Module) -> str:
    """What tells a network's weights from all others."""
    tensors = ((name, tensor.detach().cpu().numpy()) for name, tensor in net.state_dict().items())
    return hash_of_bytes(*(part for name, values in tensors for part in (name.encode(), values.tobytes())))
