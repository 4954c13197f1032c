"""Feet that do not slide: each held where it stands, by the body's place and by hip and knee."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from liftwild.kinematics.contacts import SIDES, Contact, all_contacts, ankle_places
from liftwild.pose import PoseTrack
from liftwild.tracking.filters import butterworth, spans

RAMP_S = 0.2  # before and after a contact, over which the foot goes to its place and leaves it
BODY_HZ = 1.5  # of what the body's place takes over of the feet's; the rest is for hips and knees
# A foot that is so far from its place across the line of sight (median of a contact) does not stand.
MAX_PULL_MM = 150.0
STRAIGHTEST = 0.999  # of thigh and shank: how far a leg is stretched at most
# Of them: from there on, or from where it is, a leg is stretched ever less, so that no knee snaps straight.
GIVES_WAY = 0.95


def hold_feet(track: PoseTrack, times_s: np.ndarray) -> PoseTrack:
    """``track`` with every foot at one place while it stands: the body is moved with its feet, the rest is bent away.

    A foot's place is the median of its ankle's over the contact. ``root_mm`` follows the feet, slower than ``BODY_HZ``;
    then hip and knee turn so that the ankle is where it stands, thigh and shank as long as they were, the knee in the
    plane that it bent in. Contacts in which the picture shows that a foot moves (``MAX_PULL_MM``) are taken back.
    ``times_s`` (F,): when each frame of the clip is shown, s. A track without contacts stays.
    """
    if track.contacts is None or track.root_mm is None or not track.contacts.any():
        return track
    times = np.asarray(times_s, dtype=np.float64)[track.frames]
    contacts = [each for each in all_contacts(track) if _across(ankle_places(track), each) <= MAX_PULL_MM]
    root = _with_feet(track, contacts, times)
    track = replace(track, root_mm=root)
    ankles, kept = ankle_places(track), np.zeros((len(track), 2), dtype=bool)
    joints = np.array(track.joints_3d, dtype=np.float64)
    for side, name in enumerate(SIDES):
        own = [contact for contact in contacts if contact.side == side]
        pull, hold = np.zeros((len(track), 3)), np.zeros(len(track))
        for contact, weight in zip(own, _ramps(times, own), strict=True):
            kept[contact.first : contact.last + 1, side] = True
            pull += weight[:, None] * (_anchor(ankles, contact) - ankles[:, side])
            hold += weight
        wanted = ankles[:, side] + pull - root
        leg = [track.skeleton.index(f"{name}_{part}") for part in ("hip", "knee", "ankle")]
        moved = hold > 0
        hip, knee, ankle = (joints[moved, each] for each in leg)
        joints[moved, leg[1]], joints[moved, leg[2]] = bend_leg(hip, knee, ankle, wanted[moved])
    return replace(track, joints_3d=joints, contacts=kept)


def bend_leg(hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knee and ankle (T, 3) of a leg from ``hip`` whose ankle is at ``target``, or as near as it can be stretched.

    Thigh and shank keep their lengths; the knee stays on the side of the line from hip to ankle that it is on. A leg
    that is bent is not stretched beyond ``STRAIGHTEST``, and comes near it slowly: the last mm turn a knee by many
    degrees. NaN in, the same out.
    """
    thigh, shank = (np.linalg.norm(end - start, axis=1) for start, end in ((hip, knee), (knee, ankle)))
    way = target - hip
    length = np.linalg.norm(way, axis=1)
    reach = np.maximum(
        _stretched(length, np.linalg.norm(ankle - hip, axis=1), thigh + shank), np.abs(thigh - shank) + 1e-6
    )
    along = way / np.maximum(length, 1e-9)[:, None]
    side = knee - hip
    side = side - (side * along).sum(axis=1, keepdims=True) * along
    size = np.linalg.norm(side, axis=1, keepdims=True)
    side = np.where(size > 1e-6, side / np.maximum(size, 1e-9), 0.0)
    down = (thigh**2 - shank**2 + reach**2) / (2 * np.maximum(reach, 1e-9))
    out = np.sqrt(np.maximum(thigh**2 - down**2, 0.0))
    new_knee, new_ankle = hip + along * down[:, None] + side * out[:, None], hip + along * reach[:, None]
    known = np.isfinite(new_knee).all(axis=1, keepdims=True) & np.isfinite(new_ankle).all(axis=1, keepdims=True)
    return np.where(known, new_knee, knee), np.where(known, new_ankle, ankle)


def _stretched(length: np.ndarray, now: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """How far legs (T,) of the length ``whole`` reach that should reach ``length`` and reach as far as ``now``."""
    most = STRAIGHTEST * whole
    start = np.minimum(np.maximum(now, GIVES_WAY * whole), most)
    room = np.maximum(most - start, 1e-6)
    return np.asarray(np.where(length > start, start + room * -np.expm1(-np.maximum(length - start, 0) / room), length))


def _anchor(ankles: np.ndarray, contact: Contact) -> np.ndarray:
    return np.asarray(np.nanmedian(ankles[contact.first : contact.last + 1, contact.side], axis=0))


def _across(ankles: np.ndarray, contact: Contact) -> float:
    """How far, mm, an ankle is from its place across the line of sight, median of the contact; infinite if unknown."""
    own, anchor = ankles[contact.first : contact.last + 1, contact.side], _anchor(ankles, contact)
    ray = anchor / max(float(np.linalg.norm(anchor)), 1e-9)
    off = own - anchor
    away = np.linalg.norm(off - (off @ ray)[:, None] * ray, axis=1)
    return float(np.nanmedian(away)) if np.isfinite(away).any() else float("inf")


def _ramps(times: np.ndarray, contacts: list[Contact]) -> list[np.ndarray]:
    """Of each of one foot's ``contacts``, in order, (T,) in [0, 1]: 1 while it lasts, falling smoothly to 0 within
    ``RAMP_S`` on both sides, or until the next contact begins: the sum is nowhere above 1."""
    ramps = []
    for place, contact in enumerate(contacts):
        start, end = times[contact.first], times[contact.last]
        before = start - times[contacts[place - 1].last] if place else RAMP_S
        after = times[contacts[place + 1].first] - end if place + 1 < len(contacts) else RAMP_S
        away = np.maximum((start - times) / min(before, RAMP_S), (times - end) / min(after, RAMP_S))
        share = 1 - np.clip(away, 0, 1)
        ramps.append(share * share * (3 - 2 * share))
    return ramps


def _with_feet(track: PoseTrack, contacts: list[Contact], times: np.ndarray) -> np.ndarray:
    """``root_mm`` moved so that standing feet stay; between contacts it goes over from one shift to the next."""
    ankles, root = ankle_places(track), np.array(track.root_mm, dtype=np.float64)
    shift, total = np.zeros_like(root), np.zeros(len(root))
    for contact in contacts:
        own = slice(contact.first, contact.last + 1)
        off = _anchor(ankles, contact) - ankles[own, contact.side]
        known = np.isfinite(off).all(axis=1)
        shift[own][known] += off[known]
        total[own][known] += 1
    standing = total > 0
    if not standing.any():
        return root
    mean = shift[standing] / total[standing, None]
    smooth = np.stack([np.interp(times, times[standing], mean[:, axis]) for axis in range(3)], axis=1)
    for span in spans(times):
        smooth[span] = butterworth(smooth[span], times[span], BODY_HZ)
    return root + smooth
