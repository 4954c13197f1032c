"""A video, a network that sees somebody in it, and the command that is tried on them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import liftwild
from liftwild.boxes import body_box
from liftwild.cli.main import cli
from liftwild.crop import BOX_MARGIN
from liftwild.inference import estimator as estimator_module
from liftwild.network.posenet import Decoded
from tests.conftest import encode
from tests.media.test_video import FRAMES, frame_of, write_video
from tests.support.labelled import STANDING

BOX = "10,6,30,36"
ENV = {**os.environ, "PYTHONPATH": str(Path(liftwild.__file__).parent.parent)}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4")


def figure(input_px: int) -> np.ndarray:
    """Joints (16, 2) px of a standing person in a network's input whose body's box is where it was looked for."""
    joints = STANDING[:, :2]
    x, y, w, h = body_box(joints, np.ones(16, dtype=bool)) or (0.0, 0.0, 1.0, 1.0)
    return (joints - (x + w / 2, y + h / 2)) * (input_px / BOX_MARGIN / max(w, h)) + input_px / 2


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the network: somebody stands wherever one looks, and moves with the light of the frame."""

    def look(runtime: Any, crops: np.ndarray, flip_test: bool = False) -> Decoded:
        images = torch.from_numpy(crops)
        light = images.float().mean(dim=(1, 2, 3)) / 255 - 0.4
        joints = torch.from_numpy(figure(images.shape[1]))[None].repeat(len(images), 1, 1)
        joints[:, [0, 10, 15], 0] += (8 * light)[:, None]
        depth = torch.linspace(-0.2, 0.2, 16)[None] * (1 + light)[:, None]
        return Decoded(joints, torch.full((len(images), 16), 0.7), depth)

    monkeypatch.setattr(estimator_module, "look", look)


@pytest.fixture
def predict(tiny_weights: Path, tmp_path: Path) -> Callable[..., Result]:
    """Runs ``liftwild predict --whole`` with the tiny weights and -o tmp/out."""

    def predict(*arguments: object, out: Path | None = None, stdin: bytes | None = None) -> Result:
        given = [str(argument) for argument in arguments]
        end = ["--whole", "--weights", str(tiny_weights), "--runtime", "torch", "-o", str(out or tmp_path / "out")]
        return CliRunner().invoke(cli, ["predict", *given, *end], input=stdin)

    return predict


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def document(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def folder_of(path: Path, frames: int = FRAMES) -> Path:
    """A folder of ``frames`` numbered frames."""
    path.mkdir(parents=True)
    for number in range(frames):
        (path / f"{number}.png").write_bytes(encode(".png", frame_of(number)))
    return path
