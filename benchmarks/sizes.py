"""Which shape a network should have: latency of many in the fastest runtime here, and what a short training gives.

python benchmarks/sizes.py [--stacks 1,2,4] [--blocks 1,2] [--features 64,96,128,192,256] [--input 128,192,256]
    [--stem 0] [--rounds 5] --out FOLDER
python benchmarks/sizes.py --train 20000 --store a.arrow --store b.arrow --val c.arrow [--shapes 2x1x128x32x128,base]
    [--batch 16] --out FOLDER

The first times every shape that these make, in turn with ``small``. A stem of 0 is a quarter of the features, at least
16. The second trains each of --shapes (stacks x blocks x features x stem x input, or a size's name) on as many images,
joints only, as ``liftwild train`` does, and measures it on --val; stores with depths train as 3D, the others as 2D.
Leaves sizes.json, .md and .png, or trained.json, .md and .png. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from clock import interleaved
from plot import write_costs

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.metric_table import METRICS
from liftwild.evaluation.tables import markdown_table
from liftwild.files import write_whole
from liftwild.inference.runtimes import open_runtime
from liftwild.network.posenet import SIZES, SMALL, PoseNet, PoseNetConfig, macs
from liftwild.weights import save_weights

STAGE = """
[[stages]]
name = "joints"
images = {images}
batch_size = {batch}
ratio_3d = {ratio}
lr = 2e-3
lr_end = 2e-5
schedule = "cosine"
warmup = 100
sigma = 1.5
sigma_end = 1.0
clip = 1.0
"""
AUGMENT = """
scale_octaves = 0.3
rotation_deg = 45.0
rotation_probability = 0.5
flip_probability = 0.5
shift = 0.03
colour = 0.4
"""

HOURGLASSES = {name: size for name, size in SIZES.items() if size.subnetwork == "hourglass"}


def main() -> None:
    """Time shapes, or train some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("stacks", "1,2,4"), ("blocks", "1,2"), ("features", "64,96,128,192,256"), ("stem", "0"),
                          ("input", "128,192,256")):  # fmt: skip
        parser.add_argument(f"--{name}", default=default, type=numbers)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--train", type=int, metavar="IMAGES", help="train instead, each shape on so many images")
    parser.add_argument("--shapes", default="small,base", help="what to train")
    parser.add_argument("--store", type=Path, action="append", default=[])
    parser.add_argument("--val", type=Path, action="append", default=[])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
        if asked.train is None:
            sweep(asked)
        else:
            train(asked)
    except LiftwildError as error:
        sys.exit(f"error: {error}")


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between."""
    return [int(part) for part in text.split(",")]


def config_of(stacks: int, blocks: int, features: int, stem: int, input_px: int) -> PoseNetConfig:
    """An hourglass that short trainings suit, of this size; LiftwildError if there is none such."""
    stem = stem or max(16, features // 4)
    try:
        return PoseNetConfig(stacks, blocks, features, stem, input_px, depth_norm=True, softmax=True)
    except ValueError as error:
        raise LiftwildError(str(error)) from None


def shape_of(text: str) -> PoseNetConfig:
    """A named size, or stacks x blocks x features x stem x input."""
    if text in SIZES:
        return SIZES[text]
    try:
        stacks, blocks, features, stem, input_px = (int(part) for part in text.split("x"))
    except ValueError:
        raise LiftwildError(f"{text!r} is neither of {', '.join(SIZES)} nor five numbers like 2x1x128x32x128") from None
    return config_of(stacks, blocks, features, stem, input_px)


def words(config: PoseNetConfig) -> str:
    """The shape in short, with its name if it has one."""
    shape = f"{config.stacks}x{config.blocks}x{config.features}x{config.stem}x{config.input_px}"
    name = named(config)
    return f"{shape} ({name})" if name else shape


def named(config: PoseNetConfig) -> str:
    """What this shape is called among ``SIZES``, whatever its losses and norms, or nothing."""

    def shape(one: PoseNetConfig) -> tuple[int, ...]:
        return one.stacks, one.blocks, one.features, one.stem, one.input_px

    return next((name for name, size in HOURGLASSES.items() if shape(size) == shape(config)), "")


def parameters(config: PoseNetConfig) -> int:
    """How many the network has."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in PoseNet(config).parameters())


def latency(configs: Sequence[PoseNetConfig], rounds: int, folder: Path) -> tuple[list[dict[str, Any]], str]:
    """ms of one crop through each network, also as a multiple of ``small`` in the same minute; the runtime's name."""
    rng = np.random.default_rng(0)
    runtime = ""

    def job(config: PoseNetConfig) -> Any:
        nonlocal runtime
        path = folder / "shape.safetensors"
        torch.manual_seed(0)
        save_weights(path, PoseNet(config).eval(), {"sum_length_mm": 4000.0})
        network, _ = open_runtime(path, "auto", "cpu")
        runtime = network.name
        pixels = rng.integers(0, 256, (1, *[config.input_px] * 2, 3), dtype=np.uint8)
        return lambda: network(pixels)

    small = job(SMALL)
    rows = []
    for number, config in enumerate(configs, start=1):
        found = interleaved({"small": small, "this": job(config)}, rounds)
        took, reference = found["this"].median, found["small"].median
        rows.append({"shape": words(config), "size": named(config), **asdict(config), "gmac": macs(config) / 1e9,
                     "million_parameters": parameters(config) / 1e6, "ms": 1e3 * took, "of_small": took / reference,
                     "spread": found["this"].spread})  # fmt: skip
        print(f"{number} of {len(configs)}: {words(config)} {1e3 * took:.2f} ms", file=sys.stderr, flush=True)
    return rows, runtime


def sweep(asked: argparse.Namespace) -> None:
    """Time all shapes, and leave table and picture."""
    grid = itertools.product(asked.stacks, asked.blocks, asked.features, asked.stem, asked.input)
    configs = list(dict.fromkeys([*(config_of(*shape) for shape in grid), *SIZES.values()]))
    with tempfile.TemporaryDirectory() as folder:
        rows, runtime = latency(configs, asked.rounds, Path(folder))
    rows.sort(key=lambda row: row["ms"])
    best = 0.0
    cells = []
    for row in rows:
        row["unbeaten"] = row["gmac"] > best
        best = max(best, row["gmac"])
        cells.append([row["shape"], f"{row['gmac']:.2f}", f"{row['million_parameters']:.2f}", f"{row['ms']:.2f}",
                      f"{row['of_small']:.2f}", f"{2 * row['gmac'] / row['ms'] * 1e3:.0f}",
                      "yes" if row["unbeaten"] else ""])  # fmt: skip
    head = (
        "stacks x blocks x features x stem x input",
        "GMAC",
        "M parameters",
        "ms",
        "times small",
        "GFLOP/s",
        "unbeaten",
    )
    told = f"One crop in {runtime}, {torch.get_num_threads()} threads. Unbeaten: none computes more in less time."
    write_whole(asked.out / "sizes.json", (json.dumps({"runtime": runtime, "shapes": rows}, indent=1) + "\n").encode())
    write_whole(asked.out / "sizes.md", f"{told}\n\n{markdown_table(head, cells)}\n".encode())
    groups = {
        f"{side} px": [(row["ms"], row["gmac"]) for row in rows if row["input_px"] == side]
        for side in sorted({row["input_px"] for row in rows})
    }
    marks = {row["size"]: (row["ms"], row["gmac"]) for row in rows if row["size"]}
    title = f"Shapes of the network in {runtime}"
    write_costs(asked.out / "sizes.png", title, "ms a crop", "GMAC", groups, marks, log_worth=True)
    print(markdown_table(head, cells))


def recipe(config: PoseNetConfig, images: int, batch: int, stores: Sequence[Path], vals: Sequence[Path]) -> str:
    """The TOML of a short training of joints on ``stores``, drawn equally."""
    lines = ['name = "size"', "seed = 1", "ema_decay = 0.99", "", "[network]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in asdict(config).items()]
    three = [bool(Store(path).column("depth_valid").any()) for path in stores]
    uses = [("3d" if is_3d else "2d", path) for is_3d, path in zip(three, stores, strict=True)]
    names: set[str] = set()
    for use, path in [*uses, *(("val", path) for path in vals)]:
        name = path.stem if path.stem not in names else f"{path.stem}, {use} {len(names)}"
        names.add(name)
        lines += ["", f"[stores.{json.dumps(name)}]", f"path = {json.dumps(str(path.resolve()))}", f'use = "{use}"']
    lines += ["", "[optimizer]", 'name = "adamw"', "", "[augment_2d]", AUGMENT, "[augment_3d]", AUGMENT]
    return "\n".join(lines) + STAGE.format(images=images, batch=batch, ratio=float(np.mean(three)))


def train(asked: argparse.Namespace) -> None:
    """Train the shapes on as many images each, and leave table and picture."""
    if not asked.store or not asked.val:
        raise LiftwildError("--train needs --store to train on and --val to measure on")
    for path in (*asked.store, *asked.val):
        if not path.is_file():
            raise LiftwildError(f"no store {path}")
    configs = [shape_of(text) for text in asked.shapes.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        timed, runtime = latency(configs, asked.rounds, Path(temporary))
        rows = []
        for config, row in zip(configs, timed, strict=True):
            toml, run = Path(temporary) / "recipe.toml", Path(temporary) / words(config).split()[0]
            toml.write_text(recipe(config, asked.train, asked.batch, asked.store, asked.val))
            command = [sys.executable, "-m", "liftwild", "train", str(toml), "--out", str(run), "--workers", "0"]
            if subprocess.run(command, stdout=sys.stderr).returncode:
                raise LiftwildError(f"training {words(config)} failed, see above")
            metrics = json.loads((run / "weights.json").read_text())["metrics"]
            rows.append({**row, "images": asked.train, "metrics": metrics})
    vals = list(rows[0]["metrics"])
    head = (
        "stacks x blocks x features x stem x input",
        "GMAC",
        "ms",
        *(f"{name}: {METRICS['pck_torso'].column}" for name in vals),
    )
    cells = [[row["shape"], f"{row['gmac']:.2f}", f"{row['ms']:.2f}",
              *(f"{row['metrics'][name]['pck_torso']:.1f}" for name in vals)] for row in rows]  # fmt: skip
    told = (
        f"After {asked.train} images each, joints only. ms: one crop in {runtime}, {torch.get_num_threads()} threads."
    )
    write_whole(
        asked.out / "trained.json", (json.dumps({"runtime": runtime, "shapes": rows}, indent=1) + "\n").encode()
    )
    write_whole(asked.out / "trained.md", f"{told}\n\n{markdown_table(head, cells)}\n".encode())
    groups = {name: [(row["ms"], row["metrics"][name]["pck_torso"]) for row in rows] for name in vals[:1]}
    marks = {row["size"] or row["shape"]: (row["ms"], row["metrics"][vals[0]]["pck_torso"]) for row in rows}
    title, cost = f"After {asked.train} images each, {vals[0]}", f"ms a crop in {runtime}"
    write_costs(asked.out / "trained.png", title, cost, METRICS["pck_torso"].column, groups, marks)
    print(markdown_table(head, cells))


if __name__ == "__main__":
    main()
