"""Label files in COCO's format: people with 2D and 3D joints, and what is skipped when they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.camera import Camera
from liftwild.data.labels import LabelledPerson, Skip
from liftwild.skeleton import MPII_16
from tests.support.poses import pose

WIDTH, HEIGHT = 320, 240
CAMERA = Camera(fx=420.0, fy=380.0, cx=150.5, cy=118.25)


def keypoints(joints_2d: np.ndarray, visibility: int | Sequence[int] = 2) -> list[float]:
    """COCO's flat list of x, y, visibility."""
    seen = np.broadcast_to(np.asarray(visibility), len(joints_2d))
    return np.column_stack([joints_2d, seen]).ravel().tolist()


def annotation(key: int = 1, image_id: int = 1, **fields: Any) -> dict[str, Any]:
    """One MPII-16 person with all joints labelled in 2D, and whatever else is said."""
    entry = {"id": key, "image_id": image_id, "category_id": 1, "iscrowd": 0}
    entry["keypoints"] = keypoints(CAMERA.project(pose(key)))
    return {**entry, **fields}


def annotation_3d(key: int = 1, image_id: int = 1, x: float = 0.0, **fields: Any) -> dict[str, Any]:
    """The same with 3D joints; its photo needs ``camera``."""
    joints = pose(key, x)
    entry = annotation(key, image_id, keypoints=keypoints(CAMERA.project(joints)))
    return {**entry, "keypoints_3d": joints.ravel().tolist(), **fields}


def labels(
    annotations: Iterable[dict[str, Any]],
    names: Sequence[str] = MPII_16.names,
    files: Sequence[str] = ("a.png",),
    **image: Any,
) -> dict[str, Any]:
    """A label file's content: ``files`` with ids from 1 on, ``image``: fields of each, one category of ``names``."""
    size = {"width": WIDTH, "height": HEIGHT}
    return {
        "images": [{"id": key, "file_name": name, **size, **image} for key, name in enumerate(files, start=1)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
        "annotations": list(annotations),
    }


def camera_field(camera: Camera = CAMERA) -> dict[str, float]:
    """``camera`` as the open label format writes it."""
    return {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}


def write_labels(path: Path, content: Any) -> Path:
    """Write JSON (NaN and Infinity as Python writes them)."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


PELVIS, THORAX, NECK, HEAD = (MPII_16.index(name) for name in ("pelvis", "thorax", "upper_neck", "head_top"))
Read = Callable[[Any], tuple[list[LabelledPerson], list[Skip]]]


def one_skip(read: Read, content: Any) -> Skip:
    """The single skip of labels that hold nobody usable."""
    people, skips = read(content)
    assert people == [] and len(skips) == 1
    return skips[0]
