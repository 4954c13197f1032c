"""Rotations as matrices (..., 3, 3), which act on columns, and as unit quaternions (..., 4), w x y z.

NumPy arrays, as poses and clips are; ``rotation_torch`` has what the renderer needs, apart because files of poses must
not load PyTorch. All turn right-handed.
"""

from __future__ import annotations

import numpy as np

# --- matrices ---


def matrix_about(axis: int, radians: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) by ``radians`` (...) about coordinate axis 0, 1 or 2."""
    second, third = (axis + 1) % 3, (axis + 2) % 3
    out = np.zeros((*np.shape(radians), 3, 3))
    out[..., axis, axis] = 1
    out[..., second, second] = out[..., third, third] = np.cos(radians)
    out[..., third, second] = np.sin(radians)
    out[..., second, third] = -out[..., third, second]
    return out


def matrix_between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotation (3, 3) that takes the direction ``start`` (3,) to ``end`` (3,): ``quaternion_between``."""
    return quaternion_to_matrix(quaternion_between(start / np.linalg.norm(start), end / np.linalg.norm(end)))


def matrix_slerp(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """The rotations (N, 3, 3) at ``share`` of the shortest way from ``start`` (N, 3, 3) to ``end`` (N, 3, 3)."""
    both = quaternion_from_matrix(np.stack([start, end]))
    return quaternion_to_matrix(quaternion_slerp(both, np.array([0.0, 1.0]), np.array([share])))[0]


# --- quaternions ---


def quaternion_identity(count: int) -> np.ndarray:
    """``count`` rotations (count, 4) that turn nothing."""
    return np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))


def quaternion_inverse(q: np.ndarray) -> np.ndarray:
    """The inverse rotations (..., 4)."""
    return q * (1.0, -1.0, -1.0, -1.0)


def quaternion_multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotations (..., 4) that apply ``b`` (..., 4) first, then ``a`` (..., 4)."""
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    return np.concatenate(
        [aw * bw - (av * bv).sum(axis=-1, keepdims=True), aw * bv + bw * av + np.cross(av, bv)], axis=-1
    )


def quaternion_rotate(q: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """``vectors`` (..., 3) turned by ``q`` (..., 4)."""
    twice = 2 * np.cross(q[..., 1:], vectors)
    return vectors + q[..., :1] * twice + np.cross(q[..., 1:], twice)


def quaternion_about(axis: np.ndarray, radians: np.ndarray) -> np.ndarray:
    """Rotations (..., 4) by ``radians`` (...) about the unit vector ``axis`` (3,)."""
    half = radians[..., None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * axis], axis=-1)


def quaternion_between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotations (..., 4) that take unit vectors ``start`` (..., 3) to ``end`` (..., 3).

    Between opposite ones, where none is the smallest, one about an axis square to them.
    """
    q = np.concatenate([1 + (start * end).sum(axis=-1, keepdims=True), np.cross(start, end)], axis=-1)
    size = np.linalg.norm(q, axis=-1, keepdims=True)
    helper = np.where(np.abs(start[..., 1:2]) < 0.9, (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    square = np.cross(start, helper)
    square = square / np.linalg.norm(square, axis=-1, keepdims=True)
    half = np.concatenate([np.zeros_like(size), square], axis=-1)
    return np.where(size > 1e-6, q / np.maximum(size, 1e-6), half)


def quaternion_from_matrix(matrices: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4) of rotation matrices (..., 3, 3)."""
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


def quaternion_to_matrix(q: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of ``q`` (..., 4)."""
    return np.stack([quaternion_rotate(q, axis) for axis in np.eye(3)], axis=-1)


def quaternion_slerp(q: np.ndarray, times: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Rotations (M, ..., 4) at the times ``to`` (M,) between ``q`` (K, ..., 4) at ``times`` (K,), rising.

    The shortest way at constant speed. The first and last are held outside of ``times``; without any, nothing turns.
    """
    if len(q) == 0:
        return quaternion_identity(len(to))
    if len(q) == len(to) and np.array_equal(times, to):
        return q
    after = np.clip(np.searchsorted(times, to), 1, max(len(q) - 1, 1))
    before, after = after - 1, np.minimum(after, len(q) - 1)
    span = np.maximum(times[after] - times[before], 1e-12)
    share = np.clip((to - times[before]) / span, 0.0, 1.0).reshape(-1, *[1] * (q.ndim - 1))
    start, end = q[before], q[after]
    cosine = (start * end).sum(axis=-1, keepdims=True)
    end, angle = np.where(cosine < 0, -end, end), np.arccos(np.minimum(np.abs(cosine), 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    mixed = np.where(near, 1 - share, np.sin((1 - share) * angle) / safe) * start
    mixed = mixed + np.where(near, share, np.sin(share * angle) / safe) * end
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)


def quaternion_to_euler_zxy_deg(q: np.ndarray) -> np.ndarray:
    """Angles (T, N, 3) in degrees about z, x and y of ``q`` (T, N, 4) over T frames, without leaps between frames.

    The rotation is Rz Rx Ry.
    """
    m = quaternion_to_matrix(q)
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
