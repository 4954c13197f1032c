"""What a training step eats against what a loader process delivers; one network size a process, for its peak memory."""

from __future__ import annotations

import argparse
import copy
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import recipe_steps
import torch
from clock import Job, interleaved, noise
from lightning_fabric import Fabric
from peak import DTYPES, best, torch_jobs
from recipe_steps import one_thread

from liftwild.data.augment import PAPER_2D
from liftwild.data.mixed import MixedBatches, Source, as_batch
from liftwild.data.store import Store
from liftwild.evaluation.tables import markdown_table
from liftwild.network.posenet import SIZES, PoseNet, macs
from liftwild.sample import Batch
from liftwild.synthetic.render.generate import render_people
from liftwild.synthetic.render.write import write_store
from liftwild.training.allocator import keep_freed_memory
from liftwild.training.average import update_average
from liftwild.training.objective import step_losses, total_loss
from liftwild.training.stage import Stage

BATCH = {"small": 32, "base": 16, "paper": 6}
PEOPLE = 48
LOADER = "loader, one process"
COLUMNS = ("network", "what", "samples/s", "share of the peak", "loader delivers times as many", "peak memory, MB")


@dataclass(frozen=True)
class Way:
    """How a step is computed."""

    name: str
    precision: str
    channels_last: bool
    fused: bool


# The first is the way of ``liftwild train`` where the machine computes in bf16; its peak memory is reported.
WAYS = (
    Way("bf16 autocast, channels_last, fused AdamW", "bf16", True, True),
    Way("bf16 autocast, channels_last", "bf16", True, False),
    Way("fp32, channels_last", "fp32", True, False),
    Way("fp32, contiguous", "fp32", False, False),
)


def train_step(net: PoseNet, batch: Batch, way: Way, device: str) -> Job:
    """A step as ``training.loop`` makes it, with all three losses and the average of the weights."""
    fabric = Fabric(accelerator=device, devices=1, precision="bf16-mixed" if way.precision == "bf16" else "32-true")
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    net = copy.deepcopy(net).train().to(device, memory_format=layout)  # type: ignore[call-overload]
    average = copy.deepcopy(net).eval().requires_grad_(False)
    stage = Stage("bench", iterations=1, lr=1e-4, depth_weight=1.0, geometric_weight=0.1, clip=1.0)
    model, optimizer = fabric.setup(net, torch.optim.AdamW(net.parameters(), 1e-4, fused=way.fused or None))

    def step() -> None:
        given = batch.to(fabric.device)  # uint8 pictures; heatmaps are drawn there
        pred = model(given.images.to(memory_format=layout))
        found = step_losses(pred, given, stage, 0, net.config.input_px, net.config.softmax)
        loss, _ = total_loss(fabric, found, stage)
        optimizer.zero_grad(set_to_none=True)
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=stage.clip)
        optimizer.step()
        update_average(average, net, 0.999, 1000)
        if device != "cpu":
            torch.cuda.synchronize()

    return step


def make_store(path: Path) -> None:
    """Rendered people to load."""
    write_store(render_people("wild", PEOPLE, size=256), path)


def load(batches: MixedBatches) -> Job:
    """A batch made as a loader's worker makes it: one thread."""

    def run() -> None:
        with one_thread():
            batches[1]

    return run


def peak_mb(device: str) -> float | None:
    """Most memory held so far, MB: resident, or on the GPU; None where it cannot be told."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e6
    try:  # getrusage would count what the parent held when it made this process
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
    except (OSError, StopIteration):
        return None


def measure(size: str, store: Path, device: str, rounds: int) -> str:
    """The rows of one size, as lines of a table, with the noise below."""
    config = SIZES[size]
    source = Source([Store(store)], [1.0], PAPER_2D)
    batches = MixedBatches(source, source, 0.5, (0, BATCH[size]), config.input_px, (0,))
    batch = as_batch(batches[0])
    torch.manual_seed(0)
    net = PoseNet(config)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # not a line for each way
    jobs: dict[str, Job] = {}
    held: float | None = None
    for way in WAYS:
        jobs[way.name] = train_step(net, batch, way, device)
        if held is None:
            for _ in range(2):
                jobs[way.name]()
            held = peak_mb(device)
    jobs[LOADER] = load(batches)
    for precision in DTYPES:
        jobs |= torch_jobs(precision, device)
    found = interleaved(jobs, rounds)
    peaks = {precision: best(found, precision)[0] for precision in DTYPES}
    loaded = BATCH[size] / found[LOADER].median
    rows = []
    for way in WAYS:
        rate = BATCH[size] / found[way.name].median
        share = 3 * 2 * macs(config) * rate / peaks[way.precision]  # backward costs twice what forward does
        memory = f"{held:.0f}" if way is WAYS[0] and held is not None else "-"
        what = f"{size}, {config.input_px} px, batch {BATCH[size]}"
        rows.append([what, way.name, f"{rate:.1f}", f"{100 * share:.0f} %", f"{loaded / rate:.1f}", memory])
    rows.append([f"{size}, {config.input_px} px", LOADER, f"{loaded:.0f}", "-", "-", "-"])
    return "\n".join([*markdown_table(COLUMNS, rows).splitlines()[2:], noise(found)])


def report(sizes: Sequence[str], rounds: int, device: str = "cpu") -> None:
    """Print the tables: the recipes' stages, then steps in which everything learns, each in its own process."""
    lines, noises = [], []
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "bench.arrow"
        make_store(store)
        recipe_steps.report(store)
        for size in sizes:
            command = [
                sys.executable,
                __file__,
                size,
                "--store",
                str(store),
                "--rounds",
                str(rounds),
                "--device",
                device,
            ]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            *rows, said = done.stdout.splitlines()
            lines += rows
            noises.append(f"{size}: {said}")
    print("\n## Training: what a step eats where everything learns, what the loader delivers\n")
    print("\n".join([*markdown_table(COLUMNS, []).splitlines(), *lines]))
    print("\nshare of the peak: 6 x MACs x samples/s; memory: after two steps, resident or, on a GPU, allocated\n")
    print("\n".join(noises))


def main() -> None:
    """Measure one size, as a child of ``report``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("size", choices=tuple(SIZES))
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    keep_freed_memory()
    print(measure(asked.size, asked.store, asked.device, asked.rounds))


if __name__ == "__main__":
    main()
