"""The training loop: one plain loop on Lightning Fabric."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader

from liftwild import __version__, losses
from liftwild.data.mixed import MixedBatches, Source, as_batch, worker_init
from liftwild.data.store import Store, sum_length_mm
from liftwild.errors import LiftwildError
from liftwild.evaluation import measure
from liftwild.heatmap import draw
from liftwild.posenet import PoseNet, Prediction
from liftwild.sample import Batch
from liftwild.training import checkpoint as checkpoints
from liftwild.training.monitor import Monitor
from liftwild.training.recipe import Recipe, Stage
from liftwild.weights import load_weights, save_weights

VAL_PEOPLE = 1000  # at most so many of each val store, spread evenly, are measured while training


@dataclass(frozen=True)
class Position:
    """Where a run stands: ``stage`` index, ``step`` done in that stage, ``total`` steps done over all stages."""

    stage: int = 0
    step: int = 0
    total: int = 0


def step_losses(pred: Prediction, batch: Batch, stage: Stage, step: int, input_px: int) -> dict[str, losses.Masked]:
    """The losses of a batch by name, each unweighted: those whose weight in ``stage`` is above 0.

    Source: Eq. 1 to 3; the depth loss falls on 3D-labelled images, the geometric one on ``stage.geometric_on``.
    """
    found = {}
    if stage.heatmap_weight > 0:
        size = pred.heatmaps[0].shape[-1]
        target = draw(batch.joints_2d, size, input_px, stage.sigma_at(step))
        found["heatmap"] = losses.heatmap_loss(pred.heatmaps, target, batch.joints_2d_valid, stage.foreground_weight)
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


class Trainer:
    """A run of a recipe in a folder. ``train`` does it all; the parts are there to be read and tested."""

    def __init__(self, recipe: Recipe, out: Path, fabric: Fabric, workers: int, start: str | None) -> None:
        self.recipe, self.out, self.fabric, self.workers, self.start = recipe, out, fabric, workers, start
        self.stores = {name: Store(entry.path) for name, entry in recipe.stores.items()}
        self.fingerprints = {name: store.fingerprint() for name, store in self.stores.items()}
        three = [store for name, store in self.stores.items() if recipe.stores[name].use == "3d"]
        self.sum_length_mm = sum_length_mm(three) if three else 0.0
        self.mean_pose = measure.mean_pose_mm(three) if three else None
        torch.manual_seed(recipe.seed)
        self.net = PoseNet(recipe.network)
        if start is not None:
            self._start_from(start)
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        self.metrics: dict[str, Any] = {}

    def _start_from(self, name: str) -> None:
        net, card = load_weights(name)
        if net.config != self.recipe.network:
            raise LiftwildError(f"weights {name} are of another network size than recipe {self.recipe.name}")
        self.net.load_state_dict(net.state_dict())
        self.sum_length_mm = self.sum_length_mm or card["sum_length_mm"]

    def source(self, use: str) -> Source | None:
        """The training stores of one use ("3d" or "2d") as one source; None if there is none."""
        names = [name for name, entry in self.recipe.stores.items() if entry.use == use]
        if not names:
            return None
        how = self.recipe.augment_3d if use == "3d" else self.recipe.augment_2d
        return Source([self.stores[n] for n in names], [self.recipe.stores[n].weight for n in names], how)

    def batches(self, index: int, first: int) -> Iterator[Batch]:
        """This process's part of the batches of stage ``index``, from step ``first`` on."""
        stage, world, rank = self.recipe.stages[index], self.fabric.world_size, self.fabric.global_rank
        if stage.batch_size % world:
            raise LiftwildError(
                f"stage {stage.name}: batch_size {stage.batch_size} does not divide by {world} processes"
            )
        share = stage.batch_size // world
        mixed = MixedBatches(
            self.source("3d"), self.source("2d"), stage.ratio_3d, (rank * share, (rank + 1) * share),
            stage.input_px or self.recipe.network.input_px, (self.recipe.seed, index),
        )  # fmt: skip
        loader = DataLoader(
            mixed,
            batch_size=None,
            sampler=range(first, stage.iterations),
            num_workers=self.workers,
            worker_init_fn=worker_init,
            prefetch_factor=4 if self.workers else None,
            pin_memory=self.fabric.device.type == "cuda",
        )
        for fields in loader:
            yield as_batch(fields).to(self.fabric.device)

    def optimizer(self, stage: Stage) -> torch.optim.Optimizer:
        """A fresh optimiser over what ``stage`` trains; the rest is frozen."""
        for parameter in self.net.parameters():
            parameter.requires_grad_(stage.train == "all")
        for parameter in self.net.depth_parameters():
            parameter.requires_grad_(stage.with_depth)
        trained = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        how = self.recipe.optimizer
        if how.name == "rmsprop":
            return torch.optim.RMSprop(trained, stage.lr, how.alpha, how.eps, how.weight_decay)
        return torch.optim.AdamW(trained, stage.lr, (how.beta1, how.beta2), how.eps, how.weight_decay)

    def training_mode(self, stage: Stage) -> None:
        """Training mode; what a stage leaves alone keeps its batch-norm statistics too."""
        self.net.train(not stage.freeze_norm)
        if stage.train == "depth":
            for part in (self.net.stem, self.net.stacks):
                part.eval()

    def run(self, at: Position, resume: Path | None, stop_after: int | None = None) -> None:
        """Train from ``at`` to the end, or for ``stop_after`` more steps (then a checkpoint is left)."""
        last = None if stop_after is None else at.total + stop_after
        done_before = at.total
        total = sum(stage.iterations for stage in self.recipe.stages)
        with Monitor(self.out, total, at.total, self.recipe.log_every, self.fabric.is_global_zero) as monitor:
            for index in range(at.stage, len(self.recipe.stages)):
                step = at.step if index == at.stage else 0
                done_before = self.stage(index, step, done_before, resume, monitor, last)
                resume = None
                if last is not None and done_before >= last:
                    return
        self.net.eval()
        if self.fabric.is_global_zero:
            self.export()

    def stage(self, index: int, first: int, total: int, resume: Path | None, monitor: Monitor, last: int | None) -> int:
        """Train stage ``index`` from its step ``first``; returns the total of steps done."""
        stage, fabric = self.recipe.stages[index], self.fabric
        optimizer = self.optimizer(stage)
        if resume is not None and first > 0:
            checkpoints.load_optimizer(resume, self.net, optimizer)
        model, optimizer = fabric.setup(self.net, optimizer)
        self.training_mode(stage)
        input_px = stage.input_px or self.recipe.network.input_px
        for step, batch in enumerate(self.batches(index, first), start=first):
            for group in optimizer.param_groups:
                group["lr"] = stage.lr_at(step)
            images = batch.images.to(memory_format=torch.channels_last)
            pred = model(images, with_depth=stage.with_depth)
            loss, report = total_loss(fabric, step_losses(pred, batch, stage, step, input_px), stage)
            if not torch.isfinite(report["loss"]):
                self._stop_on_nan(batch, stage, step, total)
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(loss)
            if stage.clip:
                fabric.clip_gradients(model, optimizer, max_norm=stage.clip)
            optimizer.step()
            total += 1
            monitor.step(stage, total, len(batch) * fabric.world_size, report, stage.lr_at(step))
            at_end = step + 1 == stage.iterations
            stop = total == last
            if self._due(self.recipe.picture_every, total, at_end):
                monitor.picture(batch, pred, input_px, total)
            if self._due(self.recipe.val_every, total, at_end):
                self.validate(monitor, total, input_px)
                self.training_mode(stage)
            if self._due(self.recipe.checkpoint_every, total, at_end or stop):
                self.checkpoint(Position(index, step + 1, total), optimizer)
            if stop:
                break
        return total

    @staticmethod
    def _due(every: int, total: int, always: bool) -> bool:
        return always or (every > 0 and total % every == 0)

    def _stop_on_nan(self, batch: Batch, stage: Stage, step: int, total: int) -> None:
        path = self.out / f"nan-step-{total:08d}-rank-{self.fabric.global_rank}.safetensors"
        save_file({name: value.contiguous().cpu() for name, value in batch.tensors().items()}, path)
        raise LiftwildError(
            f"the loss is not a number at step {step} of stage {stage.name}; its batch is in {path}, "
            "the last checkpoint is from before; a lower lr or a gradient clip often helps"
        )

    def validate(self, monitor: Monitor, total: int, input_px: int) -> None:
        """Measure on the val stores, in evaluation mode, at the stage's input size, and log it."""
        if not self.fabric.is_global_zero:
            return
        self.net.eval()
        for name, entry in self.recipe.stores.items():
            if entry.use != "val":
                continue
            people = measure.rows(self.stores[name], VAL_PEOPLE)
            measured = measure.run(self.net, people, self.sum_length_mm, input_px=input_px)
            scores = measure.scores_2d(measured)
            if input_px == self.net.config.input_px:
                scores.update(measure.scores_3d(measured).get("network", {}))
            self.metrics[name] = {"step": total, **{key: round(value, 2) for key, value in scores.items()}}
            monitor.scores(name, scores, total)

    def checkpoint(self, at: Position, optimizer: Any) -> None:
        """Leave a checkpoint of this position (rank 0; the others wait)."""
        if self.fabric.is_global_zero:
            raw = getattr(optimizer, "optimizer", optimizer)
            state = {"stage": at.stage, "stage_step": at.step, "metrics": self.metrics, **self.about()}
            checkpoints.save_checkpoint(self.out / "checkpoints", at.total, self.net, raw, state)
        self.fabric.barrier()

    def about(self) -> dict[str, Any]:
        """What a checkpoint and the weights say of their origin."""
        return {
            "recipe": self.recipe.text,
            "from": self.start,
            "seed": self.recipe.seed,
            "data": {
                name: {
                    "use": entry.use, "kind": entry.kind, "licence": entry.licence, "people": len(self.stores[name]),
                    "fingerprint": self.fingerprints[name],
                }
                for name, entry in self.recipe.stores.items()
            },
            "versions": {"liftwild": __version__, "python": platform.python_version()}
            | {name: importlib.metadata.version(name) for name in ("torch", "numpy", "opencv-python-headless")},
            "precision": str(self.fabric.strategy.precision.precision),
        }  # fmt: skip

    def export(self) -> None:
        """Write the weights file of the network as it stands."""
        card = {
            "name": self.recipe.name,
            "licence": self.recipe.licence,
            "sum_length_mm": round(self.sum_length_mm, 2),
            "mean_pose_mm": None if self.mean_pose is None else np.round(self.mean_pose, 1).tolist(),
            "made": time.strftime("%Y-%m-%d"),
            "metrics": self.metrics,
            **self.about(),
        }
        save_weights(self.out / "weights.safetensors", self.net, card)


def find_start(out: Path, recipe: Recipe, resume: bool) -> tuple[Position, Path | None]:
    """Where a run in ``out`` begins; LiftwildError if it would run over another run, or go on with another recipe."""
    found = checkpoints.checkpoints(out / "checkpoints")
    if not resume:
        if found:
            raise LiftwildError(f"{out} holds a run already; go on with --resume, or choose another --out")
        return Position(), None
    if not found:
        return Position(), None
    state = checkpoints.read_state(found[-1])
    if state["recipe"] != recipe.text:
        raise LiftwildError(f"{out} was begun with another recipe; train into another --out")
    return Position(state["stage"], state["stage_step"], state["step"]), found[-1]


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    start: str | None = None,
    precision: str = "auto",
    accelerator: str = "auto",
    workers: int = 2,
    stop_after: int | None = None,
) -> Trainer:
    """Run ``recipe`` in the folder ``out``, from the start, from weights (``start``), or from where it stopped.

    ``precision``: auto (bf16 where the machine computes in it, else fp32), bf16-mixed or 32-true. Under ``torchrun``
    one process of several. ``stop_after`` ends early, with a checkpoint. Returns the trainer.
    """
    fabric = Fabric(
        accelerator=accelerator,
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", "1")),
        strategy="ddp" if int(os.environ.get("WORLD_SIZE", "1")) > 1 else "auto",
        precision=_precision(precision, accelerator),  # type: ignore[arg-type]
    )
    fabric.launch()
    at, found = find_start(out, recipe, resume)
    trainer = Trainer(recipe, out, fabric, workers, start)
    if found is not None:
        state = checkpoints.read_state(found)
        for name, data in state["data"].items():
            if data["fingerprint"] != trainer.fingerprints.get(name):
                raise LiftwildError(f"store {name} is not the one that {out} was begun with")
        checkpoints.load_net(found, trainer.net)
        trainer.metrics = state["metrics"]
    out.mkdir(parents=True, exist_ok=True)
    torch.backends.cudnn.deterministic = True
    trainer.run(at, found, stop_after)
    return trainer


def _precision(asked: str, accelerator: str) -> str:
    """The precision to compute in: bf16 only where the hardware has it."""
    if asked != "auto":
        return asked
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    has = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if has else "32-true"
