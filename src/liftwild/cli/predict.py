"""``liftwild predict``: photos, videos, folders of frames and streams of images into poses."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from liftwild.errors import LiftwildError
from liftwild.threads import wait_kindly

if TYPE_CHECKING:
    import numpy as np

    from liftwild.detection.detector import Detection, Detector
    from liftwild.inference.estimator import Estimator
    from liftwild.media.video import Clip
    from liftwild.pipeline.photos import PersonSelection
    from liftwild.pipeline.postprocess import OutputGuard, OutputOptions

STREAM = "-"


class Numbers(click.ParamType):
    """Several finite numbers with commas between, as many as ``name`` has."""

    def __init__(self, name: str, meaning: str) -> None:
        self.name, self.meaning = name, meaning

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The numbers as a tuple of floats."""
        if isinstance(value, tuple):
            return value
        names = self.name.split(",")
        try:
            numbers = tuple(float(number) for number in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != len(names) or not all(map(math.isfinite, numbers)):
            words = {2: "two", 4: "four"}[len(names)]
            self.fail(f"{value!r} is not {words} numbers {self.name} ({self.meaning})", param, ctx)
        return numbers


class Box4(Numbers):
    """x,y,w,h in px."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Four finite floats; w and h above 0."""
        numbers = super().convert(value, param, ctx)
        if numbers[2] <= 0 or numbers[3] <= 0:
            self.fail(f"{value!r} has no size: w and h must be above 0", param, ctx)
        return numbers


class People(click.ParamType):
    """A number from 1 on, or all."""

    name = "N|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; 0 for all."""
        if str(value) == "all":
            return 0
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither a number from 1 on nor 'all'", param, ctx)
        return int(value)


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PHOTO|VIDEO|FOLDER|-...")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--clip", "as_clip", is_flag=True, help="A folder is one clip, its images are the frames.")
@click.option("--fps", type=float, help="Frames a second of a folder or stream.  [default: 30]")
@click.option("--box", type=Box4("x,y,w,h", "px, the box's top left corner and its size"), help="Where the person is.")
@click.option(
    "--boxes", type=click.Path(path_type=Path), help="Where the people are: COCO labels or a detector's results."
)
@click.option("--photo-ids", type=click.Path(path_type=Path), help="COCO labels that say which photo a result's id is.")
@click.option("--box-score", type=click.FloatRange(0, 1), help="Leave out less sure results.  [default: 0.3]")
@click.option("--min-score", type=click.FloatRange(0, 1), help="Of the detector: leave out who scores less.")
@click.option("--people", default="all", show_default=True, type=People(), help="The largest N people, or all.")
@click.option("--at", type=Numbers("x,y", "px"), help="The one person under this point.")
@click.option("--whole", is_flag=True, help="Look for nobody: one person fills each photo, or the first frame.")
@click.option("--raw", is_flag=True, help="Of clips: smooth nothing.")
@click.option("--camera", type=Numbers("fx,fy,cx,cy", "px"), help="The camera, to place people in space.")
@click.option("--fov", type=float, help="Or its field of view across the longer side, degrees.")
@click.option("--height-m", type=float, help="How tall the people are, m.")
@click.option("--min-confidence", default=0.0, type=click.FloatRange(0, 1), help="Hide less sure joints: null.")
@click.option(
    "--skeleton", default="mpii16", show_default=True, type=click.Choice(["mpii16", "coco17", "h36m17"]),
    help="Which joints are written.",
)  # fmt: skip
@click.option(
    "--format", "formats", default="json", show_default=True, metavar="A,B,...",
    help="json, csv, npz, parquet, coco, bvh, trc, overlay.",
)  # fmt: skip
@click.option("--view", is_flag=True, help="Also a page for the browser, x.html.")
@click.option("--figure", "vector", multiple=True, type=click.Choice(["pdf", "svg"]), help="Also a photo's figure so.")
@click.option("--no-figure", is_flag=True, help="Write no picture x.png of a photo.")
@click.option(
    "--weights", default="base", show_default=True,
    help="Name of shipped weights, a .safetensors file, a run's folder, or a file of 'export'.",
)  # fmt: skip
@click.option(
    "--runtime", default="auto", show_default=True,
    type=click.Choice(["auto", "torch", "torch-bf16", "openvino", "openvino-fp32", "openvino-bf16", "onnx"]),
    help="What computes; auto is the fastest that is installed.",
)  # fmt: skip
@click.option("--flip-test", is_flag=True, help="Look at the mirrored photo too and average: slower, a little better.")
@click.option("--device", help="What torch calls it: cpu, cuda, ...  [default: a GPU if there is one]")
@click.option("--batch-size", default=16, show_default=True, type=click.IntRange(min=1), help="People at a time.")
@click.pass_context
def predict(ctx: click.Context, sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Find the 3D pose of people in photos and videos.

    Writes OUT/<stem>.json (docs/using.md explains it) of each, and OUT/<stem>.png of a photo. A folder means the photos
    in it, without subfolders, or with --clip the frames of one clip; - is a stream of JPEG or PNG images on stdin.
    Videos are followed and smoothed (docs/video.md), and what was interrupted goes on by the same command. Exits with 1
    if something failed; the rest is still done.
    """
    _check(options)
    wait_kindly()
    from liftwild.inference.estimator import Estimator
    from liftwild.media.photo import find_photos
    from liftwild.pipeline.photos import make_folder, predict_files
    from liftwild.pipeline.postprocess import OutputGuard

    wanted = _wanted(options)
    photos, clips = _sorted_out(sources, options["as_clip"])
    if options["fps"] is not None and not any(clip == Path(STREAM) or clip.is_dir() for clip in clips):
        raise click.UsageError("--fps is for folders with --clip and for streams; a video tells its own")
    if options["vector"] and not photos:
        raise click.UsageError("--figure is for photos; --format overlay and --view show a clip")
    found = find_photos(photos)
    estimator = Estimator(
        options["weights"], options["device"], options["flip_test"], options["batch_size"], options["runtime"]
    )
    whom = _whom(options, needs_detector=bool(clips) or options["box"] is None)
    if whom.index is not None:
        whom.index.check(found, f"--boxes {options['boxes']}")
    make_folder(out)
    claims = OutputGuard(out, {path.resolve() for path in [*found, *clips]})
    failed = False
    if found:
        counts = predict_files(estimator, found, claims, whom, wanted)
        click.echo(f"{counts}; results in {out} ({estimator.runtime_name})")
        failed = counts.failed > 0
    for clip in clips:
        try:
            _predict_clip(estimator, clip, options["fps"], claims, whom, wanted)
        except LiftwildError as error:
            click.echo(f"error: {error}", err=True)
            failed = True
    if failed:
        ctx.exit(1)


def _check(options: dict[str, Any]) -> None:
    """UsageError on options that do not go together, or make no sense."""
    for one, other in (("box", "boxes"), ("camera", "fov"), ("box", "at"), ("boxes", "at"), ("whole", "at")):
        if options[one] not in (None, False) and options[other] not in (None, False):
            raise click.UsageError(f"--{one} and --{other} exclude each other")
    if options["min_score"] is not None and (options["boxes"] is not None or options["whole"]):
        instead = "--box-score is that of --boxes" if options["boxes"] is not None else "--whole looks for nobody"
        raise click.UsageError(f"--min-score is for the detector; {instead}")
    for name in ("photo_ids", "box_score"):
        if options[name] is not None and options["boxes"] is None:
            raise click.UsageError(f"--{name.replace('_', '-')} is for --boxes")
    if options["fov"] is not None and not 5 <= options["fov"] <= 170:
        raise click.UsageError(f"--fov: a camera sees 5 to 170 degrees across, not {options['fov']:g}")


def _wanted(options: dict[str, Any]) -> OutputOptions:
    """What shall be written; LiftwildError on an unknown format, or one whose library is missing."""
    from liftwild.io.formats import check_formats
    from liftwild.pipeline.postprocess import OutputOptions, split_formats
    from liftwild.skeleton import SKELETONS

    formats, overlay = split_formats(options["formats"])
    return OutputOptions(
        formats=check_formats(formats),
        figure=not options["no_figure"],
        vector=tuple(dict.fromkeys(options["vector"])),
        overlay=overlay,
        view=options["view"],
        skeleton=SKELETONS[options["skeleton"]],
        camera=options["camera"],
        fov_deg=options["fov"],
        height_m=options["height_m"],
        min_confidence=options["min_confidence"],
        raw=options["raw"],
    )


def _whom(options: dict[str, Any], needs_detector: bool) -> PersonSelection:
    """PersonSelection to look at; LiftwildError on broken labels, or where the detector cannot be used."""
    from liftwild.data.external_boxes import MIN_SCORE, ExternalBoxes
    from liftwild.pipeline.photos import PersonSelection

    if options["boxes"] is not None:
        least = MIN_SCORE if options["box_score"] is None else options["box_score"]
        index = ExternalBoxes.read(options["boxes"], options["photo_ids"], least)
        return PersonSelection(index=index, named=(("--boxes", index.fingerprint),))
    detector = None if options["whole"] or not needs_detector else _detector(options)
    if detector is None:
        return PersonSelection(box=options["box"], named=(("--whole", "True"),))
    from liftwild.detection.detector import under

    most, at = options["people"] or None, options["at"]

    def people_in(image: np.ndarray) -> list[Detection]:
        people = detector.detect(image, None if at is not None else most)
        if at is None:
            return people
        chosen = under(people, *at)
        return [] if chosen is None else [chosen]

    named = (("--people", str(most)), ("--at", str(at)), ("detector", detector.fingerprint()))
    return PersonSelection(options["box"], None, people_in, detector.detect, most, at, named)


def _detector(options: dict[str, Any]) -> Detector:
    """The detector that ships."""
    from liftwild.detection.detector import Detector

    return Detector(device=options["device"], min_score=options["min_score"], runtime=options["runtime"])


def _sorted_out(sources: Sequence[Path], as_clip: bool) -> tuple[list[Path], list[Path]]:
    """Which of ``sources`` are photos (or folders of such), and which are clips."""
    from liftwild.media.video import is_photo_name, is_video_name

    photos: list[Path] = []
    clips: list[Path] = []
    for source in dict.fromkeys(sources):
        is_folder = source.is_dir()
        if as_clip and is_photo_name(source) and not is_folder:
            raise click.UsageError(f"--clip: {source} is a photo; give the folder that the frames are in, or a video")
        is_clip = as_clip or str(source) == STREAM or (is_video_name(source) and not is_folder)
        (clips if is_clip else photos).append(source)
    return photos, clips


def _predict_clip(
    estimator: Estimator,
    path: Path,
    fps: float | None,
    claims: OutputGuard,
    whom: PersonSelection,
    wanted: OutputOptions,
) -> None:
    from liftwild.media.image_stream import ByteSource
    from liftwild.media.video import FrameStream, open_clip
    from liftwild.pipeline.clip import predict_clip

    clip: Clip
    if str(path) == STREAM:
        if sys.stdin.isatty():
            raise LiftwildError("stdin is a terminal; - wants images there, as from: ffmpeg -i x.mp4 -f image2pipe -")
        clip = FrameStream(cast(ByteSource, sys.stdin.buffer), fps)
        done = predict_clip(estimator, clip, claims, whom, wanted)
    else:
        clip = open_clip(path, fps if path.is_dir() else None)
        done = predict_clip(estimator, clip, claims, whom, wanted, path)
    for note in done.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{done}; results in {claims.out} ({estimator.runtime_name})")
    for line in done.shaking:
        click.echo(f"  {line}")
