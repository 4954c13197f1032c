"""Reader of the open label format: COCO keypoints JSON, optionally with ``keypoints_3d`` and ``camera``.

Joints are mapped by name; a pelvis or thorax that a joint set lacks is the middle of the hips or shoulders
(``skeleton.MADE_UP_JOINTS``). What is wrong with the file as a whole is an error; what is wrong with one person is a
``Skip`` that names the file and the reason.

Labelling tools differ, and what they write is taken as it is: ids from 0 on, as 1.0 or as "1"; no bbox, or one without
size, where the joints make one; whole numbers as floats; null for what is not labelled; further fields; categories
without keypoints, or with those of something else than a person. Label Studio states the size of a photo as its file
has it, but its joints are on the photo turned upright by EXIF (github.com/HumanSignal/label-studio/issues/6608).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from liftwild.boxes import joints_box
from liftwild.camera import FARTHEST_MM, MIN_SPAN_MM, REPROJECTION_TOLERANCE, Camera
from liftwild.data.labels import (
    MIN_JOINTS,
    LabelledPerson,
    Skip,
    to_mpii,
    within,
)
from liftwild.data.readers.coco_file import (
    UnusableError,
    bbox_of,
    coco_tables,
    key_of,
    keypoints_of,
    people_categories,
    read_document,
    triples_of,
)
from liftwild.errors import LiftwildError
from liftwild.skeleton import canonical_name, match_names

MIN_Z_MM = 1e-3  # nobody is nearer to a camera
MAX_FOCAL_PX = 1e7  # of a camera; its centre is no farther away either


def read_labels(path: str | Path) -> tuple[list[LabelledPerson], list[Skip]]:
    """Every usable person of a label file, and what was left out.

    LiftwildError if the file is not COCO keypoints JSON, has no category whose joints are all known, or uses an id
    twice.
    """
    path = Path(path)
    labels = read_document(path)
    images, annotations, categories = coco_tables(path, labels, "images", "annotations", "categories")
    info = labels.get("info")
    perhaps_turned = isinstance(info, dict) and info.get("contributor") == "Label Studio"
    joints: dict[Any, list[str]] = {}
    strange: dict[Any, str] = {}
    for key, category in categories.items():
        try:
            joints[key] = _joint_names(category)
        except ValueError as error:
            strange[key] = str(error)
    if strange and not any(joints.values()):
        raise LiftwildError(f"{path}: {next(iter(strange.values()))}")
    # Where a category is called person, others with the joints of people are somebody else, as a dog.
    wanted = people_categories(labels, [key for key, names in joints.items() if names])
    people: list[LabelledPerson] = []
    skips: list[Skip] = []
    for key, annotation in annotations.items():
        image = images.get(key_of(annotation.get("image_id")))
        if image is None:
            skips.append(Skip(str(path), key, "no such image_id", str(annotation.get("image_id"))))
            continue
        name, category_id = image["file_name"], key_of(annotation.get("category_id"))
        try:
            if annotation.get("iscrowd"):
                raise UnusableError("crowd")
            if category_id in strange:
                raise UnusableError(f"not the joints of a person: {strange[category_id]}")
            if category_id not in joints:
                raise UnusableError(f"no such category_id: {annotation.get('category_id')}")
            if not annotation.get("keypoints") or not joints[category_id]:
                raise UnusableError("no keypoints")
            if wanted is not None and category_id not in wanted:
                raise UnusableError(f"not a person: category {categories[category_id].get('name')}")
            person, outside = _person(key, annotation, image, joints[category_id], perhaps_turned)
        except UnusableError as unusable:
            reason, _, detail = str(unusable).partition(": ")
            skips.append(Skip(name, key, reason, detail))
            continue
        skips.extend(Skip(name, key, "joint outside the photo, left out", joint) for joint in outside)
        people.append(person)
    return people, skips


def _joint_names(category: dict[str, Any]) -> list[str]:
    """The category's joint names; empty for a category without keypoints. ValueError if they are not all known."""
    names = category.get("keypoints") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("categories[].keypoints must be a list of joint names")
    match_names(names)
    return names


def _person(
    key: int, annotation: dict[str, Any], image: dict[str, Any], names: list[str], perhaps_turned: bool
) -> tuple[LabelledPerson, list[str]]:
    """One person's labels in MPII-16 order, and the names of joints left out for lying outside the photo."""
    labelled = keypoints_of(annotation, len(names))
    valid = labelled[:, 2] > 0
    size = _photo_size(image)
    outside: list[str] = []
    if size is not None and not (perhaps_turned and size[0] != size[1]):
        inside = within(labelled[:, :2], size)
        outside = [canonical_name(names[j]) for j in np.flatnonzero(valid & ~inside)]
        valid = valid & inside
    if valid.sum() < MIN_JOINTS:
        raise UnusableError("too few joints labelled" if valid.any() else "no joint labelled")
    joints_2d = np.where(valid[:, None], labelled[:, :2], 0.0)
    joints_3d, depth_valid = _keypoints_3d(annotation, len(names))
    box = bbox_of(annotation) or joints_box(joints_2d[valid])
    if box is None:
        raise UnusableError("no bbox and too few joints to make one")
    # Twice the box: joints that are guessed behind something may well lie beside it.
    away = np.abs(joints_2d[valid] - (np.array(box[:2]) + np.array(box[2:]) / 2)).max(axis=1)
    if np.median(away) > max(box[2:]):
        raise UnusableError("bbox and keypoints do not fit: most joints lie far from the bbox")
    camera = _camera(image.get("camera"))
    both = valid & depth_valid
    if camera is not None and both.any():
        missed = np.linalg.norm(camera.project(joints_3d[both]) - joints_2d[both], axis=1)
        if not np.median(missed) <= REPROJECTION_TOLERANCE * max(box[2:]):
            raise UnusableError(f"camera and keypoints_3d do not fit the keypoints: off by {np.median(missed):.0f} px")
    match = match_names(names)
    person = LabelledPerson(
        image["file_name"], key, size,
        *to_mpii(match, joints_2d, valid), *to_mpii(match, joints_3d, depth_valid), camera, box,
        key_of(image["id"]), perhaps_turned, _visibility(match, labelled[:, 2], valid),
    )  # fmt: skip
    if not person.joints_2d_valid.any():
        raise UnusableError("no joint labelled that MPII-16 has")
    return person, outside


def _visibility(match: list[int | None], labelled: np.ndarray, valid: np.ndarray) -> np.ndarray | None:
    """``Sample.visibility`` (16,) of COCO's flags (K,); None where no label is hidden: then they say nothing of it."""
    if not (labelled[valid] == 1).any():
        return None
    flags = np.where(valid, labelled, 0)
    return np.array([0 if source is None else flags[source] for source in match], dtype=np.uint8)


def _keypoints_3d(annotation: dict[str, Any], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Joints (count, 3) in mm and which of them are known; none without ``keypoints_3d``."""
    if annotation.get("keypoints_3d") is None:
        return np.zeros((count, 3)), np.zeros(count, dtype=bool)
    joints = triples_of(annotation["keypoints_3d"], count, "keypoints_3d")
    # (0, 0, 0) is the camera's centre, where no joint can be.
    valid = np.isfinite(joints).all(axis=1) & (joints != 0).any(axis=1)
    known = joints[valid]
    if (known[:, 2] < MIN_Z_MM).any():
        raise UnusableError("keypoints_3d behind the camera: z must be above 0, absolute, in camera space")
    if (len(known) > 1 and np.ptp(known, axis=0).max() < MIN_SPAN_MM) or (np.abs(known) > FARTHEST_MM).any():
        raise UnusableError("keypoints_3d are not in mm")
    return np.where(valid[:, None], joints, 0.0), valid


def _photo_size(image: dict[str, Any]) -> tuple[int, int] | None:
    """(width, height) if both are stated as whole numbers above 0; tools write 0 or null where they do not know."""
    width, height = key_of(image.get("width")), key_of(image.get("height"))
    if isinstance(width, int) and isinstance(height, int) and 0 < width < 2**31 and 0 < height < 2**31:
        return width, height
    return None


def _camera(values: Any) -> Camera | None:
    if values is None:
        return None
    try:
        camera = Camera(*(float(values[field]) for field in ("fx", "fy", "cx", "cy")))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UnusableError("camera lacks one of fx, fy, cx, cy") from None
    if not ((np.abs(camera.K) <= MAX_FOCAL_PX).all() and camera.fx > 0 and camera.fy > 0):
        raise UnusableError("camera has an impossible focal length or centre")
    return camera
