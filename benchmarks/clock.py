"""Times of jobs that take turns, so that a slow moment of the machine hits all of them, and tables of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

ROUNDS = 7
SHORT_S = 0.03  # a shorter job is timed several times a round
MAX_REPEATS = 5
LONG_S = 0.5


class Took(float):
    """What a job returns that has timed itself: seconds."""


Job = Callable[[], object]
T = TypeVar("T")


def spread(values: Sequence[float]) -> float:
    """How far apart the middle half of ``values`` lies, as a part of their median; 0 of a single one."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / middle


@dataclass
class Times:
    """Seconds that a job took, every time; ``by_round``: the median of each round."""

    seconds: list[float] = field(default_factory=list)
    by_round: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of all times, seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """The middle half of the times, as a part of the median: the noise."""
        return spread(self.seconds)


def each(job: Callable[[T], object], over: Sequence[T]) -> Job:
    """Mean seconds of ``job`` over these."""

    def run() -> Took:
        start = time.perf_counter()
        for one in over:
            job(one)
        return Took((time.perf_counter() - start) / len(over))

    return run


def timed(job: Job) -> float:
    """Seconds that one run of ``job`` takes."""
    start = time.perf_counter()
    result = job()
    took = time.perf_counter() - start
    return result if isinstance(result, Took) else took


def interleaved(jobs: Mapping[str, Job], rounds: int = ROUNDS) -> dict[str, Times]:
    """Times of each job, run in turn, each once before.

    A short job runs once untimed in its turn, since another has just had the caches, and then up to ``MAX_REPEATS``
    times against the clock; one of more than ``LONG_S`` runs once.
    """
    first = {name: timed(job) for name, job in jobs.items()}
    wall = {}
    for name, job in jobs.items():
        if first[name] < LONG_S:
            start = time.perf_counter()
            job()
            wall[name] = time.perf_counter() - start
    found = {name: Times() for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            if name in wall:
                job()
            repeats = int(SHORT_S / wall[name]) if name in wall else 1
            times = [timed(job) for _ in range(max(1, min(MAX_REPEATS, repeats)))]
            found[name].seconds += times
            found[name].by_round.append(statistics.median(times))
    return found


def noise(found: Mapping[str, Times]) -> str:
    """A sentence on how far the times of a job lie apart."""
    spreads = {name: times.spread for name, times in found.items()}
    worst = max(spreads, key=lambda name: spreads[name])
    usual = statistics.median(spreads.values())
    return (
        f"noise: the middle half of a row's times lies within {100 * usual:.0f} % of its median "
        f"(median of rows; worst {100 * spreads[worst]:.0f} %, {worst})"
    )


def ratio(ours: float, theirs: float | None) -> str:
    """``ours / theirs`` as a cell of a table; - where there is nothing to compare with."""
    return "-" if theirs is None else f"{ours / theirs:.2f}"
