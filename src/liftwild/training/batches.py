"""The batches of a stage: which stores they are drawn from, and this process's part of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader, Dataset

from liftwild.data.mixed import MixedBatches, Source, as_batch, worker_init
from liftwild.data.shards import ShardedStore
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.sample import Batch
from liftwild.training.recipe import Recipe

FILES, FILES_OF_WORKER = 64, 40  # open at a time; a batch on its way is a file for each of its fields


def stage_batches(
    recipe: Recipe, stores: Mapping[str, Store | ShardedStore], index: int, first: int, fabric: Fabric, workers: int
) -> Iterator[Batch]:
    """This process's part of the batches of stage ``index``, from step ``first`` on, loaded by ``workers`` processes.

    LiftwildError if the batch does not divide by the number of processes that train.
    """
    stage, world, rank = recipe.stages[index], fabric.world_size, fabric.global_rank
    if stage.batch_size % world:
        raise LiftwildError(f"stage {stage.name}: batch_size {stage.batch_size} does not divide by {world} processes")
    share = stage.batch_size // world
    mixed = MixedBatches(
        _source(recipe, stores, "3d"), _source(recipe, stores, "2d"), stage.ratio_3d,
        (rank * share, (rank + 1) * share), stage.input_px or recipe.network.input_px, (recipe.seed, index),
        beyond=recipe.network.lifter > 0, mask=recipe.network.mask, batch_size=stage.batch_size,
    )  # fmt: skip
    loader = DataLoader(
        _Handed(mixed),
        batch_size=None,
        sampler=range(first, stage.iterations),
        num_workers=workers,
        worker_init_fn=worker_init,
        prefetch_factor=4 if workers else None,
        pin_memory=fabric.device.type == "cuda",
    )
    try:
        for fields in loader:
            if isinstance(fields, Exception):
                raise fields
            yield as_batch(fields).to(fabric.device)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise LiftwildError(
            "a process that loads data came to its end; is there memory for it, room in /dev/shm, a temporary folder? "
            "--workers 0 does without such processes"
        ) from None


@dataclass(frozen=True)
class _Handed(Dataset[Any]):
    """The batches, or in place of one the error that it meets, which a loader process would bury in a traceback."""

    batches: MixedBatches

    def __getitem__(self, step: int) -> dict[str, torch.Tensor] | Exception:
        try:
            return self.batches[step]
        except (LiftwildError, OSError) as error:
            return error


def _source(recipe: Recipe, stores: Mapping[str, Store | ShardedStore], use: str) -> Source | None:
    """The training stores of one use ("3d" or "2d") as one source; None if there is none."""
    names = [name for name, entry in recipe.stores.items() if entry.use == use]
    if not names:
        return None
    augmentation = recipe.augment_3d if use == "3d" else recipe.augment_2d
    return Source([stores[name] for name in names], [recipe.stores[name].weight for name in names], augmentation)
