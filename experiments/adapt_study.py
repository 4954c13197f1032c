"""What adapting to photos of one's own is worth, against their number.

python experiments/adapt_study.py --from WEIGHTS --photos train.json IMAGES --val val.json IMAGES --counts 100,500,all
    [--images 48000] [--also pose2sim.arrow wild-test.arrow] [--recipe adapt] [--seed 0] --out runs/study

For each count that many photos are drawn by the seed (the 100 are among the 500), the recipe is trained on them from
WEIGHTS with a budget of --images in all (its stages in proportion), and measured on val and on the stores of --also, as
WEIGHTS are before. Leaves OUT/study.json, study.md, study.png, and a run in OUT/<count> each. What is done is not done
again: after an interruption give the same command, and give more counts later.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from liftwild.data.readers.coco import read_labels
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.metric_table import METRICS, score_all, symmetry
from liftwild.evaluation.predictions import check_names, read_predictions
from liftwild.evaluation.run import evaluate_stores
from liftwild.evaluation.tables import markdown_table
from liftwild.files import write_whole
from liftwild.training.allocator import keep_freed_memory
from liftwild.training.prepare_stores import prepare_photos
from liftwild.training.recipe_file import find_recipe, read_table, recipe_from_dict
from liftwild.training.train import train_recipe
from liftwild.viz.plots import COLOURS, chart, check_matplotlib, put_legend_below
from liftwild.weights import load_weights
from liftwild.weights_files import find_weights

# Columns of the table, by key.
COLUMNS = {
    **{key: METRICS[key].column for key in ("pck_torso", "sides_swapped", "symmetry_mm")},
    "symmetry_percent": "left - right, %",
    **{key: METRICS[key].column for key in ("mpjpe_mm", "pa_mpjpe_mm")},
}
SHOWN = ("pck_torso", "sides_swapped", "symmetry_percent", "mpjpe_mm", "pa_mpjpe_mm")  # a chart each


def main(arguments: list[str] | None = None) -> None:
    """Run or go on with a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="start", required=True, metavar="WEIGHTS")
    parser.add_argument("--photos", nargs=2, type=Path, required=True, metavar=("LABELS", "IMAGES"))
    parser.add_argument("--val", nargs=2, type=Path, required=True, metavar=("LABELS", "IMAGES"))
    parser.add_argument("--counts", required=True, help="numbers of photos, and all: 100,500,2000,all")
    parser.add_argument("--images", type=int, default=48000, help="images seen in each training, all stages together")
    parser.add_argument("--also", nargs="*", type=Path, default=[], metavar="STORE", help="measured on too")
    parser.add_argument("--recipe", default="adapt", help="shipped name or .toml file")
    parser.add_argument("--seed", type=int, default=0, help="draws the photos")
    parser.add_argument("--out", type=Path, required=True)
    for name, default in (("precision", "auto"), ("accelerator", "auto")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args(arguments)
    keep_freed_memory()
    try:
        study(asked)
    except LiftwildError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on")


def study(asked: argparse.Namespace) -> None:
    """All of it; LiftwildError says what is wrong."""
    names = photos_in_order(asked.photos[0], asked.seed)
    counts = parse_counts(asked.counts, len(names), asked.photos[0])
    recipe = scaled(read_table(find_recipe(asked.recipe)), asked.images)
    check_matplotlib()
    out: Path = asked.out
    out.mkdir(parents=True, exist_ok=True)
    begin_or_go_on(out, asked, recipe)

    val = out / "val.arrow"
    if not val.exists():
        prepare_photos(*asked.val, val)
    stores = [val, *asked.also]
    check_names(stores)
    rows = scores(asked.start, stores, out / "before.arrow", 0)
    show(out, rows)
    for number, count in enumerate(counts, start=1):
        run = out / str(count)
        run.mkdir(exist_ok=True)
        if not (run / "weights.json").exists():
            say(f"{number} of {len(counts)}: training on {count} photos, {asked.images} images")
            labels = run / "labels.json"
            write_whole(labels, subset(asked.photos[0], set(names[:count])))
            network = load_weights(asked.start)[0].config
            train_recipe(
                recipe_from_dict(recipe, asked.recipe, {"photos_val": str(val)}, network), run, resume=True,
                start=asked.start, precision=asked.precision, accelerator=asked.accelerator, workers=asked.workers,
                photos=(labels, asked.photos[1]),
            )  # fmt: skip
        rows += scores(str(run), stores, run / "predictions.arrow", count)
        show(out, rows)
    say(f"done: {out / 'study.md'}, {out / 'study.json'}, {out / 'study.png'}")
    print(table(rows))


def photos_in_order(labels: Path, seed: int) -> list[str]:
    """File names of the photos with somebody usable, in the order in which they are drawn."""
    names = sorted({person.file_name for person in read_labels(labels)[0]})
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def parse_counts(said: str, most: int, labels: Path) -> list[int]:
    """The counts, ascending, each once."""
    counts = set()
    for word in said.split(","):
        if word.strip() != "all" and not (word.strip().isdecimal() and int(word) > 0):
            raise LiftwildError(f"--counts wants numbers above 0 and all, as in 100,500,all, not {word!r}")
        count = most if word.strip() == "all" else int(word)
        if count > most:
            raise LiftwildError(f"--counts {count}: {labels} has {most} photos that can be used; say all")
        counts.add(count)
    return sorted(counts)


def scaled(recipe: dict[str, Any], images: int) -> dict[str, Any]:
    """``recipe`` with stages that see ``images`` images together, and warm up in proportion."""
    sizes = [row.get("images", row.get("iterations", 0) * row.get("batch_size", 6)) for row in recipe["stages"]]
    share = images / sum(sizes)
    stages = []
    for row, size in zip(recipe["stages"], sizes, strict=True):
        rest = {name: value for name, value in row.items() if name not in ("images", "iterations", "warmup")}
        warmup = {"warmup": round(row["warmup"] * share)} if "warmup" in row else {}
        stages.append({**rest, **warmup, "images": max(1, round(size * share))})
    return {**recipe, "stages": stages}


def begin_or_go_on(out: Path, asked: argparse.Namespace, recipe: dict[str, Any]) -> None:
    """Keep what decides the numbers in OUT/settings.json; LiftwildError if it says something else already."""
    start = find_weights(asked.start)
    files = [path for path in sorted(start.parent.glob(f"{start.stem}*")) if path.suffix in (".json", ".safetensors")]
    settings = {
        "from": hash_of(files), "photos": hash_of([asked.photos[0]]), "val": hash_of([asked.val[0]]),
        "images": asked.images, "seed": asked.seed, "recipe": recipe,
    }  # fmt: skip
    path = out / "settings.json"
    if not path.exists():
        write_whole(path, json.dumps(settings, indent=1).encode())
        return
    before = json.loads(path.read_text())
    other = [name for name, value in settings.items() if before.get(name) != value]
    if other:
        raise LiftwildError(f"{out} was begun with another {', '.join(other)}; choose another --out")


def hash_of(files: list[Path]) -> str:
    """SHA-256 of files, one after another."""
    digest = hashlib.sha256()
    for path in files:
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise LiftwildError(f"cannot read {path}: {error.strerror}") from None
    return digest.hexdigest()


def subset(labels: Path, names: set[str]) -> bytes:
    """The label file with the photos called ``names`` alone, all else as it is."""
    content = json.loads(labels.read_text(encoding="utf-8-sig"))
    images = [image for image in content["images"] if image["file_name"] in names]
    ids = {as_id(image["id"]) for image in images}
    people = [person for person in content["annotations"] if as_id(person.get("image_id")) in ids]
    return json.dumps({**content, "images": images, "annotations": people}).encode()


def as_id(value: Any) -> str:
    """1, 1.0 and "1" are one id."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def scores(weights: str, stores: list[Path], predictions: Path, photos: int) -> list[dict[str, Any]]:
    """A row for each store; predictions that are there are used if they are of these stores."""
    if not is_of(predictions, stores):
        say(f"measuring {weights} on {', '.join(store.stem for store in stores)}")
        evaluate_stores(weights, stores, out=predictions)
    found = read_predictions(predictions).stores
    return [{"photos": photos, "store": each.name, **measures(each.measured)} for each in found]


def is_of(predictions: Path, stores: list[Path]) -> bool:
    """Whether the file holds predictions on these stores, as they are now."""
    if not predictions.exists():
        return False
    known = [(each.name, each.fingerprint) for each in read_predictions(predictions).stores]
    return known == [(store.stem, Store(store).fingerprint()) for store in stores]


def measures(measured: Measured) -> dict[str, float]:
    """The numbers of one store; those in space only where it has 3D labels."""
    found = {"people": len(measured), **score_all(measured), "symmetry_percent": symmetry(measured.pred_3d)["mean %"]}
    return {name: round(float(found[name]), 3) for name in ("people", *COLUMNS) if name in found}


def show(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write what there is so far."""
    write_whole(out / "study.json", (json.dumps(rows, indent=1) + "\n").encode())
    write_whole(out / "study.md", table(rows).encode())
    write_charts(out / "study.png", rows)


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row for each store and number of photos; 0 photos is before."""
    stores = list(dict.fromkeys(row["store"] for row in rows))
    cells = [
        [
            f"{row['store']} ({row['people']:.0f})", str(row["photos"] or "before"),
            *(f"{row[key]:.1f}" if key in row else "-" for key in COLUMNS),
        ]
        for row in sorted(rows, key=lambda row: stores.index(row["store"]))
    ]  # fmt: skip
    return markdown_table(("store (people)", "photos", *COLUMNS.values()), cells) + "\n"


def write_charts(path: Path, rows: list[dict[str, Any]]) -> None:
    """A chart for each of ``SHOWN`` against the number of photos, a line for each store."""
    stores = list(dict.fromkeys(row["store"] for row in rows))
    keys = [key for key in SHOWN if any(key in row for row in rows)]
    counts = sorted({row["photos"] for row in rows})
    with chart(path, (2.4 * len(keys), 3), columns=len(keys)) as all_axes:
        for axes, key in zip(all_axes, keys, strict=True):
            for store, colour in zip(stores, COLOURS, strict=False):
                own = [(counts.index(row["photos"]), row[key]) for row in rows if row["store"] == store and key in row]
                if own:
                    axes.plot(*zip(*own, strict=True), "o-", color=colour, label=store)
            axes.set(title=COLUMNS[key], xlabel="photos")
            axes.set_xticks(range(len(counts)), [str(count or "before") for count in counts])
        put_legend_below(all_axes[0])


def say(words: str) -> None:
    """A line of progress."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
