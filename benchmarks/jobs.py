"""The jobs of the one table of ``make bench``: ours, floors and MediaPipe's, in turn, in several processes.

A process has its own memory layout and its own networks; so the rounds of several tell how far apart runs lie.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

# As threads.py has it for the command line; torch reads it when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import av
import cv2
import numpy as np
from bandwidth import Copies
from bounds import Machine, floor_s
from clips import CLIP
from clock import Job, Times, Took, each, interleaved, timed
from layers import layers_of, shipped
from peak import FLOP, openvino_jobs
from peer import DETECT, TRACK, Peer, mediapipe
from summary import Row, row_of
from whole_path import emptied

from liftwild import Estimator
from liftwild.detection.detector import Detector
from liftwild.media.photo import read_photo
from liftwild.media.video import open_clip
from liftwild.pipeline.options import OutputOptions, PoseOptions
from liftwild.pipeline.output_guard import OutputGuard
from liftwild.pipeline.outputs import write_clip, write_photos
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.threads import usable_cores

SIZES = ("small", "base")
CLIP_FRAMES, CLIP_FPS = 40, 25
FORMATS = ("json", "bvh")
FILE, MOVING, MOVING_DETECT, VIDEO = (
    "MediaPipe: file",
    "MediaPipe: clip",
    "MediaPipe: clip, detector",
    "MediaPipe: video",
)
DECODE, DECODE_VIDEO = "JPEG alone", "H.264 alone"


@dataclass(frozen=True)
class Compared:
    """A row: our ``job``, MediaPipe's (``peer``), the floors of which ``networks``, how often each a unit, and of which
    other job (``plus``) how large a part."""

    name: str
    job: str
    peer: str
    networks: Mapping[str, float]
    plus: tuple[str, float] = ("", 0.0)


def seen(estimator: Estimator, detector: Detector, photo: np.ndarray) -> None:
    """Find the largest person in a photo, and its pose."""
    estimator.predict(photo, [found.box for found in detector.detect(photo, 1)])


class Asked:
    """A detector that counts how often it is asked."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.times, self.min_score = detector, 0, detector.min_score

    def detect(self, *arguments: Any, **named: Any) -> Any:
        """As the detector's."""
        self.times += 1
        return self.detector.detect(*arguments, **named)

    def fingerprint(self) -> str:
        """As the detector's."""
        return self.detector.fingerprint()


def follow(estimator: Estimator, detector: Asked, frames: Sequence[np.ndarray]) -> int:
    """Follow the person of a clip through frames in memory; how often the detector was asked."""
    detector.times = 0
    tracker = PersonSelection(detector=detector, max_people=1).tracker(estimator)
    for number, frame in enumerate(frames):
        tracker.step(frame, number / CLIP_FPS)
    return detector.times


def quietly(job: Callable[..., object]) -> Callable[..., None]:
    """``job`` without its progress bar."""

    def run(*arguments: object) -> None:
        with redirect_stderr(StringIO()):
            job(*arguments)

    return run


def a_unit(job: Job, units: int) -> Job:
    """Seconds of a unit of a job that does ``units``."""
    return lambda: Took(timed(job) / units)


def ours(photos: Sequence[Path], video: Path, frames: int, out: Path) -> tuple[dict[str, Job], list[Compared]]:
    """Our jobs, mean seconds of a photo or frame, and the rows that they make."""
    detector = Detector(device="cpu")
    images = [read_photo(photo) for photo in photos]
    clip = [frame.image for frame in open_clip(CLIP).frames() if frame.image is not None][:CLIP_FRAMES]
    selection = PersonSelection(detector=detector)
    json_only = OutputOptions(figure=False)
    jobs: dict[str, Job] = {}
    rows = []
    for size in SIZES:
        own, both = {size: 1.0}, {size: 1.0, "detector": 1.0}
        estimator = Estimator(size, device="cpu")

        def files(some: Sequence[Path], estimator: Estimator = estimator) -> None:
            write_photos(estimator, some, OutputGuard(emptied(out)), selection, PoseOptions(), json_only)

        def clip_file(estimator: Estimator = estimator) -> None:
            wanted = replace(json_only, formats=FORMATS)
            guard = OutputGuard(emptied(out))
            write_clip(estimator, open_clip(video), guard, selection, PoseOptions(), wanted, video)

        asked = Asked(detector)
        often = follow(estimator, asked, clip) / len(clip)
        tracked = {size: 1.0, "detector": often}
        every = f"detector every {1 / often:.1f} frames"
        decoded = (DECODE_VIDEO, 1 / usable_cores())  # beside the network, on one of the cores
        names = {
            f"{size}: photo in memory to poses, with detector": each(partial(seen, estimator, detector), images),
            f"{size}: photo in memory to poses, no detector": each(partial(estimator.predict, whole=True), images),
            f"{size}: frame in memory, tracking": a_unit(partial(follow, estimator, asked, clip), len(clip)),
            f"{size}: photo's file to JSON, alone": each(quietly(lambda photo, do=files: do([photo])), photos),
            f"{size}: photo's file to JSON, in a folder": a_unit(quietly(partial(files, photos)), len(photos)),
            f"{size}: 1080p frame of a video to {' + '.join(FORMATS)}": a_unit(quietly(clip_file), frames),
        }  # fmt: skip
        jobs |= names
        found, whole, moving, alone, folder, shown = names
        rows += [
            Compared(found, found, DETECT, both),
            Compared(f"{whole} (its tracking)", whole, TRACK, own),
            Compared(f"{moving}, {every} (its tracking)", moving, MOVING, tracked),
            Compared(f"{moving}, {every} (its detector)", moving, MOVING_DETECT, tracked),
            Compared(alone, alone, FILE, both, (DECODE, 1.0)),
            Compared(folder, folder, FILE, both, (DECODE, 1.0)),
            Compared(shown, shown, VIDEO, tracked, decoded),
        ]
    contents = [np.frombuffer(photo.read_bytes(), np.uint8) for photo in photos]
    jobs[DECODE] = each(lambda content: cv2.imdecode(content, cv2.IMREAD_COLOR), contents)
    jobs[DECODE_VIDEO] = a_unit(partial(decode_alone, video), frames)
    return jobs, rows


def decode_alone(video: Path) -> None:
    """All frames of a video, decoded by one thread, not made RGB."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "NONE", 1
        for _ in container.decode(stream):
            pass


def theirs(peer: Peer, photos: Sequence[Path], video: Path, out: Path) -> dict[str, Job]:
    """MediaPipe's jobs, mean seconds of a photo or frame."""
    target = out.with_name("peer.json")
    each_file = [peer.job(file=photo, out=target) for photo in photos]
    clip = {"clip": CLIP, "frames": CLIP_FRAMES}
    return {
        **peer.jobs(photos),
        FILE: lambda: Took(sum(float(job()) for job in each_file) / len(photos)),  # type: ignore[arg-type]
        MOVING: peer.job(track=True, **clip),
        MOVING_DETECT: peer.job(track=False, **clip),
        VIDEO: peer.job(video=video, out=target),
    }


def floors(found: Mapping[str, Times], copies: Copies) -> Iterator[dict[str, float]]:
    """The floor of each network, s, in each round."""
    networks = {}
    for name in (*SIZES, "detector"):
        network = shipped(name)
        networks[name] = network.precision, list(layers_of(network.compiled(1, counting=False)).values())
    for number in range(len(next(iter(found.values())).by_round)):
        levels = copies.levels({name: found[name].by_round[number] for name in copies.jobs})
        rates: dict[str, float] = {}
        for name, times in found.items():
            if name.startswith("peak "):
                precision = name.split()[1].strip(",")
                rate = FLOP[name.split()[-1]] / times.by_round[number]
                rates[precision] = max(rate, rates.get(precision, 0.0))
        yield {name: floor_s(layers, Machine(rates[kind], levels)) for name, (kind, layers) in networks.items()}


def measure(photos: Sequence[Path], video: Path, frames: int, out: Path, rounds: int) -> list[dict[str, Any]]:
    """Rows as seconds by round: of a child."""
    copies = Copies()
    out.mkdir(exist_ok=True)
    with mediapipe() as peer:
        if peer is not None:
            photos = [photo for photo in photos if peer.ask(photo=photo, track=False)["found"]] or photos
        mine, rows = ours(photos, video, frames, out)
        jobs = {**copies.jobs, **openvino_jobs("fp32"), **openvino_jobs("bf16"), **mine}
        jobs |= {} if peer is None else theirs(peer, photos, video, out)
        found = interleaved(jobs, rounds)
    least = list(floors(found, copies))
    told = []
    for row in rows:
        floor = [sum(round_[name] * often for name, often in row.networks.items()) for round_ in least]
        if row.plus[0]:
            other = found[row.plus[0]].by_round
            floor = [own + row.plus[1] * more for own, more in zip(floor, other, strict=True)]
        seconds = None if row.peer not in found else found[row.peer].by_round
        told.append({"job": row.name, "ours": found[row.job].by_round, "floor": floor, "peer": seconds})
    told += [
        {
            "job": f"{name}: floor of the network",
            "ours": [round_[name] for round_ in least],
            "floor": None,
            "peer": None,
        }
        for name in least[0]
    ]
    return told


def table_rows(
    photos: Sequence[Path], video: Path, frames: int, folder: Path, rounds: int, processes: int
) -> list[Row]:
    """The rows, from ``rounds`` in each of several ``processes``, one after the other."""
    parts = []
    for number in range(processes):
        command = [sys.executable, __file__, "--video", str(video), "--frames", str(frames), "--rounds", str(rounds)]
        command += ["--out", str(folder / f"jobs-{number}"), *map(str, photos)]
        parts.append(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1]))

    def whole(number: int, name: str) -> list[float] | None:
        lists = [part[number][name] for part in parts]
        return None if None in lists else [value for rounds_ in lists for value in rounds_]

    rows = []
    for number, first in enumerate(parts[0]):
        seconds = whole(number, "ours")
        assert seconds is not None
        rows.append(row_of(first["job"], seconds, whole(number, "floor"), whole(number, "peer")))
    return rows


def main() -> None:
    """Measure, as a child of ``table_rows``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.photos, asked.video, asked.frames, asked.out, asked.rounds)))


if __name__ == "__main__":
    main()
