"""Where the time of a folder of photos and of a 1080p video goes, stage by stage, and what is hidden behind what.

python benchmarks/stages.py [--weights base,small] [--frames 300] [--rounds 3] [--photos FOLDER] [--picture FILE]

``liftwild predict`` itself runs, in this process, with clocks around named functions (``watch.py``); the command as a
whole runs beside it in a process of its own. benchmarks/README.md explains the tables.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

# As threads.py has it for the command line; torch reads it when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

from clips import write_1080p, write_phone_photos
from photos import photos_for_all
from plot import write_stages
from watch import MAIN, OTHERS, REST, WAIT, Spot, Watch, clocks
from whole_path import copies, emptied

import liftwild.pipeline.outputs as outputs
import liftwild.pipeline.photos as photo_stream
import liftwild.pipeline.video as video
import liftwild.tracking.tracker as tracker
from liftwild import Estimator
from liftwild.crop import Crop
from liftwild.detection.detector import Detector
from liftwild.detection.runtime import DetectorRuntime
from liftwild.evaluation.tables import markdown_table
from liftwild.media.video import open_clip
from liftwild.media.video_file import VideoFile
from liftwild.pipeline.options import OutputOptions, PoseOptions
from liftwild.pipeline.output_guard import OutputGuard
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.spool import Spool
from liftwild.threads import usable_cores

DECODE, RGB, RESIZE, FIND, FOUND = (
    "read and decode",
    "to RGB",
    "detector: resize",
    "detector: network",
    "detector: boxes",
)
CROP, NETWORK, JOINTS, TRACK = "crop", "network", "decode joints, confidence", "track"
CAMERA, PLACE, DRAW, WRITE, CLAIM = "does the camera move", "place, smooth", "draw", "write", "claim names"
ORDER = (DECODE, RGB, RESIZE, FIND, FOUND, CROP, NETWORK, JOINTS, TRACK, CAMERA, PLACE, DRAW, WRITE, CLAIM, REST, WAIT)
# Stages that share a colour in the picture.
PARTS = {
    RGB: DECODE, RESIZE: "resize, crop", CROP: "resize, crop", FIND: "detector", FOUND: "detector", TRACK: "track",
    CAMERA: "track", PLACE: "place, write, the rest", WRITE: "place, write, the rest", CLAIM: "place, write, the rest",
    REST: "place, write, the rest",
}  # fmt: skip
FORMATS = ("json", "bvh")
GOAL_FPS, GOAL_BUSY = 60, 0.9


def spots(estimator: Estimator) -> list[Spot]:
    """The clocks; each stage's own time is without those within."""
    return [
        Spot(DECODE, photo_stream, "load_photo"),
        Spot(DECODE, VideoFile, "frames", gives_many=True),
        Spot(RGB, VideoFile, "_frame"),
        Spot(FOUND, Detector, "detect"),
        Spot(FIND, DetectorRuntime, "__call__"),
        Spot(CROP, Crop, "apply", within=(FOUND, RESIZE)),
        Spot(CROP, Estimator, "crop_people"),
        Spot(NETWORK, type(estimator.runtime), "__call__"),
        Spot(JOINTS, Estimator, "predict_crops", gives_many=True),
        Spot(TRACK, tracker.Tracker, "step"),
        Spot(CAMERA, video.Background, "step"),
        Spot(PLACE, photo_stream, "postprocess_photo"),
        Spot(PLACE, video, "read_log"),
        Spot(PLACE, video, "postprocess_clip"),
        Spot(DRAW, photo_stream, "shrink_for_figure"),
        Spot(DRAW, outputs, "draw_figure"),
        Spot(DRAW, outputs, "write_png"),
        Spot(WRITE, Spool, "add"),
        Spot(WRITE, outputs, "write_formats"),
        Spot(CLAIM, OutputGuard, "claim"),
        Spot(WAIT, Future, "result"),
        Spot(WAIT, photo_stream, "read_ahead", gives_many=True),
        Spot(WAIT, video, "read_ahead", gives_many=True),
    ]


@dataclass(frozen=True)
class Run:
    """One way through the pipeline: ``unit`` of which there are ``count``; ``whole``: seconds of all rounds."""

    name: str
    unit: str
    count: int
    watch: Watch
    whole: tuple[float, ...]

    def ms(self, seconds: float) -> float:
        """Of one unit."""
        return 1e3 * seconds / self.count

    @property
    def fps(self) -> float:
        """Units a second."""
        return self.count / self.watch.wall


def watched(name: str, unit: str, count: int, estimator: Estimator, rounds: int, job: Callable[[], object]) -> Run:
    """``job`` once to warm up, then ``rounds`` times; the round of the median time is kept."""
    seen = []
    for _ in range(rounds + 1):
        watch = Watch()
        with clocks(watch, spots(estimator)), redirect_stderr(StringIO()), watch.running():
            job()
        seen.append(watch)
    seen = sorted(seen[1:], key=lambda watch: watch.wall)
    return Run(name, unit, count, seen[len(seen) // 2], tuple(watch.wall for watch in seen))


def photos_job(estimator: Estimator, photos: Sequence[Path], out: Path, figure: bool) -> Callable[[], object]:
    """``liftwild predict FOLDER``, with its pictures or --no-figure."""
    selection = PersonSelection(detector=Detector(device="cpu"))
    wanted = OutputOptions(figure=figure)
    return lambda: outputs.write_photos(estimator, photos, OutputGuard(emptied(out)), selection, PoseOptions(), wanted)


def video_job(estimator: Estimator, clip: Path, out: Path) -> Callable[[], object]:
    """``liftwild predict CLIP --format json,bvh``."""
    selection = PersonSelection(detector=Detector(device="cpu"))
    wanted = OutputOptions(formats=FORMATS, figure=False)
    return lambda: outputs.write_clip(
        estimator, open_clip(clip), OutputGuard(emptied(out)), selection, PoseOptions(), wanted, clip
    )


def table(run: Run) -> str:
    """Stages by thread, ms of one unit."""
    rows = []
    for thread in (MAIN, OTHERS):
        for stage in ORDER:
            spent = run.watch.spent.get((thread, stage))
            if spent is not None:
                rows.append([stage, thread, f"{spent.calls / run.count:.2f}", f"{run.ms(spent.wall):.2f}",
                             f"{run.ms(spent.cpu):.2f}", f"{100 * spent.wall / run.watch.wall:.1f} %"])  # fmt: skip
    helpers = run.watch.cpu - sum(run.watch.of_thread.values())
    rows.append(["all stages", "helpers", "-", "-", f"{run.ms(helpers):.2f}", "-"])
    head = (
        "stage",
        "thread",
        f"calls a {run.unit}",
        f"ms a {run.unit}",
        f"own CPU ms a {run.unit}",
        "of the whole time",
    )
    return markdown_table(head, rows)


def busy_s(run: Run, thread: str) -> float:
    """Seconds in which a thread is in a stage and does not wait."""
    return sum(spent.wall for (own, stage), spent in run.watch.spent.items() if own == thread and stage != WAIT)


def told(run: Run) -> str:
    """What is hidden behind what, in lines."""
    watch = run.watch
    main, reader = busy_s(run, MAIN), busy_s(run, OTHERS)
    waits = watch.spent[MAIN, WAIT].wall
    hidden = max(0.0, main + reader - watch.wall)
    spread = (max(run.whole) - min(run.whole)) / watch.wall
    cores = usable_cores()
    return (
        f"{run.fps:.1f} {run.unit}s/s; {run.ms(watch.wall):.2f} ms a {run.unit} (rounds lie within {100 * spread:.0f} "
        f"%); CPU time {run.ms(watch.cpu):.2f} ms, {cores} cores {100 * watch.cpu / watch.wall / cores:.0f} % "
        f"busy; were they always, {cores * run.count / watch.cpu:.1f} {run.unit}s/s\n"
        f"main thread: {run.ms(main):.2f} ms of work, {run.ms(waits):.2f} of waiting; the others: "
        f"{run.ms(reader):.2f} ms of work, of which {run.ms(hidden):.2f} are hidden behind the main thread's; "
        f"in one thread {run.ms(main + reader):.2f}"
    )


def command(weights: str, sources: Sequence[str], out: Path, count: int) -> list[str]:
    """A row of the table of whole commands, in a process of their own with its start."""
    words = [sys.executable, "-m", "liftwild", "predict", *sources, "-o", str(out), "--weights", weights]
    before, start = os.times(), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return [f"{wall:.2f}", f"{count / wall:.1f}", f"{100 * cpu / wall / usable_cores():.0f} %"]


def draw(runs: Sequence[Run], path: Path) -> None:
    """Two bars a run, of its threads, made of their stages; ms of one photo or frame."""
    panels: dict[str, dict[str, tuple[dict[str, float], float]]] = {}
    for run in runs:
        weights, _, what = run.name.partition(", ")
        for thread in (MAIN, OTHERS):
            parts: dict[str, float] = {}
            for stage in ORDER:
                if (spent := run.watch.spent.get((thread, stage))) is not None:
                    part = PARTS.get(stage, stage)
                    parts[part] = parts.get(part, 0.0) + run.ms(spent.wall)
            panels.setdefault(what, {})[f"{weights}: {thread}"] = parts, run.ms(run.watch.wall)
    title = "ms of a photo or frame, by thread; white: waits; black: one is done"
    write_stages(path, title, panels, WAIT)


def report(weights: Sequence[str], given: Path | None, frames: int, rounds: int, picture: Path | None) -> None:
    """Measure everything, print the tables, draw the picture."""
    runs, whole = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "one").mkdir()
        (folder / "phone").mkdir()
        first = photos_for_all(given, folder / "one")
        sets = {"photos": copies(first, folder / "many")}
        if given is None:
            sets = {"512 px photos": sets["photos"], "12 MP photos": write_phone_photos(first, folder / "phone")}
        clip = folder / "clip.mp4"
        rate = write_1080p(clip, frames)
        print(f"the video: 1920 x 1080 px, {frames} frames, H.264 of {rate:.1f} Mbit/s")
        for size in weights:
            estimator = Estimator(size, device="cpu")
            for name, photos in sets.items():
                for figure in (False, True):
                    title = f"{size}, {name}, " + ("JSON and picture" if figure else "JSON")
                    job = photos_job(estimator, photos, folder / "out", figure)
                    runs.append(watched(title, "photo", len(photos), estimator, rounds, job))
            title = f"{size}, 1080p video, {' + '.join(FORMATS)}"
            runs.append(watched(title, "frame", frames, estimator, rounds, video_job(estimator, clip, folder / "out")))
            for run in runs[-2 * len(sets) - 1 :]:
                print(f"\n## {run.name}\n\n{table(run)}\n\n{told(run)}", flush=True)
            asked = {name: [*map(str, photos), "--no-figure"] for name, photos in sets.items()}
            asked["1080p video"] = [str(clip), "--format", ",".join(FORMATS)]
            for name, sources in asked.items():
                count = len(sets.get(name, ())) or frames
                done = command(size, sources, emptied(folder / "out"), count)
                whole.append([f"{size}, {name}", str(count), *done])
    print("\n## The command as a whole, with its start\n")
    print(markdown_table(("what", "how many", "s", "a second", "cores busy"), whole))
    print(f"\nthe goals of a video: {GOAL_FPS} frames/s, cores {100 * GOAL_BUSY:.0f} % busy")
    if picture is not None:
        draw(runs, picture)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="base,small")
    parser.add_argument("--photos", type=Path, help="a folder of photos, instead of those of 512 px and of 12 MP")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="draw the stages into this PNG")
    asked = parser.parse_args()
    report(asked.weights.split(","), asked.photos, asked.frames, asked.rounds, asked.picture)


if __name__ == "__main__":
    main()
