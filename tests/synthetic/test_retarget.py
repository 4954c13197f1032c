"""Motion capture: where the body's limbs point after retargeting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.rotation import matrix_about, matrix_between
from liftwild.synthetic.mocap.motion import read_asf_amc, read_bvh, retarget
from tests.support.files import Write
from tests.support.puppet import (
    HEADS,
    MIXAMO,
    NAMES,
    PARENTS,
    Y_UP_TO_BODY,
    body_directions,
    posed,
    puppet,
    same_directions,
    source_directions,
    unit,
)


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
            turns[figure.names.index(MIXAMO[part].format(side))] = matrix_about(axis, np.radians(sign * degrees)).T
    motion = read_bvh(write(figure.rested(turns).text()))
    np.testing.assert_allclose(motion.positions(), read_bvh(write(figure.text(), "t.bvh")).positions(), atol=1e-6)
    same_directions(body_directions(retarget(motion, NAMES, PARENTS, HEADS)), source_directions(motion))


def test_left_stays_left_and_twist_is_the_source_s(write: Write) -> None:
    figure = puppet(frames=3)
    figure.local[:] = np.eye(3)
    figure.local[1, figure.names.index("LeftArm")] = matrix_about(2, np.radians(60))  # left arm up
    figure.local[2, figure.names.index("LeftArm")] = matrix_about(0, np.radians(50))  # twisted about itself
    rotations = retarget(read_bvh(write(figure.text())), NAMES, PARENTS, HEADS)
    heads = posed(rotations)
    lifted = heads[1] - heads[0]
    assert lifted[NAMES.index("wrist.L"), 2] > 0.2
    np.testing.assert_allclose(lifted[NAMES.index("wrist.R")], 0, atol=1e-6)
    assert heads[0, NAMES.index("wrist.L"), 0] > 0.5 and heads[0, NAMES.index("wrist.R"), 0] < -0.5
    for bone in ("upperarm01.L", "upperarm02.L", "lowerarm01.L", "wrist.L", "finger3-1.L"):
        twist = rotations[2, NAMES.index(bone)] @ rotations[0, NAMES.index(bone)].T
        np.testing.assert_allclose(twist, matrix_about(0, np.radians(50)), atol=1e-6)


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
    "facing askew": matrix_about(1, np.radians(37)),
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
        turns[joint] = matrix_between(np.array([1.0, 0, 0]), end)
    motion = read_bvh(write(figure.rested(turns).text(), "local.bvh"))
    assert motion.axes.reference == 0
    np.testing.assert_allclose(motion.axes.up, [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(retarget(motion, NAMES, PARENTS, HEADS), expected, atol=1e-5)
    bent = figure.local.copy()
    for side in ("Left", "Right"):
        bent[:, figure.names.index(f"{side}UpLeg")] = matrix_about(0, np.radians(-100))
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
    figure.local[1, figure.names.index("Spine2")] = matrix_about(0, np.radians(50))
    figure.local[1, figure.names.index("Head")] = matrix_about(0, np.radians(-40))
    rotations = retarget(read_bvh(write(figure.text())), NAMES, PARENTS, HEADS)[1]
    bends = {"spine05": 10, "spine04": 20, "spine03": 30, "spine02": 40, "spine01": 50, "clavicle.L": 50,
             "neck01": 40, "neck02": 30, "neck03": 20, "head": 10}  # fmt: skip
    for bone, degrees in bends.items():
        expected = matrix_about(0, np.radians(degrees))
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
