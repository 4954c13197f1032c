"""Folders of files that live no longer than the program: those that a killed one left are removed by the next."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


class OwnFolder:
    """A folder ``path`` in ``parent`` that nobody else of this system can read, locked while this program lives.

    Its name begins with ``prefix``; others of that name whose program has ended are removed. OSError if it cannot be
    made.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        for other in parent.glob(f"{prefix}*"):
            _remove_if_left(other)
        parent.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self._lock = _locked(self.path / LOCK)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(path: Path) -> int | None:
    """The open file ``path``, locked; None if another program holds it or the system has no such locks."""
    if fcntl is None:  # pragma: no cover - Windows
        return None
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _remove_if_left(folder: Path) -> None:
    if fcntl is None:  # pragma: no cover - Windows
        return
    with suppress(OSError):  # of another user, or gone already
        if folder.is_symlink() or folder.stat().st_uid != os.getuid() or not (folder / LOCK).exists():
            return
        lock = _locked(folder / LOCK)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
