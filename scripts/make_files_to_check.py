"""Files for ``check_opensim.py`` and ``check_blender.py``, of the example clip, and beside them where the joints are.

Usage: scripts/make_files_to_check.py FOLDER. The person of the clip is there twice, the second time 1 m aside and with
a gap and a later beginning, so that the files hold what those of real videos do.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import liftwild
from liftwild.io.formats import write_formats
from liftwild.kinematics.upright import on_floor, upright
from liftwild.pose import PoseTrack

FORMATS = ("trc", "markers", "mot", "bvh", "glb")
SEEN = slice(10, 40)  # frames of the second person
GAP = slice(8, 16)  # of these, hidden


def second(track: PoseTrack) -> PoseTrack:
    """The same person 1 m aside, in fewer frames."""
    kept = np.delete(np.arange(len(track))[SEEN], np.arange(60)[GAP])
    arrays = {
        name: None if values is None else values[kept]
        for name in (
            "joints_2d", "joints_3d", "confidence", "boxes", "depth_sd_mm", "scores", "inside", "visible", "filled",
            "contacts",
        )
        for values in [getattr(track, name)]
    }  # fmt: skip
    root = None if track.root_mm is None else track.root_mm[kept] + (1000.0, 0.0, 0.0)
    return replace(track, person_id=1, frames=track.frames[kept], root_mm=root, annotation_ids=None, **arrays)


def main() -> None:
    """Write the files, and ``truth.npz``: of each person ``placesN`` (T, 16, 3) in m, y up, and ``framesN`` (T,)."""
    out = Path(sys.argv[1])
    found = liftwild.predict("examples/clip.mp4", weights="small", people=1)
    track = replace(found.tracks[0], person_id=0)
    recording = on_floor(replace(found, tracks=(track, second(track))))
    write_formats(recording, out, "clip", FORMATS)
    write_formats(recording, out / "mixamo", "clip", ["bvh"], rig="mixamo")
    truth = {"joint_names": np.array(track.skeleton.names)}
    for each in recording.tracks:
        pelvis, joints = upright(each)
        truth[f"places{each.person_id}"] = pelvis[:, None] + joints
        truth[f"frames{each.person_id}"] = each.frames
    np.savez(out / "truth.npz", **truth)
    step = np.median(np.diff(recording.times_s))
    (out / "rate.txt").write_text(f"{1 / step:.6f}\n")


if __name__ == "__main__":
    main()
