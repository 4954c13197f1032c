"""Rotations: matrices and quaternions agree, and take vectors where they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from liftwild.rotation import (
    matrix_about,
    matrix_between,
    matrix_slerp,
    quaternion_about,
    quaternion_between,
    quaternion_from_matrix,
    quaternion_multiply,
    quaternion_rotate,
    quaternion_slerp,
    quaternion_to_euler_zxy_deg,
    quaternion_to_matrix,
)
from liftwild.rotation_torch import rotation_about, rotation_about_vector, rotation_between

each_seed = pytest.mark.parametrize("seed", range(10))


def units(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random vectors of length 1."""
    vectors = rng.normal(size=shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@each_seed
def test_quaternions_turn_as_their_matrices_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    q, vectors = units(rng, 5, 4), rng.normal(size=(5, 3))
    matrices = quaternion_to_matrix(q)
    np.testing.assert_allclose(quaternion_rotate(q, vectors), (matrices @ vectors[..., None])[..., 0], atol=1e-12)
    both = quaternion_multiply(q, q[::-1])
    np.testing.assert_allclose(quaternion_to_matrix(both), matrices @ matrices[::-1], atol=1e-12)
    np.testing.assert_allclose(np.abs((quaternion_from_matrix(matrices) * q).sum(axis=-1)), 1, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-12)


@each_seed
def test_between_takes_one_direction_to_the_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, end = units(rng, 6, 3), units(rng, 6, 3)
    as_tensors = rotation_between(torch.tensor(start), torch.tensor(end))
    np.testing.assert_allclose((as_tensors.numpy() @ start[..., None])[..., 0], end, atol=1e-12)
    end[0], end[1] = -start[0], start[1]
    np.testing.assert_allclose(quaternion_rotate(quaternion_between(start, end), start), end, atol=1e-9)
    for one, other in zip(start, end, strict=True):
        turn = matrix_between(one, other)
        np.testing.assert_allclose(turn @ one, other, atol=1e-9)
        np.testing.assert_allclose(np.linalg.det(turn), 1, atol=1e-9)


@each_seed
def test_the_same_turn_about_an_axis_in_all_forms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-3, 3, 4)
    for number, letter in enumerate("xyz"):
        axis = np.eye(3)[number]
        turn = matrix_about(number, angles)
        np.testing.assert_allclose(quaternion_to_matrix(quaternion_about(axis, angles)), turn, atol=1e-12)
        degrees = torch.rad2deg(torch.tensor(angles))
        np.testing.assert_allclose(rotation_about(letter, degrees).numpy(), turn, atol=1e-12)
        about = rotation_about_vector(torch.tensor(axis).expand(4, 3), torch.tensor(angles))
        np.testing.assert_allclose(about.numpy(), turn, atol=1e-12)


@each_seed
def test_euler_angles_multiply_to_the_rotation(seed: int) -> None:
    q = units(np.random.default_rng(seed), 5, 4)
    z, x, y = np.moveaxis(np.radians(quaternion_to_euler_zxy_deg(q[:, None])[:, 0]), -1, 0)
    product = matrix_about(2, z) @ matrix_about(0, x) @ matrix_about(1, y)
    np.testing.assert_allclose(product, quaternion_to_matrix(q), atol=1e-9)


@each_seed
def test_slerp_goes_the_shortest_way_at_constant_speed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    q = units(rng, 2, 4)
    matrices = quaternion_to_matrix(q)
    third = matrix_slerp(matrices[:1], matrices[1:], 1 / 3)
    found = quaternion_slerp(q, np.array([1.0, 4.0]), np.array([0.0, 2.0, 9.0]))
    np.testing.assert_allclose(quaternion_to_matrix(found), np.stack([matrices[0], third[0], matrices[1]]), atol=1e-9)


def test_euler_angles_do_not_leap() -> None:
    turns = np.linspace(0, 4 * np.pi, 200)  # twice about y, then the same about z; x is the one in the middle
    for axis, place in ((1, 2), (2, 0)):
        half = np.zeros((200, 4))
        half[:, 0], half[:, axis + 1] = np.cos(turns / 2), np.sin(turns / 2)
        angles = quaternion_to_euler_zxy_deg(half[:, None])[:, 0]
        np.testing.assert_allclose(angles[:, place], np.degrees(turns), atol=1e-6)
        assert np.abs(np.diff(angles, axis=0)).max() < 10
