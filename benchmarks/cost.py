"""What the paper's network costs on this machine, beside the paper's "about 30 ms" and "about two days" on a Titan X.

python benchmarks/cost.py -o cost.json [--rounds 7] [--device cpu|cuda]

Times a forward pass of one crop and a training step of recipes/paper.toml (batch of 6, fp32), interleaved medians; the
training time is that step times the recipe's 480,000. ``liftwild report --bench cost.json`` tells both.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
from pathlib import Path

import torch
from clock import Job, interleaved
from steps import BATCH, WAYS, train_step

from liftwild.evaluation.cost import FORMAT
from liftwild.files import write_whole
from liftwild.inference.torch_runtime import infer
from liftwild.network.posenet import PAPER, PoseNet
from liftwild.sample import Batch
from liftwild.skeleton import MPII_16
from liftwild.training.recipe_file import load_recipe


def random_batch(people: int, input_px: int) -> Batch:
    """People of noise, half of them with depths: what is in the pictures costs nothing."""
    rng, joints = torch.Generator().manual_seed(0), len(MPII_16)
    known = torch.ones(people, joints, dtype=torch.bool)
    has_3d = torch.arange(people) < people // 2
    return Batch(
        torch.randint(0, 256, (people, 3, input_px, input_px), generator=rng, dtype=torch.uint8),
        torch.rand(people, joints, 2, generator=rng) * input_px, known, torch.zeros(people, joints),
        known & has_3d[:, None], has_3d, torch.zeros(people, joints, dtype=torch.uint8),
        torch.zeros(people, joints, dtype=torch.uint8),
    )  # fmt: skip


def forward(net: PoseNet, batch: Batch, device: str) -> Job:
    """One crop to joints and depths."""
    net, image = copy.deepcopy(net).eval().to(device), batch.images[:1].to(device)

    @torch.inference_mode()
    def run() -> None:
        infer(net, image)
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    torch.manual_seed(0)
    net, batch = PoseNet(PAPER), random_batch(BATCH["paper"], PAPER.input_px)
    way = next(way for way in WAYS if way.precision == "fp32")
    jobs = {"forward": forward(net, batch, asked.device), "step": train_step(net, batch, way, asked.device)}
    found = interleaved(jobs, asked.rounds)
    name = torch.cuda.get_device_name() if asked.device != "cpu" else platform.processor() or platform.machine()
    cost = {
        "format": FORMAT, "machine": f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, fp32",
        "forward_ms": round(1e3 * found["forward"].median, 1), "step_ms": round(1e3 * found["step"].median, 1),
        "steps": load_recipe("paper").steps,
    }  # fmt: skip
    write_whole(asked.out, (json.dumps(cost, indent=1) + "\n").encode())
    print(asked.out.read_text(), end="")


if __name__ == "__main__":
    main()
