"""Batches that mix 3D-labelled and 2D-labelled people at a fixed ratio.

What stands at a position of a step's batch, and how it is augmented, is a function of (seed, step, position) alone:
a resumed run needs no loader state, and processes that share a batch cut it without talking to each other. Stores of
one file are drawn from at random; where a store is in shards, each row of the source's stores comes once an epoch.
"""

from __future__ import annotations

import math
import multiprocessing.queues
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from liftwild.camera import depth_targets
from liftwild.data.augment import Augmentation, augment, places
from liftwild.data.shard_order import RowOrder, turn
from liftwild.data.shards import ShardedStore
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.processes import end_with_parent
from liftwild.sample import Batch, Sample


@dataclass(frozen=True)
class Source:
    """Stores that are drawn from together: a store with ``weight`` w is drawn w / sum(weights) of the time."""

    stores: Sequence[Store | ShardedStore]
    weights: Sequence[float]
    augmentation: Augmentation
    _orders: dict[tuple[int, ...], RowOrder] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=np.float64)
        if not self.stores or weights.shape != (len(self.stores),):
            raise LiftwildError(f"{len(self.stores)} stores but {weights.size} weights")
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
            raise LiftwildError(f"weights of stores must be 0 or more, and not all 0: {list(self.weights)}")

    def draw(self, rng: np.random.Generator, input_px: int, mask: float = 0.0) -> Sample:
        """One person at random, augmented; ``mask`` as in ``PoseNetConfig``."""
        share = np.cumsum(self.weights)
        share = share / share[-1]  # the last is 1, and no draw reaches it
        store = self.stores[int(np.searchsorted(share, rng.random(), side="right"))]
        return augment(store[int(rng.integers(len(store)))], rng, self.augmentation, input_px, mask)

    @property
    def is_ordered(self) -> bool:
        """Whether people are drawn by ``draw_next`` and not by ``draw``: a store in shards is among the stores."""
        return any(isinstance(store, ShardedStore) for store in self.stores)

    def draw_next(
        self, number: int, seed: tuple[int, ...], rng: np.random.Generator, input_px: int, mask: float = 0.0
    ) -> Sample:
        """The person of draw ``number``, counted over a whole run, by ``seed``; augmented as in ``draw``."""
        chosen, number = turn(number, self.weights)
        store, key = self.stores[chosen], (*seed, chosen)
        if key not in self._orders:
            self._orders[key] = RowOrder(store.shard_rows, key)
        order = self._orders[key]
        if isinstance(store, ShardedStore):
            store.fetch_ahead(order.shards_ahead(number))
        return augment(store[order.row(number)], rng, self.augmentation, input_px, mask)


def count_3d(positions: int, ratio_3d: float) -> int:
    """How many of the first ``positions`` of a batch hold 3D-labelled images: spread evenly, ``ratio_3d`` of them."""
    return math.floor(positions * ratio_3d + 1e-9)


def is_3d(position: int, ratio_3d: float) -> bool:
    """Whether a position of a batch holds a 3D-labelled image."""
    return count_3d(position + 1, ratio_3d) > count_3d(position, ratio_3d)


@dataclass(frozen=True)
class MixedBatches(Dataset[dict[str, torch.Tensor]]):
    """The batch of every step, as a map-style dataset indexed by step; each item is a dict of ``Batch`` fields.

    ``positions``: the part (start, stop) of the global batch that this process makes. ``ratio_3d`` in [0, 1]: share of
    images drawn from ``source_3d``; the rest come from ``source_2d`` with their depth labels, if any, left out.
    ``beyond``: joints beyond the picture's edge that 3D labels tell take part too: a lifter learns of them. ``mask``:
    as in ``PoseNetConfig``. ``batch_size``: of the global batch; stores in shards need it.
    LiftwildError if the ratio needs a source that is not there.
    """

    source_3d: Source | None
    source_2d: Source | None
    ratio_3d: float
    positions: tuple[int, int]
    input_px: int
    seed: tuple[int, ...]
    beyond: bool = False
    mask: float = 0.0
    batch_size: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.ratio_3d <= 1:
            raise LiftwildError(f"ratio_3d must lie between 0 and 1, not {self.ratio_3d}")
        for kind, source, share in (("3D", self.source_3d, self.ratio_3d), ("2D", self.source_2d, 1 - self.ratio_3d)):
            if source is None and share > 0:
                raise LiftwildError(f"ratio_3d is {self.ratio_3d}, but there is no {kind} source")
            if source is not None and source.is_ordered and self.batch_size < self.positions[1]:
                raise LiftwildError(f"batch_size is {self.batch_size}: stores in shards need that of the whole batch")

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rows = [self.row(step, position) for position in range(*self.positions)]
        return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}

    def row(self, step: int, position: int) -> dict[str, np.ndarray]:
        """One image of a step's batch with its targets, as numpy arrays without the batch axis."""
        rng = np.random.default_rng([*self.seed, step, position])
        three = is_3d(position, self.ratio_3d)
        source = self.source_3d if three else self.source_2d
        assert source is not None  # __post_init__
        if source.is_ordered:
            number, seed = self._number(step, position, three), (*self.seed, int(three))
            sample = source.draw_next(number, seed, rng, self.input_px, self.mask)
        else:
            sample = source.draw(rng, self.input_px, self.mask)
        return targets(sample, self.input_px, three, self.beyond)

    def _number(self, step: int, position: int, three: bool) -> int:
        """How many 3D-labelled images, or others, come before this one in a run."""
        a_batch, before = count_3d(self.batch_size, self.ratio_3d), count_3d(position, self.ratio_3d)
        return step * a_batch + before if three else step * (self.batch_size - a_batch) + position - before


def targets(sample: Sample, input_px: int, with_depth: bool, beyond: bool = False) -> dict[str, np.ndarray]:
    """A sample at the network's input as arrays of a ``Batch``, without the batch axis."""
    joints_2d, valid = places(sample) if beyond else (sample.joints_2d, sample.joints_2d_valid)
    depth, depth_valid = depth_targets(joints_2d, sample.joints_3d, valid & sample.depth_valid & with_depth, input_px)
    presence = np.zeros(len(valid), np.uint8) if sample.presence is None else sample.presence
    in_crop = ((joints_2d >= 0) & (joints_2d < input_px)).all(axis=1)
    visibility = np.zeros(len(valid), np.uint8) if sample.visibility is None else sample.visibility
    return {
        "images": np.ascontiguousarray(sample.image.transpose(2, 0, 1)),
        "joints_2d": joints_2d.astype(np.float32),
        "joints_2d_valid": valid,
        "depth": depth.astype(np.float32),
        "depth_valid": depth_valid,
        "has_3d": np.array(with_depth),
        "presence": np.where((presence == 2) & ~in_crop, 1, presence).astype(np.uint8),
        "visibility": np.where(presence == 2, visibility, 0).astype(np.uint8),
    }


def worker_init(_: int) -> None:
    """One thread a loader worker: the workers are the parallelism. It ends with its parent, and where a batch cannot be
    handed over."""
    end_with_parent()
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_give_up)  # type: ignore[attr-defined]
    sys.excepthook = lambda *_: None  # its errors go to its parent; others, as that the parent was killed, to nobody
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _give_up(error: Exception, batch: object) -> None:
    # Else the batch is dropped, and the process that trains waits for it for ever.
    os._exit(1)


def as_batch(fields: dict[str, torch.Tensor]) -> Batch:
    """A ``Batch`` from the dict that ``MixedBatches`` gives."""
    return Batch(**fields)
