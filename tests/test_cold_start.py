"""What is loaded before anything is done: nothing heavy for help, nothing but what predicting needs for a photo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.extras import OTHER_LIBRARIES, RUNTIME_LIBRARIES, SERVER_LIBRARIES
from tests.support.images import encode, picture
from tests.support.paths import SRC

# What takes more than a few hundredths of a second to load.
HEAVY = {"torch", "numpy", "cv2", "safetensors", "tqdm"} | RUNTIME_LIBRARIES
ROOMS = ("liftwild.training", "liftwild.synthetic", "liftwild.evaluation", "torch._dynamo", "torch._inductor")


def loaded(*arguments: object) -> set[str]:
    """Names of all modules that a ``liftwild`` command imports, as Python tells them."""
    command = [sys.executable, "-X", "importtime", "-m", "liftwild", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    names = {line.rpartition("|")[2].strip() for line in lines}
    assert "click" in names  # or nothing has been read
    return names


@pytest.mark.parametrize("command", ("", "predict", "train", "evaluate", "render", "serve"))
def test_help_loads_nothing_heavy(command: str) -> None:
    names = {name.partition(".")[0] for name in loaded(*command.split(), "--help")}
    allowed = {"numpy"} if command == "predict" else set()  # the table of formats needs it
    assert not names & ((HEAVY | OTHER_LIBRARIES | SERVER_LIBRARIES) - allowed)


def test_a_photo_loads_only_what_it_needs(tmp_path: Path, tiny_weights: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encode(".jpg", picture()))
    typed = ("predict", photo, "--weights", tiny_weights, "--device", "cpu", "--whole", "-o", tmp_path / "out")
    assert "torch" in loaded(*typed, "--runtime", "torch")
    names = loaded(*typed)
    if "openvino" in names:  # what it has compiled once needs neither the weights nor torch
        names = loaded(*typed)
        assert not names & {"torch", "onnx", "safetensors"}
    assert not {name.partition(".")[0] for name in names} & (OTHER_LIBRARIES | SERVER_LIBRARIES)
    assert not [name for name in names if name.startswith(ROOMS)]
