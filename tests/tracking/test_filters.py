"""The Butterworth filter: what passes, what does not, and when."""

from __future__ import annotations

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.tracking.filters import Butterworth, OneEuro, butterworth, filter_of, residual_cutoffs

TIMES = np.arange(300) / 60


def wave(hz: float, times: np.ndarray = TIMES) -> np.ndarray:
    return np.sin(2 * np.pi * hz * times)


def test_what_is_slow_passes_and_what_is_fast_does_not() -> None:
    inner = slice(60, 240)
    assert np.abs(butterworth(wave(1.0), TIMES, 6.0) - wave(1.0))[inner].max() < 0.01
    assert np.abs(butterworth(wave(20.0), TIMES, 6.0))[inner].max() < 0.02


def test_at_the_cutoff_half_the_power_is_left_and_nothing_lags() -> None:
    inner = slice(60, 240)
    smooth = butterworth(wave(4.0), TIMES, 4.0)[inner]
    assert np.abs(smooth).max() == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert np.abs(smooth - np.sqrt(0.5) * wave(4.0)[inner]).max() < 0.03


def test_uneven_times_and_gaps() -> None:
    times = np.sort(np.concatenate([TIMES, TIMES[:-1] + 0.004]))
    assert np.abs(butterworth(wave(1.0, times), times, 6.0) - wave(1.0, times))[100:500].max() < 0.02
    holes = wave(1.0)
    holes[[50, 51, 120]] = np.nan
    smooth = butterworth(holes, TIMES, 6.0)
    assert np.array_equal(np.isnan(smooth), np.isnan(holes)) and np.nanmax(np.abs(smooth - wave(1.0))[60:240]) < 0.02


def test_what_is_not_trusted_hardly_counts() -> None:
    values, trust = wave(0.5), np.ones(300)
    values[150:153] += 5.0
    trust[150:153] = 0.01
    assert np.abs(butterworth(values, TIMES, 4.0, trust) - wave(0.5))[145:158].max() < 0.2
    assert np.abs(butterworth(values, TIMES, 4.0) - wave(0.5))[145:158].max() > 1.0


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_short_clips_and_cutoffs_that_frames_cannot_hold(count: int) -> None:
    values = wave(1.0)[:count, None]
    assert butterworth(values, TIMES[:count], 6.0).shape == values.shape
    assert np.array_equal(butterworth(values, TIMES[:count], 40.0), values)


def test_residual_analysis_finds_where_the_noise_begins() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (300, 3))
    both = np.stack([wave(hz)[:, None] + noise for hz in (0.5, 3.0)], axis=1)
    slow, quick = residual_cutoffs(both, TIMES)
    assert 0.9 < slow < 3.0 < quick < 7.0
    smooth = Butterworth()(wave(0.5)[:, None, None] * np.ones(3) + noise[:, None], TIMES, None)
    assert np.abs(smooth[:, 0] - wave(0.5)[:, None])[20:280].mean() < 0.6 * np.abs(noise).mean()


def test_filters_by_name() -> None:
    assert filter_of("one-euro") == OneEuro() and filter_of("butterworth", 5.0) == Butterworth(5.0)
    assert filter_of("butterworth") == Butterworth(None)
    for wrong in (("kalman", None), ("one-euro", 5.0), ("butterworth", 0.0), ("butterworth", float("nan"))):
        with pytest.raises(LiftwildError):
            filter_of(*wrong)


def test_any_memory_order() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 300)).T
    assert not values.flags.c_contiguous
    assert np.array_equal(butterworth(values, TIMES, 4.0), butterworth(np.ascontiguousarray(values), TIMES, 4.0))
    assert not np.array_equal(butterworth(values, TIMES, 4.0), values)
