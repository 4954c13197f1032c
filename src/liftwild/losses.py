"""Heatmap, depth and geometric loss (Zhou et al. 2017, Eq. 1 to 4), batched, with validity masks.

Every loss comes as a ``Masked`` sum and count, so that a batch cut over several processes has the same mean as a whole
one. An empty mask has mean 0 and gradient 0. Depth and geometric loss are means of an image, averaged over the whole
batch (Eq. 4): images on which they do not fall count as 0. Coordinates are in the [-1, 1] unit of method.md: px of the
input divided by half its side, minus 1; depth in the same unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from liftwild.skeleton import RATIO_GROUPS


@dataclass(frozen=True)
class Masked:
    """The sum of a loss over its valid entries, and how many there were (both scalars)."""

    total: Tensor
    count: Tensor

    def mean(self) -> Tensor:
        """Sum / count; 0 where nothing is valid."""
        return self.total / self.count.clamp(min=1)


def heatmap_loss(pred: list[Tensor], target: Tensor, valid: Tensor, foreground_weight: float = 0.0) -> Masked:
    """Squared error to the target maps, summed over stacks, counted in pixels of labelled joints (Eq. 1).

    ``pred``: per stack (B, J, H, W); ``target`` (B, J, H, W) in [0, 1]; ``valid`` (B, J) bool. A pixel counts
    ``1 + foreground_weight * target`` times: 0 is the paper's plain squared error.
    """
    known = valid[..., None, None]
    target = torch.where(known, target, 0.0)  # whatever stands there for an unlabelled joint, even NaN
    weight = known * (1 + foreground_weight * target)
    total = sum(((weight * (_at_least_fp32(maps) - target) ** 2).sum() for maps in pred), start=target.new_zeros(()))
    return Masked(total, valid.sum() * float(target.shape[-2] * target.shape[-1]))


def heatmap_cross_entropy(pred: list[Tensor], target: Tensor, valid: Tensor) -> Masked:
    """Cross-entropy of each joint's place among the cells of its map, summed over stacks, counted in labelled joints.

    ``pred``: per stack (B, J, H, W) log-odds; ``target`` (B, J, H, W) >= 0, of any sum: the share of each cell;
    ``valid`` (B, J) bool. A joint whose target is 0 everywhere does not count. Not in the paper.
    """
    share = torch.where(valid[..., None, None], target, 0.0).flatten(2)
    mass = share.sum(dim=-1, keepdim=True)
    share = share / torch.where(mass > 0, mass, 1.0)
    found = ((share * _at_least_fp32(maps).flatten(2).log_softmax(dim=-1)).sum() for maps in pred)
    return Masked(-sum(found, start=target.new_zeros(())), (mass > 0).sum())


@torch.no_grad()
def shared_target(target: Tensor, teacher: Tensor, share: float) -> Tensor:
    """Cells (B, J, H, W) that sum to 1: ``share`` of a teacher's probability, the rest of ``target``.

    ``target`` as for ``heatmap_cross_entropy``, joints without a label have 0 everywhere and keep it; ``teacher``
    (B, J, H, W) log-odds. The cross-entropy of both is then weighed together (Hinton et al. 2015, distillation).
    """
    mass = target.sum(dim=(2, 3), keepdim=True)
    told = teacher.float().flatten(2).softmax(dim=-1).view_as(teacher)
    return torch.where(mass > 0, torch.lerp(target / mass.clamp(min=1e-12), told, share), 0.0)


@torch.no_grad()
def side_doubt(pred: Tensor, target: Tensor, swapped: Tensor, valid: Tensor, share: float) -> Tensor:
    """Chance (B,) that a person's labels have left and right exchanged, by what the network itself makes of the photo.

    ``pred`` (B, J, H, W) log-odds; ``target`` and ``swapped`` (B, J, H, W) the labels' cells as for
    ``heatmap_cross_entropy``, as labelled and exchanged; ``valid`` (B, J) bool, those that both have. ``share``: of
    labels that are exchanged, before anything is seen, in (0, 1). Bayes' rule, with the joints taken as independent.
    Not in the paper.
    """
    log = _at_least_fp32(pred).flatten(2).log_softmax(dim=-1)

    def fit(cells: Tensor) -> Tensor:
        cells = torch.where(valid[..., None, None], cells, 0.0).flatten(2)  # NaN stands for an unlabelled joint
        return ((cells * log).sum(dim=-1) / cells.sum(dim=-1).clamp(min=1e-6)).sum(dim=-1)

    return torch.sigmoid(fit(swapped) - fit(target) + math.log(share / (1 - share)))


def depth_loss(pred: Tensor, target: Tensor, valid: Tensor) -> Masked:
    """Squared depth error over joints with a known depth (Eq. 2, first case), counted in images of the batch.

    All (B, J); ``valid`` bool, False throughout for an image with only 2D labels.
    """
    error = torch.where(valid, _at_least_fp32(pred) - torch.where(valid, target, 0.0), 0.0)
    return _by_image(error**2, valid)


SPREAD_SHARE = 0.1  # of the likelihood in ``depth_spread_loss``, beside the plain error


def depth_spread_loss(pred: Tensor, log_spread: Tensor, target: Tensor, valid: Tensor) -> Masked:
    """Absolute depth error, and a tenth of the negative log likelihood of a Laplace distribution of that spread.

    All (B, J), in the [-1, 1] unit; counted as ``depth_loss``; ``log_spread``: log of the expected absolute error.
    Networks with a lifter learn
    depths and how sure they are by it; not in the paper, whose loss is ``depth_loss``.
    """
    log = _at_least_fp32(log_spread)
    error = (_at_least_fp32(pred) - torch.where(valid, target, 0.0)).abs()
    each = error + SPREAD_SHARE * (error * torch.exp(-log) + log)
    return _by_image(each, valid)


def place_loss(pred: Tensor, target: Tensor, valid: Tensor) -> Masked:
    """Distance between joints (B, J, 2) in the [-1, 1] unit, where ``valid`` (B, J)."""
    away = _safe_length(_at_least_fp32(pred) - torch.where(valid[..., None], target, 0.0))
    return Masked(torch.where(valid, away, 0.0).sum(), valid.sum())


def presence_loss(log_odds: Tensor, code: Tensor) -> Masked:
    """Cross-entropy of yes or no, (B, J); ``code``: 2 yes, 1 no, 0 not known."""
    known = code > 0
    each = functional.binary_cross_entropy_with_logits(_at_least_fp32(log_odds), (code == 2).float(), reduction="none")
    return Masked(torch.where(known, each, 0.0).sum(), known.sum())


def geometric_loss(depth: Tensor, joints_2d: Tensor, valid: Tensor) -> Masked:
    """Variance of bone length / canonical length within each bone group, summed over groups (Eq. 3).

    ``depth`` (B, J) predicted; ``joints_2d`` (B, J, 2) ground truth, in the [-1, 1] unit; ``valid`` (B, J) bool, joints
    that are labelled. A bone with an unlabelled end takes no part in its group's mean and count; a group with none is
    0. Canonical lengths are in units of the longest of their group, as in the authors' code: only their ratios enter,
    and the paper's weight of 0.01 is meant for that scale. Counted in images of the batch.
    At length 0 a bone's gradient is taken as 0.
    """
    joints = torch.cat([joints_2d, _at_least_fp32(depth)[..., None]], dim=-1)
    total = joints.new_zeros(len(joints))
    for group in RATIO_GROUPS.values():
        a, b = ([bone[end] for bone, _ in group] for end in (0, 1))
        known = valid[:, a] & valid[:, b]
        canonical = joints.new_tensor([length for _, length in group])
        ratio = _safe_length(joints[:, a] - joints[:, b]) / (canonical / canonical.max())
        count = known.sum(dim=1)
        mean = (ratio * known).sum(dim=1, keepdim=True) / count.clamp(min=1)[:, None]
        variance = ((ratio - mean) ** 2 * known).sum(dim=1) / count.clamp(min=1)
        total = total + variance
    return Masked(total.sum(), _images(total))


def _by_image(each: Tensor, valid: Tensor) -> Masked:
    """Mean of ``each`` over the ``valid`` joints of an image, both (B, J), counted in images of the batch."""
    total = torch.where(valid, each, 0.0).sum(dim=1) / valid.sum(dim=1).clamp(min=1)
    return Masked(total.sum(), _images(total))


def _images(like: Tensor) -> Tensor:
    return torch.tensor(len(like), device=like.device)


def _at_least_fp32(pred: Tensor) -> Tensor:
    """Predictions come in bf16 under mixed precision; losses are summed in fp32 or better."""
    return pred.to(torch.promote_types(pred.dtype, torch.float32))


def _safe_length(vectors: Tensor) -> Tensor:
    """Euclidean length (...) of vectors (..., D) whose gradient at 0 is 0, not NaN."""
    squared = (vectors**2).sum(dim=-1)
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, torch.ones_like(squared)).sqrt(), 0.0)
