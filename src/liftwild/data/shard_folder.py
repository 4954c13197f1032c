"""A folder of shards: on this machine, or an address that fsspec reads."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liftwild.errors import LiftwildError, reason_of
from liftwild.files import flush_to_disk, make_folder, reading, staging, write_whole, writing
from liftwild.schema import shorter

BUCKETS = ("s3://", "s3a://", "gs://", "gcs://", "az://", "abfs://", "abfss://")
TRIES, WAIT_S = 3, 1.0  # to fetch a shard


def is_address(path: str) -> bool:
    """Whether ``path`` is one that fsspec opens, as s3://bucket/people."""
    return "://" in path


@dataclass(frozen=True)
class ShardFolder:
    """The folder ``path``; methods raise LiftwildError, which names the file, if it cannot be read or written."""

    path: str

    @property
    def local(self) -> Path | None:
        """The folder, if it is one of this machine."""
        if not is_address(self.path):
            return Path(self.path)
        return Path(self.path.removeprefix("file://")) if self.path.startswith("file://") else None

    def place(self, name: str) -> str:
        """Where the file ``name`` lies, for people."""
        return f"{self.path.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if it is not there."""
        try:
            if self.local is not None:
                return (self.local / name).read_bytes()
            with self._remote(name, "read") as (system, path):
                return system.cat_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise LiftwildError(f"{self.place(name)}: cannot be read: {reason_of(error)}") from None

    def sizes(self) -> dict[str, int] | None:
        """The bytes of each file; None where a server does not list what it has."""
        if self.local is not None:
            with reading(self.path), os.scandir(self.local) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        if self.path.startswith(("http://", "https://")):
            return None
        try:
            with self._remote("", "listed") as (system, path):
                system.invalidate_cache()
                found = system.ls(path.rstrip("/"), detail=True)
        except FileNotFoundError:
            return {}
        return {str(entry["name"]).rpartition("/")[2]: int(entry["size"] or 0) for entry in found}

    def fetch(self, name: str, into: Path) -> None:
        """Copy a file to ``into``."""
        try:
            if self.local is not None:
                with reading(self.local / name):
                    shutil.copyfile(self.local / name, into)
                return
            with self._remote(name, "fetched") as (system, path):
                _tried(lambda: system.get_file(path, str(into)))
        except FileNotFoundError:
            raise LiftwildError(f"{self.place(name)}: no such file") from None

    def sha256(self, name: str) -> str | None:
        """SHA-256 of a file's content, read as a stream; None if it is not there."""
        try:
            if self.local is not None:
                with (self.local / name).open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest()
            with self._remote(name, "read") as (system, path):
                if not system.exists(path):
                    return None
                digest = hashlib.sha256()
                with system.open(path, "rb") as file:
                    while piece := file.read(1 << 23):
                        digest.update(piece)
                return digest.hexdigest()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, whole."""
        if self.local is not None:
            make_folder(self.local)
            write_whole(self.local / name, content)
            return
        self._send(name, lambda system, path: system.pipe_file(path, content))

    @contextmanager
    def workplace(self, name: str) -> Iterator[Path]:
        """A folder of this machine to make the file ``name`` in, gone when the block ends."""
        if self.local is None:
            with tempfile.TemporaryDirectory(prefix="liftwild-") as folder:
                yield Path(folder)
            return
        make_folder(self.local)
        with writing(self.local / name), staging(self.local / name) as folder:
            yield folder

    def put(self, source: Path, name: str) -> None:
        """Move the file ``source`` from the workplace to its name; on this machine it appears whole."""
        if self.local is not None:
            flush_to_disk(source)
            os.replace(source, self.local / name)
            flush_to_disk(self.local)
            return
        self._send(name, lambda system, path: system.put_file(str(source), path))

    def _send(self, name: str, send: Callable[[Any, str], object]) -> None:
        try:
            with self._remote(name, "written") as (system, path):
                try:
                    send(system, path)
                except FileNotFoundError:
                    if self.path.startswith(BUCKETS):  # they have no folders, and none is made by a slip of the pen
                        raise
                    system.makedirs(path.rpartition("/")[0], exist_ok=True)
                    send(system, path)
        except FileNotFoundError:
            raise LiftwildError(f"{self.place(name)}: cannot be written: there is no such bucket or folder") from None

    @contextmanager
    def _remote(self, name: str, done: str) -> Iterator[tuple[Any, str]]:
        """The file system and a file's path in it; opened anew each time: few of them survive a fork."""
        try:
            from fsspec.core import url_to_fs
        except ImportError:  # pragma: no cover - torch brings it
            raise LiftwildError(f"{self.path}: addresses need fsspec: pip install 'liftwild[train]'") from None
        try:
            yield url_to_fs(self.place(name))
        except (FileNotFoundError, LiftwildError):
            raise
        except Exception as error:  # each file system has its own
            raise LiftwildError(f"{self.place(name)}: cannot be {done}: {shorter(reason_of(error), 200)}") from None


def _tried(call: Callable[[], object]) -> None:
    """``call``, some times: a run of days ends with no single fault of a network."""
    for left in range(TRIES - 1, -1, -1):
        try:
            call()
            return
        except (FileNotFoundError, PermissionError):
            raise
        except Exception:
            if not left:
                raise
            time.sleep(WAIT_S)
