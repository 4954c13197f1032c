"""Networks as OpenVINO compiled them, kept in the user's cache folder: the next program then begins sooner.

A file is used if it is whole and its name says the same weights, code of liftwild, OpenVINO, CPU and options. Whatever
is wrong with it or its folder only makes the beginning slower.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from liftwild.errors import LiftwildError
from liftwild.files import cache_folder, write_whole

FOLDER, SUFFIX = "models", ".openvino"
MAX_BYTES = 500_000_000  # of all files together; those that were used longest ago go
# What makes graphs; what they are made of, the weights, is told apart by itself.
MAKERS = ("network/*.py", "detection/*.py", "inference/onnx_*.py", "inference/*_names.py", "heatmap_torch.py")


def compiled(core: Any, make: Callable[[], Any], weights: str, options: Mapping[str, Any]) -> Any:
    """OpenVINO's compiled model for the CPU: the one that is kept, or else what ``make`` gives (a model), compiled.

    ``core``: OpenVINO's. ``weights``: tells the network and the size of its input from all others; "" keeps nothing.
    """
    folder = cache_folder() if weights else None
    if folder is None:
        return core.compile_model(make(), "CPU", dict(options))
    told = f"{weights} {_makers()} {_machine(core)} {sorted(options.items())}"
    path = folder / FOLDER / (hashlib.sha256(told.encode()).hexdigest()[:32] + SUFFIX)
    kept = _read(path)
    if kept is not None:
        with suppress(RuntimeError):  # of another OpenVINO, although its version is the same
            return core.import_model(io.BytesIO(kept), "CPU", dict(options))
    model = core.compile_model(make(), "CPU", dict(options))
    with suppress(LiftwildError, OSError, RuntimeError):  # no room, no rights
        content = model.export_model().getvalue()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, sealed(content))
        make_room(path.parent)
    return model


def sealed(content: bytes) -> bytes:
    """``content`` with its checksum, as a file keeps it."""
    return hashlib.sha256(content).digest() + content


def _read(path: Path) -> bytes | None:
    """The content of a file that is whole, else None."""
    try:
        content = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    inner = content[hashlib.sha256().digest_size :]
    return inner if content == sealed(inner) else None


def make_room(folder: Path) -> None:
    """Remove files that were used longest ago, until those left are no more than ``MAX_BYTES``."""
    files = sorted(((file.stat(), file) for file in folder.glob(f"*{SUFFIX}")), key=lambda each: -each[0].st_mtime)
    room = MAX_BYTES
    for about, file in files:
        room -= about.st_size
        if room < 0 and time.time() - about.st_mtime > 1:
            file.unlink(missing_ok=True)


def makers() -> list[Path]:
    """The files of the code that makes graphs."""
    root = Path(__file__).parents[1]
    return [file for pattern in MAKERS for file in sorted(root.glob(pattern))]


@cache
def _makers() -> str:
    """What tells the code that makes graphs from other versions of it."""
    found = hashlib.sha256()
    for file in makers():
        found.update(file.read_bytes())
    return found.hexdigest()


def _machine(core: Any) -> str:
    """What tells OpenVINO and the CPU from others."""
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    version = core.get_versions("CPU")["CPU"].build_number
    return f"{version} {platform.machine()} {core.get_property('CPU', 'FULL_DEVICE_NAME')} {able}"
