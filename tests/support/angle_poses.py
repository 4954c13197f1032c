"""People bent to given joint angles, by rotations alone: independent of how angles are measured."""

from __future__ import annotations

import numpy as np

from liftwild.rotation import matrix_about
from liftwild.skeleton import MPII_16

X, Y, Z = range(3)  # of a person who faces the camera: to their left, up, forward


def turn(axis: int, degrees: float) -> np.ndarray:
    """A right-handed turn (3, 3)."""
    return matrix_about(axis, np.radians(np.float64(degrees)))


def posed(**bends: float) -> np.ndarray:
    """Joints (16, 3) in m, x right, y up, z toward the camera, of a person who faces it, standing straight with hanging
    arms but for ``bends`` in degrees, by the names of the angles."""

    def bend(name: str) -> float:
        return bends.get(name, 0.0)

    at: dict[str, np.ndarray] = {"pelvis": np.zeros(3)}
    heading = turn(Y, bend("pelvis_rotation"))
    pelvis = heading @ turn(Z, bend("pelvis_list"))  # the right, at -x, goes down
    trunk = heading @ turn(X, bend("trunk_flexion")) @ turn(Z, bend("trunk_bending"))
    thorax = trunk @ turn(Y, bend("trunk_twist"))
    head = thorax @ turn(X, bend("head_flexion")) @ turn(Z, bend("head_bending"))
    at["thorax"] = trunk @ (0, 0.48, 0)
    at["upper_neck"] = at["thorax"] + trunk @ (0, 0.08, 0)
    at["head_top"] = at["upper_neck"] + head @ (0, 0.24, 0)
    # What carries the thighs: along the trunk, square to the hips.
    carries = heading @ turn(X, bend("trunk_flexion") if not bend("pelvis_list") else 0.0)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        at[f"{side}_hip"] = pelvis @ (sign * 0.13, 0, 0)
        thigh = carries @ turn(X, -_below(bends, side)) @ turn(Z, -sign * bend(f"{side}_hip_adduction"))
        shin = thigh @ turn(X, bend(f"{side}_knee_flexion"))
        at[f"{side}_knee"] = at[f"{side}_hip"] + thigh @ (0, -0.45, 0)
        at[f"{side}_ankle"] = at[f"{side}_knee"] + shin @ (0, -0.45, 0)
        at[f"{side}_shoulder"] = at["thorax"] + thorax @ (sign * 0.18, 0, 0)
        arm = thorax @ turn(X, -bend(f"{side}_shoulder_flexion")) @ turn(Z, sign * bend(f"{side}_shoulder_abduction"))
        forearm = arm @ turn(X, -bend(f"{side}_elbow_flexion"))
        at[f"{side}_elbow"] = at[f"{side}_shoulder"] + arm @ (0, -0.28, 0)
        at[f"{side}_wrist"] = at[f"{side}_elbow"] + forearm @ (0, -0.25, 0)
    return np.stack([at[name] for name in MPII_16.names])


def _below(bends: dict[str, float], side: str) -> float:
    """How far a thigh is bent from the trunk: a leg stays where it is when the trunk bends."""
    return bends.get(f"{side}_hip_flexion", bends.get("trunk_flexion", 0.0))
