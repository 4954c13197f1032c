"""Recordings read back from files, whatever format they are in."""

from __future__ import annotations

from pathlib import Path

from liftwild.errors import LiftwildError
from liftwild.io.json_file import read_json
from liftwild.io.npz import read_npz
from liftwild.pose import Recording

READERS = {".json": read_json, ".npz": read_npz}


def read_recording(path: str | Path) -> Recording:
    """The recording in a file that ``recording.save`` or ``liftwild predict`` wrote as json or npz, by its suffix.

    LiftwildError if it has another suffix, cannot be read, or holds something else.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise LiftwildError(
            f"{path}: recordings are read from {' and '.join(READERS)} files; of a photo or video make one first: "
            f"liftwild predict {path.name} -o out"
        )
    return reader(path)
