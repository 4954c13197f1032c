"""All people of a recording as one GLB file (binary glTF 2.0): skinned stick figures that move, m, y up.

The file is simple enough to be written by hand: one JSON chunk, and one of numbers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from liftwild import __version__
from liftwild.io.bvh import animation_notes
from liftwild.io.description import metadata
from liftwild.io.format import File, Format
from liftwild.kinematics.animation import Animation, animate
from liftwild.kinematics.rig import Rig
from liftwild.kinematics.upright import AXES, zero_of
from liftwild.pose import Recording
from liftwild.skeleton import Skeleton

MARK = '{"asset": {"version": "2.0", "generator": "liftwild'
# Colours of the person's left, right and middle: linear RGB of those of pictures.
SIDES = {"left": (0.0, 0.17, 0.45), "right": (0.87, 0.25, 0.007), "middle": (0.12, 0.13, 0.15)}
# A bone is a spindle: a ring of four points at a share of its length, so wide, m.
RING_AT, THICKNESS, MIN_RADIUS_M, MAX_RADIUS_M = 0.25, 0.12, 0.012, 0.045
ARRAY_BUFFER = 34962
COMPONENTS = {"float32": 5126, "uint8": 5121}
KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


class _Document:
    """A glTF document that grows, and the numbers that it refers to."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {}
        self.numbers = bytearray()

    def add(self, kind: str, entry: dict[str, Any]) -> int:
        """Append to the list ``kind`` of the document; the entry's index."""
        self.lists.setdefault(kind, []).append(entry)
        return len(self.lists[kind]) - 1

    def accessor(self, values: np.ndarray, bounds: bool = False, vertices: bool = False) -> int:
        """Rows of numbers, float32 or uint8; ``bounds``: with their least and largest, as places and times need it."""
        self.numbers += b"\0" * (-len(self.numbers) % 4)
        view = {"buffer": 0, "byteOffset": len(self.numbers), "byteLength": values.nbytes}
        self.numbers += np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
        flat = values.reshape(len(values), -1)
        entry = {
            "bufferView": self.add("bufferViews", view | ({"target": ARRAY_BUFFER} if vertices else {})),
            "componentType": COMPONENTS[str(values.dtype)], "count": len(values), "type": KINDS[flat.shape[1]],
        }  # fmt: skip
        if bounds:
            entry |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        return self.add("accessors", entry)


def glb_bytes(recording: Recording, rig: str = "plain") -> bytes:
    """The GLB file of a recording; ``rig``: as for ``kinematics.animation.animate``.

    Each person is a node ``person<id>`` with a skeleton below it and a stick figure that it moves. One animation, at
    the clip's time, moves all; before and after the frames in which a person was seen, the person has no size.
    """
    document = _Document()
    for name, colour in SIDES.items() if recording.tracks else ():
        surface = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
        document.add("materials", {"name": name, "pbrMetallicRoughness": surface})
    scene: list[int] = []
    motion: dict[str, Any] = {"name": "clip" if recording.is_clip else "pose", "channels": [], "samplers": []}
    for track in recording.tracks:
        if len(track):
            made = animate(track, recording.times_s, rig)
            scene += _person(document, made, track.person_id, float(recording.times_s[-1]), motion)
    if motion["channels"]:
        document.add("animations", motion)
    facts = metadata(recording)
    about = {
        "source": recording.source.encode("utf-8", "replace").decode(), "unit": "m", "axes": AXES,
        "zero": zero_of(recording), **{key: facts[key] for key in ("camera", "steps")},
    }  # fmt: skip
    whole: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"liftwild {__version__}", "extras": about},
        "scene": 0, "scenes": [{"nodes": scene} if scene else {}], **document.lists,
    }  # fmt: skip
    if document.numbers:
        whole["buffers"] = [{"byteLength": len(document.numbers)}]
    chunks = _chunk(b"JSON", json.dumps(whole).encode(), b" ")
    chunks += _chunk(b"BIN\0", bytes(document.numbers), b"\0") if document.numbers else b""
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, content: bytes, filler: bytes) -> bytes:
    content += filler * (-len(content) % 4)
    return struct.pack("<I", len(content)) + kind + content


def _person(document: _Document, made: Animation, person_id: int, end_s: float, motion: dict[str, Any]) -> list[int]:
    """Add a person: the nodes of the scene. ``motion``: the animation, which gets the person's channels."""
    rig, notes = made.rig, animation_notes(made)
    rest = _rest(rig)
    first = len(document.lists.get("nodes", [])) + 1  # the node of the skeleton's root, after the person's
    above = document.add("nodes", {"name": f"person{person_id}", "children": [first], "extras": {"notes": notes}})
    for index, node in enumerate(rig.nodes):
        place = rest[index] - (0 if node.parent < 0 else rest[node.parent])
        entry: dict[str, Any] = {"name": node.name, "translation": place.tolist()}
        children = [first + child for child, other in enumerate(rig.nodes) if other.parent == index]
        document.add("nodes", entry | ({"children": children} if children else {}))
    bind = np.tile(np.eye(4, dtype=np.float32), (len(rest), 1, 1))
    bind[:, 3, :3] = -rest  # columns after one another, as glTF has them
    skin = document.add("skins", {
        "inverseBindMatrices": document.accessor(bind.reshape(-1, 16)), "skeleton": first,
        "joints": list(range(first, first + len(rig.nodes))),
    })  # fmt: skip
    mesh = document.add("meshes", {"name": f"person{person_id}", "primitives": _primitives(document, rig, rest)})
    figure = document.add("nodes", {"name": f"person{person_id}_figure", "mesh": mesh, "skin": skin})

    times = made.start_s + made.frame_time_s * np.arange(len(made))
    clock = document.accessor(times.astype(np.float32), bounds=True)

    def move(node: int, path: str, values: np.ndarray, at: int = clock, how: str = "LINEAR") -> None:
        entry = {"input": at, "output": document.accessor(values.astype(np.float32)), "interpolation": how}
        motion["samplers"].append(entry)
        target = {"node": node, "path": path}
        motion["channels"].append({"sampler": len(motion["samplers"]) - 1, "target": target})

    for index, node in enumerate(rig.nodes):
        if node.parent < 0 or node.moves:
            move(first + index, "translation", made.pelvis_m if node.parent < 0 else rig.places[:, index])
        move(first + index, "rotation", _near(rig.rotations[:, index])[:, [1, 2, 3, 0]])  # glTF has w last
    late, early = times[0] > 1e-9, times[-1] + made.frame_time_s / 2 < end_s
    if late or early:
        keys = [*([0.0] if late else []), times[0], *([times[-1] + made.frame_time_s] if early else [])]
        sizes = np.array([*([0.0] if late else []), 1.0, *([0.0] if early else [])])
        at = document.accessor(np.array(keys, dtype=np.float32), bounds=True)
        move(above, "scale", np.tile(sizes[:, None], (1, 3)), at, "STEP")
    return [above, figure]


def _near(rotations: np.ndarray) -> np.ndarray:
    """The same rotations (T, 4), each by the quaternion that is next to the one before: players go from one to the
    next."""
    flips = np.where((rotations[1:] * rotations[:-1]).sum(axis=-1) < 0, -1.0, 1.0)
    return rotations * np.concatenate([[1.0], np.cumprod(flips)])[:, None]


def _rest(rig: Rig) -> np.ndarray:
    """Where the nodes (N, 3) are in T-pose, m, the lowest end of a bone on the floor."""
    rest = np.zeros((len(rig.nodes), 3))
    for index, node in enumerate(rig.nodes):
        if node.parent >= 0:
            rest[index] = rest[node.parent] + node.offset
    lowest = min(
        place[1] + (0.0 if node.end is None else node.end[1]) for place, node in zip(rest, rig.nodes, strict=True)
    )
    return rest - (0.0, lowest, 0.0)


def _primitives(document: _Document, rig: Rig, rest: np.ndarray) -> list[dict[str, Any]]:
    """The stick figure in T-pose: a spindle from each node to the next, whose tip follows the next node."""
    corners: dict[str, list[np.ndarray]] = {name: [] for name in SIDES}
    owners: dict[str, list[np.ndarray]] = {name: [] for name in SIDES}
    for index, node in enumerate(rig.nodes):
        name = node.name.rpartition(":")[2].lower()
        side = next((side for side in ("left", "right") if name.startswith(side)), "middle")
        bones = [] if node.parent < 0 else [(node.parent, index, rest[node.parent], rest[index])]
        bones += [] if node.end is None else [(index, index, rest[index], rest[index] + node.end)]
        for start, tip, base, end in bones:
            places, is_tip = _spindle(base, end)
            corners[side].append(places)
            owners[side].append(np.where(is_tip, tip, start))
    found = []
    for material, name in enumerate(SIDES):
        if not corners[name]:
            continue
        places, joint = np.concatenate(corners[name]), np.concatenate(owners[name])
        faces = places.reshape(-1, 3, 3)
        across = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
        normals = np.repeat(across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12), 3, axis=0)
        joints, weights = np.zeros((len(joint), 4), np.uint8), np.zeros((len(joint), 4), np.float32)
        joints[:, 0], weights[:, 0] = joint, 1.0
        attributes = {
            "POSITION": document.accessor(places.astype(np.float32), bounds=True, vertices=True),
            "NORMAL": document.accessor(normals.astype(np.float32), vertices=True),
            "JOINTS_0": document.accessor(joints, vertices=True),
            "WEIGHTS_0": document.accessor(weights, vertices=True),
        }
        found.append({"attributes": attributes, "material": material})
    return found


def _spindle(base: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (24, 3) of the triangles of a bone, outside anticlockwise, and which of them are its tip (24,)."""
    along = end - base
    length = float(np.linalg.norm(along))
    helper = np.eye(3)[int(np.argmin(np.abs(along)))]
    one = np.cross(along, helper)
    one = one / max(float(np.linalg.norm(one)), 1e-12)
    other = np.cross(along, one) / max(length, 1e-12)
    radius = min(max(THICKNESS * length, MIN_RADIUS_M), MAX_RADIUS_M)
    ring = [base + RING_AT * along + radius * way for way in (one, other, -one, -other)]
    corners, tips = [], []
    for i in range(4):
        near, far = ring[i], ring[(i + 1) % 4]
        corners += [near, far, end, far, near, base]
        tips += [False, False, True, False, False, False]
    return np.array(corners), np.array(tips)


def _write(recording: Recording, skeleton: Skeleton, stem: str, rig: str = "plain") -> Iterator[File]:
    yield File(f"{stem}.glb", glb_bytes(recording, rig))


def _recognise(path: Path, head: bytes) -> bool:
    return head.startswith(b"glTF") and head[20:].startswith(MARK.encode())


FORMAT = Format(
    "glb", "moving stick figures of all people, for Blender and the web", (".glb",), _write, _recognise,
    needs_floor=True, keeps_joints=True, takes_rig=True,
)  # fmt: skip
