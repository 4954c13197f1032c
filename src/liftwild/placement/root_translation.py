"""Where people are in space: the pelvis before the camera, and each joint on its ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from liftwild.camera import Camera, bone_lengths
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MPII_16, SCALE_BONES, Skeleton

ROUNDS = 10  # of weighing joints anew in ``place``
ROBUST_SPREAD = 1.5  # joints that miss by more than so many times the typical miss count less and less
MIN_MISS = 2e-3  # in that unit, tangent of the angle of view: misses below it are no sign of a wrong joint
MIN_DEPTH = 0.05  # of the pelvis' depth, below which a joint is too near to be believed
MIN_WEIGHT = 0.01  # of a joint of confidence 0, or outside the photo: it still says a little


def place(joints_2d: np.ndarray, joints_3d: np.ndarray, camera: Camera, weight: np.ndarray | None = None) -> np.ndarray:
    """Where the pelvis is in camera space, (..., 3) mm, so that the pose is seen where its joints are in the photo.

    ``joints_2d`` (..., J, 2) px of the upright photo, ``joints_3d`` (..., J, 3) mm, pelvis at 0, camera axes;
    ``weight`` (..., J) >= 0: how much each joint counts, all alike if None. Weighted least squares on the projection
    equations, which are linear in the pelvis' place, solved in closed form; a few rounds more give joints that fit
    badly less weight. Joints that are not finite do not count. NaN where fewer than two joints count, where all lie at
    one point, and where no place before the camera fits. ValueError on shapes that do not fit or negative weights.
    """
    joints_2d, joints_3d = np.asarray(joints_2d, dtype=np.float64), np.asarray(joints_3d, dtype=np.float64)
    if joints_2d.shape[-1:] != (2,) or joints_3d.shape != (*joints_2d.shape[:-1], 3):
        raise ValueError(f"joints_2d (..., J, 2) and joints_3d (..., J, 3), not {joints_2d.shape}, {joints_3d.shape}")
    given = np.ones(joints_2d.shape[:-1]) if weight is None else np.asarray(weight, dtype=np.float64)
    if given.shape != joints_2d.shape[:-1] or (given < 0).any():
        raise ValueError(f"weight must be 0 or more, of shape {joints_2d.shape[:-1]}, not {given.shape}")
    shape, joints = joints_2d.shape[:-2], joints_2d.shape[-2]
    joints_2d, joints_3d, given = (
        part.reshape(-1, joints, *part.shape[len(shape) + 1 :]) for part in (joints_2d, joints_3d, given)
    )
    known = np.isfinite(joints_2d).all(-1) & np.isfinite(joints_3d).all(-1) & np.isfinite(given) & (given > 0)
    given = np.where(known, given, 0.0)
    rays = np.where(known[..., None], _rays(joints_2d, camera), 0.0)
    points = np.where(known[..., None], joints_3d, 0.0)
    # The picture's plane in complex numbers: half as many calls of numpy, which take longer than what they do.
    seen, flat, deep = (_complex(rays), _complex(points), points[..., 2])
    centre = seen.sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
    terms = _terms(seen - centre, seen * deep - flat)

    weights, half = given, given.sum(1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(ROUNDS):
            side, z = _least_squares(terms, centre, weights)
            depth, least = deep + z, MIN_DEPTH * z
            ahead = depth >= least
            depth = np.maximum(depth, np.abs(least))
            miss = np.abs((flat + side) / depth - seen) * ahead
            typical = np.maximum(ROBUST_SPREAD * _weighted_median(miss, given, half), MIN_MISS)
            # The equations are in mm at a joint's depth; what is wanted small is the miss in the picture.
            weights = given * ahead * (z / depth) ** 2 / (1 + (miss / typical) ** 2)
    root = np.concatenate([side.real, side.imag, z], axis=1)
    before = (given * (deep + z > 0)).sum(1) > half
    placed = (known.sum(1) >= 2) & before & (z[:, 0] > 0)
    return np.where(placed[:, None], root, np.nan).reshape(*shape, 3)


def _complex(values: np.ndarray) -> np.ndarray:
    """x + i y (N, J) of (N, J, 2 or more)."""
    return values[..., 0] + 1j * values[..., 1]


def _rays(joints_2d: np.ndarray, camera: Camera) -> np.ndarray:
    """x / z and y / z (..., 2) of what is seen at ``joints_2d`` (..., 2) px."""
    return camera.unproject(joints_2d, np.ones(joints_2d.shape[:-1]))[..., :2]


def _terms(rays: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """What ``_least_squares`` sums up over joints, (N, J, 7), from x / z + i y / z of the ``rays`` (N, J), counted from
    near their middle, and ``rest`` (N, J): of  x + X = a (z + Z),  y + Y = b (z + Z)  what is  X - a Z + i (Y - b Z).
    """
    parts = (rays.real, rays.imag, rest.real, rest.imag, np.abs(rays) ** 2, (rays.conj() * rest).real)
    return np.stack([*parts, np.ones(rays.shape)], axis=-1)


def _least_squares(terms: np.ndarray, centre: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X + i Y and Z (N, 1) that fit best, by the weights (N, J); NaN where there is none. ``centre`` (N, 1): from where
    the rays of ``_terms`` are counted."""
    sums = weights[:, None] @ terms
    means = sums[:, 0, :6] / sums[:, 0, 6:]
    flat = means[:, :4].view(np.complex128)
    rays, rest = flat[:, :1], flat[:, 1:]
    both = means[:, 4:] - (rays.conj() * flat).real  # spread of the rays, and of them with the rest
    spread = both[:, :1]
    z = np.where(spread > 1e-12, -both[:, 1:] / spread, np.nan)
    return rest + (rays + centre) * z, z


def _weighted_median(values: np.ndarray, weights: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Median (N, 1) of each row of ``values`` (N, J); ``half`` (N,): of the sum of its ``weights`` (N, J)."""
    # By flat places, since take_along_axis takes as long as all the rest.
    starts = np.arange(0, values.size, values.shape[1])[:, None]
    order = values.argsort(axis=1) + starts
    middle = (weights.take(order).cumsum(axis=1) >= half[:, None]).argmax(axis=1, keepdims=True)
    return np.asarray(values.take(order.take(middle + starts)))


def along_rays(
    joints_2d: np.ndarray, joints_3d: np.ndarray, root_mm: np.ndarray, camera: Camera, skeleton: Skeleton = MPII_16
) -> tuple[np.ndarray, np.ndarray]:
    """The pose (..., J, 3) mm and its root (..., 3) mm with perspective: each joint on the ray through its place in the
    photo, at its own depth; the bones together as long as before.

    The network's x and y follow the photo at one scale for the whole body, as if all of it were as far away as the
    pelvis. Arguments as in ``place``, ``root_mm`` its answer. Poses without a root, or with a joint behind the camera,
    stay as they are.
    """
    depth = joints_3d[..., 2] + root_mm[..., None, 2]
    rays = _rays(joints_2d, camera)
    points = np.concatenate([rays * depth[..., None], depth[..., None]], axis=-1)
    root = points[..., skeleton.root, :]
    pose = points - root[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = _size(joints_3d, skeleton) / _size(pose, skeleton)
    usable = (depth > 0).all(-1, where=np.isfinite(depth)) & np.isfinite(scale) & np.isfinite(root).all(-1)
    scale = np.where(usable, scale, 1.0)[..., None]
    return (
        np.where(usable[..., None, None], pose * scale[..., None], joints_3d),
        np.where(usable[..., None], root * scale, root_mm),
    )


def _size(joints_3d: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Summed length (...) of the bones that are known."""
    bones = SCALE_BONES if skeleton is MPII_16 else skeleton.bones
    return np.nansum(bone_lengths(joints_3d, bones), axis=-1)


def located(recording: Recording, camera: Camera, camera_from: str, perspective: bool = True) -> Recording:
    """The recording with everybody placed in space: ``root_mm``, ``camera`` and ``camera_from`` filled.

    ``camera``: of the upright photo or frames, px; ``camera_from`` as in ``Recording``. ``perspective``: see
    ``along_rays``; without where bones have been given one length for a clip, which it would change a little. Best
    before tracks are smoothed, so that places are smoothed with them.
    """
    step = f"placed in space by the camera ({camera_from})" + (", x and y along its rays" if perspective else "")
    return replace(
        recording,
        tracks=_located(recording.tracks, camera, perspective),
        camera=camera,
        camera_from=camera_from,
        steps=(*recording.steps, step),
    )


def _located(tracks: Sequence[PoseTrack], camera: Camera, perspective: bool) -> tuple[PoseTrack, ...]:
    """The tracks, all of one skeleton, placed together: as fast as one alone, where they are short."""
    if not tracks:
        return ()
    joints_2d, joints_3d, confidence, outside = (
        np.concatenate(parts)
        for parts in zip(
            *((track.joints_2d, track.joints_3d, track.confidence, track.is_outside) for track in tracks), strict=True
        )
    )
    # The photo does not show where a joint outside is: those that it shows place the person.
    weight = np.clip(np.where(outside, MIN_WEIGHT, confidence), MIN_WEIGHT, 1.0)
    weight = np.where(np.isfinite(confidence), weight, 0.0)
    pose, root = joints_3d, place(joints_2d, joints_3d, camera, weight)
    if perspective:
        pose, root = along_rays(joints_2d, pose, root, camera, tracks[0].skeleton)
    ends = np.cumsum([len(track) for track in tracks])[:-1]
    placed = zip(tracks, np.split(pose, ends), np.split(root, ends), strict=True)
    return tuple(replace(track, joints_3d=own, root_mm=where) for track, own, where in placed)
