"""The time of a run: when a command must end, how much of that rendering may take, and a schedule that fits."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

from liftwild.training.stage import Stage

RENDERING = 0.5  # of a budget, at most: the rest is for training
LIFTED_PX = 12  # side of a picture that would cost what a pose without one costs a lifter
MARGIN = 0.8  # of the time that is left, for the steps of a shortened schedule
# The pace is that of a stage's first 20 steps without the first 2, which start things up; of fewer on a slow machine,
# those of half a minute.
SKIPPED, TIMED, ENOUGH_S = 2, 20, 30.0


def now() -> float:
    """The clock of all budgets, s."""
    return time.monotonic()


@dataclass(frozen=True)
class Budget:
    """Time for a whole command that began at ``begun`` (``now``, s): so many ``minutes``; None: no limit."""

    begun: float
    minutes: float | None = None

    @property
    def until(self) -> float | None:
        """When the command should be over (``now``, s)."""
        return None if self.minutes is None else self.begun + 60 * self.minutes

    @property
    def render_until(self) -> float | None:
        """When rendering should be over (``now``, s)."""
        return None if self.minutes is None else self.begun + RENDERING * 60 * self.minutes


class Timer:
    """The clock of a run that must end at ``until`` (``now``, s; None: no limit).

    ``fit``: its schedule is shortened to end by then. ``measuring_s``: of one measurement, 0 while unknown.
    """

    def __init__(self, until: float | None = None, fit: bool = False) -> None:
        self.until, self.fit, self.measuring_s = until, fit and until is not None, 0.0
        self._paced, self._mark, self._each_s = False, 0.0, 0.0

    def is_over(self) -> bool:
        """Whether to stop now, so that there is time to measure."""
        return self.until is not None and now() >= self.until - self.measuring_s

    def can_measure_twice(self) -> bool:
        """Whether there is time to measure now and at the end."""
        return self.until is None or now() + 2 * self.measuring_s < self.until

    def step(self, done: int, alone: bool) -> float | None:
        """Called after each step, ``done`` of the stage by this process. Returns the seconds a step, once: when known.

        Processes that are not ``alone`` know it after the same step.
        """
        if done == SKIPPED:
            self._mark = now()
        slow = alone and done > SKIPPED and now() - self._mark >= ENOUGH_S
        if self._paced or not (done == TIMED or slow):
            return None
        self._paced = True
        return max(1e-9, (now() - self._mark) / (done - SKIPPED))

    def set_pace(self, step_s: float, people: int, stage: Stage, val_every: int) -> None:
        """Note the pace of ``stage``: ``step_s`` a step, and ``people`` are measured every ``val_every`` steps."""
        if not self.measuring_s:  # nothing measured yet: as if a person took what one takes to train
            self.measuring_s = people * step_s / stage.batch_size
        self._each_s = step_s + (self.measuring_s / val_every if val_every else 0.0)

    def fit_stages(self, stages: tuple[Stage, ...], index: int, done: int, network_px: int) -> tuple[Stage, ...]:
        """``fit_schedule`` for the time that is left, by the pace of ``set_pace``."""
        assert self.until is not None
        free_s = MARGIN * (self.until - now() - self.measuring_s * (len(stages) - index))
        return fit_schedule(stages, index, done, max(0.0, free_s) / self._each_s, network_px)

    def eta_line(
        self, step_s: float, stages: Sequence[Stage], index: int, done: int, network_px: int, last: int | None
    ) -> str:
        """A line about when all of ``stages``, or the ``last`` steps, will be done, by the pace of ``set_pace``."""
        left = steps_left(stages, index, done, network_px)
        left_s = self._each_s * left + self.measuring_s * (len(stages) - index)
        if last is not None and last < left:
            left_s = self._each_s * last
        if self.until is not None:
            left_s = min(left_s, max(0.0, self.until - now()))
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + left_s))
        return f"{step_s:.{2 if step_s < 10 else 0}f} s a step: the end is expected in {duration_text(left_s)}, at {at}"


def steps_left(stages: Sequence[Stage], index: int, done: int, network_px: int) -> float:
    """The work that is left, in steps of stage ``index``, of which ``done`` are done.

    A step of another stage counts by its images and their input size (0: ``network_px``).
    """

    def cost(stage: Stage) -> float:
        if stage.train == "lifter":  # no pictures
            return stage.batch_size * LIFTED_PX**2
        return stage.batch_size * (stage.input_px or network_px) ** 2

    later = sum(stage.iterations * cost(stage) for stage in stages[index + 1 :])
    return stages[index].iterations - done + later / cost(stages[index])


def fit_schedule(stages: Sequence[Stage], index: int, done: int, steps: float, network_px: int) -> tuple[Stage, ...]:
    """``stages`` with the rest of them made shorter, all by the same share, to fit into the time of ``steps`` steps.

    ``index``, ``done``, ``network_px``: as in ``steps_left``, and ``steps`` are those of stage ``index``. A warm-up
    takes no more than a fifth of what is left of its stage. Later stages keep a step at least; none gets longer.
    """
    share = steps / max(1.0, steps_left(stages, index, done, network_px))
    if share >= 1:
        return tuple(stages)
    fitted = list(stages)
    for at in range(index, len(stages)):
        stage, gone = stages[at], done if at == index else 0
        iterations = max(gone, 1, gone + int((stage.iterations - gone) * share))
        warmup = min(stage.warmup, gone + (iterations - gone) // 5)
        fitted[at] = dataclasses.replace(stage, iterations=iterations, warmup=warmup)
    return tuple(fitted)


def duration_text(seconds: float) -> str:
    """A duration as text: "40 s", "12 min", "3 h 05 min"."""
    if seconds < 90:
        return f"{max(0, seconds):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
