"""Which joint of a motion capture file is which part of the body, by name, and by hierarchy where names are ambiguous.

Limbs and the head are found by name. The root, the spine and the neck lie between them, so they are found by hierarchy:
what they are called does not matter. ``docs/motion.md`` says so to users.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from liftwild.errors import LiftwildError

# Names of a part, without side, digits, separators and prefixes that most joints of a file share.
PART_NAMES: dict[str, tuple[str, ...]] = {
    "thigh": ("thigh", "upleg", "upperleg", "femur", "legupper", "upperthigh"),
    "shin": ("shin", "knee", "tibia", "lowerleg", "lowleg", "calf", "leglower"),
    "foot": ("foot", "ankle"),
    "toes": ("toe", "toes", "toebase", "ball"),
    "clavicle": ("clavicle", "collar", "collarbone"),
    "upper arm": ("upperarm", "uparm", "humerus", "shldr", "armupper"),
    "forearm": ("forearm", "lowerarm", "lowarm", "elbow", "radius", "armlower"),
    "hand": ("hand", "wrist"),
    "root": ("hips", "hip", "pelvis", "root", "hiproot", "humanoidroot"),
    "neck": ("neck", "lowerneck", "upperneck", "neckbase"),
    "head": ("head", "skull"),
}
# Names that mean one part in one family and another in the next: "hip" is a thigh or a link above it, "leg" a shin
# (Mixamo) or a thigh, "shoulder" a clavicle (Mixamo) or an upper arm (SMPL), "arm" an upper arm or a forearm.
AMBIGUOUS = ("hip", "leg", "shoulder", "arm")
SIDED = ("thigh", "shin", "foot", "toes", "clavicle", "upper arm", "forearm", "hand")
REQUIRED = tuple(f"{side} {part}" for part in ("thigh", "shin", "upper arm", "forearm") for side in ("left", "right"))
# (part that may be missing, what it must hang next to, else it is not used).
OPTIONAL = (("foot", "shin"), ("toes", "foot"), ("clavicle", "upper arm"), ("hand", "forearm"))

_PART_OF = {name: part for part, names in PART_NAMES.items() for name in names}
_SIDES = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}
_IGNORED = {"joint", "jnt", "bone", "stretch", "c", "center", "centre", "mid"}
_KNOWN = {*_PART_OF, *AMBIGUOUS}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


@dataclass(frozen=True)
class Parts:
    """Joint indices of the parts of a body.

    ``limbs``: by "left thigh", "right hand" and so on. ``root``: the joint that turns the pelvis. ``spine``: joints
    above the root up to the one that carries both arms. ``neck``: joints above those, with the head as the last if
    the file has one. Spine and neck may be empty.
    """

    root: int
    spine: tuple[int, ...]
    neck: tuple[int, ...]
    limbs: dict[str, int]


def find_parts(names: Sequence[str], parents: Sequence[int], source: str) -> Parts:
    """The parts of the body among joints called ``names``; ``parents`` precede children, -1 at the root.

    LiftwildError, naming ``source``, if one of ``REQUIRED`` is not there or joints hang together in no known way.
    """
    paths: list[tuple[int, ...]] = []  # from the root to each joint, both included
    for joint, parent in enumerate(parents):
        paths.append((*(paths[parent] if parent >= 0 else ()), joint))
    found: dict[tuple[str | None, str], int] = {}
    keys = _keys(names)
    for joint in sorted(range(len(names)), key=lambda joint: len(paths[joint])):
        found.setdefault(keys[joint], joint)  # of several the one nearest to the root: upperarm01, not upperarm02
    limbs = {
        f"{side} {part}": joint for side in ("left", "right") for part, joint in _limbs(found, side, paths).items()
    }
    if missing := [part for part in REQUIRED if part not in limbs]:
        raise LiftwildError(
            f"{source}: no joint found for {', '.join(missing)}; the file's joints are {_listed(names)}; "
            f"rename them as docs/motion.md lists"
        )
    for part in REQUIRED:
        above = part.replace("shin", "thigh").replace("forearm", "upper arm")
        if limbs[above] not in paths[limbs[part]]:
            raise LiftwildError(
                f"{source}: {names[limbs[part]]}, taken for the {part}, does not hang below {names[limbs[above]]}, "
                f"taken for the {above}; rename them as docs/motion.md lists"
            )

    def above_both(part: str) -> list[int]:
        left, right = paths[limbs[f"left {part}"]][:-1], paths[limbs[f"right {part}"]][:-1]
        return [joint for joint in left if joint in right]

    hips = above_both("thigh")
    if not hips:
        raise LiftwildError(f"{source}: no joint carries both thighs, so there is none for the pelvis")
    root = next((joint for joint in reversed(hips) if keys[joint][1] in ("hips", "pelvis", "hip")), hips[-1])
    carriers = [joint for joint in above_both("upper arm") if _PART_OF.get(keys[joint][1]) not in ("neck", "head")]
    spine = [joint for joint in carriers if joint not in paths[root]]
    necks = [joint for joint, (side, name) in enumerate(keys) if side is None and _PART_OF.get(name) == "neck"]
    top = next((found[None, name] for name in PART_NAMES["head"] if (None, name) in found), None)
    if top is None and necks:
        top = max(necks, key=lambda joint: len(paths[joint]))
    below = {*paths[root], *carriers}
    neck = [joint for joint in paths[top] if joint not in below] if top is not None else []
    return Parts(root, tuple(spine), tuple(neck), limbs)


def _limbs(found: dict[tuple[str | None, str], int], side: str, paths: list[tuple[int, ...]]) -> dict[str, int]:
    """The joint of each of ``SIDED`` that one side has."""

    def own(part: str) -> int | None:
        there = [found[side, name] for name in PART_NAMES[part] if (side, name) in found]
        return min(there, key=lambda joint: len(paths[joint]), default=None)

    part = {each: own(each) for each in SIDED}
    hip, leg, shoulder, arm = (found.get((side, name)) for name in AMBIGUOUS)
    if part["thigh"] is not None:  # LeftUpLeg, LeftLeg
        part["shin"] = leg if part["shin"] is None else part["shin"]
    elif part["shin"] is not None:  # LeftHip, LeftKnee; or a leg below a hip that only links
        above = [joint for joint in paths[part["shin"]] if joint in (hip, leg)]
        part["thigh"] = above[-1] if above else None
    if part["upper arm"] is not None:  # LeftUpperArm, LeftArm
        part["forearm"] = arm if part["forearm"] is None else part["forearm"]
    elif part["forearm"] is not None:  # LeftArm, LeftForeArm; or LeftShoulder, LeftElbow
        part["upper arm"] = shoulder if arm is None else arm
    # LeftHip and LeftLeg alone, or LeftShoulder and LeftArm, may be either: better not found than guessed wrong.
    if part["clavicle"] is None and shoulder != part["upper arm"]:
        part["clavicle"] = shoulder
    if part["toes"] is None and found.get((side, "foot")) != part["foot"]:  # L_Ankle, L_Foot
        part["toes"] = found.get((side, "foot"))
    for child, parent in OPTIONAL:
        below, above_it = (part["upper arm"], part["clavicle"]) if child == "clavicle" else (part[child], part[parent])
        if below is not None and (above_it is None or above_it not in paths[below]):
            part[child] = None
    return {name: joint for name, joint in part.items() if joint is not None}


def _keys(names: Sequence[str]) -> list[tuple[str | None, str]]:
    """(side, name without it) of each joint."""
    words = [[word.lower() for word in _WORD.findall(re.split(r"[:|]", name)[-1])] for name in names]
    for _ in range(3):  # Bip01_L_Thigh, CC_Base_L_Thigh, m_avg_L_Hip: what most names begin with says nothing
        prefix, count = Counter(each[0] if each else "" for each in words).most_common(1)[0]
        if count < 0.7 * len(words) or prefix in _SIDES or prefix in _KNOWN:
            break
        words = [each[1:] if len(each) > 1 and each[0] == prefix else each for each in words]
    return [_key(each) for each in words]


def _key(words: Sequence[str]) -> tuple[str | None, str]:
    """(side, name without it): ("left", "upleg") of ["left", "up", "leg"] and of ["leftupleg"]."""
    side = next((_SIDES[word] for word in words if word in _SIDES), None)
    name = "".join(word for word in words if word not in _SIDES and word not in _IGNORED)
    if side is None and name not in _KNOWN:
        for mark in ("left", "right", "l", "r"):  # lfemur, leftarm
            if name.removeprefix(mark) in _KNOWN:
                return _SIDES[mark], name.removeprefix(mark)
    return side, name


def _listed(names: Sequence[str]) -> str:
    """Names joined with commas, the first 30 if they are more."""
    return ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
