"""What a file format is: one record, which the file that writes the format ends with. ``formats`` lists them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from liftwild.pose import Recording
from liftwild.skeleton import Skeleton


class File(NamedTuple):
    """A file to be written; ``notes``: sentences on it for the text beside it."""

    name: str
    content: bytes
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A file format of poses.

    ``name``: what users type. ``help``: one line. ``suffixes``: what comes after the stem in the names of its files.
    ``write(recording, skeleton, stem)``: the files, one for each suffix; ``skeleton`` is that of the tracks, and of the
    file where there are none. ``recognise(path, head)``: whether the file at ``path``, whose name ends with one of
    ``suffixes`` and whose first bytes are ``head``, is liftwild's. ``describe(recording, skeleton)``: lines for the
    text beside the files; None of a format whose files name unit, zero, axes and joints themselves.

    ``per_person``: ``write`` gets one track, which has frames, at a time, and the stem ends with the person's number.
    ``needs_floor``: it gets the recording levelled on its floor and writes it as ``kinematics.upright`` turns it, in m
    with y up; the text beside the files says so. ``keeps_joints``: it gets the joints that were found, whatever
    ``skeleton`` is. ``takes_rig``: ``write`` has a fourth argument, one of ``kinematics.animation.RIGS``. ``check``:
    LiftwildError if a library is missing. ``read(path)``: the recording in a file, as far as the format holds it;
    LiftwildError if it holds something else. None where files are not read back.
    """

    name: str
    help: str
    suffixes: tuple[str, ...]
    write: Callable[..., Iterable[File]]
    recognise: Callable[[Path, bytes], bool]
    describe: Callable[[Recording, Skeleton], list[str]] | None = None
    per_person: bool = False
    needs_floor: bool = False
    keeps_joints: bool = False
    takes_rig: bool = False
    check: Callable[[], None] = lambda: None
    read: Callable[[Path], Recording] | None = None

    def files(self, recording: Recording, skeleton: Skeleton, stem: str, rig: str) -> Iterable[File]:
        """What ``write`` gives, with the rig where it takes one."""
        return self.write(recording, skeleton, stem, *([rig] if self.takes_rig else []))
