"""A chart of what costs what: points by group, those that no other beats joined by a line, some of them named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from liftwild.viz.plots import COLOURS, FAINT, chart, check_matplotlib, put_legend_below


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of ``points`` (cost, worth) that no other beats: none costs as little or less and is worth more."""
    kept: list[tuple[float, float]] = []
    for cost, worth in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or worth > kept[-1][1]:
            kept.append((cost, worth))
    return kept


def write_costs(
    path: Path,
    title: str,
    cost: str,
    worth: str,
    groups: Mapping[str, Sequence[tuple[float, float]]],
    named: Mapping[str, tuple[float, float]],
    log_worth: bool = False,
) -> None:
    """The chart as PNG: points (cost, worth) of each group, and words at those that are ``named``; costs are on a
    logarithmic axis."""
    check_matplotlib()
    from matplotlib.ticker import LogLocator

    with chart(path, (7, 4.6 + 0.2 * len(groups))) as (axes,):
        axes.plot(
            *zip(*frontier([point for points in groups.values() for point in points]), strict=True),
            color=FAINT, linewidth=1.2, zorder=1, label="not beaten by another",
        )  # fmt: skip
        for (name, points), colour in zip(groups.items(), COLOURS, strict=False):
            axes.plot(*zip(*points, strict=True), "o", color=colour, label=name)
        for words, point in named.items():
            axes.plot(*point, "o", markersize=9, markerfacecolor="none", markeredgecolor="black")
            axes.annotate(words, point, xytext=(7, -11), textcoords="offset points")
        axes.set(title=title, xlabel=cost, ylabel=worth)
        axes.set_xscale("log")
        axes.set_yscale("log" if log_worth else "linear")
        for axis in (axes.xaxis, axes.yaxis) if log_worth else (axes.xaxis,):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        put_legend_below(axes)
