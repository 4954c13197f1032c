"""What the pipeline's stages take in each of its threads: clocks around named functions, put there from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from unittest import mock

MAIN, OTHERS = "main", "others"  # the reader; the writer of photos; what follows the background of videos
REST, WAIT = "the rest", "wait"


@dataclass
class Spent:
    """Seconds that went by, and seconds of computing by that thread alone; ``calls`` of the stage."""

    calls: int = 0
    wall: float = 0.0
    cpu: float = 0.0


@dataclass
class _Clock:
    """Of one thread: the stages that it is in, and when the time was last taken."""

    thread: str
    stages: list[str] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0
    total: float = 0.0


class Watch:
    """``spent``: by thread (``MAIN`` or ``OTHERS``) and stage, without the stages within; ``wall``, ``cpu``: of all of
    ``running``, cpu of the whole process; ``of_thread``: seconds of computing of each thread."""

    def __init__(self) -> None:
        self.spent: dict[tuple[str, str], Spent] = {}
        self.of_thread: dict[str, float] = {}
        self.wall = self.cpu = 0.0
        self._local = threading.local()
        self._others: list[_Clock] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """What is watched, in the main thread: what is in no stage is ``REST``."""
        wall, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
        with self.stage(REST):
            yield
        self.wall, self.cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.of_thread[MAIN] = time.thread_time() - own

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage of the thread that runs this; the one about it stands still meanwhile."""
        clock = self._take_time()
        clock.stages.append(name)
        self.spent.setdefault((clock.thread, name), Spent()).calls += 1
        try:
            yield
        finally:
            self._take_time().stages.pop()
            if clock.thread == OTHERS:  # it ends before anybody could ask it
                clock.total = time.thread_time()
                self.of_thread[OTHERS] = sum(each.total for each in self._others)

    def now_in(self) -> str:
        """The stage that the thread is in, or ""."""
        stages = self._clock().stages
        return stages[-1] if stages else ""

    def _clock(self) -> _Clock:
        if not hasattr(self._local, "clock"):
            is_main = threading.current_thread() is threading.main_thread()
            self._local.clock = _Clock(MAIN if is_main else OTHERS)
            if not is_main:
                self._others.append(self._local.clock)
        found: _Clock = self._local.clock
        return found

    def _take_time(self) -> _Clock:
        """The thread's clock, after the time since the last look has been put down to its stage."""
        clock, wall, cpu = self._clock(), time.perf_counter(), time.thread_time()
        if clock.stages:
            spent = self.spent[clock.thread, clock.stages[-1]]
            spent.wall += wall - clock.wall
            spent.cpu += cpu - clock.cpu
        clock.wall, clock.cpu = wall, cpu
        return clock


@dataclass(frozen=True)
class Spot:
    """Where a clock is put: ``owner.attribute``, a function, or with ``gives_many`` one that gives a generator.
    ``within``: (stage about it, stage) where it counts as another one."""

    stage: str
    owner: Any
    attribute: str
    gives_many: bool = False
    within: tuple[str, str] = ("", "")


def clocks(watch: Watch, spots: list[Spot]) -> ExitStack:
    """A context in which each of ``spots`` is watched. AttributeError if one is not there any more."""
    with ExitStack() as stack:
        for spot in spots:
            original = getattr(spot.owner, spot.attribute)
            make = _many if spot.gives_many else _one
            stack.enter_context(mock.patch.object(spot.owner, spot.attribute, make(watch, spot, original)))
        return stack.pop_all()


def _one(watch: Watch, spot: Spot, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def watched(*arguments: Any, **named: Any) -> Any:
        about, stage = spot.within
        with watch.stage(stage if stage and watch.now_in() == about else spot.stage):
            return original(*arguments, **named)

    return watched


def _many(watch: Watch, spot: Spot, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def watched(*arguments: Any, **named: Any) -> Iterator[Any]:
        items = original(*arguments, **named)
        try:
            while True:
                with watch.stage(spot.stage):
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item
        finally:
            items.close()

    return watched
