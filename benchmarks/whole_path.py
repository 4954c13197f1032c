"""From a photo's file to its JSON, stage by stage, against the network alone."""

from __future__ import annotations

import copy
import cProfile
import io
import pstats
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from clock import Job, Times, Took, each, interleaved, noise, ratio
from torch import Tensor

from liftwild import Estimator
from liftwild.detection.detector import Detector
from liftwild.evaluation.tables import markdown_table
from liftwild.inference.runtime import Runtime
from liftwild.media.photo import load_photo, read_photo
from liftwild.pipeline.options import OutputOptions, PoseOptions
from liftwild.pipeline.output_guard import OutputGuard
from liftwild.pipeline.outputs import write_photo, write_photos
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.photos import PhotoResult
from liftwild.pipeline.postprocess import postprocess_photo
from liftwild.pose import PoseTrack, Recording
from liftwild.tracking.smoothing import smooth_recording

JSON = OutputOptions(figure=False)
CLIP_FRAMES, FPS = 100, 25
MANY = 32  # photos that go through together
CLAIM, DECODE, FIND, CROP = "claim the results' names", "read and decode", "find", "crop"
NETWORK, POSES, WRITE = "network", "decode joints, confidence, place in the photo", "place in space, write JSON"
STEPS = (CLAIM, DECODE, CROP, NETWORK, POSES, WRITE)
SUM = "all of it, one after the other"
ALONE, ALONE_MANY = "the network alone, over and over", "the network alone, a full batch"
ONE, TOGETHER = "photo file to JSON, each alone", "photo file to JSON, in full batches"
SMOOTH = "smooth (clips, a frame and person)"


class Watched:
    """A runtime that keeps the seconds that it took: ``took``."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.took = runtime, 0.0
        self.name, self.input_px, self.fingerprint = runtime.name, runtime.input_px, runtime.fingerprint
        self.subpixel = runtime.subpixel

    def __call__(self, crops: np.ndarray) -> tuple[Tensor, Tensor]:
        """As the runtime."""
        start = time.perf_counter()
        found = self.runtime(crops)
        self.took += time.perf_counter() - start
        return found


class Walk:
    """The way of photos to their JSON, step by step as ``liftwild predict --no-figure`` goes it, with ``times`` of each
    of ``STEPS``: mean seconds a photo, once for every call."""

    def __init__(self, estimator: Estimator, photos: Sequence[Path], out: Path) -> None:
        self.estimator, self.photos, self.out = copy.copy(estimator), photos, out
        self.watched = self.estimator.runtime = Watched(estimator.runtime)
        self.times = {step: Times() for step in STEPS}

    def __call__(self) -> Took:
        """Go all of it, for every photo."""
        seconds = dict.fromkeys(STEPS, 0.0)
        claims = OutputGuard(emptied(self.out))
        for photo in self.photos:
            laps = [time.perf_counter()]
            claims.claim(photo, photo.stem, JSON, is_clip=False)
            laps.append(time.perf_counter())
            image, exif = load_photo(photo)[:2]
            laps.append(time.perf_counter())
            people = self.estimator.crop_people(image)
            laps.append(time.perf_counter())
            self.watched.took = 0.0
            poses = next(self.estimator.predict_crops([people]))
            laps.append(time.perf_counter())
            height, width = image.shape[:2]
            recording = Recording.of_photo(photo.name, width, height, poses)
            options = PoseOptions()
            placed = postprocess_photo(recording, options.camera_of(width, height, exif), options)
            write_photo(PhotoResult(photo, placed), self.out, JSON)
            laps.append(time.perf_counter())
            claim, decode, crop, both, write = np.diff(laps)
            network = self.watched.took
            for step, took in zip(STEPS, (claim, decode, crop, network, both - network, write), strict=True):
                seconds[step] += took / len(self.photos)
        for step, took in seconds.items():
            self.times[step].seconds.append(took)
        return Took(sum(seconds.values()))


def emptied(folder: Path) -> Path:
    """``folder``, which is made if need be, without its files: as most runs find it. Writing over files that are there
    takes longer."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    return folder


def in_files(estimator: Estimator, photos: Sequence[Path], out: Path, batch: int) -> Job:
    """Mean seconds a photo of ``write_photos``, ``batch`` people at a time."""
    own = copy.copy(estimator)
    own.batch_size = batch

    def run() -> Took:
        emptied(out)
        start = time.perf_counter()
        write_photos(own, photos, OutputGuard(out), PersonSelection(), PoseOptions(), JSON)
        return Took((time.perf_counter() - start) / len(photos))

    return run


def copies(photos: Sequence[Path], folder: Path) -> list[Path]:
    """``MANY`` photos, each of ``photos`` several times, in ``folder``."""
    folder.mkdir()
    paths = [folder / f"{number}-{photos[number % len(photos)].name}" for number in range(MANY)]
    for number, path in enumerate(paths):
        path.write_bytes(photos[number % len(photos)].read_bytes())
    return paths


def smoothing(estimator: Estimator, photo: Path) -> Job:
    """Mean seconds a frame of smoothing a clip of one person."""
    rng = np.random.default_rng(0)
    (pose,) = estimator.predict(photo, whole=True)
    shaken = [
        replace(pose, joints_3d=pose.joints_3d + rng.normal(0, 5, pose.joints_3d.shape)) for _ in range(CLIP_FRAMES)
    ]
    track = PoseTrack.of_poses(0, range(CLIP_FRAMES), shaken)
    clip = Recording("clip.mp4", 512, 512, np.arange(CLIP_FRAMES) / FPS, (track,), is_clip=True)

    def run() -> Took:
        start = time.perf_counter()
        smooth_recording(clip)
        return Took((time.perf_counter() - start) / CLIP_FRAMES)

    return run


def report(estimator: Estimator, photos: Sequence[Path], out: Path, rounds: int) -> None:
    """Print the table. ``out``: a folder for results, which is made."""
    out.mkdir()
    walk = Walk(estimator, photos, out / "walk")
    crops = np.stack([person.pixels for photo in photos for person in estimator.crop_people(photo)])
    full = np.concatenate([crops] * -(-estimator.batch_size // len(crops)))[: estimator.batch_size]
    jobs: dict[str, Job] = {
        ALONE: each(lambda crop: estimator.runtime(crop[None]), list(crops)),
        ALONE_MANY: each(estimator.runtime, [full]),
        SUM: walk,
        ONE: in_files(estimator, photos, out / "one", 1),
        TOGETHER: in_files(estimator, copies(photos, out / "many"), out / "together", estimator.batch_size),
        SMOOTH: smoothing(estimator, photos[0]),
        FIND: each(Detector(device="cpu", runtime="auto").detect, [read_photo(photo) for photo in photos]),
    }
    found = interleaved(jobs, rounds)
    seconds = {name: times.median for name, times in {**found, **walk.times}.items()}
    seconds[ALONE_MANY] /= len(full)
    alone = seconds[ALONE]
    rows = [
        *((step, seconds.get(step), alone) for step in (CLAIM, DECODE, FIND, *STEPS[2:])),
        (SUM, seconds[SUM], alone),
        (ONE, seconds[ONE], alone),
        (ALONE, alone, alone),
        (TOGETHER, seconds[TOGETHER], seconds[ALONE_MANY]),
        (ALONE_MANY, seconds[ALONE_MANY], seconds[ALONE_MANY]),
        (SMOOTH, seconds[SMOOTH], alone),
    ]
    cells = [[name, "-" if s is None else f"{1e3 * s:.2f}", "-" if s is None else ratio(s, of)] for name, s, of in rows]
    print(f"\n## A photo's file to its JSON, warm: small, {estimator.runtime_name}\n")
    print(markdown_table(("step", "ms a photo", "of the network alone"), cells))
    print(f"\n{FIND}: not part of the sum, one person fills each photo. {ONE}: the next is read meanwhile")
    print(noise({**found, **walk.times}))


def profile(estimator: Estimator, photos: Sequence[Path], out: Path, times: int = 30) -> None:
    """Print which functions a photo's way to JSON spends its time in, one step after the other: a profiler sees one
    thread."""
    walk = Walk(estimator, photos, out)
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    for _ in range(times):
        walk()
    profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(25)
    print(f"\n{times * len(photos)} photos, by time in the function itself\n{text.getvalue()}")
