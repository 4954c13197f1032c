"""What is done to clips after the network, on captured motion with errors as a network makes them.

python experiments/motion_study.py walk.bvh ... [--clips 40] [--seed 0] [--pan] [--card FILE]

Each BVH file becomes 30 frames a second before a camera at least 5 m away and 1.4 m high, 8 degrees down. Its joints
get errors that last and errors of a frame, larger in depth, as those of `base` are; its joints in the picture some,
too; left and right are exchanged for some frames, and some frames are missing. Then poses are placed, smoothed and held
on their feet as `predict` does it. Everything is measured against the motion as captured: the place of the root, the
pose, how far feet slide while they truly stand (low, slower than 200 mm/s), which contacts are found.

With --pan somebody stands still in each file's first pose, and the camera turns to the left for 4 s and back: what feet
that are held do to the body's place then, across the line of sight.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from liftwild.camera import Camera
from liftwild.errors import LiftwildError
from liftwild.evaluation.tables import markdown_table, show_parts
from liftwild.io.formats import read_recording
from liftwild.joint_mapping import track_in_skeleton
from liftwild.kinematics.contacts import all_contacts, with_contacts
from liftwild.pipeline.options import PoseOptions
from liftwild.pipeline.postprocess import postprocess_clip
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MPII_16
from liftwild.tracking.filters import Butterworth, OneEuro

FPS = 30.0
HEAD_MM = 220.0
SIZE = 1080
FOCAL = 1100.0
AWAY_MM, NEAREST_MM, HIGH_MM, DOWN_DEG = 5000.0, 2500.0, 1400.0, 8.0
LASTING_S = 0.3
# Standard deviations. What is brief shakes raw poses as much as `base` shakes on real clips of 60 frames a second.
LASTING_MM, BRIEF_MM = (20.0, 20.0, 50.0), (4.0, 4.0, 8.0)  # x, y, z
LASTING_PX, BRIEF_PX = 3.0, 1.5
EXCHANGED, MISSING = 0.03, 0.03  # of the frames, in stretches of five
TRUE_SLOW_MM_S = 200.0
CAMERA = (FOCAL, FOCAL, SIZE / 2, SIZE / 2)
PAN_S, PANS_DEG_S = 4.0, (0.0, 0.5, 1.0, 2.0, 4.0)


class Case(NamedTuple):
    """A clip: what the network would give, placed by nobody yet; the true absolute joints (T, 16, 3) mm, camera space;
    which feet truly stand (T, 2)."""

    recording: Recording
    true: np.ndarray
    stands: np.ndarray


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="BVH")
    parser.add_argument("--clips", type=int, default=40, help="at most so many, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pan", action="store_true", help="a camera that turns, before people who stand still")
    parser.add_argument("--card", type=Path, help="also write the table there")
    asked = parser.parse_args(arguments)
    rng = np.random.default_rng(asked.seed)
    files = [asked.files[i] for i in sorted(rng.permutation(len(asked.files))[: asked.clips])]
    try:
        if asked.pan:
            motions = [motion_of(path, rng) for path in files]
            show_parts([f"{len(motions)} people who stand\n", before_turning_camera(motions, rng)], asked.card)
            return
        cases = [case_of(path, rng) for path in files]
        count = f"{len(cases)} clips, {sum(len(case.true) for case in cases)} frames\n"
        show_parts([count, measured(cases)], asked.card)
    except LiftwildError as error:
        sys.exit(f"error: {error}")


def case_of(path: Path, rng: np.random.Generator) -> Case:
    """The clip of a BVH file."""
    return with_errors(path.name, *motion_of(path, rng), rng)


def motion_of(path: Path, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The true joints (T, 16, 3) mm, camera space, and times (T,) s of a BVH file before the camera."""
    recording = read_recording(path)
    track = track_in_skeleton(recording.tracks[0], MPII_16)
    assert track.root_mm is not None
    at = np.asarray(recording.times_s)[track.frames]
    times = np.arange(at[0], at[-1], 1 / FPS)
    joints = between(with_head(track.joints_3d) + track.root_mm[:, None], at, times)
    middle = joints[:, :, [0, 2]].reshape(-1, 2).mean(axis=0)
    floor = float(np.quantile(joints[..., 1].max(axis=1), 0.9))
    turn = np.radians(rng.uniform(0, 360))
    about = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    joints = (joints - (middle[0], floor, middle[1])) @ about.T + (0.0, HIGH_MM, 0.0)
    joints[..., 2] += max(AWAY_MM, NEAREST_MM - joints[..., 2].min())
    tilt = np.radians(DOWN_DEG)
    joints = joints @ np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]).T
    return joints, times - times[0]


def with_head(joints: np.ndarray) -> np.ndarray:
    """``joints`` (T, 16, 3) mm with a head top, where the file has none: on the line of the neck."""
    thorax, neck, top = (MPII_16.index(name) for name in ("thorax", "upper_neck", "head_top"))
    way = joints[:, neck] - joints[:, thorax]
    out = np.array(joints)
    missing = np.isnan(out[:, top]).any(axis=1)
    out[missing, top] = (joints[:, neck] + HEAD_MM * way / np.linalg.norm(way, axis=1, keepdims=True))[missing]
    return out


def between(values: np.ndarray, at: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``values`` (T, ...) taken ``at`` as a smooth curve at ``times``."""
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(at, values, axis=0)(times))


def lasting(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise of standard deviation 1 that lasts about ``LASTING_S``."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(rng.normal(size=shape), LASTING_S * FPS, axis=0)
    return np.asarray(smooth / smooth.std(axis=0))


def with_errors(name: str, joints: np.ndarray, times: np.ndarray, rng: np.random.Generator) -> Case:
    """The case of true ``joints`` (T, 16, 3) mm, camera space."""
    count = len(joints)
    camera = Camera(FOCAL, FOCAL, SIZE / 2, SIZE / 2)
    root = joints[:, MPII_16.root]
    pose = joints - root[:, None] + lasting(joints.shape, rng) * LASTING_MM + rng.normal(size=joints.shape) * BRIEF_MM
    pose -= pose[:, MPII_16.root, None]
    picture = camera.project(joints) + lasting((count, 16, 2), rng) * LASTING_PX
    picture += rng.normal(size=picture.shape) * BRIEF_PX
    flip = list(MPII_16.flip_index)
    for start in np.flatnonzero(rng.random(count) < EXCHANGED / 5).tolist():
        own = slice(start, start + 5)
        pose[own], picture[own] = pose[own][:, flip], picture[own][:, flip]
    seen = np.ones(count, dtype=bool)
    for start in np.flatnonzero(rng.random(count) < MISSING / 5).tolist():
        seen[start + 1 : start + 6] = False
    seen[[0, -1]] = True
    low, high = picture.min(axis=1), picture.max(axis=1)
    track = PoseTrack(
        0, np.flatnonzero(seen), picture[seen], pose[seen], np.full((int(seen.sum()), 16), 0.8),
        np.concatenate([low, high - low], axis=1)[seen],
    )  # fmt: skip
    recording = Recording(name, SIZE, SIZE, times, (track,), is_clip=True)
    truth = PoseTrack(
        0, np.arange(count), picture, joints - root[:, None], np.ones((count, 16)), np.zeros((count, 4)), root_mm=root
    )
    tilt = np.radians(DOWN_DEG)
    down = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    found = with_contacts(truth, times, down)
    assert found.contacts is not None
    ankles = joints[:, [MPII_16.index(f"{side}_ankle") for side in ("left", "right")]]
    slow = np.linalg.norm(np.gradient(ankles, times, axis=0), axis=-1) < TRUE_SLOW_MM_S
    return Case(recording, joints, found.contacts & slow)


def measured(cases: Sequence[Case]) -> str:
    """The table."""
    rows = {
        "as the network gives them": PoseOptions(camera=CAMERA, smooth=False),
        "One-Euro": PoseOptions(camera=CAMERA, time_filter=OneEuro()),
        "Butterworth, residual analysis": PoseOptions(camera=CAMERA, time_filter=Butterworth()),
        "Butterworth, 6 Hz": PoseOptions(camera=CAMERA, time_filter=Butterworth(6.0)),
        "Butterworth, 4 Hz": PoseOptions(camera=CAMERA, time_filter=Butterworth(4.0)),
    }
    columns = (
        "root, mm", "of it depth", "MPJPE, mm", "jitter, mm/s^2", "feet slide, mm", "contacts found, %", "right, %",
    )  # fmt: skip
    return markdown_table(("clips", *columns), [row(name, options, cases) for name, options in rows.items()])


def before_turning_camera(motions: Sequence[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> str:
    """The table of people who stand still in the first frame of ``motions``."""
    times = np.arange(round(2 * PAN_S * FPS)) / FPS
    lines = []
    for speed in PANS_DEG_S:
        turned = np.radians(speed) * (PAN_S - np.abs(times - PAN_S))
        background = np.stack([FOCAL * np.tan(turned), np.zeros_like(turned)], axis=1)
        cos, sin, zero, one = np.cos(turned), np.sin(turned), np.zeros_like(turned), np.ones_like(turned)
        turns = np.array([[cos, zero, sin], [zero, one, zero], [-sin, zero, cos]]).transpose(2, 0, 1)
        cases = [with_errors("", joints[0] @ turns.transpose(0, 2, 1), times, rng) for joints, _ in motions]
        off = [
            np.concatenate([root_across(case, PoseOptions(camera=CAMERA, free_feet=free), seen) for case in cases])
            for free, seen in ((False, None), (False, background), (True, None))
        ]
        lines.append([f"{speed:g}", *(f"{values.mean():.0f} ({values.max():.0f})" for values in off)])
    return markdown_table(("camera, degrees/s", "held, mm", "held, camera watched", "free feet"), lines)


def root_across(case: Case, options: PoseOptions, background: np.ndarray | None) -> np.ndarray:
    """How far (T,) mm the root is off across the line of sight, at the scale that fits best."""
    (track,) = postprocess_clip(case.recording, options, background).recording.tracks
    true = case.true[track.frames][:, MPII_16.root]
    assert track.root_mm is not None
    scale = float(np.sum(track.root_mm * true) / np.sum(track.root_mm**2))
    return np.asarray(np.linalg.norm((track.root_mm * scale - true)[:, :2], axis=1))


def row(name: str, options: PoseOptions, cases: Sequence[Case]) -> list[str]:
    """A row of the table; roots of each clip compared at one scale, since a picture does not tell a person's size."""
    roots, depths, poses, slides, jitter = [], [], [], [], []
    both = stood = held = 0
    for case in cases:
        done = postprocess_clip(case.recording, options)
        (track,) = done.recording.tracks
        true = case.true[track.frames]
        root_true = true[:, MPII_16.root]
        assert track.root_mm is not None
        scale = float(np.sum(track.root_mm * root_true) / np.sum(track.root_mm**2))
        off = track.root_mm * scale - root_true
        roots.append(np.linalg.norm(off, axis=1))
        depths.append(np.abs(off[:, 2]))
        poses.append(np.linalg.norm(track.joints_3d * scale - (true - root_true[:, None]), axis=-1).mean(axis=1))
        jitter.append((done.after or done.before).jitter_mm)
        stands = case.stands[track.frames]
        ankles = (track.joints_3d + track.root_mm[:, None])[
            :, [MPII_16.index(f"{side}_ankle") for side in ("left", "right")]
        ] * scale
        for contact in all_contacts(replace(track, contacts=stands)):
            if contact.last - contact.first >= 5:
                own = ankles[contact.first : contact.last + 1, contact.side]
                slides.append(np.linalg.norm(np.subtract(*np.quantile(own, [0.95, 0.05], axis=0))))
        if track.contacts is not None:
            both += int((track.contacts & stands).sum())
            stood += int(stands.sum())
            held += int(track.contacts.sum())
    found = ["", ""] if not stood else [f"{100 * both / stood:.0f}", f"{100 * both / max(held, 1):.0f}"]
    means = [float(np.concatenate(each).mean()) for each in (roots, depths, poses)]
    return [
        name, *(f"{value:.0f}" for value in means), f"{np.mean(jitter):.0f}", f"{np.mean(slides):.0f}", *found
    ]  # fmt: skip


if __name__ == "__main__":
    main()
