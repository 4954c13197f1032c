"""Poses drawn over what they were found in: a PNG of a photo, an mp4 of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from liftwild.errors import LiftwildError
from liftwild.files import atomic_path
from liftwild.media.encoding import write_png
from liftwild.media.photo import quiet
from liftwild.pose import Pose, Recording
from liftwild.viz.draw import FINE, INK, PAPER, draw_skeleton, in_photo, text
from liftwild.viz.figure import HALO

STROKE = 0.011  # width of bones, in the person's box
STROKES_PX = (1.2, 9.0)
NUMBER_PX = 22  # height of the words beside people, in a frame of NUMBER_FRAME_PX
NUMBER_FRAME_PX = 720
FPS_RANGE = (1.0, 120.0)  # of the video that is written
CODEC = "mp4v"  # MPEG-4 part 2: every OpenCV can write it, and every player but browsers shows it


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


def write_overlay(path: Path, recording: Recording, frames: Iterable[tuple[int, np.ndarray]]) -> tuple[Path, str]:
    """Write the clip's ``frames`` (index, picture, rising) with its people drawn on as ``path`` (.mp4), whole or not.

    Times are kept: at the clip's median frame rate each picture is shown until the next one is due. Without sound.
    Where this OpenCV has no encoder, pictures go into a folder instead, ``path`` without its suffix. Returns what was
    written, and a line to say about it or "". LiftwildError if it cannot be written.
    """
    times = np.asarray(recording.times_s, dtype=np.float64)
    steps = np.diff(times)
    fps = float(np.clip(1 / np.median(steps), *FPS_RANGE)) if len(steps) else 25.0
    size = recording.width + recording.width % 2, recording.height + recording.height % 2
    drawn = drawn_frames(recording, frames)
    try:
        with atomic_path(path) as part:
            with quiet():
                writer = cv2.VideoWriter(str(part), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*CODEC), fps, size)
            if not writer.isOpened():
                writer.release()
                part.write_bytes(b"")  # if this fails, it is not for want of an encoder
                raise _NoEncoderError
            try:
                shown = _write_frames(writer, drawn, times, fps, size)
            finally:
                writer.release()
            _check_written(part, shown, path)
        return path, ""
    except _NoEncoderError:
        return _write_pictures(path, drawn)


def _write_frames(
    writer: cv2.VideoWriter,
    drawn: Iterable[tuple[int, np.ndarray]],
    times: np.ndarray,
    fps: float,
    size: tuple[int, int],
) -> int:
    """Write each picture for as long as it is shown; how many frames that made."""
    shown = 0
    for index, image in drawn:
        until = times[index + 1] if index + 1 < len(times) else times[index] + 1 / fps
        frame = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        right, below = size[0] - frame.shape[1], size[1] - frame.shape[0]
        if right or below:
            frame = cv2.copyMakeBorder(frame, 0, below, 0, right, cv2.BORDER_REPLICATE)
        for _ in range(max(0, round(until * fps) - shown)):
            writer.write(frame)
            shown += 1
    return shown


def _check_written(part: Path, shown: int, path: Path) -> None:
    """LiftwildError unless ``part`` is a video of ``shown`` frames: the encoder does not say that a disk is full."""
    with quiet():
        capture = cv2.VideoCapture(str(part), cv2.CAP_FFMPEG)
    held = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    if held < shown or not held:
        raise LiftwildError(f"{path}: cannot be written whole ({max(held, 0)} of {shown} frames); is the disk full?")


def _write_pictures(path: Path, drawn: Iterable[tuple[int, np.ndarray]]) -> tuple[Path, str]:
    folder = path.with_suffix("")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise LiftwildError(f"{folder}: cannot be written: {error.strerror}") from None
    for index, image in drawn:
        write_png(folder / f"{index:06d}.png", image)
    return folder, f"this OpenCV has no encoder for mp4: the overlay's frames are pictures in {folder}"


class _NoEncoderError(Exception):
    """This OpenCV cannot write an mp4."""
