"""What a library may do that reads a damaged file. Imports little: a process of its own begins with it."""

from __future__ import annotations

import os
import time
from pathlib import Path


def end(path: Path) -> None:
    """End the process."""
    os.abort()


def take_memory(path: Path) -> int:
    """Ask for 100 GB."""
    return len(bytearray(100 << 30))


def wait_long(path: Path) -> None:
    """Be done in a minute."""
    time.sleep(60)
