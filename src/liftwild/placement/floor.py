"""The floor of a clip, from the feet that stand on it; poses turned so that down is down."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np

from liftwild.placement.body_height import ANKLE_SHARE, standing_height_mm
from liftwild.pose import PoseTrack, Recording

WINDOW_S = 0.3  # over which a foot's speed is taken: shorter, and jitter looks like walking
SLOW_MM_S = 500.0  # a foot on the ground is slower than this ...
SLOW_PART, SLOW_MOST_MM_S = 0.3, 1500.0  # ... or, in a clip that jitters, among its slowest, and slower than that
BESIDE_MM = 120.0  # a foot so much above the other is not on the ground
SAME_STAND_MM = 250.0  # feet that are nearer than this to where they stood have not stepped
MIN_STANDS = 3
OFF_MM = 40.0  # how far a stand may be off the floor before it counts less, and the least spread that is believed
SURE = np.tan(np.radians(4.0))  # a slope that is less certain than this (one deviation) is not used
# Nor is one in a direction in which stands spread less than this (one deviation): feet side by side span little more
# than the errors of their depths, which make any floor look level.
MIN_SPREAD_MM = 200.0
MAX_BELOW, BELOW_MM = 0.02, 150.0  # part of all joints that may lie so deep under a floor ...
BELOW_SHARE = 0.1  # ... or so deep of the camera's height: as people's sizes are not known, nor are their floors
STEEPEST_DEG = 60.0  # between the floor's vertical and how bodies balance on it
ROUNDS = 20

# Parts of the body: from, to, where their centre of mass lies along that, share of the body's mass (Winter 2009, table
# 4.1, rounded; hands with the forearms, feet with the shanks).
SEGMENTS = (
    ("upper_neck", "head_top", 0.5, 0.081), ("thorax", "pelvis", 0.5, 0.497), ("{}shoulder", "{}elbow", 0.44, 0.028),
    ("{}elbow", "{}wrist", 0.6, 0.022), ("{}hip", "{}knee", 0.43, 0.1), ("{}knee", "{}ankle", 0.6, 0.061),
)  # fmt: skip
BORNE_MM = 60.0  # a foot so much above the other bears nothing
MIDFOOT_SHARE = 0.035  # of the height: how far ahead of the ankle the floor pushes back
BALANCE_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Levelled(Recording):
    """A recording in the room's axes: x right, y down, z horizontally away from the camera, mm; the floor is y = 0,
    the camera above the zero point.

    ``turn`` (3, 3), ``camera_height_mm``: a point of camera space is here at ``turn @ point - (0, camera_height_mm,
    0)``. ``turn`` is the identity where the clip does not tell which way is down; ``steps`` says so.
    ``joints_2d`` are those of the frames, as before.
    """

    turn: np.ndarray = field(default_factory=lambda: np.eye(3))
    camera_height_mm: float = 0.0

    @classmethod
    def of(cls, recording: Recording, turn: np.ndarray, camera_height_mm: float) -> Levelled:
        """``recording``, whose poses lie in those axes already."""
        kept = {field.name: getattr(recording, field.name) for field in fields(Recording)}
        return cls(**kept, turn=turn, camera_height_mm=camera_height_mm)


class _Feet(NamedTuple):
    """Ankles that may stand on the floor. ``points`` (N, 3) mm, camera space; ``others`` (N, 3) the other foot then,
    NaN where unknown; ``sole`` (N,) mm from ankle to floor; ``limb`` (N,) whose foot; ``times`` (N,) s."""

    points: np.ndarray
    others: np.ndarray
    sole: np.ndarray
    limb: np.ndarray
    times: np.ndarray


def level(recording: Recording) -> Levelled:
    """The recording turned so that y is along gravity, and moved so that feet that stand are on y = 0.

    Wants everybody placed (``located``) and a camera that stood still. The floor is the plane through the places where
    feet rest (low and slow), fitted so that a few wrong ones do not matter. Where these places determine it in one
    direction only (people walk along a line), the other is how their bodies balance; where in none (nobody steps; a
    photo), the axes stay the camera's. ``steps`` says which. ValueError if a track has no ``root_mm``.
    """
    if any(track.root_mm is None for track in recording.tracks):
        raise ValueError("a recording is levelled after it was placed: a track has no root_mm")
    feet = _resting(recording)
    everyone = [_absolute(track).reshape(-1, 3) for track in recording.tracks]
    joints = np.concatenate([*everyone, np.zeros((0, 3))])
    joints = joints[np.isfinite(joints).all(axis=1)]
    down, sides = (
        _down(feet, joints, _balanced_down(recording)) if recording.is_clip else (np.array([0.0, 1.0, 0.0]), 0)
    )
    turn = _turn_to(down)
    height = _floor(feet, joints, recording, turn[1])
    tilt = np.degrees(np.arccos(np.clip(down[1], -1, 1)))
    found = {
        2: f"levelled on the floor that the feet stand on, {tilt:.0f} degrees from the camera's axes",
        1: f"levelled along the line that the feet stand on, across it as bodies balance, {tilt:.0f} degrees from the "
        "camera's axes",
        0: "not levelled, camera axes kept: " + ("the feet do not show the floor" if recording.is_clip else "a photo"),
    }[sides]
    shift = np.array([0.0, height, 0.0])
    tracks = tuple(
        replace(track, joints_3d=track.joints_3d @ turn.T, root_mm=_roots(track) @ turn.T - shift)
        for track in recording.tracks
    )
    where = floor_fault(height) or f"floor {height / 1000:.2f} m below the camera"
    steps = (*recording.steps, f"{found}; {where}")
    return Levelled.of(replace(recording, tracks=tracks, steps=steps), turn, height)


def floor_fault(camera_height_mm: float) -> str:
    """What is wrong with a floor so far below the camera, in words, or "", as where it is not known (0, NaN)."""
    if not camera_height_mm < 0:
        return ""
    off = -camera_height_mm / 1000
    return f"the floor comes out {off:.2f} m above the camera: its lens, or the people's size, is another"


def _roots(track: PoseTrack) -> np.ndarray:
    assert track.root_mm is not None
    return track.root_mm


def _absolute(track: PoseTrack) -> np.ndarray:
    """Joints (T, J, 3) in camera space, mm."""
    return np.asarray(track.joints_3d + _roots(track)[:, None])


def _resting(recording: Recording) -> _Feet:
    """The feet of all tracks while they stand: where ``contacts`` say so, else while they are slow."""
    parts: list[list[np.ndarray]] = [[] for _ in _Feet._fields]
    for number, track in enumerate(recording.tracks):
        joints, times = _absolute(track), recording.times_s[track.frames]
        ankles = [joints[:, track.skeleton.index(f"{side}_ankle")] for side in ("left", "right")]
        heights = standing_height_mm(track.joints_3d, track.skeleton)
        heights = heights[np.isfinite(heights)]
        sole = ANKLE_SHARE * float(np.median(heights)) if len(heights) else 0.0
        for side, (own, other) in enumerate((ankles, ankles[::-1])):
            speed, smooth = _speed(own, times)
            known = speed[np.isfinite(speed)]
            if len(known) == 0:
                continue
            limit = max(SLOW_MM_S, min(float(np.quantile(known, SLOW_PART)), SLOW_MOST_MM_S))
            slow = np.nan_to_num(speed, nan=np.inf) <= limit
            if track.contacts is not None and track.contacts.any():
                slow, smooth = track.contacts[:, side] & np.isfinite(own).all(axis=1), own
            values = (smooth, other, np.full(len(track), sole), np.full(len(track), 2 * number + side), times)
            for part, value in zip(parts, values, strict=True):
                part.append(value[slow])
    empty = (np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0), np.zeros(0))
    return _Feet(*(np.concatenate([*part, none]) for part, none in zip(parts, empty, strict=True)))


def _speed(points: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Speed (T,) mm/s of points (T, 3), from the means of half a window before and after; the window's mean (T, 3).

    NaN where one half holds none.
    """
    speed, middle = np.full(len(points), np.nan), points.copy()
    known = np.isfinite(points).all(axis=1)
    points, at, where = points[known], times[known], np.flatnonzero(known)
    low = np.searchsorted(at, at - WINDOW_S / 2 - 1e-9)
    high = np.searchsorted(at, at + WINDOW_S / 2 + 1e-9)
    for i, (start, end) in enumerate(zip(low, high, strict=True)):
        if start < i < end - 1:
            before, after = points[start : i + 1].mean(axis=0), points[i:end].mean(axis=0)
            passed = at[i:end].mean() - at[start : i + 1].mean()
            speed[where[i]] = np.linalg.norm(after - before) / passed
            middle[where[i]] = np.median(points[start:end], axis=0)
    return speed, middle


def _balanced_down(recording: Recording) -> np.ndarray | None:
    """Which way is down (3,) if people balance on their feet: from the body's centre of mass to the foot that bears
    it, mean over all frames; None where none can be told.

    It holds for leaning bodies too, where the direction from head to feet does not.
    """
    parts = [_balance(track) for track in recording.tracks]
    mass, left, right, hips, height = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else (
        np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))  # fmt: skip
    known = np.isfinite(mass + left + right + hips).all(axis=1) & np.isfinite(height)
    mass, left, right, hips, height = (values[known] for values in (mass, left, right, hips, height))
    down = _unit(((left + right) / 2 - mass).sum(axis=0))
    for _ in range(BALANCE_ROUNDS):
        if not np.isfinite(down).all():
            return None
        higher = ((left - right) @ down)[:, None]  # of the right foot above the left one, mm
        bears = np.where(higher > BORNE_MM, left, np.where(higher < -BORNE_MM, right, (left + right) / 2))
        ahead = np.cross(-down, hips)
        ahead = ahead / np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
        down = _unit((bears + ahead * (MIDFOOT_SHARE * height)[:, None] - mass).sum(axis=0))
    return down


def _balance(track: PoseTrack) -> tuple[np.ndarray, ...]:
    """Centre of mass, left and right ankle, from the left to the right hip (T, 3 each, mm), standing height (T,)."""
    at, joints = track.skeleton.index, track.joints_3d
    mass = np.zeros((len(track), 3))
    for upper, lower, along, share in SEGMENTS:
        for side in ("left_", "right_") if "{" in upper else ("",):
            ends = joints[:, at(upper.format(side))], joints[:, at(lower.format(side))]
            mass += share * (ends[0] * (1 - along) + ends[1] * along)
    left, right = joints[:, at("left_ankle")], joints[:, at("right_ankle")]
    hips = joints[:, at("right_hip")] - joints[:, at("left_hip")]
    return mass, left, right, hips, standing_height_mm(joints, track.skeleton)


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else np.full(3, np.nan)


def _down(feet: _Feet, joints: np.ndarray, body: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Which way is down (3,), and in how many directions the floor's slope is known: 2, 1 or 0.

    Sought from the camera's axes and from how bodies balance; the better floor wins. What the places of the feet leave
    open is as bodies balance.
    """
    camera = np.array([0.0, 1.0, 0.0])
    best, sides, score = camera, 0, 0.0
    for start in (camera,) if body is None else (camera, body):
        down, known, support = _fitted(feet, start)
        if known == 0 or (known == 1 and body is not None and start is not body):
            continue
        if body is not None and down @ body < np.cos(np.radians(STEEPEST_DEG)):
            continue
        floor = np.median((feet.points @ down)[_low(feet, down)])
        if np.mean(joints @ down > floor + max(BELOW_MM, BELOW_SHARE * floor)) > MAX_BELOW:
            continue
        if known > sides or (known == sides and support > score * 1.02):  # a tie goes to the camera's axes
            best, sides, score = down, known, support
    return best, sides


def _low(feet: _Feet, down: np.ndarray) -> np.ndarray:
    """Which feet are the lower one of their two, or hardly above it, (N,) bool."""
    above = (feet.others - feet.points) @ down
    return np.asarray(~(above > BESIDE_MM))


def _fitted(feet: _Feet, start: np.ndarray) -> tuple[np.ndarray, int, float]:
    """Down, known directions and support of the floor that is found from a first ``start``."""
    down, known, support = start, 0, 0.0
    for _ in range(ROUNDS):
        frame = _turn_to(down)
        stands, weight = _stands(feet, _low(feet, down))
        if len(stands) < MIN_STANDS:
            return start, 0, 0.0
        slopes, known, support = _slopes(stands @ frame.T, weight)
        new = frame.T @ np.array([-slopes[0], 1.0, -slopes[1]])
        new /= np.linalg.norm(new)
        moved = np.arccos(np.clip(new @ down, -1, 1))
        down = new
        if moved < 1e-4:
            break
    return down, known, support


def _stands(feet: _Feet, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places (S, 3) where a foot rested between two steps, and for how many frames (S,)."""
    places, counts = [], []
    for limb in np.unique(feet.limb[low]):
        own = np.flatnonzero(low & (feet.limb == limb))
        first = own[0]
        begin = 0
        for i in range(1, len(own) + 1):
            if i == len(own) or np.linalg.norm(feet.points[own[i]] - feet.points[first]) > SAME_STAND_MM:
                places.append(np.median(feet.points[own[begin:i]], axis=0))
                counts.append(i - begin)
                if i < len(own):
                    begin, first = i, own[i]
    return np.array(places).reshape(-1, 3), np.array(counts, dtype=np.float64)


def _slopes(stands: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, int, float]:
    """How the floor falls along x and z, (2,); in how many directions that is known; how many frames lie on it.

    ``stands`` (S, 3) in axes whose y is nearly down. A slope that the stands do not determine is 0.
    """
    weight = np.sqrt(np.minimum(frames, 30))  # a long rest is one place all the same
    slopes, off = np.zeros(2), np.zeros(len(stands))
    for _ in range(ROUNDS):
        spread = max(1.4826 * float(np.median(np.abs(off))), OFF_MM)
        trust = weight / (1 + (off / (2 * spread)) ** 2) ** 2
        flat, heights = stands[:, [0, 2]], stands[:, 1]
        middle, level = np.average(flat, axis=0, weights=trust), np.average(heights, weights=trust)
        from_middle = flat - middle
        scatter = (from_middle * trust[:, None]).T @ from_middle
        sizes, axes = np.linalg.eigh(scatter)
        falls = axes.T @ (from_middle * trust[:, None]).T @ (heights - level)
        sizes = np.maximum(sizes, 1e-9)
        # A stand of weight w deviates by spread / sqrt(w): of such, a slope's deviation is spread / sqrt(size).
        known = (spread / np.sqrt(sizes) < SURE) & (np.sqrt(sizes / trust.sum()) > MIN_SPREAD_MM)
        slopes = axes @ np.where(known, falls / sizes, 0.0)
        off = heights - level - from_middle @ slopes
    return slopes, int(known.sum()), float(frames[np.abs(off) < 2 * OFF_MM].sum())


def _turn_to(down: np.ndarray) -> np.ndarray:
    """The turn (3, 3) whose y is ``down`` (3,), of length 1, and whose z points away from the camera horizontally."""
    ahead = np.array([0.0, 0.0, 1.0])
    if abs(down @ ahead) > 0.99:  # the camera looks straight down or up: its own upright stands for ahead
        ahead = np.array([0.0, -1.0, 0.0]) * np.sign(down @ ahead)
    z = ahead - (ahead @ down) * down
    z = z / np.linalg.norm(z)
    return np.array([np.cross(down, z), down, z])


def _floor(feet: _Feet, joints: np.ndarray, recording: Recording, down: np.ndarray) -> float:
    """How far below the camera the floor is, mm: under the feet that rest, or else under the lowest foot or joint."""
    low = _low(feet, down)
    if recording.is_clip and low.any():
        return float(np.median((feet.points @ down + feet.sole)[low]))
    soles = []
    for track in recording.tracks:
        ankles = [track.skeleton.index(f"{side}_ankle") for side in ("left", "right")]
        heights = standing_height_mm(track.joints_3d, track.skeleton)
        soles.append((_absolute(track)[:, ankles] @ down + ANKLE_SHARE * heights[:, None]).ravel())
    known = np.concatenate([*soles, np.zeros(0)])
    known = known[np.isfinite(known)]
    if len(known):
        return float(known.max())
    return float((joints @ down).max()) if len(joints) else 0.0
