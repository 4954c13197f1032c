"""Where people are: placed by a camera, sized by a height, levelled on the floor; and cameras from photos."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.camera import Camera, bone_lengths
from liftwild.errors import LiftwildError
from liftwild.people.body import SKIN, load_body
from liftwild.pose import PoseTrack, Recording
from liftwild.predict.floor import Levelled, level
from liftwild.predict.place import (
    ASSUMED_DEG,
    along_rays,
    assumed_camera,
    camera_of_photo,
    given_camera,
    located,
    place,
    sized,
    standing_height_mm,
)
from liftwild.skeleton import MPII_16, PELVIS, SCALE_BONES
from tests.conftest import encode, picture
from tests.synthetic import STANDING
from tests.test_photo import chunk

CAMERA = Camera(1100.0, 1050.0, 640.0, 350.0, 12.0)
A = MPII_16.index


def poses(count: int = 6, seed: int = 0, shape: float = 150.0) -> np.ndarray:
    """Root-relative poses (count, 16, 3) mm."""
    joints = STANDING + np.random.default_rng(seed).normal(0, shape, (count, 16, 3))
    return joints - joints[:, PELVIS : PELVIS + 1]


ROOTS = np.array([[0, 0, 3000], [900, -200, 4000], [-700, 300, 2500], [0, 0, 9000], [200, 0, 1700], [-2000, 0, 6000]])


def recording(
    joints: np.ndarray, root: np.ndarray | None, times: np.ndarray, seen: np.ndarray | None = None
) -> Recording:
    """A clip of one person: joints (T, 16, 3) mm about the pelvis."""
    count = len(joints)
    track = PoseTrack(
        0, np.arange(count), np.zeros((count, 16, 2)) if seen is None else seen, joints, np.full((count, 16), 0.5),
        np.tile([0.0, 0.0, 1.0, 1.0], (count, 1)), np.full((count, 16), 80.0), root,
    )  # fmt: skip
    return Recording("a.mp4", 1280, 720, times, (track,), is_clip=count > 1)


def test_true_joints_give_the_true_place() -> None:
    pose = poses()
    found = place(CAMERA.project(pose + ROOTS[:, None]), pose, CAMERA)
    np.testing.assert_allclose(found, ROOTS, atol=1e-6)
    one = place(CAMERA.project(pose[1] + ROOTS[1]), pose[1], CAMERA)
    np.testing.assert_allclose(one, ROOTS[1], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    x=st.floats(-0.6, 0.6),
    y=st.floats(-0.4, 0.4),
    z=st.floats(1500, 20000),
    focal=st.floats(200, 5000),
    size=st.floats(0.2, 2),
)
def test_a_person_is_found_wherever_they_are(
    seed: int, x: float, y: float, z: float, focal: float, size: float
) -> None:
    camera, pose, root = Camera(focal, focal, 500, 400), poses(1, seed)[0] * size, np.array([x * z, y * z, z])
    if (pose[:, 2] + z).min() < 300:
        return
    found = place(camera.project(pose + root), pose, camera)
    np.testing.assert_allclose(found, root, rtol=1e-6, atol=1e-3)
    # A person twice as large, twice as far, looks the same.
    np.testing.assert_allclose(place(camera.project(pose + root), pose * 2, camera), 2 * found, rtol=1e-6, atol=1e-3)


def test_a_few_wrong_joints_hardly_move_it() -> None:
    pose = poses(200, 3, 60.0)
    root = np.tile([300.0, 100.0, 4000.0], (200, 1))
    seen = CAMERA.project(pose + root[:, None]) + np.random.default_rng(0).normal(0, 3, (200, 16, 2))
    clean = np.linalg.norm(place(seen, pose, CAMERA) - root, axis=1)
    joints = [A(name) for name in ("left_wrist", "right_ankle", "head_top", "left_elbow", "right_knee")]
    wrong = seen.copy()
    wrong[:, joints[:3]] += (180, -120)
    off = np.linalg.norm(place(wrong, pose, CAMERA) - root, axis=1)
    assert np.median(clean) < 25 and np.median(off) < 1.5 * np.median(clean) and off.max() < 3 * clean.max()
    # Five in one direction are too many, unless the network was not sure of them.
    wrong[:, joints] = seen[:, joints] + (180, -120)
    sure = np.ones((200, 16))
    sure[:, joints] = 0.05
    assert np.median(np.linalg.norm(place(wrong, pose, CAMERA) - root, axis=1)) > 500
    assert np.median(np.linalg.norm(place(wrong, pose, CAMERA, sure) - root, axis=1)) < 2 * np.median(clean)


def test_what_cannot_be_placed_is_nan_and_leaves_the_others() -> None:
    pose = poses(5)
    seen = CAMERA.project(pose + ROOTS[:5, None])
    seen[1] = seen[1, 0]  # all at one point
    weight = np.ones((5, 16))
    weight[2, 1:] = 0  # one joint alone
    pose[3] *= -1  # upside down and inside out: fits nowhere before the camera
    seen[4, 5:9] = np.nan
    pose[4, 10] = np.nan
    found = place(seen, pose, CAMERA, weight)
    assert np.isnan(found[1:4]).all() and np.isfinite(found[[0, 4]]).all()
    np.testing.assert_allclose(found[[0, 4]], ROOTS[[0, 4]], atol=1e-6)
    assert np.isnan(place(np.full((16, 2), np.nan), pose[0], CAMERA)).all()
    with pytest.raises(ValueError, match="joints_2d"):
        place(seen, pose[:, :4], CAMERA)
    with pytest.raises(ValueError, match="weight"):
        place(seen, pose, CAMERA, -weight)


def flattened(pose: np.ndarray, root: np.ndarray, camera: Camera) -> np.ndarray:
    """The pose as the network would say it: x and y follow the picture at the pelvis' scale."""
    seen = camera.project(pose + root[..., None, :])
    x, y = (seen[..., 0] - camera.cx) / camera.fx, (seen[..., 1] - camera.cy) / camera.fy
    flat = np.stack([x * root[..., None, 2], y * root[..., None, 2], pose[..., 2] + root[..., None, 2]], axis=-1)
    return flat - flat[..., PELVIS : PELVIS + 1, :]


def test_perspective_is_given_back() -> None:
    camera, pose, root = replace(CAMERA, skew=0.0), poses(shape=60.0), ROOTS.astype(float)
    seen, flat = camera.project(pose + root[:, None]), flattened(pose, root, camera)
    size, own = (bone_lengths(each, SCALE_BONES).sum(-1)[:, None] for each in (pose, flat))
    flat *= (size / own)[..., None]  # the network's summed bone length is always the same
    rough = place(seen, flat, camera)
    found, placed = along_rays(seen, flat, rough, camera)
    off, was = (np.linalg.norm(each - pose, axis=-1).mean() for each in (found, flat))
    assert off < 0.15 * was
    assert np.linalg.norm(placed - root, axis=-1).mean() < 0.5 * np.linalg.norm(rough - root, axis=-1).mean()
    np.testing.assert_allclose(bone_lengths(found, SCALE_BONES).sum(-1), size[:, 0])
    np.testing.assert_allclose(camera.project(found + placed[:, None]), seen, atol=1e-6)
    assert (found[:, PELVIS] == 0).all()
    # Without a place nothing changes.
    kept, none = along_rays(seen, flat, np.full_like(root, np.nan), camera)
    assert np.array_equal(kept, flat) and np.isnan(none).all()


def test_standing_height_is_that_of_the_body() -> None:
    import torch

    body = load_body()
    rows = torch.linspace(0, len(body.coefficients) - 1, 40).long()
    vertices, heads = body.shape(body.coefficients[rows])
    still = torch.eye(3).expand(len(rows), heads.shape[1], 3, 3)
    joints = body.joints(heads, heads, body.transforms(heads, heads, still), vertices).numpy() * 1000
    skin = vertices[:, body.part == SKIN, 2].numpy() * 1000
    stature = skin.max(axis=1) - skin.min(axis=1)
    found = standing_height_mm(joints)
    assert np.abs(found / stature - 1).max() < 0.02 and abs(np.median(found / stature) - 1) < 0.003
    bent = joints.copy()
    bent[:, :6] = bent[:, :6] @ np.diag([1, -1, 1])  # bones keep their lengths
    np.testing.assert_allclose(standing_height_mm(bent), found, rtol=0.05)


def test_located_fills_a_recording() -> None:
    pose, times = poses(6, 2, 40.0), np.arange(6) / 30
    seen = CAMERA.project(pose + ROOTS[:, None])
    start = replace(recording(pose, None, times, seen), steps=("before",))
    found = located(start, CAMERA, "given")
    assert found.camera is CAMERA and found.camera_from == "given" and len(found.steps) == 2
    assert "given" in found.steps[1]
    (track,) = found.tracks
    np.testing.assert_allclose(track.root_mm, ROOTS, atol=1e-6)
    np.testing.assert_allclose(track.joints_3d, pose, atol=1e-6)  # these have their perspective
    assert start.tracks[0].root_mm is None
    tall = located(start, CAMERA, "given", height_m=1.2)
    (scaled,) = tall.tracks
    assert np.median(standing_height_mm(scaled.joints_3d)) == pytest.approx(1200)
    factor = scaled.joints_3d[0, 0] / track.joints_3d[0, 0]
    np.testing.assert_allclose(factor, factor[0])  # one for the whole clip
    np.testing.assert_allclose(scaled.root_mm, track.root_mm * factor[0])
    np.testing.assert_allclose(scaled.depth_sd_mm, 80 * factor[0])
    assert "1.2 m" in tall.steps[-1]
    hidden = replace(track, joints_3d=np.full_like(track.joints_3d, np.nan))
    assert sized(replace(found, tracks=(hidden,)), 1.8).tracks[0] is hidden
    assert located(replace(start, tracks=()), CAMERA, "given", 1.8).tracks == ()


@pytest.mark.parametrize("height", [0.0, -1.8, 0.29, 2.61, 180.0, math.nan, math.inf])
def test_heights_that_no_person_has(height: float) -> None:
    start = recording(poses(1), None, np.zeros(1))
    for wrong in (lambda: sized(start, height), lambda: located(start, CAMERA, "given", height)):
        with pytest.raises(LiftwildError, match=r"^a person is 0\.3 to 2\.6 m tall, not .*metres$"):
            wrong()


# --- cameras


def tiff(entries: dict[int, tuple[int, object]], exif: dict[int, tuple[int, object]], order: str = "<") -> bytes:
    """A TIFF block with a first table of tags and EXIF's own; values are numbers, or (above, below) for type 5."""
    form = {1: "B", 3: "H", 4: "I"}
    tables = [dict(entries), dict(exif)]
    starts = [8, 8 + 2 + 12 * (len(entries) + 1) + 4]
    data_at = starts[1] + 2 + 12 * len(exif) + 4
    tables[0][0x8769] = (4, starts[1])
    body, extra = b"", b""
    for table in tables:
        body += struct.pack(order + "H", len(table))
        for tag in sorted(table):
            kind, value = table[tag]
            if kind == 5:
                content = struct.pack(order + "I", data_at + len(extra))
                extra += struct.pack(order + "II", *value)  # type: ignore[misc]
            else:
                content = struct.pack(order + form[kind], value).ljust(4, b"\0")
            body += struct.pack(order + "HHI", tag, kind, 1) + content
        body += struct.pack(order + "I", 0)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + body + extra


def with_exif(block: bytes, kind: str, width: int = 80, height: int = 60) -> bytes:
    """A picture file with a TIFF block inside."""
    data = encode(kind, picture(height, width))
    if kind == ".png":
        return data[:33] + chunk(b"eXIf", block) + data[33:]
    segment = b"Exif\0\0" + block
    other = b"\xff\xe1" + struct.pack(">H", 12) + b"http://xyz"
    return data[:2] + other + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


@pytest.fixture
def camera_with(tmp_path: Path) -> Callable[..., tuple[Camera, str]]:
    """The camera of a photo, upright ``size``, with these EXIF tags."""

    def camera_with(
        exif: dict[int, tuple[int, object]], size: tuple[int, int] = (80, 60), turned: int = 1, order: str = "<",
        kind: str = ".jpg",
    ) -> tuple[Camera, str]:  # fmt: skip
        path = tmp_path / f"a{kind}"
        path.write_bytes(with_exif(tiff({0x0112: (3, turned)}, exif, order), kind))
        return camera_of_photo(path, *size)

    return camera_with


@pytest.mark.parametrize("kind", [".jpg", ".png"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_focal_length_of_35_mm_film(camera_with: Callable[..., tuple[Camera, str]], kind: str, order: str) -> None:
    camera, words = camera_with({0xA405: (3, 26)}, order=order, kind=kind)
    assert words == "exif"
    focal = 26 * 100 / math.hypot(36, 24)
    assert camera == Camera(focal, focal, 40.0, 30.0)
    # Turned on its side the same camera; the middle is that of the upright photo.
    camera, _ = camera_with({0xA405: (3, 26)}, (60, 80), turned=6, order=order, kind=kind)
    assert camera == Camera(focal, focal, 30.0, 40.0)


def test_focal_length_by_the_sensor(camera_with: Callable[..., tuple[Camera, str]]) -> None:
    # 50 mm; 800 x 600 px were shot on a sensor of 20 x 15 mm (40 px/mm), the photo is a tenth of that.
    shot = {0x920A: (5, (50, 1)), 0xA20E: (5, (400, 1)), 0xA20F: (5, (420, 1)), 0xA210: (3, 3),
            0xA002: (4, 800), 0xA003: (3, 600)}  # fmt: skip
    camera, words = camera_with(shot)
    assert words == "exif" and camera.fx == pytest.approx(200) and camera.fy == pytest.approx(210)
    camera, _ = camera_with(shot, (60, 80), turned=8)
    assert camera.fx == pytest.approx(210) and camera.fy == pytest.approx(200)
    inches = {**shot, 0xA20E: (5, (1016, 1)), 0xA20F: (5, (1016, 1))}
    del inches[0xA210]
    assert camera_with(inches)[0].fx == pytest.approx(200)


@pytest.mark.parametrize(
    "exif",
    [
        {},
        {0xA405: (3, 0)},
        {0xA405: (3, 26), 0xA002: (4, 800), 0xA003: (4, 800)},  # cropped since
        {0xA405: (3, 5000)},
        {0xA405: (3, 3)},
        {0x920A: (5, (50, 1))},
        {0x920A: (5, (50, 0)), 0xA20E: (5, (400, 1)), 0xA20F: (5, (400, 1))},
        {0x920A: (5, (50, 1)), 0xA20E: (5, (400, 1)), 0xA20F: (5, (400, 1)), 0xA210: (3, 1)},
    ],
)
def test_exif_that_does_not_say(
    camera_with: Callable[..., tuple[Camera, str]], exif: dict[int, tuple[int, object]]
) -> None:
    camera, words = camera_with(exif)
    assert words == "assumed, 55 degrees across" and camera == assumed_camera(80, 60)[0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_broken_exif_never_raises(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    block = bytearray(tiff({0x0112: (3, 6)}, {0xA405: (3, 26), 0x920A: (5, (50, 1))}))
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(block)))
    path = tmp_path_factory.getbasetemp() / "broken.jpg"
    path.write_bytes(with_exif(bytes(block[:end]), ".jpg"))
    camera, words = camera_of_photo(path, 80, 60)
    assert words in ("exif", "assumed, 55 degrees across") and camera.fx > 0


def test_an_assumed_camera_spans_its_angle() -> None:
    for width, height in ((1920, 1080), (600, 800)):
        camera, words = assumed_camera(width, height)
        assert words == f"assumed, {ASSUMED_DEG:g} degrees across"
        assert 2 * math.degrees(math.atan(max(width, height) / 2 / camera.fx)) == pytest.approx(ASSUMED_DEG)
        assert (camera.cx, camera.cy, camera.fy) == (width / 2, height / 2, camera.fx)


def test_a_given_camera() -> None:
    assert given_camera("1100,1050,640,350", 1280, 720) == (Camera(1100, 1050, 640, 350), "given")
    assert given_camera([1100, 1050, -300, 350], 1280, 720)[0].cx == -300  # the photo is a crop


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ("1100,1050,640", "four numbers fx,fy,cx,cy in px"),
        ("a,b,c,d", "four numbers"),
        ("", "four numbers"),
        ("nan,1050,640,350", "not finite"),
        ("inf,1050,640,350", "not finite"),
        ("0,1050,640,350", "between 256 and 64000 px, not mm"),
        ("-1100,1050,640,350", "between"),
        ("26,26,640,350", "between 256 and 64000 px, not mm"),
        ("1100,300,640,350", "nearly alike"),
        ("1100,1050,99999,350", "near its middle, 640,360 px"),
        ("1100,1050,640,-99999", "near its middle"),
    ],
)
def test_wrong_camera_numbers(numbers: str, says: str) -> None:
    with pytest.raises(LiftwildError) as caught:
        given_camera(numbers, 1280, 720)
    assert says in str(caught.value) and "\n" not in str(caught.value)


# --- the floor

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
