"""Runs over files: what is found is written as it comes, one line for each file that fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liftwild.console import progress, say
from liftwild.errors import LiftwildError, line_of
from liftwild.inference.estimator import Estimator
from liftwild.io.formats import write_formats
from liftwild.joint_mapping import in_skeleton
from liftwild.media.encoding import write_png
from liftwild.media.photo import read_photo
from liftwild.media.video import Clip
from liftwild.pipeline.options import OutputOptions, PoseOptions
from liftwild.pipeline.output_guard import OutputGuard
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.photos import PhotoResult, predict_photos
from liftwild.pipeline.spool import Spool
from liftwild.pipeline.video import VideoResult, log_settings, predict_video
from liftwild.pose import Recording, hide
from liftwild.viz.figure import draw_figure
from liftwild.viz.overlay import draw_overlay, write_overlay

Frames = Callable[[], Generator[tuple[int, np.ndarray], None, None]]
BEHIND = 2  # photos that are done and not yet written


@dataclass
class Counts:
    """What became of the photos of a run."""

    photos: int
    done: int = 0
    people: int = 0
    without_box: int = 0
    failed: int = 0
    empty: int = 0

    def __str__(self) -> str:
        photos = "1 photo" if self.photos == 1 else f"{self.photos} photos"
        people = "1 person" if self.people == 1 else f"{self.people} people"
        without = f", {self.without_box} without a box" if self.without_box else ""
        without += f", nobody found in {self.empty}" if self.empty else ""
        return f"{photos}: {self.done} done ({people}{without}), {self.failed} failed"


def write_photos(
    estimator: Estimator,
    photos: Sequence[Path],
    guard: OutputGuard,
    selection: PersonSelection,
    poses: PoseOptions,
    wanted: OutputOptions,
) -> Counts:
    """Predict ``photos`` and write what is ``wanted`` of each, named by its stem, into ``guard.out``.

    A photo in which nobody is found, or without a box in the labels, gets an empty list of people. A photo that fails
    is one line on stderr and the others go on. Nothing is overwritten but results of liftwild. LiftwildError if the
    weights are broken.
    """
    counts = Counts(len(photos))
    with progress("", len(photos), "photo", stays=True) as bar:

        def fail(error: object) -> None:
            counts.failed += 1
            say(f"error: {error}", err=True)
            bar.update()

        claimed = []
        for photo in photos:
            try:
                guard.claim(photo, photo.stem, wanted, is_clip=False)
                claimed.append(photo)
            except LiftwildError as error:
                fail(error)
        keep = wanted.figure or bool(wanted.vector)
        waiting: deque[tuple[PhotoResult, Future[int]]] = deque()

        def settle() -> None:
            result, written = waiting.popleft()
            if result.warning:
                say(f"warning: {result.warning}", err=True)
            try:
                people = written.result()
            except Exception as error:
                fail(line_of(error, result.path))
                return
            counts.done += 1
            counts.people += people
            if not people:
                counts.without_box += selection.external is not None
                counts.empty += selection.external is None
            bar.update()

        # Pictures take longer to draw than the network takes, beside which a thread draws them.
        with ThreadPoolExecutor(1, "liftwild-writer") as writer:
            try:
                for result in predict_photos(estimator, claimed, selection, poses, keep, bar.set_postfix_str):
                    waiting.append((result, writer.submit(write_photo, result, guard.out, wanted)))
                    if len(waiting) > BEHIND:
                        settle()
            finally:
                while waiting:
                    settle()
    return counts


def write_clip(
    estimator: Estimator,
    clip: Clip,
    guard: OutputGuard,
    selection: PersonSelection,
    poses: PoseOptions,
    wanted: OutputOptions,
    source: Path | None = None,
) -> tuple[VideoResult, list[str]]:
    """Follow the people of ``clip`` and write what is ``wanted`` of it into ``guard.out``, named by its stem; and what
    else is to be said, in lines.

    What is found in the frames is kept in STEM.spool as it comes: after an interruption the same call goes on from
    there, and if nothing is left to do it only writes. ``source``: what errors call the clip. LiftwildError if no frame
    can be read, nobody is found, the file belongs to another clip or settings, or something cannot be written.
    """
    stem = Path(clip.name).stem if source is None or source.is_file() else clip.name
    name = str(source or clip.name)
    if wanted.overlay and not clip.rereadable:
        raise LiftwildError(f"{name}: an overlay reads its clip twice, and a stream comes once; keep it in a file")
    path = guard.out / f"{stem}.spool"
    guard.claim(source or Path(clip.name), stem, wanted, is_clip=True, more=[path])
    with Spool(path, log_settings(estimator, clip, selection)) as spool:
        try:
            done = predict_video(estimator, clip, selection, poses, spool, name)
        except LiftwildError as error:
            raise LiftwildError(f"{error}{_kept(spool, clip)}") from None
        except KeyboardInterrupt:
            if kept := _kept(spool, clip):
                say(f"{name}{kept}", err=True)
            raise
    notes = [done.fault] if done.fault else []
    notes += _write_clip(done.recording, guard.out, stem, wanted, done.pictures if clip.rereadable else None)
    return done, notes


def _kept(spool: Spool, clip: Clip) -> str:
    """How an interrupted run is gone on with, after what stopped it."""
    if not spool.frames or spool.is_complete:
        return ""
    again = "" if clip.rereadable else ", sent the stream again,"
    return f"; {spool.frames} frames are kept in {spool.path}, the same command{again} goes on from there"


def write_photo(result: PhotoResult, out: Path, wanted: OutputOptions) -> int:
    """Everything that is ``wanted`` of a photo; how many people it holds. LiftwildError if it failed, or cannot be
    written.

    The formats first: pictures without them would look like somebody else's to the next run.
    """
    if result.recording is None or result.path is None:
        raise LiftwildError(result.error)
    recording, photo, stem = result.recording, result.path, result.path.stem
    write_formats(recording, out, stem, wanted.formats, wanted.skeleton, wanted.min_confidence, wanted.rig)
    if not wanted.pictures(out, stem, is_clip=False):
        return len(recording.tracks)
    visible = _visible(recording, wanted)
    poses = visible.poses
    size = recording.width, recording.height
    if wanted.figure and result.picture is not None:
        write_png(out / f"{stem}.png", draw_figure(result.picture, poses, size))
    for kind in wanted.vector:
        from liftwild.viz.vector import write_vector_figure  # needs matplotlib

        picture = read_photo(photo) if result.picture is None else result.picture
        write_vector_figure(out / f"{stem}.{kind}", picture, poses, size)
    if wanted.overlay:
        write_png(out / f"{stem}.overlay.png", draw_overlay(read_photo(photo), poses, len(poses) > 1))
    if wanted.view:
        from liftwild.viz.viewer_html import write_viewer

        write_viewer(out / f"{stem}.html", visible, [(0, read_photo(photo))])
    return len(recording.tracks)


def _write_clip(recording: Recording, out: Path, stem: str, wanted: OutputOptions, frames: Frames | None) -> list[str]:
    """Everything that is ``wanted`` of a clip; lines to be said about it. ``frames``: reads the clip once more."""
    write_formats(recording, out, stem, wanted.formats, wanted.skeleton, wanted.min_confidence, wanted.rig)
    visible = _visible(recording, wanted)
    notes = []
    if wanted.overlay and frames is not None:
        with closing(frames()) as pictures:  # its thread ends with it, also after Ctrl-C
            write_overlay(out / f"{stem}.overlay.mp4", visible, pictures)
    if wanted.view:
        from liftwild.viz.viewer_html import write_viewer

        if frames is None:
            write_viewer(out / f"{stem}.html", visible, None)
            notes.append(f"{stem}.html shows the poses only: a stream cannot be read again for pictures")
        else:
            with closing(frames()) as pictures:
                write_viewer(out / f"{stem}.html", visible, pictures)
    return notes


def _visible(recording: Recording, wanted: OutputOptions) -> Recording:
    """What pictures show: hidden joints left out, in the joints asked for."""
    tracks = tuple(hide(track, wanted.min_confidence) for track in recording.tracks)
    return in_skeleton(replace(recording, tracks=tracks), wanted.skeleton)
