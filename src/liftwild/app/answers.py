"""What processes answer of a recording: its files, and what there is to know of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from liftwild.app.child import Answer
from liftwild.app.wishes import FileWishes, safe_stem
from liftwild.errors import LiftwildError
from liftwild.io.angle_table import TABLE, angles_csv
from liftwild.io.formats import FORMATS, formatted
from liftwild.kinematics.upright import on_floor
from liftwild.pose import Recording


def files_answer(recording: Recording, wanted: FileWishes) -> Answer:
    """The files of a recording: their names and lengths, and all of them one after the other.

    LiftwildError where it has not the person that is wanted.
    """
    if wanted.person is not None and FORMATS[wanted.format].needs_floor:  # the one on which all of them stand
        recording = on_floor(recording)
    recording = _of_person(recording, wanted.person)
    files = list(
        formatted(
            recording, safe_stem(recording.source), [wanted.format], wanted.skeleton, wanted.min_confidence, wanted.rig
        )
    )
    return {"files": [[file.name, len(file.content)] for file in files]}, b"".join(file.content for file in files)


def angles_answer(recording: Recording, person: int | None, min_confidence: float) -> Answer:
    """As ``files_answer``, of the table of joint angles; arguments as for ``Recording.angles``."""
    content = angles_csv(_of_person(recording, person).angles(min_confidence))
    return {"files": [[f"{safe_stem(recording.source)}.angles{TABLE}", len(content)]]}, content


def recording_facts(recording: Recording) -> dict[str, Any]:
    """Size, length and people of a recording, as JSON: of each person the first and last frame, the box where it
    begins, the median score."""
    times = recording.times_s
    lasts = float(times[-1] - times[0]) if len(times) else 0.0
    return {
        "width": int(recording.width),
        "height": int(recording.height),
        "frames": len(times),
        "fps": round((len(times) - 1) / lasts, 3) if lasts > 0 else None,
        "people": [
            {
                "id": int(track.person_id),
                "score": _score(track.scores),
                "frames": [int(track.frames[0]), int(track.frames[-1])],
                "box": [round(float(value), 1) for value in track.boxes[0]],
            }
            for track in recording.tracks
            if len(track)
        ],
    }


def _score(scores: np.ndarray | None) -> float | None:
    known = np.empty(0) if scores is None else scores[np.isfinite(scores)]
    return round(float(np.median(known)), 3) if len(known) else None


def _of_person(recording: Recording, person: int | None) -> Recording:
    if person is None:
        return recording
    tracks = tuple(track for track in recording.tracks if track.person_id == person)
    if not tracks:
        raise LiftwildError(f"there is no person {person} in {recording.source}")
    return replace(recording, tracks=tracks)
