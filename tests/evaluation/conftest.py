"""Stores of people, and what a tiny network says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftwild.data.store import Store
from liftwild.evaluation.predictions import (
    Predictions,
    predict_store,
)
from liftwild.weights import load_weights
from tests.support.poses import STANDING
from tests.support.stores import write_store


@pytest.fixture(scope="package")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five people with 3D labels and four without."""
    folder = tmp_path_factory.mktemp("stores")
    return [write_store(folder / "studio.arrow", 5, True), write_store(folder / "wild.arrow", 4, False, seed=1)]


@pytest.fixture(scope="package")
def predictions(stores: list[Path], tiny_weights: Path) -> Predictions:
    """A tiny network's, untrained."""
    net, _ = load_weights(tiny_weights)
    about = {
        "liftwild": "0", "weights": {"name": "tiny", "sha256": "abc"}, "protocol": "open", "flip_test": False,
        "input_px": 64, "sum_length_mm": 4000.0, "bone_length_mm": None, "mean_pose_mm": STANDING.tolist(),
    }  # fmt: skip
    return Predictions(about, tuple(predict_store(net, Store(path), 4000.0, batch_size=2) for path in stores))
