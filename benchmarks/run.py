"""``make bench``: what liftwild costs, as ratios to something measured in the same run, interleaved, medians.

Milliseconds belong to the machine; ratios travel. Nothing else should run meanwhile.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from liftwild import Estimator
from liftwild.data.augment import PAPER_2D
from liftwild.data.mixed import MixedBatches, Source, as_batch
from liftwild.data.store import Store, StoreWriter, stored_row
from liftwild.outputs.json import pose_document, write_json
from liftwild.posenet import PAPER, SMALL, PoseNet, macs
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16
from liftwild.training.allocator import keep_freed_memory

ROUNDS = 9


def medians(jobs: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each job, run in turn so that a slow moment of the machine hits all of them."""
    for job in jobs.values():
        job()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


@torch.inference_mode()
def network() -> None:
    """One image through each size, against the time its arithmetic takes at the machine's fp32 peak."""
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    # The peak is what the better of two large kernels reaches: libraries differ in which they do well.
    conv = nn.Conv2d(256, 256, 3, padding=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    maps = torch.rand(4, 256, 64, 64).to(memory_format=torch.channels_last)
    print("\n| network, batch 1, fp32 | ms | times the floor (FLOP / measured peak) |\n| --- | --- | --- |")
    for name, config in (("small", SMALL), ("paper", PAPER)):
        net = PoseNet(config).eval()
        last = PoseNet(config).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        image = torch.rand(1, 3, config.input_px, config.input_px)
        image_last = image.to(memory_format=torch.channels_last)
        found = medians(
            {
                "product": lambda: a @ b,
                "convolution": partial(conv, maps),
                "contiguous": partial(net, image),
                "channels_last": partial(last, image_last),
            }
        )
        peak = max(2 * 2048**3 / found["product"], 2 * 4 * 64 * 64 * 256 * 256 * 9 / found["convolution"])
        floor = 2 * macs(config) / peak
        for layout in ("contiguous", "channels_last"):
            print(f"| {name}, {layout} | {1e3 * found[layout]:.1f} | {found[layout] / floor:.2f} |")
        print(f"| (peak: {peak / 1e9:.0f} GFLOP/s) | | |")


def whole_path() -> None:
    """From a photo's file to its JSON, against the network alone."""
    photo = Path(__file__).parents[1] / "examples" / "person.jpg"
    estimator = Estimator(device="cpu")
    pixels = torch.zeros(1, estimator.input_px, estimator.input_px, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
    with tempfile.TemporaryDirectory() as folder:

        def to_json() -> None:
            poses = estimator.predict(photo)
            write_json(Path(folder) / "person.json", pose_document(photo.name, 512, 512, poses))

        with torch.inference_mode():
            found = medians({"network": lambda: estimator.net(pixels), "photo to JSON": to_json}, 25)
    ratio = found["photo to JSON"] / found["network"]
    print(f"\nphoto to JSON, warm: {1e3 * found['photo to JSON']:.1f} ms, {ratio:.2f} times the network alone")


def training_input() -> None:
    """What one loader process delivers, against what a training step of the small network eats."""
    rng = np.random.default_rng(0)
    known = np.ones(len(MPII_16), dtype=bool)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.arrow"
        with StoreWriter(path) as writer:
            for number in range(64):
                image = np.kron(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
                joints_3d = rng.normal(0, 400, (16, 3)) + np.array([0, 0, 3000])
                joints_2d = 320 + joints_3d[:, :2] * 0.25
                box = (200.0, 120.0, 240.0, 240.0)
                person = Sample(image, joints_2d, known, joints_3d, known, None, box, f"{number}.png", number)
                writer.add(stored_row(person))
        source = Source([Store(path)], [1.0], PAPER_2D)
        batches = MixedBatches(source, source, 0.5, (0, 16), SMALL.input_px, (0,))
        net = PoseNet(SMALL).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = as_batch(batches[0]).images.to(memory_format=torch.channels_last)

        def train_step() -> None:
            with torch.autocast("cpu", torch.bfloat16):
                pred = net(images)
            assert pred.depth is not None
            (pred.heatmaps[-1].float().square().mean() + pred.depth.float().square().mean()).backward()

        def loader() -> None:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            batches[1]
            torch.set_num_threads(threads)

        found = medians({"training step, bf16": train_step, "loader, one process": loader})
    print(f"\n| small, {SMALL.input_px} px, batch 16 | samples/s |\n| --- | --- |")
    for name, seconds in found.items():
        print(f"| {name} | {16 / seconds:.0f} |")
    print(
        f"\nthe loader delivers {found['training step, bf16'] / found['loader, one process']:.1f} times what is eaten"
    )


if __name__ == "__main__":
    keep_freed_memory()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    network()
    whole_path()
    training_input()
