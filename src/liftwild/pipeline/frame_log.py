"""What was found in a clip's frames, kept in order: in memory here, on disk in ``spool``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from liftwild.pose import Pose, PoseTrack
from liftwild.tracking.observation import Observation

J = 16
_NO_ID = np.iinfo(np.int64).min
# A person in a frame, 32 bits a number: what is kept is what everything after is made of, in memory and on disk.
PERSON = np.dtype(
    [
        ("person", "<i4"), ("annotation", "<i8"), ("box", "<f4", 4), ("joints_2d", "<f4", (J, 2)),
        ("joints_3d", "<f4", (J, 3)), ("confidence", "<f4", J), ("depth_sd_mm", "<f4", J), ("colours", "<f4", 6),
        ("peak", "<f4"), ("score", "<f4"), ("inside", "<f4", J), ("visible", "<f4", J), ("ago", "u1"),
    ]
)  # fmt: skip

_OPTIONAL = ("depth_sd_mm", "peak", "score", "inside", "visible")  # of a pose; NaN where it has none


class LoggedFrame(NamedTuple):
    """A frame as kept: ``width`` and ``height`` px, 0 where it was broken; ``people``: records of ``PERSON``, those of
    earlier frames (``ago``) of whoever was found in this one; ``moved``: how far the background has gone since the
    frame before, px right and down."""

    number: int
    time_s: float
    width: int
    height: int
    people: np.ndarray
    moved: tuple[float, float] = (0.0, 0.0)


class MemoryLog:
    """What was found in a clip's frames, in order, in memory: about 750 bytes for each person and frame.

    ``is_complete``: the clip's end was reached, with ``missing`` frames. ``path``: its file, None here.
    """

    path: Path | None = None

    def __init__(self) -> None:
        self._kept: list[LoggedFrame] = []
        self.is_complete, self.missing = False, 0

    @property
    def frames(self) -> int:
        """How many frames it holds."""
        return len(self._kept)

    def __iter__(self) -> Iterator[LoggedFrame]:
        """The frames that it holds, in order."""
        return iter(self._kept)

    def add(
        self, number: int, time_s: float, size: tuple[int, int] | None, seen: list[Observation],
        moved: tuple[float, float] = (0.0, 0.0),
    ) -> None:  # fmt: skip
        """Append a frame of ``size`` (width, height), None where it was broken, who was seen in it, and how far the
        background has ``moved``."""
        self._kept.append(LoggedFrame(number, time_s, *(size or (0, 0)), records_of(seen), moved))

    def finish(self, missing: int) -> None:
        """Note that the clip has ended, with ``missing`` frames that it promised and did not have."""
        self.is_complete, self.missing = True, missing

    def remove(self) -> None:
        """Forget everything."""
        self._kept.clear()


def records_of(seen: Sequence[Observation]) -> np.ndarray:
    """People as records of ``PERSON``."""
    people = np.zeros(len(seen), PERSON)
    for record, (pose, colours, ago) in zip(people, seen, strict=True):
        record["ago"] = ago
        record["person"] = -1 if pose.person_id is None else pose.person_id
        record["annotation"] = _NO_ID if pose.annotation_id is None else pose.annotation_id
        record["box"], record["joints_2d"], record["joints_3d"] = pose.box, pose.joints_2d, pose.joints_3d
        record["confidence"], record["colours"] = pose.confidence, colours
        for name in _OPTIONAL:
            value = getattr(pose, name)
            record[name] = np.nan if value is None else value
    return people


def observations_of(frame: LoggedFrame) -> list[Observation]:
    """The people of a frame, as they were when they were kept."""
    return [
        Observation(
            Pose(
                joints_2d=record["joints_2d"].astype(np.float64),
                joints_3d=record["joints_3d"].astype(np.float64),
                confidence=record["confidence"].copy(),
                box=tuple(record["box"].tolist()),
                annotation_id=None if record["annotation"] == _NO_ID else int(record["annotation"]),
                person_id=int(record["person"]),
                peak=None if np.isnan(record["peak"]) else float(record["peak"]),
                score=None if np.isnan(record["score"]) else float(record["score"]),
                depth_sd_mm=_known(record["depth_sd_mm"].copy()),
                inside=_known(record["inside"].copy()),
                visible=_known(record["visible"].copy()),
            ),
            record["colours"].copy(),
            int(record["ago"]),
        )
        for record in frame.people
    ]


def _known(values: np.ndarray) -> np.ndarray | None:
    """``values``, or None where all are NaN."""
    return None if np.isnan(values).all() else values


class LoggedClip(NamedTuple):
    """All of a log in memory: ``times_s`` (F,) s, ``width`` and ``height`` px, ``broken`` frames, the ``tracks``, and
    where the background is, ``background_px`` (F, 2), from where the first frame has it."""

    times_s: np.ndarray
    width: int
    height: int
    broken: int
    tracks: tuple[PoseTrack, ...]
    background_px: np.ndarray


def read_log(log: Iterable[LoggedFrame]) -> LoggedClip:
    """The tracks of a log, by the number of their people. About 750 bytes for each person and frame are held."""
    counts: dict[int, int] = {}
    times: list[float] = []
    moved: list[tuple[float, float]] = []
    width = height = broken = 0
    for frame in log:
        times.append(frame.time_s)
        moved.append(frame.moved)
        broken += not frame.width
        width, height = (frame.width, frame.height) if frame.width else (width, height)
        for person in frame.people["person"].tolist():
            counts[person] = counts.get(person, 0) + 1
    records = {person: np.empty(count, PERSON) for person, count in counts.items()}
    frames = {person: np.empty(count, np.int64) for person, count in counts.items()}
    filled = dict.fromkeys(counts, 0)
    for number, frame in enumerate(log):
        for record in frame.people:
            person = int(record["person"])
            records[person][filled[person]] = record
            frames[person][filled[person]] = number - int(record["ago"])
            filled[person] += 1
    order = {person: np.argsort(own) for person, own in frames.items()}
    tracks = tuple(_track(each, frames[each][order[each]], records[each][order[each]]) for each in sorted(counts))
    background = np.cumsum(np.array(moved, dtype=np.float64).reshape(-1, 2), axis=0)
    return LoggedClip(np.array(times, dtype=np.float64), width, height, broken, tracks, background)


def _track(person: int, frames: np.ndarray, records: np.ndarray) -> PoseTrack:
    ids = records["annotation"]
    return PoseTrack(
        person_id=person,
        frames=frames,
        boxes=records["box"].astype(np.float64),
        annotation_ids=None if (ids == _NO_ID).all() else tuple(None if i == _NO_ID else int(i) for i in ids),
        scores=_known(records["score"].astype(np.float64)),
        joints_2d=records["joints_2d"],
        joints_3d=records["joints_3d"],
        confidence=records["confidence"],
        depth_sd_mm=_known(records["depth_sd_mm"]),
        inside=_known(records["inside"]),
        visible=_known(records["visible"]),
    )
