"""What a step minimises: the losses of a batch, and their weighted sum over all processes."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor

from liftwild import losses
from liftwild.heatmap import draw
from liftwild.posenet import Prediction
from liftwild.sample import Batch
from liftwild.training.recipe import Stage


def step_losses(
    pred: Prediction, batch: Batch, stage: Stage, step: int, input_px: int, softmax: bool = False
) -> dict[str, losses.Masked]:
    """The losses of a batch by name, each unweighted: those whose weight in ``stage`` is above 0.

    ``softmax``: whether the maps are log-odds, as ``PoseNetConfig.softmax`` says; joints outside the input, which
    these cannot express, are left out.

    Source: Eq. 1 to 3; the depth loss falls on 3D-labelled images, the geometric one on ``stage.geometric_on``.
    """
    found = {}
    if stage.heatmap_weight > 0:
        size = pred.heatmaps[0].shape[-1]
        target = draw(batch.joints_2d, size, input_px, stage.sigma_at(step))
        if softmax:
            inside = ((batch.joints_2d >= 0) & (batch.joints_2d < input_px)).all(dim=-1)
            found["heatmap"] = losses.cell_loss(pred.heatmaps, target, batch.joints_2d_valid & inside)
        else:
            found["heatmap"] = losses.heatmap_loss(
                pred.heatmaps, target, batch.joints_2d_valid, stage.foreground_weight
            )
    if pred.depth is not None and stage.depth_weight > 0:
        limit = stage.depth_clamp or torch.inf
        target = batch.depth.clamp(-limit, limit)
        found["depth"] = losses.depth_loss(pred.depth, target, batch.depth_valid & batch.has_3d[:, None])
    if pred.depth is not None and stage.geometric_weight > 0:
        on = {"2d": ~batch.has_3d, "3d": batch.has_3d, "all": torch.ones_like(batch.has_3d)}[stage.geometric_on]
        unit = batch.joints_2d / (input_px / 2) - 1
        found["geometric"] = losses.geometric_loss(pred.depth, unit, batch.joints_2d_valid & on[:, None])
    return found


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
