"""Labelled photos of one's own, and a tiny recipe that trains on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.data_fixtures import annotation, labels, write_labels, write_photo
from tests.support.labelled import tiny_recipe


def world(folder: Path, photos: int) -> tuple[Path, Path]:
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


def table(folder: Path, **changes: Any) -> dict[str, Any]:
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
