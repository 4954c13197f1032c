"""How tall people are, by their bones; and people made as tall as is known."""

from __future__ import annotations

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


def sized(recording: Recording, height_m: float) -> Recording:
    """The recording with everybody ``height_m`` tall, in m, when standing straight (``standing_height_mm``).

    Poses, spreads and places are scaled, each person through a whole clip by one factor (of the median height over the
    frames), so what is seen in the photo stays. Somebody whose height cannot be told stays too. LiftwildError if the
    height is no person's.
    """
    check_height(height_m)
    step = f"scaled to a standing height of {height_m:g} m"
    return replace(
        recording, tracks=tuple(_sized(track, height_m) for track in recording.tracks), steps=(*recording.steps, step)
    )


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


def check_height(height_m: float) -> None:
    """LiftwildError if nobody is ``height_m`` tall, in m."""
    if not HEIGHTS_M[0] <= height_m <= HEIGHTS_M[1]:
        raise LiftwildError(
            f"a person is {HEIGHTS_M[0]:g} to {HEIGHTS_M[1]:g} m tall, not {height_m:g}; give the height in metres"
        )
