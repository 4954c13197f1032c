"""What a user holds: a person's pose, a person followed through a clip, and all that was found in a photo or clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from liftwild.camera import Camera
from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16, Skeleton

EVEN = 0.5  # a joint with a lower chance is rather outside the photo, or rather hidden by something


@dataclass(frozen=True, eq=False)
class Pose:
    """One person found in one photo.

    ``joints_2d`` (J, 2): px of the photo, x right, y down, the photo's top-left corner at (0, 0).
    ``joints_3d`` (J, 3): mm, camera axes (x right, y down, z away from the camera), pelvis at 0.
    ``confidence`` (J,): in [0, 1]; what it means stands in docs/using.md.
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


@dataclass(frozen=True, eq=False)
class PoseTrack:
    """One person followed through a clip: T poses, and the frames they are of.

    ``frames`` (T,) int: indices of the clip's frames, rising; a frame in which the person was not seen is not there.
    ``joints_2d`` (T, J, 2), ``joints_3d`` (T, J, 3), ``confidence`` (T, J), ``boxes`` (T, 4), ``depth_sd_mm`` (T, J) or
    None, ``root_mm`` (T, 3) or None: as in ``Pose``. ``annotation_ids``: T of them, or None. ``scores`` (T,): as in
    ``Pose``, NaN where there is none, or None where there is none at all. ``inside``, ``visible`` (T, J) or None: as in
    ``Pose``, NaN for a joint that the skeleton has and the network does not find.
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

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def is_outside(self) -> np.ndarray:
        """(T, J) bool: joints that are rather outside the photo; none where the weights do not tell."""
        return rather_not(self.inside, self.confidence)

    def pose(self, i: int) -> Pose:
        """The track's ``i``-th pose, that of frame ``frames[i]``."""
        x, y, w, h = (float(value) for value in self.boxes[i])
        return Pose(
            joints_2d=self.joints_2d[i],
            joints_3d=self.joints_3d[i],
            confidence=self.confidence[i],
            box=(x, y, w, h),
            annotation_id=None if self.annotation_ids is None else self.annotation_ids[i],
            skeleton=self.skeleton,
            depth_sd_mm=None if self.depth_sd_mm is None else self.depth_sd_mm[i],
            root_mm=None if self.root_mm is None else self.root_mm[i],
            person_id=self.person_id,
            inside=None if self.inside is None else self.inside[i],
            visible=None if self.visible is None else self.visible[i],
            score=None if self.scores is None or np.isnan(self.scores[i]) else float(self.scores[i]),
        )

    @classmethod
    def of_poses(cls, person_id: int, frames: Sequence[int], poses: Sequence[Pose]) -> PoseTrack:
        """The track of one person's ``poses`` (at least one) in ``frames``, all of one skeleton."""
        if not poses or len(poses) != len(frames):
            raise ValueError(f"a track needs poses, one for each frame, not {len(poses)} for {len(frames)}")

        def all_of(values: list[np.ndarray | None]) -> np.ndarray | None:
            known = [value for value in values if value is not None]
            return np.array(known) if len(known) == len(values) else None

        ids = tuple(pose.annotation_id for pose in poses)
        scores = np.array([np.nan if pose.score is None else pose.score for pose in poses], dtype=np.float64)
        return cls(
            person_id=person_id,
            frames=np.asarray(frames, dtype=np.int64),
            joints_2d=np.array([pose.joints_2d for pose in poses]),
            joints_3d=np.array([pose.joints_3d for pose in poses]),
            confidence=np.array([pose.confidence for pose in poses]),
            boxes=np.array([pose.box for pose in poses], dtype=np.float64),
            depth_sd_mm=all_of([pose.depth_sd_mm for pose in poses]),
            root_mm=all_of([pose.root_mm for pose in poses]),
            annotation_ids=None if all(value is None for value in ids) else ids,
            skeleton=poses[0].skeleton,
            scores=None if np.isnan(scores).all() else scores,
            inside=all_of([pose.inside for pose in poses]),
            visible=all_of([pose.visible for pose in poses]),
        )


@dataclass(frozen=True, eq=False)
class Recording:
    """All that was found in one photo or one clip; what every output format is written from.

    ``source``: file name of the photo or clip. ``width``, ``height``: px, upright. ``times_s`` (F,): when each frame is
    shown, seconds from the clip's first; one 0.0 for a photo. ``tracks``: the people. ``camera``: what placed them in
    space, or None; ``camera_from`` says where it comes from: "given", "exif", or "assumed, 50 degrees across".
    ``steps``: what was done to the poses after the network, one short sentence each, in order. ``confidence_is``: what
    the numbers of ``confidence`` are, in words, or "" where that is not known. ``computed_by``: what ran the network,
    and in which precision ("openvino bf16"), or "".
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
