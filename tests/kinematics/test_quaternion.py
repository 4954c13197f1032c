"""Quaternions agree with matrices, and angles do not leap."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from liftwild.kinematics.quaternion import from_matrix, multiply, rotate, swing, to_euler_deg, to_matrix
from tests.support.strategies import quick, seeds


def test_angles_do_not_leap() -> None:
    turns = np.linspace(0, 4 * np.pi, 200)  # twice about y, then the same about z and x
    for axis in range(3):
        half = np.zeros((200, 4))
        half[:, 0], half[:, axis + 1] = np.cos(turns / 2), np.sin(turns / 2)
        angles = to_euler_deg(half[:, None])[:, 0]
        if axis != 0:  # x is the one in the middle, which does turn back
            np.testing.assert_allclose(angles[:, {1: 2, 2: 0}[axis]], np.degrees(turns), atol=1e-6)
        assert np.abs(np.diff(angles, axis=0)).max() < 10 if axis else True


@quick
@given(seed=seeds)
def test_rotations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(5, 4))
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    vectors = rng.normal(size=(5, 3))
    np.testing.assert_allclose(rotate(q, vectors), (to_matrix(q) @ vectors[..., None])[..., 0], atol=1e-12)
    np.testing.assert_allclose(to_matrix(multiply(q, q[::-1])), to_matrix(q) @ to_matrix(q[::-1]), atol=1e-12)
    np.testing.assert_allclose(np.abs((from_matrix(to_matrix(q)) * q).sum(axis=-1)), 1, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(to_matrix(q)), 1, atol=1e-12)
    start, end = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (vectors, rng.normal(size=(5, 3))))
    end[0], end[1] = -start[0], start[1]
    np.testing.assert_allclose(rotate(swing(start, end), start), end, atol=1e-9)
    z, x, y = np.moveaxis(np.radians(to_euler_deg(q[:, None])[:, 0]), -1, 0)
    parts = []
    for axis, half in ((2, z / 2), (0, x / 2), (1, y / 2)):
        parts.append(np.zeros((5, 4)))
        parts[-1][:, 0], parts[-1][:, axis + 1] = np.cos(half), np.sin(half)
    whole = multiply(parts[0], multiply(parts[1], parts[2]))
    np.testing.assert_allclose(np.abs((whole * q).sum(axis=-1)), 1, atol=1e-9)
