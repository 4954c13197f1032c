"""The lowest release series of what pyproject.toml asks for, as constraints for pip: numpy>=1.26 is numpy==1.26.*"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def lowest() -> list[str]:
    """A constraint for each requirement with a lower bound, sorted; the highest of several bounds."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    bounds: dict[str, tuple[int, ...]] = {}
    for requirement in asked:
        if match := re.match(r"([\w.-]+)\s*>=\s*([\d.]+)", requirement):
            version = tuple(map(int, match[2].split(".")))
            bounds[match[1]] = max(version, bounds.get(match[1], ()))
    return [f"{name}=={'.'.join(map(str, version))}.*" for name, version in sorted(bounds.items())]


if __name__ == "__main__":
    print("\n".join(lowest()))
