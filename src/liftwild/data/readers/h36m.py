"""Reader of Human3.6M in either of two layouts: preprocessed folders (here) and the official videos (h36m_videos).

Preprocessed: one folder ``s_SS_act_AA_subact_TT_ca_CC/`` for each video, with ``matlab_meta.mat`` (Y2d (17*2, n),
Y3d_mono (17*3, n), bbox (4, n), num_images) and ``<folder>_000001.jpg`` and so on, crops of 224 px. Column i belongs
to picture i + 1 of 50 a second; every fifth is there, 1, 6, 11, ... Y2d is in px of the crop, taken as it is (the
documents do not say where a pixel lies); the authors' crop is the whole picture. There is no camera in this layout.

The pelvis is Human3.6M's; its thorax joint lies where MPII's upper neck does, its head top is MPII's, and MPII's
thorax is the middle of the shoulders. Its spine and jaw have no counterpart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from liftwild.crop import BOX_MARGIN
from liftwild.data.dataset import Dataset, Part
from liftwild.data.labels import Skip, labelled_sample, positions
from liftwild.data.readers.common import need_folder
from liftwild.data.readers.file_formats import load_mat
from liftwild.errors import LiftwildError
from liftwild.media.photo import read_photo
from liftwild.sample import Sample
from liftwild.skeleton import H36M_17

SUBJECTS = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}
ACTIONS = {
    2: "Directions", 3: "Discussion", 4: "Eating", 5: "Greeting", 6: "Phoning", 7: "Posing", 8: "Purchases",
    9: "Sitting", 10: "SittingDown", 11: "Smoking", 12: "Photo", 13: "Waiting", 14: "Walking", 15: "WalkDog",
    16: "WalkTogether",
}  # fmt: skip
TAKES, CAMERAS = (1, 2), (1, 2, 3, 4)
BROKEN = (11, 2, 2, 1)  # subject, action, take, camera: its poses are not those of its video
JOINTS = H36M_17.names
EVERY, QUICK_EVERY = 5, 200  # 50 pictures a second become 10; of the authors' quick test
# Frames with a pose, 50 a second, of all videos of a split without the broken one, and of that one.
FRAMES, BROKEN_FRAMES = {"train": 1_559_752, "test": 548_819}, 1825
PUBLISHED_TEST = 109_867  # every fifth of them, and every 200th: the first of each video, and so on
PUBLISHED_QUICK_TEST = 2874
META = "matlab_meta.mat"
FOLDER = re.compile(r"s_(\d\d)_act_(\d\d)_subact_(\d\d)_ca_(\d\d)")

Key = tuple[int, int, int, int]  # subject, action, take, camera


def h36m_folders(source: str | Path, split: str, every: int = EVERY, keep_broken: bool = False) -> Dataset:
    """The preprocessed folders of ``split`` ("train": S1 S5 S6 S7 S8, "test": S9 S11).

    ``every``: take every so many of 50 pictures a second. ``keep_broken``: S11 Directions, take 2, camera 1 too.
    LiftwildError if no folder of the split is in ``source``. Source: Ionescu et al., PAMI 2014.
    """
    source = Path(source)
    need_folder(source, "Human3.6M")
    if every % EVERY:
        raise LiftwildError(
            f"--every {every}: the folders hold every {EVERY}th picture, so it must be a multiple of {EVERY}"
        )
    wanted = sequences(split, keep_broken)
    found = {key: source / name for name in sorted(os.listdir(source)) if (key := _key(name)) in wanted}
    if not found:
        raise LiftwildError(
            f"{source} holds nothing of Human3.6M {split}: expected folders such as "
            f"s_{SUBJECTS[split][0]:02d}_act_02_subact_01_ca_01, or S{SUBJECTS[split][0]}/Videos and so on"
        )
    incomplete = [path for path in found.values() if not (path / META).is_file()]
    if incomplete:
        raise LiftwildError(
            f"no file {incomplete[0] / META}: {len(incomplete)} of the {len(found)} folders there are not complete"
        )
    parts = [Part(path.name, partial(_read, path, key, every)) for key, path in found.items()]
    settings = {"source": str(source.resolve()), "split": split, "every": every, "broken": keep_broken}
    return Dataset(
        f"Human3.6M {split}",
        parts,
        settings,
        published(split, every, keep_broken),
        missing_videos(found, wanted, "folders"),
    )


def sequences(split: str, keep_broken: bool) -> list[Key]:
    """The videos of a split."""
    keys = [(s, a, t, c) for s in SUBJECTS[split] for a in ACTIONS for t in TAKES for c in CAMERAS]
    return [key for key in keys if keep_broken or key != BROKEN]


def published(split: str, every: int, keep_broken: bool) -> tuple[int, int]:
    """Least and most frames: the same where each video's own number of frames was counted."""
    more = -(-BROKEN_FRAMES // every) if keep_broken and split == "test" else 0
    counted = {EVERY: PUBLISHED_TEST, QUICK_EVERY: PUBLISHED_QUICK_TEST}.get(every) if split == "test" else None
    if counted is not None:
        return counted + more, counted + more
    videos = len(sequences(split, False))
    return -(-FRAMES[split] // every) + more, (FRAMES[split] + videos * (every - 1)) // every + more


def missing_videos(found: dict[Key, Path], wanted: list[Key], what: str) -> list[str]:
    """A line if some videos of a split are not there."""
    lacking = [key for key in wanted if key not in found]
    if not lacking:
        return []
    s, a, t, c = lacking[0]
    return [
        f"{len(found)} of {len(wanted)} {what} are there; missing is S{s} {ACTIONS[a]} take {t} camera {c}, for one"
    ]


def _key(name: str) -> Key | None:
    match = FOLDER.fullmatch(name)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]), int(match[4]))


def _read(folder: Path, key: Key, every: int) -> Iterator[Sample | Skip]:
    """The people of one folder."""
    joints_2d, joints_3d = read_meta(folder / META)
    match = positions(JOINTS)
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
        height, width = image.shape[:2]
        side = max(width, height) / BOX_MARGIN  # the crop is the whole picture
        yield labelled_sample(
            image, match, joints_2d[frame], joints_3d=joints_3d[frame], source=name, annotation_id=frame,
            box=((width - side) / 2, (height - side) / 2, side, side), subject=f"S{key[0]}", group=ACTIONS[key[1]],
        )  # fmt: skip


def read_meta(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Joints (n, 17, 2) in px of the crop and (n, 17, 3) in mm, camera space, of a ``matlab_meta.mat``."""
    meta = load_mat(path)
    try:
        count = int(np.ravel(meta["num_images"])[0])
        flat = [
            np.asarray(meta[name], dtype=np.float64).reshape(len(JOINTS), size, count)
            for name, size in (("Y2d", 2), ("Y3d_mono", 3))
        ]
    except (KeyError, ValueError, IndexError) as error:
        raise LiftwildError(f"{path} is not what Human3.6M's folders hold: {error}") from None
    joints_2d, joints_3d = (np.moveaxis(values, 2, 0) for values in flat)
    return joints_2d, joints_3d
