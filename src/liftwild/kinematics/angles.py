"""Joint angles of people from MPII-16 joints, degrees; docs/angles.md draws each and says how well it is known.

Frames, axes and signs are those of the International Society of Biomechanics (Wu et al. 2002, 2005): x forward, y up, z
to the person's right, turned right-handed; but flexion is always positive. What 16 joints do not tell is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.joint_mapping import track_in_skeleton
from liftwild.kinematics.upright import on_floor, upright
from liftwild.pose import EVEN, PoseTrack, Recording
from liftwild.skeleton import MPII_16

if TYPE_CHECKING:
    from liftwild.kinematics.cycles import Cycles, MotionRange, Symmetry

MIN_CONFIDENCE = EVEN  # less sure joints are rather wrong
# An angle in a plane is not known where less than this part of its bone lies in the plane (60 degrees out of it).
MIN_IN_PLANE = 0.5
MIN_LENGTH_M = 1e-4  # shorter bones have no direction
UP = np.array([0.0, 1.0, 0.0])
OPENS_DEG = 90.0  # flexion and abduction go from -90 to 270: an arm may be raised beyond straight up


class AngleKind(NamedTuple):
    """What an angle is. ``positive``: which way it grows; ``zero``: where it is 0; ``joints``: what it is made of, of
    the left side where it is one of two."""

    name: str
    positive: str
    zero: str
    joints: tuple[str, ...]


_TRUNK, _HIPS = ("left_hip", "right_hip", "thorax"), ("left_hip", "right_hip")
_SHOULDERS = ("left_shoulder", "right_shoulder")
_ARM = (*_TRUNK, *_SHOULDERS, "left_elbow")
KINDS = (
    AngleKind("pelvis_list", "right hip down", "hips level", _HIPS),
    AngleKind("pelvis_rotation", "to the left", "facing the camera", _HIPS),
    AngleKind("trunk_flexion", "forward", "upright", _TRUNK),
    AngleKind("trunk_bending", "to the right", "upright", _TRUNK),
    AngleKind("trunk_twist", "shoulders to the left", "shoulders over the hips", (*_TRUNK, *_SHOULDERS)),
    AngleKind("head_flexion", "forward", "along the trunk", (*_TRUNK, *_SHOULDERS, "upper_neck", "head_top")),
    AngleKind("head_bending", "to the right", "along the trunk", (*_TRUNK, *_SHOULDERS, "upper_neck", "head_top")),
)
SIDED_KINDS = (
    AngleKind("hip_flexion", "thigh forward", "thigh along the trunk", (*_TRUNK, "left_knee")),
    AngleKind("hip_adduction", "thigh inward", "thigh square to the hips", (*_HIPS, "left_knee")),
    AngleKind("knee_flexion", "bent", "straight", ("left_hip", "left_knee", "left_ankle")),
    AngleKind("shoulder_flexion", "arm forward", "arm along the trunk", _ARM),
    AngleKind("shoulder_abduction", "arm outward", "arm along the trunk", _ARM),
    AngleKind("shoulder_elevation", "arm up, any way", "arm along the trunk", (*_TRUNK, "left_shoulder", "left_elbow")),
    AngleKind("elbow_flexion", "bent", "straight", ("left_shoulder", "left_elbow", "left_wrist")),
)
SIDES = ("left", "right")
ANGLE_NAMES = (*(kind.name for kind in KINDS), *(f"{side}_{kind.name}" for kind in SIDED_KINDS for side in SIDES))


class BodyFrames(NamedTuple):
    """Axes (T, 3 axes, 3) of parts of the body, each x forward, y up, z right in the part: ``heading`` stands upright
    and faces where the pelvis does; NaN where an axis is not known."""

    heading: np.ndarray
    pelvis: np.ndarray
    thorax: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class JointAngles:
    """The angles of one person: ``degrees`` (T, A), NaN where one is not known, of the clip's ``frames`` (T,), shown at
    ``times_s`` (T,). The A angles are ``ANGLE_NAMES``; ``person_id`` is the track's."""

    person_id: int
    frames: np.ndarray
    times_s: np.ndarray
    degrees: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """The angles, in the order of ``degrees``."""
        return ANGLE_NAMES

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, name: str) -> np.ndarray:
        """The angle ``name`` over time (T,), degrees; LiftwildError lists the names."""
        return np.asarray(self.degrees[:, angle_index(name)])

    def ranges(self) -> dict[str, MotionRange]:
        """The range of motion of each angle over the clip."""
        from liftwild.kinematics.cycles import motion_ranges

        return motion_ranges(self)

    def symmetry(self) -> dict[str, Symmetry]:
        """Left beside right, for each angle that has two sides, by its name without the side."""
        from liftwild.kinematics.cycles import side_symmetry

        return side_symmetry(self)

    def repetitions(self, by: str) -> Cycles:
        """The repetitions of a movement, from low to low of the angle ``by``: as ``cycles.repetitions``."""
        from liftwild.kinematics.cycles import repetitions

        return repetitions(self, by)

    def strides(self, contacts: np.ndarray, side: str = "left") -> Cycles:
        """The strides of a side, from ``contacts`` (T, 2) bool of left and right foot: as ``cycles.strides``."""
        from liftwild.kinematics.cycles import strides

        return strides(self, contacts, side)

    def to_dict(self) -> dict[str, np.ndarray]:
        """By column of the CSV: ``frame``, ``time_s``, ``person_id``, and each angle as ``<name>_deg``, (T,) each."""
        from liftwild.io.angle_table import angle_table

        return angle_table([self])

    def to_dataframe(self) -> Any:
        """A row a frame, with the columns of the CSV, not rounded. LiftwildError without pandas."""
        from liftwild.io.angle_table import angle_dataframe

        return angle_dataframe([self])

    def save(self, path: str | Path) -> None:
        """Write the CSV file ``path``; LiftwildError on another ending, or if it cannot be written."""
        from liftwild.io.angle_table import save_angles

        save_angles([self], Path(path))

    def plot(self, path: str | Path) -> None:
        """Draw the angles over time into the PNG ``path``. LiftwildError without matplotlib (``liftwild[figures]``)."""
        from liftwild.viz.angle_chart import write_angle_chart

        write_angle_chart(Path(path), self)

    def __repr__(self) -> str:
        known = np.isfinite(self.degrees).mean() if self.degrees.size else 0.0
        return f"<JointAngles: person {self.person_id}, {len(self)} frames, {100 * known:.0f} % known>"


def angle_index(name: str) -> int:
    """Where the angle ``name`` is in ``ANGLE_NAMES``; LiftwildError if there is none of that name."""
    if name not in ANGLE_NAMES:
        raise LiftwildError(f"no angle {name!r}; there are {', '.join(ANGLE_NAMES)}")
    return ANGLE_NAMES.index(name)


def joints_of_angle(name: str) -> tuple[str, ...]:
    """The joints that the angle ``name`` is made of."""
    side, _, rest = name.partition("_")
    if side not in SIDES:
        return next(kind.joints for kind in KINDS if kind.name == name)
    joints = next(kind.joints for kind in SIDED_KINDS if kind.name == rest)
    if side == "left":
        return joints
    swap = {"left": "right", "right": "left"}
    parts = [joint.partition("_") for joint in joints]
    return tuple(f"{swap[first]}_{last}" if first in swap else first + mid + last for first, mid, last in parts)


def angles_of(recording: Recording, min_confidence: float = MIN_CONFIDENCE) -> tuple[JointAngles, ...]:
    """The angles of each person of ``recording``, track by track, degrees.

    Up is the room's where the feet show it (``level``), else the camera's. An angle is NaN in frames in which one of
    its joints is hidden, has a confidence under ``min_confidence`` in [0, 1], is rather outside the photo, or lies so
    that the angle is not defined (``MIN_IN_PLANE``). LiftwildError on a confidence out of [0, 1].
    """
    if not 0 <= min_confidence <= 1:
        raise LiftwildError(
            f"the least confidence of an angle's joints lies between 0 and 1, not at {min_confidence:g}"
        )
    recording = on_floor(recording)
    return tuple(_track_angles(track, recording.times_s, min_confidence) for track in recording.tracks)


def _track_angles(track: PoseTrack, times_s: np.ndarray, min_confidence: float) -> JointAngles:
    track = track_in_skeleton(track, MPII_16)
    known = (track.confidence >= min_confidence) & ~track.is_outside
    degrees = angles_of_joints(np.where(known[..., None], upright(track)[1], np.nan))
    heading = degrees[:, angle_index("pelvis_rotation")]  # a view
    seen = np.isfinite(heading)
    heading[seen] = np.unwrap(heading[seen], period=360.0)  # no leap where somebody turns round
    return JointAngles(track.person_id, track.frames, np.asarray(times_s, dtype=np.float64)[track.frames], degrees)


def angles_of_joints(joints: np.ndarray) -> np.ndarray:
    """Angles (T, A) in degrees, in the order of ``ANGLE_NAMES``, of MPII-16 ``joints`` (T, 16, 3).

    ``joints``: m, x right, y up, z toward the camera, as ``upright`` turns them; NaN where one is not known. Where the
    person is does not matter. NaN where an angle is not known or not defined.
    """
    joints = np.asarray(joints, dtype=np.float64)
    at = {name: joints[:, i] for i, name in enumerate(MPII_16.names)}
    heading, pelvis, thorax = body_frames(joints)
    trunk, hips = thorax[:, 1], pelvis[:, 2]
    out = {
        "pelvis_list": -_arcsin(hips @ UP),
        # A heading is toward the camera at 0 and toward the picture's right, a quarter to the left, at 90.
        "pelvis_rotation": _atan2(heading[:, 0] @ (1, 0, 0), heading[:, 0] @ (0, 0, 1)),
    }
    forward, upward, right = _within(heading, trunk)
    out["trunk_flexion"] = _plane_angle(forward, upward)
    out["trunk_bending"] = _arcsin(right) + 0 * forward
    twisted = _within(_frame(y=trunk, near_z=hips), thorax[:, 2])
    out["trunk_twist"] = _atan2(twisted[0], twisted[2])
    head = _within(thorax, unit_directions(at["head_top"] - at["upper_neck"]))
    out["head_flexion"] = _plane_angle(head[0], head[1])
    out["head_bending"] = _arcsin(head[2])
    for side, outward in (("left", -1.0), ("right", 1.0)):
        thigh = at[f"{side}_knee"] - at[f"{side}_hip"]
        arm = at[f"{side}_elbow"] - at[f"{side}_shoulder"]
        forward, upward, right = _within(pelvis, unit_directions(thigh))
        out[f"{side}_hip_flexion"] = _plane_angle(forward, -upward)
        out[f"{side}_hip_adduction"] = _arcsin(-outward * right)
        out[f"{side}_knee_flexion"] = _bend(thigh, at[f"{side}_ankle"] - at[f"{side}_knee"])
        forward, upward, right = _within(thorax, unit_directions(arm))
        out[f"{side}_shoulder_flexion"] = _plane_angle(forward, -upward)
        out[f"{side}_shoulder_abduction"] = _plane_angle(outward * right, -upward)
        out[f"{side}_shoulder_elevation"] = _bend(-trunk, arm)
        out[f"{side}_elbow_flexion"] = _bend(arm, at[f"{side}_wrist"] - at[f"{side}_elbow"])
    return np.degrees(np.stack([out[name] for name in ANGLE_NAMES], axis=1))


def body_frames(joints: np.ndarray) -> BodyFrames:
    """The axes of the body's parts, of ``joints`` as in ``angles_of_joints``.

    The pelvis has its z along the hips, the thorax its y along the trunk, from the middle of the hips to the thorax;
    each part's other axes are as near as may be to trunk and shoulders.
    """
    at = {name: joints[:, i] for i, name in enumerate(MPII_16.names)}
    trunk = unit_directions(at["thorax"] - (at["left_hip"] + at["right_hip"]) / 2)
    hips = unit_directions(at["right_hip"] - at["left_hip"])
    shoulders = unit_directions(at["right_shoulder"] - at["left_shoulder"])
    return BodyFrames(
        _frame(y=np.broadcast_to(UP, hips.shape), near_z=hips), _frame(z=hips, near_y=trunk),
        _frame(y=trunk, near_z=shoulders),
    )  # fmt: skip


def unit_directions(vectors: np.ndarray) -> np.ndarray:
    """``vectors`` (T, 3), m, at length 1; NaN where there is no length."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > MIN_LENGTH_M, length, np.nan))


def _frame(
    y: np.ndarray | None = None, z: np.ndarray | None = None, near_y: np.ndarray | None = None,
    near_z: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Axes (T, 3 axes, 3): x forward, y up, z right. One of ``y``, ``z`` is exact, the other's unit vector is turned
    square to it; NaN where less than ``MIN_IN_PLANE`` of it is left."""
    kept, near = (y, near_z) if y is not None else (z, near_y)
    assert kept is not None and near is not None
    square = near - (near * kept).sum(axis=-1, keepdims=True) * kept
    length = np.linalg.norm(square, axis=-1, keepdims=True)
    square = square / np.where(length >= MIN_IN_PLANE, length, np.nan)
    y, z = (kept, square) if y is not None else (square, kept)
    return np.stack([np.cross(y, z), y, z], axis=1)


def _within(frame: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """``vectors`` (T, 3) in the axes of ``frame`` (T, 3, 3): forward, up, right (3, T)."""
    return np.einsum("tij,tj->it", frame, vectors)


def _plane_angle(sine: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """The angle of a unit vector's part in a plane, rad, from -90 to 270 degrees; NaN where the part is too small."""
    opens = np.radians(OPENS_DEG)
    angle = (_atan2(sine, cosine) + opens) % (2 * np.pi) - opens
    return np.where(np.hypot(sine, cosine) >= MIN_IN_PLANE, angle, np.nan)


def _atan2(sine: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    return np.asarray(np.arctan2(sine, cosine))


def _arcsin(sine: np.ndarray) -> np.ndarray:
    return np.asarray(np.arcsin(np.clip(sine, -1.0, 1.0)))


def _bend(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Between two bones (T, 3) one after the other, rad: 0 where they lie in one line, never negative."""
    first, second = unit_directions(first), unit_directions(second)
    # Half-angle formula: exact near 0, where the arc cosine is not.
    return np.asarray(2 * np.arctan2(np.linalg.norm(second - first, axis=-1), np.linalg.norm(second + first, axis=-1)))
