"""Poses that metrics are tried on."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.poses import J


@pytest.fixture
def pose() -> np.ndarray:
    """Four poses (4, 16, 3) of no symmetry at all, mm."""
    return np.random.default_rng(1).normal(scale=400.0, size=(4, J, 3))
