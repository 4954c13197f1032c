"""Reader of Acclaim motion capture: a skeleton (.asf) and a motion of it (.amc), as CMU's data base has them.

Every ASF bone becomes a joint at the bone's start. Angles listed for a bone are turned one after the other, in the
order listed, about the fixed axes that its ``axis`` line gives. Of a bone's degrees of freedom only rotations are used:
``tx``, ``ty``, ``tz`` and ``l`` stretch a skeleton and leave its pose alone. The ``length`` of ``:units`` scales bones
and path alike, so lengths stay in the file's own numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.rotation import matrix_about
from liftwild.synthetic.mocap.bvh import fail, number, read_lines
from liftwild.synthetic.mocap.motion_clip import Motion

CMU_FRAME_TIME_S = 1 / 120  # AMC files do not say theirs
_ROTATIONS = {"rx": 0, "ry": 1, "rz": 2}
_TRANSLATIONS = {"tx": 0, "ty": 1, "tz": 2}
_FREEDOMS = {*_ROTATIONS, *_TRANSLATIONS, "l"}

_Line = tuple[int, list[str]]  # its number and its words


@dataclass
class _Bone:
    """A bone as the skeleton file says; of the root only ``freedoms``, ``axis`` and ``order`` count."""

    name: str
    line: int
    direction: list[float] | None = None
    length: float | None = None
    axis: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    order: str = "xyz"
    freedoms: list[str] = field(default_factory=list)
    parent: str | None = None


@dataclass
class _Skeleton:
    """An ASF file: bones by lower-case name, parents first, the root under "root"."""

    bones: dict[str, _Bone]
    position: list[float]
    radians: bool


def read_asf_amc(asf: str | Path, amc: str | Path) -> Motion:
    """The clip of an AMC file on the skeleton of an ASF file, lengths as the files write them, 120 frames a second.

    LiftwildError, with the line, if one is not what it should be, is cut short, or does not fit the other.
    """
    asf, amc = Path(asf), Path(amc)
    skeleton = _read_skeleton(asf)
    values, radians = _read_frames(amc, skeleton, asf)
    bones = list(skeleton.bones.values())
    index = {name: joint for joint, name in enumerate(skeleton.bones)}
    nan = [float("nan")] * 3
    ends = np.array([np.multiply(bone.direction or nan, bone.length or 0.0) for bone in bones])
    parents = tuple(-1 if bone.parent is None else index[bone.parent] for bone in bones)
    frames = len(values["root"])
    rotations = np.empty((frames, len(bones), 3, 3))
    for joint, (name, bone) in enumerate(skeleton.bones.items()):
        scale = 1.0 if radians else np.pi / 180
        turned = np.tile(np.eye(3), (frames, 1, 1))
        for column, freedom in enumerate(bone.freedoms):
            if name in values and freedom in _ROTATIONS:
                turned = matrix_about(_ROTATIONS[freedom], values[name][:, column] * scale) @ turned
        frame = np.eye(3)
        for letter in bone.order:
            angle = bone.axis["xyz".index(letter)] * (1.0 if skeleton.radians else np.pi / 180)
            frame = matrix_about("xyz".index(letter), np.array(angle)) @ frame
        # A preset orientation of the root turns the whole motion; a bone's axis is only where its angles are measured.
        rotations[:, joint] = frame @ turned if joint == 0 else rotations[:, parents[joint]] @ frame @ turned @ frame.T
    root_positions = np.tile(np.array(skeleton.position), (frames, 1))
    for column, freedom in enumerate(bones[0].freedoms):
        if freedom in _TRANSLATIONS:
            root_positions[:, _TRANSLATIONS[freedom]] += values["root"][:, column]
    return Motion(
        source=str(amc),
        names=tuple(bone.name for bone in bones),
        parents=parents,
        offsets=np.array([ends[parent] if parent > 0 else np.zeros(3) for parent in parents]),
        ends=ends,
        rotations=rotations,
        root_positions=root_positions,
        frame_time_s=CMU_FRAME_TIME_S,
    )


def find_asf(amc: Path) -> Path:
    """The skeleton file beside a motion file: the longest name that ``amc``'s begins with (01.asf of 01_02.amc), else
    the only one there; LiftwildError if there is none or a choice."""
    there = sorted(path for path in amc.parent.iterdir() if path.suffix.lower() == ".asf" and path.is_file())
    stem = amc.stem.lower()
    same = [path for path in there if stem == path.stem.lower() or stem.startswith(path.stem.lower() + "_")]
    if same:
        return max(same, key=lambda path: len(path.stem))
    if len(there) == 1:
        return there[0]
    what = "no .asf file" if not there else "several .asf files, none of them named like it,"
    raise LiftwildError(f"{amc}: {what} in its folder; put its skeleton there as {amc.stem.split('_')[0]}.asf")


def _words(path: Path) -> list[_Line]:
    """The lines that hold words, without comments; commas and parentheses are spaces."""
    table = str.maketrans(",()", "   ")
    numbered = ((count, line.split("#")[0].translate(table).split()) for count, line in enumerate(read_lines(path), 1))
    return [(count, words) for count, words in numbered if words]


def _numbers(path: Path, line: _Line, count: int) -> list[float]:
    """The first ``count`` numbers after a line's first word."""
    at, words = line
    if len(words) <= count:
        fail(path, at, f"{words[0]!r} should have {count} numbers, and has {len(words) - 1}")
    return [number(path, at, word) for word in words[1 : count + 1]]


def _read_skeleton(path: Path) -> _Skeleton:
    """What an ASF file says."""
    sections: dict[str, list[_Line]] = {}
    last = 1
    for last, words in _words(path):
        if words[0].startswith(":"):
            section = sections.setdefault(words[0].lower(), [])
        elif sections:
            section.append((last, words))
        else:
            fail(path, last, "no ASF file: it should begin with keywords such as :version and :root")
    for key in (":root", ":bonedata", ":hierarchy"):
        if not sections.get(key):
            fail(path, last, f"the file has no {key}, or nothing in it; is it cut short?")
    radians = any(words[0].lower() == "angle" and "rad" in words[-1].lower() for _, words in sections.get(":units", []))
    root = _Bone("root", sections[":root"][0][0])
    position = [0.0, 0.0, 0.0]
    for line in sections[":root"]:
        at, words = line
        key = words[0].lower()
        if key == "order":
            root.freedoms = _freedoms(path, line)
        elif key == "axis" and len(words) > 1:
            root.order = _order(path, at, words[1])
        elif key == "orientation":
            root.axis = _numbers(path, line, 3)
        elif key == "position":
            position = _numbers(path, line, 3)
    if not root.freedoms:
        fail(path, root.line, ":root has no order of its values")
    bones = _bones(path, sections[":bonedata"], last)
    return _Skeleton({"root": root, **_ordered(path, bones, sections[":hierarchy"])}, position, radians)


def _bones(path: Path, lines: list[_Line], last: int) -> dict[str, _Bone]:
    """The bones of :bonedata by lower-case name."""
    bones: dict[str, _Bone] = {}
    bone: _Bone | None = None
    for line in lines:
        at, words = line
        key = words[0].lower()
        if key == "begin":
            bone = _Bone("", at)
        elif bone is None:
            fail(path, at, f"{words[0]!r} where a bone should begin")
        elif key == "end":
            if not bone.name or bone.direction is None or bone.length is None:
                fail(path, bone.line, f"bone {bone.name!r} lacks one of name, direction, length")
            if bone.name.lower() in bones:
                fail(path, bone.line, f"bone {bone.name!r} is there twice")
            bones[bone.name.lower()] = bone
            bone = None
        elif key == "name":
            bone.name = " ".join(words[1:])
        elif key == "direction":
            bone.direction = _numbers(path, line, 3)
        elif key == "length":
            bone.length = _numbers(path, line, 1)[0]
        elif key == "axis":
            bone.axis = _numbers(path, line, 3)
            bone.order = _order(path, at, words[4]) if len(words) > 4 else bone.order
        elif key == "dof":
            bone.freedoms = _freedoms(path, line)
    if bone is not None:
        fail(path, last, f"bone {bone.name!r} has no end; is the file cut short?")
    return bones


def _order(path: Path, line: int, word: str) -> str:
    """An order of axes such as XYZ, in lower case."""
    if sorted(word.lower()) != ["x", "y", "z"]:
        fail(path, line, f"{word!r} is no order of axes such as XYZ")
    return word.lower()


def _freedoms(path: Path, line: _Line) -> list[str]:
    """Degrees of freedom, in lower case."""
    found = [word.lower() for word in line[1][1:]]
    for word in found:
        if word not in _FREEDOMS or found.count(word) > 1:
            fail(path, line[0], f"{word!r} should be one of tx, ty, tz, rx, ry, rz, l, each at most once")
    return found


def _ordered(path: Path, bones: dict[str, _Bone], lines: list[_Line]) -> dict[str, _Bone]:
    """The bones that hang together with the root, parents first, each with its parent."""
    children: dict[str, list[str]] = {}
    for at, words in lines:
        names = [word.lower() for word in words]
        if names in (["begin"], ["end"]):
            continue
        for name in names:
            if name != "root" and name not in bones:
                fail(path, at, f"bone {name!r} of the hierarchy is not in :bonedata")
        for name in names[1:]:
            if name == "root" or bones[name].parent is not None:
                fail(path, at, f"bone {name!r} hangs below two bones")
            bones[name].parent = names[0]
            children.setdefault(names[0], []).append(name)
    out: dict[str, _Bone] = {}
    waiting = children.get("root", [])[::-1]
    while waiting:
        name = waiting.pop()
        out[name] = bones[name]
        waiting += children.get(name, [])[::-1]
    for name, bone in bones.items():
        if name not in out:
            fail(path, bone.line, f"bone {bone.name!r} does not hang together with the root in :hierarchy")
    return out


def _read_frames(path: Path, skeleton: _Skeleton, asf: Path) -> tuple[dict[str, np.ndarray], bool]:
    """(values (frames, freedoms) of each bone by lower-case name, whether angles are in rad) of an AMC file."""
    frames: list[tuple[int, dict[str, list[float]]]] = []
    radians = skeleton.radians
    for at, words in _words(path):
        key = words[0].lower()
        if key.startswith(":"):
            radians = {":degrees": False, ":radians": True}.get(key, radians)
        elif len(words) == 1 and key.isdecimal():
            frames.append((at, {}))
        elif not frames:
            fail(path, at, f"no AMC file: {words[0]!r} where frame number 1 should be")
        elif key not in skeleton.bones:
            fail(path, at, f"bone {words[0]!r} is not in the skeleton {asf.name}; is it another person's skeleton?")
        else:
            count = len(skeleton.bones[key].freedoms)
            if len(words) != count + 1:
                fail(path, at, f"{words[0]!r} has {len(words) - 1} values, and {count} in the skeleton {asf.name}")
            if key in frames[-1][1]:
                fail(path, at, f"bone {words[0]!r} is twice in a frame")
            frames[-1][1][key] = [number(path, at, word) for word in words[1:]]
    if not frames:
        raise LiftwildError(f"{path}: the file has no frames; export it again")
    bones = {"root", *frames[0][1]}
    for count, (at, values) in enumerate(frames, 1):
        if missing := sorted(bones ^ values.keys()):
            cut = "; is the file cut short?" if count == len(frames) else ""
            fail(path, at, f"frame {count} and the first one differ in the bones {', '.join(missing)}{cut}")
    return {name: np.array([values[name] for _, values in frames]) for name in bones}, radians
