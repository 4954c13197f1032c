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


def write_stages(
    path: Path, title: str, panels: Mapping[str, Mapping[str, tuple[Mapping[str, float], float]]], waiting: str
) -> None:
    """Bars as PNG. ``panels``: by name, each with its own axis; of each bar the ms of its parts, in order, and when one
    photo or frame is done, a black line. The part ``waiting`` is left white."""
    check_matplotlib()
    names = [part for bars in panels.values() for parts, _ in bars.values() for part in parts]
    colours = dict(zip((part for part in dict.fromkeys(names) if part != waiting), COLOURS, strict=True))
    most = [len(bars) for bars in panels.values()]
    with chart(path, (9, 1.4 + 0.3 * sum(most) + 0.5 * len(most)), rows=len(most), height_ratios=most) as every:
        for axes, (panel, bars) in zip(every, panels.items(), strict=True):
            for at, (parts, done) in enumerate(bars.values()):
                left = 0.0
                for part, wide in parts.items():
                    if part != waiting:
                        axes.barh(at, wide, left=left, height=0.8, color=colours[part])
                    left += wide
                axes.plot([done, done], [at - 0.5, at + 0.5], color="black", linewidth=1.5)
            axes.set_yticks(range(len(bars)), list(bars))
            axes.set_ylim(len(bars) - 0.5, -0.5)
            axes.set(title=panel, xlim=(0, None))
            axes.grid(axis="y", visible=False)
        every[-1].set_xlabel(title)
        shown = [every[0].barh(0, 0, color=colour, label=part) for part, colour in colours.items()]
        every[0].figure.legend(handles=shown, loc="outside lower center", ncols=4)
