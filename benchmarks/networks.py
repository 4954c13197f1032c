"""The network in every runtime and size: milliseconds, and ratios to the floor, to eager torch, to MediaPipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from clock import Job, each, interleaved, noise, ratio
from peak import DTYPES, best, openvino_jobs, torch_jobs
from peer import DETECT, TRACK, Peer
from runtimes import AUTO, EAGER, ROWS, runtime_job

from liftwild import Estimator
from liftwild.detection.detector import Detector
from liftwild.errors import LiftwildError
from liftwild.evaluation.tables import markdown_table
from liftwild.media.photo import read_photo
from liftwild.network.posenet import SIZES, PoseNet, macs
from liftwild.weights import save_weights

ORDER = ("small", "base", "paper")
DETECTED = "detector"
BATCHES = {"small": (1, 16), "base": (1,), "paper": (1,)}


@dataclass(frozen=True)
class Network:
    """A row of the table: a size at a batch, in a runtime."""

    size: str
    batch: int
    runtime: str
    precision: str

    @property
    def name(self) -> str:
        """Of its job."""
        return f"{self.size}, batch {self.batch}, {self.runtime}"


def weights_files(folder: Path) -> dict[str, Path | str]:
    """Weights of each size: what ships, and random ones, written into ``folder``, of the sizes that do not ship."""
    files: dict[str, Path | str] = {"small": "small", "base": "base"}
    for size in ORDER[len(files) :]:
        torch.manual_seed(0)
        files[size] = folder / f"{size}.safetensors"
        save_weights(folder / f"{size}.safetensors", PoseNet(SIZES[size]).eval(), {"sum_length_mm": 4000.0})
    return files


def rows_of(files: dict[str, Path | str]) -> tuple[dict[Network, Job], dict[Network, str]]:
    """The job of each row that can be run here, and why the others cannot."""
    rng = np.random.default_rng(0)
    jobs: dict[Network, Job] = {}
    missing: dict[Network, str] = {}
    for size in ORDER:
        side = SIZES[size].input_px
        for batch in BATCHES[size]:
            pixels = rng.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
            for how, kind, precision in ROWS:
                row = Network(size, batch, how, precision)
                try:
                    jobs[row] = runtime_job(files[size], pixels, kind)
                except LiftwildError as error:
                    missing[row] = str(error)
    return jobs, missing


def in_memory(files: dict[str, Path | str], photos: Sequence[np.ndarray]) -> dict[str, Job]:
    """From a decoded photo to its poses, in the fastest runtime here: jobs for each size, mean seconds.

    Two ways: one person fills each photo; the largest that the detector finds, as with ``predict --people 1``.
    """
    jobs: dict[str, Job] = {}
    detector = Detector(device="cpu", runtime=AUTO)
    for size in ORDER:
        estimator = Estimator(files[size], device="cpu", runtime=AUTO)
        name = f"liftwild {size}, {estimator.runtime_name}"
        jobs[f"{name}: no looking for people"] = each(partial(estimator.predict, whole=True), photos)
        jobs[f"{name}: {DETECTED}"] = each(partial(found_and_seen, estimator, detector), photos)
    return jobs


def found_and_seen(estimator: Estimator, detector: Detector, photo: np.ndarray) -> None:
    """Find the largest person in a photo, and its pose."""
    estimator.predict(photo, [found.box for found in detector.detect(photo, 1)])


def report(peer: Peer | None, photos: Sequence[Path], folder: Path, rounds: int) -> None:
    """Measure everything in turn and print both tables."""
    files = weights_files(folder)
    networks, missing = rows_of(files)
    jobs: dict[str, Job] = {row.name: job for row, job in networks.items()}
    for precision in DTYPES:
        jobs |= {**torch_jobs(precision), **openvino_jobs(precision)}
    shared = list(photos)
    if peer is not None:
        shared = [photo for photo in photos if peer.ask(photo, track=False)["found"]]
        if not shared:
            sys.exit(
                "error: MediaPipe finds nobody in any of the photos; give others: make bench BENCH='--photos FOLDER'"
            )
        jobs |= peer.jobs(shared)
    ours = in_memory(files, [read_photo(photo) for photo in shared])
    found = interleaved({**jobs, **ours}, rounds)
    peaks = {precision: best(found, precision) for precision in DTYPES}

    print("\n## The network alone: crops to heatmaps and depths\n")
    for precision, (rate, which) in peaks.items():
        print(f"peak {precision}: {rate / 1e9:.0f} GFLOP/s ({which})")
    theirs = None if peer is None else found[DETECT].median
    cells = []
    for row in sorted([*networks, *missing], key=lambda row: (ORDER.index(row.size), row.batch)):
        what = f"{row.size}, {SIZES[row.size].input_px} px, batch {row.batch}"
        if row in missing:
            cells.append([what, row.runtime, "-", "-", "-", "-"])
            continue
        took = found[row.name].median
        floor = 2 * macs(SIZES[row.size]) * row.batch / peaks[row.precision][0]
        eager = found[Network(row.size, row.batch, EAGER, "fp32").name].median
        cells.append([what, row.runtime, f"{1e3 * took:.2f}", ratio(took, floor), ratio(took, eager),
                      ratio(took / row.batch, theirs)])  # fmt: skip
    print(
        "\n"
        + markdown_table(("network", "runtime", "ms", "of the floor", "of eager fp32", "an image, of MediaPipe"), cells)
    )
    arithmetic = ", ".join(f"{size} {macs(SIZES[size]) / 1e9:.2f} GMAC" for size in ORDER)
    print(f"\nthe floor: {arithmetic}, at the peak of that precision")
    for reason in dict.fromkeys(missing.values()):
        print(f"-: {reason}")

    print("\n## A photo in memory to its poses\n")
    tracking = None if peer is None else found[TRACK].median
    names = [*ours, *([] if peer is None else [DETECT, TRACK])]
    seconds = {name: found[name].median for name in names}
    cells = [[name, f"{1e3 * s:.2f}", ratio(s, theirs), ratio(s, tracking)] for name, s in seconds.items()]
    print(markdown_table(("what", "ms a photo", "of MediaPipe with its detector", "of it tracking"), cells))
    if peer is None:
        print("\nnothing to compare with: run make bench-peers, then this again")
    else:
        print(
            f"\nMediaPipe {peer.version}; both on the {len(shared)} of {len(photos)} photos in which it finds somebody"
        )
    print(f"\n{noise(found)}")
