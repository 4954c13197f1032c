"""A tiny finder, and what it is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from liftwild import Estimator
from liftwild.data.pieces import People
from liftwild.data.scenes import Scenes
from liftwild.data.store import Store
from liftwild.finder_net import STRIDE, FinderConfig, FinderNet, PeopleMaps
from liftwild.predict.finder import Finder
from liftwild.weights.finder import save_finder
from tests.conftest import encode, picture
from tests.synthetic import write_store

TINY = FinderConfig(features=8, fine=8, stem=4, input_px=64)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Eight made-up people in two stores."""
    folder = tmp_path_factory.mktemp("people")
    stores = (write_store(folder / "a.arrow", 4, False, 1), write_store(folder / "b.arrow", 4, True, 2))
    return People(tuple(map(Store, stores)), (3.0, 1.0))


@pytest.fixture(scope="module")
def backgrounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few pictures."""
    folder = tmp_path_factory.mktemp("backgrounds")
    for i in range(11):
        (folder / f"{i:02}.png").write_bytes(encode(".png", picture(40 + 8 * i, 90, i)))
    return folder


@pytest.fixture(scope="module")
def scenes(people: People, backgrounds: Path) -> Scenes:
    """Batches of six small scenes."""
    return Scenes(people, tuple(sorted(backgrounds.iterdir())), 6, 128, (5,))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny finder, untrained."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = FinderNet(TINY).eval()
    path = tmp_path_factory.mktemp("finder") / "finder.safetensors"
    save_finder(path, net, {"threshold": 0.3})
    return path


def finder_that_says(
    weights: Path,
    boxes: list[tuple[float, float, float, float, float]],
    estimator: Estimator | None = None,
    least_score: float | None = None,
) -> Finder:
    """A Finder whose network says these boxes (px of its 64 px input, then the score), and nothing else."""
    finder = Finder(weights, "cpu", least_score, estimator=estimator)
    centres, where = torch.full((16, 16), -20.0), torch.ones(4, 16, 16)
    for x, y, w, h, score in boxes:
        j, i = int((x + w / 2) / STRIDE), int((y + h / 2) / STRIDE)
        centres[i, j] = float(np.log(score / (1 - score)))
        cx, cy = (j + 0.5) * STRIDE, (i + 0.5) * STRIDE
        where[:, i, j] = torch.tensor([cx - x, cy - y, x + w - cx, y + h - cy])

    def net(images: torch.Tensor) -> PeopleMaps:
        return PeopleMaps(centres.expand(len(images), -1, -1), where.expand(len(images), -1, -1, -1))

    finder.net = net  # type: ignore[assignment]
    return finder
