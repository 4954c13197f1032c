"""BVH: joint positions recomputed from the written file are those of the poses, and what a file cannot hold is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwild.io.bvh import animation_notes, bvh_bytes
from liftwild.io.formats import is_ours, read_recording, write_formats
from liftwild.joint_mapping import track_in_skeleton
from liftwild.kinematics.animation import Animation, animate
from liftwild.kinematics.upright import Y_UP
from liftwild.pose import Recording
from liftwild.skeleton import COCO_17, H36M_17, MPII_16, Skeleton
from liftwild.synthetic.mocap.bvh import read_bvh
from tests.support.poses import RAISED_RIGHT_HAND
from tests.support.recordings import hide
from tests.support.strategies import quick, seeds
from tests.support.tracks import moving, random_photo, track_of

EXACT_MM = 0.01  # of the 1 mm that is wanted; six decimals leave less


def joints_of_bvh(text: str) -> tuple[dict[str, np.ndarray], float]:
    """Places (T, 3) of every joint by name, in the file's unit, and the frame time: BVH as its description has it,
    independent of liftwild's reader; a joint's position channels are its whole way from the parent, as in Blender."""
    head, motion = text.split("MOTION\n")
    count, frame_time, *rows = motion.strip().split("\n")
    values = np.array([[float(word) for word in row.split()] for row in rows])
    assert count == f"Frames: {len(rows)}"
    words = head.split()
    assert words.pop(0) == "HIERARCHY"
    found: dict[str, np.ndarray] = {}
    column = 0

    def joint(above: np.ndarray, turned: np.ndarray) -> None:
        nonlocal column
        kind, name = words.pop(0), words.pop(0)
        assert words.pop(0) == "{" and words.pop(0) == "OFFSET"
        offset = np.array([float(words.pop(0)) for _ in range(3)])
        if kind == "End":
            assert words.pop(0) == "}" and np.linalg.norm(offset) > 0
            return
        assert kind in ("ROOT", "JOINT") and name not in found and words.pop(0) == "CHANNELS"
        away, own = np.tile(offset, (len(values), 1)), turned
        for _ in range(int(words.pop(0))):
            channel, angle = words.pop(0), np.radians(values[:, column])
            if channel.endswith("position"):
                away[:, "XYZ".index(channel[0])] = values[:, column]
            else:
                axis = "XYZ".index(channel[0])
                step = np.tile(np.eye(3), (len(values), 1, 1))
                a, b = (axis + 1) % 3, (axis + 2) % 3
                step[:, a, a] = step[:, b, b] = np.cos(angle)
                step[:, b, a], step[:, a, b] = np.sin(angle), -np.sin(angle)
                own = own @ step
            column += 1
        found[name] = place = above + (turned @ away[..., None])[..., 0]
        while words[0] != "}":
            joint(place, own)
        words.pop(0)

    joint(np.zeros((len(values), 3)), np.tile(np.eye(3), (len(values), 1, 1)))
    assert not words and column == values.shape[1]
    return found, float(frame_time.removeprefix("Frame Time: "))


def missed_mm(made: Animation, joints: np.ndarray, skeleton: Skeleton = MPII_16) -> np.ndarray:
    """How far (T, J) the file's joints are from ``joints`` (T, J, 3) in mm, camera axes, both from the pelvis; NaN
    where the file has no such joint."""
    found, _ = joints_of_bvh(bvh_bytes(made).decode())
    out = np.full(joints.shape[:2], np.nan)
    for index, name in enumerate(skeleton.names):
        if name in found:  # mm, y down and z away become m, y up and z toward the camera
            own = (found[name] - found["pelvis"]) * (1000, -1000, -1000)
            out[:, index] = np.linalg.norm(own - joints[:, index], axis=-1)
    return out


# --- positions ---


@quick
@given(seed=seeds, spread=st.floats(0.1, 3000))
def test_any_photo_is_exact(seed: int, spread: float) -> None:
    joints = random_photo(np.random.default_rng(seed), spread)
    made = animate(track_of(joints), np.zeros(1))
    assert missed_mm(made, joints).max() < EXACT_MM and made.max_error_mm < EXACT_MM
    assert animation_notes(made) == ["1 frame of 0.0333333 s"]


@quick
@given(seed=seeds, wildness=st.floats(0, 3))
def test_a_clip_with_one_skeleton_is_exact(seed: int, wildness: float) -> None:
    joints = moving(np.random.default_rng(seed), wildness=wildness)
    made = animate(track_of(joints), np.arange(20) / 25)
    assert missed_mm(made, joints).max() < EXACT_MM and made.max_error_mm < EXACT_MM
    assert made.frame_time_s == pytest.approx(1 / 25) and len(made) == 20 and len(animation_notes(made)) == 1


@quick
@given(seed=seeds)
def test_the_reader_of_liftwild_agrees(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    joints = moving(np.random.default_rng(seed))
    path = tmp_path_factory.mktemp("bvh") / "a.bvh"
    path.write_bytes(bvh_bytes(animate(track_of(joints), np.arange(20) / 25)))
    motion = read_bvh(path)
    places = motion.positions()
    at = [motion.names.index(name) for name in MPII_16.names]
    own = (places[:, at] - places[:, [motion.names.index("pelvis")]]) * (1000, -1000, -1000)
    np.testing.assert_allclose(own, joints, atol=EXACT_MM)
    # Its T-pose stands on y, faces z, and is understood: these poses can be put on rendered people.
    assert motion.axes.reference is None
    np.testing.assert_allclose(motion.axes.up, (0, 1, 0))
    np.testing.assert_allclose(motion.axes.facing, (0, 0, 1))
    parts = motion.parts.limbs
    assert motion.names[parts["left thigh"]] == "left_hip" and motion.names[parts["right hand"]] == "right_wrist"


@quick
@given(seed=seeds)
def test_human36m_joints_without_the_jaw(seed: int) -> None:
    joints = random_photo(np.random.default_rng(seed))
    track = track_in_skeleton(track_of(joints), H36M_17)
    missed = missed_mm(animate(track, np.zeros(1)), track.joints_3d, H36M_17)
    assert np.isnan(missed[0]).sum() == 1 and np.isnan(missed[0, H36M_17.index("jaw")])
    assert np.nanmax(missed) < EXACT_MM


def test_coco_has_no_pelvis_and_is_written_as_mpii() -> None:
    joints = moving(np.random.default_rng(1))
    joints[:, 6] = (joints[:, 2] + joints[:, 3]) / 2
    track = track_in_skeleton(track_of(joints), COCO_17)
    found, _ = joints_of_bvh(bvh_bytes(animate(track, np.arange(20) / 25)).decode())
    assert "pelvis" in found and "left_knee" in found and "nose" not in found and "head_top" not in found


def test_left_stays_left() -> None:
    assert np.linalg.det(Y_UP) == pytest.approx(1)
    made = animate(track_of(RAISED_RIGHT_HAND[None]), np.zeros(1))
    found, _ = joints_of_bvh(bvh_bytes(made).decode())
    place = {name: value[0] for name, value in found.items()}
    # Facing z with y up, the left side is at larger x; the raised hand is the right one, up and in front.
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
        assert place[f"left_{part}"][0] > place[f"right_{part}"][0]
    assert place["right_wrist"][1] > place["head_top"][1] > place["left_wrist"][1]
    assert place["right_wrist"][2] > place["pelvis"][2]
    # So it is in the T-pose.
    motion = bvh_bytes(made).decode().split("MOTION")[0]
    assert motion.count("OFFSET 0.000000 0.000000 0.000000") == 1  # the root: no bone without a length
    assert "JOINT left_hip\n\t{\n\t\tOFFSET 0.1" in motion and "JOINT right_hip\n\t{\n\t\tOFFSET -0.1" in motion


def test_a_person_at_one_point_and_one_all_hidden() -> None:
    point = np.zeros((2, 16, 3))
    assert missed_mm(animate(track_of(point), np.arange(2) / 25), point).max() < EXACT_MM
    hidden = track_of(np.full((2, 16, 3), np.nan))
    found, _ = joints_of_bvh(bvh_bytes(animate(hidden, np.arange(2) / 25)).decode())
    assert list(found) == ["pelvis"] and np.isfinite(found["pelvis"]).all()
    found, _ = joints_of_bvh(bvh_bytes(animate(hidden, np.arange(2) / 25, "mixamo")).decode())
    assert len(found) == 21 and all(np.isfinite(place).all() for place in found.values())  # in T-pose


# --- the rig of Mixamo ---


def test_mixamo_has_its_names_and_bones_that_keep_their_places() -> None:
    joints = moving(np.random.default_rng(3), wildness=0.2)
    joints[:, [2, 3, 12, 13]] = joints[0, [2, 3, 12, 13]]  # hips and shoulders stay: then the rest is near
    made = animate(track_of(joints), np.arange(20) / 25, "mixamo")
    text = bvh_bytes(made).decode()
    found, _ = joints_of_bvh(text)
    names = {name.removeprefix("mixamorig:") for name in found}
    assert {
        "Hips", "Spine", "Spine1", "Spine2", "Neck", "Head", "HeadTop_End", "LeftShoulder", "LeftArm", "LeftForeArm",
        "LeftHand", "RightUpLeg", "RightLeg", "RightFoot",
    } <= names and len(names) == len(found) == 21  # fmt: skip
    assert text.count("position") == 3 and text.count("OFFSET 0.000000 0.000000 0.000000") == 1  # the root's
    for name, joint in (("LeftHand", "left_wrist"), ("RightFoot", "right_ankle"), ("LeftForeArm", "left_elbow")):
        own = (found[f"mixamorig:{name}"] - found["mixamorig:Hips"]) * (1000, -1000, -1000)
        away = np.linalg.norm(own - joints[:, MPII_16.index(joint)], axis=1)
        assert away.max() < made.max_error_mm + EXACT_MM
    assert made.mean_error_mm < made.max_error_mm and "joints are" in animation_notes(made)[-1]


def test_rigify_has_the_names_of_the_metarig_and_mixamo_s_motion(tmp_path: Path) -> None:
    joints = moving(np.random.default_rng(3), wildness=0.2)
    recording = Recording("a.mp4", 640, 480, np.arange(20) / 25, (track_of(joints),), is_clip=True)
    made = [animate(recording.tracks[0], recording.times_s, rig) for rig in ("mixamo", "rigify")]
    names = [node.name for node in made[1].rig.nodes]
    assert len(set(names)) == 21 and {
        "spine", "spine.001", "spine.003", "spine.006", "shoulder.L", "upper_arm.L", "forearm.R", "hand.R", "thigh.L",
        "shin.L", "foot.R",
    } <= set(names)  # fmt: skip
    assert np.array_equal(made[0].rig.rotations, made[1].rig.rotations)
    (path, _) = write_formats(recording, tmp_path, "a", ["bvh"], rig="rigify")
    (track,) = read_recording(path).tracks  # by the names
    for joint in ("left_knee", "right_ankle", "left_wrist"):
        at = MPII_16.index(joint)
        away = np.linalg.norm((track.joints_3d - joints)[:, at], axis=1)
        assert away.max() < made[1].max_error_mm + EXACT_MM, joint
    write_formats(recording, tmp_path, "a", ["bvh"], rig="rigify")  # ours may be replaced
    assert is_ours(path)


@quick
@given(seed=seeds)
def test_mixamo_is_exact_for_a_body_that_is_built_like_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joints = moving(rng, 6, 0.4)
    # Hips across, a straight trunk, shoulders across: then nothing is lost, however the limbs are.
    trunk, hips = 500.0, 110.0
    places = {2: (-hips, 0, 0), 3: (hips, 0, 0), 7: (0, -trunk, 0), 12: (-170, -trunk, 0), 13: (170, -trunk, 0)}
    for joint, place in places.items():
        below = [child for child in range(16) if _hangs_from(child, joint, set(places) - {joint})]
        joints[:, below] += np.array(place) - joints[:, [joint]]
    made = animate(track_of(joints), np.arange(6) / 25, "mixamo")
    assert made.max_error_mm < EXACT_MM


def _hangs_from(joint: int, other: int, stops: set[int]) -> bool:
    return joint == other or (joint not in stops and joint >= 0 and _hangs_from(MPII_16.parents[joint], other, stops))


# --- where people are ---


def test_a_placed_person_moves_through_space() -> None:
    joints = moving(np.random.default_rng(2))
    root = np.linspace((-500, 300, 4000), (500, 310, 5000), 20)
    found, _ = joints_of_bvh(bvh_bytes(animate(track_of(joints, root_mm=root), np.arange(20) / 25)).decode())
    np.testing.assert_allclose(found["pelvis"], root * (1e-3, -1e-3, -1e-3), atol=1e-6)
    root[5:8] = np.nan  # no place was found: on the way between
    found, _ = joints_of_bvh(bvh_bytes(animate(track_of(joints, root_mm=root), np.arange(20) / 25)).decode())
    assert found["pelvis"][6, 2] == pytest.approx(-(4000 + 1000 * 6 / 19) / 1000, abs=1e-5)


def test_a_person_without_a_place_stands_on_the_floor() -> None:
    joints = moving(np.random.default_rng(3))
    found, _ = joints_of_bvh(bvh_bytes(animate(track_of(joints), np.arange(20) / 25)).decode())
    assert np.ptp(found["pelvis"], axis=0).max() == 0 and (found["pelvis"][:, [0, 2]] == 0).all()
    soles = {}
    for side in ("left", "right"):
        shin = np.linalg.norm(found[f"{side}_knee"] - found[f"{side}_ankle"], axis=1)
        soles[f"{side}_ankle"] = 0.18 * np.median(shin)
    lowest = np.min([place[:, 1] - soles.get(name, 0) for name, place in found.items()], axis=0)
    assert np.median(lowest) == pytest.approx(0, abs=1e-5)


# --- what was not seen ---


def test_a_file_goes_from_the_first_frame_of_the_person_to_the_last() -> None:
    joints = moving(np.random.default_rng(4), 20, 0.3)
    frames = np.array([3, 4, 5, 9, 10])
    root = np.array([[100.0 * frame, 0, 3000] for frame in frames])
    made = animate(track_of(joints[frames], frames, root), np.arange(20) / 25)
    found, _ = joints_of_bvh(bvh_bytes(made).decode())
    assert len(made) == 8 and len(found["pelvis"]) == 8 and made.start_s == pytest.approx(3 / 25)
    assert animation_notes(made)[1:] == [
        "begins with the clip's frame 3, at 0.120 s", "seen in the clip's frames 3-5, 9-10; interpolated in between",
    ]  # fmt: skip
    assert missed_mm(made, joints[3:11])[frames - 3].max() < EXACT_MM
    np.testing.assert_allclose(found["pelvis"][:, 0] * 10, np.arange(3, 11), atol=1e-5)
    steps = np.linalg.norm(np.diff(found["left_wrist"] - found["left_elbow"], axis=0)[2:6], axis=1)
    assert steps.min() > 0 or np.allclose(steps, 0)  # turned little by little, not at once
    assert steps.max() < 2 * steps.mean() + 1e-6


def test_a_joint_hidden_for_a_while_leaves_the_others_alone() -> None:
    joints = moving(np.random.default_rng(5), 20, 0.3)
    hidden = joints.copy()
    hidden[4:9, MPII_16.index("left_wrist")] = np.nan
    missed = missed_mm(animate(track_of(hidden), np.arange(20) / 25), joints)
    others = np.arange(16) != MPII_16.index("left_wrist")
    assert missed[:, others].max() < EXACT_MM and missed[[3, 9], 15].max() < EXACT_MM
    assert 0 < missed[4:9, 15].max() < 60  # where it will have been
    made = animate(track_of(hidden), np.arange(20) / 25)
    assert made.max_error_mm < EXACT_MM


def test_a_joint_never_seen_is_left_out() -> None:
    joints = moving(np.random.default_rng(6), 1)
    track = hide(hide(track_of(joints), "left_elbow"), "head_top")
    made = animate(track, np.zeros(1))
    missed = missed_mm(made, joints)[0]
    assert np.isnan(missed[[9, 14]]).all() and np.nanmax(missed) < EXACT_MM  # the wrist stays where it was
    assert b"left_elbow" not in bvh_bytes(made)


def test_the_pelvis_may_be_hidden() -> None:
    joints = moving(np.random.default_rng(7), 3)
    made = animate(hide(track_of(joints), "pelvis"), np.arange(3) / 25)
    assert missed_mm(made, joints).max() < EXACT_MM


def test_changing_bones_are_said() -> None:
    joints = moving(np.random.default_rng(8))
    joints[:, 15] = joints[:, 14] + (joints[:, 15] - joints[:, 14]) * np.linspace(0.8, 1.2, 20)[:, None]
    made = animate(track_of(joints), np.arange(20) / 25)
    missed = missed_mm(made, joints)
    assert missed[:, :15].max() < EXACT_MM and missed.max() > 20
    assert made.max_error_mm == pytest.approx(missed.max(), abs=EXACT_MM)
    assert f"at most {missed.max():.1f} mm" in animation_notes(made)[-1]
    bone = np.median(np.linalg.norm(joints[:, 15] - joints[:, 14], axis=-1)) / 1000
    assert f"JOINT left_wrist\n\t\t\t\t{{\n\t\t\t\t\tOFFSET {bone:.6f} " in bvh_bytes(made).decode()


# --- time ---


def test_uneven_frames_are_resampled() -> None:
    joints = moving(np.random.default_rng(9), 20, 0.2)
    times = np.concatenate([np.arange(10) / 25, 9 / 25 + np.arange(1, 11) / 10])
    made = animate(track_of(joints, root_mm=times[:, None] * (1000, 0, 0)), times)
    found, step = joints_of_bvh(bvh_bytes(made).decode())
    assert (
        made.is_resampled
        and "resampled" in animation_notes(made)[0]
        and step == pytest.approx(made.frame_time_s, abs=1e-8)
    )
    assert len(found["pelvis"]) == int(times[-1] / step) + 1
    # The root moved at a constant speed, and still does.
    np.testing.assert_allclose(found["pelvis"][:, 0], np.arange(len(found["pelvis"])) * step, atol=1e-5)


def test_rounded_times_are_even() -> None:
    times = np.round(np.arange(20) / 29.97, 3)
    made = animate(track_of(moving(np.random.default_rng(1))), times)
    assert not made.is_resampled and len(made) == 20 and made.frame_time_s == pytest.approx(1 / 29.97, rel=1e-3)


def test_stuck_clocks_do_no_harm() -> None:
    made = animate(track_of(moving(np.random.default_rng(1), 4)), np.zeros(4))
    assert made.frame_time_s == pytest.approx(1 / 30) and len(made) == 1


# --- files ---


def test_every_person_has_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    tracks = (
        replace(track_of(moving(rng, 5), np.arange(5)), person_id=2),
        replace(track_of(moving(rng, 3), np.array([6, 7, 9])), person_id=4),
    )
    clip = Recording("a.mp4", 640, 480, np.arange(10) / 25, tracks, is_clip=True)
    written = write_formats(clip, tmp_path, "a", ["bvh"])
    assert [path.name for path in written] == ["a.person2.bvh", "a.person4.bvh", "a.about.txt"]
    for path, count in zip(written, (5, 4), strict=False):
        assert len(joints_of_bvh(path.read_text())[0]["pelvis"]) == count
    text = written[2].read_text()
    assert "a.person4.bvh: begins with the clip's frame 6, at 0.240 s" in text and "unit m" in text
