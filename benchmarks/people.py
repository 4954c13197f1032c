"""Speed of the renderer: images/s, and the time of a whole picture over that of its z-buffer, in the same run.

Nothing else should run meanwhile. ``python benchmarks/people.py [DEVICE]``
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from unittest import mock

import torch

from liftwild.synthetic.render import raster, scene
from liftwild.synthetic.render.generate import CPU_BATCH, GPU_BATCH, render_people
from liftwild.synthetic.render.world import RenderConfig, render_batch

ROUNDS, PICTURES, PROCESSES = 5, 160, 2


def seconds(job: Callable[[], object], device: str) -> float:
    """How long ``job`` takes."""
    start = time.perf_counter()
    job()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def one_process(mode: str, device: str, batch: int) -> None:
    """A batch on one thread (or GPU) against the z-buffer of its own triangles."""
    calls: list[tuple] = []

    def recorded(*arguments: object) -> object:
        calls.append(arguments)
        return raster.z_buffer(*arguments)  # type: ignore[arg-type]

    config, indices = RenderConfig(mode, device=device), list(range(batch))
    with mock.patch.object(scene, "z_buffer", recorded):
        render_batch(config, indices)
    jobs: dict[str, Callable[[], object]] = {
        "all": lambda: render_batch(config, indices), "z-buffer": lambda: raster.z_buffer(*calls[0]),
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            times[name].append(seconds(job, device))
    whole, buffer = (statistics.median(times[name]) for name in jobs)
    print(f"| {mode}, batch {batch} | {1e3 * whole / batch:.2f} | {batch / whole:.1f} | {whole / buffer:.1f} |")


def several_processes(mode: str) -> None:
    """Pictures a second of ``render_people`` with two processes, without their start."""
    samples = iter(render_people(mode, PICTURES, processes=PROCESSES))
    for _ in range(4 * CPU_BATCH):
        next(samples)
    start, done = time.perf_counter(), sum(1 for _ in samples)
    print(f"{mode}, {PROCESSES} processes: {done / (time.perf_counter() - start):.1f} images/s")


def main() -> None:
    """Print the tables."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.set_num_threads(1)
    print(f"256x256, 1x sampling, {device}, one thread\n\n| | ms an image | images/s | times its z-buffer |")
    print("| --- | --- | --- | --- |")
    for mode in ("lab", "wild"):
        one_process(mode, device, CPU_BATCH if device == "cpu" else GPU_BATCH)
    if device == "cpu":
        print()
        for mode in ("lab", "wild"):
            several_processes(mode)


if __name__ == "__main__":
    main()
