"""Rendered people into a store; needs pyarrow, which the [train] extra brings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from liftwild.data.store import CROP_PX, JPEG_QUALITY, StoreWriter, stored_row
from liftwild.people.generate import RenderedSample


def rendered_row(rendered: RenderedSample) -> dict[str, Any]:
    """The store's row: the whole picture, unless it is larger than the store keeps.

    A store has no place for visibility and mask; seed and index stand in ``source``.
    """
    sample = rendered.sample
    size = sample.image.shape[0]
    if size > CROP_PX:
        return stored_row(sample)
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    assert done and sample.camera is not None
    camera = sample.camera
    return {
        "image": encoded.tobytes(),
        "joints_2d": np.where(sample.joints_2d_valid[:, None], sample.joints_2d, 0).ravel().astype(np.float32),
        "joints_2d_valid": sample.joints_2d_valid,
        "joints_3d": sample.joints_3d.ravel().astype(np.float32),
        "depth_valid": sample.depth_valid,
        "camera": [camera.fx, camera.fy, camera.cx, camera.cy, camera.skew],
        "box": list(sample.box),
        "source": sample.source,
        "annotation_id": sample.annotation_id,
        "crop": [size / 2, size / 2, size],
    }


def write_store(samples: Iterable[RenderedSample], output: str | Path, keep: int = 0) -> list[RenderedSample]:
    """Write ``samples`` to the store ``output``, which appears whole or not at all; the first ``keep`` of them.

    LiftwildError if it cannot be written.
    """
    kept: list[RenderedSample] = []
    with StoreWriter(output) as writer:
        for rendered in samples:
            if len(kept) < keep:
                kept.append(rendered)
            writer.add(rendered_row(rendered))
    return kept
