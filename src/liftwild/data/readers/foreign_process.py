"""A process that reads foreign binary files for this one, with limits of time and memory; its death is one line."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from liftwild.errors import LiftwildError
from liftwild.processes import end_with_parent, limit_memory, without_ctrl_c

MAX_GB = 8  # that it may use
LIMIT_S, LIMIT_S_PER_MB = 120.0, 1.0  # for a file
Found = TypeVar("Found")

_lock = threading.Lock()  # one file at a time: it is known which one ended the process
_reader: _Reader | None = None


def read_apart(function: Callable[..., Found], path: Path, *arguments: Any) -> Found:
    """``function(path, *arguments)``, called in the other process, which stays for the next file.

    LiftwildError, which names ``path``, for whatever goes wrong there, its end and its time among it.
    """
    global _reader
    with _lock:
        if _reader is None or not _reader.is_usable():
            _reader = _Reader()
        try:
            size_mb = os.path.getsize(path) / 1e6
            # The other process stays in the folder that was current when it began.
            return _reader.ask((function, Path(os.path.abspath(path)), *arguments), LIMIT_S + LIMIT_S_PER_MB * size_mb)
        except _ReaderError as error:
            raise LiftwildError(f"{path} cannot be read, perhaps a half download: {error}") from None
        except BaseException:  # Ctrl-C: its answer would be taken for that of the next question
            _reader.end()
            raise


class _ReaderError(Exception):
    """Why a file could not be read."""


class _Reader:
    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there,), daemon=True)
        self.owner = os.getpid()
        with without_ctrl_c():
            self.process.start()
        there.close()
        try:
            self.connection.recv()  # it is there
        except (EOFError, OSError):
            raise LiftwildError(
                "no process could be started to read files of data sets with; a script needs its calls below "
                "if __name__ == '__main__'"
            ) from None

    def is_usable(self) -> bool:
        return self.owner == os.getpid() and self.process.is_alive()

    def ask(self, question: tuple[Any, ...], limit_s: float) -> Any:
        try:
            self.connection.send(question)
            if not self.connection.poll(limit_s):
                self.end()
                raise _ReaderError(f"it was not read within {limit_s:.0f} s")
            done, found = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise _ReaderError(f"it ended the library that reads it ({how})") from None
        if not done:
            raise _ReaderError(found)
        return found

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def _serve(connection: Connection) -> None:
    """Answer questions until nobody asks any more."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C libraries say of broken files
    limit_memory(MAX_GB << 30)
    connection.send(None)
    while True:
        try:
            function, *arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = True, function(*arguments)
        except MemoryError:
            answer = False, f"it needs more than {MAX_GB} GB of memory"
        except KeyError as error:
            answer = False, f"it lacks a field, {error.args[0] if error.args else ''}"
        except Exception as error:  # the libraries raise whatever a broken file leads them to
            answer = False, " ".join(str(error).split()) or type(error).__name__
        connection.send(answer)
