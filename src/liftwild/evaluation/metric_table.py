"""One record a metric: what tables and reports show, training logs, and a recipe's ``best`` may name.

To add a metric, write a function from ``Measured`` to ``Value`` and add a line to ``METRICS``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from liftwild.camera import bone_lengths, depth_targets
from liftwild.evaluation import metrics
from liftwild.evaluation.measure import Measured
from liftwild.skeleton import DEPTH_ROOT, MPII_16, PELVIS, SCALE_BONES, SYMMETRIC_BONES, THORAX

RIGHT_TORSOS = 0.2  # a joint is right that is no farther off than this: PCK@0.2-torso


class Value(NamedTuple):
    """A number, NaN where nothing can be measured, and how many people it is over."""

    number: float
    people: int


@dataclass(frozen=True)
class Metric:
    """``key`` in logs, recipes and JSON; ``name`` and ``unit`` in tables; ``needs``: 2D labels ("2d"), the network's
    depths ("depth"), or 3D labels and depths ("3d")."""

    key: str
    name: str
    unit: str
    higher_is_better: bool
    function: Callable[[Measured], Value]
    needs: Literal["2d", "depth", "3d"] = "2d"

    @property
    def column(self) -> str:
        """Head of its column in a table."""
        return f"{self.name}, {self.unit}"

    def is_better(self, number: float, best: float | None) -> bool:
        """Whether ``number`` is better than the ``best`` so far (None: there is none); NaN never is."""
        if best is None or math.isnan(number):
            return not math.isnan(number)
        return number > best if self.higher_is_better else number < best


def score_all(measured: Measured, with_depth: bool = True) -> dict[str, float]:
    """Every metric that can be measured, by key; ``with_depth`` False: only those that need no depths."""
    found = {
        key: metric.function(measured).number for key, metric in METRICS.items() if with_depth or metric.needs == "2d"
    }
    return {key: number for key, number in found.items() if not math.isnan(number)}


# --- Joints in the picture


def scored_joints(measured: Measured) -> np.ndarray:
    """Labelled joints (N, J) but pelvis and thorax: many joint sets make these up, and LSP's and MPII's scripts leave
    them out."""
    counted = measured.valid_2d.copy()
    counted[:, [PELVIS, THORAX]] = False
    return counted


def torso_hits(measured: Measured) -> metrics.JointHits:
    """Joints within 0.2 of the torso, over ``scored_joints``."""
    limit = RIGHT_TORSOS * metrics.torso_size(measured.true_2d, measured.valid_2d)
    return metrics.joint_hits(measured.pred_2d, measured.true_2d, scored_joints(measured), limit=limit, inclusive=True)


def head_hits(measured: Measured, share: float = 1.0) -> metrics.JointHits:
    """Joints within half of the head size, which is ``share`` of the distance from upper neck to head top, over
    ``scored_joints``; none of a person without both labels."""
    limit = 0.5 * share * metrics.head_size(measured.true_2d, measured.valid_2d)
    return metrics.joint_hits(measured.pred_2d, measured.true_2d, scored_joints(measured), limit=limit, inclusive=True)


def swapped(measured: Measured) -> np.ndarray:
    """Whose left and right lie closer to the truth exchanged, (N,) bool."""
    return metrics.left_right_swapped(measured.pred_2d, measured.true_2d, scored_joints(measured))


def _percent(hits: metrics.JointHits) -> Value:
    """All joints of all people alike."""
    return Value(100 * hits.pooled(), int(hits.counted.any(axis=1).sum()))


def _pck_torso(measured: Measured) -> Value:
    return _percent(torso_hits(measured))


def _pckh(measured: Measured) -> Value:
    return _percent(head_hits(measured))


def _sides_ignored(measured: Measured) -> Value:
    """PCK@0.2-torso, for each left/right pair the better of the prediction and its exchange."""
    as_is = torso_hits(measured)
    crossed = torso_hits(dataclasses.replace(measured, pred_2d=measured.pred_2d[:, list(MPII_16.flip_index)]))
    either = as_is.hits.copy()
    for pair in MPII_16.flip_pairs:
        better = crossed.hits[:, pair].sum(axis=1) > as_is.hits[:, pair].sum(axis=1)
        either[np.ix_(better, pair)] = crossed.hits[np.ix_(better, pair)]
    return _percent(metrics.JointHits(either, as_is.counted))


def _sides_swapped(measured: Measured) -> Value:
    return Value(100 * float(swapped(measured).mean()), len(measured))


# --- Poses in space


def usable_poses(measured: Measured) -> np.ndarray:
    """Whose pose can be compared whatever part of it is known, (N,) bool: those with the pelvis, the thorax, a bone and
    four joints labelled in 2D and in 3D."""
    both = measured.valid_2d & measured.valid_3d
    ends = np.array(SCALE_BONES)
    bones = (both[:, ends[:, 0]] & both[:, ends[:, 1]]).any(axis=1)
    return both[:, PELVIS] & both[:, DEPTH_ROOT] & bones & (both.sum(axis=1) >= 4)


def _mean_error(measured: Measured, error: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> Value:
    """Mean over ``usable_poses`` of an ``error`` of poses, labels and validity."""
    usable = usable_poses(measured)
    if not usable.any():
        return Value(math.nan, 0)
    errors = error(measured.pred_3d[usable], measured.true_3d[usable], measured.valid_3d[usable])
    known = errors[np.isfinite(errors)]  # none where all joints lie in one place
    return Value(float(known.mean()) if len(known) else math.nan, len(known))


def _mpjpe(measured: Measured) -> Value:
    def error(pred: np.ndarray, true: np.ndarray, valid: np.ndarray) -> np.ndarray:
        return metrics.mpjpe(metrics.scale_to_bone_sum(pred, true, valid), true, valid, root=PELVIS)

    return _mean_error(measured, error)


def _pa_mpjpe(measured: Measured) -> Value:
    return _mean_error(measured, metrics.pa_mpjpe)


def partly_known(measured: Measured, mean_pose_mm: np.ndarray | None = None) -> dict[str, Measured]:
    """The network's poses, and those with parts of them replaced by the label or by nothing, by name.

    ``network``; ``network depth, true 2D``; ``true depth, predicted 2D``; ``flat depth, predicted 2D``; ``flat depth,
    true 2D`` (depth 0); ``mean pose`` (``mean_pose_mm`` (J, 3), if given). Empty without ``usable_poses``.
    """
    if not usable_poses(measured).any():
        return {}
    # Where a true 2D joint is unknown there is none to lift: such joints are left out of the rows that need it.
    both = measured.valid_2d & measured.valid_3d
    labels = zip(measured.true_2d, measured.true_3d, both, strict=True)
    true_depth = np.stack([depth_targets(*label, measured.input_px)[0] for label in labels])
    flat = np.zeros_like(measured.pred_depth)
    changes: dict[str, dict[str, Any]] = {
        "network": {},
        "network depth, true 2D": {"pred_2d": measured.true_2d, "valid_3d": both},
        "true depth, predicted 2D": {"pred_depth": true_depth, "valid_3d": both},
        "flat depth, predicted 2D": {"pred_depth": flat},
        "flat depth, true 2D": {"pred_2d": measured.true_2d, "pred_depth": flat, "valid_3d": both},
    }
    if mean_pose_mm is not None:  # as a network would have to give it; its size is not compared
        pose = np.broadcast_to(mean_pose_mm, measured.true_3d.shape)
        changes["mean pose"] = {"pred_2d": pose[..., :2], "pred_depth": pose[..., 2] / (measured.input_px / 2)}
    return {name: dataclasses.replace(measured, **change) for name, change in changes.items()}


def symmetry(poses: np.ndarray, valid: np.ndarray | None = None) -> dict[str, float]:
    """How unlike left and right bones are: mean over people of | left - right |, mm and % of the bones' mean length.

    ``poses`` (N, J, 3) mm, ``valid`` (N, J), None: all. Keys: a name of ``SYMMETRIC_BONES`` or ``mean``, and " mm" or
    " %"; ``people``: those with all of these bones, over whom the means are taken. Empty if there is none.
    """
    ends = [joint for pair in SYMMETRIC_BONES.values() for bone in pair for joint in bone]
    whole = poses if valid is None else poses[valid[:, ends].all(axis=1)]
    if len(whole) == 0:
        return {}
    table = {}
    for name, difference in metrics.bone_symmetry(whole).items():
        table[f"{name} mm"] = float(difference.mean())
        length = float(bone_lengths(whole, SYMMETRIC_BONES[name]).mean())
        table[f"{name} %"] = 100 * table[f"{name} mm"] / length if length > 0 else 0.0
    for unit in ("mm", "%"):
        table[f"mean {unit}"] = float(np.mean([table[f"{name} {unit}"] for name in SYMMETRIC_BONES]))
    return {**table, "people": float(len(whole))}


def _symmetry_mm(measured: Measured) -> Value:
    return Value(symmetry(measured.pred_3d)["mean mm"], len(measured))


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric("pck_torso", "PCK@0.2-torso", "%", True, _pck_torso),
        Metric("pck_torso_sides_ignored", "sides ignored", "%", True, _sides_ignored),
        Metric("sides_swapped", "sides swapped", "%", False, _sides_swapped),
        Metric("pckh", "PCKh@0.5", "%", True, _pckh),
        Metric("mpjpe_mm", "MPJPE", "mm", False, _mpjpe, "3d"),
        Metric("pa_mpjpe_mm", "PA-MPJPE", "mm", False, _pa_mpjpe, "3d"),
        Metric("symmetry_mm", "left - right", "mm", False, _symmetry_mm, "depth"),
    )
}
