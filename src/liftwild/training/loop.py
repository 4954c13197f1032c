"""The training loop: one plain loop on Lightning Fabric."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from liftwild.data.means import joined
from liftwild.data.shard_cache import ShardCache
from liftwild.data.shards import ShardedStore, open_store
from liftwild.data.store import Store, fingerprint
from liftwild.errors import LiftwildError
from liftwild.evaluation import measure
from liftwild.evaluation.metric_table import METRICS, score_all
from liftwild.network.posenet import PoseNet
from liftwild.sample import Batch
from liftwild.synthetic.poses.pose_bank import read_poses
from liftwild.training import budget, movenet_weights
from liftwild.training import checkpoint as checkpoints
from liftwild.training.average import update_average
from liftwild.training.batches import stage_batches
from liftwild.training.checkpoint import Position
from liftwild.training.frozen import frozen_layers, frozen_outputs, teacher_log_odds
from liftwild.training.lifter_stage import train_lifter
from liftwild.training.monitor import PICTURES, Monitor
from liftwild.training.objective import step_losses, total_loss
from liftwild.training.optimizer import make_optimizer
from liftwild.training.recipe import Recipe
from liftwild.training.run_weights import origin_of, write_run_weights, write_stage_weights
from liftwild.training.stage import Stage
from liftwild.weights import check_shards, write_tensors

VAL_PEOPLE = 1000  # at most so many of each val store, spread evenly, are measured while training


class Trainer:
    """A run of a recipe in the folder ``out``; ``train.train_recipe`` makes one and runs it."""

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        fabric: Fabric,
        workers: int,
        shard_mb: float = 0.0,
        cache: ShardCache | None = None,
    ) -> None:
        self.recipe, self.out, self.fabric, self.workers, self.shard_mb = recipe, out, fabric, workers, shard_mb
        rows = recipe.stores.items()
        self.val_stores = {name: Store(entry.path) for name, entry in rows if entry.use == "val"}
        self.stores: dict[str, Store | ShardedStore] = {**self.val_stores}
        self.stores |= {name: open_store(entry.path, cache) for name, entry in rows if entry.use in ("3d", "2d")}
        self.poses = {name: entry.path for name, entry in rows if entry.use == "poses"}
        self.fingerprints = {name: store.fingerprint() for name, store in self.stores.items()}
        self.fingerprints |= {name: fingerprint(Path(path)) for name, path in self.poses.items()}
        three = [store for name, store in self.stores.items() if recipe.stores[name].use == "3d"]
        means = joined(store.means() for store in three) if three else None
        self.sum_length_mm = means.sum_length_mm if means else 0.0
        self.bone_length_mm = np.asarray(means.bone_lengths_mm) if means else None
        self.mean_pose = np.asarray(means.pose_mm) if means else None
        torch.manual_seed(recipe.seed)
        self.net = PoseNet(recipe.network)
        if recipe.pretrained:
            self.net.init_from_pretrained(movenet_weights.load(recipe.pretrained, recipe.network.mobilenet))
        check_shards(self.net, shard_mb)
        self.net.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False) if recipe.ema_decay else None
        self.start: str | None = None
        self.pretrained = movenet_weights.origin(recipe.pretrained) if recipe.pretrained else None
        self.metrics: dict[str, Any] = {}
        self.metrics_before: dict[str, Any] = {}
        self.best: dict[str, Any] = {}
        self.steps = 0  # done, over all stages
        self.stopped = False  # before the last step
        self.out_of_time = False  # stopped by the time limit
        self.shortened_from = 0  # steps of the recipe, where the schedule was shortened
        self.timer = budget.Timer()
        self.exported: list[Path] = []
        self._check_best()

    def _check_best(self) -> None:
        """Whether the store of ``recipe.best`` can have that metric, before hours are spent."""
        store, _, metric = self.recipe.best.rpartition(":")
        needs_3d = bool(metric) and METRICS[metric].needs == "3d"
        if needs_3d and not self.val_stores[store].column("depth_valid").any():
            raise LiftwildError(f"best = {self.recipe.best!r}: store {store} has no 3D labels to measure it on")

    def count_people(self, name: str) -> int:
        """People or poses in the store ``name``."""
        return len(self.stores[name]) if name in self.stores else len(read_poses(self.poses[name]))

    @property
    def store_bytes(self) -> dict[str, int]:
        """The size of each store by name."""
        sizes = {name: store.size_bytes for name, store in self.stores.items()}
        return sizes | {name: os.path.getsize(path) for name, path in self.poses.items()}

    @property
    def result(self) -> PoseNet:
        """The network that is measured and exported: the average over steps, where the recipe has one."""
        return self.net if self.average is None else self.average

    def start_from(self, name: str, net: PoseNet, card: dict[str, Any]) -> None:
        """Begin with the network ``net`` and card of the weights ``name``; they may have fewer stacks.

        ``PoseNet.init_from_shallower`` says how the others begin.
        """
        self.start = name
        self.net.init_from_shallower(net)
        self.result.load_state_dict(self.net.state_dict())
        self.sum_length_mm = self.sum_length_mm or card["sum_length_mm"]
        self.pretrained = self.pretrained or card.get("pretrained")

    def resume_from(self, checkpoint: Path) -> None:
        """Take everything but the optimiser's state from a checkpoint; LiftwildError if it is of other stores."""
        state = checkpoints.read_state(checkpoint)
        for name, data in state["data"].items():
            if data["fingerprint"] != self.fingerprints.get(name):
                raise LiftwildError(f"store {name} is not the one that {self.out} was begun with")
        checkpoints.load_net(checkpoint, self.net)
        if self.average is not None:
            checkpoints.load_net(checkpoint, self.average, checkpoints.AVERAGE)
        self.start, self.metrics = state["from"], state["metrics"]
        self.pretrained = state.get("pretrained")
        self.metrics_before, self.best = state.get("metrics_before", {}), state.get("best", {})
        self.sum_length_mm = state.get("sum_length_mm", self.sum_length_mm)
        if "schedule" in state:  # as it was made to fit, so that the rest is what it would have been
            self.shorten_schedule(tuple(
                dataclasses.replace(stage, iterations=iterations, warmup=warmup)
                for stage, (iterations, warmup) in zip(self.recipe.stages, state["schedule"], strict=True)
            ))  # fmt: skip

    def shorten_schedule(self, stages: tuple[Stage, ...]) -> None:
        """Go on by these ``stages`` in place of the recipe's; they differ in iterations and warmup alone."""
        self.shortened_from = self.recipe.steps
        self.recipe = dataclasses.replace(self.recipe, stages=stages)

    def training_mode(self, stage: Stage) -> None:
        """Set the training mode; frozen parts keep their batch-norm statistics."""
        self.net.train(not stage.freeze_norm)
        if stage.train in ("depth", "lifter"):
            self.net.subnetwork.eval()

    def run(
        self, at: Position, resume: Path | None, stop_after: int | None = None, until: float | None = None,
        fit: bool = False,
    ) -> None:  # fmt: skip
        """Train from ``at`` to the end, or for ``stop_after`` more steps, or until ``budget.now()`` is ``until``.

        Where it ends early a checkpoint is left, and ``stopped`` is true; ``out_of_time`` too where the time is over,
        and then there are measurements and weights as at the end. ``fit``: once the pace is known, make the rest of
        the schedule short enough to end in time.
        """
        self.steps, self.timer = at.total, budget.Timer(until, fit)
        self.last = None if stop_after is None else at.total + stop_after
        with Monitor(
            self.out, self.recipe.steps, at.total, self.recipe.log_every, self.fabric.is_global_zero
        ) as monitor:
            if self.start is not None and resume is None and self.fabric.is_global_zero:
                self.metrics_before = self.measure(monitor, self.recipe.network.input_px)
            for index in range(at.stage, len(self.recipe.stages)):
                self.train_stage(index, at.step if index == at.stage else 0, resume, monitor)
                resume = None
                monitor.end_row()
                if self.stopped:
                    break
                if index + 1 < len(self.recipe.stages) and self.fabric.is_global_zero:
                    write_stage_weights(self, self.recipe.stages[index].name)
            if self.stopped and not self.out_of_time:
                return
            self._measure_at_the_end(self.recipe.stages[index], monitor)
        self.net.eval()
        if self.fabric.is_global_zero:
            self.exported = write_run_weights(self, "weights")

    def _measure_at_the_end(self, stage: Stage, monitor: Monitor) -> None:
        """Scores of the network as it is exported, where ``stage``, the last, has not just left them."""
        input_px, network_px = stage.input_px or self.recipe.network.input_px, self.recipe.network.input_px
        wanted_px = network_px if self.metrics_before else input_px
        just_now = self.metrics and all(scores["step"] == self.steps for scores in self.metrics.values())
        if not self.fabric.is_global_zero or (just_now and wanted_px == input_px):
            return
        if self.out_of_time or self.metrics_before:
            self.metrics |= self.measure(monitor, wanted_px)
        if self.out_of_time:
            self.keep_best()

    def must_stop(self) -> bool:
        """Whether to stop early, after this step; the same in all processes."""
        if self.steps == self.last:
            return True
        if self.timer.until is None:
            return False
        late = torch.tensor(float(self.timer.is_over()), device=self.fabric.device)
        if self.fabric.world_size > 1:
            torch.distributed.all_reduce(late, torch.distributed.ReduceOp.MAX)
        self.out_of_time = bool(late)
        return self.out_of_time

    def announce_pace(self, index: int, done: int, step_s: float, monitor: Monitor) -> None:
        """Say when the run will end, where a step of stage ``index`` takes ``step_s`` and ``done`` of them are done; if
        it is to fit into its time, make it."""
        recipe, px = self.recipe, self.recipe.network.input_px
        people = sum(min(VAL_PEOPLE, len(store)) for store in self.val_stores.values())
        self.timer.set_pace(step_s, people, recipe.stages[index], recipe.val_every)
        if self.timer.fit:
            fitted = self.fabric.broadcast(self.timer.fit_stages(recipe.stages, index, done, px))
            if fitted != recipe.stages:
                self.shorten_schedule(fitted)
                monitor.set_total(self.recipe.steps)
                monitor.say(f"the schedule is made to fit: {self.recipe.steps} steps in place of {recipe.steps}")
        last = None if self.last is None else self.last - self.steps
        monitor.say(self.timer.eta_line(step_s, self.recipe.stages, index, done, px, last))

    def train_stage(self, index: int, first: int, resume: Path | None, monitor: Monitor) -> None:
        """Train stage ``index`` from its step ``first``."""
        stage, fabric = self.recipe.stages[index], self.fabric
        if stage.train == "lifter":
            train_lifter(self, index, first, resume, monitor)
            return
        optimizer = make_optimizer(self.net, self.recipe.optimizer, stage)
        if resume is not None and first > 0:
            checkpoints.load_optimizer(resume, self.net, optimizer)
        model, optimizer = fabric.setup(self.net, optimizer)
        self.training_mode(stage)
        bf16 = "bf16" in str(fabric.strategy.precision.precision)
        frozen = frozen_layers(self.net, stage, fabric.device, bf16)
        input_px = stage.input_px or self.recipe.network.input_px
        for step, batch in enumerate(
            stage_batches(self.recipe, self.stores, index, first, self.fabric, self.workers), start=first
        ):
            for group in optimizer.param_groups:
                group["lr"] = stage.lr_at(step) * group["share"]
            images = batch.images.to(memory_format=torch.channels_last)
            pretrained = frozen_outputs(self.net, stage, frozen, batch.images)
            pred = model(images, with_depth=stage.with_depth, pretrained=pretrained)
            teacher = teacher_log_odds(self.net, pretrained) if stage.pretrained_share > 0 else None
            found = step_losses(pred, batch, stage, step, input_px, self.recipe.network.softmax, teacher)
            loss, report = total_loss(fabric, found, stage)
            if not torch.isfinite(report["loss"]):
                self._stop_on_nan(batch, stage, step)
            self.optimizer_step(model, optimizer, loss, stage)
            monitor.step(stage, self.steps, len(batch) * fabric.world_size, report, stage.lr_at(step))
            if step_s := self.timer.step(step - first + 1, fabric.world_size == 1):
                self.announce_pace(index, step + 1, step_s, monitor)
                stage = self.recipe.stages[index]
            at_end = step + 1 == stage.iterations
            self.stopped = self.steps < self.recipe.steps and self.must_stop()
            if self.due(self.recipe.picture_every, at_end) and fabric.is_global_zero:
                if self.average is not None:
                    with torch.no_grad():
                        pred = self.average(batch.images[:PICTURES], with_depth=False)
                monitor.picture(batch, pred, input_px, self.steps)
            val_every = self.recipe.val_every if self.timer.can_measure_twice() else 0
            if self.due(val_every, at_end) and fabric.is_global_zero:
                self.metrics |= self.measure(monitor, input_px)
                self.keep_best()
                self.training_mode(stage)
            if self.due(self.recipe.checkpoint_every, at_end or self.stopped):
                self.save_checkpoint(Position(index, step + 1, self.steps), optimizer)
            if self.stopped or at_end:
                break

    def optimizer_step(self, model: Any, optimizer: Any, loss: torch.Tensor, stage: Stage) -> None:
        """One step of the optimiser, and of the average."""
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if stage.clip:
            self.fabric.clip_gradients(model, optimizer, max_norm=stage.clip)
        optimizer.step()
        self.steps += 1
        if self.average is not None:
            update_average(self.average, self.net, self.recipe.ema_decay, self.steps)

    def due(self, every: int, always: bool) -> bool:
        """Whether something that is done ``every`` so many steps is done now, or ``always``."""
        return always or (every > 0 and self.steps % every == 0)

    def _stop_on_nan(self, batch: Batch, stage: Stage, step: int) -> None:
        path = self.out / f"nan-step-{self.steps:08d}-rank-{self.fabric.global_rank}.safetensors"
        write_tensors(path, {name: value.contiguous().cpu() for name, value in batch.tensors().items()})
        raise LiftwildError(
            f"the loss is not a number at step {step} of stage {stage.name}; its batch is in {path}, "
            "the last checkpoint is from before; a lower lr or a gradient clip often helps"
        )

    def measure(self, monitor: Monitor, input_px: int) -> dict[str, Any]:
        """Scores on the val stores, in evaluation mode, at this input size; logged too."""
        net, start = self.result.eval(), budget.now()
        found: dict[str, Any] = {}
        for name, store in self.val_stores.items():
            people = measure.rows(store, VAL_PEOPLE)
            bones = self.bone_length_mm
            measured = measure.run(net, people, self.sum_length_mm, input_px=input_px, bone_length_mm=bones)
            scores = {"people": len(measured), **score_all(measured, with_depth=input_px == net.config.input_px)}
            found[name] = {"step": self.steps, **{key: round(value, 2) for key, value in scores.items()}}
            monitor.scores(name, scores, self.steps)
        self.timer.measuring_s = budget.now() - start
        return found

    def keep_best(self) -> None:
        """Export the network if it was just measured to be the best so far, as ``recipe.best`` says."""
        store, _, metric = self.recipe.best.rpartition(":")
        value = self.metrics.get(store, {}).get(metric, math.nan)  # at a smaller input there are no depths
        if metric and METRICS[metric].is_better(value, self.best.get("value")):
            self.best = {"of": self.recipe.best, "value": value, "step": self.steps}
            self.exported = write_run_weights(self, "best")

    def save_checkpoint(self, at: Position, optimizer: Any) -> None:
        """Leave a checkpoint of this position (rank 0; the others wait)."""
        if self.fabric.is_global_zero:
            raw = getattr(optimizer, "optimizer", optimizer)
            state = {
                "stage": at.stage, "stage_step": at.step, "metrics": self.metrics,
                "metrics_before": self.metrics_before, "best": self.best, "sum_length_mm": self.sum_length_mm,
                "network": asdict(self.recipe.network), **origin_of(self), **self.schedule(),
            }  # fmt: skip
            checkpoints.save_checkpoint(self.out / "checkpoints", at.total, self.net, raw, state, self.average)
        self.fabric.barrier()

    def schedule(self) -> dict[str, Any]:
        """For a checkpoint: iterations and warmup of each stage, where they are not the recipe's."""
        stages = [[stage.iterations, stage.warmup] for stage in self.recipe.stages]
        return {"schedule": stages} if self.shortened_from else {}
