"""Rotations as NumPy quaternions (..., 4), w x y z, of length 1; angles in radians unless the name says degrees."""

from __future__ import annotations

import numpy as np


def identity(count: int) -> np.ndarray:
    """``count`` rotations that turn nothing."""
    return np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))


def inverse(q: np.ndarray) -> np.ndarray:
    """The rotation back."""
    return q * (1.0, -1.0, -1.0, -1.0)


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """First ``b``, then ``a``."""
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    return np.concatenate(
        [aw * bw - (av * bv).sum(axis=-1, keepdims=True), aw * bv + bw * av + np.cross(av, bv)], axis=-1
    )


def rotate(q: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """``vectors`` (..., 3) turned by ``q`` (..., 4)."""
    twice = 2 * np.cross(q[..., 1:], vectors)
    return vectors + q[..., :1] * twice + np.cross(q[..., 1:], twice)


def swing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotations that take unit vectors ``start`` (T, 3) to ``end`` (T, 3); between opposite ones, where
    none is the smallest, one about an axis square to them."""
    q = np.concatenate([1 + (start * end).sum(axis=-1, keepdims=True), np.cross(start, end)], axis=-1)
    size = np.linalg.norm(q, axis=-1, keepdims=True)
    helper = np.where(np.abs(start[..., 1:2]) < 0.9, (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    square = np.cross(start, helper)
    square = square / np.linalg.norm(square, axis=-1, keepdims=True)
    half = np.concatenate([np.zeros_like(size), square], axis=-1)
    return np.where(size > 1e-6, q / np.maximum(size, 1e-6), half)


def from_matrix(matrices: np.ndarray) -> np.ndarray:
    """Rotations as quaternions (T, 4) of rotation matrices (T, 3, 3)."""
    m = matrices
    # The outer product of the quaternion with itself, times 4; its longest row is the safest to take it from.
    rows = np.empty((*m.shape[:-2], 4, 4))
    trace = np.trace(m, axis1=-2, axis2=-1)
    rows[..., 0, 0] = 1 + trace
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        rows[..., i + 1, i + 1] = 1 + 2 * m[..., i, i] - trace
        rows[..., 0, i + 1] = rows[..., i + 1, 0] = m[..., k, j] - m[..., j, k]
        rows[..., j + 1, k + 1] = rows[..., k + 1, j + 1] = m[..., k, j] + m[..., j, k]
    best = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :]
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def to_matrix(q: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of ``q`` (..., 4)."""
    return np.stack([rotate(q, axis) for axis in np.eye(3)], axis=-1)


def interpolate(q: np.ndarray, at: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Rotations (M, ..., 4) at times ``to`` (M,) between ``q`` (K, ..., 4) at times ``at`` (K,), rising.

    The shortest way at constant speed; before the first and after the last they are held; with none nothing is turned.
    """
    if len(q) == 0:
        return identity(len(to))
    if len(q) == len(to) and np.array_equal(at, to):
        return q
    after = np.clip(np.searchsorted(at, to), 1, max(len(q) - 1, 1))
    before, after = after - 1, np.minimum(after, len(q) - 1)
    span = np.maximum(at[after] - at[before], 1e-12)
    share = np.clip((to - at[before]) / span, 0.0, 1.0).reshape(-1, *[1] * (q.ndim - 1))
    start, end = q[before], q[after]
    cosine = (start * end).sum(axis=-1, keepdims=True)
    end, angle = np.where(cosine < 0, -end, end), np.arccos(np.minimum(np.abs(cosine), 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    mixed = np.where(near, 1 - share, np.sin((1 - share) * angle) / safe) * start
    mixed = mixed + np.where(near, share, np.sin(share * angle) / safe) * end
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)


def to_euler_deg(rotations: np.ndarray) -> np.ndarray:
    """Angles (T, N, 3) in degrees about z, x and y, in this order, of ``rotations`` (T, N, 4), without leaps in time.

    The rotation is Rz Rx Ry.
    """
    m = to_matrix(rotations)
    x = np.arctan2(m[..., 2, 1], np.hypot(m[..., 2, 0], m[..., 2, 2]))
    locked = np.abs(m[..., 2, 1]) > 1 - 1e-12  # z and y turn about one axis: z takes all
    y = np.where(locked, 0.0, np.arctan2(-m[..., 2, 0], m[..., 2, 2]))
    z = np.where(locked, np.arctan2(m[..., 1, 0], m[..., 0, 0]), np.arctan2(-m[..., 0, 1], m[..., 1, 1]))
    first = np.degrees(np.stack([z, x, y], axis=-1))
    second = first * (1, -1, 1) + 180.0  # the other angles of the same rotation
    out = np.empty_like(first)
    last = np.zeros(first.shape[1:])
    for frame in range(len(first)):
        near = [angles + 360 * np.round((last - angles) / 360) for angles in (first[frame], second[frame])]
        away = [np.abs(angles - last).sum(axis=-1, keepdims=True) for angles in near]
        last = out[frame] = np.where(away[1] < away[0], near[1], near[0])
    return out
