"""What a user holds: a person's pose, a person followed through a clip, and all that was found in a photo or clip."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from liftwild.camera import Camera
from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16, Skeleton

if TYPE_CHECKING:
    from liftwild.kinematics.angles import JointAngles
    from liftwild.viz.picture import Picture

# Fields that a pose and a track have both, for one pose and for all.
ARRAYS = ("joints_2d", "joints_3d", "confidence", "depth_sd_mm", "root_mm", "inside", "visible")
EVEN = 0.5  # a joint with a lower chance is rather outside the photo, or rather hidden by something


class Joint(NamedTuple):
    """One joint of a ``Pose``, or of all T poses of a ``PoseTrack``. ``px`` ([T,] 2): in the photo. ``mm`` ([T,] 3):
    camera axes, pelvis at 0. ``confidence``: a number, or (T,)."""

    name: str
    px: np.ndarray
    mm: np.ndarray
    confidence: Any


@dataclass(frozen=True, eq=False, repr=False)
class Pose:
    """One person found in one photo.

    ``joints_2d`` (J, 2): px of the photo, x right, y down, the photo's top-left corner at (0, 0).
    ``joints_3d`` (J, 3): mm, camera axes (x right, y down, z away from the camera), pelvis at 0.
    ``confidence`` (J,): in [0, 1]; what it means stands in docs/confidence.md.
    ``box`` (x, y, w, h): px of the photo, where the person was looked for.
    ``annotation_id``: id of the label that gave the box, or None.
    ``depth_sd_mm`` (J,): spread of the joint's depth, mm, one standard deviation, or None where the weights know none.
    ``root_mm`` (3,): the pelvis in camera space, mm, or None where it was not estimated.
    ``person_id``: who it is, the same number in all frames of a clip, or None.
    ``peak``: mean height of the heatmaps' peaks, in [0, 1], or None where it was not kept: how much there is somebody,
    not whether joints are right.
    ``inside``, ``visible`` (J,): chances in [0, 1] that the joint lies in the photo, and that nothing hides it, or None
    where the weights do not tell; a joint that is rather outside is where the rest of the body says.
    ``score``: how sure the detector is that there is somebody, in [0, 1]; None where it was not asked: a box was given
    without one, or the person was followed from an earlier frame.
    A joint that was hidden on request is NaN in ``joints_2d``, ``joints_3d`` and ``depth_sd_mm``; the chances stay.
    """

    joints_2d: np.ndarray
    joints_3d: np.ndarray
    confidence: np.ndarray
    box: tuple[float, float, float, float]
    annotation_id: int | None = None
    skeleton: Skeleton = MPII_16
    depth_sd_mm: np.ndarray | None = None
    root_mm: np.ndarray | None = None
    person_id: int | None = None
    peak: float | None = None
    inside: np.ndarray | None = None
    visible: np.ndarray | None = None
    score: float | None = None

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The J joint names, in the order of the arrays."""
        return self.skeleton.names

    @property
    def is_outside(self) -> np.ndarray:
        """(J,) bool: joints that are rather outside the photo; none where the weights do not tell."""
        return rather_not(self.inside, self.confidence)

    def __getitem__(self, name: str) -> Joint:
        """The joint ``name``: ``pose["left_knee"].mm``; KeyError lists the names."""
        joint = _joint_index(self.skeleton, name)
        return Joint(name, self.joints_2d[joint], self.joints_3d[joint], float(self.confidence[joint]))

    def __iter__(self) -> Iterator[Joint]:
        """The joints, in order."""
        return (self[name] for name in self.skeleton.names)

    def to_dict(self) -> dict[str, dict[str, float]]:
        """By joint name: ``x_px``, ``y_px``, ``x_mm``, ``y_mm``, ``z_mm``, ``confidence``; the CSV's columns."""
        return {
            joint.name: dict(
                zip(
                    ("x_px", "y_px", "x_mm", "y_mm", "z_mm", "confidence"),
                    [*joint.px.tolist(), *joint.mm.tolist(), joint.confidence], strict=True,
                )
            )
            for joint in self
        }  # fmt: skip

    def plot(self, photo: np.ndarray | None = None) -> Picture:
        """A picture of the pose from three sides, beside the ``photo`` (H, W, 3) uint8 RGB where it is given; a
        notebook shows it, ``save`` writes it."""
        from liftwild.viz.picture import picture_of_poses

        return picture_of_poses([self], photo)

    def __repr__(self) -> str:
        x, y, w, h = self.box
        who = "" if self.person_id is None else f", person {self.person_id}"
        sure = float(np.mean(self.confidence))
        return (
            f"<Pose: {len(self.skeleton)} joints, box {x:.0f},{y:.0f},{w:.0f},{h:.0f} px, confidence {sure:.2f}{who}>"
        )


@dataclass(frozen=True, eq=False, repr=False)
class PoseTrack:
    """One person followed through a clip: T poses, and the frames they are of.

    ``frames`` (T,) int: indices of the clip's frames, rising; a frame in which the person was not seen is not there.
    ``joints_2d`` (T, J, 2), ``joints_3d`` (T, J, 3), ``confidence`` (T, J), ``boxes`` (T, 4), ``depth_sd_mm`` (T, J) or
    None, ``root_mm`` (T, 3) or None: as in ``Pose``. ``annotation_ids``: T of them, or None. ``scores`` (T,): as in
    ``Pose``, NaN where there is none, or None where there is none at all. ``inside``, ``visible`` (T, J) or None: as in
    ``Pose``, NaN for a joint that the skeleton has and the network does not find. ``filled`` (T,) bool or None: frames
    in which the person was not seen, whose pose is interpolated. ``contacts`` (T, 2) bool or None: whether the left and
    the right foot stand on something.
    """

    person_id: int
    frames: np.ndarray
    joints_2d: np.ndarray
    joints_3d: np.ndarray
    confidence: np.ndarray
    boxes: np.ndarray
    depth_sd_mm: np.ndarray | None = None
    root_mm: np.ndarray | None = None
    annotation_ids: tuple[int | None, ...] | None = None
    skeleton: Skeleton = MPII_16
    scores: np.ndarray | None = None
    inside: np.ndarray | None = None
    visible: np.ndarray | None = None
    filled: np.ndarray | None = None
    contacts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, name: str) -> Joint:
        """The joint ``name`` over time: ``track["left_knee"].mm`` (T, 3); KeyError lists the names."""
        joint = _joint_index(self.skeleton, name)
        return Joint(name, self.joints_2d[:, joint], self.joints_3d[:, joint], self.confidence[:, joint])

    def __repr__(self) -> str:
        first, last = (int(self.frames[i]) for i in (0, -1)) if len(self) else (0, 0)
        return f"<PoseTrack: person {self.person_id}, {len(self)} poses in frames {first} to {last}>"

    @property
    def is_outside(self) -> np.ndarray:
        """(T, J) bool: joints that are rather outside the photo; none where the weights do not tell."""
        return rather_not(self.inside, self.confidence)

    def pose(self, i: int) -> Pose:
        """The track's ``i``-th pose, that of frame ``frames[i]``."""
        x, y, w, h = (float(value) for value in self.boxes[i])
        arrays: dict[str, Any] = {}
        for name in ARRAYS:
            values = getattr(self, name)
            arrays[name] = None if values is None else values[i]
        return Pose(
            **arrays,
            box=(x, y, w, h),
            annotation_id=None if self.annotation_ids is None else self.annotation_ids[i],
            skeleton=self.skeleton,
            person_id=self.person_id,
            score=None if self.scores is None or np.isnan(self.scores[i]) else float(self.scores[i]),
        )

    @classmethod
    def of_poses(cls, person_id: int, frames: Sequence[int], poses: Sequence[Pose]) -> PoseTrack:
        """The track of one person's ``poses`` (at least one) in ``frames``, all of one skeleton."""
        if not poses or len(poses) != len(frames):
            raise ValueError(f"a track needs poses, one for each frame, not {len(poses)} for {len(frames)}")
        arrays: dict[str, Any] = {}
        for name in ARRAYS:
            values = [getattr(pose, name) for pose in poses]
            arrays[name] = None if any(value is None for value in values) else np.array(values)
        ids = tuple(pose.annotation_id for pose in poses)
        scores = np.array([np.nan if pose.score is None else pose.score for pose in poses], dtype=np.float64)
        return cls(
            person_id=person_id,
            frames=np.asarray(frames, dtype=np.int64),
            **arrays,
            boxes=np.array([pose.box for pose in poses], dtype=np.float64),
            annotation_ids=None if all(value is None for value in ids) else ids,
            skeleton=poses[0].skeleton,
            scores=None if np.isnan(scores).all() else scores,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """All that was found in one photo or one clip; what every output format is written from.

    ``source``: file name of the photo or clip. ``width``, ``height``: px, upright. ``times_s`` (F,): when each frame is
    shown, seconds from the clip's first; one 0.0 for a photo. ``tracks``: the people. ``camera``: what placed them in
    space, or None; ``camera_from`` says where it comes from: "given", "exif", or "assumed, 50 degrees across".
    ``steps``: what was done to the poses after the network, one short sentence each, in order. ``confidence_is``: what
    the numbers of ``confidence`` are, in words, or "" where that is not known. ``computed_by``: what ran the network,
    and in which precision ("openvino bf16"), or "". ``start_s``: of a part of a clip (``--start``), the clip's second
    at which it begins. ``picture`` (h, w, 3) uint8 RGB: a small copy of the photo, to look
    at in a notebook, or None; no file holds it.
    """

    source: str
    width: int
    height: int
    times_s: np.ndarray
    tracks: tuple[PoseTrack, ...]
    camera: Camera | None = None
    camera_from: str = ""
    steps: tuple[str, ...] = ()
    is_clip: bool = False
    confidence_is: str = ""
    computed_by: str = ""
    start_s: float = 0.0
    picture: np.ndarray | None = None

    @property
    def poses(self) -> list[Pose]:
        """The people of a photo; LiftwildError for a clip, whose people are ``tracks``."""
        if self.is_clip:
            raise LiftwildError("a clip's people are recording.tracks; recording.poses_in(frame) are those of a frame")
        return self.poses_in(0)

    def poses_in(self, frame: int) -> list[Pose]:
        """The people of one frame, by its index from 0."""
        found = []
        for track in self.tracks:
            found += [track.pose(int(i)) for i in np.flatnonzero(track.frames == frame)[:1]]
        return found

    def save(self, path: str | Path, rig: str = "plain") -> list[Path]:
        """Write one file in the format that its name ends in (x.json, x.csv, x.bvh, ...); the files written.

        Formats of one person each (BVH, TRC) give x.person0.bvh, x.person1.bvh, ... where there are several. ``rig``:
        the joints of animations, "plain", "mixamo" or "rigify".
        LiftwildError on an unknown ending, or where it cannot be written.
        """
        from liftwild.io.formats import save

        return save(self, Path(path), rig)

    def to_dataframe(self) -> Any:
        """A row for each joint of each person in each frame, as pandas has it: the columns of the CSV (docs/files.md).

        LiftwildError without pandas.
        """
        from liftwild.io.dataframe import to_dataframe

        return to_dataframe(self)

    def angles(self, min_confidence: float = EVEN) -> tuple[JointAngles, ...]:
        """The joint angles of each person, track by track, degrees (docs/angles.md); NaN where a joint of an angle has
        a confidence under ``min_confidence``, is hidden, or is rather outside the photo."""
        from liftwild.kinematics.angles import angles_of

        return angles_of(self, min_confidence)

    def to_dict(self) -> dict[str, Any]:
        """What the JSON file holds (docs/files.md)."""
        from liftwild.io.json_file import recording_document, to_bytes

        document: dict[str, Any] = json.loads(to_bytes(recording_document(self)))
        return document

    def plot(self, frame: int = 0) -> Picture:
        """A picture of the people of a ``frame``, beside the photo where it was kept; a notebook shows it."""
        from liftwild.viz.picture import picture_of_poses

        return picture_of_poses(self.poses_in(frame), self.picture, (self.width, self.height))

    def _repr_html_(self) -> str:
        """A photo as its figure, a clip as the viewer: what a notebook shows."""
        from liftwild.viz.picture import notebook_html

        return notebook_html(self)

    def __repr__(self) -> str:
        people = "1 person" if len(self.tracks) == 1 else f"{len(self.tracks)} people"
        frames = f"{len(self.times_s)} frames, " if self.is_clip else ""
        return f"<Recording: {self.source}, {self.width} x {self.height} px, {frames}{people}>"

    @classmethod
    def of_photo(
        cls, source: str, width: int, height: int, poses: Sequence[Pose], camera: Camera | None = None,
        camera_from: str = "", steps: tuple[str, ...] = (), confidence_is: str = "", computed_by: str = "",
    ) -> Recording:  # fmt: skip
        """A photo's poses: each person a track of one frame, numbered from 0 in their order."""
        tracks = tuple(PoseTrack.of_poses(i, [0], [pose]) for i, pose in enumerate(poses))
        return cls(
            source, width, height, np.zeros(1), tracks, camera, camera_from, steps, False, confidence_is, computed_by
        )


def _joint_index(skeleton: Skeleton, name: str) -> int:
    if name not in skeleton.names:
        raise KeyError(f"no joint {name!r}; there are {', '.join(skeleton.names)}")
    return skeleton.index(name)


def rather_not(chance: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    """Where ``chance`` says rather no, bool of the shape of ``like``: False where it is NaN, or None."""
    return np.zeros(np.shape(like), dtype=bool) if chance is None else np.asarray(chance) < EVEN


Hideable = TypeVar("Hideable", Pose, PoseTrack)


def hide(found: Hideable, min_confidence: float) -> Hideable:
    """``found`` with its joints of less confidence than ``min_confidence``, in [0, 1], hidden: NaN in ``joints_2d``,
    ``joints_3d`` and ``depth_sd_mm``. Their confidence and chances stay, and so does where the person is.

    To be done last: what is hidden is lost to all that comes after. LiftwildError if there is no such confidence.
    """
    if not 0 <= min_confidence <= 1:
        raise LiftwildError(f"the least confidence that is shown lies between 0 and 1, not at {min_confidence:g}")
    hidden = ~(found.confidence >= min_confidence)
    if not hidden.any():
        return found
    spread = found.depth_sd_mm
    return replace(
        found,
        joints_2d=np.where(hidden[..., None], np.nan, found.joints_2d),
        joints_3d=np.where(hidden[..., None], np.nan, found.joints_3d),
        depth_sd_mm=None if spread is None else np.where(hidden, np.nan, spread),
    )
