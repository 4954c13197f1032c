"""Feet on the ground: when each stands, and how far it slides while it does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from liftwild.pose import PoseTrack

SIDES = ("left", "right")
SPEED_S = 0.1  # over which a foot's speed is taken, or two frames
STANDS_MM_S, LEAVES_MM_S = 300.0, 450.0  # across the line of sight: slower, a foot begins to stand; faster, it leaves
LOW_MM = 120.0  # so much above the lowest place of both feet ...
NEAR_S = 0.6  # ... within so long before and after, a foot may stand
MIN_CONTACT_S, MAX_LIFT_S = 0.1, 0.06  # shorter contacts are none, shorter lifts are jitter
MIN_SURE = 0.2  # confidence of an ankle, as a median over the contact
MAX_CAMERA_MM = 50.0  # at a foot's distance: if the camera turns farther, it is not known where the foot stands


class Contact(NamedTuple):
    """A foot that stands: ``side`` 0 left, 1 right; rows ``first`` to ``last`` of the track."""

    side: int
    first: int
    last: int


@dataclass(frozen=True)
class Sliding:
    """``contacts``: how many; ``mm``: mean over them of how far the ankle goes while the foot stands (of 90 % of the
    frames, from end to end). NaN without contacts."""

    contacts: int
    mm: float


def with_contacts(track: PoseTrack, times_s: np.ndarray, down: np.ndarray) -> PoseTrack:
    """``track`` with ``contacts`` (T, 2): a foot stands while it is slow across the line of sight, and low.

    The joints have no heel and no toes, so a foot is its ankle: it stands from heel strike to about heel rise. Depth
    does not count for speed, since nothing of it is seen. ``times_s`` (F,): when each frame of the clip is shown, s;
    ``down`` (3,): which way down is, camera space. Wants ``root_mm`` and a camera that stands still; without a place or
    ankles the track stays as it is.
    """
    if track.root_mm is None or not all(f"{side}_ankle" in track.skeleton.names for side in SIDES):
        return track
    times = np.asarray(times_s, dtype=np.float64)[track.frames]
    ankles = ankle_places(track)
    with np.errstate(invalid="ignore"):
        speed = np.stack([_speed_across(ankles[:, side], times) for side in (0, 1)], axis=1)
        depth = ankles @ down  # grows downward
        low = depth > _lowest(depth, times)[:, None] - LOW_MM
        begins, goes_on = (speed < STANDS_MM_S) & low, (speed < LEAVES_MM_S) & low
    stands = np.stack([_hysteresis(begins[:, side], goes_on[:, side]) for side in (0, 1)], axis=1)
    sure = track.confidence[:, [track.skeleton.index(f"{side}_ankle") for side in SIDES]]
    for side in (0, 1):
        _close_lifts(stands[:, side], times)
        for contact in contacts_of(stands[:, side], side):
            own = slice(contact.first, contact.last + 1)
            if times[contact.last] - times[contact.first] < MIN_CONTACT_S or np.median(sure[own, side]) < MIN_SURE:
                stands[own, side] = False
    return replace(track, contacts=stands)


def without_moving_camera(track: PoseTrack, turned_rad: np.ndarray) -> tuple[PoseTrack, int]:
    """``track`` without contacts during which the camera turns, and how many these are.

    ``turned_rad`` (F, 2): how far the background has gone in each frame of the clip, right and down, as angles. A place
    before the camera is then none in the room. ``MAX_CAMERA_MM`` is of 90 % of the frames, as in ``Sliding``.
    """
    if track.contacts is None:
        return track, 0
    stands, ankles, turned = track.contacts.copy(), ankle_places(track), turned_rad[track.frames]
    moving = 0
    for contact in all_contacts(track):
        own = slice(contact.first, contact.last + 1)
        low, high = np.quantile(turned[own], [0.05, 0.95], axis=0)
        away = float(np.nanmedian(np.linalg.norm(ankles[own, contact.side], axis=1)))
        if np.linalg.norm(high - low) * away > MAX_CAMERA_MM:
            stands[own, contact.side] = False
            moving += 1
    return replace(track, contacts=stands), moving


def ankle_places(track: PoseTrack) -> np.ndarray:
    """Where the left and the right ankle are (T, 2, 3), mm, camera space; ValueError of a track without a place."""
    if track.root_mm is None:
        raise ValueError("the track has no root_mm")
    chosen = [track.skeleton.index(f"{side}_ankle") for side in SIDES]
    return np.asarray(track.joints_3d[:, chosen] + track.root_mm[:, None], dtype=np.float64)


def contacts_of(stands: np.ndarray, side: int) -> list[Contact]:
    """The contacts of one foot that ``stands`` (T,) bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], stands, [False]]).astype(int)))
    return [Contact(side, int(first), int(last) - 1) for first, last in edges.reshape(-1, 2)]


def all_contacts(track: PoseTrack) -> list[Contact]:
    """The contacts of both feet, by their first frame."""
    if track.contacts is None:
        return []
    return sorted(
        (each for side in (0, 1) for each in contacts_of(track.contacts[:, side], side)), key=lambda c: c.first
    )


def sliding(tracks: tuple[PoseTrack, ...]) -> Sliding:
    """How far the feet of ``tracks`` slide while they stand."""
    ways = []
    for track in tracks:
        for contact in all_contacts(track):
            own = ankle_places(track)[contact.first : contact.last + 1, contact.side]
            low, high = np.nanquantile(own, [0.05, 0.95], axis=0)
            ways.append(float(np.linalg.norm(high - low)))
    return Sliding(len(ways), float(np.mean(ways)) if ways else float("nan"))


def _speed_across(points: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Speed (T,) mm/s of points (T, 3) across the line of sight, from both sides of each frame."""
    speed = np.full(len(points), np.nan)
    low = np.minimum(np.searchsorted(times, times - SPEED_S / 2 - 1e-9), np.arange(len(times)) - 1).clip(0)
    high = np.maximum(np.searchsorted(times, times + SPEED_S / 2 + 1e-9) - 1, np.arange(len(times)) + 1)
    high = high.clip(max=len(times) - 1)
    ray = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    way = points[high] - points[low]
    across = np.linalg.norm(way - (way * ray).sum(axis=1, keepdims=True) * ray, axis=1)
    passed = times[high] - times[low]
    moved = passed > 0
    speed[moved] = across[moved] / passed[moved]
    return speed


def _lowest(depth: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The lowest place (T,) of both feet (T, 2) near each frame, as a robust largest ``depth``."""
    start, end = np.searchsorted(times, times - NEAR_S), np.searchsorted(times, times + NEAR_S, side="right")
    return np.array([_robust_max(depth[a:b]) for a, b in zip(start.tolist(), end.tolist(), strict=True)])


def _robust_max(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, 0.9)) if len(known) else float("nan")


def _hysteresis(begins: np.ndarray, goes_on: np.ndarray) -> np.ndarray:
    """(T,) bool: stretches of ``goes_on`` in which it ``begins`` somewhere."""
    out = np.zeros(len(begins), dtype=bool)
    for contact in contacts_of(goes_on, 0):
        own = slice(contact.first, contact.last + 1)
        out[own] = begins[own].any()
    return out


def _close_lifts(stands: np.ndarray, times: np.ndarray) -> None:
    """Let a foot stand through lifts that are too short for one, in place."""
    for lift in contacts_of(~stands, 0):
        inner = lift.first > 0 and lift.last < len(stands) - 1
        if inner and times[lift.last + 1] - times[lift.first - 1] <= MAX_LIFT_S:
            stands[lift.first : lift.last + 1] = True
