"""A plot of points on a logarithmic axis, with its frontier and some of them named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from liftwild.evaluation.page import shrunk
from liftwild.viz.draw import FAINT, FINE, GRID, INK, PAPER, disc, line, text
from liftwild.viz.plots import COLOURS

WIDTH_PX, HEIGHT_PX, LEGEND_PX = 860, 520, 24
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 70, 40, 76, 70


class Axis(NamedTuple):
    """An axis from ``low`` to ``high``, with ``ticks`` on it; logarithmic if ``log``."""

    words: str
    low: float
    high: float
    ticks: Sequence[float]
    log: bool

    def share(self, value: float) -> float:
        """Where ``value`` lies, from 0 to 1."""
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return (at - low) / (high - low)


def log_axis(words: str, values: Sequence[float]) -> Axis:
    """A logarithmic axis about ``values``, all above 0, with ticks at 1, 2 and 5."""
    low, high = min(values) / 1.2, max(values) * 1.2
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5) if low <= step * 10.0**power <= high]
    return Axis(words, low, high, ticks, True)


def plain_axis(words: str, values: Sequence[float]) -> Axis:
    """A linear axis about ``values``, with about five ticks."""
    span = max(max(values) - min(values), 1e-6)
    power = 10 ** math.floor(math.log10(span))
    step = next(power * s for s in (0.2, 0.5, 1, 2, 5) if span / (power * s) <= 6)
    low, high = math.floor(min(values) / step) * step, math.ceil(max(values) / step + 1e-9) * step
    return Axis(words, low, high, list(np.arange(low, high + step / 2, step)), False)


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of ``points`` (cost, worth) that no other beats: none costs as little or less and is worth more."""
    kept: list[tuple[float, float]] = []
    for cost, worth in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or worth > kept[-1][1]:
            kept.append((cost, worth))
    return kept


def draw(
    title: str,
    across: Axis,
    up: Axis,
    groups: Mapping[str, Sequence[tuple[float, float]]],
    named: Mapping[str, tuple[float, float]],
) -> np.ndarray:
    """Points (x, y) by group, the frontier of all as a line, and rings with words at those that are ``named``.

    Returns (H, W, 3) uint8 RGB.
    """
    height = HEIGHT_PX + LEGEND_PX * (len(groups) + 1) + 10
    canvas = np.full((height * FINE, WIDTH_PX * FINE, 3), PAPER, np.uint8)
    right, bottom = WIDTH_PX - RIGHT_PX, HEIGHT_PX - BOTTOM_PX

    def place(x: float, y: float) -> np.ndarray:
        at = LEFT_PX + (right - LEFT_PX) * across.share(x), bottom - (bottom - TOP_PX) * up.share(y)
        return np.array(at) * FINE

    text(canvas, title, (24 * FINE, 28 * FINE), 0.6, INK)
    text(canvas, up.words, (24 * FINE, 50 * FINE), 0.45, FAINT)
    text(canvas, across.words, ((LEFT_PX + right) / 2 * FINE, (bottom + 42) * FINE), 0.45, FAINT, centred=True)
    for x in across.ticks:
        line(canvas, place(x, up.low), place(x, up.high), GRID, FINE)
        text(canvas, f"{x:g}", tuple(place(x, up.low) + np.array([0, 16]) * FINE), 0.42, FAINT, centred=True)
    for y in up.ticks:
        line(canvas, place(across.low, y), place(across.high, y), GRID, FINE)
        text(canvas, f"{y:.4g}", tuple(place(across.low, y) + np.array([-46, 5]) * FINE), 0.42, FAINT)
    for start, end in pairwise(frontier([point for points in groups.values() for point in points])):
        line(canvas, place(*start), place(*end), FAINT, 1.6 * FINE)
    for words, point in named.items():
        at = place(*point)
        disc(canvas, at, 8 * FINE, INK)
        disc(canvas, at, 6 * FINE, PAPER)
        (width, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * FINE, FINE)
        left = min(at[0] + 12 * FINE, (WIDTH_PX - 10) * FINE - width)
        text(canvas, words, (left, at[1] + 18 * FINE), 0.5, INK)
    for points, colour in zip(groups.values(), COLOURS, strict=False):
        for point in points:
            disc(canvas, place(*point), 4.2 * FINE, colour)
    for number, (words, colour) in enumerate([*zip(groups, COLOURS, strict=False), ("not beaten by another", FAINT)]):
        y = HEIGHT_PX + LEGEND_PX * (number + 0.5)
        if number < len(groups):
            disc(canvas, np.array([44, y]) * FINE, 4.2 * FINE, colour)
        else:
            line(canvas, np.array([32, y]) * FINE, np.array([56, y]) * FINE, colour, 1.6 * FINE)
        text(canvas, words, (68 * FINE, (y + 5) * FINE), 0.45, INK)
    return shrunk(canvas)
