"""How torch's threads wait for each other, and how many of them there are beside processes that load data.

Imports no torch: how threads wait must be said before torch is loaded, which reads it once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Turns of the waiting loop before a thread sleeps. On two idle cores a person then takes 15 ms, with endless waiting
# 14, with none 35; beside two busy programs 0.1 s, up to seconds, and 0.06 s (docs/log.md).
TURNS = 3000


def wait_kindly() -> None:
    """Have threads that wait for others sleep soon, so that another busy program does not slow this one down.

    Does nothing where ``OMP_WAIT_POLICY`` says how to wait.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", str(TURNS))


def usable_cores() -> int:
    """How many cores this process may run on, 1 or more."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def compute_threads() -> int:
    """How many threads compute a network in this process: torch's number, or where it is not loaded a guess at it."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(said) if said.isdigit() and int(said) > 0 else _whole_cores()


def _whole_cores() -> int:
    """How many cores this process may run on, those that share one counted once; 1 or more."""
    try:
        shared = {
            Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text()
            for number in os.sched_getaffinity(0)
        }
    except (AttributeError, OSError):  # macOS, Windows; a container without /sys
        return usable_cores()
    return max(1, len(shared))


def split_cores(cores: int, workers: int | None, gpu: bool) -> tuple[int, int]:
    """(workers, threads): loader processes and torch threads of a training process that has ``cores``.

    ``workers`` None: chosen here, so that both together are no more than ``cores``. On a ``gpu`` nearly all cores load,
    on a CPU a quarter, at least one; a single core does both in turn. A number is kept, and the threads get the other
    cores, at least one.
    """
    if workers is None:
        share = cores * 7 // 8 if gpu else cores // 4
        workers = max(min(1, cores - 1), share)
    return workers, max(1, cores - workers)
