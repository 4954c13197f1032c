"""What CVAT and Label Studio export is read as it is: label files in their layouts, made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwild.data.prepare import prepare_labels
from liftwild.data.readers.coco import read_labels
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.skeleton import MPII_16
from tests.support.images import jpeg_with_exif, picture, write_photo
from tests.support.label_files import CAMERA, HEIGHT, WIDTH, write_labels
from tests.support.poses import LSP_14, pose

ORDER = [MPII_16.index({"neck": "upper_neck"}.get(name, name)) for name in LSP_14]
JOINTS = CAMERA.project(pose(1))[ORDER]  # (14, 2)


def cvat(joints: np.ndarray) -> dict[str, Any]:
    """annotations/person_keypoints_default.json of CVAT's "COCO Keypoints 1.0", one skeleton: the left wrist is
    occluded, the head top outside. What is outside keeps its place, with visibility 0."""
    seen = [2.0] * 14
    seen[LSP_14.index("left_wrist")], seen[LSP_14.index("head_top")] = 1.0, 0.0
    low, high = joints.min(axis=0), joints.max(axis=0)
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        "categories": [
            {"id": 1, "name": "person", "supercategory": "", "keypoints": LSP_14, "skeleton": [[1, 2], [2, 3]]},
            {"id": 16, "name": "bicycle", "supercategory": "", "keypoints": [], "skeleton": []},
        ],
        "images": [
            {"id": 1, "width": WIDTH, "height": HEIGHT, "file_name": "a.png", "license": 0, "flickr_url": "",
             "coco_url": "", "date_captured": 0},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [], "area": 9.5, "iscrowd": 0,
             "bbox": [*low.round(2).tolist(), *(high - low).round(2).tolist()],
             "attributes": {"occluded": False, "keyframe": False},
             "keypoints": np.column_stack([joints, seen]).ravel().tolist(), "num_keypoints": 13},
        ],
    }  # fmt: skip


def label_studio(joints: np.ndarray, width: int, height: int) -> dict[str, Any]:
    """result.json of Label Studio's "COCO with Images": ids from 0, a rectangle as an annotation of its own, joints as
    whole numbers, always visible; the left wrist is not labelled."""
    flat = [int(number) for x, y in joints.round() for number in (x, y, 2)]
    at = 3 * LSP_14.index("left_wrist")
    flat[at : at + 3] = [0, 0, 0]
    return {
        "images": [{"width": width, "height": height, "id": 0, "file_name": "images/5e0f2a41-a.png"}],
        "categories": [
            {"id": 0, "name": "person"},
            {"id": 1, "name": "default", "supercategory": "default", "keypoints": LSP_14, "skeleton": []},
        ],
        "annotations": [
            {"id": 0, "image_id": 0, "category_id": 0, "segmentation": [], "bbox": [10.5, 9.0, 120.0, 200.0],
             "ignore": 0, "iscrowd": 0, "area": 24000.0},
            {"id": 1, "image_id": 0, "category_id": 1, "keypoints": flat, "num_keypoints": 13,
             "bbox": [90, 20, 90, 190], "iscrowd": 0},
        ],
        "info": {"year": 2026, "version": "1.0", "description": "", "contributor": "Label Studio", "url": "",
                 "date_created": "2026-11-21 08:00:00.000000"},
    }  # fmt: skip


def test_cvat(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "default" / "a.png")
    (tmp_path / "annotations").mkdir()
    labels = write_labels(tmp_path / "annotations" / "person_keypoints_default.json", cvat(JOINTS))
    (person,), skips = read_labels(labels)
    assert skips == [] and not person.joints_2d_valid[MPII_16.index("head_top")]
    assert person.joints_2d_valid.sum() == 15 and np.allclose(person.joints_2d[ORDER[:12]], JOINTS[:12])
    done = prepare_labels(labels, tmp_path / "images" / "default", tmp_path / "x.arrow")
    assert (done.people, done.skips) == (1, [])


def test_label_studio(tmp_path: Path) -> None:
    write_photo(tmp_path / "images" / "5e0f2a41-a.png")
    labels = write_labels(tmp_path / "result.json", label_studio(JOINTS, WIDTH, HEIGHT))
    done = prepare_labels(labels, tmp_path, tmp_path / "x.arrow")
    assert done.people == 1
    assert [str(skip) for skip in done.skips] == ["images/5e0f2a41-a.png, annotation 0: no keypoints"]
    assert Store(tmp_path / "x.arrow")[0].joints_2d_valid.sum() == 15


def test_label_studio_and_photos_turned_by_exif(tmp_path: Path) -> None:
    """Its joints are on the upright photo, its width and height are those of the file; other tools mean what they
    say, and another size is another size."""
    path = tmp_path / "images" / "5e0f2a41-a.png"
    path.parent.mkdir()
    path.write_bytes(jpeg_with_exif(picture(HEIGHT, WIDTH), 6))  # as phones write a portrait
    labels = label_studio(JOINTS * [HEIGHT / WIDTH, WIDTH / HEIGHT], WIDTH, HEIGHT)
    prepare_labels(write_labels(tmp_path / "result.json", labels), tmp_path, tmp_path / "x.arrow")
    assert Store(tmp_path / "x.arrow")[0].joints_2d_valid.sum() == 15

    del labels["annotations"][0]
    labels["images"][0].update(width=2 * WIDTH, height=2 * HEIGHT)
    with pytest.raises(LiftwildError, match="another size than its labels say"):
        prepare_labels(write_labels(tmp_path / "result.json", labels), tmp_path, tmp_path / "x.arrow")
    labels["images"][0].update(width=WIDTH, height=HEIGHT)
    labels["info"]["contributor"] = "somebody"
    with pytest.raises(LiftwildError, match="joint outside the photo"):
        prepare_labels(write_labels(tmp_path / "result.json", labels), tmp_path, tmp_path / "x.arrow")
