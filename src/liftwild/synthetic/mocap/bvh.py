"""Reader of BVH motion capture files.

A joint's channels are in the order they are listed; its rotations are multiplied in that order. Position channels of
the root are where it is; what the root lacks of them is its OFFSET. Position channels of other joints are taken for
what exporters write there: the whole way from the parent where they are near the OFFSET, else a way on top of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import reading
from liftwild.rotation import matrix_about
from liftwild.synthetic.mocap.motion_clip import Motion

MAX_NUMBER = 1e9  # of lengths and angles
_HEADER = {"Frames": r"frames\s*:?\s*(\S+)", "Frame Time": r"frame\s*time\s*:?\s*(\S+)"}
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)


def read_bvh(path: str | Path) -> Motion:
    """The clip of a BVH file, lengths in its units.

    LiftwildError, with the line, if it is no BVH, is cut short, or holds several skeletons or what is no number.
    """
    path = Path(path)
    lines = read_lines(path)
    joints, motion_line = _hierarchy(path, lines)
    values, frame_time_s = _motion(path, lines, motion_line, sum(len(joint.channels) for joint in joints))
    return _clip(path, joints, values, frame_time_s)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; LiftwildError if it is missing, unreadable, empty or no text."""
    with reading(path):
        data = path.read_bytes()
    if not data.strip():
        raise LiftwildError(f"{path}: the file is empty; export it again")
    if b"\0" in data:
        raise LiftwildError(f"{path}: not a text file; export the motion as BVH or ASF/AMC text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.splitlines()


def fail(path: Path, line: int, what: str) -> NoReturn:
    """Raise the LiftwildError of a line, counted from 1."""
    raise LiftwildError(f"{path}, line {line}: {what}")


def number(path: Path, line: int, word: str) -> float:
    """The number that ``word`` writes, of at most ``MAX_NUMBER``, or the LiftwildError that it is none."""
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if not abs(value) <= MAX_NUMBER:
        hint = "; write decimals with a dot" if "," in word else ""
        too_large = f" up to {MAX_NUMBER:g}" if np.isfinite(value) else ""
        fail(path, line, f"{word!r} is no number{too_large}{hint}")
    return value


@dataclass
class _Joint:
    """A joint as its block in the file says."""

    name: str
    parent: int
    line: int
    offset: list[float] | None = None
    channels: list[tuple[int, str]] = field(default_factory=list)  # (axis, "position" or "rotation")
    end: list[float] | None = None


class _Words:
    """The words of the hierarchy, one after the other, with their lines."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self.path = path
        self.words: list[tuple[str, int]] = []
        self.at = 0
        self.motion_line: int | None = None
        for count, line in enumerate(lines, 1):
            words = line.replace("{", " { ").replace("}", " } ").split()
            if words and words[0].upper() == "MOTION":
                self.motion_line = count
                break
            self.words += [(word, count) for word in words]
        self.last_line = self.words[-1][1] if self.words else 1

    def next(self, what: str) -> tuple[str, int]:
        """The next word and its line; LiftwildError if there is none."""
        if self.at >= len(self.words):
            fail(self.path, self.last_line, f"the hierarchy ends where {what} should follow; is the file cut short?")
        self.at += 1
        return self.words[self.at - 1]

    def vector(self) -> list[float]:
        """The next three numbers."""
        found = [self.next("a number of an OFFSET") for _ in range(3)]
        return [number(self.path, line, word) for word, line in found]

    def until_brace(self) -> str:
        """The words up to the next opening brace, which is taken too."""
        name: list[str] = []
        while True:
            word, line = self.next("'{'")
            if word == "{":
                return " ".join(name)
            if word == "}":
                fail(self.path, line, "'}' where '{' should open a joint")
            name.append(word)


def _hierarchy(path: Path, lines: list[str]) -> tuple[list[_Joint], int]:
    """The joints, parents first, and the line of MOTION."""
    words = _Words(path, lines)
    if not words.words or words.words[0][0].upper() != "HIERARCHY":
        fail(path, 1, "no BVH file: it should begin with HIERARCHY")
    words.at = 1
    joints: list[_Joint] = []
    stack: list[int | None] = []  # indices of the open joints; None is an End Site
    while words.at < len(words.words):
        word, line = words.next("a joint")
        key = word.upper()
        if key in ("ROOT", "JOINT"):
            if key == "ROOT" and joints:
                fail(path, line, "a second ROOT; keep one person in a file")
            if key == "JOINT" and (not stack or stack[-1] is None):
                fail(path, line, "JOINT outside of ROOT and other joints")
            parent = stack[-1] if stack else -1
            assert parent is not None
            joints.append(_Joint(words.until_brace(), parent, line))
            if not joints[-1].name:
                fail(path, line, f"{key} without a name")
            stack.append(len(joints) - 1)
        elif key == "END" and stack and stack[-1] is not None:
            words.until_brace()
            stack.append(None)
        elif word == "}" and stack:
            closed = stack.pop()
            if closed is not None and joints[closed].offset is None:
                fail(path, line, f"joint {joints[closed].name!r} has no OFFSET")
        elif key == "OFFSET" and stack:
            vector = words.vector()
            if stack[-1] is None:
                assert stack[-2] is not None
                joints[stack[-2]].end = vector
            else:
                joints[stack[-1]].offset = vector
        elif key == "CHANNELS" and stack and stack[-1] is not None:
            joints[stack[-1]].channels = _channels(words, joints[stack[-1]].name)
        else:
            fail(path, line, f"{word!r} where ROOT, JOINT, End Site, OFFSET, CHANNELS or a brace should be")
    if stack:
        fail(path, words.last_line, f"{len(stack)} braces of the hierarchy stay open; is the file cut short?")
    if not joints:
        fail(path, words.last_line, "the hierarchy has no ROOT")
    if words.motion_line is None:
        fail(path, words.last_line, "no MOTION after the hierarchy; export the file with its animation")
    return joints, words.motion_line


def _channels(words: _Words, name: str) -> list[tuple[int, str]]:
    """The channels after the word CHANNELS."""
    word, line = words.next("the number of channels")
    if not word.isdecimal():
        fail(words.path, line, f"CHANNELS of {name!r} begins with {word!r}, no count")
    channels: list[tuple[int, str]] = []
    for _ in range(int(word)):
        word, line = words.next("a channel")
        match = _CHANNEL.fullmatch(word)
        if match is None:
            fail(words.path, line, f"unknown channel {word!r} of {name!r}; known are X, Y and Z, position and rotation")
        channel = ("XYZ".index(match[1].upper()), match[2].lower())
        if channel in channels:
            fail(words.path, line, f"channel {word!r} of {name!r} is there twice")
        channels.append(channel)
    return channels


def _motion(path: Path, lines: list[str], motion_line: int, count: int) -> tuple[np.ndarray, float]:
    """Values (frames, channels), and the time between frames in s."""
    rows = [(line, text) for line, text in enumerate(lines[motion_line:], motion_line + 1) if text.strip()]
    header = []
    for what, pattern in _HEADER.items():
        line, text = rows.pop(0) if rows else (len(lines), "")
        match = re.fullmatch(pattern, text.strip(), re.IGNORECASE)
        if match is None:
            fail(path, line, f"'{what}: ' and a number should be here; is the file cut short?")
        header.append((number(path, line, match[1]), line))
    (frames, frames_line), (frame_time_s, time_line) = header
    if frame_time_s <= 0:
        fail(path, time_line, "Frame Time should be above 0")
    if frames != int(frames) or frames < 1:
        fail(path, frames_line, "Frames should be a whole number above 0; export the file with its animation")
    if count == 0:
        fail(path, motion_line, "no joint has channels, so nothing moves")
    values = np.empty((len(rows), count))
    for row, (line, text) in enumerate(rows):
        words = text.split()
        if len(words) != count:
            cut = "; is the file cut short?" if row == len(rows) - 1 and len(words) < count else ""
            fail(path, line, f"{len(words)} numbers in frame {row + 1}, but the joints have {count} channels{cut}")
        try:
            values[row] = words
        except ValueError:
            values[row] = [number(path, line, word) for word in words]
    if len(rows) != frames:
        fail(
            path, frames_line,
            f"Frames says {int(frames)}, but {len(rows)} follow; is the file cut short? If not, mend the number",
        )  # fmt: skip
    fits = (np.abs(values) <= MAX_NUMBER).all(axis=1)
    if not fits.all():
        row = int(np.nonzero(~fits)[0][0])
        fail(path, rows[row][0], f"a value of frame {row + 1} is NaN or too large; cut the frame out or export again")
    return values, frame_time_s


def _clip(path: Path, joints: list[_Joint], values: np.ndarray, frame_time_s: float) -> Motion:
    """Channels to rotations and positions."""
    frames, nan = len(values), [float("nan")] * 3
    offsets = np.array([joint.offset for joint in joints], dtype=float)
    root_positions = np.tile(offsets[0], (frames, 1))
    rotations = np.empty((frames, len(joints), 3, 3))
    shifts = np.zeros((frames, len(joints), 3))
    column = 0
    for index, joint in enumerate(joints):
        turned = rotations[:, joint.parent].copy() if index else np.tile(np.eye(3), (frames, 1, 1))
        places = []
        for axis, kind in joint.channels:
            if kind == "rotation":
                turned = turned @ matrix_about(axis, np.radians(values[:, column]))
            elif index:
                shifts[:, index, axis] = values[:, column]
                places.append(axis)
            else:
                root_positions[:, axis] = values[:, column]
            column += 1
        rotations[:, index] = turned
        if places:
            near = np.abs(shifts[:, index, places] - offsets[index, places]).sum()
            if near <= np.abs(shifts[:, index, places]).sum():
                shifts[:, index, places] -= offsets[index, places]
    offsets[0] = 0
    return Motion(
        source=str(path),
        names=tuple(joint.name for joint in joints),
        parents=tuple(joint.parent for joint in joints),
        offsets=offsets,
        ends=np.array([joint.end or nan for joint in joints]),
        rotations=rotations,
        root_positions=root_positions,
        frame_time_s=frame_time_s,
        shifts=shifts if shifts.any() else None,
    )
