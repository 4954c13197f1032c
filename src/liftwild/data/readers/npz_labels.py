"""Reader of the npz files that mmpose and SPIN make of data sets: an array for each field, a row for each person.

imgname (N,) paths of photos, center (N, 2) px, scale (N,): the crop's side is 200 px times it; part (N, K, 3) x, y px
and whether it is labelled; S (N, K, 4) x, y, z in m, camera space, and the same. Either part or S may be missing. What
else there is, of SMPL for one, is not read. K tells whose file it is:

- 17, mmpose: Human3.6M (``h36m_train.npz``; joints of ``h36m.JOINTS``) or MPI-INF-3DHP (``mpi_inf_3dhp_train.npz``;
  those of ``mpi_inf_3dhp.TEST_JOINTS``), which the photos' names tell. S is absolute, and a camera is fitted to each
  one's people; the files of cameras beside it are pickled and stay closed.
- 24, SPIN and those who build on it: Human3.6M, MPI-INF-3DHP, LSP, MPII, COCO. The pelvis of S is at 0. Joint 18 is the
  head top of Human3.6M and MPI-INF-3DHP, joint 13 that of the others. A joint that nobody of a file has is one that its
  data set lacks.

Layouts as preprocess_h36m.py, preprocess_mpi_inf_3dhp.py (mmpose) and h36m_train.py, mpi_inf_3dhp.py, constants.py
(SPIN) have them. Unconfirmed: where a pixel lies (coordinates are taken as px), and that files in circulation under
these names are those programs' own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liftwild.camera import Camera, fit_camera
from liftwild.crop import BOX_MARGIN
from liftwild.data.dataset import Dataset
from liftwild.data.labels import Skip, labelled_sample, positions
from liftwild.data.readers.common import blocks, need_photos, photos_of
from liftwild.data.readers.h36m import ACTIONS, ALIASES, CAMERA_IDS
from liftwild.data.readers.h36m import JOINTS as H36M_JOINTS
from liftwild.data.readers.mpi_inf_3dhp import TEST_JOINTS, UNUSED
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.schema import load_arrays

PERSON_PX = 200.0  # the side of a crop is so many px times its scale
SPIN_JOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top", "pelvis", "thorax", "spine",
    "jaw", "nose", "left_eye", "right_eye", "left_ear", "right_ear",
)  # fmt: skip
OTHER_HEAD_TOP = 18  # in SPIN's files, before ``SPIN_JOINTS``' nose
MAX_SPAN_M = 10.0  # joints of one person that span more are not in m
FITTED_PEOPLE = 2000  # of a camera
H36M_PHOTO = re.compile(rf"(S\d+)_([A-Za-z]+)(?:_\d)?\.({'|'.join(CAMERA_IDS)})_\d+\.jpg")
MMPOSE_3DHP = re.compile(r"(S\d+)_(Seq\d+)_(Cam\d+)_\d+\.jpg|(TS\d+)_\d+\.jpg")
SPIN_3DHP = re.compile(r"(?:.*/)?(?:(S\d+)/(Seq\d+)/imageFrames/(video_\d+)|(TS\d+)/imageSequence)/\w+\.jpg")


@dataclass(frozen=True)
class PhotoOrigin:
    """What the name of a photo tells: ``data_set`` "h36m", "3dhp" or ""; the rest as in ``Sample``; whose camera."""

    data_set: str = ""
    subject: str = ""
    group: str = ""
    camera: str = ""


@dataclass(frozen=True, eq=False)
class NpzPeople:
    """N people: ``names`` of their photos, centre (N, 2) px, side (N,) px of the crop, joints (N, K, 2) px and
    (N, K, 3) mm, NaN where they are not labelled, or None; ``joints``: the K names; ``unused``: without a counterpart.
    """

    names: list[str]
    centre: np.ndarray
    side: np.ndarray
    joints_2d: np.ndarray | None
    joints_3d: np.ndarray | None
    joints: Sequence[str]
    unused: Sequence[str] = ()


def npz_labels(labels: str | Path, images: str | Path, allow_missing: bool = False) -> Dataset:
    """The people of an npz file; the names in it are paths below the folder ``images``.

    LiftwildError if it is none of the layouts above, or photos are missing. ``allow_missing``: their people are left
    out. Source: mmpose, tools/dataset_converters; Kolotouros et al., ICCV 2019.
    """
    labels, images = Path(labels), Path(images)
    rows = read_rows(labels)
    need_photos(images, rows.names, labels.name, "the photos", allow_missing)
    origins = [photo_origin(name) for name in rows.names]
    cameras = fit_cameras(rows, origins)
    match = positions(rows.joints, rows.unused)
    spine = rows.joints.index("spine")

    def read(some: Sequence[int]) -> Iterator[Sample | Skip]:
        for row, image in zip(some, photos_of(images, (rows.names[row] for row in some)), strict=True):
            name, origin = rows.names[row], origins[row]
            if isinstance(image, Skip):
                yield Skip(name, row, image.reason, image.detail)
                continue
            side = float(rows.side[row]) / BOX_MARGIN
            if not (np.isfinite(rows.centre[row]).all() and 0 < side < np.inf):
                yield Skip(name, row, "no centre or scale")
                continue
            x, y = rows.centre[row] - side / 2
            space = None if rows.joints_3d is None else rows.joints_3d[row]
            own = space is not None and origin.data_set == "h36m" and np.isfinite(space[spine]).all()
            yield labelled_sample(
                image, match, None if rows.joints_2d is None else rows.joints_2d[row], joints_3d=space, source=name,
                annotation_id=row, box=(float(x), float(y), side, side), subject=origin.subject, group=origin.group,
                camera=cameras.get(origin), spine_3d=space[spine] if space is not None and own else None,
            )  # fmt: skip

    order = sorted(range(len(rows.names)), key=lambda row: (rows.names[row], row))  # a photo is read once
    settings = {"labels": str(labels.resolve()), "images": str(images.resolve()), "people": len(order)}
    return Dataset(labels.name, blocks("people", order, read), settings)


def read_rows(path: Path) -> NpzPeople:
    """The people of an npz file; LiftwildError if it is none of the layouts above."""
    arrays = load_arrays(path, ("imgname", "center", "scale"), ("part", "S"))
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in np.ravel(arrays["imgname"]).tolist()]
    people = len(names)
    shapes = {name: values.shape for name, values in arrays.items()}
    if not people or shapes["center"] != (people, 2) or arrays["scale"].size != people:
        raise LiftwildError(f"{path}: imgname, center and scale are {shapes}, not (N,), (N, 2) and (N,)")
    if "part" not in arrays and "S" not in arrays:
        raise LiftwildError(f"{path} has neither part nor S: no joints to learn from")
    joints = arrays["part" if "part" in arrays else "S"].shape[1:2]
    for name, size in (("part", 3), ("S", 4)):
        if name in arrays and arrays[name].shape != (people, *joints, size):
            raise LiftwildError(
                f"{path}: {name} is {shapes[name]}, not ({people}, K, {size}), K joints as in the other"
            )
    flat, space = (_labelled(arrays[name]) if name in arrays else None for name in ("part", "S"))
    if space is not None:
        if (span := _span(space)) > MAX_SPAN_M:
            raise LiftwildError(f"{path}: S is not in m: people span {span:.0f}")
        space = space * 1000
    names_of, unused = _joint_names(path, joints, names)
    if names_of is SPIN_JOINTS:
        flat, space = (None if each is None else _one_head_top(each) for each in (flat, space))
        lacking = [_labelled_nowhere(each) for each in (flat, space) if each is not None]
        unused = [name for name, nowhere in zip(SPIN_JOINTS, np.all(lacking, axis=0), strict=True) if nowhere]
    side = PERSON_PX * np.ravel(arrays["scale"]).astype(np.float64)
    return NpzPeople(names, arrays["center"].astype(np.float64), side, flat, space, names_of, unused)


def _labelled(values: np.ndarray) -> np.ndarray:
    """Joints (N, K, D) of (N, K, D + 1), NaN where the last number says that they are not labelled."""
    values = values.astype(np.float64)
    return np.where(values[..., -1:] > 0, values[..., :-1], np.nan)


def _labelled_nowhere(joints: np.ndarray) -> np.ndarray:
    """Which of the K joints (N, K, D) no person of a file has: its data set lacks them, and some can be made up."""
    return ~np.isfinite(joints).all(axis=2).any(axis=0)


def _span(joints: np.ndarray) -> float:
    """How far the joints (N, K, D) of a person lie apart along an axis, the median; 0 where nothing is known."""
    known = np.isfinite(joints)
    spans = np.where(known, joints, -np.inf).max(axis=1) - np.where(known, joints, np.inf).min(axis=1)
    return float(np.median(spans.max(axis=1)[known.any(axis=(1, 2))])) if known.any() else 0.0


def _joint_names(path: Path, joints: tuple[int, ...], names: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What K joints are called, and which of them have no counterpart."""
    if joints == (len(SPIN_JOINTS) + 1,):
        return SPIN_JOINTS, ()
    if joints == (len(H36M_JOINTS),):
        found = {photo_origin(name).data_set for name in names}
        if found == {"h36m"}:
            return H36M_JOINTS, ()
        if found == {"3dhp"}:
            return TEST_JOINTS, UNUSED
        raise LiftwildError(
            f"{path}: 17 joints, but names such as {names[0]} are neither mmpose's of Human3.6M "
            "(S1_Directions_1.54138969_000001.jpg) nor of MPI-INF-3DHP (S1_Seq1_Cam0_000001.jpg, TS1_000001.jpg)"
        )
    raise LiftwildError(f"{path}: {joints[0] if joints else 'no'} joints, neither 17 as of mmpose nor 24 as of SPIN")


def _one_head_top(joints: np.ndarray) -> np.ndarray:
    """SPIN's 24 joints (N, 24, D) as ``SPIN_JOINTS`` has them: the head top is one of two."""
    head = SPIN_JOINTS.index("head_top")
    merged = joints.copy()
    merged[:, head] = np.where(np.isfinite(joints[:, head]), joints[:, head], joints[:, OTHER_HEAD_TOP])
    return np.delete(merged, OTHER_HEAD_TOP, axis=1)


def photo_origin(name: str) -> PhotoOrigin:
    """What a photo's name tells of whom it shows."""
    name = name.replace("\\", "/")
    base = name.rpartition("/")[2]
    if match := H36M_PHOTO.fullmatch(base):
        action = ALIASES.get(match[2], match[2])
        return PhotoOrigin("h36m", match[1], action if action in ACTIONS.values() else "", f"{match[1]} {match[3]}")
    if match := MMPOSE_3DHP.fullmatch(base) or SPIN_3DHP.fullmatch(name):
        if match[4]:
            return PhotoOrigin("3dhp", match[4], match[4], match[4])
        return PhotoOrigin("3dhp", match[1], f"{match[1]}/{match[2]}", f"{match[1]} {match[2]} {match[3]}")
    return PhotoOrigin()


def fit_cameras(rows: NpzPeople, origins: Sequence[PhotoOrigin]) -> dict[PhotoOrigin, Camera | None]:
    """The camera of each origin's people, where joints are known in px and in space, away from the camera."""
    if rows.joints_2d is None or rows.joints_3d is None:
        return {}
    by_camera: dict[str, list[int]] = {}
    for row, origin in enumerate(origins):
        if origin.camera:
            by_camera.setdefault(origin.camera, []).append(row)
    fitted = {}
    for camera, own in by_camera.items():
        some = own[:: -(-len(own) // FITTED_PEOPLE)]
        space = rows.joints_3d[some]
        is_absolute = (space[..., 2][np.isfinite(space[..., 2])] > 0).all()
        fitted[camera] = fit_camera(rows.joints_2d[some], space) if is_absolute else None
    return {origin: fitted.get(origin.camera) for origin in set(origins)}
