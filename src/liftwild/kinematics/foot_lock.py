"""Feet that do not slide: each held where it stands, by the body's place and by hip and knee."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from liftwild.kinematics.contacts import SIDES, Contact, all_contacts, ankle_places
from liftwild.pose import PoseTrack
from liftwild.tracking.filters import butterworth, spans

RAMP_S = 0.12  # before and after a contact, over which the foot goes to its place and leaves it
BODY_HZ = 1.5  # of what the body's place takes over of the feet's; the rest is for hips and knees
MAX_PULL_MM = (
    150.0  # a foot that is so far from its place across the line of sight (median of a contact) does not stand
)
STRAIGHTEST = 0.999  # of thigh and shank: how far a leg is stretched at most


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
    track = replace(track, root_mm=_with_feet(track, contacts, times))
    ankles, kept = ankle_places(track), np.zeros((len(track), 2), dtype=bool)
    joints = np.array(track.joints_3d, dtype=np.float64)
    target, hold = ankles.copy(), np.zeros((len(track), 2))
    for contact in contacts:
        own = slice(contact.first, contact.last + 1)
        anchor = _anchor(ankles, contact)
        kept[own, contact.side] = True
        weight = _ramp(times, contact)
        more = weight > hold[:, contact.side]
        target[more, contact.side] = anchor
        hold[more, contact.side] = weight[more]
    for side, name in enumerate(SIDES):
        wanted = ankles[:, side] + hold[:, side, None] * (target[:, side] - ankles[:, side]) - track.root_mm
        leg = [track.skeleton.index(f"{name}_{part}") for part in ("hip", "knee", "ankle")]
        moved = hold[:, side] > 0
        hip, knee, ankle = (joints[moved, each] for each in leg)
        joints[moved, leg[1]], joints[moved, leg[2]] = bend_leg(hip, knee, ankle, wanted[moved])
    return replace(track, joints_3d=joints, contacts=kept)


def bend_leg(hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knee and ankle (T, 3) of a leg from ``hip`` whose ankle is at ``target``, or as near as its length allows.

    Thigh and shank keep their lengths; the knee stays on the side of the line from hip to ankle that it is on. NaN in,
    the same out.
    """
    thigh, shank = (np.linalg.norm(end - start, axis=1) for start, end in ((hip, knee), (knee, ankle)))
    way = target - hip
    length = np.linalg.norm(way, axis=1)
    reach = np.clip(length, np.abs(thigh - shank) + 1e-6, STRAIGHTEST * (thigh + shank))
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


def _anchor(ankles: np.ndarray, contact: Contact) -> np.ndarray:
    return np.asarray(np.nanmedian(ankles[contact.first : contact.last + 1, contact.side], axis=0))


def _across(ankles: np.ndarray, contact: Contact) -> float:
    """How far, mm, an ankle is from its place across the line of sight, median of the contact; infinite if unknown."""
    own, anchor = ankles[contact.first : contact.last + 1, contact.side], _anchor(ankles, contact)
    ray = anchor / max(float(np.linalg.norm(anchor)), 1e-9)
    off = own - anchor
    away = np.linalg.norm(off - (off @ ray)[:, None] * ray, axis=1)
    return float(np.nanmedian(away)) if np.isfinite(away).any() else float("inf")


def _ramp(times: np.ndarray, contact: Contact) -> np.ndarray:
    """(T,) in [0, 1]: 1 during the contact, falling to 0 within ``RAMP_S`` on both sides."""
    away = np.maximum(times[contact.first] - times, times - times[contact.last])
    return np.asarray(np.clip(1 - np.maximum(away, 0) / RAMP_S, 0, 1))


def _with_feet(track: PoseTrack, contacts: list[Contact], times: np.ndarray) -> np.ndarray:
    """``root_mm`` moved so that standing feet stay; between contacts it goes over from one shift to the next."""
    ankles, root = ankle_places(track), np.array(track.root_mm, dtype=np.float64)
    shift, total = np.zeros_like(root), np.zeros(len(root))
    for contact in contacts:
        weight = np.where(_ramp(times, contact) >= 1, 1.0, 0.0)
        off = _anchor(ankles, contact) - ankles[:, contact.side]
        known = np.isfinite(off).all(axis=1)
        shift[known] += (weight[:, None] * off)[known]
        total[known] += weight[known]
    standing = total > 0
    if not standing.any():
        return root
    mean = shift[standing] / total[standing, None]
    smooth = np.stack([np.interp(times, times[standing], mean[:, axis]) for axis in range(3)], axis=1)
    for span in spans(times):
        smooth[span] = butterworth(smooth[span], times[span], BODY_HZ)
    return root + smooth
