"""Poses in other joint sets: mapped by name, for files and pictures that are asked for in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MEAN_JOINTS, MPII_16, Skeleton, canonical_name


def track_in_skeleton(track: PoseTrack, skeleton: Skeleton) -> PoseTrack:
    """``track`` in the joints of ``skeleton``, by name.

    A joint of ``MEAN_JOINTS`` that the track lacks is the mean of its two, also in 2D; its confidence is the lower of
    theirs, its ``depth_sd_mm`` their mean, the most it can be, and its ``inside`` and ``visible`` are their products.
    Any other joint that the track lacks is NaN, with confidence 0.
    """
    if track.skeleton == skeleton:
        return track
    sources = _sources([canonical_name(name) for name in track.skeleton.names], skeleton)
    shape = (len(track), len(skeleton))
    joints_2d, joints_3d = np.full((*shape, 2), np.nan), np.full((*shape, 3), np.nan)
    confidence = np.zeros(shape)
    depth_sd_mm = None if track.depth_sd_mm is None else np.full(shape, np.nan)
    for joint, pair in enumerate(sources):
        if not pair:
            continue
        ends = list(pair)
        joints_2d[:, joint] = track.joints_2d[:, ends].mean(axis=1)
        joints_3d[:, joint] = track.joints_3d[:, ends].mean(axis=1)
        confidence[:, joint] = track.confidence[:, ends].min(axis=1)
        if depth_sd_mm is not None and track.depth_sd_mm is not None:
            depth_sd_mm[:, joint] = track.depth_sd_mm[:, ends].mean(axis=1)

    def both(chance: np.ndarray | None) -> np.ndarray | None:
        if chance is None:
            return None
        ends = [chance[:, list(pair)].prod(axis=1) if pair else np.full(len(track), np.nan) for pair in sources]
        return np.stack(ends, axis=1)

    return replace(
        track, joints_2d=joints_2d, joints_3d=joints_3d, confidence=confidence, depth_sd_mm=depth_sd_mm,
        skeleton=skeleton, inside=both(track.inside), visible=both(track.visible),
    )  # fmt: skip


def in_skeleton(recording: Recording, skeleton: Skeleton) -> Recording:
    """``recording`` with every track in the joints of ``skeleton``."""
    return replace(recording, tracks=tuple(track_in_skeleton(track, skeleton) for track in recording.tracks))


def joint_notes(skeleton: Skeleton) -> dict[str, str]:
    """What is to be said of joints of ``skeleton`` that the network does not find: how each is made up, or that it is
    not known."""
    notes = {}
    for name, pair in zip(skeleton.names, _sources(MPII_16.names, skeleton), strict=True):
        if len(pair) == 2:
            notes[name] = f"made up: the middle of {MPII_16.names[pair[0]]} and {MPII_16.names[pair[1]]}"
        elif not pair:
            notes[name] = "not known: always empty, with confidence 0"
    return notes


def _sources(names: Sequence[str], skeleton: Skeleton) -> list[tuple[int, ...]]:
    """For each joint of ``skeleton`` the positions in ``names`` of the joints it is made of: one, two, or none."""
    at = {name: position for position, name in enumerate(names)}

    def find(name: str) -> tuple[int, ...]:
        if name in at:
            return (at[name],)
        pair = MEAN_JOINTS.get(name, ())
        return tuple(at[end] for end in pair) if all(end in at for end in pair) else ()

    return [find(canonical_name(name)) for name in skeleton.names]
