"""The rig: every bone turns as little as it can, and without leaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from liftwild.kinematics.animation import animate
from liftwild.kinematics.rig import MAX_TWIST, solve
from liftwild.rotation import quaternion_inverse, quaternion_multiply, quaternion_rotate
from liftwild.skeleton import MPII_16
from tests.support.poses import RAISED_RIGHT_HAND
from tests.support.strategies import quick, seeds
from tests.support.tracks import moving, track_of


def test_the_twist_is_the_least_and_the_same_for_every_frame() -> None:
    joints = moving(np.random.default_rng(10), 20, 0.2)
    alone = [solve(joints[[i]] * (1e-3, -1e-3, -1e-3), MPII_16, np.zeros(1)).rotations[0] for i in (0, 19)]
    together = solve(joints * (1e-3, -1e-3, -1e-3), MPII_16, np.arange(20)).rotations
    for i, own in zip((0, 19), alone, strict=True):
        np.testing.assert_allclose(np.abs((own * together[i]).sum(axis=-1)), 1, atol=1e-9)


@quick
@given(seed=seeds)
def test_pelvis_and_chest_turn_with_the_body(seed: int) -> None:
    # Hips, spine, shoulders and neck as in the T-pose, turned: so turn pelvis and thorax, and nothing moves.
    rng = np.random.default_rng(seed)
    q = rng.normal(size=4)
    q /= np.linalg.norm(q)
    joints = moving(rng, 1)
    for joint, place in {2: (-110, 0, 0), 3: (110, 0, 0), 7: (0, 480, 0), 8: (0, 560, 0), 12: (-170, 480, 0),
                         13: (170, 480, 0)}.items():  # fmt: skip
        joints[0, joint] = quaternion_rotate(q, np.array(place)) * (1, -1, -1)
    rig = solve(joints * (1e-3, -1e-3, -1e-3), MPII_16, np.zeros(1))
    for node, rotation, place in zip(rig.nodes, rig.rotations[0], rig.places[0], strict=True):
        expected = q if node.name == "pelvis" else (1, 0, 0, 0)
        if node.name in ("pelvis", "thorax"):
            assert abs(rotation @ expected) == pytest.approx(1, abs=1e-9), node.name
        np.testing.assert_allclose(place, node.offset, atol=1e-9)


def test_no_leaps_where_the_least_twist_has_one() -> None:
    # An arm that passes next to the direction opposite to that of the T-pose: its least twist turns over at once.
    joints = np.tile(RAISED_RIGHT_HAND, (81, 1, 1))
    angle = np.linspace(-1, 1, 81)[:, None]
    way = np.concatenate([-np.cos(angle), np.sin(angle), np.full_like(angle, 0.02)], axis=1)
    joints[:, 14] = joints[:, 13] + 280 * way / np.linalg.norm(way, axis=1, keepdims=True)
    joints[:, 15] = joints[:, 14] + (0, 250, 0)
    rig = solve(joints * (1e-3, -1e-3, -1e-3), MPII_16, np.arange(81))
    at = [node.name for node in rig.nodes].index("left_shoulder")
    own = rig.rotations[:, at]
    between = quaternion_multiply(quaternion_inverse(own[:-1]), own[1:])
    steps = np.degrees(2 * np.arctan2(np.linalg.norm(between[:, 1:], axis=1), np.abs(between[:, 0])))
    swings = np.degrees(np.arccos(np.clip((way[1:] * way[:-1]).sum(1) / 1.0004, -1, 1)))
    assert steps.max() < np.degrees(MAX_TWIST) + swings.max() + 1
    assert animate(track_of(joints), np.arange(81) / 25).max_error_mm < 0.01
