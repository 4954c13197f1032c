"""What several test files share: a tiny network's weights, and photos."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else tests crawl on a busy machine; torch reads it when loaded

import cv2
import numpy as np
import pytest
import torch

from liftwild.network.posenet import PoseNet, PoseNetConfig
from liftwild.weights import save_weights

# Started in the background of a script, a shell has Ctrl-C ignored, and what we start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = PoseNetConfig(stacks=1, blocks=1, features=16, stem=8, input_px=64, depth_norm=True)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network that is small, untrained, and the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = PoseNet(TINY).eval()
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, net, {"sum_length_mm": 4000.0})
    return path


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a text, as it stands, into a file of the test's folder."""

    def write(text: str, name: str = "clip.bvh") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


def picture(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    """A smooth random picture (height, width, 3) uint8 RGB, unlike each of its turned and mirrored selves."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)


def encode(suffix: str, image: np.ndarray, *options: int) -> bytes:
    """The bytes of an image file; ``image`` RGB, RGBA or grey."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    done, content = cv2.imencode(suffix, np.ascontiguousarray(image), options)
    assert done
    return content.tobytes()
