"""From joint positions to a rig: a tree of nodes with constant offsets and one rotation each, as BVH has it.

A node turns all its children together, and the joints about the pelvis or the thorax do not keep their angles. So where
a joint has several children, and at the root, the children are moved too, each to where it should be: then every bone
turns freely, and constant bone lengths are all that is needed for exact positions.

Zero rotations are a person in T-pose, y up, facing z. Rotations are quaternions (``liftwild.rotation``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liftwild.rotation import (
    quaternion_about,
    quaternion_between,
    quaternion_from_matrix,
    quaternion_identity,
    quaternion_inverse,
    quaternion_multiply,
    quaternion_rotate,
    quaternion_slerp,
)
from liftwild.skeleton import Skeleton, canonical_name

# Directions of bones in T-pose are those between these places, m.
T_POSE = {
    "pelvis": (0, 0, 0), "spine": (0, 0.24, 0), "thorax": (0, 0.48, 0), "upper_neck": (0, 0.56, 0),
    "jaw": (0, 0.64, 0.06), "head_top": (0, 0.8, 0),
} | {
    f"{side}_{part}": (sign * x, y, 0)
    for side, sign in (("left", 1), ("right", -1))
    for part, x, y in (
        ("hip", 0.13, 0), ("knee", 0.13, -0.45), ("ankle", 0.13, -0.9), ("shoulder", 0.18, 0.48), ("elbow", 0.46, 0.48),
        ("wrist", 0.71, 0.48),
    )
}  # fmt: skip
# Ends of the outermost bones, drawn so that a hand or foot can be seen; nothing measured.
ENDS = {"ankle": (0, -0.05, 0.1), "wrist": (0.08, 0, 0), "head_top": (0, 0.05, 0)}

MIN_BONE_M = 1e-6  # shorter ones have no direction
FLAT = 0.02  # children of a joint more nearly on one line than this leave its own rotation unknown
# The twist of a bone follows from its direction, but for jumps next to the one opposite to the T-pose's. A jump is
# taken back by so much a frame; joints do not move by it.
MAX_TWIST = np.radians(15)


@dataclass(frozen=True)
class Node:
    """One node. ``parent``: position in the list, -1 at the root; ``joint``: its joint, None if there is none there;
    ``offset`` (3,) m from the parent, in the T-pose; ``end`` (3,) m of a node without children, else None. ``moves``:
    whether its place in the parent's axes changes, or is ``offset`` at all times."""

    name: str
    parent: int
    joint: int | None
    offset: np.ndarray
    end: np.ndarray | None
    moves: bool = False


@dataclass(frozen=True, eq=False)
class Rig:
    """``nodes``, parents first and each before its next sibling; ``rotations`` (T, N, 4) relative to the parent;
    ``places`` (T, N, 3) m from the parent, in its axes, 0 of the root."""

    nodes: tuple[Node, ...]
    rotations: np.ndarray
    places: np.ndarray

    def positions(self) -> np.ndarray:
        """Where the nodes are (T, N, 3), m, the root at 0."""
        turned: list[np.ndarray] = []
        places: list[np.ndarray] = []
        for index, node in enumerate(self.nodes):
            own = self.rotations[:, index]
            if node.parent < 0:
                turned.append(own)
                places.append(np.zeros((len(own), 3)))
                continue
            turned.append(quaternion_multiply(turned[node.parent], own))
            places.append(places[node.parent] + quaternion_rotate(turned[node.parent], self.places[:, index]))
        return np.stack(places, axis=1)


def solve(joints: np.ndarray, skeleton: Skeleton, times: np.ndarray) -> Rig:
    """The rig whose nodes are where ``joints`` (T, J, 3) are: m, y up, the root at 0, NaN where hidden.

    Bones get their median length. A bone to a hidden joint is turned as between the frames before and after, by
    ``times`` (T,), or as in the nearest. A joint that is hidden in all frames is left out; its children hang from
    the joint before it.
    """
    joints = joints.copy()
    joints[:, skeleton.root] = 0.0  # relative to itself, also where it is hidden
    return _Solver(joints, skeleton, times).rig()


class _Solver:
    """State of one ``solve``."""

    def __init__(self, joints: np.ndarray, skeleton: Skeleton, times: np.ndarray) -> None:
        self.joints, self.skeleton, self.times = joints, skeleton, times
        self.known = np.isfinite(joints).all(axis=-1)
        self.children: dict[int, list[int]] = {joint: [] for joint in range(len(skeleton))}
        for joint in np.flatnonzero(self.known.any(axis=0)).tolist():
            if joint != skeleton.root:
                self.children[self._known_ancestor(joint)].append(joint)
        self.nodes: list[Node] = []
        self.rotations: list[np.ndarray] = []
        self.places: list[np.ndarray] = []

    def _known_ancestor(self, joint: int) -> int:
        ancestor = self.skeleton.parents[joint]
        while not self.known[:, ancestor].any():
            ancestor = self.skeleton.parents[ancestor]
        return ancestor

    def rig(self) -> Rig:
        """All nodes, solved from the root outward."""
        count = len(self.joints)
        still = np.zeros((count, 3))
        self._add(self.skeleton.root, -1, np.zeros(3), still, quaternion_identity(count), still)
        return Rig(tuple(self.nodes), np.stack(self.rotations, axis=1), np.stack(self.places, axis=1))

    def _add(
        self, joint: int, parent: int, offset: np.ndarray, moved: np.ndarray, above: np.ndarray, place: np.ndarray
    ) -> None:
        """Add a joint's node and all below it.

        ``moved`` (T, 3): where it is from its parent, in the parent's axes; ``above`` (T, 4): how the parent is turned
        in space; ``place`` (T, 3): where the rig has the joint.
        """
        children = self.children[joint]
        name = self.skeleton.names[joint]
        alone = len(children) == 1 and parent >= 0  # its rotation is free to aim at its one child
        own = self._aim(joint, children[0], above, place) if alone else self._fit(joint, children, above, place)
        at = len(self.nodes)
        moves = parent >= 0 and bool((moved != offset).any())
        self.nodes.append(Node(name, parent, joint, offset, None if children else _end(name), moves))
        self.rotations.append(own)
        self.places.append(moved)
        turned = quaternion_multiply(above, own)
        for child in children:
            bone = self._bone(joint, child)
            moved = np.tile(bone, (len(own), 1))
            if not alone:
                moved = quaternion_rotate(self._aim(joint, child, turned, place), moved)
            self._add(child, at, bone, moved, turned, place + quaternion_rotate(turned, moved))

    def _bone(self, joint: int, child: int) -> np.ndarray:
        """The offset of ``child`` from ``joint``: its median length in the direction of the T-pose."""
        lengths = np.linalg.norm(self.joints[:, child] - self.joints[:, joint], axis=-1)
        lengths = lengths[np.isfinite(lengths)]
        rest = _rest(self.skeleton, joint, child)
        # Never seen together: as long as in the T-pose.
        return rest if not len(lengths) else rest / np.linalg.norm(rest) * np.median(lengths)

    def _directions(self, place: np.ndarray, children: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors (T, K, 3) from ``place`` (T, 3) to ``children``, 0 where not known, and whether they are (T, K).

        From where the rig has a joint, not from where the pose has it: so what bones of changing lengths leave of
        an error is not passed on to the next joint.
        """
        away = self.joints[:, children] - place[:, None]
        length = np.linalg.norm(away, axis=-1)
        known = np.isfinite(length) & (length > MIN_BONE_M)
        return np.where(known[..., None], away / np.where(known, length, 1.0)[..., None], 0.0), known

    def _aim(self, joint: int, child: int, above: np.ndarray, place: np.ndarray) -> np.ndarray:
        """The rotation (T, 4) that points the bone from ``joint``, at ``place``, to ``child``, with the least twist."""
        directions, known = (values[:, 0] for values in self._directions(place, [child]))
        rest = _rest(self.skeleton, joint, child)
        rest = rest / np.linalg.norm(rest)
        local = quaternion_rotate(quaternion_inverse(above), directions)[known]
        return quaternion_slerp(aim(rest, local), self.times[known], self.times)

    def _fit(self, joint: int, children: Sequence[int], above: np.ndarray, place: np.ndarray) -> np.ndarray:
        """The rotation (T, 4) that brings all ``children`` next to where they are."""
        if len(children) < 2:
            return quaternion_identity(len(self.joints))
        directions, known = self._directions(place, children)
        rest = np.array([_rest(self.skeleton, joint, child) for child in children])
        rest = rest / np.linalg.norm(rest, axis=-1, keepdims=True)
        turns, clear = fit(rest, quaternion_rotate(quaternion_inverse(above)[:, None], directions))
        clear &= known.sum(axis=1) >= 2
        return quaternion_slerp(turns[clear], self.times[clear], self.times)


def fit(rest: np.ndarray, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rotations (T, 4) that bring unit vectors ``rest`` (K, 3) next to ``local`` (T, K, 3), 0 where not known, and
    whether these tell a rotation (T,), or lie on one line."""
    left, size, right = np.linalg.svd(np.einsum("tki,kj->tij", local, rest))
    mirror = np.linalg.det(left @ right)
    left[..., 2] *= mirror[:, None]
    return quaternion_from_matrix(left @ right), size[:, 1] > FLAT * size[:, 0]


def aim(rest: np.ndarray, local: np.ndarray) -> np.ndarray:
    """The rotations (T, 4) that take the unit vector ``rest`` (3,) to ``local`` (T, 3), with the least twist, without
    jumps."""
    aimed = quaternion_between(np.broadcast_to(rest, local.shape), local)
    return _without_jumps(aimed, rest, local)


def _rest(skeleton: Skeleton, joint: int, child: int) -> np.ndarray:
    """From ``joint`` to ``child`` in T-pose, m; upward for joints that are not known."""
    ends = [T_POSE.get(canonical_name(skeleton.names[index])) for index in (joint, child)]
    if ends[0] is None or ends[1] is None:
        return np.array([0.0, 0.1, 0.0])
    return np.array(ends[1], dtype=np.float64) - np.array(ends[0], dtype=np.float64)


def _end(name: str) -> np.ndarray:
    """The end of an outermost joint's bone, m."""
    side, part = name.split("_", 1) if name.startswith(("left_", "right_")) else ("", name)
    end = np.array(ENDS.get(part, (0, 0.05, 0)), dtype=np.float64)
    return end * (-1, 1, 1) if side == "right" else end


def _without_jumps(aimed: np.ndarray, rest: np.ndarray, local: np.ndarray) -> np.ndarray:
    """``aimed`` (T, 4), which take ``rest`` (3,) to ``local`` (T, 3), without jumps of the twist between frames."""
    if len(aimed) < 2:
        return aimed
    # The last frame's rotations, brought over the shortest way.
    carried = quaternion_multiply(quaternion_between(local[:-1], local[1:]), aimed[:-1])
    between = quaternion_multiply(quaternion_inverse(aimed[1:]), carried)
    twists = _wrapped(2 * np.arctan2(between[:, 1:] @ rest, between[:, 0]))
    if (np.abs(twists) <= MAX_TWIST).all():
        return aimed
    extra = np.zeros(len(aimed))
    for i, twist in enumerate(twists.tolist(), 1):
        whole = float(_wrapped(np.asarray(twist + extra[i - 1])))
        extra[i] = np.sign(whole) * max(abs(whole) - MAX_TWIST, 0.0)
    return quaternion_multiply(aimed, quaternion_about(rest, extra))


def _wrapped(angles: np.ndarray) -> np.ndarray:
    """Angles in rad, brought into [-pi, pi)."""
    return (angles + np.pi) % (2 * np.pi) - np.pi
