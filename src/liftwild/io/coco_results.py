"""Poses in COCO's two formats: a labels file, and the bare list of results that COCO's own evaluation takes.

The labels file is the open label format of docs/datasets.md, so that liftwild reads it too: as boxes, and to train on.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from liftwild.camera import MIN_SPAN_MM, REPROJECTION_TOLERANCE, Camera
from liftwild.io.description import FRAME, metadata
from liftwild.io.format import File, Format
from liftwild.io.json_file import to_bytes
from liftwild.placement.camera_space import in_camera_space
from liftwild.pose import PoseTrack, Recording, rather_not
from liftwild.skeleton import COCO_17, Skeleton

KIND = "liftwild-coco"
VERSION = 1
SUFFIXES = (".coco.json", ".coco-results.json")
CATEGORY_ID = 1  # person, as in COCO

# The lines that COCO draws between its keypoints, counted from 1.
COCO_LINES = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip


def coco_bytes(recording: Recording, skeleton: Skeleton) -> tuple[bytes, bytes]:
    """(labels file, list of results) of a recording in the joints of ``skeleton``.

    Joints are rounded to 0.01 px; one that is not known, or rather outside the photo, is 0, 0, 0. ``score`` is the
    detector's, and where there is none the mean confidence of the other joints. ``keypoints_3d`` and ``camera`` are
    there where people were placed in space and their joints, seen by that camera, fall where they are in the photo.
    """
    people = [_Person(track, recording.camera) for track in recording.tracks]
    found = sorted(
        (int(frame), order, i) for order, own in enumerate(people) for i, frame in enumerate(own.track.frames)
    )
    annotations, results = [], []
    for number, (frame, order, i) in enumerate(found, 1):
        result = people[order].result(i, image_id(recording, frame))
        results.append(json.dumps(result))
        annotations.append(json.dumps(people[order].annotation(i, number, result)))
    info = {"format": KIND, "version": VERSION, "file": recording.source, **metadata(recording, skeleton)}
    info["frame"]["joints_2d"] = FRAME["joints_2d"]  # joints outside the photo are not in these files
    lines = COCO_LINES if skeleton == COCO_17 else [(parent + 1, child + 1) for child, parent in skeleton.bones]
    category = {
        "id": CATEGORY_ID, "name": "person", "supercategory": "person", "keypoints": list(skeleton.names),
        "skeleton": np.array(lines, dtype=np.int64),
    }  # fmt: skip
    camera = info["camera"] if any(own.in_camera.any() for own in people) else None
    images = [json.dumps(_image(recording, frame, camera)) for frame in range(len(recording.times_s))]
    head = to_bytes({"info": info, "categories": [category]}).removesuffix(b"\n}\n")
    for name, entries in (("images", images), ("annotations", annotations)):
        head += f',\n "{name}": '.encode() + _lines(entries, " ")
    return head + b"\n}\n", _lines(results, "") + b"\n"


def _lines(entries: Sequence[str], indent: str) -> bytes:
    """A list with an entry to a line."""
    between = f"\n{indent} "
    return f"[{between}{f',{between}'.join(entries)}\n{indent}]".encode() if entries else b"[]"


def image_id(recording: Recording, frame: int = 0) -> int:
    """A clip's: the index of the frame. A photo's: the number that its name is, as COCO's are, else the CRC-32 of the
    name, so that the results of many photos can be put together."""
    if recording.is_clip:
        return frame
    stem = PurePath(recording.source).stem
    if stem.isascii() and stem.isdecimal() and len(stem) <= 15:
        return int(stem)
    return zlib.crc32(recording.source.encode("utf-8", "surrogateescape"))


def _image(recording: Recording, frame: int, camera: dict[str, Any] | None) -> dict[str, Any]:
    name = recording.source
    if recording.is_clip:
        name = f"{PurePath(name).stem}/{frame:06d}.jpg"
    image: dict[str, Any] = {"id": image_id(recording, frame), "file_name": name}
    image |= {"width": int(recording.width), "height": int(recording.height)}
    if recording.is_clip:
        image["time_s"] = round(float(recording.times_s[frame]), 6)
    return image if camera is None else {**image, "camera": camera}


class _Person:
    """One person's rows, everything rounded."""

    def __init__(self, track: PoseTrack, camera: Camera | None) -> None:
        self.track = track
        known = np.isfinite(track.joints_2d).all(axis=-1)
        shown = known & ~track.is_outside
        x_y = np.where(shown[..., None], np.round(np.asarray(track.joints_2d, dtype=np.float64), 2) + 0.0, 0.0)
        self.keypoints = np.concatenate([x_y, shown[..., None]], axis=-1)
        # Where the weights do not tell: 2, labelled and visible. COCO has no flag that says less.
        self.flags = np.where(shown, np.where(rather_not(track.visible, shown), 1, 2), 0)
        self.scores = np.round(np.asarray(track.confidence, dtype=np.float64), 3)
        count = shown.sum(axis=1)
        total = np.where(shown, self.scores, 0.0).sum(axis=1)
        score = total / np.maximum(count, 1)
        if track.scores is not None:
            score = np.where(np.isnan(track.scores), score, track.scores)
        self.score = np.round(score, 3)
        self.boxes = np.round(np.asarray(track.boxes, dtype=np.float64), 2)
        self.joints, self.in_camera = np.empty((*known.shape, 3)), np.zeros(len(track), dtype=bool)
        if camera is not None and not camera.skew:  # the label format's camera has none
            joints, self.in_camera = in_camera_space(track, camera, REPROJECTION_TOLERANCE, MIN_SPAN_MM)
            self.joints = np.round(joints, 1) + 0.0

    def result(self, i: int, image: int) -> dict[str, Any]:
        """The ``i``-th pose as a result; the third number of a joint is 1 by convention."""
        keypoints: list[float] = self.keypoints[i].ravel().tolist()
        keypoints[2::3] = map(int, keypoints[2::3])
        return {
            "image_id": image,
            "category_id": CATEGORY_ID,
            "keypoints": keypoints,
            "score": float(self.score[i]),
            "bbox": self.boxes[i].tolist(),
            "keypoint_scores": self.scores[i].tolist(),
            "track_id": int(self.track.person_id),
        }

    def annotation(self, i: int, number: int, result: dict[str, Any]) -> dict[str, Any]:
        """The same as a label: the third number of a joint is 0 for none or one outside, 1 if hidden, else 2."""
        keypoints, flags = list(result["keypoints"]), self.flags[i].tolist()
        keypoints[2::3] = flags
        _, _, width, height = result["bbox"]
        annotation: dict[str, Any] = {"id": number, **result, "keypoints": keypoints}
        annotation |= {"num_keypoints": len(flags) - flags.count(0), "area": round(width * height, 2), "iscrowd": 0}
        ids = self.track.annotation_ids
        if ids is not None and ids[i] is not None:
            annotation["annotation_id"] = ids[i]
        if self.in_camera[i]:
            joints = self.joints[i].ravel().tolist()
            annotation["keypoints_3d"] = [None if math.isnan(value) else value for value in joints]
        return annotation


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    contents = coco_bytes(recording, skeleton)
    return (File(f"{stem}{suffix}", content) for suffix, content in zip(SUFFIXES, contents, strict=True))


def _recognise(path: Path, head: bytes) -> bool:
    if path.name.endswith(SUFFIXES[0]):
        return f'"format": "{KIND}"'.encode() in head
    return head.strip() == b"[]" or b'"keypoint_scores"' in head


FORMAT = Format("coco", "COCO keypoints: labels and results", SUFFIXES, _write, _recognise)
