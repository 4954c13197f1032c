"""Files and folders that are written whole or not at all, and what is said of those that cannot be read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from liftwild.errors import LiftwildError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """LiftwildError, which names ``path``, in place of an OSError."""
    try:
        yield
    except FileNotFoundError:
        raise LiftwildError(f"{path}: no such file") from None
    except OSError as error:
        raise LiftwildError(f"{path}: cannot be read: {error.strerror or error}") from None


def make_folder(path: Path) -> None:
    """Make the folder ``path`` and those above it; LiftwildError if it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiftwildError(f"{path}: cannot be made a folder: {error.strerror or error}") from None


def write_whole(path: str | Path, content: bytes) -> None:
    """Write ``content`` as the file ``path``, as ``atomic_path`` does.

    Several processes may write into one folder, even the same file: the last one wins.
    """
    with atomic_path(path, f".liftwild-{os.getpid()}.part") as part:
        part.write_bytes(content)


@contextmanager
def atomic_path(path: str | Path, hidden: str = "", durable: bool = False) -> Iterator[Path]:
    """A hidden path beside ``path`` to write a file or a folder to; it is moved to ``path`` when the block ends.

    Whatever ends the program, ``path`` holds the old content or the new. ``hidden``: the name to write under, by
    default ``.NAME.part``; what a killed process left there is removed. ``durable``: the content reaches the disk
    before it is moved. LiftwildError if it cannot be written.
    """
    path = Path(path)
    part = path.with_name(hidden or f".{path.name}.part")
    try:
        try:
            _remove(part)
            yield part
            if durable:
                flush_to_disk(*(part.iterdir() if part.is_dir() else ()), part)
            if part.is_dir():
                _remove(path)  # a folder replaces none but an empty one
            os.replace(part, path)
            if durable:
                flush_to_disk(path.parent)
        except BaseException:
            with suppress(OSError):
                _remove(part)
            raise
    except OSError as error:
        raise LiftwildError(f"{path}: cannot be written: {error.strerror or error}") from None


@contextmanager
def exclusive_path(path: Path) -> Iterator[Path]:
    """As ``atomic_path``, durable, for a file that only one process at a time may write.

    The hidden file exists and is locked inside the block. LiftwildError if another process holds the lock; OSError if
    the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not lock(handle) or not _is_at(handle, part):  # the other process may have moved it since it was opened
            raise LiftwildError(f"another process is writing {path}")
        try:
            yield part
            os.fsync(handle)
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    finally:
        os.close(handle)  # and with it the lock


def flush_to_disk(*paths: Path) -> None:
    """Have the disk hold what was written to files and folders."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(path: Path) -> None:
    """Delete a file or a folder that may be there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def lock(handle: int) -> bool:
    """Lock an open file against other processes; False if one of them holds it. True where there are no locks."""
    if fcntl is None:  # pragma: no cover - Windows
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # pragma: no cover - a file system without locks
        pass
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
