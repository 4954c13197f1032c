"""Motion capture onto the body of rendered people.

A pose of the body is one world-space rotation for each bone relative to the body's rest pose. Of a bone ``b`` it is
``D_b = W S_b R^T C_b``: ``C_b`` turns the body's bone into the direction that the source's has in its rest pose, ``R``
and ``W`` are the axes of the source's rest pose and frames, ``S_b`` its rotation. ``C_b`` turns a limb as little as can
be from where the bone above it left it, so at rest limbs are bent and never twisted, and the twist of a frame is the
source's. Spine and neck keep the body's own rest pose; their bend is spread evenly over the body's bones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.rotation import matrix_about, matrix_between, matrix_slerp
from liftwild.synthetic.mocap.joint_names import Parts
from liftwild.synthetic.mocap.motion_clip import Motion

_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03", "head")
_TOES = ("toe1-1", "toe2-1", "toe3-1", "toe4-1", "toe5-1")
# Part: (the body's bones that it turns, bones whose heads are the start and end of the limb), without the side.
_LIMBS = {
    "thigh": (("upperleg01", "upperleg02"), ("upperleg01", "lowerleg01")),
    "shin": (("lowerleg01", "lowerleg02"), ("lowerleg01", "foot")),
    "upper arm": (("upperarm01", "upperarm02"), ("upperarm01", "lowerarm01")),
    "forearm": (("lowerarm01", "lowerarm02"), ("lowerarm01", "wrist")),
    "hand": (("wrist",), ("wrist", "finger3-1")),
}
# A limb, part by part from the trunk.
_CHAINS = (("thigh", "shin"), ("upper arm", "forearm", "hand"))
_NEXT = {"thigh": "shin", "shin": "foot", "upper arm": "forearm", "forearm": "hand"}
# A foot's rest direction says where it points if this much of it is level; else it is only the height of the ankle.
_LEVEL_SHARE = 0.5


def retarget(
    motion: Motion,
    names: Sequence[str],
    parents: Sequence[int],
    heads: np.ndarray,
    frames: Sequence[int] | np.ndarray | slice | None = None,
) -> np.ndarray:
    """World-space rotations (F, bones, 3, 3), float32, of every bone of the body relative to its rest pose.

    ``names``, ``parents`` (-1 at the root) and ``heads`` (bones, 3) are the body's, at rest, x to its left, z up,
    facing -y. ``frames``: which of the clip's, in what order; all if None. Bones that the source lacks follow their
    parent. LiftwildError if the source's joints are unknown or nobody stands in it.
    """
    parts, axes = motion.parts, motion.axes
    at = {name: np.asarray(heads, dtype=float)[bone] for bone, name in enumerate(names)}
    rest = motion.rest_positions if axes.reference is None else motion.positions([axes.reference])[0]
    rest = rest @ axes.rest.T
    rotations = motion.rotations if frames is None else motion.rotations[frames]

    def turned(joint: int) -> np.ndarray:
        source = rotations[:, joint]
        if axes.reference is not None:
            source = source @ motion.rotations[axes.reference, joint].T
        return axes.world @ source @ axes.rest.T

    poses: dict[str, np.ndarray] = {"root": turned(parts.root)}
    spine = [poses["root"], *map(turned, parts.spine)]
    poses |= _spread(_SPINE, spine)
    poses |= _spread(_NECK, [spine[-1], *map(turned, parts.neck)])
    ends = _ends(motion, parts, rest, axes.rest)
    for side, letter in (("left", "L"), ("right", "R")):
        for chain in _CHAINS:
            correction = np.eye(3)
            for part in chain:
                joint = parts.limbs.get(f"{side} {part}")
                if joint is None:
                    continue
                bones, (start, end) = _LIMBS[part]
                body = correction @ (at[f"{end}.{letter}"] - at[f"{start}.{letter}"])
                if (direction := ends.get(f"{side} {part}")) is not None:
                    correction = matrix_between(body, direction) @ correction
                poses |= {f"{bone}.{letter}": turned(joint) @ correction for bone in bones}
        if (joint := parts.limbs.get(f"{side} clavicle")) is not None:
            poses |= {f"{bone}.{letter}": turned(joint) for bone in ("clavicle", "shoulder01")}
        correction = _heading(at[f"toe2-1.{letter}"] - at[f"foot.{letter}"], ends.get(f"{side} foot"))
        if (joint := parts.limbs.get(f"{side} foot")) is not None:
            poses[f"foot.{letter}"] = turned(joint) @ correction
        if (joint := parts.limbs.get(f"{side} toes")) is not None:
            poses |= {f"{bone}.{letter}": turned(joint) @ correction for bone in _TOES}
    out = np.empty((len(rotations), len(names), 3, 3), dtype=np.float32)
    for bone in _parents_first(parents):
        pose = poses.get(names[bone])
        if pose is None:
            pose = out[:, parents[bone]] if parents[bone] >= 0 else poses["root"]
        out[:, bone] = pose
    return out


def _parents_first(parents: Sequence[int]) -> list[int]:
    """Bone indices in an order in which parents precede children."""
    depth: dict[int, int] = {-1: 0}

    def depth_of(bone: int) -> int:
        if bone not in depth:
            depth[bone] = depth_of(parents[bone]) + 1
        return depth[bone]

    return sorted(range(len(parents)), key=depth_of)


def _ends(motion: Motion, parts: Parts, rest: np.ndarray, axes: np.ndarray) -> dict[str, np.ndarray]:
    """Where each limb part points at rest (3,), in the body's axes: to the next part, else to the middle of what hangs
    below it, without a thumb. Parts that point nowhere are left out."""
    size = float(np.linalg.norm(rest, axis=1).max())
    turns = motion.rotations[motion.axes.reference] if motion.axes.reference is not None else None
    out = {}
    for name, joint in parts.limbs.items():
        side, part = name.split(" ", 1)
        following = parts.limbs.get(f"{side} {_NEXT.get(part, '')}")
        following = parts.limbs.get(f"{side} toes") if part == "foot" else following
        if following is not None:
            tips = [rest[following]]
        else:
            below = {joint}
            tips = []
            for other in range(joint, len(rest)):
                if other != joint and (motion.parents[other] not in below or "thumb" in motion.names[other].lower()):
                    continue
                below.add(other)
                end = motion.ends[other] if turns is None else turns[other] @ motion.ends[other]
                tips += [rest[other]] if other != joint else []
                tips += [rest[other] + axes @ end] if np.isfinite(end).all() else []
        direction = np.mean(tips, axis=0) - rest[joint] if tips else np.zeros(3)
        if np.linalg.norm(direction) > 1e-4 * size:
            out[name] = direction
        elif following is not None and part in _NEXT:
            raise LiftwildError(
                f"{motion.source}: the {name} from {motion.names[joint]} to {motion.names[following]} has no length in "
                f"the rest pose; export the skeleton with its offsets"
            )
    return out


def _heading(body: np.ndarray, source: np.ndarray | None) -> np.ndarray:
    """The turn (3, 3) about z that points the body's foot, flat on the ground at rest, where the source's points."""
    if source is None or np.hypot(*source[:2]) < _LEVEL_SHARE * np.linalg.norm(source):
        return np.eye(3)
    return matrix_about(2, np.arctan2(source[1], source[0]) - np.arctan2(body[1], body[0]))


def _spread(bones: Sequence[str], chain: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Rotations (F, 3, 3) of ``bones`` spaced evenly along a chain of rotations; the last bone gets the last one."""
    out = {}
    for count, bone in enumerate(bones, 1):
        place = (len(chain) - 1) * count / len(bones)
        below = min(int(place), len(chain) - 1)
        out[bone] = chain[below]
        if place > below:
            out[bone] = matrix_slerp(chain[below], chain[below + 1], place - below)
    return out
