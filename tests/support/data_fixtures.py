"""Labelled people and photos made up for tests of the data rooms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from liftwild.camera import Camera
from liftwild.data.prepare import prepare_labels
from liftwild.data.store import Store, StoreWriter, stored_row
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16

J = len(MPII_16)
LSP_14 = [
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
]  # fmt: skip
COCO_17 = [
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
]  # fmt: skip
WIDTH, HEIGHT = 320, 240
CAMERA = Camera(fx=420.0, fy=380.0, cx=150.5, cy=118.25)

# Someone who faces the camera with the right hand raised: x right, y down, mm, about the pelvis. Seen from the front,
# the person's right side is on the left of the picture.
RAISED_RIGHT_HAND = np.array(
    [
        (-120, 860, 10), (-115, 440, -30), (-110, 5, 0), (110, -5, 0), (118, 435, 25), (130, 855, 60), (0, 0, 0),
        (0, -480, -20), (0, -560, -25), (5, -760, -60), (-330, -900, -120), (-300, -680, -60), (-170, -490, -20),
        (170, -470, -20), (220, -200, 30), (230, 40, -40),
    ],
    dtype=np.float64,
)  # fmt: skip


def pose(seed: int = 0, x: float = 0.0, z: float = 4000.0) -> np.ndarray:
    """Joints (16, 3) in mm, camera space: the person above, a little otherwise for each ``seed``."""
    change = np.random.default_rng(seed).normal(0, 25, (J, 3))
    return RAISED_RIGHT_HAND + change + (x, 30.0, z)


def photo(width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> np.ndarray:
    """A smooth picture (height, width, 3) uint8 RGB."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def write_photo(path: Path, image: np.ndarray | None = None) -> Path:
    """Write ``image`` (RGB), or some picture, where ``path`` says, in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, content = cv2.imencode(path.suffix, cv2.cvtColor(photo() if image is None else image, cv2.COLOR_RGB2BGR))
    assert done
    path.write_bytes(content.tobytes())
    return path


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


def sample(seed: int = 0, three: bool = True, size: int = 160) -> Sample:
    """A person in a square picture of ``size`` px, with camera and 3D joints if ``three``."""
    joints_3d = pose(seed)
    camera = Camera(fx=size * 1.5, fy=size * 1.4, cx=size * 0.52, cy=size * 0.47)
    joints_2d = camera.project(joints_3d)
    low, high = joints_2d.min(axis=0), joints_2d.max(axis=0)
    return Sample(
        image=photo(size, size, seed),
        joints_2d=joints_2d,
        joints_2d_valid=np.ones(J, dtype=bool),
        joints_3d=joints_3d if three else np.zeros((J, 3)),
        depth_valid=np.full(J, three),
        camera=camera if three else None,
        box=(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])),
        source=f"{seed}.png",
        annotation_id=seed,
    )


def make_store(path: Path, samples: Iterable[Sample]) -> Store:
    """The store of ``samples``."""
    with StoreWriter(path) as writer:
        for one in samples:
            writer.add(stored_row(one))
    return Store(path)


def prepare(tmp_path: Path, content: dict[str, Any], files: dict[str, np.ndarray | bytes | None] | None = None) -> Any:
    """Prepare ``content`` in a folder with ``files`` (by default one good photo of each name in the labels)."""
    (tmp_path / "photos").mkdir(exist_ok=True)
    for name, image in (files or {image["file_name"]: None for image in content["images"]}).items():
        if isinstance(image, bytes):
            (tmp_path / "photos" / name).write_bytes(image)
        else:
            write_photo(tmp_path / "photos" / name, image)
    return prepare_labels(write_labels(tmp_path / "labels.json", content), tmp_path / "photos", tmp_path / "x.arrow")
