"""Recordings already made: their page for the browser, other formats of them, what they hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from liftwild.console import progress
from liftwild.errors import LiftwildError
from liftwild.files import check_output
from liftwild.io.description import frame_ranges, skeleton_name, skeleton_of
from liftwild.io.formats import FORMATS, read_recording, write_formats
from liftwild.kinematics.upright import is_placed
from liftwild.media.clip_part import part_of
from liftwild.media.photo import read_photo
from liftwild.media.video import Frame, is_photo_name, open_clip
from liftwild.pipeline.options import OutputOptions
from liftwild.pipeline.output_guard import OutputGuard
from liftwild.placement.floor import Levelled
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import Skeleton
from liftwild.viz.draw import UNSURE
from liftwild.viz.report_html import write_recording_report
from liftwild.viz.viewer_html import FORMAT as VIEW_MARK
from liftwild.viz.viewer_html import write_viewer

SHAPE_TOLERANCE = 0.02  # of width by height, of pictures that are those of a recording


def view_recording(path: Path, out: Path | None = None, source: Path | None = None) -> tuple[Path, str]:
    """Write the page of the recording in ``path``; the page, and what is to be said about it, or "".

    ``out``: the page, x.html beside x.json where None. ``source``: the photo, video or folder of frames that was looked
    at; where None, the one beside ``path`` that the recording names, if there is one. LiftwildError if something cannot
    be read, the pictures are others, or ``out`` is something else than such a page.
    """
    return _write_page(path, path.with_suffix(".html") if out is None else out, source, write_viewer)


def report_recording(
    path: Path, out: Path | None = None, source: Path | None = None, min_confidence: float = 0.5
) -> tuple[Path, str]:
    """Write the report on the recording in ``path``; the page, and what is to be said about it, or "".

    ``out``: the page, x.report.html beside x.json where None. ``min_confidence``: of angles, as for
    ``Recording.angles``. All else as in ``view_recording``.
    """
    page = path.with_suffix(".report.html") if out is None else out
    return _write_page(path, page, source, partial(write_recording_report, min_confidence=min_confidence))


def _write_page(path: Path, page: Path, source: Path | None, write: Callable[..., None]) -> tuple[Path, str]:
    recording = read_recording(path)
    check_output(page, _is_page)
    beside = path.with_name(Path(recording.source).name)
    note = ""
    if source is None and beside != path and beside.exists():
        source = beside
    if source is None and recording.width:
        note = f"{page} shows the poses only; --source PATH of {recording.source} shows its pictures too"
    write(page, recording, None if source is None else _pictures(recording, source))
    return page, note


def _is_page(path: Path) -> bool:
    return VIEW_MARK.encode() in path.read_bytes()


def _pictures(recording: Recording, source: Path) -> Iterator[tuple[int, np.ndarray]]:
    is_photo = is_photo_name(source) and not os.path.isdir(source)
    frames: Iterable[Frame]
    if is_photo:
        frames = [Frame(0, 0.0, read_photo(source))]
    else:  # of a part of a clip the same part
        frames = part_of(open_clip(source), recording.start_s or None, None, None).frames()
    return pictures_of(recording, frames, str(source))


def pictures_of(recording: Recording, frames: Iterable[Frame], name: str) -> Iterator[tuple[int, np.ndarray]]:
    """Frames of ``recording`` by number, with their pictures; LiftwildError if these, of what is called ``name``, have
    another shape than those that were looked at."""
    with progress("pictures", len(recording.times_s), "frame") as bar:
        for frame in frames:
            bar.update()
            index, image = frame.number, frame.image
            if image is None or index >= len(recording.times_s):
                continue
            height, width = image.shape[:2]
            if abs(width * recording.height - height * recording.width) > SHAPE_TOLERANCE * width * recording.height:
                raise LiftwildError(
                    f"{name}: its pictures are {width} x {height} px, and the recording is of {recording.width} x "
                    f"{recording.height} px; give the photo or clip {recording.source}"
                )
            yield index, image


def convert_recording(
    path: Path, guard: OutputGuard, wanted: OutputOptions, skeleton: Skeleton | None = None
) -> list[Path]:
    """Write the recording in ``path`` in the formats that are ``wanted``, into ``guard.out``; the files.

    ``skeleton``: the joints that are written, those of the recording where None. LiftwildError if it cannot be read,
    nothing would be written, or an input or somebody else's file would be replaced.
    """
    recording = read_recording(path)
    suffix = max((s for fmt in FORMATS.values() for s in fmt.suffixes if path.name.endswith(s)), key=len)
    stem = path.name.removesuffix(suffix)
    named = [guard.out / (stem + suffix) for name in wanted.formats for suffix in FORMATS[name].suffixes]
    guard.claim(path, stem, wanted, is_clip=True, more=named)  # a photo's too has no pictures
    chosen = skeleton or skeleton_of(recording)
    written = write_formats(recording, guard.out, stem, wanted.formats, chosen, wanted.min_confidence, wanted.rig)
    if not written:
        raise LiftwildError(f"{path}: nobody is in it, and {', '.join(wanted.formats)} files hold one person each")
    return written


def recording_lines(path: Path) -> list[str]:
    """What the recording in ``path`` holds, in lines; LiftwildError if it cannot be read."""
    recording = read_recording(path)
    size = f"{recording.width} x {recording.height} px" if recording.width else "size of the picture not known"
    times, count = recording.times_s, len(recording.times_s)
    length = ""
    if count > 1 and times[-1] > times[0]:
        rate = (count - 1) / float(times[-1] - times[0])
        length = f", {float(times[-1] - times[0]) + 1 / rate:.2f} s at {rate:.4g} frames/s"
    part = f", from {recording.start_s:g} s of it on" if recording.start_s else ""
    what = f"a clip of {count} frames{length}{part}" if recording.is_clip else "a photo"
    skeleton, camera = skeleton_of(recording), recording.camera
    joints = skeleton_name(skeleton) or "of their own"
    lines = [
        f"{path}: poses in {recording.source}, {what}, {size}",
        f"people: {len(recording.tracks)}",
        *(f"  {_track_line(recording, track)}" for track in recording.tracks),
        f"joints: {joints}, {len(skeleton)}",
        "camera: " + (f"f {camera.fx:.0f}, {camera.fy:.0f} px, {recording.camera_from}" if camera else "not known"),
        f"units: 2D px, 3D mm, relative to the pelvis{_axes(recording)}",
        f"confidence: {recording.confidence_is or 'what it is was not kept'}",
    ]
    return [*lines, f"done after the network: {'; '.join(recording.steps) or 'nothing'}"]


def _axes(recording: Recording) -> str:
    if isinstance(recording, Levelled):
        return "; y down in the room, the floor at 0"
    return "; camera axes: x right, y down, z away"


def _track_line(recording: Recording, track: PoseTrack) -> str:
    """What there is of one person."""
    poses = "1 pose" if len(track) == 1 else f"{len(track)} poses"
    frames = f" in frames {frame_ranges(track.frames)}" if recording.is_clip else ""
    shown = np.isfinite(track.joints_3d).all(axis=-1)
    unsure = (track.confidence < UNSURE) & shown
    share = f"{unsure.sum() / max(int(shown.sum()), 1):.0%} of joints unsure (under {UNSURE:g})"
    score = ""
    if track.scores is not None and np.isfinite(track.scores).any():
        score = f", score {np.nanmedian(track.scores):.2f}"
    place = ", placed in space" if is_placed(track) else ""
    return f"person {track.person_id}: {poses}{frames}, {share}{score}{place}"
