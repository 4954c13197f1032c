"""Training runs in this process, and as commands."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from liftwild.training.loop import Trainer
from liftwild.training.recipe_file import recipe_from_dict
from liftwild.training.train import train_recipe
from tests.support.paths import SRC


def run(table: dict[str, Any], out: Path, **options: Any) -> Trainer:
    """Train in this process, fp32, without loader processes."""
    return train_recipe(
        recipe_from_dict(table), out, **{"workers": 0, "precision": "32-true", "accelerator": "cpu", **options}
    )


def logged(out: Path) -> list[dict[str, Any]]:
    """The losses that a run wrote down."""
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [row for row in rows if "loss" in row]


def command(*arguments: object, processes: int = 0) -> list[str]:
    """``liftwild train ...`` as a user would type it, with ``processes`` under torchrun."""
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes else []
    return [sys.executable, *start, "-m", "liftwild", "train", *map(str, arguments)]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SRC)}
