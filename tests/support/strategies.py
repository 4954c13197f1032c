"""Cameras, crops and points of any kind for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from liftwild.camera import Camera
from liftwild.crop import Crop
from liftwild.skeleton import MPII_16

J = len(MPII_16)
quick = settings(max_examples=40, deadline=None, derandomize=True)


def between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)


seeds = st.integers(0, 2**32 - 1)
cameras = st.builds(
    Camera,
    fx=between(100, 5000),
    fy=between(100, 5000),
    cx=between(-500, 2000),
    cy=between(-500, 2000),
    skew=st.one_of(st.just(0.0), between(-200, 200)),
)
crops = st.builds(
    Crop,
    center_px=st.tuples(between(-1000, 3000), between(-1000, 3000)),
    size_px=between(5, 5000),
    rotation_rad=between(-7, 7),
    flip=st.booleans(),
)


def in_view(seed: int, count: int = J) -> np.ndarray:
    """Points (count, 3) in mm, 1 to 9 m in front of the camera."""
    return np.random.default_rng(seed).uniform((-2000, -2000, 1000), (2000, 2000, 9000), size=(count, 3))
