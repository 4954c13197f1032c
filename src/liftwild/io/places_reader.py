"""Joints in space, as motion capture files have them, as a recording: what TRC and BVH files are read with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.joint_mapping import track_in_skeleton
from liftwild.kinematics.upright import Y_UP
from liftwild.placement.floor import Levelled
from liftwild.pose import PoseTrack
from liftwild.skeleton import MPII_16, Skeleton, canonical_name

MM_PER_M = 1000.0
UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}  # of files
_SIDES = {"l": "left", "r": "right", "left": "left", "right": "right"}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_PARTS = {"hip", "knee", "ankle", "shoulder", "elbow", "wrist"}
_PERSON = re.compile(r"\.person(-?\d+)\.[a-z0-9]+")
ROOT = ("pelvis", ("left_hip", "right_hip"))  # what a pose is relative to, or the middle of what


def joint_of(name: str) -> str | None:
    """The joint of MPII-16 that a marker's or joint's name means (LHip, left_hip, RightKnee), or None."""
    if (known := canonical_name(name)) in MPII_16.names:
        return known
    words = [word.lower() for word in _WORD.findall(name)]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    rest = "_".join(word for word in words if word not in _SIDES)
    if len(sides) == 1:
        return f"{sides[0]}_{rest}" if rest in _PARTS else None
    return found if (found := canonical_name(rest)) in MPII_16.names and not sides else None


def recording_of_places(
    path: Path,
    places: np.ndarray,
    names: Sequence[str],
    frames: np.ndarray,
    times_s: np.ndarray,
    steps: tuple[str, ...],
) -> Levelled:
    """The recording of one person's joints ``places`` (T, K, 3): m, y up, the floor at 0, NaN where hidden.

    ``names`` (K,): joints of MPII-16, or other names, which are left out. ``frames`` (T,): indices, rising; ``times_s``
    (F,): of all frames up to the last. The result has no 2D joints, no picture, and y down in the room.
    LiftwildError if there is no pelvis, nor both hips.
    """
    at: dict[str, int] = {}
    for position, name in enumerate(names):
        if (joint := joint_of(name)) is not None:
            at.setdefault(joint, position)
    if ROOT[0] not in at and not set(ROOT[1]) <= set(at):
        raise LiftwildError(
            f"{path}: neither a pelvis nor two hips among its joints: {', '.join(names)}; docs/motion.md lists names"
        )
    found = Skeleton(tuple(at), tuple(range(-1, len(at) - 1)))  # its bones are never asked for
    points = places[:, list(at.values())] @ Y_UP * MM_PER_M
    ends = [ROOT[0]] if ROOT[0] in at else ROOT[1]
    root = np.asarray(points[:, [found.index(name) for name in ends]].mean(axis=1))
    count = len(frames)
    raw = PoseTrack(
        person_id=_person_of(path),
        frames=np.asarray(frames, dtype=np.int64),
        joints_2d=np.full((count, len(at), 2), np.nan),
        joints_3d=points - root[:, None],
        confidence=np.asarray(np.isfinite(points).all(axis=-1), dtype=np.float64),
        boxes=np.zeros((count, 4)),
        root_mm=root,
        skeleton=found,
    )
    track = track_in_skeleton(raw, MPII_16)
    return Levelled(path.name, 0, 0, np.asarray(times_s), (track,), steps=steps, is_clip=len(times_s) > 1)


def _person_of(path: Path) -> int:
    """The number in the name of a file of one person, else 0."""
    match = _PERSON.search(path.name)
    return int(match[1]) if match else 0
