"""Stores to train on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.stores import write_store


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A 3D-labelled and a 2D-labelled store of synthetic people."""
    folder = tmp_path_factory.mktemp("stores")
    return write_store(folder / "three.arrow", 12, True), write_store(folder / "two.arrow", 12, False, seed=1)
