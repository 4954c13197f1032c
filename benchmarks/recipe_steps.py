"""The stages of the weights' recipes, as ``liftwild train`` runs them: of what a step is made, and whether it waits.

Rendered people stand in for the photos that recipes name. One recipe a process.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import torch
from clock import Times, interleaved
from lightning_fabric import Fabric
from peak import best, openvino_jobs, torch_jobs

from liftwild.evaluation.tables import markdown_table
from liftwild.network.posenet import PoseNet, PoseNetConfig
from liftwild.sample import Batch
from liftwild.synthetic.poses.pose_bank import write_poses
from liftwild.threads import split_cores, usable_cores
from liftwild.training import lifter_stage, loop
from liftwild.training.allocator import keep_freed_memory
from liftwild.training.loop import Trainer
from liftwild.training.monitor import Monitor
from liftwild.training.recipe import Recipe, StoreEntry
from liftwild.training.recipe_file import load_recipe
from liftwild.training.train import precision_for
from liftwild.weights import load_weights

RECIPES = ("small", "base", "base-research")
POSES = 4096
WARM, STEPS = 2, 8  # steps that are not counted; of a stage with pictures, and as many of each of its parts
COLUMNS = (
    "recipe: stage", "batch", "samples/s", "share of the peak", "step, ms", "frozen forward, ms", "trained part, ms",
    "step of both", "loader delivers times as many", "waits for data",
)  # fmt: skip


@dataclass
class Fed:
    """In place of ``stage_batches``: ``steps`` (s) without loading, ``waits`` (s) for each batch. ``again``: the first
    batch over and over, every other step with the frozen layers' output known: these are ``trained`` (s); what they
    take is in ``frozen`` (s)."""

    again: bool
    original: Callable[..., Iterator[Batch]] = field(default=loop.stage_batches)
    frozen_outputs: Callable[..., Any] = field(default=loop.frozen_outputs)
    steps: Times = field(default_factory=Times)
    trained: Times = field(default_factory=Times)
    frozen: Times = field(default_factory=Times)
    waits: Times = field(default_factory=Times)
    number: int = 0
    known: Any = None

    def batches(self, *arguments: Any) -> Iterator[Batch]:
        """As ``stage_batches``."""
        given = self.original(*arguments)
        batch = None
        while True:
            start = time.perf_counter()
            if batch is None or not self.again:
                batch = next(given)
            began = time.perf_counter()
            yield batch
            if self.number >= WARM:
                self.waits.seconds.append(began - start)
                own = self.trained if self._is_known() else self.steps
                own.seconds.append(time.perf_counter() - began)
            self.number += 1

    def outputs(self, *arguments: Any) -> Any:
        """As ``frozen_outputs``."""
        if self._is_known():
            return self.known
        start = time.perf_counter()
        self.known = self.frozen_outputs(*arguments)
        if self.number >= WARM:
            self.frozen.seconds.append(time.perf_counter() - start)
        return self.known

    def _is_known(self) -> bool:
        return self.again and self.number % 2 == 1


@contextmanager
def one_thread() -> Iterator[None]:
    """As a loader's worker computes."""
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(cv_threads)


def bench_recipe(name: str, people: Path, poses: Path) -> Recipe:
    """The recipe ``name`` on rendered people and poses, that never stops to measure."""
    recipe = load_recipe(name)
    stores = {
        key: StoreEntry(str(poses if entry.use == "poses" else people), entry.use, entry.weight)
        for key, entry in recipe.stores.items() if entry.use != "val"
    }  # fmt: skip
    never = {"val_every": 0, "picture_every": 10**8, "checkpoint_every": 10**8, "log_every": 10**8, "best": ""}
    return replace(recipe, stores=stores, pretrained="", **never)  # type: ignore[arg-type]


def macs_of_parts(config: PoseNetConfig) -> dict[str, int]:
    """Multiply-accumulates for one image: of ``movenet``, which stages freeze, of the ``lifter``, and of the rest."""
    found = {"movenet": 0, "lifter": 0, "rest": 0}

    def counted(name: str) -> Callable[[Any, Any, Any], None]:
        part = "movenet" if ".movenet." in name else "lifter" if name.startswith("lifter.") else "rest"

        def count(layer: Any, _inputs: object, output: torch.Tensor) -> None:
            if isinstance(layer, torch.nn.Linear):
                found[part] += layer.in_features * layer.out_features
            else:
                found[part] += output.numel() * layer.weight[0].numel()

        return count

    with torch.device("meta"):
        net = PoseNet(config).to("meta")
        for name, layer in net.named_modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                layer.register_forward_hook(counted(name))
        net(torch.zeros(1, 3, config.input_px, config.input_px))
    return found


def run_stage(trainer: Trainer, index: int, steps: int) -> None:
    """So many steps of a stage, from its first."""
    trainer.steps, trainer.stopped, trainer.last = 0, False, steps
    out = trainer.out
    with redirect_stderr(StringIO()), Monitor(out, steps, 0, trainer.recipe.log_every, True) as monitor:
        trainer.train_stage(index, 0, None, monitor)


def lifter_row(trainer: Trainer, index: int, steps: int, peak: float, what: str) -> list[str]:
    """A stage that trains the lifter; its data are drawn within the step."""
    stage, drawn, begun = trainer.recipe.stages[index], Times(), []
    original = lifter_stage.sample_views

    def sample_views(*arguments: Any) -> Any:
        begun.append(time.perf_counter())
        view = original(*arguments)
        drawn.seconds.append(time.perf_counter() - begun[-1])
        return view

    with mock.patch.object(lifter_stage, "sample_views", sample_views):
        run_stage(trainer, index, steps)
    whole = statistics.median(after - before for before, after in zip(begun[WARM:], begun[WARM + 1 :], strict=False))
    rate = stage.batch_size / whole
    share = 6 * macs_of_parts(trainer.recipe.network)["lifter"] * rate / peak
    waits = f"{100 * drawn.median / whole:.0f} % (drawn in the step)"
    return [what, str(stage.batch_size), f"{rate:.0f}", f"{100 * share:.0f} %", f"{1e3 * whole:.1f}", "-",
            f"{1e3 * (whole - drawn.median):.1f}", "-", "-", waits]  # fmt: skip


def heads_row(trainer: Trainer, index: int, steps: int, peak: float, what: str) -> list[str]:
    """A stage that trains heads on the features of a frozen MoveNet."""
    stage = trainer.recipe.stages[index]

    def fed(again: bool, workers: int, count: int) -> Fed:
        own = Fed(again)
        trainer.workers = workers
        with (
            mock.patch.object(loop, "stage_batches", own.batches),
            mock.patch.object(loop, "frozen_outputs", own.outputs),
        ):
            run_stage(trainer, index, count)
        return own

    workers = trainer.workers
    apart, loaded = fed(True, 0, 2 * steps), fed(False, workers, steps)
    alone = Times()
    batches = loop.stage_batches(trainer.recipe, trainer.stores, index, 0, trainer.fabric, 0)
    with one_thread():
        for number in range(WARM + 3):
            start = time.perf_counter()
            next(batches)
            alone.seconds += [time.perf_counter() - start] if number >= WARM else []
    trainer.workers = workers
    step, both = apart.steps.median, apart.frozen.median + apart.trained.median
    waited, worked = sum(loaded.waits.seconds), sum(loaded.steps.seconds)
    rate = stage.batch_size * len(loaded.steps.seconds) / (waited + worked)
    macs = macs_of_parts(trainer.recipe.network)
    share = (2 * macs["movenet"] + 6 * (macs["lifter"] + macs["rest"])) * rate / peak
    return [what, str(stage.batch_size), f"{rate:.1f}", f"{100 * share:.0f} %", f"{1e3 * step:.0f}",
            f"{1e3 * apart.frozen.median:.0f}", f"{1e3 * apart.trained.median:.0f}", f"{step / both:.2f}",
            f"{step / alone.median:.1f}", f"{100 * waited / (waited + worked):.1f} %"]  # fmt: skip


def measure(name: str, people: Path, poses: Path, folder: Path, steps: int) -> str:
    """The rows of a recipe, and below them a line about the machine."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    workers, threads = split_cores(usable_cores(), None, gpu=False)
    torch.set_num_threads(min(torch.get_num_threads(), threads))
    recipe = bench_recipe(name, people, poses)
    precision = precision_for(recipe.precision, "cpu")
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)  # type: ignore[arg-type]
    fabric.launch()
    trainer = Trainer(recipe, folder / name, fabric, workers)
    trainer.start_from(name, *load_weights(name))
    kind = "bf16" if "bf16" in precision else "fp32"
    kinds = ("fp32", kind)  # a lifter by itself is trained in fp32
    found = interleaved(
        {key: job for each in kinds for key, job in {**torch_jobs(each), **openvino_jobs(each)}.items()}, 3
    )
    peaks = [best(found, each)[0] for each in kinds]
    rows = []
    for index, stage in enumerate(recipe.stages):
        what = f"{name}: {stage.name}"
        if stage.train == "lifter":
            rows.append(lifter_row(trainer, index, 20 * steps, peaks[0], what))
        else:
            rows.append(heads_row(trainer, index, steps, peaks[1], what))
    told = " and ".join(f"{each} {peak / 1e9:.0f}" for each, peak in zip(kinds, peaks, strict=True))
    said = f"{threads} thread(s) beside {workers} loader process(es), heads in {kind}; peaks {told} GFLOP/s"
    return "\n".join([*markdown_table(COLUMNS, rows).splitlines()[2:], said])


def report(people: Path, steps: int = STEPS) -> None:
    """Print the table, each recipe measured in a process of its own; ``people``: a store of rendered people."""
    print("\n## Training: the stages of the weights that ship\n")
    lines, notes = [], []
    with tempfile.TemporaryDirectory() as temporary:
        poses = Path(temporary) / "poses.npy"
        with redirect_stderr(StringIO()):
            write_poses(poses, POSES, 0)
        for name in RECIPES:
            command = [sys.executable, __file__, name, "--people", str(people), "--poses", str(poses)]
            command += ["--out", temporary, "--steps", str(steps)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            *rows, said = done.stdout.splitlines()
            lines += rows
            notes.append(f"{name}: {said}")
    print("\n".join([*markdown_table(COLUMNS, []).splitlines(), *lines, "", *notes]))
    print(
        "\nshare of the peak: (2 x MACs of frozen layers + 6 x MACs of the others) x samples/s; step of both: over\n"
        "the sum of the frozen layers' forward and a step with their output known, 1 if freezing saves all of backward"
    )


def main() -> None:
    """Measure one recipe, as a child of ``report``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--poses", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    asked = parser.parse_args()
    keep_freed_memory()
    print(measure(asked.recipe, asked.people, asked.poses, asked.out, asked.steps))


if __name__ == "__main__":
    main()
