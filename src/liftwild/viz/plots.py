"""Charts of measurements as PNG, drawn by matplotlib, which ``liftwild[figures]`` brings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import write_whole
from liftwild.media.encoding import marked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito 2008, in an order in which neighbours differ in lightness too.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#3c3c3c", "#aa9614")
FAINT = "#7d828a"
# Over matplotlib's own defaults, so that nobody's settings change a chart. DejaVu Sans comes with matplotlib.
SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 11, "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": FAINT, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": "#d0d4da", "grid.linewidth": 0.6, "lines.linewidth": 1.8,
    "lines.markersize": 4, "legend.frameon": False, "xtick.color": FAINT, "ytick.color": FAINT,
    "xtick.labelcolor": "black", "ytick.labelcolor": "black",
    "text.parse_math": False,
}  # fmt: skip
DPI = 130


class MissingMatplotlibError(LiftwildError):
    """A chart is wanted and matplotlib is not installed."""


def check_matplotlib() -> None:
    """MissingMatplotlibError, one line that names the extra, if no chart can be drawn here."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise MissingMatplotlibError("charts need matplotlib: pip install 'liftwild[figures]'") from None


@contextmanager
def chart(
    path: Path, inches: tuple[float, float], columns: int = 1, rows: int = 1, **grid: Any
) -> Iterator[list[Axes]]:
    """Axes to draw on, row by row; in the end the chart is written to ``path``, whole or not at all.

    ``inches``: width and height; ``grid``: as for ``matplotlib.figure.Figure.subplots``. MissingMatplotlibError without
    matplotlib; LiftwildError if ``path`` cannot be written.
    """
    check_matplotlib()
    from matplotlib import style
    from matplotlib.figure import Figure

    content = BytesIO()
    with style.context(["default", SETTINGS]):
        figure = Figure(figsize=inches, layout="constrained")  # no pyplot: no windows, nothing global
        yield list(figure.subplots(rows, columns, squeeze=False, **grid).flat)
        figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    write_whole(path, marked(content.getvalue()))


def put_legend_below(axes: Axes) -> None:
    """The legend, one name a line, under the axes of a chart."""
    handles, names = axes.get_legend_handles_labels()
    axes.figure.legend(handles, names, loc="outside lower left")


def write_pck_curves(path: Path, title: str, thresholds_mm: Sequence[float], curves: Mapping[str, np.ndarray]) -> None:
    """A chart of PCK in percent (T,) of each name over ``thresholds_mm`` (T,). Errors as in ``chart``."""
    with chart(path, (7, 4.2 + 0.2 * len(curves))) as (axes,):
        for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
            label = f"{name}   {curve[-1]:.1f} % at {thresholds_mm[-1]:g} mm"
            axes.plot(thresholds_mm, curve, color=colour, marker="o", markevery=5, label=label, clip_on=False)
        axes.set(title=title, xlabel="joints less than so many mm off", ylabel="%", ylim=(0, 100))
        axes.set(xlim=(0, max(thresholds_mm)), xticks=np.linspace(0, max(thresholds_mm), 6))
        put_legend_below(axes)


def write_joint_errors(path: Path, title: str, joints: Sequence[str], errors: Mapping[str, np.ndarray]) -> None:
    """A chart of the mean error in mm (J,) of each name, one line a joint; NaN: not measured.

    Errors as in ``chart``.
    """
    shown = [joint for joint in range(len(joints)) if any(np.isfinite(own[joint]) for own in errors.values())]
    with chart(path, (7, 1.2 + 0.3 * len(shown) + 0.2 * len(errors))) as (axes,):
        for number, ((name, own), colour) in enumerate(zip(errors.items(), COLOURS, strict=False)):
            mean = f"   mean of these {np.nanmean(own):.1f} mm" if np.isfinite(own).any() else ""
            # Side by side within a joint's line, so that none hides another.
            places = np.arange(len(shown)) + 0.1 * (number - (len(errors) - 1) / 2)
            axes.plot(own[shown], places, "o", color=colour, label=name + mean)
        axes.set(title=title, xlabel="mean error, mm")
        axes.set_yticks(range(len(shown)), [joints[joint].replace("_", " ") for joint in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(left=0)
        put_legend_below(axes)


def write_reliability(path: Path, title: str, tables: Mapping[str, Sequence[tuple[float, float, int]]]) -> None:
    """A chart of found over stated chances, and of how many joints state them.

    ``tables``: by name, bins of equal width as (stated, found, joints), chances in [0, 1]. Errors as in ``chart``.
    """
    with chart(path, (5, 6.4), rows=2, sharex=True, height_ratios=(4, 1)) as (curve, bars):
        curve.plot([0, 100], [0, 100], color=FAINT, linewidth=1)
        for number, ((name, table), colour) in enumerate(zip(tables.items(), COLOURS, strict=False)):
            stated, found, joints = (np.array(column, dtype=np.float64) for column in zip(*table, strict=True))
            curve.plot(100 * stated[joints > 0], 100 * found[joints > 0], "o-", color=colour, label=name)
            width = 100 / len(table)
            share = 0.8 / len(tables)
            middle = (np.arange(len(table)) + 0.1 + share * (number + 0.5)) * width
            bars.bar(middle, joints, share * width, color=colour)
        curve.set(title=title, ylabel="right, %", xlim=(0, 100), ylim=(0, 100))
        bars.set(xlabel="confidence, %", ylabel="joints")
        put_legend_below(curve)
