"""Where weights lie: those that ship, by their names, and others. Loads no torch."""

from __future__ import annotations

import os
from pathlib import Path

from liftwild.errors import LiftwildError

SHIPPED = Path(__file__).parent / "pretrained"


def shipped_names() -> list[str]:
    """Names of the weights that come with the package; the detector's are not among them (``detection.weights``)."""
    return sorted(path.stem for path in SHIPPED.glob("*.json") if not path.stem.startswith("detector"))


def find_weights(name_or_path: str | Path) -> Path:
    """Path of a weights file, by the name of one that ships, by its path, or by the folder of a training run.

    Of weights in shards, the path that they would have as one file. LiftwildError if there is none. A shipped name
    goes before a file of that name.
    """
    path = Path(name_or_path)
    if str(path) in shipped_names():
        return SHIPPED / f"{path}.safetensors"
    # os.path: a name too long, or links in a circle, are no file; Path raises OSError.
    found = path / "weights.safetensors" if os.path.isdir(path) else path
    if os.path.isfile(found) or (found.suffix == ".safetensors" and os.path.isfile(found.with_suffix(".json"))):
        return found
    if found.suffix == ".safetensors" or len(path.parts) > 1:
        raise LiftwildError(f"no weights file {found}")
    raise LiftwildError(
        f"no weights named {str(path)!r}; {', '.join(shipped_names()) or 'none'} come with liftwild, "
        "or give the path of a .safetensors file or of a training run's folder"
    )
