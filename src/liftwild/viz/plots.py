"""Figures of measurements: PCK over the threshold, and the error by joint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import cv2
import numpy as np

from liftwild.evaluation.page import shrunk
from liftwild.viz.draw import FAINT, FINE, GRID, INK, PAPER, Colour, disc, line, text

# Okabe and Ito 2008, in an order in which neighbours differ in lightness too.
COLOURS: tuple[Colour, ...] = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (60, 60, 60),
    (170, 150, 20),
)  # fmt: skip
WIDTH_PX, PLOT_PX, LEGEND_PX, LINE_PX = 860, 420, 24, 26
DOT_PX = 7  # between the dots of one joint, so that none hides another
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 70, 24, 50, 58


def draw_pck_curves(title: str, thresholds_mm: Sequence[float], curves: Mapping[str, np.ndarray]) -> np.ndarray:
    """PCK in percent (T,) of each name over ``thresholds_mm`` (T,): (H, W, 3) uint8 RGB."""
    height = TOP_PX + PLOT_PX + BOTTOM_PX + LEGEND_PX * len(curves) + 8
    canvas = np.full((height * FINE, WIDTH_PX * FINE, 3), PAPER, np.uint8)
    text(canvas, title, (LEFT_PX * FINE, 30 * FINE), 0.65, INK)
    most = max(thresholds_mm)

    def place(x: float, y: float) -> np.ndarray:
        across = LEFT_PX + (WIDTH_PX - LEFT_PX - RIGHT_PX) * x / most
        return np.array([across, TOP_PX + PLOT_PX * (1 - y / 100)]) * FINE

    for y in range(0, 101, 20):
        line(canvas, place(0, y), place(most, y), GRID, FINE)
        _right(canvas, str(y), place(0, y) + np.array([-10, 5]) * FINE)
    for x in np.linspace(0, most, 6):
        line(canvas, place(x, 0), place(x, 100), GRID, FINE)
        text(canvas, f"{x:.0f}", tuple(place(x, 0) + np.array([0, 16]) * FINE), 0.45, FAINT, centred=True)
    text(canvas, "%", tuple(place(0, 100) + np.array([-26, -16]) * FINE), 0.45, FAINT)
    text(canvas, "joints less than so many mm off", tuple(place(most / 2, 0) + np.array([0, 38]) * FINE), 0.48, FAINT,
         centred=True)  # fmt: skip
    for curve, colour in zip(curves.values(), COLOURS, strict=False):
        points = [place(x, y) for x, y in zip(thresholds_mm, curve, strict=True) if np.isfinite(y)]
        for start, end in pairwise(points):
            line(canvas, start, end, colour, 2.4 * FINE)
        for point in points[::5]:
            disc(canvas, point, 3.4 * FINE, colour)
    words = [f"{name}   {curve[-1]:.1f} % at {most:.0f} mm" for name, curve in curves.items()]
    _legend(canvas, TOP_PX + PLOT_PX + BOTTOM_PX, words)
    return shrunk(canvas)


def draw_joint_errors(title: str, joints: Sequence[str], errors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mean error in mm (J,) of each name for ``joints``, one line a joint: (H, W, 3) uint8 RGB. NaN: not measured."""
    values = np.array(list(errors.values()))
    counted = [j for j in range(len(joints)) if np.isfinite(values[:, j]).any()]
    most = _round_up(float(np.nanmax(values)) if counted else 100.0)
    left, high = 130, max(LINE_PX, DOT_PX * len(errors) + 8)
    height = TOP_PX + high * len(counted) + BOTTOM_PX + LEGEND_PX * len(errors) + 8
    canvas = np.full((height * FINE, WIDTH_PX * FINE, 3), PAPER, np.uint8)
    text(canvas, title, (24 * FINE, 30 * FINE), 0.65, INK)
    bottom = TOP_PX + high * len(counted)

    def place(mm: float, y: float) -> np.ndarray:
        return np.array([left + (WIDTH_PX - left - RIGHT_PX) * mm / most, y]) * FINE

    for mm in np.linspace(0, most, 6):
        line(canvas, place(mm, TOP_PX), place(mm, bottom), GRID, FINE)
        text(canvas, f"{mm:.0f}", tuple(place(mm, bottom + 16)), 0.45, FAINT, centred=True)
    text(canvas, "mean error, mm", tuple(place(most / 2, bottom + 38)), 0.48, FAINT, centred=True)
    for number, joint in enumerate(counted):
        y = TOP_PX + high * (number + 0.5)
        line(canvas, place(0, y + high / 2), place(most, y + high / 2), GRID, FINE)
        _right(canvas, joints[joint].replace("_", " "), place(0, y + 5) - np.array([10 * FINE, 0]))
        for place_in_row, (own, colour) in enumerate(zip(values[:, joint], COLOURS, strict=False)):
            if np.isfinite(own):
                disc(canvas, place(own, y + DOT_PX * (place_in_row - (len(errors) - 1) / 2)), 3.6 * FINE, colour)
    means = {
        name: f"{name}   mean of these {np.nanmean(own):.1f} mm"
        for name, own in errors.items()
        if np.isfinite(own).any()
    }
    _legend(canvas, bottom + BOTTOM_PX, [means.get(name, name) for name in errors])
    return shrunk(canvas)


def _legend(canvas: np.ndarray, top: float, names: Sequence[str]) -> None:
    for number, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        y = (top + LEGEND_PX * (number + 0.5)) * FINE
        line(canvas, np.array([30 * FINE, y]), np.array([56 * FINE, y]), colour, 4 * FINE)
        text(canvas, name, (68 * FINE, y + 5 * FINE), 0.48, INK)


def _right(canvas: np.ndarray, words: str, at: np.ndarray) -> None:
    """Text that ends at ``at``."""
    (width, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * FINE, FINE)
    text(canvas, words, (float(at[0]) - width, float(at[1])), 0.45, FAINT)


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10 ** np.floor(np.log10(max(value, 1.0)))
    return float(next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value))
