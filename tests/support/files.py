"""What is in a folder or a JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Write = Callable[..., Path]  # the fixture `write`


def names(folder: Path) -> list[str]:
    """Names of the files of a folder, sorted."""
    return sorted(file.name for file in folder.iterdir())


def document(path: Path) -> dict[str, Any]:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """``content`` with some bytes changed."""
    data = np.frombuffer(content, np.uint8).copy()
    data[rng.integers(0, len(data), rng.choice([1, 1, 4]))] = rng.choice([0, 127, 128, 255, rng.integers(256)])
    return data.tobytes()
