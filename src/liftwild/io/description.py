"""What every file says of itself: what was looked at, which joints in which order, frame, unit, zero, axes, camera."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

import numpy as np

from liftwild.camera import Camera
from liftwild.joint_mapping import joint_notes
from liftwild.placement.floor import Levelled
from liftwild.pose import ARRAYS, Recording
from liftwild.schema import ArrayOf, Between, checked
from liftwild.skeleton import MPII_16, SKELETONS, Skeleton

Joint = Annotated[int, Between(-1, 1000)]
POSES = "a file of poses of liftwild"
FRAME = {
    "unit": "mm",
    "zero": "pelvis of each person",
    "axes": "x right, y down, z away from the camera, as seen in the photo",
    "scale": "weak perspective, size of an average person: a single photo does not tell size or distance; what was "
    "done about it stands in steps",
    "joints_2d": "px of the upright photo, x right, y down, its top-left corner at (0, 0), pixel centres at +0.5",
}
# Of files whose weights tell which joints are in the photo.
OUTSIDE = "; of a joint with inside under 0.5, which the photo does not show, where the rest of the body says"
PLACED = "mm, the same axes, zero at the camera: where the pelvis is; joints_3d plus root_mm is where the joints are"
NOT_PLACED = "not estimated: where the person stands in the room is not known"
LEVELLED = {
    "axes": "x right, y down, z horizontally away from the camera: turned so that y is down in the room, see levelled",
    "root_mm": "mm, the same axes, zero on the floor below the camera: where the pelvis is; joints_3d plus root_mm is "
    "where the joints are, the floor y = 0",
}


FARTHEST = 1e9  # px, mm: nothing in a recording lies beyond
MAX_FRAMES = 10_000_000  # of a clip: 92 hours at 30 a second


def skeleton_of(recording: Recording) -> Skeleton:
    """The skeleton of the recording's tracks; MPII-16 if there are none."""
    return recording.tracks[0].skeleton if recording.tracks else MPII_16


def metadata(recording: Recording, skeleton: Skeleton | None = None) -> dict[str, Any]:
    """Everything but the poses, as JSON's types: the keys of docs/files.md.

    ``skeleton``: that of the file, where nobody may be in the recording; its tracks' where None.
    """
    skeleton = skeleton or skeleton_of(recording)
    is_placed = any(track.root_mm is not None for track in recording.tracks)
    frame = {**FRAME, "root_mm": PLACED if is_placed else NOT_PLACED}
    if any(track.inside is not None for track in recording.tracks):
        frame["joints_2d"] += OUTSIDE
    levelled = None
    if isinstance(recording, Levelled):
        frame |= LEVELLED
        levelled = {"turn": recording.turn.tolist(), "camera_height_mm": float(recording.camera_height_mm)}
    name, notes = _known_of(skeleton)
    return {
        "skeleton": name,
        "joint_names": list(skeleton.names),
        "parents": list(skeleton.parents),
        "joint_notes": dict(notes),
        "frame": frame,
        "levelled": levelled,
        "confidence_is": recording.confidence_is or None,
        "computed_by": recording.computed_by or None,
        "camera": _camera(recording.camera, recording.camera_from),
        "steps": list(recording.steps),
        **({"start_s": float(recording.start_s)} if recording.start_s else {}),
    }


@lru_cache
def _known_of(skeleton: Skeleton) -> tuple[str | None, dict[str, str]]:
    """Name and ``joint_notes`` of a skeleton: the same for every photo of a run."""
    return skeleton_name(skeleton), joint_notes(skeleton)


def skeleton_name(skeleton: Skeleton) -> str | None:
    """What users call the skeleton, or None if it is none of ``SKELETONS``."""
    return next((name for name, known in SKELETONS.items() if known == skeleton), None)


def skeleton_from_metadata(document: dict[str, Any]) -> Skeleton:
    """The skeleton of a document's ``joint_names`` and ``parents``.

    A file from before ``parents`` was written has MPII-16. KeyError, TypeError or ValueError if they are none.
    """
    names = tuple(checked(list[str], document["joint_names"], "joint_names"))
    if "parents" not in document and names == MPII_16.names:
        return MPII_16
    parents = tuple(checked(list[Joint], document["parents"], "parents"))
    # A parent that stands before its children: no joint is its own ancestor.
    depth = {-1: 0}
    while len(depth) <= len(parents):
        found = {at: depth[up] + 1 for at, up in enumerate(parents) if at not in depth and up in depth}
        if not found:
            break
        depth |= found
    if len(set(names)) < len(names) or parents.count(-1) != 1 or len(depth) != len(parents) + 1:
        raise ValueError("joint_names and parents are no tree of joints")
    return Skeleton(names, parents)


def check_recording(recording: Recording) -> None:
    """ValueError unless all of ``recording`` has the shapes, types and ranges that ``PoseTrack`` states."""
    checked(str, recording.source, "file")
    checked(bool, recording.is_clip, "is_clip")
    for name in ("width", "height"):
        checked(Annotated[int, Between(0, 1e6)], getattr(recording, name), name)  # 0: no picture, as of BVH
    frames = len(recording.times_s)
    if recording.times_s.shape != (frames,) or not (np.abs(recording.times_s) <= FARTHEST).all() or not frames:
        raise ValueError("times_s are no times")
    for track in recording.tracks:
        checked(int, track.person_id, "person_id")
        if len(track) and (track.frames[0] < 0 or track.frames[-1] >= frames or (np.diff(track.frames) <= 0).any()):
            raise ValueError(f"frames of person {track.person_id} do not rise, or are not among {frames}")
        joints = len(track.skeleton)
        shapes = {"joints_2d": (joints, 2), "joints_3d": (joints, 3), "boxes": (4,), "root_mm": (3,), "scores": ()}
        for name in ("frames", "boxes", "scores", *ARRAYS):
            values = getattr(track, name)
            wanted = (len(track), *({"frames": (), **shapes}.get(name, (joints,))))
            if values is None:
                continue
            if values.shape != wanted or values.dtype.kind not in ("iu" if name == "frames" else "f"):
                raise ValueError(f"{name} of {values.dtype} {values.shape}, not {wanted}")
            if (np.abs(values) > FARTHEST).any():
                raise ValueError(f"{name} holds a number above {FARTHEST:g}")


def with_metadata(recording: Recording, document: dict[str, Any]) -> Recording:
    """``recording`` with what a document says of camera, steps, confidence and floor; keys that it lacks are unknown.

    KeyError, TypeError or ValueError if they are not as ``metadata`` writes them.
    """
    camera, camera_from = None, ""
    if (values := document.get("camera")) is not None:
        fields = ("fx", "fy", "cx", "cy", "skew")
        camera = Camera(*(float(checked(float, values.get(name, 0.0), f"camera.{name}")) for name in fields))
        camera_from = str(values["from"])
    check_recording(recording)
    found = replace(
        recording,
        camera=camera,
        camera_from=camera_from,
        steps=tuple(str(step) for step in document.get("steps", [])),
        confidence_is=str(document.get("confidence_is") or ""),
        computed_by=str(document.get("computed_by") or ""),
        start_s=float(checked(Annotated[float, Between(0, FARTHEST)], document.get("start_s", 0.0), "start_s")),
    )
    if (levelled := document.get("levelled")) is None:
        return found
    checked(Annotated[Any, ArrayOf(3, 3)], levelled["turn"], "levelled.turn")
    height = checked(float, levelled["camera_height_mm"], "levelled.camera_height_mm")
    return Levelled.of(found, np.array(levelled["turn"], dtype=np.float64), float(height))


def _camera(camera: Camera | None, source: str) -> dict[str, Any] | None:
    if camera is None:
        return None
    skew = {"skew": float(camera.skew)} if camera.skew else {}
    numbers = {field: float(getattr(camera, field)) for field in ("fx", "fy", "cx", "cy")}
    return {**numbers, **skew, "from": source}


def frame_ranges(frames: np.ndarray) -> str:
    """Indices of frames as a person writes them: 0-120, 140, 150-300."""
    if len(frames) == 0:
        return "none"
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    runs = np.split(frames, breaks)
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
