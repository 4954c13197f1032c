"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from liftwild.errors import LiftwildError


def write_whole(path: str | Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` under a hidden name, then move it there in one step.

    Whatever ends the program, ``path`` holds the old content or the new. LiftwildError if it cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".liftwild-{os.getpid()}.part")
    try:
        try:
            part.write_bytes(content)
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LiftwildError(f"{path}: cannot be written: {error.strerror or error}") from None
