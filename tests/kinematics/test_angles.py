"""Joint angles: poses whose angles are known, and what may not change them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwild.errors import LiftwildError
from liftwild.joint_mapping import in_skeleton
from liftwild.kinematics.angles import (
    ANGLE_NAMES,
    JointAngles,
    angle_index,
    angles_of,
    angles_of_joints,
    joints_of_angle,
)
from liftwild.kinematics.upright import Y_UP
from liftwild.pose import Recording
from liftwild.rotation import matrix_about
from liftwild.skeleton import MPII_16, SKELETONS
from tests.support.angle_poses import posed
from tests.support.recordings import random_recording
from tests.support.tracks import moving, random_photo, track_of

TURNED = angle_index("pelvis_rotation")


def of(**bends: float) -> dict[str, float]:
    """Angles of a posed person, by name."""
    return dict(zip(ANGLE_NAMES, angles_of_joints(posed(**bends)[None])[0].tolist(), strict=True))


def recording_of(joints_up: np.ndarray, **changes: object) -> Recording:
    """A clip of joints (T, 16, 3) in m, y up."""
    track = track_of(joints_up * 1000 @ Y_UP)
    return Recording("a.mp4", 640, 480, np.arange(len(joints_up)) / 25, (replace(track, **changes),), is_clip=True)


def test_a_person_who_stands_has_zero_angles() -> None:
    assert of() == pytest.approx(dict.fromkeys(ANGLE_NAMES, 0.0), abs=1e-6)


@pytest.mark.parametrize(
    ("bends", "expected"),
    [
        ({"left_hip_flexion": 90, "right_hip_flexion": 90, "left_knee_flexion": 90, "right_knee_flexion": 90},
         {"left_hip_flexion": 90, "right_hip_flexion": 90, "left_knee_flexion": 90, "right_knee_flexion": 90}),
        ({"left_hip_flexion": -20, "right_hip_flexion": 30}, {"left_hip_flexion": -20, "right_hip_flexion": 30}),
        ({"left_hip_adduction": -25, "right_hip_adduction": 9}, {"left_hip_adduction": -25, "right_hip_adduction": 9}),
        ({"left_shoulder_abduction": 90, "right_shoulder_abduction": 90},  # T-pose
         {"left_shoulder_abduction": 90, "right_shoulder_abduction": 90, "left_shoulder_elevation": 90,
          "right_shoulder_elevation": 90, "left_shoulder_flexion": np.nan, "right_shoulder_flexion": np.nan}),
        ({"right_shoulder_flexion": 90}, {"right_shoulder_flexion": 90, "right_shoulder_elevation": 90,
                                          "right_shoulder_abduction": np.nan}),
        ({"left_shoulder_flexion": 180}, {"left_shoulder_flexion": 180, "left_shoulder_abduction": 180,
                                          "left_shoulder_elevation": 180}),
        ({"left_shoulder_abduction": 200}, {"left_shoulder_abduction": 200, "left_shoulder_elevation": 160,
                                            "left_shoulder_flexion": 180}),
        ({"right_shoulder_flexion": -40}, {"right_shoulder_flexion": -40, "right_shoulder_elevation": 40}),
        ({"left_elbow_flexion": 120}, {"left_elbow_flexion": 120}),
        ({"trunk_flexion": 100}, {"trunk_flexion": 100, "left_hip_flexion": 100, "right_hip_flexion": 100}),
        ({"trunk_flexion": -90}, {"trunk_flexion": -90, "left_hip_flexion": -90, "right_hip_flexion": -90}),
        ({"trunk_bending": 20}, {"trunk_bending": 20}),
        ({"trunk_twist": 35}, {"trunk_twist": 35}),
        ({"pelvis_rotation": 60}, {"pelvis_rotation": 60}),
        # As when the right leg is lifted.
        ({"pelvis_list": 10}, {"pelvis_list": 10, "left_hip_adduction": 10, "right_hip_adduction": -10}),
        ({"head_flexion": 30}, {"head_flexion": 30}),
        ({"head_bending": -15}, {"head_bending": -15}),
    ],
)  # fmt: skip
def test_poses_have_the_angles_that_they_were_bent_to(bends: dict[str, float], expected: dict[str, float]) -> None:
    assert of(**bends) == pytest.approx(dict.fromkeys(ANGLE_NAMES, 0.0) | expected, abs=1e-6, nan_ok=True)


def test_angles_above_each_other_are_each_measured_from_what_carries_them() -> None:
    found = of(pelvis_rotation=-70, trunk_flexion=40, trunk_twist=25, left_shoulder_flexion=80, right_knee_flexion=55)
    for name, degrees in (("trunk_flexion", 40), ("left_shoulder_flexion", 80), ("right_knee_flexion", 55)):
        assert found[name] == pytest.approx(degrees, abs=1e-6), name
    assert found["trunk_twist"] == pytest.approx(25, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(-180, 180))
def test_turning_and_moving_a_person_changes_nothing_but_where_they_face(seed: int, degrees: float) -> None:
    rng = np.random.default_rng(seed)
    joints = random_photo(rng, 0.3)
    before = angles_of_joints(joints)
    after = angles_of_joints(
        (joints * rng.uniform(0.5, 2) + rng.normal(0, 3, 3)) @ matrix_about(1, np.radians(degrees)).T
    )
    turned = (after[:, TURNED] - before[:, TURNED] - degrees + 180) % 360 - 180
    before[:, TURNED] = after[:, TURNED] = 0
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert np.isnan(turned).all() or np.abs(turned).max() < 1e-5


@given(st.integers(0, 2**32 - 1))
def test_a_mirror_exchanges_the_sides_and_keeps_the_signs_of_limbs(seed: int) -> None:
    joints = random_photo(np.random.default_rng(seed), 0.3)
    mirrored = joints[:, list(MPII_16.flip_index)] * (-1, 1, 1)
    before, after = (dict(zip(ANGLE_NAMES, angles_of_joints(each)[0], strict=True)) for each in (joints, mirrored))
    for name in ANGLE_NAMES:
        side, _, rest = name.partition("_")
        other = f"{ {'left': 'right', 'right': 'left'}.get(side, side) }_{rest}"
        sign = -1 if name in ("pelvis_list", "pelvis_rotation", "trunk_bending", "trunk_twist", "head_bending") else 1
        off = (after[other] - sign * before[name] + 180) % 360 - 180
        assert np.isnan(after[other]) == np.isnan(before[name]), name
        assert np.isnan(off) or abs(off) < 1e-5, name


def test_a_lying_person_keeps_the_angles_of_limbs() -> None:
    joints = posed(left_hip_flexion=50, right_knee_flexion=70, left_shoulder_abduction=45)
    on_the_side = angles_of_joints((joints @ matrix_about(2, np.radians(90)).T)[None])[0]
    for name, degrees in (("left_hip_flexion", 50), ("right_knee_flexion", 70), ("left_shoulder_abduction", 45)):
        assert on_the_side[angle_index(name)] == pytest.approx(degrees, abs=1e-6)
    assert np.isnan(on_the_side[TURNED]) and np.isnan(on_the_side[angle_index("trunk_flexion")])


@pytest.mark.parametrize("name", ANGLE_NAMES)
@pytest.mark.parametrize("change", ["hidden", "unsure", "outside"])
def test_an_angle_is_unknown_exactly_where_one_of_its_joints_is(name: str, change: str) -> None:
    joints = moving(np.random.default_rng(3), 4, 0.1) / 1000 @ Y_UP
    everything = angles_of(recording_of(joints))[0]
    for joint in MPII_16.names:
        at = MPII_16.index(joint)
        whole = recording_of(joints).tracks[0]
        confidence, places = whole.confidence.copy(), whole.joints_3d.copy()
        inside = np.ones_like(confidence)
        if change == "hidden":
            places[2, at] = np.nan
        elif change == "unsure":
            confidence[2, at] = 0.45
        else:
            inside[2, at] = 0.4
        found = angles_of(recording_of(joints, confidence=confidence, joints_3d=places, inside=inside))[0]
        known = np.isfinite(everything[name])
        known[2] &= joint not in joints_of_angle(name)
        np.testing.assert_array_equal(np.isfinite(found[name]), known, err_msg=joint)


def test_recordings() -> None:
    joints = np.stack([posed(left_knee_flexion=bend, pelvis_rotation=3.6 * bend) for bend in range(0, 110, 10)])
    recording = recording_of(joints)
    (found,) = recording.angles()
    assert isinstance(found, JointAngles) and found.person_id == 0 and len(found) == 11
    np.testing.assert_allclose(found["left_knee_flexion"], np.arange(0, 110, 10), atol=1e-6)
    np.testing.assert_allclose(found["pelvis_rotation"], 3.6 * np.arange(0, 110, 10), atol=1e-6)  # all the way round
    np.testing.assert_allclose(found.times_s, np.arange(11) / 25)
    assert repr(found) == "<JointAngles: person 0, 11 frames, 100 % known>"
    with pytest.raises(LiftwildError, match="no angle 'ankle'; there are pelvis_list, "):
        found["ankle"]
    with pytest.raises(LiftwildError, match=r"between 0 and 1, not at 1\.5"):
        recording.angles(1.5)


@pytest.mark.parametrize("seed", range(40))
def test_any_recording_has_angles(seed: int, tmp_path: Path) -> None:
    recording = random_recording(seed)
    found = recording.angles(0.2)
    assert [len(each) for each in found] == [len(track) for track in recording.tracks]
    for each, track in zip(found, recording.tracks, strict=True):
        np.testing.assert_array_equal(each.frames, track.frames)
        assert set(each.ranges()) == set(ANGLE_NAMES) and len(each.symmetry()) == 7
        each.save(tmp_path / "a.csv")
    if any(map(len, recording.tracks)) and recording.tracks[0].skeleton == MPII_16:
        for path in recording.save(tmp_path / "a.mot"):
            assert "nan" not in path.read_text()


def test_other_joint_sets_give_what_they_can() -> None:
    recording = recording_of(np.stack([posed(left_knee_flexion=50, trunk_flexion=20)] * 2))
    (whole,), (coco,) = recording.angles(), in_skeleton(recording, SKELETONS["coco17"]).angles()
    heads = [name.startswith("head") for name in ANGLE_NAMES]
    assert np.isnan(coco.degrees[:, heads]).all()
    np.testing.assert_allclose(coco.degrees[:, ~np.array(heads)], whole.degrees[:, ~np.array(heads)], atol=1e-9)
