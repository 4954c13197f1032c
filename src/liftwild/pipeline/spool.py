"""What was found in a clip's frames, on disk as it comes: a file that only grows, and can be gone on with.

A line of JSON says whose frames these are; then a block for each frame, with its length and a checksum before it. What
a program that was ended left half-written is cut off when the file is opened again.
"""

from __future__ import annotations

import errno
import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import lock
from liftwild.pipeline.frame_log import PERSON, LoggedFrame, records_of
from liftwild.tracking.observation import Observation

FORMAT = "liftwild-spool"
VERSION = 6  # 2: peak; 3: score; 4: inside, visible; 5: moved; 6: ago

_BLOCK = struct.Struct("<4sII")  # mark, bytes of what follows, its CRC-32
_FRAME, _END = b"FRAM", b"END."
_HEAD = struct.Struct("<qdIIHff")  # number, time, width, height, people, moved
_MISSING = struct.Struct("<q")  # frames, of _END
_MOST_BLOCK = _HEAD.size + 65535 * PERSON.itemsize


class Spool:
    """A ``MemoryLog`` on disk: the file at ``path`` for the clip and settings that ``about`` (text by name) tells.

    It is made if it is not there. LiftwildError if the file is something else, of another clip or of other settings, or
    is being written.
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
            if not lock(self._file.fileno()):
                raise LiftwildError(f"{path} is being written by another liftwild; wait for it, or use another -o")
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
        except (ValueError, AttributeError, RecursionError):
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
        end, last_s = self._begin, -math.inf
        for mark, content, end in self._blocks():  # noqa: B007  (the last end is what is wanted)
            if self.is_complete or (mark == _END and len(content) != _MISSING.size):
                raise self._other_shape()
            if mark == _END:
                self.is_complete, (self.missing,) = True, _MISSING.unpack(content)
                continue
            frame = self._frame(content)
            if not _is_possible(frame, self.frames, last_s):
                raise self._other_shape()
            last_s = frame.time_s
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

    def __iter__(self) -> Iterator[LoggedFrame]:
        """The frames that it holds, in order, read one at a time."""
        for mark, content, _ in self._blocks():
            if mark == _FRAME:
                yield self._frame(content)

    def _frame(self, content: bytes) -> LoggedFrame:
        if len(content) < _HEAD.size:
            raise self._other_shape()
        number, time_s, width, height, count, *moved = _HEAD.unpack_from(content)
        if len(content) != _HEAD.size + count * PERSON.itemsize:
            raise self._other_shape()
        people = np.frombuffer(content, PERSON, count, offset=_HEAD.size)
        return LoggedFrame(number, time_s, width, height, people, (moved[0], moved[1]))

    def _other_shape(self) -> LiftwildError:
        return LiftwildError(
            f"{self.path} holds frames that this liftwild did not write; delete it to start anew, or use another -o"
        )

    def add(
        self, number: int, time_s: float, size: tuple[int, int] | None, seen: list[Observation],
        moved: tuple[float, float] = (0.0, 0.0),
    ) -> None:  # fmt: skip
        """As ``MemoryLog.add``. LiftwildError if it cannot be written; what came before is kept."""
        width, height = size or (0, 0)
        head = _HEAD.pack(number, time_s, width, height, len(seen), *moved)
        self._block(_FRAME, head + records_of(seen).tobytes())
        self.frames += 1

    def finish(self, missing: int) -> None:
        """As ``MemoryLog.finish``."""
        self._block(_END, _MISSING.pack(missing))
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


def _is_possible(frame: LoggedFrame, number: int, last_s: float) -> bool:
    """Whether ``frame`` can be the one of that number, after one at ``last_s``: a right checksum does not say so."""
    people = frame.people
    numbers = people["person"]
    return bool(
        frame.number == number
        and math.isfinite(frame.time_s)
        and frame.time_s > last_s
        and (frame.width > 0) == (frame.height > 0)
        and (frame.width > 0 or not len(people))
        and all(map(math.isfinite, frame.moved))
        and (numbers >= 0).all()
        and (people["ago"] <= number).all()
        and len(np.unique(people[["person", "ago"]])) == len(people)
        and all(np.isfinite(people[name]).all() for name in ("box", "joints_2d", "joints_3d", "confidence"))
    )
