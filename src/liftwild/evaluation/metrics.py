"""Errors of predicted poses against labels: arrays in, arrays out, one value per sample.

Shapes are written for a batch of N; any leading shape works. ``valid`` (N, J) bool says which joints are labelled; None
means all. What an invalid joint holds, NaN included, never enters a result; a NaN predicted for a valid joint makes a
distance NaN and is a miss in a PCK. A sample of which nothing can be measured scores NaN, never 0. 16 joints are in
MPII-16 order. Every function raises ValueError on shapes that do not fit and on a mask that is not bool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from liftwild.camera import bone_lengths
from liftwild.skeleton import MPII_16, PELVIS, SCALE_BONES, SYMMETRIC_BONES

Array: TypeAlias = np.ndarray
Mask: TypeAlias = np.ndarray | None
AUC_THRESHOLDS_MM = tuple(float(t) for t in range(0, 151, 5))


class JointHits(NamedTuple):
    """Which joints were hit, (N, J) bool, and which count at all, (N, J) bool; ``hits`` is False where not counted."""

    hits: Array
    counted: Array

    def per_sample(self) -> Array:
        """PCK of each sample (N,) in [0, 1]; NaN where no joint counts."""
        return _ratio(self.hits.sum(-1), self.counted.sum(-1))

    def per_joint(self) -> Array:
        """PCK of each joint (J,) in [0, 1], over all samples; NaN where it never counts."""
        samples = tuple(range(self.hits.ndim - 1))
        return _ratio(self.hits.sum(samples), self.counted.sum(samples))

    def pooled(self) -> float:
        """PCK in [0, 1] over all joints of all samples alike; NaN where none counts."""
        return float(_ratio(self.hits.sum(), self.counted.sum()))


def mpjpe(pred: Array, target: Array, valid: Mask = None, root: int | None = None) -> Array:
    """Mean distance between predicted and true joints, (N,) mm >= 0.

    ``pred``, ``target`` (N, J, 3) mm; ``root``: joint moved to 0 in both, None for as they are. The root then counts
    with its error of 0, and a sample whose root is invalid scores NaN: to score a subset that lacks the root, move both
    to it first. Source: MPJPE of Human3.6M (Ionescu et al. 2014).
    """
    pred, target, valid = _checked(pred, target, valid, (3,))
    return _ratio(_distances(*_rooted(pred, target, valid, root)).sum(-1, where=valid), valid.sum(-1))


def n_mpjpe(pred: Array, target: Array, valid: Mask = None, root: int | None = None) -> Array:
    """MPJPE after the scale (>= 0) of the prediction that fits best in the least squares sense, (N,) mm.

    Arguments as in ``mpjpe``; the scaling is about the root, about 0 if that is None. A negative scale would mirror the
    pose through the root, so where that fits best the scale is 0. Source: Rhodin et al. 2018, "N-MPJPE".
    """
    pred, target, valid = _checked(pred, target, valid, (3,))
    pred, target = _rooted(pred, target, valid, root)
    dot, square = (product.sum((-2, -1), where=valid[..., None]) for product in (pred * target, pred * pred))
    scale = np.maximum(_ratio(dot, square, empty=0.0), 0.0)
    return mpjpe(pred * scale[..., None, None], target, valid)


def pa_mpjpe(pred: Array, target: Array, valid: Mask = None) -> Array:
    """MPJPE after ``align_similarity``, (N,) mm.

    ``pred``, ``target`` (N, J, 3) mm. NaN below three valid joints. Source: "protocol 2" of Human3.6M, also P-MPJPE.
    """
    return mpjpe(align_similarity(pred, target, valid), target, valid)


def align_similarity(pred: Array, target: Array, valid: Mask = None) -> Array:
    """The prediction moved by the rotation, scale and translation that fit best, (N, J, 3) mm; never a reflection.

    ``pred``, ``target`` (N, J, 3) mm. The fit is over valid joints; all are moved. NaN below three valid joints, where
    any pose fits exactly, and where a valid joint is not finite. Source: Umeyama 1991.
    """
    pred, target, valid = _checked(pred, target, valid, (3,))
    count = valid.sum(-1)[..., None, None]
    known = valid[..., None]
    pred_mean, target_mean = (_ratio(pose.sum(-2, keepdims=True, where=known), count) for pose in (pred, target))
    pred = pred - pred_mean
    known_pred, known_target = np.where(known, pred, 0.0), np.where(known, target - target_mean, 0.0)
    covariance = np.swapaxes(known_target, -1, -2) @ known_pred
    usable = (count >= 3) & np.isfinite(covariance).all((-2, -1), keepdims=True)
    # The SVD raises on NaN: one broken sample must not stop the batch.
    u, stretch, vt = np.linalg.svd(np.where(usable, covariance, 0.0))
    # An orthogonal u @ vt of determinant -1 mirrors; turning its weakest axis round gives the best rotation instead.
    signs = np.ones_like(stretch)
    signs[..., -1] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * signs[..., None, :]) @ vt
    scale = _ratio((stretch * signs).sum(-1), (known_pred**2).sum((-2, -1)), empty=0.0)[..., None, None]
    aligned = scale * pred @ np.swapaxes(rotation, -1, -2) + target_mean
    return np.asarray(np.where(usable, aligned, np.nan))


def scale_to_bone_sum(
    pred: Array, target: Array, valid: Mask = None, bones: Sequence[tuple[int, int]] = SCALE_BONES, root: int = PELVIS
) -> Array:
    """The prediction with ``root`` at 0 and the target's summed bone length, (N, J, 3) mm.

    ``pred``, ``target`` (N, J, 3) in any unit and mm. Only bones with both ends valid are summed, in both. NaN where
    there are none or the prediction's have length 0. "MPJPE bone-sum scaled" is ``mpjpe(scale_to_bone_sum(pred, target,
    valid), target, valid, root=PELVIS)``. Source: AvgSumLen of Zhou et al. 2017, with the person's own size.
    """
    pred, target, valid = _checked(pred, target, valid, (3,))
    ends = np.array(bones)
    known = valid[..., ends[:, 0]] & valid[..., ends[:, 1]]
    pred_sum, target_sum = (np.where(known, bone_lengths(pose, bones), 0.0).sum(-1) for pose in (pred, target))
    scale = np.where(known.any(-1), _ratio(target_sum, pred_sum), np.nan)
    return np.asarray((pred - pred[..., root, None, :]) * scale[..., None, None])


def joint_hits(
    pred: Array, target: Array, valid: Mask = None, *, limit: Array | float, inclusive: bool = False
) -> JointHits:
    """Which predicted joints lie within ``limit`` of the truth: what every PCK here counts.

    ``pred``, ``target`` (N, J, 2 or 3); ``limit`` in their unit, one number or (N,), NaN where it is unknown: no joint
    of that sample counts. Within means distance < limit, <= with ``inclusive``.
    """
    pred, target, valid = _checked(pred, target, valid, (2, 3))
    bound = np.asarray(limit, dtype=np.float64)[..., None]
    if bound.shape not in ((1,), (*pred.shape[:-2], 1)):
        raise ValueError(f"limit must be one number or of shape {pred.shape[:-2]}, not {bound.shape[:-1]}")
    counted = valid & ~np.isnan(bound)
    near = np.less_equal if inclusive else np.less
    return JointHits(near(_distances(pred, target), bound) & counted, counted)


def pck(pred: Array, target: Array, valid: Mask = None, threshold_mm: float = 150.0) -> Array:
    """3D PCK: part of the joints less than ``threshold_mm`` off, (N,) in [0, 1].

    ``pred``, ``target`` (N, J, 3) mm, as they are: move both to the root first. Source: MPI-INF-3DHP (Mehta et al.).
    """
    return joint_hits(*_checked(pred, target, valid, (3,)), limit=threshold_mm).per_sample()


def auc(pred: Array, target: Array, valid: Mask = None) -> Array:
    """Mean 3D PCK over the 31 thresholds 0, 5, ..., 150 mm, (N,) in [0, 30/31].

    Arguments as in ``pck``. Nothing is less than 0 mm off, so a perfect pose scores 30/31 = 0.968: that is how the
    official script of MPI-INF-3DHP counts (``mpii_compute_3d_pck.m``: error < t for t = 0:5:150, summed, over 31).
    """
    checked = _checked(pred, target, valid, (3,))
    return np.mean([joint_hits(*checked, limit=t).per_sample() for t in AUC_THRESHOLDS_MM], axis=0)


def pckh(pred: Array, target: Array, head_size_px: Array, valid: Mask = None, threshold: float = 0.5) -> Array:
    """2D PCKh: part of the joints at most ``threshold`` head sizes off, (N,) in [0, 1].

    ``pred``, ``target`` (N, J, 2) px; ``head_size_px`` (N,) > 0, NaN where unknown (the sample scores NaN), ValueError
    at 0 or below. MPII's head size is 0.6 times the diagonal of the head box. Source: Andriluka et al. 2014.
    """
    checked = _checked(pred, target, valid, (2,))
    head_size_px = np.asarray(head_size_px, dtype=np.float64)
    if head_size_px.shape != checked[0].shape[:-2] or (head_size_px <= 0).any():
        raise ValueError(f"head_size_px must be above 0 (NaN: unknown), of shape {checked[0].shape[:-2]}")
    return joint_hits(*checked, limit=threshold * head_size_px, inclusive=True).per_sample()


def torso_size(joints: Array, valid: Mask = None) -> Array:
    """Length of the torso's diagonal, (N,) in the unit of ``joints`` (N, 16, 2 or 3); NaN where it is unknown.

    Left shoulder to right hip, as in the scripts of LSP and MPII; right shoulder to left hip where one of those two is
    invalid (MPII's script gives up where any of the four is). The fallback serves 11 % of LSPET and shifts nothing:
    where all four are labelled, the median ratio of the two is 1.00. A torso of length 0 is unknown, too.
    """
    joints, _, valid = _checked(joints, joints, valid, (2, 3), len(MPII_16))
    size = np.full(joints.shape[:-2], np.nan)
    for shoulder, hip in (("right_shoulder", "left_hip"), ("left_shoulder", "right_hip")):
        a, b = MPII_16.index(shoulder), MPII_16.index(hip)
        size = np.where(valid[..., a] & valid[..., b], bone_lengths(joints, [(a, b)])[..., 0], size)
    return np.where(size > 0, size, np.nan)


def head_size(joints: Array, valid: Mask = None) -> Array:
    """Distance from upper neck to head top, (N,) in the unit of ``joints`` (N, 16, 2 or 3); NaN where it is unknown.

    For joint sets without MPII's head boxes, of which the head size of its PCKh is made. A head of length 0 is unknown.
    """
    joints, _, valid = _checked(joints, joints, valid, (2, 3), len(MPII_16))
    ends = MPII_16.index("upper_neck"), MPII_16.index("head_top")
    size = bone_lengths(joints, [ends])[..., 0]
    return np.where(valid[..., ends].all(-1) & (size > 0), size, np.nan)


def pck_torso(pred: Array, target: Array, valid: Mask = None, threshold: float = 0.2) -> Array:
    """2D PCK: part of the joints at most ``threshold`` torsos off, (N,) in [0, 1]; NaN where the torso is unknown.

    ``pred``, ``target`` (N, 16, 2) px; the target's torso as ``torso_size`` measures it. Source: PCK@0.2 of LSP.
    """
    checked = _checked(pred, target, valid, (2,), len(MPII_16))
    return joint_hits(*checked, limit=threshold * torso_size(target, valid), inclusive=True).per_sample()


def bone_symmetry(joints: Array, valid: Mask = None) -> dict[str, Array]:
    """| length of the left bone - length of the right bone | by the names of ``SYMMETRIC_BONES``, each (N,).

    ``joints`` (N, 16, 2 or 3); lengths in their unit. NaN where one of the four ends is invalid. Source: Zhou et al.
    2017, Table 4 (mm on MPI-INF-3DHP, px of a 256 px crop on MPII).
    """
    joints, _, valid = _checked(joints, joints, valid, (2, 3), len(MPII_16))
    result = {}
    for name, pair in SYMMETRIC_BONES.items():
        difference = np.abs(np.diff(bone_lengths(joints, pair))[..., 0])
        result[name] = np.where(valid[..., np.ravel(pair)].all(-1), difference, np.nan)
    return result


def left_right_swapped(pred: Array, target: Array, valid: Mask = None) -> Array:
    """Whether the prediction would lie closer to the truth with left and right exchanged, (N,) bool.

    ``pred``, ``target`` (N, 16, 2 or 3), as they are. Closer: a smaller sum of distances over all joints whose left
    and right are both valid. False on a tie, and where there are none.
    """
    pred, target, valid = _checked(pred, target, valid, (2, 3), len(MPII_16))
    partner = list(MPII_16.flip_index)
    # A joint that is its own partner (pelvis, head) gains exactly 0.
    gain = _distances(pred, target) - _distances(pred[..., partner, :], target)
    return np.asarray(np.where(valid & valid[..., partner], gain, 0.0).sum(-1) > 0)


def _checked(
    pred: Array, target: Array, valid: Mask, dims: tuple[int, ...], joints: int | None = None
) -> tuple[Array, Array, Array]:
    """``pred`` and ``target`` as float64 and the mask, with one message for each way they can fail to fit."""
    pred, target = np.asarray(pred, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if pred.shape != target.shape:
        raise ValueError(f"pred has shape {pred.shape}, target {target.shape}")
    if pred.ndim < 2 or pred.shape[-1] not in dims:
        raise ValueError(f"joints must have shape (..., J, {' or '.join(map(str, dims))}), not {pred.shape}")
    if joints is not None and pred.shape[-2] != joints:
        raise ValueError(f"need the {joints} joints of MPII-16, not {pred.shape[-2]}")
    valid = np.ones(pred.shape[:-1], dtype=bool) if valid is None else np.asarray(valid)
    if valid.shape != pred.shape[:-1] or valid.dtype != bool:
        raise ValueError(f"valid must be bool of shape {pred.shape[:-1]}, not {valid.dtype} of shape {valid.shape}")
    return pred, target, valid


def _rooted(pred: Array, target: Array, valid: Array, root: int | None) -> tuple[Array, Array]:
    """Both with ``root`` at 0; all NaN where the root is invalid."""
    if root is None:
        return pred, target
    origin = np.where(valid[..., root, None, None], 0.0, np.nan)
    return pred - pred[..., root, None, :] + origin, target - target[..., root, None, :]


def _distances(pred: Array, target: Array) -> Array:
    return np.asarray(np.linalg.norm(pred - target, axis=-1))


def _ratio(top: Array, bottom: Array, empty: float = np.nan) -> Array:
    """``top`` / ``bottom``; ``empty`` where that is 0 / 0 or anything else over 0."""
    out = np.full(np.broadcast_shapes(top.shape, bottom.shape), empty)
    return np.divide(top, bottom, out=out, where=bottom != 0)
