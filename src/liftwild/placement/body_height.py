"""How tall people are, by their bones; and people made as tall as is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from liftwild.camera import bone_lengths
from liftwild.errors import LiftwildError
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MPII_16, Skeleton

HEIGHTS_M = (0.3, 2.6)  # of a person; beyond them a number is a slip (cm, feet)
# Standing height from bones: those along the body, one after the other from the ankle to the top of the head, are this
# part of it; the rest is from ankle to sole. Both shares are means over the bodies of
# ``synthetic/body/body.npz`` (the first deviates by 0.002, grown or not).
HEIGHT_LEGS = (("ankle", "knee"), ("knee", "hip"))
HEIGHT_SPINE = ("pelvis", "thorax", "upper_neck", "head_top")
BONES_SHARE, ANKLE_SHARE = 0.959, 0.045


def standing_height_mm(joints_3d: np.ndarray, skeleton: Skeleton = MPII_16) -> np.ndarray:
    """How tall people are when they stand straight, (...) mm, from the bones of poses (..., J, 3) mm.

    Lower leg + upper leg (means of left and right) + pelvis to thorax to upper neck to head top, over ``BONES_SHARE``
    for what is below the ankle. NaN where one of these joints is; KeyError if ``skeleton`` lacks one.
    """
    total = np.zeros(joints_3d.shape[:-2])
    for lower, upper in HEIGHT_LEGS:
        sides = [(skeleton.index(f"{side}_{lower}"), skeleton.index(f"{side}_{upper}")) for side in ("left", "right")]
        total = total + bone_lengths(joints_3d, sides).mean(-1)
    spine = [skeleton.index(name) for name in HEIGHT_SPINE]
    total = total + bone_lengths(joints_3d, list(pairwise(spine))).sum(-1)
    return np.asarray(total / BONES_SHARE)


Heights = float | Mapping[int, float]  # m: of everybody, or by ``person_id``


def sized(recording: Recording, height_m: Heights) -> Recording:
    """The recording with everybody ``height_m`` tall, in m, when standing straight (``standing_height_mm``); of a
    mapping by ``person_id`` those who are in it.

    Poses, spreads and places are scaled, each person through a whole clip by one factor (of the median height over the
    frames), so what is seen in the photo stays. Somebody whose height cannot be told stays too. LiftwildError if the
    height is no person's, or nobody has one of the numbers.
    """
    check_height(height_m)
    own = {track.person_id: height_m for track in recording.tracks} if isinstance(height_m, float | int) else height_m
    numbers = {track.person_id for track in recording.tracks}
    if missing := sorted(set(own) - numbers):
        there = ", ".join(map(str, sorted(numbers))) or "none"
        raise LiftwildError(f"a height is given for person {missing[0]}, who is not there; people: {there}")
    tracks = tuple(
        _sized(track, own[track.person_id]) if track.person_id in own else track for track in recording.tracks
    )
    said = f"{height_m:g} m" if isinstance(height_m, float | int) else ", ".join(
        f"{own[number]:g} m (person {number})" for number in sorted(own)
    )  # fmt: skip
    return replace(recording, tracks=tracks, steps=(*recording.steps, f"scaled to a standing height of {said}"))


def _sized(track: PoseTrack, height_m: float) -> PoseTrack:
    heights = standing_height_mm(track.joints_3d, track.skeleton)
    known = heights[np.isfinite(heights) & (heights > 0)]
    if len(known) == 0:
        return track
    factor = 1000 * height_m / float(np.median(known))
    root, spread = track.root_mm, track.depth_sd_mm
    return replace(
        track,
        joints_3d=track.joints_3d * factor,
        root_mm=None if root is None else root * factor,
        depth_sd_mm=None if spread is None else spread * factor,
    )


def check_height(height_m: Heights) -> None:
    """LiftwildError if nobody is ``height_m`` tall, in m."""
    for height in [height_m] if isinstance(height_m, float | int) else height_m.values():
        if not HEIGHTS_M[0] <= height <= HEIGHTS_M[1]:
            raise LiftwildError(
                f"a person is {HEIGHTS_M[0]:g} to {HEIGHTS_M[1]:g} m tall, not {height:g}; give the height in metres"
            )
