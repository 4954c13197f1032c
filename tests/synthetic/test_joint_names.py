"""Motion capture: which joint is which, by its name and its neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.synthetic.mocap.joint_names import find_parts
from liftwild.synthetic.mocap.motion import read_bvh, retarget
from tests.support.files import Write
from tests.support.puppet import (
    CENTRE,
    HEADS,
    MIXAMO,
    NAMES,
    PARENTS,
    Puppet,
    body_directions,
    puppet,
    same_directions,
    source_directions,
)


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
