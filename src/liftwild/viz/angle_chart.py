"""A person's joint angles over time as a PNG, left and right in one panel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liftwild.kinematics.angles import KINDS, SIDED_KINDS, JointAngles
from liftwild.viz.plots import COLOURS, FAINT, chart

# As in all pictures of poses: blue is the person's left, orange the right.
LEFT_COLOUR, RIGHT_COLOUR, MIDDLE_COLOUR = COLOURS[0], COLOURS[5], COLOURS[6]
MIN_SPAN_DEG = 30.0  # of a panel: what hardly moves looks so
FEET = 0.1  # of a panel's height, for the bars of the feet
COLUMNS, WIDTH_IN, ROW_IN = 3, 13.0, 2.0


def write_angle_chart(path: Path, angles: JointAngles, contacts: np.ndarray | None = None) -> None:
    """Draw the angles of one person over time into the PNG ``path``, one panel an angle, gaps where one is not known.

    ``contacts`` (T, 2) bool: shade when the left and the right foot are on the floor. Errors as in ``viz.plots.chart``.
    """
    rows = -(-(len(SIDED_KINDS) + len(KINDS)) // COLUMNS)
    with chart(path, (WIDTH_IN, ROW_IN * rows + 0.4), COLUMNS, rows, sharex=True) as panels:
        for panel, kind in zip(panels, (*SIDED_KINDS, *KINDS), strict=False):
            if kind in SIDED_KINDS:
                for side, colour in (("left", LEFT_COLOUR), ("right", RIGHT_COLOUR)):
                    _draw(panel, angles, f"{side}_{kind.name}", colour, side)
            else:
                _draw(panel, angles, kind.name, MIDDLE_COLOUR, None)
            panel.set_title(f"{kind.name.replace('_', ' ')}, °: + {kind.positive}", fontsize=9)
            panel.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
            low, high = panel.get_ylim()
            widen = max(MIN_SPAN_DEG - (high - low), 0) / 2
            low, high = low - widen, high + widen
            if contacts is not None:
                low -= FEET / (1 - FEET) * (high - low)  # room below the curves
                _shade(panel, angles.times_s, contacts)
            panel.set_ylim(low, high)
        used = len(SIDED_KINDS) + len(KINDS)
        for panel in panels[used:]:
            panel.set_axis_off()
        for panel in panels[used - COLUMNS : used]:  # the last of each column
            panel.set_xlabel("s")
            panel.tick_params(labelbottom=True)
        handles, names = panels[0].get_legend_handles_labels()
        feet = "" if contacts is None else "; bars: feet on the floor"
        panels[0].figure.legend(handles, names, loc="outside upper right", ncols=2)
        panels[0].figure.suptitle(f"person {angles.person_id}{feet}", x=0.01, ha="left", fontsize=11)


def _draw(panel: object, angles: JointAngles, name: str, colour: str, label: str | None) -> None:
    """A line with gaps over frames in which the person was not seen; a dot for a frame alone."""
    steps = np.diff(angles.frames)
    breaks = np.flatnonzero(steps > 1) + 1
    times = np.insert(angles.times_s, breaks, np.nan)
    values = np.insert(angles[name], breaks, np.nan)
    known = np.isfinite(values)
    alone = known & ~np.r_[False, known[:-1]] & ~np.r_[known[1:], False]
    panel.plot(times, values, color=colour, label=label, linewidth=1.4)  # type: ignore[attr-defined]
    panel.plot(times[alone], values[alone], ".", color=colour)  # type: ignore[attr-defined]


def _shade(panel: object, times: np.ndarray, contacts: np.ndarray) -> None:
    """Bars below the curves while a foot is on the floor: left above right."""
    for side, (colour, low) in enumerate(((LEFT_COLOUR, FEET / 2), (RIGHT_COLOUR, 0.0))):
        panel.fill_between(  # type: ignore[attr-defined]
            times, low, low + 0.4 * FEET, where=contacts[:, side], step="mid", color=colour, alpha=0.5, linewidth=0,
            zorder=0, transform=panel.get_xaxis_transform(),  # type: ignore[attr-defined]
        )  # fmt: skip
