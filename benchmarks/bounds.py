"""The least time of a layer: what it computes over the peak, or what it moves over the bandwidth of where that lies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ARITHMETIC, MEMORY = "arithmetic", "memory"


@dataclass(frozen=True)
class Level:
    """A cache, or the memory: what it ``holds``, bytes of all cores together, and its bytes/s."""

    name: str
    holds: float
    rate: float


@dataclass(frozen=True)
class Machine:
    """``peak``: FLOP/s in the precision that is computed in; ``levels``: the smallest first, the last holds all."""

    peak: float
    levels: Sequence[Level]

    def level_of(self, size: float) -> Level:
        """The smallest level that holds so many bytes."""
        return next(level for level in self.levels if size <= level.holds)


@dataclass(frozen=True)
class Layer:
    """What a layer of a network does for one batch: multiply-accumulates, bytes of ``maps`` that it reads and writes,
    bytes of ``weights`` that it reads. ``kind``: of ``layers.KINDS``; ``shape``: of what it gives."""

    name: str
    kind: str
    shape: str
    macs: int
    maps: int
    weights: int


@dataclass(frozen=True)
class Bound:
    """Seconds that a layer takes at least, and why: ``ARITHMETIC``, or the level that its maps lie in."""

    seconds: float
    why: str


def bound(layer: Layer, machine: Machine, all_weights: float) -> Bound:
    """The larger of two times. Arithmetic: 2 x MACs over the peak. Memory: the maps at the rate of the smallest level
    that holds them, as the layer before has just written them, and the weights at that of the level that holds
    ``all_weights`` of the network (bytes): the other layers have used it since."""
    home = machine.level_of(layer.maps)
    memory = layer.maps / home.rate + layer.weights / machine.level_of(all_weights).rate
    arithmetic = 2 * layer.macs / machine.peak
    return Bound(arithmetic, ARITHMETIC) if arithmetic >= memory else Bound(memory, home.name)


def floor_s(layers: Iterable[Layer], machine: Machine) -> float:
    """The least time of a network, s: of its layers, one after the other."""
    kept = list(layers)
    weights = sum(layer.weights for layer in kept)
    return sum(bound(layer, machine, weights).seconds for layer in kept)


def macs_of(result: Sequence[int], kernel: Sequence[int], groups: bool = False) -> int:
    """Multiply-accumulates of a convolution or product with constant weights.

    ``result``: shape (B, C, ...) of what a convolution gives, (..., C) of a product; ``kernel``: shape (C, ...) of the
    weights, with ``groups`` (G, C / G, ...).
    """
    channels = kernel[0] * kernel[1] if groups else kernel[0]
    return math.prod(result) * math.prod(kernel) // channels
