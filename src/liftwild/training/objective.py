"""The losses of a batch, and their weighted sum over all processes."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor

from liftwild import losses
from liftwild.heatmap_torch import draw
from liftwild.network.lifter import Lifter
from liftwild.network.posenet import Prediction
from liftwild.sample import Batch
from liftwild.skeleton import COCO_17, DEPTH_ROOT, MPII_16
from liftwild.synthetic.poses.pose_views import PoseView
from liftwild.training.stage import Stage

_OWN = [joint for joint, name in enumerate(MPII_16.names) if name in COCO_17.names]  # limb joints: MoveNet's own
_OF_COCO = [COCO_17.index(MPII_16.names[joint]) for joint in _OWN]
PLACE_SHARE = 0.5  # of the joints' places beside depths, where a lifter is trained alone


def step_losses(
    pred: Prediction,
    batch: Batch,
    stage: Stage,
    step: int,
    input_px: int,
    softmax: bool = False,
    teacher: Tensor | None = None,
) -> dict[str, losses.Masked]:
    """The losses of a batch by name, each unweighted: those whose weight in ``stage`` is above 0.

    ``softmax``: whether the maps are log-odds, as ``PoseNetConfig.softmax`` says; joints outside the input, which
    these cannot express, are left out. ``teacher`` (B, 17, H, W): log-odds of COCO's joints by the frozen MoveNet.

    Source: Eq. 1 to 3; the depth loss falls on 3D-labelled images, the geometric one on ``stage.geometric_on``.
    """
    found = {}
    if stage.heatmap_weight > 0:
        size = pred.heatmaps[0].shape[-1]
        target = draw(batch.joints_2d, size, input_px, stage.heatmap_sigma_px(step))
        if softmax:
            inside = ((batch.joints_2d >= 0) & (batch.joints_2d < input_px)).all(dim=-1)
            valid = batch.joints_2d_valid & inside
            if stage.side_noise > 0:
                target = _sides_in_doubt(pred, target, valid, ~batch.has_3d, stage.side_noise)
            if stage.pretrained_share > 0 and teacher is not None:
                target = torch.where(valid[..., None, None], target, 0.0)
                target[:, _OWN] = losses.shared_target(target[:, _OWN], teacher[:, _OF_COCO], stage.pretrained_share)
            found["heatmap"] = losses.heatmap_cross_entropy(pred.heatmaps, target, valid)
        else:
            found["heatmap"] = losses.heatmap_loss(
                pred.heatmaps, target, batch.joints_2d_valid, stage.foreground_weight
            )
    if pred.depth is not None and stage.depth_weight > 0:
        limit = stage.depth_clamp or torch.inf
        target, valid = batch.depth.clamp(-limit, limit), batch.depth_valid & batch.has_3d[:, None]
        if pred.log_spread is None:
            found["depth"] = losses.depth_loss(pred.depth, target, valid)
        else:
            found["depth"] = losses.depth_spread_loss(pred.depth, pred.log_spread, target, valid & _but_root(valid))
    if pred.joints is not None and stage.place_weight > 0:
        unit = batch.joints_2d / (input_px / 2) - 1
        found["place"] = losses.place_loss(pred.joints, unit, batch.joints_2d_valid & batch.has_3d[:, None])
    if pred.inside is not None and pred.visible is not None and stage.presence_weight > 0:
        told = [losses.presence_loss(pred.inside, batch.presence), losses.presence_loss(pred.visible, batch.visibility)]
        found["presence"] = losses.Masked(told[0].total + told[1].total, told[0].count)
    if pred.depth is not None and stage.geometric_weight > 0:
        on = {"2d": ~batch.has_3d, "3d": batch.has_3d, "all": torch.ones_like(batch.has_3d)}[stage.geometric_on]
        unit = batch.joints_2d / (input_px / 2) - 1
        found["geometric"] = losses.geometric_loss(pred.depth, unit, batch.joints_2d_valid & on[:, None])
    return found


def lifter_loss(lifter: Lifter, view: PoseView) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a lifter on poses without pictures, in sizes of the pose, and the values to report."""
    lifted, _ = lifter(view.reading)
    away = view.joints - view.joints.mean(dim=1, keepdim=True)
    size = (away**2).sum(-1).mean(dim=1, keepdim=True).sqrt()
    everywhere = torch.ones_like(view.depth, dtype=torch.bool)
    depth = losses.depth_spread_loss(
        lifted.depth / size, lifted.log_spread - size.log(), view.depth / size, everywhere & _but_root(everywhere)
    ).mean()  # fmt: skip
    place = losses.place_loss(lifted.joints / size[..., None], view.joints / size[..., None], everywhere).mean()
    loss = depth + PLACE_SHARE * place
    error = ((lifted.depth - view.depth).abs() / size).mean()
    return loss, {"loss": loss.detach(), "lifter": error.detach(), "place": place.detach()}


def _but_root(like: Tensor) -> Tensor:
    """All joints (J,) bool but that which depths are relative to: it is never wrong, and infinitely sure of it."""
    return torch.arange(like.shape[-1], device=like.device) != DEPTH_ROOT


def _sides_in_doubt(pred: Prediction, target: Tensor, valid: Tensor, labelled_by_hand: Tensor, share: float) -> Tensor:
    """``target`` blended with itself with sides exchanged, person by person, as ``losses.side_doubt`` has it.

    Joints whose other side has no label stay; so do people whose labels are not by hand.
    """
    other = list(MPII_16.flip_index)
    both = valid & valid[:, other]
    swapped = target[:, other]
    doubt = losses.side_doubt(pred.heatmaps[-1], target, swapped, both, share) * labelled_by_hand
    return torch.where(both[..., None, None], torch.lerp(target, swapped, doubt[:, None, None, None]), target)


def total_loss(fabric: Fabric, found: dict[str, losses.Masked], stage: Stage) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the losses' means over the whole batch of all processes (Eq. 4), and what to report of it.

    The first is this process's share: its mean over processes, gradient too, is that of one process with the whole
    batch. The second holds ``loss`` and each unweighted part over the whole batch, without gradient.
    """
    weights = torch.tensor([getattr(stage, f"{name}_weight") for name in found], device=fabric.device)
    totals = torch.stack([loss.total for loss in found.values()])
    counts = torch.stack([loss.count.to(totals.dtype) for loss in found.values()])
    sums = torch.stack([totals.detach(), counts])
    if fabric.world_size > 1:
        torch.distributed.all_reduce(sums)
    means = sums[0] / sums[1].clamp(min=1)
    share = (weights * totals / sums[1].clamp(min=1)).sum() * fabric.world_size
    return share, {"loss": (weights * means).sum(), **dict(zip(found, means, strict=True))}
