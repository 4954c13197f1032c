"""``liftwild predict``: photos, videos, folders of frames and streams of images into poses."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from liftwild.cli.option_types import (
    DEVICE_HELP,
    BoxNumbers,
    CountOrAll,
    FormatList,
    InputPath,
    Numbers,
    OwnedChoice,
    PersonHeights,
    rigs,
    wrong_usage,
)
from liftwild.console import say
from liftwild.errors import LiftwildError, line_of
from liftwild.files import make_folder
from liftwild.inference.runtime_kinds import RUNTIME_NAMES
from liftwild.skeleton import SKELETONS
from liftwild.threads import wait_kindly
from liftwild.tracking.filter_names import FILTERS

if TYPE_CHECKING:
    from liftwild.inference.estimator import Estimator
    from liftwild.pipeline.options import OutputOptions, PoseOptions
    from liftwild.pipeline.output_guard import OutputGuard
    from liftwild.pipeline.person_selection import PersonDetector, PersonSelection

STREAM = "-"


@dataclass(frozen=True)
class PredictOptions:
    """The options of the command, as click gives them."""

    out: Path
    as_clip: bool
    fps: float | None
    start: float | None
    end: float | None
    slow_motion: float | None
    box: tuple[float, float, float, float] | None
    boxes: Path | None
    photo_ids: Path | None
    box_score: float | None
    min_score: float | None
    people: int
    min_track_s: float | None
    at: tuple[float, float] | None
    whole: bool
    raw: bool
    time_filter: str
    cutoff_hz: float | None
    free_feet: bool
    camera: tuple[float, ...] | None
    fov: float | None
    height_m: float | dict[int, float] | None
    min_confidence: float
    skeleton: str
    formats: str
    rig: str
    view: bool
    vector: tuple[str, ...]
    no_figure: bool
    weights: str
    runtime: str
    flip_test: bool
    device: str | None
    batch_size: int

    def check(self) -> None:
        """UsageError on options that do not go together, or make no sense."""
        given = {
            name for name in ("box", "boxes", "camera", "fov", "at", "photo_ids", "box_score", "min_score")
            if getattr(self, name) is not None
        } | ({"whole"} if self.whole else set())  # fmt: skip
        for one, other in (("box", "boxes"), ("camera", "fov"), ("box", "at"), ("boxes", "at"), ("whole", "at")):
            if {one, other} <= given:
                raise click.UsageError(f"--{one} and --{other} exclude each other")
        if "min_score" in given and given & {"boxes", "whole"}:
            instead = "--box-score is that of --boxes" if "boxes" in given else "--whole looks for nobody"
            raise click.UsageError(f"--min-score is for the detector; {instead}")
        for name in ("photo_ids", "box_score"):
            if name in given and "boxes" not in given:
                raise click.UsageError(f"--{name.replace('_', '-')} is for --boxes")

    def pose_options(self) -> PoseOptions:
        """What is done to poses; LiftwildError if it makes no sense."""
        from liftwild.pipeline.options import PoseOptions
        from liftwild.tracking.filters import filter_of

        time_filter = filter_of(self.time_filter, self.cutoff_hz)
        return PoseOptions(self.camera, self.fov, self.height_m, not self.raw, time_filter, self.free_feet)

    def output_options(self) -> OutputOptions:
        """What is written; LiftwildError on an unknown format, or one whose library is missing."""
        from liftwild.pipeline.options import OutputOptions, split_formats

        formats, overlay = split_formats(self.formats)
        return OutputOptions(
            formats=formats,
            figure=not self.no_figure,
            vector=tuple(dict.fromkeys(self.vector)),
            overlay=overlay,
            view=self.view,
            skeleton=SKELETONS[self.skeleton],
            min_confidence=self.min_confidence,
            rig=self.rig,
        )

    def selection(self, has_clips: bool) -> PersonSelection:
        """Whom to look at; LiftwildError on broken labels, or where the detector cannot be used."""
        from liftwild.data.external_boxes import MIN_SCORE, ExternalBoxes
        from liftwild.pipeline.person_selection import PersonSelection
        from liftwild.tracking.track_selection import MIN_TRACK_S

        if self.boxes is not None:
            least = MIN_SCORE if self.box_score is None else self.box_score
            return PersonSelection(external=ExternalBoxes.read(self.boxes, self.photo_ids, least))
        # A photo's own box needs no detector; whoever is followed through a clip may be lost and looked for.
        needs_detector = not self.whole and (has_clips or self.box is None)
        detector = make_detector(self) if needs_detector else None
        least = MIN_TRACK_S if self.min_track_s is None else self.min_track_s
        return PersonSelection(self.box, None, detector, self.people or None, self.at, least)


def make_detector(options: PredictOptions) -> PersonDetector:
    """The detector that ships."""
    from liftwild.detection.detector import Detector

    return Detector(device=options.device, min_score=options.min_score, runtime=options.runtime)


@click.command("predict")
@click.argument(
    "sources",
    nargs=-1,
    required=True,
    type=InputPath(path_type=Path, readable=False),
    metavar="PHOTO|VIDEO|FOLDER|-...",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--clip", "as_clip", is_flag=True, help="A folder is one clip, its images are the frames.")
@click.option("--fps", type=float, help="Frames a second of a folder or stream.  [default: 30]")
@click.option("--start", type=float, help="Of clips: begin so many seconds after the beginning.")
@click.option("--end", type=float, help="And end so many seconds after it.")
@click.option("--slow-motion", type=float, help="Of clips: filmed so many times faster than they are shown.")
@click.option("--box", type=BoxNumbers("x,y,w,h", "px, the box's top left corner and its size"),
              help="Where the person is.")  # fmt: skip
@click.option("--boxes", type=click.Path(path_type=Path),
              help="Where the people are: COCO labels or a detector's results.")  # fmt: skip
@click.option("--photo-ids", type=click.Path(path_type=Path), help="COCO labels that say which photo a result's id is.")
@click.option("--box-score", type=click.FloatRange(0, 1), help="Leave out less sure results.  [default: 0.3]")
@click.option("--min-score", type=click.FloatRange(0, 1), help="Of the detector: leave out who scores less.")
@click.option(
    "--people",
    default="all",
    show_default=True,
    type=CountOrAll(),
    help="The largest N people, in a clip those seen best.",
)
@click.option("--min-track-s", type=click.FloatRange(min=0),
              help="Of clips: leave out who is seen for a shorter time.  [default: 0.5]")  # fmt: skip
@click.option("--at", type=Numbers("x,y", "px"), help="The one person under this point.")
@click.option("--whole", is_flag=True, help="Look for nobody: one person fills each photo, or the first frame.")
@click.option("--raw", is_flag=True, help="Of clips: smooth nothing.")
@click.option("--filter", "time_filter", default=FILTERS[0], show_default=True,
              type=click.Choice(FILTERS), help="Of clips: how they are smoothed.")  # fmt: skip
@click.option("--cutoff-hz", type=float, help="Of Butterworth.  [default: by residual analysis]")
@click.option("--free-feet", is_flag=True, help="Of clips: leave feet as they are found, also where they stand.")
@click.option("--camera", type=Numbers("fx,fy,cx,cy", "px"), help="The camera, to place people in space.")
@click.option("--fov", type=float, help="Or its field of view across the longer side, degrees.")
@click.option("--height-m", type=PersonHeights(), help="How tall people are, m; or by person: 0:1.80,1:1.65.")
@click.option("--min-confidence", default=0.0, type=click.FloatRange(0, 1), help="Hide less sure joints: null.")
@click.option("--skeleton", default="mpii16", show_default=True, type=click.Choice(list(SKELETONS)),
              help="Which joints are written.")  # fmt: skip
@click.option("--format", "formats", default="json", show_default=True, type=FormatList(),
              help="One or more, with commas between.")  # fmt: skip
@click.option("--rig", default="plain", show_default=True, type=OwnedChoice(rigs),
              help="Joints of animations: those found, or by the names of Mixamo or Rigify.")  # fmt: skip
@click.option("--view", is_flag=True, help="Also a page for the browser, x.html.")
@click.option("--figure", "vector", multiple=True, type=click.Choice(["pdf", "svg"]), help="Also a photo's figure so.")
@click.option("--no-figure", is_flag=True, help="Write no picture x.png of a photo.")
@click.option("--weights", default="base", show_default=True,
              help="Name of shipped weights, a .safetensors file, a run's folder, or a file of 'export'.")  # fmt: skip
@click.option("--runtime", default="auto", show_default=True, type=click.Choice(RUNTIME_NAMES),
              help="What computes; auto is the fastest that is installed.")  # fmt: skip
@click.option("--flip-test", is_flag=True, help="Look at the mirrored photo too and average: slower, a little better.")
@click.option("--device", help=DEVICE_HELP)
@click.option("--batch-size", default=16, show_default=True, type=click.IntRange(min=1), help="People at a time.")
@click.pass_context
def predict_command(ctx: click.Context, sources: tuple[Path, ...], **given: Any) -> None:
    """Find the 3D pose of people in photos and videos.

    Writes OUT/<stem>.json (docs/files.md explains it) of each, and OUT/<stem>.png of a photo. A folder means the photos
    in it, without subfolders, or with --clip the frames of one clip; - is a stream of JPEG or PNG images on stdin.
    Videos are followed and smoothed (docs/video.md), and what was interrupted goes on by the same command. Exits with 1
    if something failed; the rest is still done.
    """
    options = PredictOptions(**given)
    options.check()
    wait_kindly()
    from liftwild.inference.estimator import Estimator
    from liftwild.inference.runtime import is_cpu
    from liftwild.media.photo import find_photos
    from liftwild.pipeline.output_guard import OutputGuard
    from liftwild.pipeline.outputs import write_photos

    with wrong_usage():
        poses = options.pose_options()
        is_cpu(options.device)  # or an error
    wanted = options.output_options()
    photos, clips = _photos_and_clips(sources, options.as_clip)
    if options.fps is not None and not any(clip == Path(STREAM) or os.path.isdir(clip) for clip in clips):
        raise click.UsageError("--fps is for folders with --clip and for streams; a video tells its own")
    if options.vector and not photos:
        raise click.UsageError("--figure is for photos; --format overlay and --view show a clip")
    if not clips and (options.start, options.end, options.slow_motion) != (None, None, None):
        raise click.UsageError("--start, --end and --slow-motion are for clips")
    failed = False

    def fail(line: object) -> None:
        nonlocal failed
        failed = True
        say(f"error: {line}", err=True)

    photos = [photo for photo in photos if not _holds_poses(photo, fail)]
    found = find_photos(photos, fail, lambda line: say(f"note: {line}", err=True))
    if not found and not clips:
        ctx.exit(1)
    estimator = Estimator(options.weights, options.device, options.flip_test, options.batch_size, options.runtime)
    selection = options.selection(bool(clips))
    if selection.external is not None:
        selection.external.check(found, f"--boxes {options.boxes}")
    make_folder(options.out)
    guard = OutputGuard(options.out, {os.path.realpath(path) for path in [*found, *clips]})
    if found:
        counts = write_photos(estimator, found, guard, selection, poses, wanted)
        say(f"{counts}; results in {options.out} ({estimator.runtime_name})")
        failed = failed or counts.failed > 0
    for clip in clips:
        try:
            _predict_clip(estimator, clip, options, guard, selection, poses, wanted)
        except Exception as error:
            fail(line_of(error, clip))
    if failed:
        ctx.exit(1)


def _holds_poses(path: Path, fail: Callable[[object], object]) -> bool:
    """Whether the file holds poses already; ``fail`` is told what to do with it."""
    from liftwild.io.formats import is_recording

    if not is_recording(path):
        return False
    fail(
        f"{path} holds poses, no photo: 'liftwild view {path}' shows them, "
        f"'liftwild convert {path} --format bvh -o OUT' writes other formats"
    )
    return True


def _photos_and_clips(sources: Sequence[Path], as_clip: bool) -> tuple[list[Path], list[Path]]:
    """Which of ``sources`` are photos (or folders of such), and which are clips."""
    from liftwild.media.video import is_photo_name, is_video_name

    photos: list[Path] = []
    clips: list[Path] = []
    for source in dict.fromkeys(sources):
        is_folder = os.path.isdir(source)
        if as_clip and is_photo_name(source) and not is_folder:
            raise click.UsageError(f"--clip: {source} is a photo; give the folder that the frames are in, or a video")
        is_clip = as_clip or str(source) == STREAM or (is_video_name(source) and not is_folder)
        (clips if is_clip else photos).append(source)
    return photos, clips


def _predict_clip(
    estimator: Estimator, path: Path, options: PredictOptions, guard: OutputGuard, selection: PersonSelection,
    poses: PoseOptions, wanted: OutputOptions,
) -> None:  # fmt: skip
    from liftwild.media.clip_part import part_of
    from liftwild.media.image_stream import ByteSource
    from liftwild.media.video import Clip, FrameStream, open_clip
    from liftwild.pipeline.outputs import write_clip

    is_stream = str(path) == STREAM
    if is_stream and sys.stdin.isatty():
        raise LiftwildError("stdin is a terminal; - wants images there, as from: ffmpeg -i x.mp4 -f image2pipe -")
    clip: Clip
    if is_stream:
        clip = FrameStream(cast(ByteSource, sys.stdin.buffer), options.fps)
    else:
        clip = open_clip(path, options.fps if os.path.isdir(path) else None)
    clip = part_of(clip, options.start, options.end, options.slow_motion)
    done, notes = write_clip(estimator, clip, guard, selection, poses, wanted, None if is_stream else path)
    for note in notes:
        say(f"note: {note}", err=True)
    frames = "1 frame" if done.frames == 1 else f"{done.frames} frames"
    people = "1 person" if len(done.recording.tracks) == 1 else f"{len(done.recording.tracks)} people"
    skipped = f", {done.skipped} broken or missing ones skipped" if done.skipped else ""
    found = f"{people} in {done.frames_with_people} of them"
    say(f"{done.recording.source}: {frames} done{skipped}; {found}; results in {guard.out} ({estimator.runtime_name})")
    for line in done.shaking:
        say(f"  {line}")
