"""The rig of ``mixamo`` with the bone names of Rigify's metarig in Blender."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from liftwild.kinematics.mixamo import PREFIX, solve_mixamo
from liftwild.kinematics.rig import Rig

ROOT = "spine"
# Of the metarig's two bones of the neck (.004, .005) the second has no joint here.
NAMES = {
    "Hips": ROOT, "Spine": "spine.001", "Spine1": "spine.002", "Spine2": "spine.003", "Neck": "spine.004",
    "Head": "spine.006", "HeadTop_End": "head_top",
} | {
    f"{side}{own}": f"{name}.{side[0]}"
    for side in ("Left", "Right")
    for own, name in (
        ("Shoulder", "shoulder"), ("Arm", "upper_arm"), ("ForeArm", "forearm"), ("Hand", "hand"), ("UpLeg", "thigh"),
        ("Leg", "shin"), ("Foot", "foot"),
    )
}  # fmt: skip


def solve_rigify(joints: np.ndarray, times: np.ndarray) -> Rig:
    """As ``solve_mixamo``, with other names."""
    rig = solve_mixamo(joints, times)
    nodes = tuple(replace(node, name=NAMES[node.name.removeprefix(PREFIX)]) for node in rig.nodes)
    return replace(rig, nodes=nodes)
