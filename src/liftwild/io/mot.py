"""A person's track as a motion of OpenSim's models (MOT): joint angles in degrees, one file for each person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.io.format import File, Format
from liftwild.kinematics.opensim_coordinates import PLACES, opensim_coordinates
from liftwild.kinematics.upright import upright
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MPII_16, Skeleton

MARK = b"liftwild joint angles\nversion=1\n"


def mot_bytes(track: PoseTrack, times_s: np.ndarray) -> bytes:
    """The MOT file of a track of at least one frame, in the joints that were found; ``times_s`` (F,): of the clip's
    frames, s.

    Rows are the person's frames, at the clip's own times; what is not known is interpolated or held, what is never
    known has no column. LiftwildError if the track has other joints than MPII-16.
    """
    if track.skeleton != MPII_16:
        raise LiftwildError("MOT needs the joints that were found (mpii16), not those of another skeleton")
    times = np.asarray(times_s, dtype=np.float64)[track.frames]
    columns = opensim_coordinates(*upright(track), times)
    lines = [MARK.decode() + f"nRows={len(times)}", f"nColumns={len(columns) + 1}", "inDegrees=yes", "endheader"]
    lines.append("\t".join(["time", *columns]))
    texts = [[f"{time:.6f}" for time in times.tolist()]]
    for name, values in columns.items():
        digits = 6 if name in PLACES else 4
        texts.append([f"{value:.{digits}f}" for value in (np.round(values, digits) + 0.0).tolist()])
    lines += ["\t".join(row) for row in zip(*texts, strict=True)]
    return ("\n".join(lines) + "\n").encode()


def _write(recording: Recording, skeleton: Skeleton, stem: str) -> Iterator[File]:
    (track,) = recording.tracks
    yield File(f"{stem}.mot", mot_bytes(track, recording.times_s))


def _recognise(path: Path, head: bytes) -> bool:
    return head.startswith(MARK)


def _describe(recording: Recording, skeleton: Skeleton) -> list[str]:
    return [
        "MOT: coordinates of OpenSim's model Rajagopal 2016, degrees and m, from the joints that were found; see "
        "docs/angles.md",
        "MOT: what is not known in a frame is interpolated or held; pelvis_tilt is the trunk's; hip_rotation and "
        "arm_rot only point shin and forearm where they were seen",
    ]


FORMAT = Format(
    "mot", "joint angles for OpenSim's models, a file a person", (".mot",), _write, _recognise, _describe,
    per_person=True, needs_floor=True, keeps_joints=True,
)  # fmt: skip
