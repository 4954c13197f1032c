"""Labelled people that need no data: bright joints on noise, with exact 2D and 3D labels."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from liftwild.camera import Camera
from liftwild.data.store import StoreWriter, stored_row
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16


class Clock:
    """A clock that tests move on: put it in place of ``training.budget.now``."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


CAMERA = Camera(150.0, 150.0, 64.0, 64.0)

# A person facing the camera, mm: x right in the picture, so their right side has negative x.
STANDING = np.array([
    [-100, 850, 0], [-100, 430, 0], [-100, 0, 0], [100, 0, 0], [100, 430, 0], [100, 850, 0], [0, 0, 0],
    [0, -480, 0], [0, -560, 0], [0, -780, 0], [-190, 20, 0], [-190, -230, 0], [-180, -480, 0], [180, -480, 0],
    [190, -230, 0], [190, 20, 0],
], dtype=np.float64)  # fmt: skip


def person(rng: np.random.Generator, number: int, with_3d: bool) -> Sample:
    """A standing person, bent at random, in a picture of 128 px."""
    joints_3d = STANDING + rng.normal(0, 60, STANDING.shape) + [0, 0, 3000]
    joints_2d = CAMERA.project(joints_3d)
    image = rng.integers(0, 60, (128, 128, 3), dtype=np.uint8)
    for (x, y), name in zip(joints_2d, MPII_16.names, strict=True):
        colour = (250, 60, 60) if name.startswith("right") else (60, 60, 250) if "left" in name else (60, 250, 60)
        cv2.circle(image, (int(x), int(y)), 3, colour, -1)
    low, high = joints_2d.min(axis=0), joints_2d.max(axis=0)
    known = np.ones(len(MPII_16), dtype=bool)
    return Sample(
        image, joints_2d, known, joints_3d if with_3d else np.zeros_like(joints_3d), known & with_3d,
        CAMERA if with_3d else None, (*low, *(high - low)), f"{number}.png", number,
    )  # fmt: skip


def write_store(path: Path, people: int, with_3d: bool, seed: int = 0) -> Path:
    """A store of ``people`` such people."""
    rng = np.random.default_rng(seed)
    with StoreWriter(path) as writer:
        for number in range(people):
            writer.add(stored_row(person(rng, number, with_3d)))
    return path


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
            {"name": "depth", "iterations": 4, "lr": 1e-3, "depth_weight": 0.1, "train": "depth", **common},
            {"name": "geometry", "iterations": 6, "lr": 1e-3, "schedule": "cosine", "depth_weight": 0.1,
             "geometric_weight": 0.01, **common},
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
