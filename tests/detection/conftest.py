"""A tiny detector, and what it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from liftwild.detection.network import DetectorNet
from liftwild.detection.weights import save_detector
from tests.support.detectors import TINY


@pytest.fixture(scope="session")
def tiny_net() -> DetectorNet:
    """A tiny network, untrained."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DetectorNet(TINY).eval()


@pytest.fixture(scope="session")
def weights(tiny_net: DetectorNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights."""
    path = tmp_path_factory.mktemp("detector") / "tiny.safetensors"
    save_detector(path, tiny_net, {"min_score": 0.3})
    return path
