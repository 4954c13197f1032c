"""A video, a network that sees somebody in it, and the command that is tried on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from liftwild.cli.main import cli
from liftwild.inference import estimator as estimator_module
from liftwild.inference.decoding import Decoded
from tests.support.poses import figure
from tests.support.videos import write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the network: somebody stands wherever one looks, and moves with the light of the frame."""

    def infer_crops(runtime: Any, crops: np.ndarray, flip_test: bool = False) -> Decoded:
        light = crops.mean(axis=(1, 2, 3), dtype=np.float32) / 255 - np.float32(0.4)
        joints = np.repeat(figure(crops.shape[1])[None], len(crops), axis=0)
        joints[:, [0, 10, 15], 0] += (8 * light)[:, None]
        depth = np.linspace(-0.2, 0.2, 16, dtype=np.float32)[None] * (1 + light)[:, None]
        return Decoded(joints, np.full((len(crops), 16), 0.7, np.float32), depth)

    monkeypatch.setattr(estimator_module, "infer_crops", infer_crops)


@pytest.fixture
def predict(tiny_weights: Path, tmp_path: Path) -> Callable[..., Result]:
    """Runs ``liftwild predict --whole`` with the tiny weights and -o tmp/out."""

    def predict(*arguments: object, out: Path | None = None, stdin: bytes | None = None) -> Result:
        given = [str(argument) for argument in arguments]
        end = ["--whole", "--weights", str(tiny_weights), "--runtime", "torch", "-o", str(out or tmp_path / "out")]
        return CliRunner().invoke(cli, ["predict", *given, *end], input=stdin)

    return predict
