"""Reader of Human3.6M as the authors preprocessed it: folders of crops, each with its own annotation.

One folder ``s_SS_act_AA_subact_TT_ca_CC/`` for each video, with ``matlab_meta.mat`` (Y2d (17*2, n), Y3d_mono (17*3, n),
bbox (4, n), num_images) and ``<folder>_000001.jpg`` and so on, crops of 224 px. Column i belongs to picture i + 1 of 50
a second; every fifth is there, 1, 6, 11, ... Y2d is in px of the crop, taken as it is (the documents do not say where a
pixel lies). There is no camera in this layout.

The whole picture is taken, as the authors do. Their h36mPreprocessing.m made it of a box around the joints (the site's
get_boundingbox; its margin is unknown), squared, its corners in ``bbox`` as px of the video; at the edge of a video the
square was cut, and what was left stretched to 224 x 224 px.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from liftwild.data.dataset import Dataset, Part
from liftwild.data.labels import Skip
from liftwild.data.readers.common import need_folder
from liftwild.data.readers.file_formats import load_mat
from liftwild.data.readers.h36m import (
    AS_IT_IS,
    EVERY,
    JOINTS,
    SUBJECTS,
    H36MOptions,
    Key,
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

META = "matlab_meta.mat"
FOLDER = re.compile(r"s_(\d\d)_act_(\d\d)_subact_(\d\d)_ca_(\d\d)")


def h36m_folders(source: str | Path, split: str, options: H36MOptions = AS_IT_IS) -> Dataset:
    """The preprocessed folders of ``split`` ("train": S1 S5 S6 S7 S8, "test": S9 S11).

    LiftwildError if no folder of the split is in ``source``. Source: Ionescu et al., PAMI 2014.
    """
    source = Path(source)
    need_folder(source, "Human3.6M")
    options.refuse("the preprocessed folders, whose pictures are cut out already", "boxes")
    options.refuse("the preprocessed folders, which have 2D joints", "keypoints")
    every = options.every or EVERY
    if every % EVERY:
        raise LiftwildError(
            f"--every {every}: the folders hold every {EVERY}th picture, so it must be a multiple of {EVERY}"
        )
    wanted = sequences(split, options.keep_broken)
    found = {key: source / name for name in sorted(os.listdir(source)) if (key := key_of_folder(name)) in wanted}
    if not found:
        raise LiftwildError(
            f"{source} holds nothing of Human3.6M {split}: expected folders such as "
            f"s_{SUBJECTS[split][0]:02d}_act_02_subact_01_ca_01, or S{SUBJECTS[split][0]}/Videos and so on "
            "(docs/datasets.md shows all layouts)"
        )
    incomplete = [path for path in found.values() if not (path / META).is_file()]
    if incomplete:
        raise LiftwildError(
            f"no file {incomplete[0] / META}: {len(incomplete)} of the {len(found)} folders there are not complete"
        )
    parts = [Part(path.name, partial(_read, path, key, every, options)) for key, path in found.items()]
    return Dataset(
        f"Human3.6M {split}",
        parts,
        options.settings(source, split),
        published(split, every, options.keep_broken),
        missing_videos(found, wanted, "folders"),
    )


def key_of_folder(name: str) -> Key | None:
    """The video that a folder's name means; None if it is no such name."""
    match = FOLDER.fullmatch(name)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]), int(match[4]))


def _read(folder: Path, key: Key, every: int, options: H36MOptions) -> Iterator[Sample | Skip]:
    """The people of one folder."""
    joints_2d, joints_3d = read_meta(folder / META)
    for frame in range(0, len(joints_2d), every):
        name = f"{folder.name}/{folder.name}_{frame + 1:06d}.jpg"
        if not joints_3d[frame].any():
            yield Skip(name, frame, "no pose: the folders hold every fifth picture")
            continue
        try:
            image = read_photo(folder.parent / name)
        except LiftwildError as error:
            yield Skip(name, frame, "photo cannot be read", str(error))
            continue
        yield h36m_sample(
            image, JOINTS, joints_2d[frame], joints_3d[frame], options, source=name, annotation_id=frame, key=key,
            box=whole_picture(image),
        )  # fmt: skip


def read_meta(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Joints (n, 17, 2) in px of the crop and (n, 17, 3) in mm, camera space, of a ``matlab_meta.mat``."""
    meta = load_mat(path, names=["num_images", "Y2d", "Y3d_mono"])
    with understood(path, "what Human3.6M's folders hold"):
        count = int(np.ravel(meta["num_images"])[0])
        flat = [
            np.asarray(meta[name], dtype=np.float64).reshape(len(JOINTS), size, count)
            for name, size in (("Y2d", 2), ("Y3d_mono", 3))
        ]
    joints_2d, joints_3d = (np.moveaxis(values, 2, 0) for values in flat)
    return joints_2d, joints_3d
