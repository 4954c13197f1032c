"""The floor of a clip, found from the feet of those who walk on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.pipeline.options import PoseOptions
from liftwild.pipeline.postprocess import postprocess_clip
from liftwild.placement.body_height import standing_height_mm
from liftwild.placement.floor import Levelled, floor_fault, level
from liftwild.placement.root_translation import located
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MPII_16, PELVIS
from tests.support.placed_clips import CAMERA, ROOTS, poses, recording
from tests.support.poses import STANDING

A = MPII_16.index
SOLE_MM = 0.045 * float(standing_height_mm(STANDING))


@lru_cache
def walk(path: Callable[[float], tuple[float, float]], speed: float = 1200.0, fps: float = 25.0) -> np.ndarray:
    """Joints (T, 16, 3) mm of somebody who walks along ``path`` (mm along it -> x, z): y down, the floor at 0."""
    step_s, joints = 0.55, []

    def at(along: float) -> tuple[np.ndarray, np.ndarray]:
        here, next_ = np.array(path(along)), np.array(path(along + 10))
        ahead = (next_ - here) / np.linalg.norm(next_ - here)
        return here, ahead

    for frame in range(int(8 * fps)):
        time = frame / fps
        here, ahead = at(speed * time)
        right = np.array([ahead[1], -ahead[0]])  # seen from above, x right and z away
        across = np.array([right[0], 0, right[1]])
        facing = np.array([-ahead[0], 0, -ahead[1]])
        body = STANDING @ np.array([across * -1, [0, 1, 0], facing]) * [1, 1, 1]
        body = body + np.array([here[0], -850 - SOLE_MM, here[1]])
        for name, side, phase in (("right_ankle", 1, 0.0), ("left_ankle", -1, 0.5)):
            turn = time / (2 * step_s) + phase
            number, part = math.floor(turn), turn % 1
            feet = []
            for k in (number, number + 1):
                there, along = at(speed * (k - phase + 0.3) * 2 * step_s)
                feet.append(there + side * 100 * np.array([along[1], -along[0]]))
            swing = max(0.0, (part - 0.6) / 0.4)
            x, z = feet[0] * (1 - swing) + feet[1] * swing
            body[A(name)] = [x, -SOLE_MM - 120 * math.sin(math.pi * swing), z]
        joints.append(body)
    return np.array(joints)


def filmed(
    joints: np.ndarray, pitch: float, roll: float, height: float, noise: float = 0.0, seed: int = 0
) -> tuple[Recording, np.ndarray]:
    """The recording of a camera ``height`` mm above the floor, turned by so many degrees, and its turn (3, 3)."""
    a, b = math.radians(pitch), math.radians(roll)
    nod = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    turn = np.array([[math.cos(b), -math.sin(b), 0], [math.sin(b), math.cos(b), 0], [0, 0, 1]]) @ nod
    seen = (joints + np.array([0, height, 0])) @ turn.T
    rng = np.random.default_rng(seed)
    root = seen[:, PELVIS] + rng.normal(0, 1, (len(seen), 3)) * [0.2 * noise, 0.2 * noise, noise]
    pose = seen - seen[:, PELVIS : PELVIS + 1]
    pose = pose + rng.normal(0, 1, pose.shape) * [0.3 * noise, 0.3 * noise, noise] * (np.arange(16) != PELVIS)[:, None]
    return recording(pose, root, np.arange(len(seen)) / 25), turn


def circle(along: float) -> tuple[float, float]:
    return 1000 * math.cos(along / 1000), 5000 + 1000 * math.sin(along / 1000)


def away(clip: Levelled, turn: np.ndarray) -> float:
    """Degrees between the found and the true way down."""
    return math.degrees(math.acos(min(1.0, float(clip.turn[1] @ turn[:, 1]))))


def absolute(clip: Recording) -> np.ndarray:
    (track,) = clip.tracks
    assert track.root_mm is not None
    return track.joints_3d + track.root_mm[:, None]


@settings(max_examples=12, deadline=None)
@given(
    pitch=st.floats(-30, 50), roll=st.floats(-30, 30), height=st.floats(300, 3000), noise=st.sampled_from([0.0, 40.0])
)
def test_a_tilted_camera_comes_back(pitch: float, roll: float, height: float, noise: float) -> None:
    clip, turn = filmed(walk(circle), pitch, roll, height, noise)
    found = level(clip)
    assert away(found, turn) < (0.3 if noise == 0 else 2.5)
    assert abs(found.camera_height_mm - height) < (10 if noise == 0 else 150)
    assert "levelled on the floor that the feet stand on" in found.steps[-1]
    # A proper rotation, and it says how camera space became the room.
    np.testing.assert_allclose(found.turn @ found.turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(found.turn) == pytest.approx(1)
    np.testing.assert_allclose(
        absolute(found), absolute(clip) @ found.turn.T - [0, found.camera_height_mm, 0], atol=1e-6
    )
    assert (found.tracks[0].joints_3d[:, PELVIS] == 0).all()
    if noise == 0:  # ankles at rest are as far above the floor as ankles are
        lowest = absolute(found)[:, [A("left_ankle"), A("right_ankle"), A("head_top")], 1]
        np.testing.assert_allclose(lowest.max(), -SOLE_MM, atol=15)
        # z points away from the camera horizontally: where the camera looks has no x.
        assert abs((found.turn @ [0, 0, 1.0])[0]) < 1e-9


@pytest.mark.parametrize("path", [lambda s: (s / 2 - 2000, 5000.0), lambda s: (0.0, 8000 - s / 2)])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (25, 0), (0, 12), (-15, -8)])
def test_on_a_line_balance_says_the_rest(
    path: Callable[[float], tuple[float, float]], pitch: float, roll: float
) -> None:
    clip, turn = filmed(walk(path), pitch, roll, 1500, 40.0)
    found = level(clip)
    assert "along the line" in found.steps[-1] and "balance" in found.steps[-1]
    assert away(found, turn) < 5


def test_someone_who_stands_still_levels_nothing() -> None:
    clip, turn = filmed(np.tile(STANDING + np.array([0, -850 - SOLE_MM, 4000]), (100, 1, 1)), 10, 5, 1500, 30.0)
    found = level(clip)
    assert np.array_equal(found.turn, np.eye(3)) and "not levelled, camera axes kept" in found.steps[-1]
    feet = absolute(found)[:, [0, 5], 1]
    assert abs(np.median(feet.max(axis=1)) + SOLE_MM) < 60  # still on y = 0


def test_feet_off_the_floor_do_not_count() -> None:
    joints = walk(circle).copy()
    joints[60:110, A("left_ankle")] = joints[60, A("left_ankle")] + [0, -500, 0]  # held up for two seconds
    clip, turn = filmed(joints, 20, 5, 1500, 20.0)
    found = level(clip)
    assert away(found, turn) < 2 and abs(found.camera_height_mm - 1500) < 80


def test_two_people_share_a_floor() -> None:
    first, turn = filmed(walk(circle), 20, 0, 1500)
    second, _ = filmed(walk(lambda s: (s / 2 - 1000, 7000.0)), 20, 0, 1500)
    both = replace(first, tracks=(first.tracks[0], replace(second.tracks[0], person_id=1)))
    found = level(both)
    assert away(found, turn) < 0.3 and len(found.tracks) == 2


def test_lost_frames_and_hidden_joints() -> None:
    clip, turn = filmed(walk(circle), 20, 5, 1500, 20.0)
    (track,) = clip.tracks
    assert track.root_mm is not None
    root, pose = track.root_mm.copy(), track.joints_3d.copy()
    root[10:20], pose[30:50, A("left_ankle")] = np.nan, np.nan
    found = level(replace(clip, tracks=(replace(track, root_mm=root, joints_3d=pose),)))
    assert away(found, turn) < 2 and np.isnan(found.tracks[0].root_mm[10:20]).all()
    pose[:, A("head_top")] = np.nan  # nobody's height is known, nor their balance
    found = level(replace(clip, tracks=(replace(track, joints_3d=pose),)))
    assert away(found, turn) < 2 and abs(found.camera_height_mm + SOLE_MM - 1500) < 60
    pose[:] = np.nan
    assert level(replace(clip, tracks=(replace(track, joints_3d=pose),))).camera_height_mm == 0


def test_what_cannot_be_levelled() -> None:
    photo = located(
        replace(recording(poses(1), None, np.zeros(1), CAMERA.project(poses(1) + ROOTS[:1, None])), is_clip=False),
        CAMERA, "given",
    )  # fmt: skip
    found = level(photo)
    assert np.array_equal(found.turn, np.eye(3)) and "a photo" in found.steps[-1]
    assert (absolute(found)[:, [0, 5], 1] <= 1e-6).all()
    assert found.camera == CAMERA and found.source == photo.source and not found.is_clip
    nobody = level(replace(photo, tracks=()))
    assert nobody.tracks == () and nobody.camera_height_mm == 0
    lost = replace(photo.tracks[0], root_mm=np.full((1, 3), np.nan))
    assert np.isnan(level(replace(photo, tracks=(lost,), is_clip=True)).tracks[0].root_mm).all()
    with pytest.raises(ValueError, match="root_mm"):
        level(recording(poses(2), None, np.arange(2.0)))


def test_contacts_say_which_feet_stand() -> None:
    clip, turn = filmed(walk(circle), 20, 5, 1500)
    (track,) = clip.tracks
    ankles = absolute(clip)[:, [A("left_ankle"), A("right_ankle")]]
    still = np.linalg.norm(np.gradient(ankles, axis=0), axis=-1) < 1.0
    found = level(replace(clip, tracks=(replace(track, contacts=still),)))
    assert away(found, turn) < 0.3 and abs(found.camera_height_mm - 1500) < 5
    high = np.zeros_like(still)
    high[::7] = True  # feet in the air are believed, too: the floor is elsewhere
    other = level(replace(clip, tracks=(replace(track, contacts=high & ~still),)))
    assert abs(other.camera_height_mm - 1500) > 20


def test_a_floor_above_the_camera_is_said() -> None:
    clip, _ = filmed(walk(circle), 0, 0, -400)
    found = level(clip)
    assert found.camera_height_mm < 0 and "0.40 m above the camera" in found.steps[-1]
    options = PoseOptions(camera=(CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy))
    for height, is_said in ((-400, True), (1500, False)):
        clip, _ = filmed(walk(circle), 0, 0, height)
        (track,) = clip.tracks
        seen = replace(clip, tracks=(replace(track, joints_2d=CAMERA.project(absolute(clip))),))
        assert ("above the camera" in postprocess_clip(seen, options).report()[-1]) == is_said
    assert floor_fault(-400) and not any(map(floor_fault, (0.0, 1500.0, math.nan)))  # 0: nobody's feet are known


def test_people_of_other_sizes_have_floors_of_their_own() -> None:
    clip, turn = filmed(walk(circle), 20, 5, 2200)
    (track,) = clip.tracks
    assert track.root_mm is not None
    taller = replace(track, person_id=1, joints_3d=track.joints_3d * 1.09, root_mm=track.root_mm * 1.09)
    fewer = replace(clip, tracks=(track, _first(taller, len(track) // 3)))
    assert away(level(fewer), turn) < 4


def _first(track: PoseTrack, count: int) -> PoseTrack:
    return PoseTrack.of_poses(track.person_id, track.frames[:count].tolist(), [track.pose(i) for i in range(count)])
