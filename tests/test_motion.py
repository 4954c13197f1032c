"""Motion capture: what the readers make of BVH and ASF/AMC, and where the body's limbs point after retargeting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, permutations
from pathlib import Path

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.people.motion import Motion, read_asf_amc, read_bvh, read_motion, retarget, spread_frames
from liftwild.people.motion_clip import axis_rotations, turn_between
from liftwild.people.motion_names import find_parts

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
    return axis_rotations(2, angles[0]) @ axis_rotations(0, angles[1]) @ axis_rotations(1, angles[2])


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


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a text, as it stands, into a file of the test's folder."""

    def write(text: str, name: str = "clip.bvh") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


# --- BVH ---

TINY = """HIERARCHY
ROOT Hips
{
  OFFSET 0 90 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Chest
  {
    OFFSET 0 10 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Head
    {
      OFFSET 0 20 0
      CHANNELS 1 Xrotation
      End Site
      {
        OFFSET 0 5 0
      }
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.04
1 2 3 0 0 0 0 0 0 0
1 2 3 90 0 0 0 90 0 90
"""


def test_bvh_positions_by_hand(write: Write) -> None:
    motion = read_bvh(write(TINY))
    assert motion.names == ("Hips", "Chest", "Head") and motion.parents == (-1, 0, 1)
    assert motion.frame_time_s == 0.04 and len(motion) == 2
    # Frame 1: hips 90 deg about z take y to -x, so the chest is at -x; the chest's 90 deg about its own x (the world's
    # y) takes its y (the world's -x) to the world's z.
    np.testing.assert_allclose(
        motion.positions(), [[[1, 2, 3], [1, 12, 3], [1, 32, 3]], [[1, 2, 3], [-9, 2, 3], [-9, 2, 23]]], atol=1e-12
    )
    np.testing.assert_allclose(motion.rest_positions, [[0, 0, 0], [0, 10, 0], [0, 30, 0]])
    np.testing.assert_allclose(motion.ends[2], [0, 5, 0])
    assert np.isnan(motion.ends[:2]).all()
    # The head's own 90 deg about x: y at rest is taken to z by itself, to the world's x by the chest and hips.
    np.testing.assert_allclose(motion.rotations[1, 2] @ [0, 5, 0], [5, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("  ", "\t").replace(" ", "\t").replace("End\tSite", "End Site"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n{", " {").replace("}\n}", "} }"),
        lambda text: text.replace("1 2 3 90 0", "1.0e0 +2E+0 300e-2 9.0e1 -0.0"),
        lambda text: text.replace("Zrot", "ZROT").replace("HIERARCHY", "Hierarchy").replace("Frames: ", "frames:"),
        lambda text: text.replace("MOTION", "\nMOTION\n") + "\n  \n",
        lambda text: text.replace("Frame Time: 0.04\n", "Frame Time:\t.04  \n").replace("End Site", "End site"),
        lambda text: text.replace("CHANNELS 1 Xrotation", "CHANNELS 2 Yposition Xrotation")
        .replace("0 0 0 0\n", "0 0 0 20 0\n").replace("90 0 90\n", "90 0 20 90\n"),
    ],
    ids=["crlf", "tabs", "bom", "braces", "exponents", "case", "blank lines", "spaces", "positions"],
)  # fmt: skip
def test_bvh_is_read_however_it_is_written(write: Write, change: Callable[[str], str]) -> None:
    motion, other = read_bvh(write(TINY)), read_bvh(write(change(TINY)))
    np.testing.assert_allclose(other.positions(), motion.positions(), atol=1e-12)
    np.testing.assert_allclose(other.rotations, motion.rotations, atol=1e-12)
    assert other.names == motion.names and other.frame_time_s == motion.frame_time_s


def test_bvh_positions_of_joints_are_whole_or_on_top(write: Write) -> None:
    text = TINY.replace("CHANNELS 1 Xrotation", "CHANNELS 2 Yposition Xrotation")
    whole = text.replace("0 0 0 0\n", "0 0 0 20 0\n").replace("90 0 90\n", "90 0 22 90\n")
    on_top = text.replace("0 0 0 0\n", "0 0 0 0 0\n").replace("90 0 90\n", "90 0 2 90\n")
    for each in (whole, on_top):
        np.testing.assert_allclose(read_bvh(write(each)).positions()[1, 2], [-9, 2, 25], atol=1e-12)
    rootless = TINY.replace("CHANNELS 6 Xposition Yposition Zposition", "CHANNELS 4 Xposition")
    rootless = rootless.replace("1 2 3", "1")
    np.testing.assert_allclose(read_bvh(write(rootless)).positions()[0, 0], [1, 90, 0])


def test_channel_order_does_not_matter(write: Write) -> None:
    figure = puppet()
    expected = read_bvh(write(figure.text())).positions()
    for orders in [*permutations("XYZ")]:
        found = read_bvh(write(figure.text(["".join(orders)])))
        np.testing.assert_allclose(found.positions(), expected, atol=1e-6)
    mixed = read_bvh(write(figure.text(["XYZ", "ZYX", "YXZ", "XZY"], places=True)))
    np.testing.assert_allclose(mixed.positions(), expected, atol=1e-6)


BVH_FAULTS = {
    "empty": (lambda t: " \n", "the file is empty"),
    "binary": (lambda t: "Kaydara FBX Binary\0", "not a text file"),
    "something else": (lambda t: "hello", "line 1: no BVH file"),
    "no motion": (lambda t: t[: t.index("MOTION")], "line 20: no MOTION"),
    "cut in the hierarchy": (lambda t: t[: t.index("      End")], "braces of the hierarchy stay open"),
    "cut in an offset": (lambda t: t[: t.index(" 5 0")], "line 16: the hierarchy ends where a number of an OFFSET"),
    "cut after MOTION": (lambda t: t[: t.index("Frames")], "'Frames: ' and a number"),
    "cut after Frames": (lambda t: t[: t.index("Frame Time")], "'Frame Time: ' and a number"),
    "cut in a frame": (lambda t: t[:-8], "line 25: 7 numbers in frame 2, but the joints have 10 channels; is the file"),
    "frame missing": (lambda t: t[: t.rindex("1 2 3")], "line 22: Frames says 2, but 1 follow"),
    "frame too many": (lambda t: t.replace("Frames: 2", "Frames: 1"), "line 22: Frames says 1, but 2 follow"),
    "no frames": (lambda t: t.replace("Frames: 2", "Frames: 0"), "line 22: Frames should be a whole number above 0"),
    "no time": (lambda t: t.replace("0.04", "0"), "line 23: Frame Time should be above 0"),
    "odd row": (lambda t: t.replace("1 2 3 0 0 0", "1 2 3 0 0", 1), "line 24: 9 numbers in frame 1"),
    "nan": (lambda t: t.replace("1 2 3 90", "1 nan 3 90"), "line 25: a value of frame 2 is NaN"),
    "infinite": (lambda t: t.replace("1 2 3 90", "1 2 3 1e999"), "line 25: a value of frame 2 is NaN or inf"),
    "comma": (lambda t: t.replace("1 2 3 90", "1 2,5 3 90"), "line 25: '2,5' is no number; write decimals with a dot"),
    "word": (lambda t: t.replace("OFFSET 0 10", "OFFSET 0 ten"), "line 8: 'ten' is no number"),
    "nan offset": (lambda t: t.replace("OFFSET 0 10", "OFFSET 0 nan"), "line 8: 'nan' is no number"),
    "channel": (lambda t: t.replace("1 Xrotation", "1 Xscale"), "line 13: unknown channel 'Xscale' of 'Head'"),
    "channel count": (lambda t: t.replace("S 1 Xr", "S 2 Xr"), "line 14: unknown channel 'End' of 'Head'"),
    "channel twice": (lambda t: t.replace("S 1 X", "S 2 Xrotation X"), "line 13: channel 'Xrotation' of 'Head' is"),
    "no count": (lambda t: t.replace("S 1 X", "S X"), "line 13: CHANNELS of 'Head' begins with 'Xrotation'"),
    "no channels": (
        lambda t: t.replace("CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation", "")
        .replace("CHANNELS 3 Zrotation Xrotation Yrotation", "").replace("CHANNELS 1 Xrotation", ""),
        "line 21: no joint has channels",
    ),
    "two people": (lambda t: t.replace("MOTION", "ROOT B\n{\nOFFSET 0 0 0\n}\nMOTION"), "line 21: a second ROOT"),
    "no root": (lambda t: t.replace("ROOT", "JOINT"), "line 2: JOINT outside of ROOT"),
    "joint in an end": (lambda t: t.replace("OFFSET 0 5 0", "JOINT A {"), "line 16: JOINT outside of ROOT"),
    "no name": (lambda t: t.replace("JOINT Head", "JOINT"), "line 10: JOINT without a name"),
    "no offset": (lambda t: t.replace("    OFFSET 0 10 0\n", ""), "joint 'Chest' has no OFFSET"),
    "odd word": (lambda t: t.replace("OFFSET 0 10", "SCALE 0 10"), "line 8: 'SCALE' where ROOT, JOINT, End Site"),
    "no skeleton": (lambda t: "HIERARCHY\n" + t[t.index("MOTION") :], "the hierarchy has no ROOT"),
    "closing brace": (lambda t: t.replace("JOINT Head\n    {", "JOINT Head\n    }"), "line 11: '}' where '{'"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BVH_FAULTS.values(), ids=BVH_FAULTS)
def test_bvh_faults_are_one_clear_line(write: Write, change: Callable[[str], str], message: str) -> None:
    path = write(change(TINY))
    with pytest.raises(LiftwildError) as caught:
        read_bvh(path)
    said = str(caught.value)
    assert message in said and said.startswith(str(path)) and "\n" not in said, said


# --- ASF/AMC ---

ASF = """# made up
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   .asf written by hand
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name lfemur
     direction 0 -1 0
     length 7
     axis 0 0 90 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
     id 2
     name ltibia
     direction 0 -1 0
     length 6
     axis 0 0 90 XYZ
    dof rx
    limits (-10.0 170.0)
  end
  begin
     id 3
     name lfoot
     direction 0 0 1
     length 2
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root lfemur
    lfemur ltibia
    ltibia lfoot
  end
"""
AMC = """#!OML:ASF x.asf
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
lfemur 0 0 0
ltibia 0
2
root 1 2 3 0 90 0
lfemur 0 0 90
ltibia 90
"""


def test_asf_positions_by_hand(write: Write) -> None:
    motion = read_asf_amc(write(ASF, "x.asf"), write(AMC, "x.amc"))
    assert motion.names == ("root", "lfemur", "ltibia", "lfoot") and motion.parents == (-1, 0, 1, 2)
    assert motion.frame_time_s == pytest.approx(1 / 120)
    np.testing.assert_allclose(motion.rest_positions, [[0, 0, 0], [0, 0, 0], [0, -7, 0], [0, -13, 0]])
    at = motion.positions()
    np.testing.assert_allclose(at[0], [[1, 2, 3], [1, 2, 3], [1, -5, 3], [1, -11, 3]], atol=1e-12)
    # Frame 2: the femur's 90 deg about z takes -y to x, the root's 90 deg about y takes x to -z. The tibia's x axis is
    # y at rest (its axis turns x to y): 90 deg about it leave -y, which the femur takes to x and the root to -z.
    np.testing.assert_allclose(at[1], [[1, 2, 3], [1, 2, 3], [1, 2, -4], [1, 2, -10]], atol=1e-12)
    # The foot's z at rest: to x by the tibia, to y by the femur, which the root leaves.
    np.testing.assert_allclose(motion.rotations[1, 3] @ motion.ends[3], [0, 2, 0], atol=1e-12)


def test_asf_orders_units_and_presets(write: Write) -> None:
    plain = read_asf_amc(write(ASF, "x.asf"), write(AMC, "x.amc"))
    reordered = ASF.replace("TX TY TZ RX RY RZ", "rz ry rx tz ty tx")
    reordered = reordered.replace("dof rx ry rz", "dof rz ry rx l")
    amc = AMC.replace("root 1 2 3 0 0 0", "root 0 0 0 3 2 1").replace("root 1 2 3 0 90 0", "root 0 90 0 3 2 1")
    amc = amc.replace("lfemur 0 0 0", "lfemur 0 0 0 0").replace("lfemur 0 0 90", "LFemur 90 0 0 1.5")
    other = read_asf_amc(write(reordered, "y.asf"), write(amc, "y.amc"))
    np.testing.assert_allclose(other.positions(), plain.positions(), atol=1e-12)
    quarter = str(np.pi / 2)
    radians = AMC.replace(":DEGREES", ":RADIANS").replace("90", quarter)
    other = read_asf_amc(write(ASF, "y.asf"), write(radians, "y.amc"))
    np.testing.assert_allclose(other.positions(), plain.positions(), atol=1e-12)
    all_radians = ASF.replace("angle deg", "angle rad").replace("0 0 90 XYZ", f"0 0 {quarter} xyz")
    other = read_asf_amc(write(all_radians, "y.asf"), write(radians.replace(":RADIANS\n", ""), "y.amc"))
    np.testing.assert_allclose(other.positions(), plain.positions(), atol=1e-12)
    # ZYX turns about z first, then y: z takes -y to x, y takes x to -z. XYZ does the same, in the other order.
    for order, sent in (("ZYX", [0, 0, -7]), ("XYZ", [7, 0, 0])):
        preset = ASF.replace("axis XYZ", f"axis {order}").replace("orientation 0 0 0", "orientation 0 90 90")
        still = AMC.replace("root 1 2 3 0 90 0", "root 1 2 3 0 0 0").replace("lfemur 0 0 90", "lfemur 0 0 0")
        preset = preset.replace("position 0 0 0", "position -1 -2 -3")
        at = read_asf_amc(write(preset, "y.asf"), write(still, "y.amc")).positions()
        np.testing.assert_allclose(at[0, 2], sent, atol=1e-12)
        np.testing.assert_allclose(at[0, 0], 0, atol=1e-12)
    # Order of the angles: about x first leaves x where it is, then z takes it to y; z first takes x to y, x then to z.
    for order, sent in (("rx ry rz", [0, 1, 0]), ("rz ry rx", [0, 0, 1])):
        ordered = ASF.replace("dof rx ry rz", f"dof {order}").replace(
            "axis 0 0 90 XYZ\n    dof r", "axis 0 0 0\n    dof r"
        )
        values = AMC.replace("lfemur 0 0 0", "lfemur 90 0 90")
        turned = read_asf_amc(write(ordered, "y.asf"), write(values, "y.amc")).rotations[0, 1]
        np.testing.assert_allclose(turned @ [1, 0, 0], sent, atol=1e-12)


ASF_FAULTS = {
    "empty asf": ("asf", lambda t: "", "the file is empty"),
    "no asf": ("asf", lambda t: "hello\n", "line 1: no ASF file"),
    "cut asf": ("asf", lambda t: t[: t.index(":hierarchy")], "the file has no :hierarchy"),
    "cut bone": ("asf", lambda t: t.replace("  end\n:hier", ":hier"), "bone 'lfoot' has no end"),
    "no length": ("asf", lambda t: t.replace("     length 7\n", ""), "line 16: bone 'lfemur' lacks one of name, dir"),
    "short direction": ("asf", lambda t: t.replace("direction 0 0 1", "direction 0 0"), "line 39: 'direction' should"),
    "word": ("asf", lambda t: t.replace("length 7", "length long"), "line 20: 'long' is no number"),
    "axis": ("asf", lambda t: t.replace("0 0 90 XYZ", "0 0 90 XXZ", 1), "line 21: 'XXZ' is no order of axes"),
    "dof": ("asf", lambda t: t.replace("dof rx\n", "dof bend\n"), "line 33: 'bend' should be one of tx"),
    "twice": ("asf", lambda t: t.replace("name lfoot", "name LTibia"), "line 36: bone 'LTibia' is there twice"),
    "unknown child": ("asf", lambda t: t.replace("lfemur ltibia", "lfemur shin"), "line 46: bone 'shin' of the hier"),
    "loose bone": ("asf", lambda t: t.replace("    ltibia lfoot\n", ""), "line 36: bone 'lfoot' does not hang"),
    "two parents": ("asf", lambda t: t.replace("ltibia lfoot", "ltibia lfoot lfemur"), "'lfemur' hangs below two"),
    "no order": ("asf", lambda t: t.replace("   order TX TY TZ RX RY RZ\n", ""), ":root has no order"),
    "empty amc": ("amc", lambda t: "\n", "the file is empty"),
    "no frames": ("amc", lambda t: ":DEGREES\n", "the file has no frames"),
    "no amc": ("amc", lambda t: "hello there\n", "line 1: no AMC file"),
    "other skeleton": ("amc", lambda t: t.replace("ltibia", "rtibia"), "line 7: bone 'rtibia' is not in the"),
    "too few": ("amc", lambda t: t.replace("lfemur 0 0 90", "lfemur 0 0"), "line 10: 'lfemur' has 2 values, and 3 in"),
    "cut amc": ("amc", lambda t: t[: t.rindex("ltibia")], "line 8: frame 2 and the first one differ in"),
    "nan amc": ("amc", lambda t: t.replace("ltibia 90", "ltibia nan"), "line 11: 'nan' is no number"),
    "bone twice": ("amc", lambda t: t + "ltibia 0\n", "line 12: bone 'ltibia' is twice in a frame"),
}  # fmt: skip


@pytest.mark.parametrize(("which", "change", "message"), ASF_FAULTS.values(), ids=ASF_FAULTS)
def test_asf_faults_are_one_clear_line(write: Write, which: str, change: Callable[[str], str], message: str) -> None:
    asf = write(change(ASF) if which == "asf" else ASF, "x.asf")
    amc = write(change(AMC) if which == "amc" else AMC, "x.amc")
    with pytest.raises(LiftwildError) as caught:
        read_asf_amc(asf, amc)
    said = str(caught.value)
    assert message in said and said.startswith(str(asf if which == "asf" else amc)) and "\n" not in said, said


# --- files and folders ---


def test_read_motion_finds_what_it_needs(write: Write, tmp_path: Path) -> None:
    for name in ("b.bvh", "A.BVH", ".hidden.bvh"):
        write(TINY, name)
    write("nothing", "notes.txt")
    write(ASF, "01.asf")
    write(ASF.replace("length 7", "length 9"), "02.asf")
    write(AMC, "02_07.amc")
    found = read_motion(tmp_path)
    assert [Path(motion.source).name for motion in found] == ["02_07.amc", "A.BVH", "b.bvh"]
    np.testing.assert_allclose(found[0].rest_positions[2], [0, -9, 0])
    assert len(read_motion(tmp_path / "b.bvh")) == len(read_motion(str(tmp_path / "02_07.amc"))) == 1


def test_read_motion_says_what_is_missing(write: Write, tmp_path: Path) -> None:
    def said(path: Path) -> str:
        with pytest.raises(LiftwildError) as caught:
            read_motion(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no .bvh or .amc" in said(tmp_path)
    assert "no such file or folder" in said(tmp_path / "nowhere.bvh")
    amc = write(AMC, "05_01.amc")
    assert "no .asf file" in said(amc) and "05.asf" in said(amc)
    only = write(ASF, "skeleton.asf")
    assert len(read_motion(amc)) == 1
    write(ASF, "other.asf")
    assert "several .asf files" in said(amc)
    assert ".amc files with an .asf beside them" in said(only)


# --- names ---


def family(**names: str) -> dict[str, str]:
    """Names of parts; underscores of the keys are spaces."""
    return {part.replace("_", " "): name for part, name in names.items()}


FAMILIES = {
    "mixamo": (MIXAMO, "Left", "Right"),
    "mixamorig:": ({part: f"mixamorig:{name}" for part, name in MIXAMO.items()}, "Left", "Right"),
    "character1_": ({part: f"Character1_{name}" for part, name in MIXAMO.items()}, "Left", "Right"),
    "cmu": (
        family(root="root", spine1="lowerback", spine2="upperback", chest="thorax", neck="lowerneck", head="head",
               thigh="{}femur", shin="{}tibia", foot="{}foot", toes="{}toes", clavicle="{}clavicle",
               upper_arm="{}humerus", forearm="{}radius", hand="{}wrist"), "l", "r",
    ),
    "hip knee": (
        family(root="Hips", spine1="Chest", spine2="Chest2", chest="Chest3", neck="Neck", head="Head", thigh="{}Hip",
               shin="{}Knee", foot="{}Ankle", toes="{}Toe", clavicle="{}Collar", upper_arm="{}Shoulder",
               forearm="{}Elbow", hand="{}Wrist"), "Left", "Right",
    ),
    "smpl": (
        family(root="m_avg_Pelvis", spine1="m_avg_Spine1", spine2="m_avg_Spine2", chest="m_avg_Spine3",
               neck="m_avg_Neck", head="m_avg_Head", thigh="m_avg_{}_Hip", shin="m_avg_{}_Knee", foot="m_avg_{}_Ankle",
               toes="m_avg_{}_Foot", clavicle="m_avg_{}_Collar", upper_arm="m_avg_{}_Shoulder",
               forearm="m_avg_{}_Elbow", hand="m_avg_{}_Wrist"), "L", "R",
    ),
    "daz": (
        family(root="hip", spine1="abdomen", chest="chest", neck="neck", head="head", thigh="{}Thigh", shin="{}Shin",
               foot="{}Foot", clavicle="{}Collar", upper_arm="{}Shldr", forearm="{}ForeArm", hand="{}Hand"), "l", "r",
    ),
    "rigify": (
        family(root="DEF-spine", spine1="DEF-spine.001", spine2="DEF-spine.002", chest="DEF-spine.003",
               neck="DEF-spine.004", head="DEF-head", thigh="DEF-thigh.{}", shin="DEF-shin.{}", foot="DEF-foot.{}",
               toes="DEF-toe.{}", clavicle="DEF-shoulder.{}", upper_arm="DEF-upper_arm.{}", forearm="DEF-forearm.{}",
               hand="DEF-hand.{}"), "L", "R",
    ),
    "biped": (
        family(root="Bip01 Pelvis", spine1="Bip01 Spine", spine2="Bip01 Spine1", chest="Bip01 Spine2",
               neck="Bip01 Neck", head="Bip01 Head", thigh="Bip01 {} Thigh", shin="Bip01 {} Calf", foot="Bip01 {} Foot",
               toes="Bip01 {} Toe0", clavicle="Bip01 {} Clavicle", upper_arm="Bip01 {} UpperArm",
               forearm="Bip01 {} Forearm", hand="Bip01 {} Hand"), "L", "R",
    ),
    "unreal": (
        family(root="pelvis", spine1="spine_01", spine2="spine_02", chest="spine_03", neck="neck_01", head="head",
               thigh="thigh_{}", shin="calf_{}", foot="foot_{}", toes="ball_{}", clavicle="clavicle_{}",
               upper_arm="upperarm_{}", forearm="lowerarm_{}", hand="hand_{}"), "l", "r",
    ),
    "xsens": (
        family(root="Pelvis", spine1="L5", spine2="T12", chest="T8", neck="Neck", head="Head", thigh="{}UpperLeg",
               shin="{}LowerLeg", foot="{}Foot", toes="{}Toe", clavicle="{}Shoulder", upper_arm="{}UpperArm",
               forearm="{}ForeArm", hand="{}Hand"), "Left", "Right",
    ),
    "kinect": (
        family(root="SpineBase", spine1="SpineMid", chest="SpineShoulder", neck="Neck", head="Head", thigh="Hip{}",
               shin="Knee{}", foot="Ankle{}", toes="Foot{}", upper_arm="Shoulder{}", forearm="Elbow{}", hand="Wrist{}"),
        "Left", "Right",
    ),
    "mocopi": (
        family(root="root", spine1="torso_1", chest="torso_7", neck="neck_1", head="head", thigh="{}_up_leg",
               shin="{}_low_leg", foot="{}_foot", toes="{}_toes", clavicle="{}_shoulder", upper_arm="{}_up_arm",
               forearm="{}_low_arm", hand="{}_hand"), "l", "r",
    ),
    "mpii": (
        family(root="pelvis", chest="thorax", neck="upper_neck", thigh="{}_hip", shin="{}_knee", foot="{}_ankle",
               upper_arm="{}_shoulder", forearm="{}_elbow", hand="{}_wrist"), "left", "right",
    ),
    "our own body": (
        family(root="root", spine1="spine05", spine2="spine03", chest="spine01", neck="neck01", head="head",
               thigh="upperleg01.{}", shin="lowerleg01.{}", foot="foot.{}", toes="toe2-1.{}", clavicle="clavicle.{}",
               upper_arm="upperarm01.{}", forearm="lowerarm01.{}", hand="wrist.{}"), "L", "R",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("names", "left", "right"), FAMILIES.values(), ids=FAMILIES)
def test_families_of_names(names: dict[str, str], left: str, right: str, write: Write) -> None:
    figure = puppet(names, (left, right))
    parts = find_parts(figure.names, figure.parents, "clip")
    assert parts.root == figure.names.index(names["root"])
    assert [figure.names[joint] for joint in parts.spine] == [
        names[p] for p in ("spine1", "spine2", "chest") if p in names
    ]
    assert [figure.names[joint] for joint in parts.neck] == [names[p] for p in ("neck", "head") if p in names]
    expected = {
        f"{side} {part}": name.format(mark)
        for part, name in names.items() if part not in CENTRE
        for side, mark in (("left", left), ("right", right))
    }  # fmt: skip
    assert {part: figure.names[joint] for part, joint in parts.limbs.items()} == expected
    motion = read_bvh(write(figure.text()))
    same_directions(body_directions(retarget(motion, NAMES, PARENTS, HEADS)), source_directions(motion))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("Hips LHipJoint LeftUpLeg LeftLeg LeftFoot", {"thigh": "LeftUpLeg", "shin": "LeftLeg", "foot": "LeftFoot"}),
        ("Hips LeftHip LeftThigh LeftShin LeftFoot", {"thigh": "LeftThigh", "shin": "LeftShin", "foot": "LeftFoot"}),
        ("Hips LeftHip LeftLeg LeftKnee LeftFoot", {"thigh": "LeftLeg", "shin": "LeftKnee", "foot": "LeftFoot"}),
        ("hip lButtock lThigh lShin lFoot lToe", {"thigh": "lThigh", "shin": "lShin", "foot": "lFoot", "toes": "lToe"}),
        ("Hips LeftUpLeg LeftUpLegRoll LeftLeg LeftAnkle LeftFoot",
         {"thigh": "LeftUpLeg", "shin": "LeftLeg", "foot": "LeftAnkle", "toes": "LeftFoot"}),
        ("Hips LeftShoulder LeftArm LeftForeArm LeftHand",
         {"clavicle": "LeftShoulder", "upper arm": "LeftArm", "forearm": "LeftForeArm", "hand": "LeftHand"}),
        ("Hips LeftCollar LeftShoulder LeftElbow LeftWrist LeftHand",
         {"clavicle": "LeftCollar", "upper arm": "LeftShoulder", "forearm": "LeftElbow", "hand": "LeftWrist"}),
        ("Hips LeftShoulder LeftUpArm LeftLowArm LeftHand LeftHandThumb1",
         {"clavicle": "LeftShoulder", "upper arm": "LeftUpArm", "forearm": "LeftLowArm", "hand": "LeftHand"}),
        ("Hips LeftShoulder LeftElbow LeftWrist",
         {"upper arm": "LeftShoulder", "forearm": "LeftElbow", "hand": "LeftWrist"}),
        ("Hips LeftCollar LeftUpperArm LeftArm LeftHand",
         {"clavicle": "LeftCollar", "upper arm": "LeftUpperArm", "forearm": "LeftArm", "hand": "LeftHand"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_ambiguous_names_are_told_apart_by_their_neighbours(names: str, expected: dict[str, str]) -> None:
    chain = names.split()
    right = [name.replace("Left", "Right").replace("LHip", "RHip").replace("l", "r", name[0] == "l") for name in chain]
    rest = "Spine LeftArm LeftForeArm RightArm RightForeArm" if any("Foot" in name for name in chain) else (
        "LeftUpLeg LeftLeg RightUpLeg RightLeg"
    )  # fmt: skip
    joints = [*chain, *right[1:]]
    parents = [*range(-1, len(chain) - 1), 0, *range(len(chain), len(joints) - 1)]
    start = 0
    for name in rest.split():
        side = name.startswith(("Left", "Right")) and joints[-1][:4] == name[:4]
        parents.append(len(joints) - 1 if side else start)
        joints.append(name)
        start = len(joints) - 1 if name == "Spine" else start
    limbs = find_parts(joints, parents, "clip").limbs
    found = {part.removeprefix("left "): joints[joint] for part, joint in limbs.items() if part.startswith("left")}
    assert {part: name for part, name in found.items() if name in chain} == expected


def test_unknown_joints_are_one_clear_line(write: Write) -> None:
    def said(figure: Puppet) -> str:
        motion = read_bvh(write(figure.text()))  # reading needs no names
        assert motion.positions().shape == (5, len(figure.names), 3)
        with pytest.raises(LiftwildError) as caught:
            retarget(motion, NAMES, PARENTS, HEADS)
        assert "\n" not in str(caught.value) and str(caught.value).startswith(motion.source)
        return str(caught.value)

    figure = puppet()
    strange = replace(figure, names=[f"bone_{index}" for index in range(len(figure.names))])
    assert "no joint found for left thigh, right thigh, left shin" in said(strange)
    assert "joints are bone_0, bone_1," in said(strange)
    partly = replace(figure, names=[name.replace("RightForeArm", "Antebrazo") for name in figure.names])
    assert "no joint found for right upper arm, right forearm; the file's joints are Hips, " in said(partly)
    assert "Antebrazo" in said(partly)
    partly = replace(figure, names=[name.replace("Up", "") if "Left" in name else name for name in figure.names])
    assert "no joint found for left thigh, left shin;" in said(partly)
    many = replace(figure, names=[f"b{'x' * index}" for index in range(len(figure.names))])
    many = replace(many, names=many.names + [f"f{i}" for i in range(20)], parents=many.parents + [0] * 20,
                   offsets=np.concatenate([many.offsets, np.ones((20, 3))]),
                   local=np.concatenate([many.local, np.tile(np.eye(3), (5, 20, 1, 1))], axis=1))  # fmt: skip
    assert "and 12 more" in said(many)
    crossed = list(figure.parents)
    crossed[figure.names.index("LeftLeg")] = figure.names.index("RightUpLeg")
    assert "LeftLeg, taken for the left shin, does not hang below LeftUpLeg" in said(replace(figure, parents=crossed))


# --- retargeting ---


def test_a_t_pose_at_rest_points_the_limbs_where_the_source_does(write: Write) -> None:
    motion = read_bvh(write(puppet(frames=1).text()))
    rotations = retarget(motion, NAMES, PARENTS, HEADS)
    assert rotations.dtype == np.float32 and rotations.shape == (1, len(NAMES), 3, 3)
    found = body_directions(rotations)
    for side, sign in (("left", 1), ("right", -1)):
        for part in ("upper arm", "forearm"):
            assert found[f"{side} {part}"][0] @ [sign, 0, 0] > 0.999
        for part in ("thigh", "shin"):
            assert found[f"{side} {part}"][0] @ [0, 0, -1] > 0.99
    for bone in ("root", "spine05", "spine01", "neck02", "head", "clavicle.L"):
        np.testing.assert_allclose(rotations[0, NAMES.index(bone)], np.eye(3), atol=1e-7)


REST_POSES = {
    "arms down": {"upper arm": (2, -80), "forearm": (2, -80)},
    "a-pose": {"upper arm": (2, -45), "forearm": (2, -45)},
    "arms forward": {"upper arm": (1, -90), "forearm": (1, -90)},
    "arms up": {"upper arm": (2, 85), "forearm": (2, 85)},
    "legs spread": {"thigh": (2, 20), "shin": (2, 20), "foot": (2, 20)},
    "bent arms": {"forearm": (1, -80), "hand": (1, -80)},
}  # fmt: skip


@pytest.mark.parametrize("pose", REST_POSES.values(), ids=REST_POSES)
def test_limbs_point_where_the_source_does_whatever_its_rest_pose(
    pose: dict[str, tuple[int, float]], write: Write
) -> None:
    figure = puppet(frames=20, most_deg=80, seed=3)
    turns = np.tile(np.eye(3), (len(figure.names), 1, 1))
    for part, (axis, degrees) in pose.items():
        for side, sign in (("Left", 1), ("Right", -1)):
            turns[figure.names.index(MIXAMO[part].format(side))] = axis_rotations(axis, np.radians(sign * degrees)).T
    motion = read_bvh(write(figure.rested(turns).text()))
    np.testing.assert_allclose(motion.positions(), read_bvh(write(figure.text(), "t.bvh")).positions(), atol=1e-6)
    same_directions(body_directions(retarget(motion, NAMES, PARENTS, HEADS)), source_directions(motion))


def test_left_stays_left_and_twist_is_the_source_s(write: Write) -> None:
    figure = puppet(frames=3)
    figure.local[:] = np.eye(3)
    figure.local[1, figure.names.index("LeftArm")] = axis_rotations(2, np.radians(60))  # left arm up
    figure.local[2, figure.names.index("LeftArm")] = axis_rotations(0, np.radians(50))  # twisted about itself
    rotations = retarget(read_bvh(write(figure.text())), NAMES, PARENTS, HEADS)
    heads = posed(rotations)
    lifted = heads[1] - heads[0]
    assert lifted[NAMES.index("wrist.L"), 2] > 0.2
    np.testing.assert_allclose(lifted[NAMES.index("wrist.R")], 0, atol=1e-6)
    assert heads[0, NAMES.index("wrist.L"), 0] > 0.5 and heads[0, NAMES.index("wrist.R"), 0] < -0.5
    for bone in ("upperarm01.L", "upperarm02.L", "lowerarm01.L", "wrist.L", "finger3-1.L"):
        twist = rotations[2, NAMES.index(bone)] @ rotations[0, NAMES.index(bone)].T
        np.testing.assert_allclose(twist, axis_rotations(0, np.radians(50)), atol=1e-6)


def test_rest_correction_bends_limbs_and_does_not_twist_them(write: Write) -> None:
    rest = retarget(read_bvh(write(puppet(frames=1).text())), NAMES, PARENTS, HEADS)[0].astype(float)
    for above, below, end in (("upperarm01.L", "lowerarm01.L", "wrist.L"), ("upperleg01.R", "lowerleg01.R", "foot.R")):
        bend = rest[NAMES.index(above)].T @ rest[NAMES.index(below)]
        axis = np.array([bend[2, 1] - bend[1, 2], bend[0, 2] - bend[2, 0], bend[1, 0] - bend[0, 1]])
        assert abs(unit(axis) @ unit(HEADS[NAMES.index(end)] - HEADS[NAMES.index(below)])) < 1e-5


TURNS = {
    "z up": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "z up, facing x": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    "y up, facing -z": np.diag([-1, 1, -1]),
    "x up": np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]),
    "y down": np.diag([-1, -1, 1]),
    "facing askew": axis_rotations(1, np.radians(37)),
}  # fmt: skip


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_up_and_forward_are_found(turn: np.ndarray, write: Write) -> None:
    assert np.linalg.det(turn) > 0
    figure = puppet(frames=6, most_deg=40)
    expected = retarget(read_bvh(write(figure.text())), NAMES, PARENTS, HEADS)
    motion = read_bvh(write(figure.turned(turn).text(), "turned.bvh"))
    np.testing.assert_allclose(motion.axes.up, turn @ [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(motion.axes.facing, turn @ [0, 0, 1], atol=1e-6)
    assert motion.axes.reference is None
    np.testing.assert_allclose(retarget(motion, NAMES, PARENTS, HEADS), expected, atol=1e-5)


def test_a_z_up_motion_on_a_y_up_skeleton_stands(write: Write) -> None:
    figure = puppet(frames=6, most_deg=15)
    expected = retarget(read_bvh(write(figure.text())), NAMES, PARENTS, HEADS)
    turned = figure.local.copy()
    turned[:, 0] = TURNS["z up"] @ turned[:, 0]
    motion = read_bvh(write(replace(figure, local=turned, root=figure.root @ TURNS["z up"].T).text(), "turned.bvh"))
    np.testing.assert_allclose(motion.axes.up, [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(retarget(motion, NAMES, PARENTS, HEADS), expected, atol=1e-5)
    low = replace(figure, local=turned, root=np.tile([0.0, 12, 300], (6, 1)))  # someone who lies on the ground
    motion = read_bvh(write(low.text(), "lying.bvh"))
    np.testing.assert_allclose(motion.axes.up, [0, 1, 0], atol=1e-9)
    heads = posed(retarget(motion, NAMES, PARENTS, HEADS))
    assert np.ptp(heads[:, :, 2], axis=1).max() < 0.8 * np.ptp(heads[:, :, 1], axis=1).min()


def test_a_rest_pose_that_is_no_person_is_replaced_by_a_standing_frame(write: Write) -> None:
    figure = puppet(frames=6, most_deg=40)
    expected = retarget(read_bvh(write(figure.text())), NAMES, PARENTS, HEADS)
    turns = np.tile(np.eye(3), (len(figure.names), 1, 1))  # every bone along its own x, as LAFAN1 has them
    for joint in range(len(figure.names)):
        children = [child for child, parent in enumerate(figure.parents) if parent == joint]
        end = figure.offsets[children[0]] if children else figure.ends.get(joint, np.array([0, 1.0, 0]))
        turns[joint] = turn_between(np.array([1.0, 0, 0]), end)
    motion = read_bvh(write(figure.rested(turns).text(), "local.bvh"))
    assert motion.axes.reference == 0
    np.testing.assert_allclose(motion.axes.up, [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(retarget(motion, NAMES, PARENTS, HEADS), expected, atol=1e-5)
    bent = figure.local.copy()
    for side in ("Left", "Right"):
        bent[:, figure.names.index(f"{side}UpLeg")] = axis_rotations(0, np.radians(-100))
    motion = read_bvh(write(replace(figure, local=bent).rested(turns).text(), "sitting.bvh"))
    with pytest.raises(LiftwildError, match="nor any frame is a standing person"):
        retarget(motion, NAMES, PARENTS, HEADS)


def test_bones_without_a_source_follow_their_parent(write: Write) -> None:
    few = {part: name for part, name in MIXAMO.items() if part in ("root", "thigh", "shin", "upper arm", "forearm")}
    motion = read_bvh(write(puppet(few, frames=4).text()))
    rotations = retarget(motion, NAMES, PARENTS, HEADS)
    for bone, parent in (("spine01", "root"), ("head", "root"), ("clavicle.L", "spine01"), ("wrist.R", "lowerarm02.R"),
                         ("foot.L", "lowerleg02.L"), ("toe2-2.R", "foot.R")):  # fmt: skip
        same = rotations[:, NAMES.index(bone)], rotations[:, NAMES.index(parent)]
        np.testing.assert_allclose(*same, atol=1e-6, err_msg=bone)
    full = retarget(read_bvh(write(puppet().text())), NAMES, PARENTS, HEADS)
    np.testing.assert_array_equal(full[:, NAMES.index("finger1-1.R")], full[:, NAMES.index("wrist.R")])
    np.testing.assert_array_equal(full[:, NAMES.index("pelvis.L")], full[:, NAMES.index("root")])


def test_spine_and_neck_share_the_bend_of_the_source(write: Write) -> None:
    few = {part: name for part, name in MIXAMO.items() if part not in ("spine1", "spine2", "neck")}
    figure = puppet(few, frames=2)
    figure.local[1] = np.eye(3)
    figure.local[1, figure.names.index("Spine2")] = axis_rotations(0, np.radians(50))
    figure.local[1, figure.names.index("Head")] = axis_rotations(0, np.radians(-40))
    rotations = retarget(read_bvh(write(figure.text())), NAMES, PARENTS, HEADS)[1]
    bends = {"spine05": 10, "spine04": 20, "spine03": 30, "spine02": 40, "spine01": 50, "clavicle.L": 50,
             "neck01": 40, "neck02": 30, "neck03": 20, "head": 10}  # fmt: skip
    for bone, degrees in bends.items():
        expected = axis_rotations(0, np.radians(degrees))
        np.testing.assert_allclose(rotations[NAMES.index(bone)], expected, atol=1e-6, err_msg=bone)
    whole = read_bvh(write(puppet(seed=4).text()))
    rotations = retarget(whole, NAMES, PARENTS, HEADS)
    for bone, joint in (("spine01", "Spine2"), ("head", "Head"), ("root", "Hips")):
        expected = Y_UP_TO_BODY @ whole.rotations[:, whole.names.index(joint)] @ Y_UP_TO_BODY.T
        np.testing.assert_allclose(rotations[:, NAMES.index(bone)], expected, atol=1e-6, err_msg=bone)


def test_feet_stay_flat_and_point_where_the_source_s_do(write: Write) -> None:
    figure = puppet(frames=1)
    motion = read_bvh(write(figure.text()))
    rotation = retarget(motion, NAMES, PARENTS, HEADS)[0, NAMES.index("foot.L")]
    np.testing.assert_allclose(rotation @ [0, 0, 1], [0, 0, 1], atol=1e-6)
    foot = rotation @ (HEADS[NAMES.index("toe2-1.L")] - HEADS[NAMES.index("foot.L")])
    np.testing.assert_allclose(unit(foot[:2]), unit(np.array([2, -13])), atol=1e-6)
    ankle = {part: name for part, name in MIXAMO.items() if part != "toes"}  # an End Site that is the ankle's height
    figure = puppet(ankle, frames=1)
    for side in ("Left", "Right"):
        figure.ends[figure.names.index(f"{side}Foot")] = np.array([0, -8.0, 0])
    rotation = retarget(read_bvh(write(figure.text())), NAMES, PARENTS, HEADS)[0, NAMES.index("foot.L")]
    np.testing.assert_allclose(rotation, np.eye(3), atol=1e-6)


def test_frames_are_chosen(write: Write) -> None:
    motion = read_bvh(write(puppet(frames=8).text()))
    every = retarget(motion, NAMES, PARENTS, HEADS)
    np.testing.assert_array_equal(retarget(motion, NAMES, PARENTS, HEADS, [6, 1]), every[[6, 1]])
    np.testing.assert_array_equal(retarget(motion, NAMES, PARENTS, HEADS, slice(2, 4)), every[2:4])
    np.testing.assert_allclose(motion.positions([6, 1]), motion.positions()[[6, 1]])


def test_body_parents_may_come_after_their_children(write: Write) -> None:
    motion = read_bvh(write(puppet().text()))
    back = list(range(len(NAMES)))[::-1]
    parents = [back.index(PARENTS[bone]) if PARENTS[bone] >= 0 else -1 for bone in back]
    turned = retarget(motion, [NAMES[bone] for bone in back], parents, HEADS[back])
    np.testing.assert_array_equal(turned[:, ::-1], retarget(motion, NAMES, PARENTS, HEADS))


def test_asf_is_retargeted(write: Write) -> None:
    """CMU's layout: legs spread, connecting bones at the hips, three bones each for spine and neck, hinge knees."""
    bones = {  # parent, direction, length, axis, dof
        "lhipjoint": ("root", (0.71, -0.62, 0.34), 2.5, 0, ""),
        "lfemur": ("lhipjoint", (0.342, -0.94, 0), 7, 20, "rx ry rz"),
        "ltibia": ("lfemur", (0.342, -0.94, 0), 6.9, 20, "rx"), "lfoot": ("ltibia", (0, 0, 1), 2, 0, "rx rz"),
        "lowerback": ("root", (0, 1, 0), 2, 0, "rx ry rz"), "upperback": ("lowerback", (0, 1, 0), 2, 0, "rx ry rz"),
        "thorax": ("upperback", (0, 1, 0), 2, 0, "rx ry rz"), "lowerneck": ("thorax", (0, 1, 0), 1.6, 0, "rx ry rz"),
        "upperneck": ("lowerneck", (0, 1, 0), 1.6, 0, "rx ry rz"), "head": ("upperneck", (0, 1, 0), 1.6, 0, "rx ry rz"),
        "lclavicle": ("thorax", (0.9, 0.4, 0), 3.6, 30, "ry rz"),
        "lhumerus": ("lclavicle", (1, 0, 0), 5, -30, "rx ry rz"),
        "lradius": ("lhumerus", (1, 0, 0), 3.4, 0, "rx"), "lwrist": ("lradius", (1, 0, 0), 1.7, 0, "ry"),
    }  # fmt: skip
    for name, (parent, (x, y, z), length, axis, freedoms) in list(bones.items()):
        if name not in ("lowerback", "lowerneck") and name.startswith("l"):
            above = parent if parent in ("root", "thorax") else "r" + parent[1:]
            bones["r" + name[1:]] = (above, (-x, y, z), length, -axis, freedoms)
    asf = [":units", "angle deg", ":root", "order TX TY TZ RX RY RZ", "axis XYZ", ":bonedata"]
    for name, (_, direction, length, axis, freedoms) in bones.items():
        asf += ["begin", f"name {name}", f"direction {' '.join(map(str, direction))}", f"length {length}"]
        asf += [f"axis 0 0 {axis} XYZ", *([f"dof {freedoms}"] if freedoms else []), "end"]
    asf += [":hierarchy", "begin", *(f"{parent} {name}" for name, (parent, *_) in bones.items()), "end"]
    generator = np.random.default_rng(1)
    amc = [":DEGREES"]
    for frame in range(10):
        amc += [str(frame + 1), "root " + " ".join(map(str, [0, 17, 0, *generator.uniform(-40, 40, 3)]))]
        amc += [f"{name} {' '.join(map(str, generator.uniform(-40, 40, len(freedoms.split()))))}"
                for name, (*_, freedoms) in bones.items() if freedoms]  # fmt: skip
    motion = read_asf_amc(write("\n".join(asf), "1.asf"), write("\n".join(amc), "1_1.amc"))
    assert [motion.names[joint] for joint in motion.parts.spine] == ["lowerback", "upperback", "thorax"]
    assert [motion.names[joint] for joint in motion.parts.neck] == ["lowerneck", "upperneck", "head"]
    same_directions(body_directions(retarget(motion, NAMES, PARENTS, HEADS)), source_directions(motion))


# --- frames that differ ---


def test_spread_frames_keeps_frames_that_differ(write: Write) -> None:
    figure = puppet(frames=41)  # 0.05 s a frame
    figure.local[:] = np.eye(3)
    elbow = figure.names.index("LeftForeArm")
    figure.local[:, elbow] = axis_rotations(1, np.radians(np.r_[np.arange(0, 41, 2), np.arange(38, -1, -2)]))
    figure.local[:, 0] = axis_rotations(1, np.radians(np.arange(41) * 9.0))  # turning on the spot is no change
    motion = read_bvh(write(figure.text()))
    # 4 degrees a step of 0.1 s: 16 of them from the first, then 32; on the way back nothing is new.
    assert spread_frames(motion).tolist() == [0, 8, 16]
    assert spread_frames(motion, min_change_deg=0).tolist() == list(range(0, 41, 2))
    assert spread_frames(motion, step_s=1, min_change_deg=0).tolist() == [0, 20, 40]
    assert spread_frames(motion, step_s=0.001, min_change_deg=39).tolist() == [0, 20]
    figure.local[30, 0] = axis_rotations(0, np.radians(80))  # lying down is
    assert spread_frames(read_bvh(write(figure.text()))).tolist() == [0, 8, 16, 30]
