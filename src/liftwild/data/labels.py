"""Labels of a person, from any reader: joints mapped to MPII-16, and the reason where somebody is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from liftwild.boxes import Box, joints_box
from liftwild.camera import FARTHEST_MM, FARTHEST_PX, Camera
from liftwild.sample import Sample
from liftwild.skeleton import MADE_UP_JOINTS, MPII_16, match_names

MIN_JOINTS = 2  # labelled joints of a person: one tells no size
MIN_BOX_PX = 8.0  # the longer side of a person's box
LARGEST_BOX = 4.0  # a box with a side so many times that of its photo is no person's
OUTSIDE = "joints outside the photo"  # why somebody is left out; most people so, and the photos are of another size
# A joint may lie this far outside its photo: labelling tools round, and clicks on the border land beside it.
OUTSIDE_TOLERANCE_PX = 1.0
FAR_OUTSIDE = 0.05  # of the photo's longer side: no joint that was clicked lies so far outside
MIN_INSIDE = 0.5  # of the joints of somebody whose joints were measured in 3D, who may leave the photo


@dataclass(frozen=True)
class Skip:
    """Something left out: the photo's file, the annotation's id, and why."""

    file_name: str
    annotation_id: int | None
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        where = self.file_name if self.annotation_id is None else f"{self.file_name}, annotation {self.annotation_id}"
        return f"{where}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, eq=False)
class LabelledPerson:
    """The labels of one person, in MPII-16 order (J = 16), px of the photo and mm of camera space as in ``Sample``.

    ``photo_size`` (width, height) as the labels state it, or None; ``perhaps_turned``: width and height may be
    exchanged in it, the joints are on the upright photo all the same; ``image_id`` of its photo.
    """

    file_name: str
    annotation_id: int
    photo_size: tuple[int, int] | None
    joints_2d: np.ndarray
    joints_2d_valid: np.ndarray
    joints_3d: np.ndarray
    depth_valid: np.ndarray
    camera: Camera | None
    box: Box
    image_id: int | str
    perhaps_turned: bool = False
    visibility: np.ndarray | None = None


def positions(names: Sequence[str], unused: Iterable[str] = ()) -> list[int | None]:
    """Where each MPII-16 joint is in ``names`` (``skeleton.match_names``); ``unused``: names without a counterpart."""
    unused = set(unused)
    kept = [i for i, name in enumerate(names) if name not in unused]
    return [None if at is None else kept[at] for at in match_names([names[i] for i in kept])]


def to_mpii(match: list[int | None], joints: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints (K, D) and validity (K,) in MPII-16 order; missing pelvis and thorax made up."""
    out, known = np.zeros((len(match), joints.shape[1])), np.zeros(len(match), dtype=bool)
    for target, source in enumerate(match):
        if source is not None and valid[source]:
            out[target], known[target] = joints[source], True
    for name, pair in MADE_UP_JOINTS.items():
        target, (a, b) = MPII_16.index(name), (MPII_16.index(end) for end in pair)
        if match[target] is None and known[a] and known[b]:
            out[target], known[target] = (out[a] + out[b]) / 2, True
    return out, known


def within(joints_2d: np.ndarray, size: tuple[int, int], slack_px: float = OUTSIDE_TOLERANCE_PX) -> np.ndarray:
    """Which of joints (..., 2) lie in a photo of ``size`` (width, height) px, or at most ``slack_px`` beside it."""
    return np.all((joints_2d >= -slack_px) & (joints_2d <= np.array(size) + slack_px), axis=-1)


def box_fault(box: Box, size: tuple[int, int]) -> str:
    """Why a box cannot be that of a person in a photo of ``size`` (width, height); "" if it can."""
    x, y, w, h = box
    if x >= size[0] or y >= size[1] or x + w <= 0 or y + h <= 0:
        return "bbox outside the photo"
    if max(w, h) > LARGEST_BOX * max(size):
        return "bbox far larger than the photo"
    return "bbox too small for a person" if max(w, h) < MIN_BOX_PX else ""


def labelled_sample(
    image: np.ndarray,
    match: list[int | None],
    joints_2d: np.ndarray | None,
    *,
    source: str,
    annotation_id: int,
    valid: np.ndarray | None = None,
    joints_3d: np.ndarray | None = None,
    camera: Camera | None = None,
    box: Box | None = None,
    subject: str = "",
    group: str = "",
    head_size_px: float | None = None,
    spine_3d: np.ndarray | None = None,
) -> Sample | Skip:
    """A sample from joints (K, 2) in px and (K, 3) in mm of a joint set that ``match`` maps (``positions``).

    ``joints_2d`` None: only the 3D joints are known. ``valid`` (K,) bool: which 2D joints are known, all that are
    numbers by default. Without ``box`` it is that of the labelled joints. The rest as in ``Sample``. A ``Skip`` for
    somebody whose joints or box cannot be of this photo.
    """
    here, seen = np.zeros((len(match), 2)), np.zeros(len(match), dtype=bool)
    if joints_2d is not None:
        known = _near(joints_2d, FARTHEST_PX) & (True if valid is None else valid)
        here, seen = to_mpii(match, joints_2d, known)
    space, depth_valid = np.zeros((len(match), 3)), np.zeros(len(match), dtype=bool)
    if joints_3d is not None:
        space, depth_valid = to_mpii(match, joints_3d, _near(joints_3d, FARTHEST_MM))
    if spine_3d is not None and not _near(spine_3d, FARTHEST_MM):
        spine_3d = None
    box = box or joints_box(here[seen])
    if box is None or max(seen.sum(), depth_valid.sum()) < MIN_JOINTS:
        return Skip(source, annotation_id, "too few joints labelled")
    height, width = image.shape[:2]
    is_inside = within(here[seen], (width, height), FAR_OUTSIDE * max(width, height))
    if seen.any() and is_inside.mean() < (MIN_INSIDE if depth_valid.any() else 1.0):
        detail = f"it is {width}x{height} px; labels need the photos in their first size"
        return Skip(source, annotation_id, OUTSIDE, detail)
    if fault := box_fault(box, (width, height)):
        return Skip(source, annotation_id, fault, f"photo is {width}x{height}")
    return Sample(
        image, here, seen, space, depth_valid, camera, box, source, annotation_id, subject, group, head_size_px,
        spine_3d=spine_3d,
    )  # fmt: skip


def _near(joints: np.ndarray, farthest: float) -> np.ndarray:
    """Which joints (..., D) are known and where one can be."""
    return (np.abs(joints) <= farthest).all(axis=-1)  # NaN is not
