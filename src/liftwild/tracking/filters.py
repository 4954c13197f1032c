"""Filters over time that do not lag: One-Euro in both directions, and Butterworth of zero phase."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.tracking.filter_names import FILTERS

GAP_S = 0.5  # over a longer gap nothing is filtered: the person was lost, or the picture cut
ORDER = 2  # of the Butterworth filter, which goes forward and backward
PASSES = (2.0**0.5 - 1) ** 0.25  # two passes of that order lower the cutoff by so much (Winter 2009, section 2.2.4)
CUTOFFS_HZ = (1.0, 12.0)  # among which residual analysis chooses
MIN_TOTAL = 0.05  # of the filtered trust
MIN_VALUES, STEPS = 10, 24  # of a joint to be analysed; cutoffs that are tried
TAIL = 0.5  # of the cutoffs, the highest: what is left of the signal there is noise


@dataclass(frozen=True)
class OneEuro:
    """What the One-Euro filter (Casiez, Roussel and Vogel, CHI 2012) is set to.

    ``min_cutoff_hz``: cutoff of a joint at rest; lower is calmer. ``beta_hz_per_mm_s``: how much the cutoff rises for
    each mm/s of the joint's speed; higher lags less. ``speed_cutoff_hz``: cutoff of the speed itself.
    """

    min_cutoff_hz: float = 1.0
    beta_hz_per_mm_s: float = 0.002
    speed_cutoff_hz: float = 1.0

    def __call__(self, values: np.ndarray, times_s: np.ndarray, trust: np.ndarray | None) -> np.ndarray:
        """``values`` (T, ..., D) mm smoothed without lag; ``trust`` as in ``one_euro``."""
        return both_ways(values, times_s, self, trust)

    def in_words(self) -> str:
        """What is done, for a recording's ``steps``."""
        return (
            f"smoothed with a One-Euro filter, forward and backward, averaged: cutoff {self.min_cutoff_hz:g} Hz plus "
            f"{self.beta_hz_per_mm_s:g} Hz for each mm/s, speed at {self.speed_cutoff_hz:g} Hz"
        )


@dataclass(frozen=True)
class Butterworth:
    """A Butterworth filter of zero phase; ``cutoff_hz`` None: by residual analysis, joint by joint."""

    cutoff_hz: float | None = None

    def __post_init__(self) -> None:
        if self.cutoff_hz is not None:
            check_cutoff(self.cutoff_hz)

    def __call__(self, values: np.ndarray, times_s: np.ndarray, trust: np.ndarray | None) -> np.ndarray:
        """``values`` (T, ..., D) mm smoothed without lag; ``trust`` (T, ...) in (0, 1]."""
        out = np.array(values, dtype=np.float64).reshape(len(values), -1, values.shape[-1])
        sure = None if trust is None else np.asarray(trust, np.float64).reshape(len(values), -1)
        if self.cutoff_hz is None:
            cutoffs = residual_cutoffs(out, times_s)
        else:
            cutoffs = np.full(out.shape[1], self.cutoff_hz)
        for joint, cutoff in enumerate(cutoffs.tolist()):
            own = out[:, joint]
            out[:, joint] = butterworth(own, times_s, cutoff, None if sure is None else sure[:, joint])
        return out.reshape(values.shape)

    def in_words(self) -> str:
        """What is done, for a recording's ``steps``."""
        cutoff = "cutoffs by residual analysis" if self.cutoff_hz is None else f"cutoff {self.cutoff_hz:g} Hz"
        return f"smoothed with a Butterworth filter, second order, forward and backward: {cutoff}"


Filter = OneEuro | Butterworth


def filter_of(name: str, cutoff_hz: float | None = None) -> Filter:
    """The filter of that ``name``, of ``FILTERS``; ``cutoff_hz``: of Butterworth, None by residual analysis.

    LiftwildError on another name, and on a cutoff that is none or is for One-Euro.
    """
    if name not in FILTERS:
        raise LiftwildError(f"unknown filter {name!r}; known are {', '.join(FILTERS)}")
    if name == "butterworth":
        return Butterworth(cutoff_hz)
    if cutoff_hz is not None:
        raise LiftwildError("a cutoff is for the Butterworth filter; One-Euro has its own")
    return OneEuro()


def both_ways(
    values: np.ndarray, times_s: np.ndarray, settings: OneEuro, trust: np.ndarray | None = None
) -> np.ndarray:
    """The mean of ``one_euro`` over ``values`` (T, ..., D) and over them backward: neither lags behind the other."""
    back = None if trust is None else trust[::-1]
    forward = one_euro(values, times_s, settings, trust)
    backward = one_euro(values[::-1], -np.asarray(times_s)[::-1], settings, back)[::-1]
    return (forward + backward) / 2


def one_euro(values: np.ndarray, times_s: np.ndarray, settings: OneEuro, trust: np.ndarray | None = None) -> np.ndarray:
    """``values`` (T, ..., D) in mm, taken at rising ``times_s`` (T,), through the One-Euro filter: the same shape.

    Each step is one of ``OneEuroState``; ``trust`` (T, ...) as there. A point that is NaN stays so; the next one goes
    on from the last before it.
    """
    out = np.array(values, dtype=np.float64)
    state = OneEuroState(settings)
    for i in range(len(out)):
        out[i] = state.step(out[i], float(times_s[i]), None if trust is None else np.asarray(trust[i], np.float64))
    return out


class OneEuroState:
    """The One-Euro filter, value by value.

    The cutoff follows the speed of a point as a whole, so that the result turns with the axes. Each step knows its
    own length, so the frame rate may vary.
    """

    def __init__(self, settings: OneEuro) -> None:
        self.settings = settings
        self._state: np.ndarray | None = None
        self._speed = self._last_s = np.empty(0)  # ``_last_s``: when each point was last seen

    def step(
        self, value: np.ndarray, time_s: float, trust: np.ndarray | None = None, unit_mm: float = 1.0
    ) -> np.ndarray:
        """The points ``value`` (..., D) of ``time_s`` filtered by those before; NaN where they are.

        ``trust`` (...) in (0, 1] shortens the way to a value that far; None is 1, the filter as published. ``unit_mm``:
        how many mm the unit of ``value`` is.
        """
        value = np.array(value, dtype=np.float64)
        if self._state is None:
            self._state, self._speed = value, np.zeros_like(value)
            self._last_s = np.where(np.isnan(value).any(-1, keepdims=True), np.nan, time_s)
            return value.copy()
        part = 1.0 if trust is None else trust[..., None]
        new = np.isnan(self._state).any(-1, keepdims=True)
        seen = ~np.isnan(value).any(-1, keepdims=True)
        step = np.maximum(time_s - np.where(np.isnan(self._last_s), time_s, self._last_s), 1e-6)
        measured = np.where(seen & ~new, value - self._state, 0.0) / step
        smoothed = _follow(self._speed, measured, _share(self.settings.speed_cutoff_hz, step) * part)
        rise = self.settings.beta_hz_per_mm_s * unit_mm * np.linalg.norm(smoothed, axis=-1, keepdims=True)
        moved = _follow(self._state, value, _share(self.settings.min_cutoff_hz + rise, step) * part)
        self._speed = np.where(seen & ~new, smoothed, self._speed)
        self._state = np.where(seen, np.where(new, value, moved), self._state)
        self._last_s = np.where(seen, time_s, self._last_s)
        return np.where(seen, self._state, np.nan)


def _share(cutoff_hz: np.ndarray | float, step_s: np.ndarray) -> np.ndarray:
    """How much of the way to a new value a low-pass filter goes in one step."""
    return 1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff_hz) * step_s))


def _follow(state: np.ndarray, value: np.ndarray, share: np.ndarray) -> np.ndarray:
    return state + share * (value - state)


def spans(times_s: np.ndarray) -> list[slice]:
    """Stretches of ``times_s`` (T,) without a gap of more than ``GAP_S``."""
    cuts = [0, *(np.flatnonzero(np.diff(times_s) > GAP_S) + 1), len(times_s)]
    return [slice(int(start), int(stop)) for start, stop in pairwise(cuts) if stop > start]


def butterworth(
    values: np.ndarray, times_s: np.ndarray, cutoff_hz: float, trust: np.ndarray | None = None
) -> np.ndarray:
    """``values`` (T, ...) taken at rising ``times_s`` (T,), without what is faster than ``cutoff_hz``: the same shape.

    Second order, forward and backward, so nothing lags; the cutoff is that of both passes together. ``trust`` (T,) in
    (0, 1]: how much each value counts, by filtering values times trust, and trust. Uneven times are made even by
    interpolation. Values that are NaN are bridged and stay NaN. Too few values, or a cutoff that the frame
    rate cannot hold, leave them as they are.
    """
    from scipy.signal import butter, sosfiltfilt

    out = np.array(values, dtype=np.float64, order="C")  # so that ``flat`` is a view
    count = len(out)
    if count < 2 or times_s[-1] <= times_s[0]:
        return out
    times = np.asarray(times_s, dtype=np.float64)
    rate = (count - 1) / (times[-1] - times[0])
    share = cutoff_hz / PASSES / (rate / 2)
    if not share < 1:
        return out
    even = np.linspace(times[0], times[-1], count)
    flat = out.reshape(count, -1)
    sections = butter(ORDER, share, output="sos")
    pad = min(count - 1, int(3 * rate / cutoff_hz))
    total = None
    if trust is not None:
        weight = np.interp(even, times, trust)[:, None]
        total = np.maximum(sosfiltfilt(sections, weight, axis=0, padlen=pad), MIN_TOTAL)

    def smoothed(signals: np.ndarray) -> np.ndarray:
        if total is None:
            return np.asarray(sosfiltfilt(sections, signals, axis=0, padlen=pad))
        middle = signals.mean(axis=0)  # where the sum of the weights rings, little is added
        return np.asarray(middle + sosfiltfilt(sections, weight * (signals - middle), axis=0, padlen=pad) / total)

    if np.isfinite(flat).all() and np.allclose(times, even, rtol=0, atol=0.01 / rate):  # all at once: the usual case
        flat[:] = smoothed(flat)
        return out
    for column in flat.T:
        known = np.isfinite(column)
        if known.sum() > 1:
            smooth = smoothed(np.interp(even, times[known], column[known])[:, None])[:, 0]
            column[known] = np.interp(times, even, smooth)[known]
    return out


def residual_cutoffs(values: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """The cutoffs (J,), Hz, at which ``butterworth`` takes away as much of ``values`` (T, J, D) as they have noise.

    Residual analysis (Winter 2009, section 2.2.4.2): the residual over the cutoff is a line where only noise is left;
    the line's height at 0 Hz is the noise, and the cutoff is where the residual is as large. At most a quarter of the
    frame rate; the highest of ``CUTOFFS_HZ`` for a joint with fewer than ten values.
    """
    own, times = np.asarray(values, np.float64), np.asarray(times_s, dtype=np.float64)
    found = np.full(own.shape[1], CUTOFFS_HZ[1])
    enough = np.isfinite(own).all(axis=2).sum(axis=0) >= MIN_VALUES
    if not enough.any():
        return found
    highest = min(CUTOFFS_HZ[1], (len(times) - 1) / (times[-1] - times[0]) / 4)
    cutoffs = np.linspace(CUTOFFS_HZ[0], max(highest, CUTOFFS_HZ[0] + 1e-3), STEPS)
    own = own[:, enough]
    residual = np.array([np.sqrt(np.nanmean((butterworth(own, times, hz) - own) ** 2, axis=(0, 2))) for hz in cutoffs])
    tail = cutoffs >= np.quantile(cutoffs, 1 - TAIL)
    noise = np.polyfit(cutoffs[tail], residual[tail], 1)[1]
    found[enough] = [np.interp(-least, -falls, cutoffs) for least, falls in zip(noise, residual.T, strict=True)]
    return found


def check_cutoff(cutoff_hz: float) -> float:
    """``cutoff_hz``; LiftwildError unless it is a number above 0."""
    if not (np.isfinite(cutoff_hz) and cutoff_hz > 0):
        raise LiftwildError(f"the cutoff of a filter is above 0 Hz, not {cutoff_hz:g}")
    return cutoff_hz
