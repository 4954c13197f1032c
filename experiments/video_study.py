"""What following and smoothing do to poses in time, where the truth is known.

python experiments/video_study.py [--pose2sim LABELS IMAGES] [--frames 200] [--detector] [--weights small] [--card FILE]

Three tables. Photos of calibrated cameras in the order of time (COCO labels with 3D and cameras, files CAMERA_NUMBER.*,
NUMBER counting frames of --rate a second): each camera is a clip, boxes are those of the labels. Rendered clips of one
person, shown at their own speed and faster. A rendered clip of two people who cross, followed with a detector that sees
everybody who is not hidden, or with --detector the one that ships: who is who.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from liftwild.boxes import Box, body_box, ious
from liftwild.camera import Camera
from liftwild.data.readers.coco import read_labels
from liftwild.detection.detector import Detector
from liftwild.errors import LiftwildError
from liftwild.evaluation.metrics import mpjpe, pa_mpjpe, scale_to_bone_sum
from liftwild.evaluation.tables import markdown_table, show_parts
from liftwild.inference.estimator import Estimator
from liftwild.media.photo import read_photo
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import PELVIS
from liftwild.synthetic.render.clip import RenderedFrame, render_clip
from liftwild.tracking.observation import followed_box, side_of
from liftwild.tracking.smoothing import smooth_track, steadiness, with_one_skeleton
from liftwild.tracking.tracker import Detect, Tracker

FOCAL_PX = 1000.0  # all cameras are turned into one of this focal length before their pixels are compared
FPS = 25.0
SEEDS, CROSSING_SEED = (5, 11), 3
SIZE = 320
HIDDEN = 0.4  # IoU with the box of somebody nearer to the camera from which on a person counts as hidden
OFF = 0.15  # box sides from the true joints: beyond it a pose is nobody's
COLUMNS = ("poses", "MPJPE mm", "PA-MPJPE mm", "jitter mm/s^2", "jitter px/s^2", "bone spread %")


class Case(NamedTuple):
    """A track with what is true: joints ``true`` (T, 16, 3) mm, valid (T, 16), at ``times_s`` (T,)."""

    track: PoseTrack
    true: np.ndarray
    valid: np.ndarray
    times_s: np.ndarray


class Shown(NamedTuple):
    """A person as a detector gives it."""

    box: Box
    score: float = 1.0


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pose2sim", nargs=2, type=Path, metavar=("LABELS", "IMAGES"))
    parser.add_argument("--rate", type=float, default=60.0, help="frames a second that file numbers count")
    parser.add_argument("--frames", type=int, default=200, help="of each rendered clip; 0 for none")
    parser.add_argument("--detector", action="store_true", help="follow with the detector that ships")
    parser.add_argument("--weights", default="base")
    parser.add_argument("--device")
    parser.add_argument("--card", type=Path, help="also write the tables there")
    asked = parser.parse_args(arguments)
    try:
        estimator = Estimator(asked.weights, asked.device, runtime="torch")
        show_parts(tables(estimator, asked), asked.card)
    except LiftwildError as error:
        sys.exit(f"error: {error}")


def tables(estimator: Estimator, asked: argparse.Namespace) -> Iterator[str]:
    """The tables that were asked for, one after the other."""
    if asked.pose2sim:
        cases = photos_in_time(estimator, asked.pose2sim[0], asked.pose2sim[1], asked.rate)
        steps = np.median(np.concatenate([np.diff(case.times_s) for case in cases]))
        count = sum(len(case.true) for case in cases)
        yield f"\nPhotos in time: {len(cases)} cameras, {count} frames, {1 / steps:.0f} a second\n"
        yield measured(cases)
    if asked.frames > 0:
        detect = Detector(device=asked.device, runtime="auto").detect if asked.detector else None
        clips = [list(render_clip(asked.frames, seed, fps=FPS, size=SIZE)) for seed in SEEDS]
        for speed in (1, 2, 4):
            cases = [followed(estimator, clip[::speed], detect) for clip in clips]
            count = sum(len(case.true) for case in cases)
            yield f"\nRendered clips: {len(clips)} people, {count} frames, {FPS:g} a second, {speed} x speed\n"
            yield measured(cases)
        crossing = list(render_clip(asked.frames * 6 // 5, CROSSING_SEED, people=2, fps=FPS, size=SIZE))
        for speed in (1, 2, 3):
            yield who_is_who(follow(estimator, crossing[::speed], detect), crossing[::speed], speed)


def photos_in_time(estimator: Estimator, labels: Path, images: Path, rate: float) -> list[Case]:
    """A case for each camera."""
    by_camera = defaultdict(list)
    for person in read_labels(labels)[0]:
        found = re.fullmatch(r"(.+)_(\d+)", Path(person.file_name).stem)
        if found is None:
            raise LiftwildError(f"{labels}: {person.file_name} is not named CAMERA_NUMBER")
        by_camera[found[1]].append((int(found[2]), person))
    cases = []
    for people in by_camera.values():
        people.sort(key=lambda each: each[0])
        poses = []
        for _, person in people:
            (pose,) = estimator.predict(read_photo(images / person.file_name), [person.box])
            camera = person.camera or Camera(FOCAL_PX, FOCAL_PX, 0, 0)
            # Each photo is a crop of its own: one camera for all, so that px can be compared over time.
            joints = (pose.joints_2d - (camera.cx, camera.cy)) / (camera.fx, camera.fy) * FOCAL_PX
            poses.append(replace(pose, joints_2d=joints))
        times = np.array([number for number, _ in people]) / rate
        cases.append(
            Case(
                PoseTrack.of_poses(0, range(len(poses)), poses),
                np.stack([person.joints_3d for _, person in people]),
                np.stack([person.depth_valid for _, person in people]),
                times - times[0],
            )
        )
    return cases


def seen_by_detector(frame: RenderedFrame) -> list[Shown]:
    """The boxes of who is not hidden behind somebody nearer."""
    known = np.ones(16, dtype=bool)
    boxes = [body_box(joints, known) or (0.0, 0.0, 1.0, 1.0) for joints in frame.joints_2d]
    near, overlap = frame.joints_3d[:, PELVIS, 2], ious(np.array(boxes), np.array(boxes))
    shown = [
        Shown(box)
        for i, box in enumerate(boxes)
        if not any(near[j] < near[i] and overlap[i, j] > HIDDEN for j in range(len(boxes)))
    ]
    return sorted(shown, key=lambda found: -found.box[2] * found.box[3])


def follow(estimator: Estimator, clip: Sequence[RenderedFrame], detect: Detect | None) -> list[PoseTrack]:
    """The tracks of a rendered clip's people; ``detect`` None: found as the truth has them."""
    at: list[RenderedFrame] = []
    follower = Tracker(estimator, detect or (lambda image, most: seen_by_detector(at[-1])))
    frames, poses = defaultdict(list), defaultdict(list)
    for number, frame in enumerate(clip):
        at[:] = [frame]
        for seen in follower.step(frame.image, number / FPS):
            assert seen.pose.person_id is not None
            frames[seen.pose.person_id].append(number)
            poses[seen.pose.person_id].append(seen.pose)
    return [PoseTrack.of_poses(person, frames[person], poses[person]) for person in sorted(poses)]


def followed(estimator: Estimator, clip: Sequence[RenderedFrame], detect: Detect | None) -> Case:
    """The case of a clip with one person."""
    tracks = follow(estimator, clip, detect)
    if not tracks:
        raise LiftwildError("the detector found nobody in a rendered clip")
    track = max(tracks, key=len)
    true = np.stack([clip[frame].joints_3d[0] for frame in track.frames])
    return Case(track, true, np.ones(true.shape[:2], dtype=bool), np.arange(len(clip)) / FPS)


def measured(cases: Sequence[Case]) -> str:
    """The table of raw and smoothed poses, over all frames of all cases."""
    smoothed = [case._replace(track=smooth_track(case.track, case.times_s)) for case in cases]
    rows = {
        "as the network gives them": cases,
        "one skeleton": [case._replace(track=with_one_skeleton(case.track)) for case in cases],
        "filtered": smoothed,
        "filtered, one skeleton": [case._replace(track=with_one_skeleton(case.track)) for case in smoothed],
    }
    lines = [line(name, row) for name, row in rows.items()]
    true = [case._replace(track=replace(case.track, joints_3d=rooted(case.true))) for case in cases]
    shaking = [steadiness(recording_of(case)) for case in true]
    lines.append(["true", "0", "0", f"{np.mean([each.jitter_mm for each in shaking]):.0f}", "", ""])
    return markdown_table(COLUMNS, lines)


def line(name: str, cases: Sequence[Case]) -> list[str]:
    """A row of the table."""
    errors, aligned = [], []
    for track, true, valid, _ in cases:
        target = rooted(true)
        errors.append(mpjpe(scale_to_bone_sum(track.joints_3d, target, valid), target, valid, root=PELVIS))
        aligned.append(pa_mpjpe(track.joints_3d, target, valid))
    shaking = [steadiness(recording_of(case)) for case in cases]
    means = [
        float(np.mean([getattr(each, name) for each in shaking])) for name in ("jitter_mm", "jitter_px", "bone_spread")
    ]
    return [
        name, f"{np.concatenate(errors).mean():.1f}", f"{np.concatenate(aligned).mean():.1f}",
        f"{means[0]:.0f}", f"{means[1]:.0f}", f"{100 * means[2]:.1f}",
    ]  # fmt: skip


def rooted(joints: np.ndarray) -> np.ndarray:
    """Joints with the pelvis at 0."""
    return np.asarray(joints - joints[:, PELVIS : PELVIS + 1])


def recording_of(case: Case) -> Recording:
    """The case's track alone."""
    return Recording("", 1, 1, case.times_s, (case.track,), is_clip=True)


def who_is_who(tracks: Sequence[PoseTrack], clip: Sequence[RenderedFrame], speed: int) -> str:
    """How the numbers of tracks go with the two people of a clip who cross."""
    whose: dict[int, Counter[int]] = {}
    off, covered = 0, [set[int](), set[int]()]
    for track in tracks:
        whose[track.person_id] = Counter()
        for i, frame in enumerate(track.frames.tolist()):
            pose = track.pose(i)
            away = np.linalg.norm(clip[frame].joints_2d - pose.joints_2d, axis=-1).mean(-1) / side_of(
                followed_box(pose)
            )
            person = int(away.argmin())
            off += bool(away[person] > OFF)
            covered[person].add(frame)
            whose[track.person_id][person] += 1
    mixed = sum(sum(counts.values()) - max(counts.values()) for counts in whose.values())
    return (
        f"Two people who cross, {speed} x speed, {len(clip)} frames: seen in {len(covered[0])} and {len(covered[1])}; "
        f"{len(whose)} numbers, {mixed} poses under the other's number, {off} on nobody"
    )


if __name__ == "__main__":
    main()
