"""Reader of Human3.6M as the authors train on it: their HDF5 annotation beside the folders of crops.

``annotFullTest.h5`` (every fifth frame of S9 and S11) or ``annotSampleTest.h5`` (every 200th), each with all of the
training subjects too, every fifth frame: id (N,) the picture's number from 1 on, subject, action 2..16, subaction,
camera, istrain (N,), joint_2d (N, 16, 2) px of the crop, joint_3d_mono (N, 16, 3) mm, camera space, bbox (N, 4). The
joints stand in MPII's order, with Human3.6M's spine in place of the thorax. Pictures: ``s_SS_act_AA_subact_TT_ca_CC/
s_SS_..._000001.jpg``, crops of 224 px, beside the file or in ``images/``; see ``h36m_folders`` for what the crops are.

Layout as GetH36M.py writes it and fusion.lua reads it. Unconfirmed on a real file: that the full file holds every fifth
frame (only the writer of the other one is public).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from liftwild.data.dataset import Dataset, Part
from liftwild.data.labels import Skip
from liftwild.data.readers.common import need_folder
from liftwild.data.readers.file_formats import load_hdf5
from liftwild.data.readers.h36m import (
    AS_IT_IS,
    EVERY,
    QUICK_EVERY,
    H36MOptions,
    Key,
    folder_name,
    h36m_sample,
    missing_videos,
    published,
    sequences,
    whole_picture,
)
from liftwild.errors import LiftwildError
from liftwild.media.photo import read_photo
from liftwild.sample import Sample
from liftwild.schema import understood
from liftwild.skeleton import MPII_16

JOINTS = tuple("spine" if name == "thorax" else name for name in MPII_16.names)
FULL, QUICK = "annotFullTest.h5", "annotSampleTest.h5"
STEPS = {FULL: EVERY, QUICK: QUICK_EVERY}  # of the test subjects


@dataclass(frozen=True, eq=False)
class Annotation:
    """The rows of one video: ``number`` (n,) of the picture from 1 on, joints (n, 16, 2) px and (n, 16, 3) mm."""

    number: np.ndarray
    joints_2d: np.ndarray
    joints_3d: np.ndarray


def annot_files(source: Path) -> list[Path]:
    """Those that are there, the full one first."""
    return [path for name in (FULL, QUICK) if (path := source / name).is_file()]


def h36m_annot(source: str | Path, split: str, options: H36MOptions = AS_IT_IS) -> Dataset:
    """The people of ``split`` ("train": istrain 1, "test": istrain 0) of one of the two files.

    For the test subjects the full file is read unless ``every`` is a multiple of 200 and the other one is there.
    LiftwildError if file or pictures are not where they should be. Source: Zhou et al., ICCV 2017, pose-hg-3d.
    """
    source = Path(source)
    options.refuse("the authors' annotation, whose pictures are cut out already", "boxes")
    options.refuse("the authors' annotation, which has 2D joints", "keypoints")
    path = _file_of(source, split, options.every)
    step = STEPS[path.name] if split == "test" else EVERY
    every = options.every or step
    if every % step:
        raise LiftwildError(
            f"--every {every}: {path.name} holds every {step}th picture of {split}, so it must be a multiple of {step}"
        )
    wanted = sequences(split, options.keep_broken)
    rows = {key: own for key, own in read_annotation(path, split, every).items() if key in wanted}
    if not rows:
        raise LiftwildError(f"{path} holds nobody of Human3.6M {split}")
    images = next((each for each in (source, source / "images") if any(each.glob("s_*"))), source)
    found = {key: own for key, own in rows.items() if (images / folder_name(key)).is_dir()}
    if not found:
        need_folder(images / folder_name(next(iter(rows))), "the pictures of a video")
    parts = [Part(folder_name(key), partial(_read, images, key, own, options)) for key, own in found.items()]
    return Dataset(
        f"Human3.6M {split} ({path.name})",
        parts,
        {**options.settings(source, split), "annotation": path.name},
        published(split, every, options.keep_broken),
        missing_videos(found, wanted, "folders"),
    )


def _file_of(source: Path, split: str, every: int | None) -> Path:
    files = annot_files(source)
    if not files:
        raise LiftwildError(f"{source} holds neither {FULL} nor {QUICK}")
    if split == "test" and every is not None and every % QUICK_EVERY == 0:
        return files[-1]
    return files[0]


def read_annotation(path: Path, split: str, every: int) -> dict[Key, Annotation]:
    """The rows of a split by video, in order of their pictures, every ``every``-th of 50 a second."""
    names = ("id", "subject", "action", "subaction", "camera", "istrain")
    *columns, joints_2d, joints_3d = load_hdf5(path, *names, "joint_2d", "joint_3d_mono")
    with understood(path, f"{FULL} or {QUICK}"):
        number, *key_columns, is_train = (np.ravel(column).astype(np.int64) for column in columns)
        joints_2d, joints_3d = joints_2d.astype(np.float64), joints_3d.astype(np.float64)
    for name, values, size in (("joint_2d", joints_2d, 2), ("joint_3d_mono", joints_3d, 3)):
        if values.shape != (len(number), len(JOINTS), size):
            raise LiftwildError(f"{path}: {name} is {values.shape}, not ({len(number)}, {len(JOINTS)}, {size})")
    if any(len(column) != len(number) for column in (*key_columns, is_train)):
        raise LiftwildError(f"{path}: id, subject, action, subaction, camera and istrain are not of one length")
    own = np.flatnonzero((is_train == (split == "train")) & ((number - 1) % every == 0))
    keys = np.stack(key_columns, axis=1)[own]
    videos, which = np.unique(keys, axis=0, return_inverse=True)
    found = {}
    for at, (subject, action, take, camera) in enumerate(videos.tolist()):
        rows = own[np.ravel(which) == at]
        rows = rows[np.argsort(number[rows], kind="stable")]
        found[subject, action, take, camera] = Annotation(number[rows], joints_2d[rows], joints_3d[rows])
    return found


def _read(images: Path, key: Key, rows: Annotation, options: H36MOptions) -> Iterator[Sample | Skip]:
    """The people of one video."""
    folder = folder_name(key)
    for number, joints_2d, joints_3d in zip(rows.number.tolist(), rows.joints_2d, rows.joints_3d, strict=True):
        name = f"{folder}/{folder}_{number:06d}.jpg"
        try:
            image = read_photo(images / name)
        except LiftwildError as error:
            yield Skip(name, number - 1, "photo cannot be read", str(error))
            continue
        yield h36m_sample(
            image, JOINTS, joints_2d, joints_3d, options, source=name, annotation_id=number - 1, key=key,
            box=whole_picture(image),
        )  # fmt: skip
