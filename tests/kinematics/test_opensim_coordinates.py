"""Coordinates of OpenSim's models: a chain of bodies that is turned by them stands as the person does."""

from __future__ import annotations

import numpy as np
import pytest

from liftwild.kinematics.opensim_coordinates import HIPS_IN_PELVIS_M, opensim_coordinates
from liftwild.rotation import matrix_about
from liftwild.skeleton import MPII_16
from tests.support.angle_poses import posed
from tests.support.tracks import moving

X, Y, Z = range(3)


def turned(
    found: dict[str, np.ndarray], names: tuple[str, str, str], signs: tuple[int, int, int] = (1, 1, 1)
) -> np.ndarray:
    """The rotation (T, 3, 3) of a joint of OpenSim: about z, then x, then y of what it has turned."""
    z, x, y = (np.radians(sign * found[name]) for name, sign in zip(names, signs, strict=True))
    return matrix_about(Z, z) @ matrix_about(X, x) @ matrix_about(Y, y)


def test_a_chain_turned_by_the_coordinates_points_where_the_limbs_do() -> None:
    joints = moving(np.random.default_rng(1), 40, 0.45) / 1000 * (1, -1, -1)
    place = np.random.default_rng(2).normal(0, 1, (40, 3))
    found = opensim_coordinates(place, joints, np.arange(40) / 25)
    at = {name: joints[:, i] for i, name in enumerate(MPII_16.names)}

    def unit(first: str, last: str) -> np.ndarray:
        way = at[last] - at[first]
        return way / np.linalg.norm(way, axis=-1, keepdims=True)

    def along(rotation: np.ndarray, way: tuple[float, float, float]) -> np.ndarray:
        return rotation @ np.array(way, dtype=np.float64)

    pelvis = turned(found, ("pelvis_tilt", "pelvis_list", "pelvis_rotation"))
    torso = pelvis @ turned(found, ("lumbar_extension", "lumbar_bending", "lumbar_rotation"))
    np.testing.assert_allclose(along(pelvis, (0, 0, 1)), unit("left_hip", "right_hip"), atol=1e-9)
    middle = (at["left_hip"] + at["right_hip"]) / 2
    trunk = at["thorax"] - middle
    np.testing.assert_allclose(
        along(torso, (0, 1, 0)), trunk / np.linalg.norm(trunk, axis=-1, keepdims=True), atol=1e-9
    )
    origin = np.stack([found[f"pelvis_t{axis}"] for axis in "xyz"], axis=1)
    np.testing.assert_allclose(origin + pelvis @ HIPS_IN_PELVIS_M, place, atol=1e-9)
    for side, letter, signs in (("right", "r", (1, 1, 1)), ("left", "l", (1, -1, -1))):
        thigh = pelvis @ turned(
            found, tuple(f"hip_{name}_{letter}" for name in ("flexion", "adduction", "rotation")), signs
        )
        knee = np.radians(found[f"knee_angle_{letter}"])
        np.testing.assert_allclose(along(thigh, (0, -1, 0)), unit(f"{side}_hip", f"{side}_knee"), atol=1e-9)
        bent = np.degrees(knee) >= 20
        assert bent.any()
        shin = along(thigh @ matrix_about(Z, -knee), (0, -1, 0))
        np.testing.assert_allclose(shin[bent], unit(f"{side}_knee", f"{side}_ankle")[bent], atol=1e-9)
        arm = torso @ turned(found, tuple(f"arm_{name}_{letter}" for name in ("flex", "add", "rot")), signs)
        elbow = np.radians(found[f"elbow_flex_{letter}"])
        np.testing.assert_allclose(along(arm, (0, -1, 0)), unit(f"{side}_shoulder", f"{side}_elbow"), atol=1e-9)
        bent = np.degrees(elbow) >= 20
        assert bent.any()
        forearm = along(arm @ matrix_about(Z, elbow), (0, -1, 0))
        np.testing.assert_allclose(forearm[bent], unit(f"{side}_elbow", f"{side}_wrist")[bent], atol=1e-9)


def test_coordinates_of_a_person_who_sits_and_faces_the_camera() -> None:
    bends = {f"{side}_{name}_flexion": 90 for side in ("left", "right") for name in ("hip", "knee")}
    joints = posed(**bends, left_elbow_flexion=60, right_shoulder_abduction=30)[None]
    found = {
        name: float(values[0]) for name, values in opensim_coordinates(np.zeros((1, 3)), joints, np.zeros(1)).items()
    }
    still = dict.fromkeys(found, 0.0)
    moved = {
        "pelvis_rotation": -90, "hip_flexion_r": 90, "hip_flexion_l": 90, "knee_angle_r": 90, "knee_angle_l": 90,
        "elbow_flex_l": 60, "arm_add_r": -30, "pelvis_tx": 0, "pelvis_ty": 0.0785, "pelvis_tz": 0.0563,
    }  # fmt: skip
    assert found == pytest.approx(still | moved, abs=1e-6)


def test_what_is_not_known_is_interpolated_held_or_left_out() -> None:
    joints = np.stack([posed(left_knee_flexion=bend, head_flexion=5) for bend in (30, 40, 50, 60, 70)])
    at = MPII_16.index
    joints[[0, 2], at("left_ankle")] = np.nan
    joints[:, at("right_wrist")] = np.nan
    place = np.zeros((5, 3))
    place[4] = np.nan
    found = opensim_coordinates(place, joints, np.array([0.0, 1, 2, 3, 4]))
    np.testing.assert_allclose(found["knee_angle_l"], [40, 40, 50, 60, 70], atol=1e-9)
    assert "elbow_flex_r" not in found and "elbow_flex_l" in found
    assert np.isfinite(np.stack(list(found.values()))).all()
    assert not found["arm_rot_r"].any()
