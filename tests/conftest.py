"""What several test files share: a tiny network's weights, and photos."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else tests crawl on a busy machine; torch reads it when loaded
os.environ.setdefault("OMP_NUM_THREADS", "1")  # files run side by side; threads of tiny networks only wait
os.environ["LIFTWILD_CACHE"] = tempfile.mkdtemp(prefix="liftwild-cache-")  # never the user's own

import pytest
import torch

from liftwild.network.posenet import PoseNet
from liftwild.weights import save_weights
from tests.support.browser import Browser, find_browser
from tests.support.files import Write
from tests.support.networks import TINY

# Started in the background of a script, a shell has Ctrl-C ignored, and what we start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish() -> None:
    """Remove what was kept."""
    shutil.rmtree(os.environ["LIFTWILD_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network that is small, untrained, and the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = PoseNet(TINY).eval()
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, net, {"sum_length_mm": 4000.0})
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of pages."""
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium to look at pages with: apt-get install chromium, or set LIFTWILD_BROWSER")
    started = Browser(program)
    yield started
    started.close()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a text, as it stands, into a file of the test's folder."""

    def write(text: str, name: str = "clip.bvh") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write
