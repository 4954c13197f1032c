"""From the table of ``csv_table`` back to a recording: what CSV and Parquet files are read with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.io.csv_table import JOINT
from liftwild.io.description import FARTHEST, MAX_FRAMES, with_metadata
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import SKELETONS, Skeleton


def recording_of_table(
    columns: dict[str, np.ndarray], joint_names: Sequence[str], source: str, note: dict[str, Any] | None = None
) -> Recording:
    """The recording that a table was written of.

    ``columns``: as ``csv_table.table`` has them, ``joint`` as positions in ``joint_names``. ``note``: what else a file
    says: ``file``, ``width``, ``height``, ``is_clip``, ``frames``, and the keys of ``description.metadata``.

    What the table does not hold is made up: boxes are those of the 2D joints, the picture is as large as these need,
    and times of frames without anybody lie between those of the others. LiftwildError if joints are no known set, or a
    person's frame has some other number of rows.
    """
    skeleton = _skeleton(joint_names, note, source)
    people = dict.fromkeys(columns["person_id"].tolist())
    tracks = tuple(_track(columns, int(person), skeleton, source) for person in people)
    last = int(columns["frame"].max(initial=0))
    count = max(int((note or {}).get("frames", 0)), last + 1)
    if count > MAX_FRAMES:
        raise LiftwildError(f"{source}: has a frame {count - 1:,}; a clip has at most {MAX_FRAMES:,}")
    known = np.unique(np.concatenate([[0], columns["frame"]]))
    at = {0: 0.0} | dict(zip(columns["frame"].tolist(), columns["time_s"].tolist(), strict=True))
    times_s = np.interp(np.arange(count), known, [at[frame] for frame in known.tolist()])
    if count > last + 1 and last:  # frames after those of anybody, at the same rate
        times_s[last + 1 :] = times_s[last] + times_s[last] / last * np.arange(1, count - last)
    places = np.concatenate([track.joints_2d.reshape(-1, 2) for track in tracks] or [np.zeros((0, 2))])
    size = np.ceil(np.nan_to_num(places).max(axis=0, initial=0)).clip(max=FARTHEST).astype(int)
    found = Recording(Path(source).name, int(size[0]), int(size[1]), times_s, tracks, is_clip=count > 1)
    if note is None:
        return found
    sized = replace(found, source=str(note["file"]), width=int(note["width"]), height=int(note["height"]))
    return with_metadata(replace(sized, is_clip=bool(note["is_clip"])), note)


def _skeleton(names: Sequence[str], note: dict[str, Any] | None, source: str) -> Skeleton:
    if note is not None:
        return Skeleton(tuple(note["joint_names"]), tuple(note["parents"]))
    for skeleton in SKELETONS.values():
        if not names or tuple(names) == skeleton.names:
            return skeleton
    raise LiftwildError(f"{source}: its joints are those of none of {', '.join(SKELETONS)}: {', '.join(names)}")


def _track(columns: dict[str, np.ndarray], person: int, skeleton: Skeleton, source: str) -> PoseTrack:
    own = np.flatnonzero(columns["person_id"] == person)
    own = own[np.lexsort((columns[JOINT][own], columns["frame"][own]))]
    frames, counts = np.unique(columns["frame"][own], return_counts=True)
    joints = len(skeleton)
    if (counts != joints).any() or (columns[JOINT][own].reshape(-1, joints) != np.arange(joints)).any():
        frame = frames[np.argmax(counts != joints)]
        raise LiftwildError(f"{source}: person {person} has not each of the {joints} joints once in frame {frame}")

    def rows(*names: str) -> np.ndarray:
        values = np.stack([columns[name][own] for name in names], axis=-1).astype(np.float64)
        return values.reshape(len(frames), joints, len(names))

    def known(values: np.ndarray) -> np.ndarray | None:
        return None if np.isnan(values).all() else values

    joints_2d = rows("x_px", "y_px")
    return PoseTrack(
        person_id=person,
        frames=frames.astype(np.int64),
        joints_2d=joints_2d,
        joints_3d=rows("x_mm", "y_mm", "z_mm"),
        confidence=np.nan_to_num(rows("confidence")[..., 0]),
        boxes=extents_of(joints_2d),
        depth_sd_mm=known(rows("depth_sd_mm")[..., 0]),
        root_mm=known(rows("root_x_mm", "root_y_mm", "root_z_mm")[:, 0]),
        skeleton=skeleton,
        scores=known(rows("score")[:, 0, 0]),
        inside=known(rows("inside")[..., 0]),
        visible=known(rows("visible")[..., 0]),
    )


def extents_of(joints_2d: np.ndarray) -> np.ndarray:
    """The boxes (T, 4), x y w h px, about joints (T, J, 2); 0 where all are hidden."""
    hidden = np.isnan(joints_2d)
    low = np.where(hidden, np.inf, joints_2d).min(axis=1)
    high = np.where(hidden, -np.inf, joints_2d).max(axis=1)
    boxes = np.concatenate([low, high - low], axis=1)
    return np.where(np.isfinite(boxes).all(axis=1, keepdims=True), boxes, 0.0)
