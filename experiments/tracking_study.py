"""Who is who in clips of several people, where the truth is known.

python experiments/tracking_study.py [--seeds 1 2] [--frames 125] [--weights base] [--card FILE]

Two, three and five rendered people walk from side to side past each other, the nearer hiding the farther, at 25 frames
a second; once in full view, once cut off on the right, where they walk out and back in; two and three also below
pictures of people that hang on the wall. They are followed with the detector that ships. HOTA, IDF1 and identity
switches by TrackEval (pip install trackeval), on boxes of joints; IoU from 0.5 on for IDF1 and switches. Who is hidden
by more than HIDDEN, or less than half in the picture, need not be found.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np

from liftwild.boxes import Box, body_box, clipped, ious
from liftwild.detection.detector import Detector
from liftwild.errors import LiftwildError
from liftwild.evaluation.tables import markdown_table, show_parts
from liftwild.inference.estimator import Estimator
from liftwild.media.encoding import write_png
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import PELVIS
from liftwild.synthetic.render.clip import render_clip
from liftwild.tracking.track_selection import worth_keeping
from liftwild.viz.overlay import drawn_frames

FPS = 25.0
SIZE = 320
WINDOW = 0.6  # of the width, from the left: beyond it people are out of sight
HIDDEN = 0.4  # share of a person's box that somebody nearer covers, from which on nobody need find them
WITH_PICTURES = (2, 3)  # people; more of them fill the frame up to the top
HUNG = 2  # pictures on the wall
MATCH = 0.5  # IoU of a pose with the person it is of
COLUMNS = ("clips", "frames", "HOTA, %", "IDF1, %", "switches", "numbers, of people", "false poses, %", "found, %")


class Seen(NamedTuple):
    """A frame: ``image``; the ``boxes`` (P, 4) of its people, and whether each ``counts`` (P,)."""

    image: np.ndarray
    boxes: np.ndarray
    counts: np.ndarray


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--people", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--frames", type=int, default=125)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--sheet", type=Path, help="draw the clip of most people and the last seed there (.png)")
    parser.add_argument("--card", type=Path, help="also write the table there")
    asked = parser.parse_args(arguments)
    try:
        estimator, detector = Estimator(asked.weights, runtime=asked.runtime), Detector(runtime=asked.runtime)
        rows = []
        for people in asked.people:
            for windowed in (False, True):
                name = f"{people} people" + (", leaving and coming back" if windowed else "")
                clips = [list(clip_of(people, seed, asked.frames, windowed)) for seed in asked.seeds]
                rows.append([name, *scores(estimator, detector, clips)])
                print(" | ".join(rows[-1]), flush=True)
                if people in WITH_PICTURES and not windowed:
                    below = [with_pictures(clip, seed) for clip, seed in zip(clips, asked.seeds, strict=True)]
                    rows.append([f"{name}, pictures on the wall", *scores(estimator, detector, below)])
                    print(" | ".join(rows[-1]), flush=True)
        if asked.sheet:
            clip = list(clip_of(max(asked.people), asked.seeds[-1], asked.frames, windowed=False))
            write_png(asked.sheet, sheet(follow(estimator, detector, clip), clip))
        show_parts([markdown_table(("clip", *COLUMNS), rows)], asked.card)
    except LiftwildError as error:
        sys.exit(f"error: {error}")


def clip_of(people: int, seed: int, frames: int, windowed: bool) -> Iterator[Seen]:
    """A rendered clip, whole or cut off on the right."""
    width = round(SIZE * WINDOW) if windowed else SIZE
    view: Box = (0.0, 0.0, float(width), float(SIZE))
    known = np.ones(16, dtype=bool)
    for frame in render_clip(frames, seed, people=people, fps=FPS, size=SIZE):
        whole = [body_box(joints, known) or (0.0, 0.0, 1.0, 1.0) for joints in frame.joints_2d]
        seen = [clipped(box, view) for box in whole]
        boxes = np.array([box or (-10.0, -10.0, 1.0, 1.0) for box in seen])
        inside = np.array([0.0 if box is None else area(box) / area(own) for box, own in zip(seen, whole, strict=True)])
        near = frame.joints_3d[:, PELVIS, 2]
        hidden = np.array([covered(boxes[i], boxes[near < near[i]]) for i in range(people)])
        yield Seen(frame.image[:, :width].copy(), boxes, (inside >= 0.5) & (hidden <= HIDDEN))


def with_pictures(clip: Sequence[Seen], seed: int) -> list[Seen]:
    """``clip`` with ``HUNG`` photos of other people on the wall above everybody's head: none of them is anybody."""
    room = int(min(frame.boxes[:, 1].min() for frame in clip))
    images = [frame.image.copy() for frame in clip]
    for number in range(HUNG):
        (other,) = render_clip(1, 1000 * seed + number, size=SIZE)
        x, y, w, h = (round(value) for value in body_box(other.joints_2d[0], np.ones(16, dtype=bool)) or (0, 0, 1, 1))
        photo = other.image[max(0, y - 4) : y + h + 4, max(0, x - 4) : x + w + 4]
        photo = cv2.resize(photo, (round(room * photo.shape[1] / photo.shape[0]), room), interpolation=cv2.INTER_AREA)
        left = round((number + 0.5) * SIZE / HUNG - photo.shape[1] / 2)
        for image in images:
            image[:room, left : left + photo.shape[1]] = photo
    return [frame._replace(image=image) for frame, image in zip(clip, images, strict=True)]


def area(box: Sequence[float]) -> float:
    """Of a box (x, y, w, h)."""
    return box[2] * box[3]


def covered(box: np.ndarray, others: np.ndarray) -> float:
    """The largest share of ``box`` that one of ``others`` (N, 4) covers."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    return float((np.maximum(high - low, 0).prod(1) / area(box.tolist())).max(initial=0.0))


def scores(estimator: Estimator, detector: Detector, clips: Sequence[Sequence[Seen]]) -> list[str]:
    """The row of some clips."""
    from trackeval.metrics import CLEAR, HOTA, Identity

    quiet = {"PRINT_CONFIG": False}
    hota, clear, identity = HOTA(), CLEAR(quiet), Identity(quiet)
    sums: dict[str, list[dict[str, float]]] = {"hota": [], "clear": [], "identity": []}
    numbers = 0
    for clip in clips:
        tracks = follow(estimator, detector, clip)
        numbers += len(tracks)
        data = compared(tracks, clip)
        for name, metric in (("hota", hota), ("clear", clear), ("identity", identity)):
            sums[name].append(metric.eval_sequence(data))
    of_clips = {
        name: metric.combine_sequences({str(i): each for i, each in enumerate(sums[name])})
        for name, metric in (("hota", hota), ("clear", clear), ("identity", identity))
    }
    found = of_clips["clear"]
    poses = found["CLR_TP"] + found["CLR_FP"]
    return [
        str(len(clips)), str(sum(map(len, clips))),
        f"{100 * float(np.mean(of_clips['hota']['HOTA'])):.1f}", f"{100 * of_clips['identity']['IDF1']:.1f}",
        f"{found['IDSW']:.0f}", f"{numbers} of {sum(len(clip[0].boxes) for clip in clips)}",
        f"{100 * found['CLR_FP'] / max(poses, 1):.1f}", f"{100 * found['CLR_Re']:.1f}",
    ]  # fmt: skip


def follow(estimator: Estimator, detector: Detector, clip: Sequence[Seen]) -> list[PoseTrack]:
    """The tracks of a clip's people that would be written."""
    tracker = PersonSelection(detector=detector).tracker(estimator)
    poses: dict[int, list] = {}
    for number, frame in enumerate(clip):
        for seen in tracker.step(frame.image, number / FPS):
            assert seen.pose.person_id is not None
            poses.setdefault(seen.pose.person_id, []).append((number, seen.pose))
    tracks = [PoseTrack.of_poses(key, [at for at, _ in own], [pose for _, pose in own]) for key, own in poses.items()]
    return list(worth_keeping(tracks, np.arange(len(clip)) / FPS))


def sheet(tracks: Sequence[PoseTrack], clip: Sequence[Seen], every: int = 6, columns: int = 5) -> np.ndarray:
    """One frame of ``every``, with what was found in it, side by side."""
    recording = Recording("", SIZE, SIZE, np.arange(len(clip)) / FPS, tuple(tracks), is_clip=True)
    chosen = [(number, frame.image) for number, frame in enumerate(clip)][::every]
    drawn = [image for _, image in drawn_frames(recording, chosen)]
    drawn += [np.full_like(drawn[0], 255)] * (-len(drawn) % columns)
    return np.vstack([np.hstack(drawn[i : i + columns]) for i in range(0, len(drawn), columns)])


def compared(tracks: Sequence[PoseTrack], clip: Sequence[Seen]) -> dict:
    """Truth and tracks as TrackEval takes them; poses on people who need not be found are left out."""
    true_ids, own_ids, similar = [], [], []
    for number, frame in enumerate(clip):
        height, width = frame.image.shape[:2]
        here = [
            (i, track.pose(int(at)).joints_2d)
            for i, track in enumerate(tracks)
            for at in np.flatnonzero(track.frames == number)
        ]
        boxes = [box_of(joints, width, height) for _, joints in here]
        overlap = ious(frame.boxes, np.array(boxes).reshape(-1, 4))
        counts, spare = (overlap[chosen].max(axis=0, initial=0) for chosen in (frame.counts, ~frame.counts))
        free = (counts >= MATCH) | (spare < MATCH)
        true_ids.append(np.flatnonzero(frame.counts))
        own_ids.append(np.array([i for i, _ in here], dtype=int)[free])
        similar.append(overlap[frame.counts][:, free])
    ever = np.unique(np.concatenate(true_ids))  # who never counts is nobody to find
    true_ids = [np.searchsorted(ever, ids) for ids in true_ids]
    return {
        "num_timesteps": len(clip), "gt_ids": true_ids, "tracker_ids": own_ids, "similarity_scores": similar,
        "num_gt_ids": len(ever), "num_tracker_ids": len(tracks), "num_gt_dets": sum(map(len, true_ids)),
        "num_tracker_dets": sum(map(len, own_ids)), "seq": "", "num_gt_dets_all": 0,
    }  # fmt: skip


def box_of(joints: np.ndarray, width: int, height: int) -> Box:
    """The box of a pose, within the picture."""
    box = body_box(joints, np.ones(16, dtype=bool))
    return (box and clipped(box, (0.0, 0.0, float(width), float(height)))) or (-10.0, -10.0, 1.0, 1.0)


if __name__ == "__main__":
    main()
