"""An exponential moving average of a network over its training steps."""

from __future__ import annotations

import itertools

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, net: nn.Module, decay: float, steps: int) -> None:
    """Move ``average``, a copy of ``net``, towards it: parameters and batch-norm statistics, after ``steps`` steps.

    It keeps min(``decay``, (1 + steps) / (10 + steps)) of itself: at first it follows closely. Counters are copied.
    """
    keep = min(decay, (1 + steps) / (10 + steps))
    olds, news = ([*itertools.chain(one.parameters(), one.buffers())] for one in (average, net))
    for old, new in zip(olds, news, strict=True):
        if not old.is_floating_point():
            old.copy_(new)
    floats = [pair for pair in zip(olds, news, strict=True) if pair[0].is_floating_point()]
    torch._foreach_lerp_([old for old, _ in floats], [new for _, new in floats], 1 - keep)
