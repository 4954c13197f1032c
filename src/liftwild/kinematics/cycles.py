"""What movement does over and over: ranges of motion, symmetry, repetitions and strides, cadence and step length."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.kinematics.angles import ANGLE_NAMES, SIDED_KINDS, SIDES, JointAngles, body_frames
from liftwild.kinematics.upright import upright
from liftwild.pose import PoseTrack
from liftwild.skeleton import MPII_16

LOW, HIGH = 1.0, 99.0  # percentiles: one wrong frame does not make a range
MIN_RANGE_DEG = 5.0  # of both sides together, mean: below it a ratio of sides says nothing
# A repetition turns back by this part of the angle's whole range, and by so many degrees.
TURNS_BACK, MIN_TURN_DEG = 0.5, 10.0
WHOLE = 0.75  # the first and last repetition rise and fall alike, by this part; else the clip cut them
MIN_CYCLE_S = 0.3
MIN_CONTACT_S = 0.1  # shorter contacts, and shorter lifts between two, are errors
STRIDE_S = (0.4, 3.0)  # shortest, longest
MIN_KNOWN = 0.8  # part of a cycle's frames in which an angle is known; else it has no curve there
POINTS = 101  # of a curve: 0 to 100 % of the cycle


class MotionRange(NamedTuple):
    """One angle over a clip, degrees: 1st and 99th percentile, their difference, the mean; ``known``: part of the
    frames, in [0, 1]."""

    low: float
    high: float
    span: float
    mean: float
    known: float


class Symmetry(NamedTuple):
    """An angle's two sides. ``asymmetry``: left range minus right range over their mean, percent (Robinson et al.
    1987), 0 where they are alike, NaN where hardly anything moves; ``mean_difference``: left mean minus right mean,
    degrees."""

    left: MotionRange
    right: MotionRange
    asymmetry: float
    mean_difference: float


@dataclass(frozen=True, eq=False)
class Cycles:
    """N repetitions or strides: ``times_s`` (N, 2) when each begins and ends; ``curves`` (N, 101, A) the angles from 0
    to 100 % of each, degrees, NaN where an angle is known in less than ``MIN_KNOWN`` of its frames."""

    times_s: np.ndarray
    curves: np.ndarray

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def durations_s(self) -> np.ndarray:
        """How long each lasts (N,)."""
        return np.asarray(self.times_s[:, 1] - self.times_s[:, 0])

    @property
    def ranges(self) -> np.ndarray:
        """The range of each angle in each cycle (N, A), degrees."""
        return np.asarray(self.curves.max(axis=1) - self.curves.min(axis=1))

    def mean_curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation over the cycles in which an angle is known, (101, A) each; NaN without any, the
        deviation also with one alone."""
        return _mean_and_spread(self.curves)

    def mean_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of ``ranges`` over the cycles, (A,) each, as ``mean_curve``."""
        return _mean_and_spread(self.ranges)


class Gait(NamedTuple):
    """How somebody walks or runs. ``cadence``: steps a minute; ``step_time_s``, ``step_length_m``, ``stride_time_s``,
    ``stance``: by side, ("left", "right"), a (mean, standard deviation, count) each; ``stance`` is the part of a stride
    in contact. A step has the side of the foot that ends it. NaN where there are too few."""

    cadence: float
    step_time_s: dict[str, tuple[float, float, int]]
    step_length_m: dict[str, tuple[float, float, int]]
    stride_time_s: dict[str, tuple[float, float, int]]
    stance: dict[str, tuple[float, float, int]]


def motion_ranges(angles: JointAngles) -> dict[str, MotionRange]:
    """The range of each angle of ``ANGLE_NAMES``; NaN where it is never known."""
    return {name: _range(angles[name]) for name in ANGLE_NAMES}


def side_symmetry(angles: JointAngles) -> dict[str, Symmetry]:
    """The two sides of each angle that has two, by its name without the side."""
    ranges, out = motion_ranges(angles), {}
    for kind in SIDED_KINDS:
        left, right = (ranges[f"{side}_{kind.name}"] for side in SIDES)
        mean = (left.span + right.span) / 2
        asymmetry = 100 * (left.span - right.span) / mean if mean >= MIN_RANGE_DEG else float("nan")
        out[kind.name] = Symmetry(left, right, asymmetry, left.mean - right.mean)
    return out


def repetitions(angles: JointAngles, by: str) -> Cycles:
    """The repetitions of a movement: from one low of the angle ``by`` over its peak to the next low.

    A peak and a low differ by at least half of the angle's range in the clip and 10 degrees; frames in which it is not
    known are passed over. LiftwildError if there is no such angle.
    """
    values = angles[by]
    rows = np.flatnonzero(np.isfinite(values))
    found = _rise_and_fall(values[rows])
    bounds = [(int(rows[first]), int(rows[last])) for first, last in found]
    times = angles.times_s
    return cut_cycles(angles, [(a, b) for a, b in bounds if times[b] - times[a] >= MIN_CYCLE_S])


def strides(angles: JointAngles, contacts: np.ndarray, side: str = "left") -> Cycles:
    """The strides of a side: from one touch of its foot to the next.

    ``contacts`` (T, 2) bool: whether the left and the right foot are on the floor in each of the T frames of
    ``angles``. LiftwildError on another shape or side.
    """
    if side not in SIDES:
        raise LiftwildError(f"a side is left or right, not {side!r}")
    touches, _ = _touches(_checked(contacts, len(angles))[:, SIDES.index(side)], angles.times_s)
    return cut_cycles(angles, _between_touches(touches, angles.times_s))


def cut_cycles(angles: JointAngles, bounds: list[tuple[int, int]]) -> Cycles:
    """The curves of ``angles`` between pairs of rows, first and last frame of each cycle."""
    curves = np.full((len(bounds), POINTS, len(ANGLE_NAMES)), np.nan)
    times_s = np.array([[angles.times_s[a], angles.times_s[b]] for a, b in bounds], dtype=np.float64).reshape(-1, 2)
    for number, (first, last) in enumerate(bounds):
        times, values = angles.times_s[first : last + 1], angles.degrees[first : last + 1]
        wanted = np.linspace(times[0], times[-1], POINTS)
        for angle in range(len(ANGLE_NAMES)):
            known = np.isfinite(values[:, angle])
            if known.mean() >= MIN_KNOWN:
                curves[number, :, angle] = np.interp(wanted, times[known], values[known, angle])
    return Cycles(times_s, curves)


def gait(track: PoseTrack, times_s: np.ndarray, contacts: np.ndarray) -> Gait:
    """Steps of a person with ``contacts`` (T, 2) bool of the left and right foot in the track's T frames.

    ``track``: upright in its recording (``on_floor``); ``times_s`` (F,): of the clip's frames. A step's length is how
    far the ankle that touches down is ahead of the other, along where the pelvis faces: on a treadmill too. It is in m
    as far as the person's height is known. LiftwildError on contacts of another shape, or other joints than MPII-16.
    """
    if track.skeleton != MPII_16:
        raise LiftwildError("steps need the joints that were found (mpii16), not those of another skeleton")
    contacts = _checked(contacts, len(track))
    times = np.asarray(times_s, dtype=np.float64)[track.frames]
    joints = upright(track)[1]
    ankles = [joints[:, MPII_16.index(f"{side}_ankle")] for side in SIDES]
    ahead = ((ankles[0] - ankles[1]) * body_frames(joints).heading[:, 0]).sum(axis=-1)  # of the left one
    found = [_touches(contacts[:, side], times) for side in range(2)]
    steps = sorted((int(row), side) for side in range(2) for row in found[side][0])
    step_times: tuple[list[float], list[float]] = ([], [])
    for (before, other), (row, side) in pairwise(steps):
        if side != other and STRIDE_S[0] / 2 <= times[row] - times[before] <= STRIDE_S[1] / 2:
            step_times[side].append(float(times[row] - times[before]))
    lengths = [[float(sign * ahead[row]) for row in found[side][0]] for side, sign in enumerate((1.0, -1.0))]
    stride_times, stances = [], []
    for touches, lifts in found:
        own = _between_touches(touches, times)
        stride_times.append([float(times[b] - times[a]) for a, b in own])
        off = [next((int(row) for row in lifts if a < row < b), None) for a, b in own]
        stances.append([
            float((times[row] - times[a]) / (times[b] - times[a]))
            for (a, b), row in zip(own, off, strict=True) if row is not None
        ])  # fmt: skip
    every = [*step_times[0], *step_times[1]]

    def by_side(values: object) -> dict[str, tuple[float, float, int]]:
        return {side: _summary(own) for side, own in zip(SIDES, values, strict=True)}  # type: ignore[call-overload]

    return Gait(
        60.0 / float(np.median(every)) if every else float("nan"), by_side(step_times), by_side(lengths),
        by_side(stride_times), by_side(stances),
    )  # fmt: skip


def _range(values: np.ndarray) -> MotionRange:
    known, nan = values[np.isfinite(values)], float("nan")
    if not len(known):
        return MotionRange(nan, nan, nan, nan, 0.0)
    low, high = (float(value) for value in np.percentile(known, [LOW, HIGH]))
    return MotionRange(low, high, high - low, float(known.mean()), len(known) / len(values))


def _mean_and_spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Over the first axis, without NaN."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    return mean, np.sqrt(squares / np.where(count > 1, count - 1, np.nan))


def _summary(values: list[float]) -> tuple[float, float, int]:
    known = np.array([value for value in values if np.isfinite(value)])
    mean = float(known.mean()) if len(known) else float("nan")
    return mean, float(known.std(ddof=1)) if len(known) > 1 else float("nan"), len(known)


def _rise_and_fall(values: np.ndarray) -> list[tuple[int, int]]:
    """From low to low (first, last) about each peak of ``values`` (N,)."""
    if len(values) < 3:
        return []
    low, high = np.percentile(values, [LOW, HIGH])
    turn = max(TURNS_BACK * float(high - low), MIN_TURN_DEG)
    peaks: list[int] = []
    lows = [0]
    best, rising = 0, False  # the furthest point since the last turn
    for row in range(1, len(values)):
        if (values[row] > values[best]) if rising else (values[row] < values[best]):
            best = row
        elif abs(values[row] - values[best]) >= turn:
            if rising:
                peaks.append(best)
            else:
                lows = [*lows[: len(peaks)], best]
            best, rising = row, not rising
    # The way down from the last peak may end with the clip.
    if peaks and len(lows) == len(peaks):
        after = peaks[-1] + int(values[peaks[-1] :].argmin())
        lows.append(after)
    cycles = []
    for i, peak in enumerate(peaks):
        rise, fall = float(values[peak] - values[lows[i]]), float(values[peak] - values[lows[i + 1]])
        # At the clip's ends it may be half a movement.
        least = turn if 0 < i < len(peaks) - 1 else max(turn, WHOLE * max(rise, fall))
        if min(rise, fall) >= least:
            cycles.append((lows[i], lows[i + 1]))
    return cycles


def _checked(contacts: np.ndarray, count: int) -> np.ndarray:
    contacts = np.asarray(contacts)
    if contacts.shape != (count, 2) or contacts.dtype != bool:
        raise LiftwildError(
            f"contacts are bool of shape ({count}, 2), left and right foot in each frame of the person, not "
            f"{contacts.dtype} of shape {contacts.shape}"
        )
    return contacts


def _touches(contact: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows in which a foot touches down and lifts off; short contacts and short lifts are passed over."""
    contact = contact.copy()
    for value in (False, True):  # close short lifts, then drop short contacts
        edges = np.flatnonzero(np.diff(contact)) + 1
        for first, last in pairwise(edges):
            if contact[first] == value and times[last] - times[first] < MIN_CONTACT_S:
                contact[first:last] = not value
    change = np.diff(contact.astype(np.int8))
    return np.flatnonzero(change == 1) + 1, np.flatnonzero(change == -1) + 1


def _between_touches(touches: np.ndarray, times: np.ndarray) -> list[tuple[int, int]]:
    return [(a, b) for a, b in pairwise(touches.tolist()) if STRIDE_S[0] <= times[b] - times[a] <= STRIDE_S[1]]
