"""Measure a network on a labelled store: joints in the picture, joints in space, beside what needs no network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from liftwild.camera import bone_lengths, depth_targets, pose_mm
from liftwild.crop import BOX_MARGIN, Crop, blackened, grown
from liftwild.data.augment import view
from liftwild.data.store import Store
from liftwild.evaluation import metrics
from liftwild.network.posenet import PoseNet, infer
from liftwild.sample import Sample
from liftwild.skeleton import DEPTH_ROOT, MPII_16, PELVIS, SCALE_BONES, SYMMETRIC_BONES, THORAX


@dataclass(frozen=True, eq=False)
class Measured:
    """Predictions and labels of N people, J joints, in px of the network's input and mm of camera space.

    ``pred_2d`` (N, J, 2), ``confidence`` (N, J), ``pred_depth`` (N, J) in the [-1, 1] unit; ``true_2d``, ``valid_2d``,
    ``true_3d`` (N, J, 3), ``valid_3d``; ``input_px``; ``sum_length_mm`` as in ``camera.pose_mm``. Of a network with a
    lifter ``depth_spread``, ``inside`` and ``visible`` (N, J) as in ``Decoded``; ``presence`` (N, J) as in ``Sample``.
    """

    pred_2d: np.ndarray
    confidence: np.ndarray
    pred_depth: np.ndarray
    true_2d: np.ndarray
    valid_2d: np.ndarray
    true_3d: np.ndarray
    valid_3d: np.ndarray
    input_px: int
    sum_length_mm: float
    depth_spread: np.ndarray | None = None
    inside: np.ndarray | None = None
    visible: np.ndarray | None = None
    presence: np.ndarray | None = None

    def pose(self, joints_2d: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Root-relative poses (N, J, 3) in mm from joints in px and depths."""
        return pose_mm(joints_2d, depth, self.input_px, self.sum_length_mm, PELVIS)


def network_view(sample: Sample, input_px: int, mask: float = 0.0) -> Sample:
    """A stored sample as ``predict`` would show it to the network: the square around its box, nothing varied; ``mask``
    as in ``PoseNetConfig``."""
    if mask > 0:
        sample = dataclasses.replace(sample, image=blackened(sample.image, grown(sample.box, mask)))
    return view(sample, Crop.around(sample.box, BOX_MARGIN), input_px)


@torch.inference_mode()
def run(
    net: PoseNet,
    samples: Iterable[Sample],
    sum_length_mm: float,
    batch_size: int = 32,
    flip_test: bool = False,
    input_px: int = 0,
) -> Measured:
    """Predict every sample with ``net`` (in evaluation mode, on its device). ``flip_test``: mean with the mirrored.

    ``input_px``: another input than the network's own (0); its depth module cannot run then, and every depth is 0.
    """
    input_px = input_px or net.config.input_px
    with_depth = input_px == net.config.input_px
    device = next(net.parameters()).device
    seen: list[Sample] = []
    joints, peaks, depths = [], [], []
    more: dict[str, list[np.ndarray]] = {"depth_spread": [], "inside": [], "visible": []}

    def forward(pending: Sequence[Sample]) -> None:
        pixels = torch.from_numpy(np.stack([sample.image for sample in pending])).permute(0, 3, 1, 2).to(device)
        found = infer(net, pixels, flip_test, with_depth)
        joints.append(found.joints_2d.cpu().numpy())
        peaks.append(found.peaks.cpu().numpy())
        depth = torch.zeros_like(found.peaks) if found.depth is None else found.depth
        depths.append(depth.cpu().numpy())
        for name, parts in more.items():
            if (part := getattr(found, name)) is not None:
                parts.append(part.cpu().numpy())
        seen.extend(dataclasses.replace(sample, image=np.zeros((0, 0, 3), np.uint8)) for sample in pending)

    pending: list[Sample] = []
    for sample in samples:
        pending.append(network_view(sample, input_px, net.config.mask))
        if len(pending) == batch_size:
            forward(pending)
            pending = []
    if pending:
        forward(pending)
    if not seen:
        raise ValueError("nobody to measure on")
    return Measured(
        np.concatenate(joints), np.concatenate(peaks), np.concatenate(depths),
        np.stack([s.joints_2d for s in seen]), np.stack([s.joints_2d_valid for s in seen]),
        np.stack([s.joints_3d for s in seen]), np.stack([s.depth_valid for s in seen]), input_px, sum_length_mm,
        presence=np.stack([np.zeros(len(MPII_16), np.uint8) if s.presence is None else s.presence for s in seen]),
        **{name: np.concatenate(parts) for name, parts in more.items() if parts},
    )  # fmt: skip


def rows(store: Store, most: int = 0) -> Iterable[Sample]:
    """The people of a store in order; with ``most`` above 0 that many, spread evenly over it."""
    count = len(store) if most <= 0 else min(most, len(store))
    return (store[i * len(store) // count] for i in range(count))


def torso_hits(measured: Measured, pred_2d: np.ndarray | None = None) -> metrics.JointHits:
    """Joints within 0.2 of the torso, over labelled joints but pelvis and thorax; of ``pred_2d`` if it is given."""
    pred = measured.pred_2d if pred_2d is None else pred_2d
    limit = 0.2 * metrics.torso_size(measured.true_2d, measured.valid_2d)
    return metrics.joint_hits(pred, measured.true_2d, _counted(measured), limit=limit, inclusive=True)


def head_hits(measured: Measured) -> metrics.JointHits:
    """Joints within half of the head's length (upper neck to head top), over the same joints; none of a person
    without both labels."""
    limit = 0.5 * metrics.head_size(measured.true_2d, measured.valid_2d)
    return metrics.joint_hits(measured.pred_2d, measured.true_2d, _counted(measured), limit=limit, inclusive=True)


def _counted(measured: Measured) -> np.ndarray:
    """Pelvis and thorax are made up in many joint sets, and left out by LSP's and MPII's scripts."""
    counted = measured.valid_2d.copy()
    counted[:, [PELVIS, THORAX]] = False
    return counted


def swapped(measured: Measured) -> np.ndarray:
    """Whose left and right lie closer to the truth exchanged, (N,) bool."""
    return metrics.left_right_swapped(measured.pred_2d, measured.true_2d, _counted(measured))


def scores_2d(measured: Measured) -> dict[str, float]:
    """PCK@0.2-torso pooled over labelled joints but pelvis and thorax, in percent, and how sides were told apart.

    ``pck_torso_sides_ignored``: for each left/right pair the better of the prediction and its exchange.
    ``sides_swapped``: percent of people whose left and right lie closer to the truth exchanged.
    """
    as_is = torso_hits(measured)
    crossed = torso_hits(measured, measured.pred_2d[:, list(MPII_16.flip_index)])
    either = as_is.hits.copy()
    for pair in MPII_16.flip_pairs:
        better = crossed.hits[:, pair].sum(axis=1) > as_is.hits[:, pair].sum(axis=1)
        either[np.ix_(better, pair)] = crossed.hits[np.ix_(better, pair)]
    total = max(1, int(as_is.counted.sum()))
    return {
        "pck_torso": 100 * float(as_is.hits.sum() / total),
        "pck_torso_sides_ignored": 100 * float(either.sum() / total),
        "sides_swapped": 100 * float(np.mean(swapped(measured))),
        "people": float(len(measured.pred_2d)),
    }


def scores_3d(measured: Measured, mean_pose_mm: np.ndarray | None = None) -> dict[str, dict[str, float]]:
    """MPJPE (bone-sum scaled) and PA-MPJPE in mm, mean over people, of the network and of what needs none.

    Rows: ``network``; ``network depth, true 2D``; ``flat depth, predicted 2D``; ``flat depth, true 2D`` (depth 0);
    ``true depth, predicted 2D``; ``mean pose`` (``mean_pose_mm`` (J, 3), if given). Poses are aligned at the pelvis.
    """
    both = measured.valid_2d & measured.valid_3d
    # Every row has the same people: those whom all rows can be made of.
    ends = np.array(SCALE_BONES)
    bones = (both[:, ends[:, 0]] & both[:, ends[:, 1]]).any(axis=1)
    usable = both[:, PELVIS] & both[:, DEPTH_ROOT] & bones & (both.sum(axis=1) >= 4)
    if not usable.any():
        return {}
    true_depth = np.stack(
        [
            depth_targets(a, b, c, measured.input_px)[0]
            for a, b, c in zip(measured.true_2d, measured.true_3d, both, strict=True)
        ]
    )
    flat = np.zeros_like(measured.pred_depth)
    # Where a true 2D joint is unknown there is none to lift: such joints are left out of the rows that need it.
    poses = {
        "network": (measured.pose(measured.pred_2d, measured.pred_depth), measured.valid_3d),
        "network depth, true 2D": (measured.pose(measured.true_2d, measured.pred_depth), both),
        "true depth, predicted 2D": (measured.pose(measured.pred_2d, true_depth), both),
        "flat depth, predicted 2D": (measured.pose(measured.pred_2d, flat), measured.valid_3d),
        "flat depth, true 2D": (measured.pose(measured.true_2d, flat), both),
    }
    if mean_pose_mm is not None:
        poses["mean pose"] = (np.broadcast_to(mean_pose_mm, measured.true_3d.shape), measured.valid_3d)
    table = {}
    for name, (pose, valid) in poses.items():
        pred, true, known = pose[usable], measured.true_3d[usable], valid[usable]
        scaled = metrics.scale_to_bone_sum(pred, true, known, root=PELVIS)
        errors = metrics.mpjpe(scaled, true, known, root=PELVIS)
        table[name] = {
            "mpjpe_mm": float(np.nanmean(errors)),
            "pa_mpjpe_mm": float(np.nanmean(metrics.pa_mpjpe(pred, true, known))),
            "people": float(np.isfinite(errors).sum()),
        }
    return table


def symmetry(poses: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """How unlike left and right bones are: mean over people of | left - right |, mm and % of the bones' mean length.

    ``poses`` (N, J, 3) mm, ``valid`` (N, J). Keys: a name of ``SYMMETRIC_BONES`` or ``mean``, and " mm" or " %";
    ``people``: those with all of these bones, over whom the means are taken. Empty if there is none.
    """
    ends = [joint for pair in SYMMETRIC_BONES.values() for bone in pair for joint in bone]
    whole = poses[valid[:, ends].all(axis=1)]
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


def mean_pose_mm(stores: Iterable[Store]) -> np.ndarray:
    """Mean root-relative pose (J, 3) in mm, camera axes, over all complete 3D poses: the baseline that looks at
    nothing."""
    poses = np.concatenate([s.column("joints_3d")[s.column("depth_valid").all(axis=1)] for s in stores])
    return (poses - poses[:, PELVIS : PELVIS + 1]).mean(axis=0)
