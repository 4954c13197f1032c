"""The weights of a run, and the json beside them."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from liftwild import __version__
from liftwild.weights import save_weights

if TYPE_CHECKING:
    from liftwild.training.loop import Trainer


def origin_of(trainer: Trainer) -> dict[str, Any]:
    """The origin that checkpoints and weights state: recipe, data, versions."""
    return {
        "recipe": trainer.recipe.text,
        "from": trainer.start,
        **({"pretrained": trainer.pretrained} if trainer.pretrained else {}),
        "seed": trainer.recipe.seed,
        "data": {
            name: {
                "use": entry.use, "kind": entry.kind, "licence": entry.licence,
                "people": trainer.count_people(name),
                "fingerprint": trainer.fingerprints[name],
            }
            for name, entry in trainer.recipe.stores.items()
        },
        "versions": {"liftwild": __version__, "python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in ("torch", "numpy", "opencv-python-headless")},
        "precision": str(trainer.fabric.strategy.precision.precision),
    }  # fmt: skip


def write_stage_weights(trainer: Trainer, stage: str) -> list[Path]:
    """Write the network as it stands after ``stage`` as stages/NAME.safetensors into the run's folder; the files."""
    stem = "-".join(re.findall(r"\w+", stage)) or "stage"
    return write_run_weights(trainer, f"stages/{stem}", f", after {stage}")


def write_run_weights(trainer: Trainer, stem: str, which: str = "") -> list[Path]:
    """Write the network as it stands as ``stem``.safetensors, or in shards, into the run's folder; the files.

    ``which``: after the recipe's name in the weights' own, where these are not the run's last.
    """
    card = {
        "name": trainer.recipe.name + which,
        "licence": trainer.recipe.licence,
        "sum_length_mm": round(trainer.sum_length_mm, 2),
        **({} if trainer.bone_length_mm is None else {"bone_length_mm": np.round(trainer.bone_length_mm, 1).tolist()}),
        "mean_pose_mm": None if trainer.mean_pose is None else np.round(trainer.mean_pose, 1).tolist(),
        "made": time.strftime("%Y-%m-%d"),
        "step": trainer.steps,
        "steps_planned": trainer.recipe.steps,
        **({"steps_of_recipe": trainer.shortened_from} if trainer.shortened_from else {}),
        "metrics": trainer.metrics,
        **({"metrics_before": trainer.metrics_before} if trainer.metrics_before else {}),
        **({"best": trainer.best} if stem == "best" else {}),
        **origin_of(trainer),
    }
    return save_weights(trainer.out / f"{stem}.safetensors", trainer.result, card, shard_mb=trainer.shard_mb)
