"""The report on a recording: one HTML file with the viewer, angles over time, ranges of motion, figures and doubts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.files import write_whole
from liftwild.kinematics.angles import KINDS, SIDED_KINDS, SIDES, AngleKind, JointAngles
from liftwild.kinematics.cycles import Gait, MotionRange, gait, motion_ranges, side_symmetry
from liftwild.kinematics.upright import on_floor
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MPII_16
from liftwild.viz.report_notes import assumptions, recording_warnings, track_warnings
from liftwild.viz.viewer_html import Article, lasting_people, packed, viewer_page

DEGREE = 0.1  # smallest step of the curves
SCRIPTS, STYLES = ("curves.js", "report.js"), ("report.css",)
MIN_STRIDES = 2
NOT_CLINICAL = (
    "Nothing here is fit for clinical use. docs/angles.md of liftwild says what each angle is, and how many degrees it "
    "may be off."
)


def write_recording_report(
    path: str | Path,
    recording: Recording,
    frames: Iterable[tuple[int, np.ndarray]] | None = None,
    min_confidence: float = 0.5,
) -> None:
    """Write ``report_page`` as a file, whole or not at all; LiftwildError if it cannot be written."""
    write_whole(path, report_page(recording, frames, min_confidence).encode("utf-8"))


def report_page(
    recording: Recording,
    frames: Iterable[tuple[int, np.ndarray]] | None = None,
    min_confidence: float = 0.5,
    linked: str = "",
) -> str:
    """A report on ``recording`` as one self-contained HTML page.

    ``frames``, ``linked``: as for ``viewer_page``. ``min_confidence``: as for ``Recording.angles``; LiftwildError
    out of [0, 1].
    The viewer shows the people on their floor where the feet show which way is down. Who is there for under half a
    second is not reported on.
    """
    floored = on_floor(recording)
    angles = floored.angles(min_confidence)
    people = lasting_people(recording)
    warnings = recording_warnings(recording, floored)
    shown = recording if any(warning.about_floor for warning in warnings) else floored
    parts = [_person(floored, place, angles[place]) for place in people]
    html = "\n".join(
        [
            '<article id="report">',
            f"<p>{escape(NOT_CLINICAL)}</p>",
            _warning_list([warning.text for warning in warnings]) or "<p>No warning about the whole recording.</p>",
            *parts,
            "<section><h2>What was assumed and done</h2>",
            _facts(assumptions(recording, floored, min_confidence)),
            "</section></article>",
        ]
    )
    curves = {
        "panels": [_panel(kind) for kind in (*SIDED_KINDS, *KINDS)],
        "people": [{"index": place, "degrees": _degrees(angles[place])} for place in people],
    }
    return viewer_page(shown, frames, Article(html, curves, SCRIPTS, STYLES), linked)


def _panel(kind: AngleKind) -> dict[str, Any]:
    """One chart: its words and its curves, the angles' names by side."""
    sides = {side: f"{side}_{kind.name}" for side in SIDES} if kind in SIDED_KINDS else {"middle": kind.name}
    return {"title": _words(kind.name), "positive": kind.positive, "curves": sides}


def _degrees(angles: JointAngles) -> dict[str, Any]:
    """Each angle over time, packed."""
    return {name: packed(angles[name], DEGREE) for name in angles.names}


def _person(recording: Recording, place: int, angles: JointAngles) -> str:
    """The section about one person; report.js fills in what is drawn."""
    track = recording.tracks[place]
    seconds = float(angles.times_s[-1] - angles.times_s[0]) if len(angles) else 0.0
    frames = f"{len(track)} frames, {seconds:.2f} s" if recording.is_clip else "a photo"
    drawn = '<h3>Figures</h3><div class="strip"></div>'
    if len(track) > 1:
        drawn += '<h3>Angles over time, degrees</h3><p class="curves-note"></p><div class="curves"></div>'
    return "\n".join(
        [
            f'<section class="person" data-index="{place}"><h2>Person {track.person_id}</h2><p>{frames}</p>',
            _warning_list(track_warnings(recording, track, motion_ranges(angles))) or "<p>No warning.</p>",
            _range_table(angles),
            _gait_table(recording, track),
            drawn,
            "</section>",
        ]
    )


def _range_table(angles: JointAngles) -> str:
    """Ranges of motion, left beside right; of a single pose the angles."""
    single = len(angles) == 1
    what = "Angles" if single else "Ranges of motion and symmetry"
    cell = _value_cell if single else _range_cell
    last = "left less right" if single else "asymmetry"
    rows = []
    for name, sides in side_symmetry(angles).items():
        number = sides.mean_difference if single else sides.asymmetry
        unit = "°" if single else " %"
        uneven = "" if np.isnan(number) else f"{_signed(number)}{unit}"
        rows.append([_words(name), cell(sides.left), cell(sides.right), uneven])
    ranges = motion_ranges(angles)
    rows += [[_words(kind.name), cell(ranges[kind.name]), ""] for kind in KINDS]  # of no side: across both columns
    note = "" if single else (
        "Low to high (range): 1st and 99th percentile of the frames in which the angle is known. Asymmetry: left range "
        "less right range over their mean; none where hardly anything moves."
    )  # fmt: skip
    return _table(f"{what}, degrees", ["", "left", "right", last], rows, note)


def _gait_table(recording: Recording, track: PoseTrack) -> str:
    """Steps and strides, where the feet's contacts are known and there are some."""
    contacts = track.contacts
    if contacts is None or track.skeleton != MPII_16 or len(track) < 2:
        return ""
    steps: Gait = gait(track, recording.times_s, contacts)
    if min(count for _, _, count in steps.stride_time_s.values()) < MIN_STRIDES:  # no walking
        return ""
    rows = [
        [name, *(_mean_cell(values[side], scale, digits) for side in SIDES)]
        for name, values, scale, digits in (
            ("step time, s", steps.step_time_s, 1, 2), ("step length, m", steps.step_length_m, 1, 2),
            ("stride time, s", steps.stride_time_s, 1, 2), ("stance, % of the stride", steps.stance, 100, 0),
        )
    ]  # fmt: skip
    cadence = "" if np.isnan(steps.cadence) else f"{steps.cadence:.0f} steps a minute. "
    note = f"{cadence}Mean ± standard deviation (number), from the feet's contacts; lengths are as exact as the height."
    return _table("Steps", ["", "left", "right"], rows, note)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    cells = "".join(_row(row[0], row[1:], len(head) - 1) for row in rows)
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    tail = f'<p class="small">{escape(note)}</p>' if note else ""
    return f"<h3>{escape(title)}</h3><table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table>{tail}"


def _row(name: str, cells: Sequence[str], columns: int) -> str:
    """A row of a table; of fewer ``cells`` than ``columns`` the first goes across."""
    across = columns - len(cells) + 1
    span = f' colspan="{across}"' if across > 1 else ""
    first, *others = (escape(cell) for cell in cells)
    rest = "".join(f"<td>{cell}</td>" for cell in others)
    return f'<tr><th scope="row">{escape(name)}</th><td{span}>{first}</td>{rest}</tr>'


def _warning_list(texts: Sequence[str]) -> str:
    if not texts:
        return ""
    return '<ul class="warnings">' + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def _facts(facts: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()) + "</dl>"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _number(value: float) -> str:
    return str(round(value)).replace("-", "\u2212")


def _signed(value: float) -> str:
    return ("+" if round(value) > 0 else "") + _number(value)


def _range_cell(found: MotionRange) -> str:
    if np.isnan(found.span):
        return "\u2013"
    return f"{_number(found.low)} to {_number(found.high)} ({_number(found.span)})"


def _value_cell(found: MotionRange) -> str:
    return "\u2013" if np.isnan(found.mean) else f"{_number(found.mean)}°"


def _mean_cell(found: tuple[float, float, int], scale: float, digits: int) -> str:
    mean, spread, count = found
    if np.isnan(mean):
        return "\u2013"
    more = "" if np.isnan(spread) else f" ± {scale * spread:.{digits}f}"
    return f"{scale * mean:.{digits}f}{more} ({count})"
