"""A person's track as BVH, for Blender and other animation tools: m, y up, one file for each person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.io.description import frame_ranges
from liftwild.io.format import File, Format
from liftwild.io.places_reader import UNITS_M, recording_of_places
from liftwild.kinematics.animation import Animation, animate
from liftwild.kinematics.mixamo import PREFIX
from liftwild.kinematics.rig import Node, Rig
from liftwild.kinematics.rigify import ROOT
from liftwild.pose import Recording
from liftwild.rotation import matrix_between, quaternion_to_euler_zxy_deg
from liftwild.skeleton import MPII_16, Skeleton

if TYPE_CHECKING:
    from liftwild.synthetic.mocap.motion_clip import Motion

# What our files begin with, and those from before joints had places did.
CHANNELS = "Zrotation Xrotation Yrotation"
OLD_HEAD = b"HIERARCHY\nROOT pelvis\n"
HEADS = tuple(
    f"HIERARCHY\nROOT {name}\n{{\n\tOFFSET 0.000000 0.000000 0.000000\n"
    f"\tCHANNELS 6 Xposition Yposition Zposition {CHANNELS}\n".encode()
    for name in ("pelvis", f"{PREFIX}Hips", ROOT)
)
JOINT_OF_PART = {
    "thigh": "hip", "shin": "knee", "foot": "ankle", "upper arm": "shoulder", "forearm": "elbow", "hand": "wrist",
}  # fmt: skip
MIN_LEG_M = 0.25  # hip to ankle
MIN_ERROR_MM = 0.3  # smaller differences are those of rounding, of JSON too


def bvh_bytes(animation: Animation) -> bytes:
    """The BVH file of an animation."""
    return (_hierarchy(animation.rig) + _motion(animation)).encode()


def animation_notes(animation: Animation) -> list[str]:
    """What a BVH file cannot say of its animation, a sentence each."""
    count = len(animation)
    rate = f"{count} frame{'s' * (count != 1)} of {animation.frame_time_s:.6g} s"
    notes = [rate + (", resampled: the clip's frames come unevenly" if animation.is_resampled else "")]
    if animation.seen[0] > 0:
        notes.append(f"begins with the clip's frame {animation.seen[0]}, at {animation.start_s:.3f} s")
    if np.ptp(animation.seen) >= len(animation.seen):
        notes.append(f"seen in the clip's frames {frame_ranges(animation.seen)}; interpolated in between")
    if animation.max_error_mm > MIN_ERROR_MM:
        notes.append(
            "bones of the poses change lengths, or places, that those of the rig keep: joints are "
            f"{animation.mean_error_mm:.1f} mm from the poses on average, at most {animation.max_error_mm:.1f} mm"
        )
    return notes


def _hierarchy(rig: Rig) -> str:
    lines = ["HIERARCHY"]
    open_nodes: list[int] = []

    def close(until: int) -> None:
        while open_nodes and open_nodes[-1] != until:
            open_nodes.pop()
            lines.append("\t" * len(open_nodes) + "}")

    for index, node in enumerate(rig.nodes):
        close(node.parent)
        pad = "\t" * len(open_nodes)
        channels = f"3 {CHANNELS}"
        if _has_place(node):
            channels = f"6 Xposition Yposition Zposition {CHANNELS}"
        lines += [f"{pad}{'ROOT' if node.parent < 0 else 'JOINT'} {node.name}", pad + "{"]
        lines += [f"{pad}\tOFFSET {_numbers(node.offset)}", f"{pad}\tCHANNELS {channels}"]
        if node.end is not None:
            lines += [f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET {_numbers(node.end)}", f"{pad}\t}}"]
        open_nodes.append(index)
    close(-1)
    return "\n".join(lines) + "\n"


def _has_place(node: Node) -> bool:
    return node.parent < 0 or node.moves


def _motion(animation: Animation) -> str:
    rig, columns = animation.rig, []
    angles = quaternion_to_euler_zxy_deg(rig.rotations)
    for index, node in enumerate(rig.nodes):
        if _has_place(node):
            columns.append(animation.pelvis_m if node.parent < 0 else rig.places[:, index])
        columns.append(angles[:, index])
    rows = np.round(np.concatenate(columns, axis=1), 6) + 0.0  # no -0.0
    form = " ".join(["%.6f"] * rows.shape[1])
    lines = ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {animation.frame_time_s:.8f}"]
    return "\n".join([*lines, *(form % tuple(row) for row in rows.tolist())]) + "\n"


def _numbers(vector: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in (np.round(vector, 6) + 0.0).tolist())


def read_bvh_recording(path: str | Path) -> Recording:
    """The recording of one person in a BVH file, also of other programs: joints by their names (docs/motion.md).

    The unit is m, cm or mm, by the length of the legs; ``steps`` says which. LiftwildError, with the line, if it is no
    BVH file, or its joints or size are nobody's.
    """
    from liftwild.synthetic.mocap.bvh import read_bvh

    motion = read_bvh(path)
    path, places, names = Path(path), motion.positions(), list(motion.names)
    up = np.array([0.0, 1.0, 0.0])
    if not set(MPII_16.names) & set(names) >= {"left_hip", "left_knee", "left_ankle"}:
        places, names = _of_parts(motion)
        up = motion.axes.up
    legs = [names.index(f"left_{joint}") for joint in ("hip", "knee", "ankle") if f"left_{joint}" in names]
    length = float(np.median(np.linalg.norm(np.diff(places[:, legs], axis=1), axis=-1).sum(axis=1)))
    unit = next((name for name, size in UNITS_M.items() if MIN_LEG_M <= length * size < 10 * MIN_LEG_M), None)
    if unit is None:
        raise LiftwildError(f"{path}: legs of {length:.4g} are nobody's in {', '.join(UNITS_M)}; scale the file")
    places = (places @ matrix_between(up, np.array([0.0, 1.0, 0.0])).T) * UNITS_M[unit]
    frames = np.arange(len(places))
    return recording_of_places(
        path, places, names, frames, frames * motion.frame_time_s, (f"read from {path.name}, in {unit}, no picture",)
    )


def _of_parts(motion: Motion) -> tuple[np.ndarray, list[str]]:
    """Places (F, K, 3) and names of MPII-16's joints, of a file whose joints have other names."""
    parts, places = motion.parts, motion.positions()
    found = {
        f"{side}_{joint}": parts.limbs[f"{side} {part}"]
        for side in ("left", "right")
        for part, joint in JOINT_OF_PART.items()
        if f"{side} {part}" in parts.limbs
    }
    if parts.neck:  # the head turns about the upper neck
        found["upper_neck"] = parts.neck[-1]
        top = next((joint for joint, parent in enumerate(motion.parents) if parent == parts.neck[-1]), None)
        if top is not None:
            found["head_top"] = top
    return places[:, list(found.values())], list(found)


def _write(recording: Recording, skeleton: Skeleton, stem: str, rig: str = "plain") -> Iterator[File]:
    (track,) = recording.tracks
    animation = animate(track, recording.times_s, rig)
    yield File(f"{stem}.bvh", bvh_bytes(animation), tuple(animation_notes(animation)))


def _recognise(path: Path, head: bytes) -> bool:
    return (head.startswith(OLD_HEAD) and b"JOINT to_" in head) or head.startswith(HEADS)


def _describe(recording: Recording, skeleton: Skeleton) -> list[str]:
    lines = [
        "BVH rotations: degrees, ZXY; all zero is a T-pose that faces z; position channels of hips, thorax, neck and "
        "shoulders: the whole way from the joint before, in place of its OFFSET (none with --rig mixamo and rigify)",
        "BVH twist about a bone: not known, the least; ends of wrists, ankles and head top: drawn, not measured",
    ]
    if skeleton != MPII_16:
        lines.append("BVH joints: those of mpii16; bones of the others do not keep their lengths")
    return lines


FORMAT = Format(
    "bvh", "a moving skeleton for Blender, a file a person", (".bvh",), _write, _recognise, _describe,
    per_person=True, needs_floor=True, keeps_joints=True, takes_rig=True,
    read=read_bvh_recording,
)  # fmt: skip
