"""Reader of Human3.6M as h36m-fetch leaves it: ``processed/S1/Directions-1/annot.h5`` and pictures beside it.

``annot.h5``, a row for each picture of up to four cameras: frame (n,) from 1 on, camera (n,) such as 54138969, subject,
action 2..16, subaction, ``pose/2d`` (n, 32, 2) px, ``pose/3d`` (n, 32, 3) mm, camera space, ``pose/3d-univ`` (the same
scaled to one height for all, not read), ``intrinsics/54138969`` (4,) fx, cx, fy, cy px. Pictures, whole frames:
``imageSequence/54138969/img_000001.jpg``.

Which frames are there is that program's choice (every 64th of S9 and S11, of the others those where somebody moved
40 mm), so their number is compared with nothing. Layout as its process_all.py writes it; its first versions had no
pose/3d and counted actions from 1, and are refused. Unconfirmed on a real file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from liftwild.camera import Camera
from liftwild.data.dataset import Dataset, Part
from liftwild.data.labels import Skip
from liftwild.data.readers.file_formats import load_hdf5
from liftwild.data.readers.h36m import (
    AS_IT_IS,
    CAMERA_IDS,
    CAMERAS,
    JOINTS,
    OF_32,
    RECORDED,
    H36MOptions,
    Key,
    h36m_sample,
    missing_videos,
    sequences,
)
from liftwild.errors import LiftwildError
from liftwild.media.photo import read_photo
from liftwild.sample import Sample
from liftwild.schema import understood

WHAT = "h36m-fetch's annotation of Human3.6M"


def fetched_files(source: Path) -> list[Path]:
    """All ``annot.h5`` of the layout, in ``source`` or its ``processed/``."""
    return sorted([*source.glob("S*/*/annot.h5"), *source.glob("processed/S*/*/annot.h5")])


def h36m_fetch(source: str | Path, split: str, options: H36MOptions = AS_IT_IS) -> Dataset:
    """All pictures of ``split`` ("train": S1 S5 S6 S7 S8, "test": S9 S11).

    LiftwildError if nobody of the split is there, or an annotation is another. Source: github.com/anibali/h36m-fetch.
    """
    source = Path(source)
    options.refuse("h36m-fetch's pictures, which come without boxes", "boxes")
    options.refuse("h36m-fetch's pictures, which have 2D joints", "keypoints")
    wanted = set(sequences(split, options.keep_broken))
    takes: list[tuple[Key, Part]] = []
    for path in fetched_files(source):
        keys = _keys(path)
        for key in sorted(set(keys) & wanted):
            rows = np.array([at for at, own in enumerate(keys) if own == key])
            name = f"S{key[0]}-{path.parent.name}-{CAMERA_IDS[key[3] - 1]}"
            takes.append((key, Part(name, partial(_read, path, key, rows, options))))
    takes.sort(key=lambda take: take[0])
    found, parts = [key for key, _ in takes], [part for _, part in takes]
    if not parts:
        raise LiftwildError(f"{source} holds nobody of Human3.6M {split}, only of other subjects")
    twice = next((part for key, part in takes if found.count(key) > 1), None)
    if twice is not None:
        raise LiftwildError(f"{source} holds {twice.name} twice: leave one of the two folders in it")
    missing = missing_videos(found, sequences(split, options.keep_broken), "videos")
    return Dataset(f"Human3.6M {split}", parts, options.settings(source, split), None, missing)


def _keys(path: Path) -> list[Key]:
    """The video of each row; LiftwildError if a camera is none of Human3.6M's."""
    with understood(path, WHAT):
        columns = [
            np.ravel(column).astype(np.int64) for column in load_hdf5(path, "subject", "action", "subaction", "camera")
        ]
    if len({len(column) for column in columns}) != 1:
        raise LiftwildError(f"{path}: subject, action, subaction and camera are not of one length")
    places = {int(name): camera for name, camera in zip(CAMERA_IDS, CAMERAS, strict=True)}
    strange = sorted(set(columns[3].tolist()) - set(places))
    if strange:
        raise LiftwildError(f"{path} is not {WHAT}: cameras {strange}")
    return [(s, a, t, places[c]) for s, a, t, c in zip(*(column.tolist() for column in columns), strict=True)]


def _read(path: Path, key: Key, rows: np.ndarray, options: H36MOptions) -> Iterator[Sample | Skip]:
    """The people of one camera of an annotation."""
    name = CAMERA_IDS[key[3] - 1]
    frames, joints_2d, joints_3d, lens = load_hdf5(path, "frame", "pose/2d", "pose/3d", f"intrinsics/{name}")
    with understood(path, WHAT):
        frames, lens = np.ravel(frames).astype(np.int64), np.ravel(lens).astype(np.float64)
        joints_2d, joints_3d = joints_2d.astype(np.float64), joints_3d.astype(np.float64)
    for field, values, size in (("pose/2d", joints_2d, 2), ("pose/3d", joints_3d, 3)):
        if values.shape != (len(frames), RECORDED, size):
            raise LiftwildError(f"{path}: {field} is {values.shape}, not ({len(frames)}, {RECORDED}, {size})")
    if lens.shape != (4,):
        raise LiftwildError(f"{path}: intrinsics/{name} is {lens.shape}, not (4,)")
    fx, cx, fy, cy = lens.tolist()
    for at in rows[(frames[rows] - 1) % (options.every or 1) == 0].tolist():
        frame = int(frames[at])
        photo = path.parent / "imageSequence" / name / f"img_{frame:06d}.jpg"
        source = f"S{key[0]}/{path.parent.name}/imageSequence/{name}/{photo.name}"
        try:
            image = read_photo(photo)
        except LiftwildError as error:
            yield Skip(source, frame - 1, "photo cannot be read", str(error))
            continue
        yield h36m_sample(
            image, JOINTS, joints_2d[at, OF_32], joints_3d[at, OF_32], options, source=source,
            annotation_id=frame - 1, key=key, camera=Camera(fx, fy, cx, cy),
        )  # fmt: skip
