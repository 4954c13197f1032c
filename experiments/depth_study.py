"""What gives depth, at an equal budget: the depth module alone, the lifter alone, or both.

python experiments/depth_study.py [--recipe small] [--images 12000] [--seeds 1]
    --test pose2sim.arrow wild-test.arrow --out runs/depth

The lifter is trained once, as the recipe says. From there each arm trains heads, lifter and depth module on the same
images in the same order. "depth module": the lifter's depths and features are 0; "lifter": the module corrects nothing.
Joints, and what tells whether they are in the photo, are learnt alike in all. Leaves OUT/depth.md and .json. What is
done is not done again: the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from liftwild.errors import LiftwildError
from liftwild.evaluation.metric_table import score_all
from liftwild.evaluation.predictions import read_predictions
from liftwild.evaluation.run import evaluate_stores
from liftwild.evaluation.tables import markdown_table
from liftwild.files import write_whole
from liftwild.network.depth import ContextDepth, DepthCorrection
from liftwild.network.lifter import Lifted, Lifter
from liftwild.training.allocator import keep_freed_memory
from liftwild.training.recipe_file import find_recipe, read_table, recipe_from_dict
from liftwild.training.train import train_recipe
from liftwild.weights import load_weights

ARMS = ("depth module", "lifter", "both")
SHOWN = {"mpjpe_mm": "MPJPE, mm", "pa_mpjpe_mm": "PA-MPJPE, mm", "pck_torso": "PCK@0.2-torso, %"}
LOG_SPREAD = -1.5  # of the depth module alone, to begin with


@contextmanager
def only(arm: str) -> Iterator[None]:
    """Networks give the depth of ``arm`` alone, in training and out of it."""
    lift, correct = Lifter.forward, ContextDepth.forward

    def no_lifter(self: Lifter, *inputs: Any) -> tuple[Lifted, torch.Tensor]:
        lifted, features = lift(self, *inputs)
        spread = torch.full_like(lifted.log_spread, LOG_SPREAD)
        return Lifted(torch.zeros_like(lifted.depth), spread, lifted.joints), torch.zeros_like(features)

    def no_module(self: ContextDepth, *inputs: Any) -> DepthCorrection:
        said = correct(self, *inputs)
        nothing = torch.zeros_like(said.depth)
        return DepthCorrection(nothing, nothing, said.inside, said.visible)

    try:
        if arm == "depth module":
            Lifter.forward = no_lifter  # type: ignore[method-assign]
        if arm == "lifter":
            ContextDepth.forward = no_module  # type: ignore[method-assign]
        yield
    finally:
        Lifter.forward, ContextDepth.forward = lift, correct  # type: ignore[method-assign]


def stages_of(recipe: str, images: int, seed: int, kind: str) -> dict[str, Any]:
    """The recipe's table with its stages that train ``kind`` alone, of ``images`` images each if that is not 0."""
    table = read_table(find_recipe(recipe))
    table["stages"] = [stage for stage in table["stages"] if stage["train"] == kind]
    if images:
        table["stages"] = [{**stage, "images": images} for stage in table["stages"]]
    return {**table, "seed": seed}


def study(asked: argparse.Namespace) -> None:
    """All of it."""
    lifter = asked.out / "lifter"
    if not (lifter / "weights.json").exists():
        table = stages_of(asked.recipe, 0, 1, "lifter")
        table["stores"] = {name: store for name, store in table["stores"].items() if store["use"] == "poses"}
        train_recipe(recipe_from_dict(table, asked.recipe, {}), lifter, resume=lifter.exists())
    network = load_weights(str(lifter))[0].config
    rows = []
    for seed in range(1, asked.seeds + 1):
        for arm in ARMS:
            run = asked.out / f"{arm.replace(' ', '-')}-{seed}"
            with only(arm):
                if not (run / "weights.json").exists():
                    table = stages_of(asked.recipe, asked.images, seed, "heads")
                    table["stores"] = {name: row for name, row in table["stores"].items() if row["use"] == "3d"}
                    recipe = recipe_from_dict(table, asked.recipe, {}, network)
                    train_recipe(recipe, run, resume=run.exists(), start=str(lifter), workers=1)
                predictions = run / "predictions.arrow"
                if not predictions.exists():
                    evaluate_stores(str(run), asked.test, out=predictions)
            for store in read_predictions(predictions).stores:
                found = score_all(store.measured)
                rows.append(
                    {"arm": arm, "seed": seed, "store": store.name, **{key: float(found[key]) for key in SHOWN}}
                )
            write_whole(asked.out / "depth.json", (json.dumps(rows, indent=1) + "\n").encode())
            write_whole(asked.out / "depth.md", table_of(rows).encode())
    print(table_of(rows))


def table_of(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row for each store and arm, means over seeds and their range."""
    cells = []
    for store in dict.fromkeys(row["store"] for row in rows):
        for arm in ARMS:
            own = [row for row in rows if row["store"] == store and row["arm"] == arm]
            if own:
                values = [[row[key] for row in own] for key in SHOWN]
                cells.append([store, arm, *(f"{np.mean(v):.1f} ({min(v):.1f} to {max(v):.1f})" for v in values)])
    return markdown_table(("store", "depth from", *SHOWN.values()), cells) + "\n"


def main() -> None:
    """Run or go on with a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--images", type=int, default=12000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--test", nargs="+", type=Path, required=True, metavar="STORE")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    keep_freed_memory()
    try:
        study(asked)
    except LiftwildError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on")


if __name__ == "__main__":
    main()
