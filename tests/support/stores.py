"""Samples and stores of labelled people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from liftwild.camera import Camera
from liftwild.data.prepare import prepare_labels
from liftwild.data.store import Store, StoreWriter, stored_row
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16
from tests.support.images import picture, write_photo
from tests.support.label_files import write_labels
from tests.support.poses import STANDING, J, pose


def sample(seed: int = 0, three: bool = True, size: int = 160) -> Sample:
    """A person in a square picture of ``size`` px, with camera and 3D joints if ``three``."""
    joints_3d = pose(seed)
    camera = Camera(fx=size * 1.5, fy=size * 1.4, cx=size * 0.52, cy=size * 0.47)
    joints_2d = camera.project(joints_3d)
    low, high = joints_2d.min(axis=0), joints_2d.max(axis=0)
    return Sample(
        image=picture(size, size, seed),
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


DOTTED_CAMERA = Camera(150.0, 150.0, 64.0, 64.0)


def dotted_person(rng: np.random.Generator, number: int, with_3d: bool) -> Sample:
    """A standing person, bent at random: bright dots at the joints, on noise, in a picture of 128 px."""
    joints_3d = STANDING + rng.normal(0, 60, STANDING.shape) + [0, 0, 3000]
    joints_2d = DOTTED_CAMERA.project(joints_3d)
    image = rng.integers(0, 60, (128, 128, 3), dtype=np.uint8)
    for (x, y), name in zip(joints_2d, MPII_16.names, strict=True):
        colour = (250, 60, 60) if name.startswith("right") else (60, 60, 250) if "left" in name else (60, 250, 60)
        cv2.circle(image, (int(x), int(y)), 3, colour, -1)
    low, high = joints_2d.min(axis=0), joints_2d.max(axis=0)
    known = np.ones(len(MPII_16), dtype=bool)
    return Sample(
        image, joints_2d, known, joints_3d if with_3d else np.zeros_like(joints_3d), known & with_3d,
        DOTTED_CAMERA if with_3d else None, (*low, *(high - low)), f"{number}.png", number,
    )  # fmt: skip


def write_store(path: Path, people: int, with_3d: bool, seed: int = 0) -> Path:
    """A store of ``people`` people of dots, from which a network can learn."""
    rng = np.random.default_rng(seed)
    make_store(path, (dotted_person(rng, number, with_3d) for number in range(people)))
    return path


def prepare(tmp_path: Path, content: dict[str, Any], files: dict[str, np.ndarray | bytes | None] | None = None) -> Any:
    """Prepare ``content`` in a folder with ``files`` (by default one good photo of each name in the labels)."""
    (tmp_path / "photos").mkdir(exist_ok=True)
    for name, image in (files or {image["file_name"]: None for image in content["images"]}).items():
        if isinstance(image, bytes):
            (tmp_path / "photos" / name).write_bytes(image)
        else:
            write_photo(tmp_path / "photos" / name, image)
    return prepare_labels(write_labels(tmp_path / "labels.json", content), tmp_path / "photos", tmp_path / "x.arrow")


def same(a: Sample, b: Sample) -> bool:
    """Whether two samples hold the same, to rounding."""
    arrays = ("joints_2d", "joints_2d_valid", "joints_3d", "depth_valid", "box")
    cameras = a.camera is b.camera is None or np.allclose(a.camera.K, b.camera.K)  # type: ignore[union-attr]
    close = all(np.allclose(getattr(a, name), getattr(b, name), atol=1e-9) for name in arrays)
    return close and cameras and np.array_equal(a.image, b.image)
