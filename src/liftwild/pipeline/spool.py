"""What was found in a clip's frames, on disk as it comes: a file that only grows, and can be gone on with.

A line of JSON says whose frames these are; then a block for each frame, with its length and a checksum before it. What
a program that was ended left half-written is cut off when the file is opened again.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.pose import Pose, PoseTrack
from liftwild.tracking.observation import Observation

FORMAT = "liftwild-spool"
VERSION = 4  # 2: peak; 3: score; 4: inside, visible
J = 16

_BLOCK = struct.Struct("<4sII")  # mark, bytes of what follows, its CRC-32
_FRAME, _END = b"FRAM", b"END."
_HEAD = struct.Struct("<qdIIH")  # number, time, width, height, people
_NO_ID = np.iinfo(np.int64).min
_PERSON = np.dtype(
    [
        ("person", "<i4"), ("annotation", "<i8"), ("box", "<f4", 4), ("joints_2d", "<f4", (J, 2)),
        ("joints_3d", "<f4", (J, 3)), ("confidence", "<f4", J), ("depth_sd", "<f4", J), ("colours", "<f4", 6),
        ("peak", "<f4"), ("score", "<f4"), ("inside", "<f4", J), ("visible", "<f4", J),
    ]
)  # fmt: skip
_MOST_BLOCK = _HEAD.size + 65535 * _PERSON.itemsize


class SpooledFrame(NamedTuple):
    """A frame as kept: ``width`` and ``height`` px, 0 where it was broken; ``people``: records of ``_PERSON``."""

    number: int
    time_s: float
    width: int
    height: int
    people: np.ndarray


class FrameLog(Protocol):
    """Where what was found in a clip's frames is kept, in order. ``is_complete``: the clip's end was reached, with
    ``missing`` frames."""

    is_complete: bool
    missing: int

    @property
    def path(self) -> Path | None:
        """Its file, or None."""

    @property
    def frames(self) -> int:
        """How many frames it holds."""

    def __iter__(self) -> Iterator[SpooledFrame]:
        """The frames that it holds, in order."""

    def add(self, number: int, time_s: float, size: tuple[int, int] | None, seen: list[Observation]) -> None:
        """Append a frame of ``size`` (width, height), None where it was broken, and who was seen in it."""

    def finish(self, missing: int) -> None:
        """Note that the clip has ended, with ``missing`` frames that it promised and did not have."""

    def remove(self) -> None:
        """Forget everything."""


class MemoryLog:
    """A ``FrameLog`` in memory, about 750 bytes for each person and frame."""

    path: Path | None = None

    def __init__(self) -> None:
        self._kept: list[SpooledFrame] = []
        self.is_complete, self.missing = False, 0

    @property
    def frames(self) -> int:
        """How many it holds."""
        return len(self._kept)

    def __iter__(self) -> Iterator[SpooledFrame]:
        return iter(self._kept)

    def add(self, number: int, time_s: float, size: tuple[int, int] | None, seen: list[Observation]) -> None:
        """As ``FrameLog.add``."""
        self._kept.append(SpooledFrame(number, time_s, *(size or (0, 0)), _records(seen)))

    def finish(self, missing: int) -> None:
        """As ``FrameLog.finish``."""
        self.is_complete, self.missing = True, missing

    def remove(self) -> None:
        """As ``FrameLog.remove``."""
        self._kept.clear()


class Spool:
    """A ``FrameLog`` on disk: the file at ``path`` for the clip and settings that ``about`` (text by name) tells.

    It is made if it is not there. LiftwildError if the file is something else, of another clip or of other settings, or is being written.
    """

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        self.path = path
        self.frames, self.is_complete, self.missing = 0, False, 0
        head = json.dumps({"format": FORMAT, "version": VERSION, **about}) + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115  (closed by close)
        except OSError as error:
            raise self._cannot(error) from None
        try:
            _lock(self._file.fileno(), path)
            self._file.seek(0)
            first = self._file.read(1 << 16).split(b"\n", 1)
            if first == [b""] or (len(first) == 1 and head.encode().startswith(first[0])):  # new, or hardly begun
                self._truncate(0)
                self._append(head.encode())
                self._begin = len(head)
            else:
                self._check(first[0], about)
                self._begin = len(first[0]) + 1
            self._size = self._scan()
        except BaseException:
            self._file.close()
            raise

    def _check(self, line: bytes, about: Mapping[str, str]) -> None:
        try:
            found = json.loads(line)
            ours = found.get("format") == FORMAT
        except (ValueError, AttributeError):
            ours, found = False, {}
        if not ours:
            raise LiftwildError(f"{self.path} exists and is no result of liftwild; use another -o")
        if found.get("version") != VERSION:
            raise LiftwildError(
                f"{self.path} was begun by another liftwild; delete it to start anew, or use another -o"
            )
        other = [name for name in about if found.get(name) != about[name]]
        if other:
            raise LiftwildError(
                f"{self.path} holds frames of {'another clip' if 'clip' in other else 'other settings'} "
                f"({', '.join(other)}); delete it to start anew, or use another -o"
            )

    def _scan(self) -> int:
        """Count whole blocks and cut off what follows the last; where it ends."""
        end = self._begin
        for mark, content, end in self._blocks():  # noqa: B007  (the last end is what is wanted)
            if mark == _END:
                self.is_complete, (self.missing,) = True, struct.unpack("<q", content)
            else:
                self.frames += 1
        self._truncate(end)
        return end

    def _blocks(self) -> Iterator[tuple[bytes, bytes, int]]:
        """(mark, content, end) of every whole block."""
        end = self._begin
        with open(self.path, "rb") as file:
            file.seek(end)
            while len(head := file.read(_BLOCK.size)) == _BLOCK.size:
                mark, length, checksum = _BLOCK.unpack(head)
                if mark not in (_FRAME, _END) or length > _MOST_BLOCK:
                    return
                content = file.read(length)
                if len(content) < length or zlib.crc32(content) != checksum:
                    return
                end += _BLOCK.size + length
                yield mark, content, end

    def __iter__(self) -> Iterator[SpooledFrame]:
        """The frames that it holds, in order, read one at a time."""
        for mark, content, _ in self._blocks():
            if mark == _FRAME:
                number, time_s, width, height, count = _HEAD.unpack_from(content)
                yield SpooledFrame(
                    number, time_s, width, height, np.frombuffer(content, _PERSON, count, offset=_HEAD.size)
                )

    def add(self, number: int, time_s: float, size: tuple[int, int] | None, seen: list[Observation]) -> None:
        """As ``FrameLog.add``. LiftwildError if it cannot be written; what came before is kept."""
        width, height = size or (0, 0)
        self._block(_FRAME, _HEAD.pack(number, time_s, width, height, len(seen)) + _records(seen).tobytes())
        self.frames += 1

    def finish(self, missing: int) -> None:
        """Note that the clip has ended, with ``missing`` frames that it promised and did not have."""
        self._block(_END, struct.pack("<q", missing))
        self.is_complete, self.missing = True, missing

    def _block(self, mark: bytes, content: bytes) -> None:
        block = _BLOCK.pack(mark, len(content), zlib.crc32(content)) + content
        try:
            self._append(block)
        except LiftwildError:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._size += len(block)

    def _append(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            while view:  # a raw file may take a part only
                written = self._file.write(view)
                if not written:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                view = view[written:]
        except OSError as error:
            raise self._cannot(error) from None

    def _truncate(self, size: int) -> None:
        try:
            self._file.truncate(size)
        except OSError as error:
            raise self._cannot(error) from None

    def _cannot(self, error: OSError) -> LiftwildError:
        return LiftwildError(f"{self.path}: cannot be written: {error.strerror or error}")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def remove(self) -> None:
        """Delete the file: there was nothing to keep."""
        self._file.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _records(seen: Sequence[Observation]) -> np.ndarray:
    """People as records of ``_PERSON``."""
    people = np.zeros(len(seen), _PERSON)
    for record, (pose, colours) in zip(people, seen, strict=True):
        record["person"] = -1 if pose.person_id is None else pose.person_id
        record["annotation"] = _NO_ID if pose.annotation_id is None else pose.annotation_id
        record["box"], record["joints_2d"], record["joints_3d"] = pose.box, pose.joints_2d, pose.joints_3d
        record["confidence"], record["colours"] = pose.confidence, colours
        record["depth_sd"] = np.nan if pose.depth_sd_mm is None else pose.depth_sd_mm
        record["peak"] = np.nan if pose.peak is None else pose.peak
        record["score"] = np.nan if pose.score is None else pose.score
        record["inside"] = np.nan if pose.inside is None else pose.inside
        record["visible"] = np.nan if pose.visible is None else pose.visible
    return people


def observations_of(frame: SpooledFrame) -> list[Observation]:
    """The people of a frame, as they were when they were kept."""
    return [
        Observation(
            Pose(
                joints_2d=record["joints_2d"].astype(np.float64),
                joints_3d=record["joints_3d"].astype(np.float64),
                confidence=record["confidence"].copy(),
                box=tuple(record["box"].tolist()),
                annotation_id=None if record["annotation"] == _NO_ID else int(record["annotation"]),
                depth_sd_mm=_known(record["depth_sd"].copy()),
                person_id=int(record["person"]),
                peak=None if np.isnan(record["peak"]) else float(record["peak"]),
                score=None if np.isnan(record["score"]) else float(record["score"]),
                inside=_known(record["inside"].copy()),
                visible=_known(record["visible"].copy()),
            ),
            record["colours"].copy(),
        )
        for record in frame.people
    ]


def _known(values: np.ndarray) -> np.ndarray | None:
    """``values``, or None where all are NaN."""
    return None if np.isnan(values).all() else values


class Spooled(NamedTuple):
    """All of a log in memory: ``times_s`` (F,) s, ``width`` and ``height`` px, ``broken`` frames, the ``tracks``."""

    times_s: np.ndarray
    width: int
    height: int
    broken: int
    tracks: tuple[PoseTrack, ...]


def read_spool(spool: FrameLog) -> Spooled:
    """The tracks of a log, by the number of their people. About 750 bytes for each person and frame are held."""
    counts: dict[int, int] = {}
    times: list[float] = []
    width = height = broken = 0
    for frame in spool:
        times.append(frame.time_s)
        broken += not frame.width
        width, height = (frame.width, frame.height) if frame.width else (width, height)
        for person in frame.people["person"].tolist():
            counts[person] = counts.get(person, 0) + 1
    records = {person: np.empty(count, _PERSON) for person, count in counts.items()}
    frames = {person: np.empty(count, np.int64) for person, count in counts.items()}
    filled = dict.fromkeys(counts, 0)
    for number, frame in enumerate(spool):
        for record in frame.people:
            person = int(record["person"])
            records[person][filled[person]] = record
            frames[person][filled[person]] = number
            filled[person] += 1
    tracks = tuple(_track(person, frames[person], records[person]) for person in sorted(counts))
    return Spooled(np.array(times, dtype=np.float64), width, height, broken, tracks)


def _track(person: int, frames: np.ndarray, records: np.ndarray) -> PoseTrack:
    ids = records["annotation"]
    return PoseTrack(
        person_id=person,
        frames=frames,
        joints_2d=records["joints_2d"],
        joints_3d=records["joints_3d"],
        confidence=records["confidence"],
        boxes=records["box"].astype(np.float64),
        depth_sd_mm=_known(records["depth_sd"]),
        annotation_ids=None
        if (ids == _NO_ID).all()
        else tuple(None if value == _NO_ID else int(value) for value in ids),
        scores=_known(records["score"].astype(np.float64)),
        inside=_known(records["inside"]),
        visible=_known(records["visible"]),
    )


def _lock(handle: int, path: Path) -> None:
    """Keep other programs from writing the file; LiftwildError if one does. Without effect where there are no locks."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LiftwildError(f"{path} is being written by another liftwild; wait for it, or use another -o") from None
    except OSError:  # a file system without locks
        pass
