"""Tiny recipes, and training runs with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from liftwild.training import loop
from liftwild.training import train as runs
from liftwild.training.recipe_file import recipe_from_dict
from tests.support.images import write_photo
from tests.support.label_files import annotation, labels, write_labels


def run(table: dict[str, Any], out: Path, **options: Any) -> loop.Trainer:
    """Train in this process, fp32, without loader processes."""
    return runs.train_recipe(
        recipe_from_dict(table), out, **{"workers": 0, "precision": "32-true", "accelerator": "cpu", **options}
    )


def logged(out: Path) -> list[dict[str, Any]]:
    """The losses that a run wrote down."""
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [row for row in rows if "loss" in row]


class Clock:
    """A clock that tests move on: put it in place of ``training.budget.now``."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def tiny_recipe(three: Path, two: Path, **changes: Any) -> dict[str, Any]:
    """A recipe of all three stages that runs in seconds, as the dict that its TOML holds."""
    common = {"batch_size": 4, "foreground_weight": 10.0, "clip": 1.0}
    return {
        "name": "tiny", "seed": 3, "log_every": 1, "checkpoint_every": 2,
        "network": {"stacks": 1, "blocks": 1, "features": 16, "stem": 8, "input_px": 64, "depth_norm": True},
        "stores": {"three": {"path": str(three), "use": "3d"}, "two": {"path": str(two), "use": "2d"}},
        "optimizer": {"name": "adamw"},
        "augment_2d": {"scale_octaves": 0.25, "rotation_deg": 30.0, "rotation_probability": 0.4,
                       "flip_probability": 0.5, "colour": 0.4},
        "stages": [
            {"name": "joints", "iterations": 6, "lr": 2e-3, "sigma": 2.0, "sigma_end": 1.0, "warmup": 2, **common},
            {"name": "depth", "iterations": 4, "lr": 1e-3, "depth_weight": 0.2, "train": "depth", **common},
            {"name": "geometry", "iterations": 6, "lr": 1e-3, "schedule": "cosine", "depth_weight": 0.2,
             "geometric_weight": 0.02, **common},
        ],
        **changes,
    }  # fmt: skip


def to_toml(table: dict[str, Any]) -> str:
    """TOML of a recipe's dict: scalars, tables, and lists of tables."""

    def scalar(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')

    def body(values: dict[str, Any], prefix: str) -> list[str]:
        lines = [f"{k} = {scalar(v)}" for k, v in values.items() if not isinstance(v, dict | list)]
        for key, value in values.items():
            for row in value if isinstance(value, list) else [value] if isinstance(value, dict) else []:
                name = prefix + key
                lines += [f"[[{name}]]" if isinstance(value, list) else f"[{name}]", *body(row, name + ".")]
        return lines

    return "\n".join(body(table, "")) + "\n"


def write_labelled_photos(folder: Path, photos: int) -> tuple[Path, Path]:
    """Labels and photos: ``photos`` with one person each, the last in the file with the lowest image id, and the
    first with a second person and a crowd."""
    files = [f"{n}.png" for n in range(1, photos + 1)]
    for file in files:
        write_photo(folder / "photos" / file)
    people = [annotation(n, n) for n in range(1, photos + 1)]
    content = labels([*people, annotation(98, 1), annotation(99, 1, iscrowd=1)], files=files)
    for image in content["images"]:
        image["id"] = photos + 1 - image["id"]
    for person in content["annotations"]:
        person["image_id"] = photos + 1 - person["image_id"]
    return write_labels(folder / "labels.json", content), folder / "photos"


def adapt_recipe(folder: Path, **changes: Any) -> dict[str, Any]:
    """A tiny recipe like recipes/adapt.toml."""
    stores = {
        "photos": {"use": "2d"},
        "photos_val": {"use": "val"},
        "rendered": {
            "path": str(folder / "stores/r.arrow"),
            "use": "3d",
            "render": "wild",
            "count": 3,
            "render_seed": 5,
        },
    }
    stage = {"batch_size": 4, "images": 10, "lr": 1e-3, "depth_weight": 0.1}
    return {**tiny_recipe(folder, folder), "network": {"size": "from"}, "stores": stores,
            "stages": [{"name": "all", **stage}], **changes}  # fmt: skip
