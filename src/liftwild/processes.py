"""Processes that liftwild starts: none outlives the one that started it.

Imports nothing heavy: what runs first in a new process must come before seconds of imports.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

try:
    import resource
except ImportError:  # pragma: no cover - Windows
    resource = None  # type: ignore[assignment]

LOOK_EVERY_S = 0.5


def end_with_parent() -> None:
    """End this process, however busy it is, soon after the one that started it, however that went."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: BaseProcess) -> None:
    # A forked sibling may hold the pipe by which is_alive knows, and Windows keeps the id of a parent that is gone.
    while os.getppid() == parent.pid and parent.is_alive():
        parent.join(LOOK_EVERY_S)
    os._exit(1)


def end_with(parent_id: int) -> None:
    """End this process, however busy it is, soon after the one that started it, ``parent_id``."""

    def watch() -> None:
        while os.getppid() == parent_id:
            time.sleep(LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def limit_memory(most_bytes: int) -> None:
    """Let this process use no more memory than ``most_bytes``, nor leave a picture of it behind when it crashes."""
    if resource is None:  # pragma: no cover - Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]  # may be less already: nobody can raise it
    limit = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def start_worker(call: bytes) -> None:
    """Initializer of a pool's processes: ``call`` is a pickled (function, arguments), to be called then.

    Only then is imported what it needs. Ctrl-C is left to the parent.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    function, arguments = pickle.loads(call)
    function(*arguments)


def allow_open_files(count: int) -> int:
    """Have this process, and those that it starts, be allowed ``count`` open files, if the system lets it; how many it
    is allowed now."""
    if resource is None:  # pragma: no cover - Windows
        return count
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return count
    allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


@contextmanager
def without_ctrl_c() -> Iterator[None]:
    """Processes that are started inside never see Ctrl-C; this one gets it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # pragma: no cover - Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
