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

import json
import math
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.camera import Camera
from liftwild.errors import LiftwildError
from liftwild.skeleton import MADE_UP_JOINTS, MPII_16, canonical_name, match_names

# A joint may lie this far outside its photo: labelling tools round, and clicks on the border land beside it.
OUTSIDE_TOLERANCE_PX = 1.0
# Joints of one person that span less than this are not in mm (a person's do so in m), and none lies so far away.
MIN_SPAN_MM, FARTHEST_MM = 5.0, 1e6
# Projected 3D joints may miss the 2D ones by this share of the person's size (median), before they count as wrong.
REPROJECTION_TOLERANCE = 0.1

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Person:
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


class _UnusableError(Exception):
    """Why one person cannot be used."""


def read_labels(path: str | Path) -> tuple[list[Person], list[Skip]]:
    """Every usable person of a label file, and what was left out.

    LiftwildError if the file is not COCO keypoints JSON, has no category whose joints are all known, or uses an id
    twice.
    """
    path = Path(path)
    labels = read_document(path)
    images, annotations, categories = tables_of(path, labels, "images", "annotations", "categories")
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
    people: list[Person] = []
    skips: list[Skip] = []
    for key, annotation in annotations.items():
        image = images.get(key_of(annotation.get("image_id")))
        if image is None:
            skips.append(Skip(str(path), key, "no such image_id", str(annotation.get("image_id"))))
            continue
        name, category_id = image["file_name"], key_of(annotation.get("category_id"))
        try:
            if annotation.get("iscrowd"):
                raise _UnusableError("crowd")
            if category_id in strange:
                raise _UnusableError(f"not the joints of a person: {strange[category_id]}")
            if category_id not in joints:
                raise _UnusableError(f"no such category_id: {annotation.get('category_id')}")
            if not annotation.get("keypoints") or not joints[category_id]:
                raise _UnusableError("no keypoints")
            person, outside = _person(key, annotation, image, joints[category_id], perhaps_turned)
        except _UnusableError as unusable:
            reason, _, detail = str(unusable).partition(": ")
            skips.append(Skip(name, key, reason, detail))
            continue
        skips.extend(Skip(name, key, "joint outside the photo, left out", joint) for joint in outside)
        people.append(person)
    return people, skips


def boxes_of(path: Path, labels: Any, people: Container[Any] | None = None) -> dict[str, list[tuple[int, Box]]]:
    """Photo file name -> [(annotation id, box (x, y, w, h) in px)] of ``labels``, read from ``path``; joints need not
    be labelled.

    ``people``: the categories' ids that count, None for all. Where there is no bbox, or one without size, it is made
    from the labelled joints. Crowds, and annotations with neither, are left out. LiftwildError if these are no COCO
    labels, or if a bbox is not four numbers.
    """
    images, annotations = tables_of(path, labels, "images", "annotations")
    boxes: dict[str, list[tuple[int, Box]]] = {image["file_name"]: [] for image in images.values()}
    for key, annotation in annotations.items():
        if annotation.get("iscrowd") or (people is not None and key_of(annotation.get("category_id")) not in people):
            continue
        image = images.get(key_of(annotation.get("image_id")))
        if image is None:
            raise LiftwildError(
                f"{path}: annotation {key} names image_id {annotation.get('image_id')}, which is not there"
            )
        box = box_in(annotation, f"{path}: annotation {key} of {image['file_name']}")
        if box is not None:
            boxes[image["file_name"]].append((key, box))
    return boxes


def box_in(entry: dict[str, Any], where: str) -> Box | None:
    """The bbox of an annotation or result, or the box around its labelled joints, or None.

    LiftwildError, which ``where`` begins, if one of them is not what it should be.
    """
    try:
        box = _box(entry)
        if box is None and isinstance(entry.get("keypoints"), list):
            labelled = _keypoints(entry, len(entry["keypoints"]) // 3)
            box = box_of(labelled[labelled[:, 2] > 0, :2])
    except _UnusableError as unusable:
        raise LiftwildError(f"{where}: {unusable}") from None
    return box


def read_document(path: Path) -> Any:
    """What a JSON file holds; LiftwildError if it cannot be read or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LiftwildError(f"cannot read labels {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 both
        raise LiftwildError(f"{path} is not JSON: {error}") from None


def tables_of(path: Path, labels: Any, *names: str) -> list[dict[Any, dict[str, Any]]]:
    """The lists called ``names``, by id, with ids present and unique, and every image with a file_name."""
    tables = []
    for name in names:
        rows = labels.get(name) if isinstance(labels, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise LiftwildError(f"{path} is not COCO JSON: it has no list {name!r}")
        table: dict[Any, dict[str, Any]] = {}
        for row in rows:
            key = key_of(row.get("id"))
            if key is None:
                raise LiftwildError(f"{path}: an entry of {name!r} has no usable id: {row.get('id')}")
            if name == "annotations" and not (isinstance(key, int) and abs(key) < 2**63):
                raise LiftwildError(f"{path}: annotation id {key!r} is not a whole number of 64 bits")
            if key in table:
                raise LiftwildError(f"{path}: id {key} is used twice in {name!r}")
            file_name = row.get("file_name")
            if name == "images" and not (isinstance(file_name, str) and file_name and _is_text(file_name)):
                raise LiftwildError(f"{path}: image {key} has no usable file_name: {file_name!r}")
            table[key] = row
        tables.append(table)
    return tables


def key_of(value: Any) -> Any:
    """An id as a key: 1, 1.0 and "1" are the same; None if it is no id."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 19 else value


def _is_text(value: str) -> bool:
    """Whether ``value`` can be written as UTF-8; JSON can hold what cannot."""
    return value.encode("utf-8", "ignore").decode() == value


def _joint_names(category: dict[str, Any]) -> list[str]:
    """The category's joint names; empty for a category without keypoints. ValueError if they are not all known."""
    names = category.get("keypoints") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("categories[].keypoints must be a list of joint names")
    match_names(names)
    return names


def _person(
    key: int, annotation: dict[str, Any], image: dict[str, Any], names: list[str], perhaps_turned: bool
) -> tuple[Person, list[str]]:
    """One person's labels in MPII-16 order, and the names of joints left out for lying outside the photo."""
    labelled = _keypoints(annotation, len(names))
    valid = labelled[:, 2] > 0
    size = _photo_size(image)
    outside: list[str] = []
    if size is not None and not (perhaps_turned and size[0] != size[1]):
        inside = within(labelled[:, :2], size)
        outside = [canonical_name(names[j]) for j in np.flatnonzero(valid & ~inside)]
        valid = valid & inside
    if not valid.any():
        raise _UnusableError("no joint labelled")
    joints_2d = np.where(valid[:, None], labelled[:, :2], 0.0)
    joints_3d, depth_valid = _keypoints_3d(annotation, len(names))
    box = _box(annotation) or box_of(joints_2d[valid])
    if box is None:
        raise _UnusableError("no bbox and too few joints to make one")
    # Twice the box: joints that are guessed behind something may well lie beside it.
    away = np.abs(joints_2d[valid] - (np.array(box[:2]) + np.array(box[2:]) / 2)).max(axis=1)
    if np.median(away) > max(box[2:]):
        raise _UnusableError("bbox and keypoints do not fit: most joints lie far from the bbox")
    camera = _camera(image.get("camera"))
    both = valid & depth_valid
    if camera is not None and both.any():
        missed = np.linalg.norm(camera.project(joints_3d[both]) - joints_2d[both], axis=1)
        if not np.median(missed) <= REPROJECTION_TOLERANCE * max(box[2:]):
            raise _UnusableError(f"camera and keypoints_3d do not fit the keypoints: off by {np.median(missed):.0f} px")
    match = match_names(names)
    person = Person(
        image["file_name"], key, size,
        *to_mpii(match, joints_2d, valid), *to_mpii(match, joints_3d, depth_valid), camera, box,
        key_of(image["id"]), perhaps_turned, _visibility(match, labelled[:, 2], valid),
    )  # fmt: skip
    if not person.joints_2d_valid.any():
        raise _UnusableError("no joint labelled that MPII-16 has")
    return person, outside


def _visibility(match: list[int | None], labelled: np.ndarray, valid: np.ndarray) -> np.ndarray | None:
    """``Sample.visibility`` (16,) of COCO's flags (K,); None where no label is hidden: then they say nothing of it."""
    if not (labelled[valid] == 1).any():
        return None
    flags = np.where(valid, labelled, 0)
    return np.array([0 if source is None else flags[source] for source in match], dtype=np.uint8)


def within(joints_2d: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which of joints (..., 2) lie in a photo of ``size`` (width, height) px, give or take a pixel."""
    low, high = -OUTSIDE_TOLERANCE_PX, np.array(size) + OUTSIDE_TOLERANCE_PX
    return np.all((joints_2d >= low) & (joints_2d <= high), axis=-1)


def _keypoints(annotation: dict[str, Any], count: int) -> np.ndarray:
    """x, y and visibility (count, 3); what is not labelled may be null."""
    labelled = _array(annotation["keypoints"], count, "keypoints")
    if not np.isin(labelled[:, 2], (0, 1, 2)).all():
        raise _UnusableError("keypoint visibility is not 0, 1 or 2")
    if not np.isfinite(labelled[labelled[:, 2] > 0]).all():
        raise _UnusableError("keypoints holds something that is no number: null for a labelled joint")
    return labelled


def _keypoints_3d(annotation: dict[str, Any], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Joints (count, 3) in mm and which of them are known; none without ``keypoints_3d``."""
    if annotation.get("keypoints_3d") is None:
        return np.zeros((count, 3)), np.zeros(count, dtype=bool)
    joints = _array(annotation["keypoints_3d"], count, "keypoints_3d")
    # (0, 0, 0) is the camera's centre, where no joint can be.
    valid = np.isfinite(joints).all(axis=1) & (joints != 0).any(axis=1)
    known = joints[valid]
    if (known[:, 2] <= 0).any():
        raise _UnusableError("keypoints_3d behind the camera: z must be above 0, absolute, in camera space")
    if len(known) > 1 and (np.ptp(known, axis=0).max() < MIN_SPAN_MM or np.abs(known).max() > FARTHEST_MM):
        raise _UnusableError("keypoints_3d are not in mm")
    return np.where(valid[:, None], joints, 0.0), valid


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


def _array(values: Any, count: int, field: str) -> np.ndarray:
    """(count, 3) floats, nulls as NaN; anything else that is no finite number is unusable."""
    if not isinstance(values, list) or len(values) != 3 * count:
        length = len(values) if isinstance(values, list) else "no list"
        raise _UnusableError(f"wrong count in {field}: {length} numbers for {count} joints")
    for value in values:
        if value is not None and not _is_number(value):
            raise _UnusableError(f"{field} holds something that is no number: {value}")
    return np.array([math.nan if value is None else float(value) for value in values]).reshape(count, 3)


def _is_number(value: Any) -> bool:
    """Whether ``value`` is a number that a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 1e300


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
        raise _UnusableError("camera lacks one of fx, fy, cx, cy") from None
    if not (np.isfinite(camera.K).all() and camera.fx > 0 and camera.fy > 0):
        raise _UnusableError("camera has an impossible focal length or centre")
    return camera


def _box(annotation: dict[str, Any]) -> Box | None:
    """The annotation's bbox (x, y, w, h); None if it has none, or one of no size."""
    values = annotation.get("bbox")
    if values is None or values == []:
        return None
    if not isinstance(values, list) or len(values) != 4 or not all(map(_is_number, values)):
        raise _UnusableError(f"bbox is not four numbers x, y, w, h: {values}")
    x, y, w, h = (float(value) for value in values)
    if w < 0 or h < 0:
        raise _UnusableError(f"bbox has a size below 0: {values}")
    return (x, y, w, h) if min(w, h) > 0 and max(w, h) >= 1 else None


def box_of(joints: np.ndarray) -> Box | None:
    """The box around joints (K, 2), or None if they have no extent."""
    if len(joints) == 0:
        return None
    low, high = joints.min(axis=0), joints.max(axis=0)
    width, height = (float(value) for value in high - low)
    if max(width, height) < 2:
        return None
    return float(low[0]), float(low[1]), max(width, 1.0), max(height, 1.0)
