"""A made-up body with the real bones' names, and made-up motion to be put on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np

from liftwild.rotation import matrix_about
from liftwild.synthetic.mocap.motion import Motion

# --- a made-up body with the real names: parent and head (x, y, z in m), the left side mirrored to the right ---

HALF = {
    "root": ("", (0, 0, 0.14)), "spine05": ("root", (0, 0, 0.14)), "spine04": ("spine05", (0, 0.03, 0.22)),
    "spine03": ("spine04", (0, 0.01, 0.29)), "spine02": ("spine03", (0, 0.01, 0.38)),
    "spine01": ("spine02", (0, 0.03, 0.52)), "neck01": ("spine01", (0, -0.01, 0.70)),
    "neck02": ("neck01", (0, -0.02, 0.73)), "neck03": ("neck02", (0, -0.03, 0.78)), "head": ("neck03", (0, -0.05, 0.8)),
    "pelvis.L": ("root", (0, 0, 0.14)), "upperleg01.L": ("pelvis.L", (0.11, -0.01, 0.13)),
    "upperleg02.L": ("upperleg01.L", (0.11, -0.03, 0.03)), "lowerleg01.L": ("upperleg02.L", (0.15, -0.04, -0.30)),
    "lowerleg02.L": ("lowerleg01.L", (0.17, -0.02, -0.52)), "foot.L": ("lowerleg02.L", (0.19, 0, -0.74)),
    "toe1-1.L": ("foot.L", (0.16, -0.15, -0.79)), "toe2-1.L": ("foot.L", (0.19, -0.16, -0.79)),
    "toe2-2.L": ("toe2-1.L", (0.19, -0.18, -0.79)), "clavicle.L": ("spine01", (0.02, -0.03, 0.63)),
    "shoulder01.L": ("clavicle.L", (0.11, -0.03, 0.65)), "upperarm01.L": ("shoulder01.L", (0.18, -0.02, 0.60)),
    "upperarm02.L": ("upperarm01.L", (0.23, -0.03, 0.54)), "lowerarm01.L": ("upperarm02.L", (0.36, -0.03, 0.40)),
    "lowerarm02.L": ("lowerarm01.L", (0.42, -0.12, 0.34)), "wrist.L": ("lowerarm02.L", (0.49, -0.20, 0.27)),
    "finger1-1.L": ("wrist.L", (0.49, -0.25, 0.26)), "finger3-1.L": ("wrist.L", (0.53, -0.29, 0.22)),
}  # fmt: skip


def whole_body() -> tuple[list[str], list[int], np.ndarray]:
    """(names, parents, heads) of both sides."""
    both = dict(HALF)
    for name, (parent, (x, y, z)) in HALF.items():
        if name.endswith(".L"):
            both[name[:-1] + "R"] = (parent[:-1] + "R" if parent.endswith(".L") else parent, (-x, y, z))
    names = list(both)
    return names, [names.index(p) if p else -1 for p, _ in both.values()], np.array([h for _, h in both.values()])


NAMES, PARENTS, HEADS = whole_body()
BODY_LIMBS = {
    "thigh": ("upperleg01", "lowerleg01"), "shin": ("lowerleg01", "foot"), "upper arm": ("upperarm01", "lowerarm01"),
    "forearm": ("lowerarm01", "wrist"),
}  # fmt: skip


def posed(rotations: np.ndarray) -> np.ndarray:
    """Heads (F, bones, 3) of the body with rotations (F, bones, 3, 3)."""
    out = np.tile(HEADS, (len(rotations), 1, 1))
    for bone, parent in enumerate(PARENTS):
        if parent >= 0:
            out[:, bone] = out[:, parent] + (rotations[:, parent] @ (HEADS[bone] - HEADS[parent])[:, None])[..., 0]
    return out


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def body_directions(rotations: np.ndarray) -> dict[str, np.ndarray]:
    """Unit directions (F, 3) of the limbs of the posed body."""
    heads = posed(rotations)
    return {
        f"{side} {part}": unit(heads[:, NAMES.index(f"{end}.{side[0].upper()}")]
                               - heads[:, NAMES.index(f"{start}.{side[0].upper()}")])
        for side in ("left", "right") for part, (start, end) in BODY_LIMBS.items()
    }  # fmt: skip


# --- made-up motion: a skeleton in T-pose, y up, facing +z, in cm; the left side mirrored to the right ---

T_POSE = {
    "root": ("", (0, 0, 0)), "spine1": ("root", (0, 10, 0)), "spine2": ("spine1", (0, 12, -1)),
    "chest": ("spine2", (0, 14, 1)), "neck": ("chest", (0, 18, 0)), "head": ("neck", (0, 9, 2)),
    "thigh": ("root", (9, -4, 0)), "shin": ("thigh", (1, -42, 1)), "foot": ("shin", (0, -40, -2)),
    "toes": ("foot", (2, -6, 13)), "clavicle": ("chest", (3, 14, 0)), "upper arm": ("clavicle", (13, 0, -1)),
    "forearm": ("upper arm", (28, 0, 0)), "hand": ("forearm", (25, 0, 0)),
}  # fmt: skip
ENDS = {"head": (0, 18, 0), "toes": (0, 0, 6), "hand": (16, 0, 0)}
CENTRE = ("root", "spine1", "spine2", "chest", "neck", "head")
MIXAMO = {
    "root": "Hips", "spine1": "Spine", "spine2": "Spine1", "chest": "Spine2", "neck": "Neck", "head": "Head",
    "thigh": "{}UpLeg", "shin": "{}Leg", "foot": "{}Foot", "toes": "{}ToeBase", "clavicle": "{}Shoulder",
    "upper arm": "{}Arm", "forearm": "{}ForeArm", "hand": "{}Hand",
}  # fmt: skip


@dataclass
class Puppet:
    """A skeleton with its motion: offsets, ends and local rotations (F, J, 3, 3) in T_POSE's axes."""

    names: list[str]
    parents: list[int]
    offsets: np.ndarray
    ends: dict[int, np.ndarray]
    local: np.ndarray
    root: np.ndarray

    def text(self, orders: Sequence[str] = ("ZXY",), places: bool = False) -> str:
        """As BVH; joints take turns with the channel orders; ``places``: position channels at all joints."""
        order = [o for o, _ in zip(cycle(orders), self.names, strict=False)]

        def block(joint: int) -> list[str]:
            numbers = " ".join(f"{value:.9f}" for value in self.offsets[joint])
            position = joint == 0 or places
            words = (["Xposition", "Yposition", "Zposition"] if position else []) + [
                f"{a}rotation" for a in order[joint]
            ]
            inner = [f"OFFSET {numbers}", f"CHANNELS {len(words)} {' '.join(words)}"]
            for child in (child for child, parent in enumerate(self.parents) if parent == joint):
                inner += block(child)
            if joint in self.ends:
                end = " ".join(f"{value:.9f}" for value in self.ends[joint])
                inner += ["End Site", "{", f"  OFFSET {end}", "}"]
            return [f"{'JOINT' if joint else 'ROOT'} {self.names[joint]}", "{", *(f"  {x}" for x in inner), "}"]

        rows = []
        for frame in range(len(self.local)):
            row: list[float] = []
            for joint in self.depth_first():
                row += [*self.root[frame]] if joint == 0 else [*self.offsets[joint]] if places else []
                row += np.degrees(euler_angles(self.local[frame, joint], order[joint])).tolist()
            rows.append(" ".join(f"{value:.12g}" for value in row))
        head = ["HIERARCHY", *block(0), "MOTION", f"Frames: {len(rows)}", "Frame Time: 0.05"]
        return "\n".join([*head, *rows]) + "\n"

    def depth_first(self, joint: int = 0) -> list[int]:
        """Joints in the order of a BVH file."""
        return [joint] + [x for c, p in enumerate(self.parents) if p == joint for x in self.depth_first(c)]

    def turned(self, turn: np.ndarray) -> Puppet:
        """The same in other axes."""
        ends = {joint: turn @ end for joint, end in self.ends.items()}
        return replace(self, offsets=self.offsets @ turn.T, ends=ends, local=turn @ self.local @ turn.T,
                       root=self.root @ turn.T)  # fmt: skip

    def rested(self, turns: np.ndarray) -> Puppet:
        """The same motion with another rest pose: joint j's axes turned by ``turns`` (J, 3, 3)."""
        above = np.stack([turns[p] if p >= 0 else np.eye(3) for p in self.parents])
        offsets = np.einsum("jba,jb->ja", above, self.offsets)
        ends = {joint: turns[joint].T @ end for joint, end in self.ends.items()}
        return replace(self, offsets=offsets, ends=ends, local=above.transpose(0, 2, 1) @ self.local @ turns)


def euler_angles(rotation: np.ndarray, order: str) -> np.ndarray:
    """Angles (3,) in rad of R = R_first R_second R_third."""
    i, j, k = ("XYZ".index(letter) for letter in order)
    sign = 1 if (j - i) % 3 == 1 else -1
    second = np.arcsin(np.clip(sign * rotation[i, k], -1, 1))
    first = np.arctan2(-sign * rotation[j, k], rotation[k, k])
    return np.array([first, second, np.arctan2(-sign * rotation[i, j], rotation[i, i])])


def random_rotations(generator: np.random.Generator, shape: tuple[int, ...], most_deg: float) -> np.ndarray:
    """Rotations (*shape, 3, 3) of up to ``most_deg`` about each axis."""
    angles = np.radians(generator.uniform(-most_deg, most_deg, (3, *shape)))
    return matrix_about(2, angles[0]) @ matrix_about(0, angles[1]) @ matrix_about(1, angles[2])


def puppet(
    family: dict[str, str] = MIXAMO,
    sides: tuple[str, str] = ("Left", "Right"),
    frames: int = 5,
    most_deg: float = 70,
    seed: int = 0,
) -> Puppet:
    """A puppet whose joints move at random, the first frame at rest."""
    names: list[str] = []
    parents, offsets, ends = [], [], {}
    for side, sign in (("", 0), (sides[0], 1), (sides[1], -1)):
        for part, (parent, offset) in T_POSE.items():
            if part not in family or (part in CENTRE) != (sign == 0):
                continue
            while parent and parent not in family:
                offset = np.add(offset, np.multiply(T_POSE[parent][1], (sign or 1, 1, 1)))
                parent = T_POSE[parent][0]
            mirror = np.array([sign or 1, 1, 1])
            above = family.get(parent, "").format(side)
            parents.append(names.index(above) if above else -1)
            if part in ENDS:
                ends[len(names)] = np.multiply(ENDS[part], mirror)
            names.append(family[part].format(side))
            offsets.append(np.multiply(offset, mirror))
    generator = np.random.default_rng(seed)
    local = random_rotations(generator, (frames, len(names)), most_deg)
    local[0] = np.eye(3)
    root = np.array([0, 95, 0]) + generator.uniform(-2, 2, (frames, 3))
    return Puppet(names, parents, np.array(offsets, dtype=float), ends, local, root)


Y_UP_TO_BODY = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # x left; y up and facing +z -> z up and facing -y


def source_directions(motion: Motion, turn: np.ndarray = Y_UP_TO_BODY) -> dict[str, np.ndarray]:
    """Unit directions (F, 3) of the source's limbs in the body's axes."""
    at = motion.positions() @ turn.T
    limbs = motion.parts.limbs
    following = {"thigh": "shin", "shin": "foot", "upper arm": "forearm", "forearm": "hand"}
    return {
        f"{side} {part}": unit(at[:, limbs[f"{side} {end}"]] - at[:, limbs[f"{side} {part}"]])
        for side in ("left", "right")
        for part, end in following.items()
    }


def same_directions(one: dict[str, np.ndarray], other: dict[str, np.ndarray], tolerance: float = 1e-5) -> None:
    """Asserts that limbs point the same way."""
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=tolerance, err_msg=name)
