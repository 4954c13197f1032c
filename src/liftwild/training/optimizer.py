"""Which parameters a stage trains, and the optimiser over them."""

from __future__ import annotations

import torch

from liftwild.network.posenet import PoseNet
from liftwild.training.recipe import Optimizer
from liftwild.training.stage import Stage


def make_optimizer(net: PoseNet, how: Optimizer, stage: Stage) -> torch.optim.Optimizer:
    """A fresh optimiser over what ``stage`` trains of ``net``; the rest is frozen. Its groups have ``share``: of the
    stage's learning rate."""
    for parameter in net.parameters():
        parameter.requires_grad_(stage.train in ("all", "heads", "last"))
    for parameter in net.depth_parameters():
        parameter.requires_grad_(stage.with_depth)
    if stage.train == "lifter":
        net.depth.requires_grad_(False)
    if stage.train in ("heads", "last"):
        for part in net.pretrained_modules(stage.last_blocks if stage.train == "last" else 0):
            part.requires_grad_(False)
    before = net.pretrained_modules() + ([net.lifter] if net.config.lifter and stage.train != "lifter" else [])
    slow, slow_share = {id(parameter) for part in before for parameter in part.parameters()}, stage.pretrained_lr
    if stage.transferred_lr != 1:
        own = {id(parameter) for parameter in net.depth_parameters()}
        slow, slow_share = {id(each) for each in net.parameters()} - own, stage.transferred_lr
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    groups = [
        {"params": [each for each in trained if (id(each) in slow) == is_slow], "share": share}
        for is_slow, share in ((False, 1.0), (True, slow_share))
    ]
    groups = [group for group in groups if group["params"]]
    if how.name == "rmsprop":
        return torch.optim.RMSprop(groups, stage.lr, how.alpha, how.eps, how.weight_decay)
    return torch.optim.AdamW(groups, stage.lr, (how.beta1, how.beta2), how.eps, how.weight_decay, fused=True)
