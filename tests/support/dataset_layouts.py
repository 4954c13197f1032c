"""People, known in mm with their camera, written in the layout of each data set: made-up ones, or a ``Cast``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

from liftwild.camera import Camera
from liftwild.data.dataset import Dataset
from liftwild.data.labels import Skip
from liftwild.data.readers import lsp, mpi_inf_3dhp, mpii
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16
from tests.support.images import picture, write_photo
from tests.support.poses import pose
from tests.support.videos import encode_video

WIDTH, HEIGHT = 320, 240
CAMERA = Camera(fx=400.0, fy=390.0, cx=158.5, cy=121.25)
HEAD_PX, SCALE, CENTRE = 33.0, 1.3, (151.0, 118.0)
# What the data sets call MPII's joints, and where they have none of their own.
OTHER_NAMES = {"upper_neck": "neck"}
ELSEWHERE = np.array([300.0, -500.0, 3500.0])  # joints that MPII does not have


def skeleton(number: int = 0) -> np.ndarray:
    """Joints (16, 3) in mm, camera space: thorax and pelvis lie in the middle of shoulders and hips."""
    joints = pose(number)
    for middle, part in (("thorax", "shoulder"), ("pelvis", "hip")):
        ends = [joints[MPII_16.index(f"{side}_{part}")] for side in ("left", "right")]
        joints[MPII_16.index(middle)] = (ends[0] + ends[1]) / 2
    return joints


def flat(number: int = 0, camera: Camera = CAMERA) -> np.ndarray:
    """The same in px (16, 2); thorax and pelvis in the middle of shoulders and hips in the picture, too."""
    joints = camera.project(skeleton(number))
    for middle, part in (("thorax", "shoulder"), ("pelvis", "hip")):
        ends = [joints[MPII_16.index(f"{side}_{part}")] for side in ("left", "right")]
        joints[MPII_16.index(middle)] = (ends[0] + ends[1]) / 2
    return joints


def ordered(joints: np.ndarray, names: Sequence[str], camera: Camera = CAMERA) -> np.ndarray:
    """MPII-16 ``joints`` (16, 2 or 3) in the order of a layout's ``names``, found by name; else ``ELSEWHERE``."""
    own = {name: row for name, row in zip(MPII_16.names, joints, strict=True)}
    own |= {other: own[name] for name, other in OTHER_NAMES.items()}
    elsewhere = ELSEWHERE if joints.shape[1] == 3 else camera.project(ELSEWHERE)
    return np.stack([own.get(name, elsewhere) for name in names])


def picture_of(number: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    """A picture of its own for each number."""
    width, height = size
    return picture(height, width, number)


CROP_CAMERA = Camera(fx=380.0, fy=380.0, cx=111.0, cy=113.0)


@dataclass(frozen=True)
class Cast:
    """Who is in a data set, by the number of a photo or frame: joints (16, 3) mm and (16, 2) px, and the picture.

    ``camera``: of all pictures. ``where``: MPII's centre, scale and head size of the person.
    """

    skeleton: Callable[[int], np.ndarray] = skeleton
    flat: Callable[[int], np.ndarray] = flat
    picture: Callable[[int], np.ndarray] = picture_of
    camera: Camera = CAMERA
    where: Callable[[int], tuple[tuple[float, float], float, float]] = lambda number: (CENTRE, SCALE, HEAD_PX)

    def flat_in(self, names: Sequence[str], number: int) -> np.ndarray:
        """Joints in px in the order of a layout's ``names``."""
        return ordered(self.flat(number), names, self.camera)

    def space_in(self, names: Sequence[str], number: int) -> np.ndarray:
        """The same in mm."""
        return ordered(self.skeleton(number), names)


MADE_UP = Cast()
CROPPED = Cast(
    flat=partial(flat, camera=CROP_CAMERA), picture=partial(picture_of, size=(224, 224)), camera=CROP_CAMERA
)  # fmt: skip


def grey(frame: int) -> int:
    """What tells frame ``frame`` of a video; codecs change it by a few."""
    return 20 + 15 * (frame % 15)


FILMED = Cast(picture=lambda frame: np.full((HEIGHT, WIDTH, 3), grey(frame), dtype=np.uint8))


def write_mpii(
    folder: Path, layout: str, split: str = "val", people: int = 2, moved: bool = True, cast: Cast = MADE_UP
) -> Path:
    """MPII in a layout: h5 (``moved``: centre and scale as in the files in use), json or mat."""
    numbers = range(people)
    names = [f"{number:09d}.jpg" for number in numbers]
    for number, name in enumerate(names):
        write_photo(folder / "images" / name, cast.picture(number))
    joints = np.stack([cast.flat_in(mpii.JOINTS, number) for number in numbers]) + 0.5
    valid = np.ones((people, 16), dtype=bool)
    valid[0, 0] = False
    file = {"val": "valid", "train": "train"}[split]
    centre, scale, head = (np.array(values) for values in zip(*map(cast.where, numbers), strict=True))
    (folder / "annot").mkdir(parents=True, exist_ok=True)
    if layout == "h5":
        with h5py.File(folder / "annot" / f"{file}.h5", "w") as h5:
            h5["imgname"] = np.array(names, dtype="S")
            h5["part"] = np.where(valid[..., None], joints, 0)
            h5["center"] = centre + scale[:, None] * (0, 15 if moved else 0)
            h5["scale"], h5["normalize"] = scale * (1.25 if moved else 1), head
            h5["visible"] = np.zeros((people, 16))
    elif layout == "json":
        rows = [
            {"image": names[i], "center": centre[i].tolist(), "scale": scale[i],
             "joints": np.where(valid[i][:, None], joints[i], -1).tolist(), "joints_vis": valid[i].astype(int).tolist()}
            for i in numbers
        ]  # fmt: skip
        (folder / "annot" / f"{file}.json").write_text(json.dumps(rows))
    else:
        savemat(folder / mpii.MAT, {"RELEASE": _release(names, joints, valid, centre, scale, head)})
    return folder


def _release(names: list[str], joints: np.ndarray, valid: np.ndarray, *where: np.ndarray) -> dict[str, Any]:
    """MPII's own structs; the first photo also has someone without joints, the last one is of the test set."""
    whole = [
        {"x1": 10.0, "y1": 20.0, "x2": 10 + head / 0.6 / 2**0.5, "y2": 20 + head / 0.6 / 2**0.5, "scale": scale,
         "objpos": {"x": centre[0], "y": centre[1]},
         "annopoints": {"point": [
             {"x": x, "y": y, "id": float(i), "is_visible": "1" if i % 2 else []}
             for i, ((x, y), known) in enumerate(zip(person, seen, strict=True)) if known
         ]}}
        for person, seen, centre, scale, head in zip(joints, valid, *where, strict=True)
    ]  # fmt: skip
    empty = {**whole[0], "annopoints": [], "scale": [], "objpos": []}
    rects: list[Any] = [[whole[0], empty], *whole[1:], []]
    images = [*names, "000000099.jpg"]
    return {
        "annolist": [{"image": {"name": name}, "annorect": rect} for name, rect in zip(images, rects, strict=True)],
        "img_train": [1.0] * len(names) + [0.0],
    }


def write_lsp(folder: Path, name: str, people: int, cast: Cast = MADE_UP) -> Path:
    """LSP or LSPET, of so many photos."""
    joints = np.stack([cast.flat_in(lsp.JOINTS, number) for number in range(people)])
    flag = np.full((people, 14, 1), 0.0 if name == "LSP" else 1.0)
    flag[0, 0] = 1 - flag[0, 0]  # hidden in LSP, not labelled in LSPET
    both = np.concatenate([joints, flag], axis=2)
    order, digits = ((2, 1, 0), 4) if name == "LSP" else ((1, 2, 0), 5)
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "joints.mat", {"joints": both.transpose(order)})
    for number in range(people):
        write_photo(folder / "images" / f"im{number + 1:0{digits}d}.jpg", cast.picture(number))
    return folder


def write_3dhp_test(source: Path, name: str, frames: int, universal: float = 0.9, cast: Cast = MADE_UP) -> Path:
    """One sequence of the test set; every third frame is not valid, the universal person is smaller."""
    folder, numbers = source / name, range(frames)
    folder.mkdir(parents=True)
    with h5py.File(folder / "annot_data.mat", "w") as file:
        file["annot2"] = np.stack([cast.flat_in(mpi_inf_3dhp.TEST_JOINTS, i) for i in numbers])[:, None]
        space = np.stack([cast.space_in(mpi_inf_3dhp.TEST_JOINTS, i) for i in numbers])[:, None]
        file["annot3"], file["univ_annot3"] = space, space * universal
        file["valid_frame"] = np.array([[float(i % 3 != 2)] for i in numbers])
        file["activity_annotation"] = np.ones((frames, 1))
    for i in numbers:
        if i % 3 != 2:
            write_photo(folder / "imageSequence" / f"img_{i + 1:06d}.jpg", cast.picture(i))
    return folder


def write_3dhp_train(source: Path, cameras: Sequence[int], frames: int, cast: Cast = FILMED) -> Path:
    """S1/Seq1 of the training set with the videos of some cameras; frame i of camera c shows number i + 10 c."""
    folder, numbers = source / "S1" / "Seq1", range(frames)
    cells = {name: np.empty((14, 1), dtype=object) for name in ("annot2", "annot3", "univ_annot3")}
    for camera in range(14):
        shown = [i + 10 * camera for i in numbers]
        rows = [
            np.stack([joints(mpi_inf_3dhp.TRAIN_JOINTS, number).ravel() for number in shown])
            for joints in (cast.flat_in, cast.space_in)
        ]
        cells["annot2"][camera, 0], cells["annot3"][camera, 0] = rows
        cells["univ_annot3"][camera, 0] = rows[1] * 0.9
    lines = ["Skeletool Camera Calibration File V1.0"]
    fx, fy, cx, cy = cast.camera.fx, cast.camera.fy, cast.camera.cx, cast.camera.cy
    matrix = f"{fx} 0 {cx} 0 0 {fy} {cy} 0 0 0 1 0 0 0 0 1"
    for camera in range(14):
        lines += [f"name          {camera}", "  sensor      10 10", "  size        2048 2048", "  animated    0",
                  f"  intrinsic   {matrix} ", f"  extrinsic   {matrix}", "  radial      0"]  # fmt: skip
    for camera in cameras:
        pictures = (cast.picture(i + 10 * camera) for i in numbers)
        encode_video(folder / "imageSequence" / f"video_{camera}.avi", pictures, "mjpeg", fps=50.0)
    savemat(folder / "annot.mat", cells)
    (folder / "camera.calibration").write_text("\n".join(lines) + "\n")
    return folder


def read(dataset: Dataset) -> list[Sample]:
    """Everybody of a data set, whole photos."""
    people = [one for part in dataset.parts for one in part.read()]
    assert all(isinstance(one, Sample) for one in people), people
    return people  # type: ignore[return-value]


def skipped(dataset: Dataset) -> list[Skip]:
    return [one for part in dataset.parts for one in part.read() if isinstance(one, Skip)]


def assert_same(one: Sample, number: int, camera: Camera | None, three: bool = True, scale: float = 1.0) -> None:
    """Whether a sample is the skeleton of that number as it was written."""
    seen = one.joints_2d_valid
    assert np.allclose(one.joints_2d[seen], flat(number, camera or CAMERA)[seen], atol=1e-4)
    assert one.has_3d == three and (one.depth_valid.all() or not three)
    if three:
        assert np.allclose(one.joints_3d, skeleton(number) * scale, atol=1e-3)
    if one.camera is not None:
        assert np.allclose(one.camera.K, (camera or CAMERA).K, atol=0.05)
