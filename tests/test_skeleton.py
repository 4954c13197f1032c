"""MPII-16 is what the method says, and other skeletons are matched by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwild.skeleton import (
    DEPTH_ROOT,
    MPII_16,
    PELVIS,
    RATIO_GROUPS,
    SCALE_BONES,
    SKELETONS,
    SYMMETRIC_BONES,
    THORAX,
    Skeleton,
    match_names,
)
from tests.support.strategies import J, quick


def named(bone: tuple[int, int]) -> tuple[str, str]:
    return MPII_16.names[bone[0]], MPII_16.names[bone[1]]


def test_mpii_16_is_the_skeleton_of_the_method() -> None:
    assert J == 16
    assert MPII_16.names[MPII_16.root] == "pelvis" and MPII_16.root == PELVIS == 6
    assert DEPTH_ROOT == THORAX == 7 and MPII_16.names[7:10] == ("thorax", "upper_neck", "head_top")
    assert len(MPII_16.bones) == J - 1
    for joint in range(J):  # every joint hangs on the root, without a circle
        steps = 0
        while MPII_16.parents[joint] >= 0:
            joint, steps = MPII_16.parents[joint], steps + 1
            assert steps < J
        assert joint == MPII_16.root


def test_flip_index_is_an_involution_that_exchanges_sides() -> None:
    index = MPII_16.flip_index
    assert sorted(index) == list(range(J))
    assert [index[i] for i in index] == list(range(J))
    for joint, partner in enumerate(index):
        swap = {"left": "right", "righ": "left"}
        name = MPII_16.names[joint]
        expected = name if name[:4] not in swap else swap[name[:4]] + name[name.index("_") :]
        assert MPII_16.names[partner] == expected
    assert len(MPII_16.flip_pairs) == 6


def test_bones_are_what_their_groups_say() -> None:
    sides = ("right", "left")
    expected = {
        "legs": {(f"{s}_{a}", f"{s}_{b}") for s in sides for a, b in (("ankle", "knee"), ("knee", "hip"))},
        "arms": {(f"{s}_{a}", f"{s}_{b}") for s in sides for a, b in (("wrist", "elbow"), ("elbow", "shoulder"))},
        "hips": {(f"{s}_hip", "pelvis") for s in sides},
        "shoulders": {(f"{s}_shoulder", "upper_neck") for s in sides},
    }
    assert {group: {named(b) for b, _ in bones} for group, bones in RATIO_GROUPS.items()} == {
        # Which end comes first does not matter to a length.
        group: {b if b in {named(x) for x, _ in RATIO_GROUPS[group]} else b[::-1] for b in bones}
        for group, bones in expected.items()
    }
    spine = {("pelvis", "upper_neck"), ("upper_neck", "head_top")}
    scale = {frozenset(bone) for bones in expected.values() for bone in bones} | {frozenset(bone) for bone in spine}
    assert {frozenset(named(bone)) for bone in SCALE_BONES} == scale
    assert len(SCALE_BONES) == len(scale) == 14


def test_bone_groups_are_the_same_left_and_right() -> None:
    flip = MPII_16.flip_index
    for bones in RATIO_GROUPS.values():
        lengths = {frozenset(bone): length for bone, length in bones}
        assert lengths == {frozenset(flip[i] for i in bone): length for bone, length in lengths.items()}
    for right, left in SYMMETRIC_BONES.values():
        assert [MPII_16.names[i].split("_")[0] for i in (*right, *left)] == ["right"] * 2 + ["left"] * 2
        assert {flip[i] for i in right} == set(left)


COCO = [
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle"),
    "right_ankle",
]
LSP = [
    *("Right ankle", "Right knee", "Right hip", "Left hip", "Left knee", "Left ankle", "Right wrist", "Right elbow"),
    *("Right shoulder", "Left shoulder", "Left elbow", "Left wrist", "Neck", "Head top"),
]


def test_match_names_of_coco_and_lsp() -> None:
    missing = {"pelvis", "thorax", "upper_neck", "head_top"}
    for name, position in zip(MPII_16.names, match_names(COCO), strict=True):
        assert position == (None if name in missing else COCO.index(name))
    assert match_names(LSP) == [0, 1, 2, 3, 4, 5, None, None, 12, 13, 6, 7, 8, 9, 10, 11]
    assert match_names(MPII_16.names) == list(range(J))
    for skeleton in SKELETONS.values():  # what is written in a joint set can be read as labels
        assert any(position is not None for position in match_names(skeleton.names))
    assert match_names(["Mid-Hip", " HEAD "])[PELVIS] == 0
    assert match_names([]) == [None] * J


@quick
@given(st.permutations(MPII_16.names))
def test_match_names_in_any_order(names: list[str]) -> None:
    assert [names[position] for position in match_names(names) if position is not None] == list(MPII_16.names)


@pytest.mark.parametrize("names", [["tail"], ["left_knee", ""], ["knee_left"]])
def test_match_names_refuses_unknown_names(names: list[str]) -> None:
    with pytest.raises(ValueError, match="unknown joint name"):
        match_names(names)


@pytest.mark.parametrize("names", [["pelvis", "pelvis"], ["neck", "upper neck"], ["hip", "Root"], ["nose", "nose"]])
def test_match_names_refuses_a_joint_named_twice(names: list[str]) -> None:
    with pytest.raises(ValueError, match="named twice"):
        match_names(names)


def test_skeleton_errors() -> None:
    with pytest.raises(ValueError, match="parents"):
        Skeleton(("a", "b"), (-1,))
    with pytest.raises(KeyError, match="tail"):
        MPII_16.index("tail")
