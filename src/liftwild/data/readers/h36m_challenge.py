"""Reader of the challenge of Human3.6M at ECCV 2018: whole pictures with 3D joints alone.

``Train/IMG/00001.jpg`` and ``Train/POSE/00001.csv`` and so on, ``Val/`` alike (``Test/`` has no poses), perhaps in a
folder ``ECCV18_Challenge/``. A csv holds 17 rows x, y, z of ``h36m.JOINTS`` in mm, y down, the pelvis at 0. The data
name neither subject nor action nor camera.

There are no 2D joints and no boxes, so ``keypoints`` must give some: COCO keypoints files of the pictures, such as
``liftwild predict Train/IMG --format coco`` writes. The largest person of a picture is taken. The 2D joints of the
store are the 3D ones' x and y, scaled and moved onto the given ones by least squares (as in Sun et al.'s data for this
challenge, but they turn them, too).

Layout and counts as others' loaders have them (integral-human-pose; csehong/h36m_eccv18 with five of the csv files).
Unconfirmed: that the axes are the camera's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from liftwild.camera import FARTHEST_MM
from liftwild.data.dataset import Dataset
from liftwild.data.labels import LabelledPerson, Skip, labelled_sample, positions, to_mpii
from liftwild.data.readers.coco import read_labels
from liftwild.data.readers.common import blocks, need_photos, photos_of
from liftwild.data.readers.h36m import AS_IT_IS, JOINTS, H36MOptions
from liftwild.errors import LiftwildError
from liftwild.sample import Sample

FOLDERS = {"train": "Train", "test": "Val"}
PUBLISHED = {"train": 35_832, "test": 19_312}
MIN_FITTED = 4  # joints known in the picture, to place the others by


def challenge_folder(source: Path) -> Path | None:
    """Where ``Train/POSE`` or ``Val/POSE`` is: ``source`` or its ``ECCV18_Challenge``; None if in neither."""
    for folder in (source, source / "ECCV18_Challenge"):
        if any((folder / name / "POSE").is_dir() for name in FOLDERS.values()):
            return folder
    return None


def h36m_challenge(source: str | Path, split: str, options: H36MOptions = AS_IT_IS) -> Dataset:
    """The people of ``split`` ("train": Train, "test": Val).

    LiftwildError if pictures, poses or keypoints are not where they should be. Source: challenge_open.php of the site.
    """
    source = Path(source)
    options.refuse("the challenge of ECCV 2018, which says nothing of videos", "every", "keep_broken", "boxes")
    options.refuse("the challenge of ECCV 2018, whose 2D joints are made so in any case", "targets_2d")
    root = challenge_folder(source) or source
    folder = root / FOLDERS[split]
    images = folder / "IMG"
    poses = {f"{path.stem}.jpg": path for path in sorted((folder / "POSE").glob("*.csv"))}
    if not poses:
        raise LiftwildError(f"{folder} holds no POSE/00001.csv and so on of the challenge of ECCV 2018")
    title = f"challenge of Human3.6M {FOLDERS[split]}"
    if options.keypoints is None:
        raise LiftwildError(
            f"the {title} has no 2D joints and no boxes: make some with 'liftwild predict {images} --format coco -o "
            "FOLDER', and give them as --keypoints FOLDER"
        )
    need_photos(images, poses, title, "its pictures", allow_missing=False)
    people = read_keypoints(options.keypoints)

    def read(some: Sequence[str]) -> Iterator[Sample | Skip]:
        for name, image in zip(some, photos_of(images, some), strict=True):
            number = int(Path(name).stem) if Path(name).stem.isdecimal() else 0
            if isinstance(image, Skip):
                yield Skip(name, number, image.reason, image.detail)
            elif name not in people:
                yield Skip(name, number, "nobody in the keypoints")
            else:
                yield _sample(image, read_pose(poses[name]), people[name], f"{folder.name}/IMG/{name}", number)

    count = PUBLISHED[split]
    return Dataset(title, blocks("people", list(poses), read), options.settings(source, split), (count, count))


def read_keypoints(path: Path) -> dict[str, LabelledPerson]:
    """By the name of its picture the largest person of COCO keypoints files: one, or all ``*.coco.json`` of a folder.

    LiftwildError if there are none, or one is no such file.
    """
    files = sorted(path.glob("*.coco.json")) if path.is_dir() else [path]
    largest: dict[str, LabelledPerson] = {}
    for file in files:
        for person in read_labels(file)[0]:
            name = person.file_name.replace("\\", "/").rpartition("/")[2]
            before = largest.get(name)
            if before is None or np.prod(person.box[2:]) > np.prod(before.box[2:]):
                largest[name] = person
    if not largest:
        raise LiftwildError(f"{path} holds nobody: COCO keypoints of the pictures are expected there, or *.coco.json")
    return largest


def read_pose(path: Path) -> np.ndarray:
    """Joints (17, 3) in mm of a csv file; LiftwildError if it holds something else."""
    try:
        joints = np.array([line.split(",") for line in path.read_text(encoding="utf-8").split()], dtype=np.float64)
    except (ValueError, OSError) as error:
        raise LiftwildError(f"{path} is not a pose, perhaps a half download: {error}") from None
    if joints.shape != (len(JOINTS), 3):
        raise LiftwildError(f"{path} is not a pose, perhaps a half download: {joints.shape}, not ({len(JOINTS)}, 3)")
    if not (np.abs(joints) <= FARTHEST_MM).all():
        raise LiftwildError(f"{path} is not a pose: a joint lies farther away than anybody's, or nowhere")
    return joints


def _sample(image: np.ndarray, joints: np.ndarray, person: LabelledPerson, source: str, number: int) -> Sample | Skip:
    match = positions(JOINTS)
    space, _ = to_mpii(match, joints, np.ones(len(joints), dtype=bool))
    known = person.joints_2d_valid
    if known.sum() < MIN_FITTED:
        return Skip(source, number, "too few joints in the keypoints")
    scale, shift = fit_in_picture(space[known, :2], person.joints_2d[known])
    if scale <= 0:
        return Skip(source, number, "pose does not fit the keypoints")
    return labelled_sample(
        image, match, joints[:, :2] * scale + shift, joints_3d=joints, box=person.box, source=source,
        annotation_id=number, spine_3d=joints[JOINTS.index("spine")],
    )  # fmt: skip


def fit_in_picture(flat_mm: np.ndarray, joints_2d: np.ndarray) -> tuple[float, np.ndarray]:
    """Scale (px per mm) and shift (2,) that bring joints (K, 2) in mm closest to (K, 2) px, by least squares."""
    middle_mm, middle = flat_mm.mean(axis=0), joints_2d.mean(axis=0)
    spread = ((flat_mm - middle_mm) ** 2).sum()
    scale = float(((flat_mm - middle_mm) * (joints_2d - middle)).sum() / spread) if spread > 0 else 0.0
    return scale, middle - scale * middle_mm
