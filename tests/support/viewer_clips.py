"""A clip of two people, and its pictures, for the viewer."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from liftwild.camera import Camera
from liftwild.pose import Pose, PoseTrack, Recording
from liftwild.skeleton import MPII_16
from tests.support.poses import ARMS_OUT
from tests.support.tracks import moving, track_of

FRAMES, WIDTH, HEIGHT = 24, 320, 240
WRIST = MPII_16.index("left_wrist")
NASTY = '</script><script>document.body.dataset.broken=1</script><!-- & "clip" <b>.mp4'


def turned(degrees: float) -> np.ndarray:
    """The standing person turned about the vertical."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return ARMS_OUT @ turn.T


def clip(placed: bool = True, frames: int = FRAMES, source: str = "clip.mp4") -> Recording:
    """Two people: 3 turns and is always there, its left wrist hidden; 7 walks and is away in frames 8 to 11."""
    camera = Camera(300.0, 300.0, WIDTH / 2, HEIGHT / 2)
    tracks = []
    for number, x in ((3, -700.0), (7, 700.0)):
        seen = [frame for frame in range(frames) if number == 3 or not 8 <= frame < 12]
        poses = []
        for frame in seen:
            joints = turned(6.0 * frame) if number == 3 else ARMS_OUT.copy()
            root = np.array([x, 100.0, 3500.0 + (30.0 * frame if number == 7 else 0.0)])
            points = camera.project(joints + root)
            low, high = points.min(axis=0), points.max(axis=0)
            if number == 3:
                joints[WRIST], points[WRIST] = np.nan, np.nan
            confidence = np.full(16, 0.05 if number == 7 and frame < 4 else 0.83)
            box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
            spread = np.full(16, 61.0)
            poses.append(Pose(points, joints, confidence, box, None, MPII_16, spread, root if placed else None))
        tracks.append(PoseTrack.of_poses(number, seen, poses))
    times = np.arange(frames) / 10.0
    times[frames // 2 :] += 0.5  # a pause
    steps = ("smoothed", "one skeleton")
    return Recording(source, WIDTH, HEIGHT, times, tuple(tracks), camera, "given", steps, True)


def pictures(frames: int = FRAMES) -> Iterator[tuple[int, np.ndarray]]:
    """A picture for each frame, brighter and brighter."""
    for frame in range(frames):
        yield frame, np.full((HEIGHT, WIDTH, 3), 60 + 120 * frame // max(frames - 1, 1), np.uint8)


def on_feet(recording: Recording, index: int) -> Recording:
    """``recording``, the feet of one person on the floor in turn, two frames each, and its third pose interpolated."""
    track = recording.tracks[index]
    left = np.arange(len(track)) // 2 % 2 == 0
    filled = np.arange(len(track)) == 2
    track = dataclasses.replace(track, contacts=np.stack([left, ~left], axis=1), filled=filled)
    return dataclasses.replace(recording, tracks=(*recording.tracks[:index], track, *recording.tracks[index + 1 :]))


def moves(count: int = 60) -> Recording:
    """One person, no place in space, the feet on the floor in turn."""
    track = track_of(moving(np.random.default_rng(3), count))
    recording = Recording("clip.mp4", 640, 480, np.arange(count) / 25, (track,), is_clip=True)
    return on_feet(recording, 0)


def unpack(value: dict[str, Any]) -> np.ndarray:
    """What data.js makes of a packed array."""
    whole = np.frombuffer(base64.b64decode(value["data"]), f"<i{value['bits'] // 8}")
    return np.where(whole == -(2 ** (value["bits"] - 1)), np.nan, whole * value["step"])
