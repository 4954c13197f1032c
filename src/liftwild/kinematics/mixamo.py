"""A rig with the joints of Mixamo's characters, so that animation tools put the motion on other figures by name.

All bones keep their places and lengths, as such tools want them, so joints about pelvis and chest are only next to
where the poses have them. All limbs aim at the poses' joints from where the rig has them. Zero rotations are a person
in T-pose, y up, facing z.
"""

from __future__ import annotations

import numpy as np

from liftwild.kinematics.rig import ENDS, T_POSE, Node, Rig, aim, fit
from liftwild.rotation import (
    quaternion_about,
    quaternion_identity,
    quaternion_inverse,
    quaternion_multiply,
    quaternion_rotate,
    quaternion_slerp,
)
from liftwild.skeleton import MPII_16

PREFIX = "mixamorig:"
# Where the spine's joints are on the way from the hips to the base of the neck, and the shoulder's on that from there
# to the arm; our joint sets have none there.
SPINE = {"Spine": 0.15, "Spine1": 0.4, "Spine2": 0.65}
CLAVICLE = 0.25
# Of a leg and an arm: our joint, the rig's, the one of ours that its bone aims at.
LIMB = (("hip", "UpLeg", "knee"), ("knee", "Leg", "ankle"), ("ankle", "Foot", None)), (
    ("shoulder", "Arm", "elbow"), ("elbow", "ForeArm", "wrist"), ("wrist", "Hand", None),
)  # fmt: skip
UP = np.array([0.0, 1.0, 0.0])


def solve_mixamo(joints: np.ndarray, times: np.ndarray) -> Rig:
    """The rig for ``joints`` (T, 16, 3) of MPII-16: m, y up, the pelvis at 0, NaN where hidden; ``times`` (T,).

    Bones have their median lengths. A hidden joint is between where it is in the frames before and after, relative to
    the joint before it; one that is hidden in all frames is where the T-pose has it.
    """
    return _Solver(_filled(joints, times), times).rig()


def _filled(joints: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``joints`` without NaN."""
    out = np.zeros_like(joints)
    order = sorted(range(len(MPII_16)), key=_depth)
    for joint in order[1:]:
        parent = MPII_16.parents[joint]
        bone = joints[:, joint] - (0.0 if parent == MPII_16.root else joints[:, parent])
        known = np.isfinite(bone).all(axis=1)
        ends = [np.array(T_POSE[MPII_16.names[index]], dtype=np.float64) for index in (joint, parent)]
        filled = np.tile(ends[0] - ends[1], (len(joints), 1))
        if known.any():
            filled = np.stack([np.interp(times, times[known], bone[known, axis]) for axis in range(3)], axis=1)
        seen = np.isfinite(joints[:, joint]).all(axis=1)
        out[:, joint] = np.where(seen[:, None], joints[:, joint], out[:, parent] + filled)
    return out


def _depth(joint: int) -> int:
    return 0 if MPII_16.parents[joint] < 0 else 1 + _depth(MPII_16.parents[joint])


class _Solver:
    """State of one ``solve_mixamo``."""

    def __init__(self, joints: np.ndarray, times: np.ndarray) -> None:
        self.at = {name: joints[:, joint] for joint, name in enumerate(MPII_16.names)}
        self.times = times
        self.nodes: list[Node] = []
        self.rotations: list[np.ndarray] = []
        self.turned: list[np.ndarray] = []  # in space, as ``places``
        self.places: list[np.ndarray] = []

    def rig(self) -> Rig:
        """All nodes, from the hips outward."""
        count = len(self.times)
        hips = self._add("Hips", -1, "pelvis", np.zeros(3), self._hips())
        for side in ("left", "right"):
            self._limb(
                side, hips, LIMB[0], np.array(T_POSE[f"{side}_hip"]) / 0.13 * self._length("pelvis", f"{side}_hip")
            )
        trunk = self._length("pelvis", "thorax")
        chest, below = hips, 0.0
        twist = np.zeros(count)
        for name, share in SPINE.items():
            offset = UP * trunk * (share - below)
            place = self._place(chest, offset)
            if name == "Spine":
                own = self._aim(chest, UP, self.at["thorax"] - place)
                across = self.at["left_shoulder"] - self.at["right_shoulder"]
                own_space = quaternion_multiply(self.turned[chest], own)
                local = quaternion_rotate(quaternion_inverse(own_space), across)
                twist = np.unwrap(np.arctan2(-local[:, 2], local[:, 0])) / len(SPINE)
                own = quaternion_multiply(own, quaternion_about(UP, twist))
            else:
                own = quaternion_about(UP, twist)
            chest, below = self._add(name, chest, None, offset, own), share
        top = UP * trunk * (1 - below)
        neck = self._bone("Neck", chest, "thorax", top, "upper_neck", UP)
        head = self._bone("Head", neck, "upper_neck", UP * self._length("thorax", "upper_neck"), "head_top", UP)
        self._add(
            "HeadTop_End", head, "head_top", UP * self._length("upper_neck", "head_top"), quaternion_identity(count)
        )
        for side in ("left", "right"):
            out = np.array([1.0 if side == "left" else -1.0, 0.0, 0.0])
            width = self._length("thorax", f"{side}_shoulder")
            offset = top + out * CLAVICLE * width
            shoulder = self._bone(f"{side.title()}Shoulder", chest, None, offset, f"{side}_shoulder", out)
            self._limb(side, shoulder, LIMB[1], out * (1 - CLAVICLE) * width)
        own_places = np.stack([np.tile(node.offset, (count, 1)) for node in self.nodes], axis=1)
        return Rig(tuple(self.nodes), np.stack(self.rotations, axis=1), own_places)

    def _limb(self, side: str, parent: int, parts: tuple[tuple[str, str, str | None], ...], offset: np.ndarray) -> None:
        """Add a leg or an arm."""
        for own, name, end in parts:
            joint = f"{side}_{own}"
            if end is None:
                self._add(f"{side.title()}{name}", parent, joint, offset, quaternion_identity(len(self.times)))
                return
            rest = np.subtract(T_POSE[f"{side}_{end}"], T_POSE[joint])
            rest = rest / np.linalg.norm(rest)
            parent = self._bone(f"{side.title()}{name}", parent, joint, offset, f"{side}_{end}", rest)
            offset = rest * self._length(joint, f"{side}_{end}")

    def _hips(self) -> np.ndarray:
        """How the hips are turned (T, 4)."""
        names = ("left_hip", "right_hip", "thorax")
        rest = np.array([np.array(T_POSE[name]) / np.linalg.norm(T_POSE[name]) for name in names])
        local = np.stack([_unit(self.at[name]) for name in names], axis=1)
        turns, clear = fit(rest, local)
        return quaternion_slerp(turns[clear], self.times[clear], self.times)

    def _length(self, start: str, end: str) -> float:
        return float(max(np.median(np.linalg.norm(self.at[end] - self.at[start], axis=-1)), 1e-3))

    def _place(self, parent: int, offset: np.ndarray) -> np.ndarray:
        return self.places[parent] + quaternion_rotate(self.turned[parent], np.tile(offset, (len(self.times), 1)))

    def _aim(self, parent: int, rest: np.ndarray, away: np.ndarray) -> np.ndarray:
        """The rotation (T, 4) below ``parent`` that takes ``rest`` (3,) to where ``away`` (T, 3) points in space."""
        return aim(rest, quaternion_rotate(quaternion_inverse(self.turned[parent]), _unit(away)))

    def _bone(
        self, name: str, parent: int, joint: str | None, offset: np.ndarray, end: str, rest: np.ndarray
    ) -> int:  # fmt: skip
        """Add a node that points ``rest`` (3,), in T-pose, at the joint ``end``; its position in the list."""
        own = self._aim(parent, rest, self.at[end] - self._place(parent, offset))
        return self._add(name, parent, joint, offset, own)

    def _add(self, name: str, parent: int, joint: str | None, offset: np.ndarray, own: np.ndarray) -> int:
        """Add a node; its position in the list."""
        part = next((part for part in ("Hand", "Foot") if name.endswith(part)), "")
        end = {"Hand": ENDS["wrist"], "Foot": ENDS["ankle"], "": ENDS["head_top"]}[part]
        is_last = bool(part) or name == "HeadTop_End"
        sign = (-1, 1, 1) if name.startswith("Right") else (1, 1, 1)
        at = None if joint is None else MPII_16.index(joint)
        self.nodes.append(Node(PREFIX + name, parent, at, offset, np.multiply(end, sign) if is_last else None))
        self.rotations.append(own)
        self.turned.append(own if parent < 0 else quaternion_multiply(self.turned[parent], own))
        self.places.append(np.zeros((len(own), 3)) if parent < 0 else self._place(parent, offset))
        return len(self.nodes) - 1


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (T, 3) of length 1; up where they have no length."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), UP)
