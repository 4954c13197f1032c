"""The network in torch."""

from __future__ import annotations

import numpy as np
import torch

from liftwild.inference.runtime import hash_of
from liftwild.network.posenet import Outputs, PoseNet, outputs_of


class TorchRuntime:
    """The network in torch, on ``device``; ``precision`` fp32, or bf16 where torch finds that safe (autocast)."""

    def __init__(self, net: PoseNet, device: torch.device, precision: str = "fp32") -> None:
        self.net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device, self.precision, self.input_px = device, precision, net.config.input_px
        self.subpixel = net.config.softmax
        self.name = f"torch {precision}" + ("" if device.type == "cpu" else f", {device.type}")

    @torch.inference_mode()
    def __call__(self, crops: np.ndarray) -> Outputs:
        """As ``Runtime``; the results lie on the device."""
        pixels = torch.from_numpy(np.ascontiguousarray(crops)).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            pred = self.net(pixels.permute(0, 3, 1, 2))  # as it lies in memory this is channels_last
        return outputs_of(pred, self.net.config.softmax)

    def fingerprint(self) -> str:
        """As ``Runtime``."""
        return hash_of(self.net)
