"""Poses as NumPy arrays in one .npz file, nothing rounded, and back; docs/files.md explains every array."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.io.description import POSES, metadata, skeleton_from_metadata, with_metadata
from liftwild.io.format import File, Format
from liftwild.pose import PoseTrack, Recording
from liftwild.schema import load_arrays, parse_json, shown, understood
from liftwild.skeleton import Skeleton

KIND = "liftwild-npz"
VERSION = 1
METADATA = "liftwild"  # the array that comes first in the file, so that its first bytes tell what it is

ROWS = (
    "frame", "joints_2d", "joints_3d", "confidence", "depth_sd_mm", "root_mm", "box", "score", "inside", "visible",
    "filled", "contacts", "annotation_id", "has_annotation_id",
)  # fmt: skip
TRACK_HAS = ("depth_sd_mm", "root_mm", "annotation_ids")


def npz_bytes(recording: Recording, skeleton: Skeleton) -> bytes:
    """The .npz file of a recording in the joints of ``skeleton``: one row for each person in each frame, a person's
    rows together."""
    tracks, joints = recording.tracks, len(skeleton)
    note = {
        "format": KIND, "version": VERSION, "file": recording.source, "is_clip": recording.is_clip,
        **metadata(recording, skeleton),
    }  # fmt: skip

    def rows(field: str, *shape: int) -> np.ndarray:
        parts = [(len(track), getattr(track, field)) for track in tracks]
        filled = [np.full((count, *shape), np.nan) if values is None else values for count, values in parts]
        return np.concatenate([np.empty((0, *shape)), *filled]).astype(np.float64)

    ids = [[None] * len(track) if track.annotation_ids is None else track.annotation_ids for track in tracks]
    flat_ids = [value for own in ids for value in own]
    whole = {
        METADATA: np.array(json.dumps(note)),
        "joint_names": np.array(skeleton.names),
        "parents": np.array(skeleton.parents, dtype=np.int64),
        "size_px": np.array([recording.width, recording.height], dtype=np.int64),
        "times_s": np.asarray(recording.times_s, dtype=np.float64),
        "frame": np.concatenate([np.empty(0, np.int64), *(track.frames for track in tracks)]).astype(np.int64),
        "person_id": np.repeat(np.array([track.person_id for track in tracks], np.int64), [*map(len, tracks)]),
        "joints_2d": rows("joints_2d", joints, 2),
        "joints_3d": rows("joints_3d", joints, 3),
        "confidence": rows("confidence", joints),
        "depth_sd_mm": rows("depth_sd_mm", joints),
        "root_mm": rows("root_mm", 3),
        "box": rows("boxes", 4),
        "score": rows("scores"),
        "inside": rows("inside", joints),
        "visible": rows("visible", joints),
        "filled": rows("filled"),  # 0 or 1
        "contacts": rows("contacts", 2),
        "annotation_id": np.array([0 if value is None else value for value in flat_ids], np.int64),
        "has_annotation_id": np.array([value is not None for value in flat_ids], bool),
        # One row for each track, so that they are found again as they were.
        "track_person_id": np.array([track.person_id for track in tracks], np.int64),
        "track_length": np.array([len(track) for track in tracks], np.int64),
        "track_has": np.array(
            [[getattr(track, field) is not None for field in TRACK_HAS] for track in tracks], bool
        ).reshape(-1, 3),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **whole)  # type: ignore[arg-type]
    return buffer.getvalue()


def read_npz(path: str | Path) -> Recording:
    """The recording in a file of the format ``npz``, equal in every number.

    LiftwildError if it cannot be read or holds something else. Nothing is unpickled.
    """
    arrays = load_arrays(path)
    if METADATA not in arrays:
        raise LiftwildError(f"{path} is no .npz file of liftwild: it has no array {METADATA}")
    note = parse_json(str(arrays[METADATA]), f"{path}: {METADATA}")
    found = (note.get("format"), note.get("version")) if isinstance(note, dict) else None
    if found != (KIND, VERSION):
        raise LiftwildError(f"{path} is {shown(found)}; this liftwild reads {KIND} version {VERSION}")
    with understood(path, POSES):
        return _recording(arrays, note)


def _recording(arrays: dict[str, np.ndarray], note: dict[str, Any]) -> Recording:
    skeleton = skeleton_from_metadata(note)
    tracks, start = [], 0
    for name, values in arrays.items():
        if name in ROWS and len(values) != len(arrays["frame"]):
            raise ValueError(f"{name} has {len(values)} rows, not {len(arrays['frame'])}")

    def known(name: str, own: slice) -> np.ndarray | None:
        """Rows of an array that files from before lack; None where it holds nothing but NaN."""
        values = arrays[name][own] if name in arrays else np.empty(0)
        return None if np.isnan(values).all() else values

    def flags(name: str, own: slice) -> np.ndarray | None:
        values = known(name, own)
        return None if values is None else values > 0

    each = (arrays[name].tolist() for name in ("track_person_id", "track_length", "track_has"))
    for person_id, length, (has_spread, has_root, has_ids) in zip(*each, strict=True):
        own = slice(start, start + length)
        start += length
        ids = zip(arrays["annotation_id"][own].tolist(), arrays["has_annotation_id"][own].tolist(), strict=True)
        track = PoseTrack(
            person_id=person_id,
            frames=arrays["frame"][own],
            boxes=arrays["box"][own],
            **{name: arrays[name][own] for name in ("joints_2d", "joints_3d", "confidence")},
            depth_sd_mm=arrays["depth_sd_mm"][own] if has_spread else None,
            root_mm=arrays["root_mm"][own] if has_root else None,
            annotation_ids=tuple(value if there else None for value, there in ids) if has_ids else None,
            skeleton=skeleton,
            scores=known("score", own),
            inside=known("inside", own),
            visible=known("visible", own),
            filled=flags("filled", own),
            contacts=flags("contacts", own),
        )
        tracks.append(track)
    if start != len(arrays["frame"]):
        raise ValueError(f"{len(arrays['frame'])} rows for tracks of {start}")
    width, height = arrays["size_px"].tolist()
    recording = Recording(note["file"], width, height, arrays["times_s"], tuple(tracks), is_clip=note["is_clip"])
    return with_metadata(recording, note)


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    yield File(f"{stem}.npz", npz_bytes(recording, skeleton))


def _recognise(path: Path, head: bytes) -> bool:
    return head.startswith(b"PK") and METADATA.encode() + b".npy" in head[:100]


FORMAT = Format("npz", "everything as NumPy arrays, not rounded", (".npz",), _write, _recognise, read=read_npz)
