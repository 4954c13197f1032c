"""Poses drawn over what they were found in: a PNG of a photo, an mp4 of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from liftwild.files import atomic_path
from liftwild.pose import Pose, Recording
from liftwild.viz.draw import FINE, INK, PAPER, draw_skeleton, in_photo, text
from liftwild.viz.figure import HALO

STROKE = 0.011  # width of bones, in the person's box
STROKES_PX = (1.2, 9.0)
NUMBER_PX = 22  # height of the words beside people, in a frame of NUMBER_FRAME_PX
NUMBER_FRAME_PX = 720
FPS = 25.0  # of a clip of one frame


def draw_overlay(
    image: np.ndarray, poses: Sequence[Pose], number: bool = False, sides: Sequence[float] | None = None
) -> np.ndarray:
    """``image`` (H, W, 3) uint8 RGB with the skeletons of ``poses``, the largest on top; the same size.

    Joints that are rather outside the picture are not drawn. ``number``: also write each one's ``person_id``
    above the head. ``sides``: how large each person is, px, which sets how thick lines are; the longer sides of their
    boxes if None.
    """
    canvas = image.copy()
    sizes = [max(pose.box[2:]) for pose in poses] if sides is None else sides
    for pose, size in sorted(zip(poses, sizes, strict=True), key=lambda each: each[1]):
        stroke = float(np.clip(size * STROKE, *STROKES_PX))
        draw_skeleton(canvas, in_photo(pose), pose, stroke, np.zeros(len(pose.joints_2d)), HALO)
        if number and pose.person_id is not None:
            _write_number(canvas, pose)
    return canvas


def _write_number(canvas: np.ndarray, pose: Pose) -> None:
    """Who it is, above the highest joint."""
    shown = in_photo(pose)
    known = shown[np.isfinite(shown).all(axis=1)]
    if not len(known):
        return
    scale = max(0.5, max(canvas.shape[:2]) / NUMBER_FRAME_PX) / FINE
    x, y = known[known[:, 1].argmin()]
    at = float(np.clip(x, 0, canvas.shape[1])), float(np.clip(y - NUMBER_PX * scale * FINE, 12, canvas.shape[0]))
    for shift in (-1, 1):
        text(canvas, str(pose.person_id), (at[0] + shift, at[1] + shift), 0.9 * scale, PAPER, centred=True)
    text(canvas, str(pose.person_id), at, 0.9 * scale, INK, centred=True)


def drawn_frames(recording: Recording, frames: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """``frames`` (index, picture) of the clip with what was found in them drawn on."""
    where = [dict(zip(track.frames.tolist(), range(len(track)), strict=True)) for track in recording.tracks]
    # One thickness for a whole track: boxes breathe.
    sides = [float(np.median(track.boxes[:, 2:].max(axis=1))) for track in recording.tracks]
    number = len(recording.tracks) > 1
    for index, image in frames:
        there = [i for i, at in enumerate(where) if index in at]
        poses = [recording.tracks[i].pose(where[i][index]) for i in there]
        yield index, draw_overlay(image, poses, number, [sides[i] for i in there])


def write_overlay(path: Path, recording: Recording, frames: Iterable[tuple[int, np.ndarray]]) -> None:
    """Write the clip's ``frames`` (index, picture, rising) with its people drawn on as ``path`` (.mp4), whole or not.

    Each picture is shown from its own time until the next one; without sound. LiftwildError if it cannot be written.
    """
    from liftwild.media.video_writer import VideoWriter  # loads FFmpeg, which photos do not need

    times = np.asarray(recording.times_s, dtype=np.float64)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / FPS
    ends = [*times[1:], times[-1] + step]
    with (
        atomic_path(path) as part,
        part.open("wb") as file,
        VideoWriter(file, recording.width, recording.height, 1 / step, path) as writer,
    ):
        for index, image in drawn_frames(recording, frames):
            writer.write(image, times[index], ends[index])
