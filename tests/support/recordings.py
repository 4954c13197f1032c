"""Recordings of any kind, and whether two are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from liftwild.camera import Camera
from liftwild.io.formats import write_formats
from liftwild.placement.floor import Levelled
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import SKELETONS, Skeleton
from tests.support.poses import RAISED_RIGHT_HAND
from tests.support.tracks import moving, track_of

CAMERA = Camera(420.0, 380.0, 150.5, 118.25)


def random_track(rng: np.random.Generator, frames: np.ndarray, person_id: int, skeleton: Skeleton) -> PoseTrack:
    """Somebody anywhere, with joints hidden, and with or without all that a track may lack."""
    count, joints = len(frames), len(skeleton)
    hidden = rng.random((count, joints)) < rng.choice([0.0, 0.2])
    spread = np.where(hidden, np.nan, rng.uniform(1, 200, (count, joints)))
    scores = np.where(rng.random(count) < 0.3, np.nan, rng.random(count))
    chances = [np.where(rng.random((count, joints)) < 0.1, np.nan, rng.random((count, joints))) for _ in range(2)]
    known = [rng.random() < 0.5 and not np.isnan(chance).all() for chance in chances]
    ids = tuple(None if rng.random() < 0.3 else int(rng.integers(-5, 2**40)) for _ in frames)
    return PoseTrack(
        person_id=person_id,
        frames=frames,
        joints_2d=np.where(hidden[..., None], np.nan, rng.normal(100, 300, (count, joints, 2))),
        joints_3d=np.where(hidden[..., None], np.nan, rng.normal(0, 500, (count, joints, 3))),
        confidence=rng.random((count, joints)).astype(np.float32),
        boxes=rng.uniform(1, 500, (count, 4)),
        depth_sd_mm=spread if rng.random() < 0.5 else None,
        root_mm=rng.normal((0, 0, 4000), 500, (count, 3)) if rng.random() < 0.5 else None,
        annotation_ids=ids if rng.random() < 0.5 and any(value is not None for value in ids) else None,
        skeleton=skeleton,
        scores=scores if rng.random() < 0.5 and not np.isnan(scores).all() else None,
        inside=chances[0] if known[0] else None,
        visible=chances[1] if known[1] else None,
    )


def random_recording(seed: int) -> Recording:
    """A photo or clip of nobody or up to three people, some frames without them."""
    rng = np.random.default_rng(seed)
    is_clip, skeleton = bool(rng.random() < 0.6), list(SKELETONS.values())[rng.integers(len(SKELETONS))]
    length = int(rng.integers(1, 12)) if is_clip else 1
    people = int(rng.integers(4))
    seen = [np.flatnonzero(rng.random(length) < 0.7) if is_clip else np.zeros(1, int) for _ in range(people)]
    ids = rng.permutation(9)[:people] if is_clip else np.arange(people)
    tracks = tuple(random_track(rng, own, int(i), skeleton) for own, i in zip(seen, ids, strict=True))
    times = np.cumsum(rng.uniform(0.01, 0.1, length)) if is_clip else np.zeros(1)
    camera = CAMERA if rng.random() < 0.5 else Camera(*rng.uniform(100, 900, 5)) if rng.random() < 0.5 else None
    steps = tuple(f"step {i}, with a comma" for i in range(rng.integers(3)))
    recording = Recording(
        "päth 1.mp4",
        640,
        480,
        times,
        tracks,
        camera,
        "" if camera is None else "assumed",
        steps,
        is_clip,
        "" if rng.random() < 0.3 else "chance of being right",
    )
    if rng.random() < 0.3:
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        return Levelled(**vars(recording), turn=turn, camera_height_mm=float(rng.normal(1500, 100)))
    return recording


def photo(count: int = 2, **changes: object) -> Recording:
    """A photo of ``count`` people who raise the right hand, seen by CAMERA and placed."""
    root = np.array([0.0, 30.0, 4000.0])
    tracks = []
    for i in range(count):
        place = root + np.array([150.0 * i, 0, 0])
        joints = RAISED_RIGHT_HAND + np.random.default_rng(i).normal(0, 25, (16, 3))
        joints[6] = 0
        joints_2d = CAMERA.project(joints + place)
        low, high = joints_2d.min(axis=0), joints_2d.max(axis=0)
        track = PoseTrack(
            i, np.zeros(1, int), joints_2d[None], joints[None], np.full((1, 16), 0.8),
            np.array([[*low, *(high - low)]]), np.full((1, 16), 40.0), place[None],
        )  # fmt: skip
        tracks.append(track)
    recording = Recording("000012.jpg", 320, 240, np.zeros(1), tuple(tracks), CAMERA, "given", ("placed",))
    return replace(recording, **changes)


def hide(track: PoseTrack, joint: str) -> PoseTrack:
    """The track with a joint hidden, as on request."""
    gone = np.arange(len(track.skeleton)) == track.skeleton.index(joint)
    spread = track.depth_sd_mm
    return replace(
        track, joints_2d=np.where(gone[:, None], np.nan, track.joints_2d),
        joints_3d=np.where(gone[:, None], np.nan, track.joints_3d),
        depth_sd_mm=None if spread is None else np.where(gone, np.nan, spread),
    )  # fmt: skip


def assert_same(first: Recording, second: Recording, exact: bool) -> None:
    """Two recordings are equal, or to the rounding of JSON; None is not NaN."""
    assert type(first) is type(second)
    for name in ("source", "width", "height", "camera", "camera_from", "steps", "is_clip", "confidence_is"):
        assert getattr(first, name) == getattr(second, name), name
    steps = {
        "times_s": 1e-6, "joints_2d": 0.01, "joints_3d": 0.1, "confidence": 0.001, "boxes": 0.01, "depth_sd_mm": 0.1,
        "scores": 0.001, "inside": 0.001, "visible": 0.001, "root_mm": 0.1, "turn": 0, "camera_height_mm": 0,
        "frames": 0,
    }  # fmt: skip

    def same(a: object, b: object, name: str) -> None:
        values, others = getattr(a, name), getattr(b, name)
        assert (values is None) == (others is None), name
        if values is not None:
            assert np.shape(values) == np.shape(others), name
            np.testing.assert_allclose(others, values, rtol=0, atol=0 if exact else 0.5001 * steps[name], err_msg=name)

    same(first, second, "times_s")
    if isinstance(first, Levelled):
        same(first, second, "turn")
        same(first, second, "camera_height_mm")
    assert len(first.tracks) == len(second.tracks)
    for own, other in zip(first.tracks, second.tracks, strict=True):
        assert (own.person_id, own.annotation_ids, own.skeleton) == (
            other.person_id, other.annotation_ids, other.skeleton,
        )  # fmt: skip
        for name in (
            "frames", "joints_2d", "joints_3d", "confidence", "boxes", "depth_sd_mm", "root_mm", "scores", "inside",
            "visible",
        ):  # fmt: skip
            same(own, other, name)


def portrait(inside: float | None = 0.1, visible: float | None = None) -> PoseTrack:
    """Somebody of ``photo`` whose legs have a chance of ``inside`` to lie in the photo, all else 0.9; and whose left
    wrist has one of ``visible`` to be seen, all else 0.8. None: not known."""
    track = photo(1).tracks[0]
    names = track.skeleton.names
    legs = np.array([[name.endswith(("ankle", "knee")) for name in names]])
    wrist = np.array([[name == "left_wrist" for name in names]])
    return replace(
        track, inside=None if inside is None else np.where(legs, inside, 0.9),
        visible=None if visible is None else np.where(wrist, visible, 0.8),
    )  # fmt: skip


def written(folder: Path, recording: Recording, name: str) -> Path:
    """The one file of that format."""
    return write_formats(recording, folder, "a", [name])[0]


def clip_of_people(count: int, frames: int = 12) -> Recording:
    """A clip of ``count`` people who swing their limbs; each is there from one frame later on than the one before."""
    tracks = []
    for i in range(count):
        own = np.arange(i, frames)
        joints = moving(np.random.default_rng(i), len(own), 0.2)
        tracks.append(replace(track_of(joints, own), person_id=i))
    return Recording("clip.mp4", 320, 240, np.arange(frames) / 25, tuple(tracks), is_clip=True)
