"""What is in a folder or a JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Write = Callable[..., Path]  # the fixture `write`


def names(folder: Path) -> list[str]:
    """Names of the files of a folder, sorted."""
    return sorted(file.name for file in folder.iterdir())


def document(path: Path) -> dict[str, Any]:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
