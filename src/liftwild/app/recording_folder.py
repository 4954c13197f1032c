"""The files of a recording, by names that are the same for all, whatever uploads are called."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

UPLOAD = "upload"
KEPT = "recording.npz"  # what was found: it holds numbers as they are, from which all other files are made
SPOOL = "frames.spool"
PICTURE = "picture.jpg"


class RecordingFolders:
    """The folders of all recordings, below ``folder``, by ids that this server made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "recordings"

    def of(self, id: str) -> Path:
        """The one of a recording."""
        return self.folder / id

    def make(self, id: str) -> Path:
        """Make one, for nobody else to read."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.of(id).mkdir(mode=0o700)
        return self.of(id)

    def write(self, id: str, name: str, content: bytes) -> None:
        """Write a file of one, whole or not at all. OSError if it cannot be written."""
        part = self.of(id) / f"{name}.{secrets.token_hex(8)}"
        try:
            part.write_bytes(content)
            os.replace(part, self.of(id) / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def remove(self, id: str) -> None:
        """Remove one with all that is in it, if it is there."""
        shutil.rmtree(self.of(id), ignore_errors=True)

    def size(self, id: str) -> int:
        """How many bytes its files have."""
        total = 0
        for path in self.of(id).rglob("*"):
            try:
                total += path.stat().st_size
            except FileNotFoundError:  # of a page that is just being made
                continue
        return total

    def remove_others(self, known: set[str]) -> int:
        """Remove all but the ``known`` ones: of uploads that ended with the server; how many."""
        others = [path for path in self.folder.iterdir() if path.name not in known] if self.folder.is_dir() else []
        for path in others:
            shutil.rmtree(path, ignore_errors=True)
        return len(others)
