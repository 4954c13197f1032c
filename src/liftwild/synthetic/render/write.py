"""Rendered people into a store, or into pictures with labels; needs pyarrow, which the [train] extra brings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.data.store import CROP_PX, JPEG_QUALITY, StoreWriter, stored_row
from liftwild.errors import LiftwildError
from liftwild.files import atomic_path, make_folder
from liftwild.media.encoding import jpeg_bytes
from liftwild.skeleton import MPII_16
from liftwild.synthetic.render.generate import RenderedSample


def rendered_row(rendered: RenderedSample) -> dict[str, Any]:
    """A sample as a row of a store: the whole picture, or a crop if it is larger than a store keeps.

    A store does not keep the mask. Seed and index stand in ``source``.
    """
    sample = rendered.sample
    size = sample.image.shape[0]
    if size > CROP_PX:
        return stored_row(sample)
    camera = sample.camera
    assert camera is not None
    return {
        "image": jpeg_bytes(sample.image, JPEG_QUALITY),
        "joints_2d": np.where(sample.joints_2d_valid[:, None], sample.joints_2d, 0).ravel().astype(np.float32),
        "joints_2d_valid": sample.joints_2d_valid,
        "joints_3d": sample.joints_3d.ravel().astype(np.float32),
        "depth_valid": sample.depth_valid,
        "camera": [camera.fx, camera.fy, camera.cx, camera.cy, camera.skew],
        "box": list(sample.box),
        "source": sample.source,
        "annotation_id": sample.annotation_id,
        "crop": [size / 2, size / 2, size],
        "subject": str(rendered.subject or ""),
        "group": "",
        "head_size_px": None,
        "visibility": sample.visibility,
        "photo": [0.0, 0.0, size, size],
        "spine_3d": None,
    }


def write_store(samples: Iterable[RenderedSample], output: str | Path, keep: int = 0) -> list[RenderedSample]:
    """Write ``samples`` to the store ``output``, which appears whole or not at all.

    Returns the first ``keep`` of them. LiftwildError if it cannot be written.
    """
    kept: list[RenderedSample] = []
    with StoreWriter(output) as writer:
        for rendered in samples:
            if len(kept) < keep:
                kept.append(rendered)
            writer.add(rendered_row(rendered))
    return kept


@contextmanager
def with_pictures(samples: Iterable[RenderedSample], folder: str | Path) -> Iterator[Iterator[RenderedSample]]:
    """``samples``, of which each is written as ``folder``/NAME.jpg when it is taken, and ``folder``/labels.json for all
    of them; ``folder`` appears, whole, when the block ends.

    The labels are in the open label format: joints in px (visibility 2 seen, 1 hidden, 0 outside), 3D joints in mm,
    camera, box. LiftwildError if there is such a folder that is not empty, or it cannot be written.
    """
    folder = Path(folder)
    check_pictures(folder)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    make_folder(folder.parent)

    def written(part: Path) -> Iterator[RenderedSample]:
        for key, rendered in enumerate(samples, start=1):
            sample = rendered.sample
            (part / f"{sample.source}.jpg").write_bytes(jpeg_bytes(sample.image, JPEG_QUALITY))
            height, width = sample.image.shape[:2]
            camera = {name: getattr(sample.camera, name) for name in ("fx", "fy", "cx", "cy")}
            images.append(
                {"id": key, "file_name": f"{sample.source}.jpg", "width": width, "height": height, "camera": camera}
            )
            seen = np.where(sample.joints_2d_valid, 1 + rendered.visible, 0)
            joints = np.where(sample.joints_2d_valid[:, None], sample.joints_2d, 0)
            annotations.append(
                {
                    "id": key,
                    "image_id": key,
                    "category_id": 1,
                    "iscrowd": 0,
                    "num_keypoints": int(sample.joints_2d_valid.sum()),
                    "keypoints": [value for (x, y), v in zip(joints.tolist(), seen.tolist(), strict=True)
                                  for value in (x, y, v)],
                    "keypoints_3d": sample.joints_3d.ravel().tolist(),
                    "bbox": list(sample.box),
                }
            )  # fmt: skip
            yield rendered

    with atomic_path(folder) as part:
        part.mkdir()
        yield written(part)
        category = {"id": 1, "name": "person", "keypoints": list(MPII_16.names)}
        content = json.dumps({"categories": [category], "images": images, "annotations": annotations})
        (part / "labels.json").write_text(content)


def check_pictures(folder: Path) -> None:
    """LiftwildError unless ``folder`` is free for pictures: not there, or an empty folder."""
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise LiftwildError(f"{folder} is there already and is not an empty folder; choose another for the pictures")
