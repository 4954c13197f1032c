"""What a person's joint angles come to, as a text for people: ranges, sides, repetitions."""

from __future__ import annotations

import math

import numpy as np

from liftwild.kinematics.angles import ANGLE_NAMES, KINDS, SIDED_KINDS, SIDES, JointAngles
from liftwild.kinematics.cycles import MIN_KNOWN, Cycles, MotionRange, motion_ranges, side_symmetry

HEAD = f"{'':22}{'left':>22}{'right':>22}"
FEW_KNOWN = 0.5  # part of the frames: known in fewer, an angle gets a note


def angle_summary(angles: JointAngles) -> str:
    """Ranges of motion and symmetry of one person, degrees, in lines."""
    count = len(angles)
    span = float(angles.times_s[-1] - angles.times_s[0]) if count else 0.0
    lines = [
        f"person {angles.person_id}: {count} frame{'s' * (count != 1)}, {span:.2f} s; degrees, low to high (range)"
    ]
    lines.append(f"{HEAD}{'asymmetry':>12}")
    ranges = motion_ranges(angles)
    for name, sides in side_symmetry(angles).items():
        uneven = "" if math.isnan(sides.asymmetry) else f"{sides.asymmetry:+.0f} %"
        lines.append(f"{_words(name):22}{_cell(sides.left):>22}{_cell(sides.right):>22}{uneven:>12}".rstrip())
    lines += [f"{_words(kind.name):22}{_cell(ranges[kind.name]):>22}".rstrip() for kind in KINDS]
    unknown = [_words(name) for name in ANGLE_NAMES if ranges[name].known < FEW_KNOWN]
    if unknown and count:
        lines.append(f"known in less than half of the frames: {', '.join(unknown)}")
    return "\n".join(lines)


def cycles_summary(cycles: Cycles, what: str) -> str:
    """How many cycles there are, how long they last, and how far each angle moves in them; ``what`` they are."""
    if not len(cycles):
        return f"no {what}"
    durations = cycles.durations_s
    mean, spread = cycles.mean_range()
    each = f"{len(cycles)} {what}: {_mean_and_spread(durations, 2)} s" + " each" * (len(cycles) > 1)
    if np.isnan(mean).all():
        return f"{each}; no ranges, since no angle is known in {MIN_KNOWN:.0%} of the frames of one"
    lines = [f"{each}; range in each, degrees", HEAD]
    cells = {
        name: "-"
        if math.isnan(mean[i])
        else f"{mean[i]:.0f}" + ("" if math.isnan(spread[i]) else f" ± {spread[i]:.0f}")
        for i, name in enumerate(ANGLE_NAMES)
    }
    for kind in SIDED_KINDS:
        left, right = (cells[f"{side}_{kind.name}"] for side in SIDES)
        lines.append(f"{_words(kind.name):22}{left:>22}{right:>22}")
    lines += [f"{_words(kind.name):22}{cells[kind.name]:>22}" for kind in KINDS]
    return "\n".join(lines)


def _mean_and_spread(values: np.ndarray, digits: int) -> str:
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _cell(found: MotionRange) -> str:
    if math.isnan(found.span):
        return "-"
    low, high, span = (round(value) for value in (found.low, found.high, found.span))
    return f"{low} to {high} ({span})"
