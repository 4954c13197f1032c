"""Poses as coordinates of OpenSim's models, degrees and metres: names, axes, order and signs of Rajagopal et al. 2016.

"Full-body musculoskeletal model for muscle-driven simulation of human gait", IEEE Trans. Biomed. Eng. 63(10). A body's
x points forward, y up, z to the right; three coordinates of a joint turn about z, then x, then y. gait2392 has the same
names, no arms, and counts ``knee_angle`` the other way round.
"""

from __future__ import annotations

import numpy as np

from liftwild.kinematics.angles import body_frames, unit_directions
from liftwild.rotation import quaternion_from_matrix, quaternion_to_euler_zxy_deg
from liftwild.skeleton import MPII_16

# The middle of the hips in the pelvis of the unscaled model, m.
HIPS_IN_PELVIS_M = np.array([-0.0563, -0.0785, 0.0])
MIN_BEND_DEG = 20.0  # a limb that is straighter does not tell how it is turned about itself
PLACES = ("pelvis_tx", "pelvis_ty", "pelvis_tz")
TURNS = (
    "pelvis_tilt", "pelvis_list", "pelvis_rotation", "lumbar_extension", "lumbar_bending", "lumbar_rotation",
    *(f"{name}_{side}" for side in "rl" for name in (
        "hip_flexion", "hip_adduction", "hip_rotation", "knee_angle", "arm_flex", "arm_add", "arm_rot", "elbow_flex")),
)  # fmt: skip


def opensim_coordinates(pelvis: np.ndarray, joints: np.ndarray, times_s: np.ndarray) -> dict[str, np.ndarray]:
    """Coordinates by name (T,): those of ``TURNS`` in degrees, ``PLACES`` in m.

    ``pelvis`` (T, 3), MPII-16 ``joints`` (T, 16, 3) relative to it: m, x right, y up, z toward the camera, NaN where
    not known; ``times_s`` (T,). Where one is not known it goes straight from before to after, or is held; one that is
    never known is left out, but for turns of limbs about themselves, which are 0 then.

    The pelvis is as tilted as the trunk, which 16 joints do not tell apart. ``hip_rotation`` and ``arm_rot`` point shin
    and forearm where they were seen: they are no measurements.
    """
    at = {name: joints[:, i] for i, name in enumerate(MPII_16.names)}
    frames = body_frames(joints)
    out = dict(zip(TURNS[:3], _turns(np.swapaxes(frames.pelvis, 1, 2)), strict=True))
    for name, place in zip(PLACES, (pelvis - _outward(frames.pelvis, HIPS_IN_PELVIS_M)).T, strict=True):
        out[name] = place
    out |= zip(TURNS[3:6], _turns(_relative(frames.pelvis, frames.thorax)), strict=True)
    for side, letter, sign in (("right", "r", 1.0), ("left", "l", -1.0)):
        thigh, shin = at[f"{side}_knee"] - at[f"{side}_hip"], at[f"{side}_ankle"] - at[f"{side}_knee"]
        arm, forearm = at[f"{side}_elbow"] - at[f"{side}_shoulder"], at[f"{side}_wrist"] - at[f"{side}_elbow"]
        for names, carrier, upper, lower, hinge in (
            (("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle"), frames.pelvis, thigh, shin, -1.0),
            (("arm_flex", "arm_add", "arm_rot", "elbow_flex"), frames.thorax, arm, forearm, 1.0),
        ):
            values = _limb(carrier, upper, lower, hinge)
            for name, value, mirrored in zip(names, values, (1.0, sign, sign, 1.0), strict=True):
                out[f"{name}_{letter}"] = mirrored * value
    return {name: filled for name, values in out.items() if (filled := _filled(name, values, times_s)) is not None}


def _limb(carrier: np.ndarray, upper: np.ndarray, lower: np.ndarray, hinge: float) -> tuple[np.ndarray, ...]:
    """Flexion, adduction, rotation, bend (T,) of a limb of the right side on its ``carrier`` (T, 3, 3), degrees.

    ``hinge``: 1 if it bends forward, -1 backward, as a knee.
    """
    along, beyond = unit_directions(upper), unit_directions(lower)
    bend = np.degrees(2 * np.arctan2(np.linalg.norm(beyond - along, axis=-1), np.linalg.norm(beyond + along, axis=-1)))
    direction = np.einsum("tij,tj->ti", carrier, along)
    flexion = np.degrees(np.unwrap(np.nan_to_num(np.arctan2(direction[:, 0], -direction[:, 1]))))
    flexion = np.where(np.isfinite(direction[:, 0]), flexion, np.nan)
    adduction = np.degrees(np.arcsin(np.clip(-direction[:, 2], -1, 1)))
    axis = hinge * np.cross(along, beyond)
    axis = axis / np.where(bend >= MIN_BEND_DEG, np.linalg.norm(axis, axis=-1), np.nan)[:, None]
    own = np.stack([np.cross(-along, axis), -along, axis], axis=1)
    # Turned about itself: from where flexion and adduction alone leave its axis.
    z, x = np.radians(flexion), np.radians(adduction)
    still = np.stack([np.sin(x) * np.sin(z), -np.sin(x) * np.cos(z), np.cos(x)], axis=-1)
    local = np.einsum("tij,tkj->tki", carrier, own)  # its axes, in those of the carrier
    rotation = np.degrees(
        np.arctan2((np.cross(still, local[:, 2]) * local[:, 1]).sum(-1), (still * local[:, 2]).sum(-1))
    )
    return flexion, adduction, rotation, bend


def _relative(carrier: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) from axes to axes (T, 3 axes, 3)."""
    return np.einsum("tij,tkj->tik", carrier, carried)


def _outward(frame: np.ndarray, point: np.ndarray) -> np.ndarray:
    """A ``point`` (3,) of a body, in the room's axes (T, 3)."""
    return np.einsum("tij,i->tj", frame, point)


def _turns(rotations: np.ndarray) -> np.ndarray:
    """Angles about z, x, y (3, T), degrees, without leaps; NaN where the rotation is."""
    known = np.isfinite(rotations).all(axis=(1, 2))
    out = np.full((3, len(rotations)), np.nan)
    if known.any():
        out[:, known] = quaternion_to_euler_zxy_deg(quaternion_from_matrix(rotations[known])[:, None])[:, 0].T
    return out


def _filled(name: str, values: np.ndarray, times_s: np.ndarray) -> np.ndarray | None:
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values)) if name.rpartition("_")[0] in ("hip_rotation", "arm_rot") else None
    return np.interp(times_s, times_s[known], values[known])
