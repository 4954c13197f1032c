"""Poses that metrics are tried on."""

from __future__ import annotations

import numpy as np
import pytest

from liftwild.skeleton import MPII_16

J = len(MPII_16)
JOINT = {name: index for index, name in enumerate(MPII_16.names)}


@pytest.fixture
def pose() -> np.ndarray:
    """Four poses (4, 16, 3) of no symmetry at all, mm."""
    return np.random.default_rng(1).normal(scale=400.0, size=(4, J, 3))


def off_by(*distances: float) -> tuple[np.ndarray, np.ndarray]:
    """One sample (1, len(distances), 3) whose joints are off by these distances."""
    pred = np.zeros((1, len(distances), 3))
    pred[0, :, 1] = distances
    return pred, np.zeros_like(pred)
