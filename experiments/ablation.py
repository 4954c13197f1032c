"""The paper's four ablations on what anyone has: rendered people in a studio for 3D, photos with 2D labels for 2D.

python experiments/ablation.py --out runs/ablation [--photos LABELS IMAGES | --store photos.arrow]
    [--real pose2sim.arrow] [--seeds 3] [--only-seed N] [--images 68800]

Trains recipes/ablation/open/*.toml (or those in --recipes, as recipes/ablation/small) with each seed, measures them
on rendered people that were not trained on, in the studio and anywhere, and on the stores of --real, and writes
OUT/report: means and standard deviations over seeds. What the four have in common (the stages before the first that
differs) is trained once a seed. Without photos, people rendered anywhere take their place, their depths left out. What
is done is not done again: after an interruption give the same command. --only-seed N stops before the report, so that
seeds can run side by side once OUT/stores is made.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation import paper
from liftwild.evaluation.predictions import check_names, read_predictions
from liftwild.evaluation.report import write_report
from liftwild.evaluation.run import evaluate_stores
from liftwild.evaluation.scored import Scored, open_table, score
from liftwild.evaluation.tables import as_markdown, markdown_table, mean_cell
from liftwild.training.allocator import keep_freed_memory
from liftwild.training.prepare_stores import prepare_photos
from liftwild.training.recipe import Recipe, StoreEntry
from liftwild.training.recipe_file import SHIPPED, read_table, recipe_from_dict
from liftwild.training.render_stores import render_store
from liftwild.training.train import train_recipe
from liftwild.weights import load_weights
from liftwild.weights_files import find_weights

NAMES = ("3d-wo-geo", "3d-w-geo", "3d-2d-wo-geo", "3d-2d-w-geo")  # in the paper's order
IN_PAPER = {"3d-wo-geo": "3D/wo geo", "3d-w-geo": "3D/w geo", "3d-2d-wo-geo": "3D+2D/wo geo",
            "3d-2d-w-geo": "3D+2D/w geo"}  # fmt: skip

# What is compared: its name, and the two of which it is the difference.
PAIRS = (
    ("3D: with geo minus without", "3d-w-geo", "3d-wo-geo"),
    ("3D+2D: with geo minus without", "3d-2d-w-geo", "3d-2d-wo-geo"),
    ("without geo: 3D+2D minus 3D", "3d-2d-wo-geo", "3d-wo-geo"),
    ("with geo: 3D+2D minus 3D", "3d-2d-w-geo", "3d-w-geo"),
)


def main(arguments: list[str] | None = None) -> None:
    """Run or go on with the four."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    photos = parser.add_mutually_exclusive_group()
    photos.add_argument("--photos", nargs=2, type=Path, metavar=("LABELS", "IMAGES"), help="COCO keypoints, and photos")
    photos.add_argument("--store", type=Path, help="photos that are prepared already")
    parser.add_argument("--real", nargs="*", type=Path, default=[], metavar="STORE", help="measured on too")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on")
    parser.add_argument("--only-seed", type=int, metavar="N", help="train and measure with this seed, and no report")
    parser.add_argument(
        "--images", type=int, default=0, help="seen by a run, all stages together; 0: as the recipes say"
    )
    parser.add_argument("--render", type=int, default=0, help="people to train on, of each kind; 0: as the recipes say")
    parser.add_argument("--test-people", type=int, default=320, help="rendered to measure on, of each kind")
    parser.add_argument("--recipes", type=Path, default=SHIPPED / "ablation" / "open")
    for name in ("precision", "accelerator"):
        parser.add_argument(f"--{name}", default="auto")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args(arguments)
    if asked.only_seed is not None and not 0 <= asked.only_seed < asked.seeds:
        parser.error(f"--only-seed must be one of the {asked.seeds} of --seeds, from 0 on")
    if min(asked.seeds, asked.test_people) < 1 or min(asked.images, asked.render, asked.workers) < 0:
        parser.error("--seeds and --test-people must be above 0; --images, --render and --workers 0 or more")
    keep_freed_memory()
    try:
        ablation(asked)
    except LiftwildError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on")


def ablation(asked: argparse.Namespace) -> None:
    """Stores, runs, predictions, report."""
    tables = {name: read_table(asked.recipes / f"{name}.toml") for name in NAMES}
    for table in tables.values():
        budget(table, asked.images)
    check_names([Path("lab-test.arrow"), Path("wild-test.arrow"), *asked.real])
    for path in asked.real:
        Store(path)
    two = training_photos(asked)
    lab = next(iter(tables.values()))["stores"]["lab"]
    tests = [*rendered_tests(asked), *asked.real]
    for table in tables.values():
        table["stores"]["photos"]["kind"] = kind_of_rendered(asked) or table["stores"]["photos"]["kind"]
        table["stores"]["lab"]["count"] = asked.render or lab["count"]
    stores = {"lab": str(asked.out / "stores" / "lab.arrow"), "photos": str(two)}

    alike = common_stages([table["stages"] for table in tables.values()])
    scored: list[Scored] = []
    for seed in range(asked.seeds) if asked.only_seed is None else [asked.only_seed]:
        start = None
        if alike:
            common = {**copy.deepcopy(tables[NAMES[0]]), "name": "open-common"}
            common["stages"] = common["stages"][:alike]
            start = trained(asked, {**common, "seed": seed}, stores, f"common/seed-{seed}")
        for name in NAMES:
            stage = tables[name]["stages"][alike]["name"]
            run = trained(asked, {**tables[name], "seed": seed}, stores, f"{name}/seed-{seed}", start, stage)
            scored.append(score(*measured(run, tests)))
    if asked.only_seed is not None:
        say(f"seed {asked.only_seed} is done; the same command without --only-seed reports")
        return
    written = write_report(
        asked.out / "report", scored, tests, notes=[*notes(asked, two, tables), *differences(scored, tests)]
    )
    print(written[0].read_text(encoding="utf-8"))
    say(f"the report, its tables and figures are in {asked.out / 'report'}")


def budget(table: dict[str, Any], images: int) -> None:
    """Make the stages of a recipe's ``table`` see so many ``images`` in all, in their proportions; 0: leave them."""
    stages = with_images(table)
    total = sum(stage["images"] for stage in stages)
    for stage in stages if images else []:
        stage["images"] = max(stage["batch_size"], round(stage["images"] * images / total))
        # A short stage has no time for a long rise.
        stage["warmup"] = min(stage.get("warmup", 0), stage["images"] // stage["batch_size"] // 5)


def with_images(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The stages of a recipe's ``table`` that see images: all but a lifter's."""
    return [stage for stage in table["stages"] if stage.get("train") != "lifter"]


def common_stages(rows: list[list[dict[str, Any]]]) -> int:
    """How many stages, from the first on, are the same in all recipes; never all of them."""
    alike = 0
    while alike + 1 < min(map(len, rows)) and all(row[alike] == rows[0][alike] for row in rows):
        alike += 1
    return alike


def training_photos(asked: argparse.Namespace) -> Path:
    """The store of people with 2D labels: given, prepared, or rendered."""
    folder = asked.out / "stores"
    folder.mkdir(parents=True, exist_ok=True)
    if asked.store is not None:
        Store(asked.store)
        return Path(asked.store)
    if asked.photos is not None:
        path = folder / "photos.arrow"
        if not path.exists():
            prepare_photos(*asked.photos, path)
        return path
    path = folder / "wild.arrow"
    if not path.exists():
        say("no --photos: people rendered anywhere take their place, their depths left out")
        render_store(StoreEntry(str(path), "2d", render="wild", count=asked.render or 3000))
    return path


def kind_of_rendered(asked: argparse.Namespace) -> str:
    """What the weights say of the 2D people where those are not photos, else ""."""
    return "" if asked.store or asked.photos else "rendered people, anywhere; depths left out"


def rendered_tests(asked: argparse.Namespace) -> list[Path]:
    """Rendered people to measure on: in the studio, subjects that are not trained on; anywhere, other seeds."""
    paths = []
    for mode in ("lab", "wild"):
        paths.append(asked.out / "stores" / f"{mode}-test.arrow")
        if not paths[-1].exists():
            render_store(StoreEntry(str(paths[-1]), "val", render=mode, split="test", count=asked.test_people))
    return paths


@cache
def fingerprint(path: str) -> str:
    """That of a store, read once."""
    return Store(path).fingerprint()


def trained(
    asked: argparse.Namespace, table: dict[str, Any], stores: dict[str, str], name: str, start: Path | None = None,
    stage: str | None = None,
) -> Path:  # fmt: skip
    """The folder OUT/name of a finished run of the recipe ``table``, trained now as far as it is not.

    ``start``: the run to begin with, at ``stage``. LiftwildError if the folder holds another run.
    """
    out = asked.out / name
    recipe: Recipe = recipe_from_dict(table, name, stores)
    if (out / "weights.safetensors").exists():
        _, card = load_weights(out)
        same_data = all(card["data"].get(n, {}).get("fingerprint") == fingerprint(p) for n, p in stores.items())
        if card["recipe"] != recipe.text or not same_data:
            raise LiftwildError(f"{out} was trained with another budget, recipe or data; choose another --out")
        return out
    say(f"training {out}")
    train_recipe(
        recipe, out, resume=True, start=None if start is None else str(start), stage=None if start is None else stage,
        precision=asked.precision, accelerator=asked.accelerator, workers=asked.workers,
    )  # fmt: skip
    return out


def measured(run: Path, tests: list[Path]) -> tuple[Path, Any]:
    """The predictions of a run on the test stores, and their file; made now unless it is there."""
    path = run / "preds.arrow"
    if path.exists():
        predictions = read_predictions(path)
        same = [store.fingerprint for store in predictions.stores] == [fingerprint(str(test)) for test in tests]
        if same and path.stat().st_mtime >= find_weights(run).stat().st_mtime:
            return path, predictions
    say(f"measuring {run}")
    evaluate_stores(str(run), tests, out=path)
    return path, read_predictions(path)


def notes(asked: argparse.Namespace, two: Path, tables: dict[str, dict[str, Any]]) -> list[str]:
    """What was done, and what the paper found for the same four."""
    images = sum(stage["images"] for stage in with_images(tables[NAMES[0]]))
    what = kind_of_rendered(asked) or "photos with 2D labels"
    one, three = ({name: cells for name, cells in paper.paper_table(key).rows} for key in ("table1", "table3"))
    rows = [
        [shown, f"{one[shown]['Average'].value:.2f}", f"{three[shown]['All PCK'].value:.1f}",
         f"{three[shown]['AUC'].value:.1f}"]
        for shown in IN_PAPER.values()
    ]  # fmt: skip
    head = ("", "Human3.6M MPJPE, mm", "MPI-INF-3DHP PCK, %", "AUC, %")
    return [
        "# The four ablations on rendered people and photos",
        f"3D: {len(Store(asked.out / 'stores' / 'lab.arrow')):,} rendered people in a studio. 2D: {what}, "
        f"{len(Store(two)):,} people ({two.name}). {images:,} images seen by each run, {asked.seeds} seeds; rows are "
        "means ± standard deviation over seeds.",
        "In the paper, on its own data:\n\n" + markdown_table(head, rows),
    ]


def differences(scored: list[Scored], tests: list[Path]) -> list[str]:
    """What the geometric loss and the 2D people change, from runs of one seed to runs of the same: their mean and
    standard deviation, which the spread of the seeds themselves is no part of."""
    runs = {name: scored[place :: len(NAMES)] for place, name in enumerate(NAMES)}
    found = []
    for path in tests:
        table = open_table("", f"{path.stem}: differences within a seed")
        for words, after, before in PAIRS:
            cells = {}
            for column in table.columns:
                rows = [(a.scores[f"open/{path.stem}"], b.scores[f"open/{path.stem}"])
                        for a, b in zip(runs[after], runs[before], strict=True)]  # fmt: skip
                if all(column in a and column in b for a, b in rows):
                    cells[column] = mean_cell([a[column] - b[column] for a, b in rows])
            table.rows.append((words, cells))
        found.append(as_markdown(table))
    return found


def say(words: str) -> None:
    """One line to stderr."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
