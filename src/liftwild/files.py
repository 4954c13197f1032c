"""Files and folders that are written whole or not at all, and what is said of those that cannot be read or written.

All of liftwild writes through ``atomic_path`` and ``write_whole``; ``check_output`` says what may be replaced.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from liftwild.errors import LiftwildError, reason_of_os

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

_STAGE, _STAGE_END = ".liftwild-", ".part"
_LOST = -1  # in place of a handle
ORPHANS_S = 2.0  # after which the processes of a run that was killed have ended, too
_swept: set[str] = set()  # folders that this process has looked through for what killed ones left
_locks: set[int] = set()  # handles whose locks a forked child must not keep alive


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """LiftwildError, which names ``path``, in place of an OSError; but of one that no other file would be spared."""
    try:
        yield
    except FileNotFoundError:
        raise LiftwildError(f"{path}: no such file") from None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        raise LiftwildError(f"{path}: cannot be read: {reason_of_os(error)}") from None


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """LiftwildError, which names ``path``, in place of an OSError."""
    try:
        yield
    except OSError as error:
        raise LiftwildError(f"{path}: cannot be written: {reason_of_os(error)}") from None


def make_folder(path: Path) -> None:
    """Make the folder ``path`` and those above it; LiftwildError if it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiftwildError(f"{path}: cannot be made a folder: {reason_of_os(error)}") from None


def check_output(path: Path, is_ours: Callable[[Path], bool], option: str = "-o") -> None:
    """LiftwildError unless ``path`` is free, or holds what an earlier run of the same kind wrote there.

    Nothing else is ever replaced: no input, nothing of somebody else. ``is_ours``: whether a file is of the kind that
    is to be written, by its content. ``option``: the one that names ``path``.
    """
    if os.path.isdir(path):
        raise LiftwildError(f"{path} is a folder, not a file to write; choose another {option}")
    if not os.path.lexists(path):
        return
    with suppress(OSError):
        if os.path.isfile(path) and is_ours(path):
            return
    raise LiftwildError(
        f"{path} exists and was not written by this command; it is not written over, choose another {option}"
    )


def starts_with(path: Path, mark: bytes) -> bool:
    """Whether the file ``path`` begins with ``mark``."""
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


def cache_folder() -> Path | None:
    """The user's folder of what is quick to make again, which may not be there yet; ``LIFTWILD_CACHE`` names another,
    and if it is empty there is none."""
    named = os.environ.get("LIFTWILD_CACHE")
    if named is not None:
        return Path(named).absolute() if named else None
    try:
        home = Path.home()
    except RuntimeError:  # nobody's
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "liftwild" / "cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "liftwild"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "liftwild"


def write_whole(path: str | Path, content: bytes) -> None:
    """Write ``content`` as the file ``path``, as ``atomic_path`` does.

    Several processes may write into one folder, even the same file: the last one wins.
    """
    with atomic_path(path) as part:
        part.write_bytes(content)


@contextmanager
def atomic_path(path: str | Path, durable: bool = False, alone: bool = False) -> Iterator[Path]:
    """A path of the same name in a ``staging`` folder, to write a file or a folder to; it is moved to ``path`` when the
    block ends.

    Whatever ends the program, ``path`` holds the old content or the new. ``durable``: the content reaches the disk
    before it is moved. ``alone``: as in ``staging``. LiftwildError if it cannot be written.
    """
    path = Path(path)
    with writing(path), staging(path, alone) as stage:
        part = stage / path.name
        yield part
        if durable:
            flush_to_disk(*(part.iterdir() if part.is_dir() else ()), part)
        if part.is_dir() and path.is_dir():  # a folder replaces none but an empty one
            os.replace(path, stage / f"{path.name}.old")
        os.replace(part, path)
        if durable:
            flush_to_disk(path.parent)


@contextmanager
def staging(path: Path, alone: bool = False) -> Iterator[Path]:
    """An empty folder beside ``path``, which is gone when the block ends; what is finished in it is moved from there.

    Its name is random, nobody else can write into it, and it is locked: what killed processes left in the folder of
    ``path`` is not, and is removed. ``alone``: LiftwildError if another process or thread writes the same ``path`` so.
    OSError if it cannot be made.
    """
    folder = path.parent
    key = f"{zlib.crc32(os.fsencode(path.name)):08x}"
    if str(folder.absolute()) not in _swept:
        _swept.add(str(folder.absolute()))
        remove_leftovers(folder)
    stage = _stage_path(folder, key)
    handle: int | None = None
    try:  # whatever ends the program from here on, also while the folder is made
        while (handle := _locked_stage(stage)) == _LOST:
            stage = _stage_path(folder, key)
        until = time.monotonic() + ORPHANS_S
        while alone and any(other != stage for other in remove_leftovers(folder, key)):
            if time.monotonic() > until:
                raise LiftwildError(f"another process is writing {path}; wait for it, or choose another name")
            time.sleep(0.05)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if handle is not None and handle != _LOST:
            _locks.discard(handle)
            os.close(handle)  # and with it the lock


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of the file ``path``, which is made and stays; waits for other processes and threads that hold it.

    Whatever ends a process lets go of it. OSError if it cannot be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    _locks.add(handle)
    try:
        while not lock(handle):
            time.sleep(0.02)
        yield
    finally:
        _locks.discard(handle)
        os.close(handle)


def remove_folder(folder: Path) -> None:
    """Remove ``folder`` with all that is in it, at once: whatever ends the program, none of it is left half there."""
    with writing(folder), staging(folder) as stage:
        os.replace(folder, stage / folder.name)


def remove_leftovers(folder: Path, key: str = "") -> list[Path]:
    """Remove the staging folders that killed processes left in ``folder``; those in use. ``key``: of one name only."""
    used = []
    for stage in folder.glob(f"{_STAGE}{key}*{_STAGE_END}") if fcntl is not None else ():
        handle = -1
        try:
            handle = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            used.append(stage)
        except OSError:  # gone, no folder, or a file system without locks
            pass
        else:
            shutil.rmtree(stage, ignore_errors=True)
        finally:
            if handle >= 0:
                os.close(handle)
    return used


def _stage_path(folder: Path, key: str) -> Path:
    """A name for a staging folder that nobody else has."""
    return folder / f"{_STAGE}{key}-{secrets.token_hex(8)}{_STAGE_END}"


def _locked_stage(stage: Path) -> int | None:
    """Make a staging folder; the handle that locks it, None where there are no locks, ``_LOST`` where another process
    took it for a leftover before it was locked."""
    stage.mkdir(0o700)  # fails on whatever is there, a link too
    if fcntl is None:  # pragma: no cover - Windows
        return None
    try:
        handle = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _LOST
    if lock(handle) and _is_at(handle, stage):
        _locks.add(handle)
        return handle
    os.close(handle)
    return _LOST


def _let_go() -> None:
    """In a forked child: the parent's locks end with the parent."""
    for handle in _locks:
        os.close(handle)
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def flush_to_disk(*paths: Path) -> None:
    """Have the disk hold what was written to files and folders."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
