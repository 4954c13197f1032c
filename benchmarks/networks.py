"""The network in every runtime and size: milliseconds, and ratios to the floor, to eager torch, to MediaPipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from clock import Job, interleaved, noise, ratio
from peak import DTYPES, best, openvino_jobs, torch_jobs
from peer import DETECT, Peer
from runtimes import EAGER, ROWS, runtime_job

from liftwild.errors import LiftwildError
from liftwild.evaluation.tables import markdown_table
from liftwild.network.posenet import SIZES, PoseNet, macs
from liftwild.weights import save_weights

ORDER = ("small", "base", "paper")
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


def report(peer: Peer | None, photos: Sequence[Path], folder: Path, rounds: int) -> None:
    """Measure everything in turn and print the table."""
    files = weights_files(folder)
    networks, missing = rows_of(files)
    jobs: dict[str, Job] = {row.name: job for row, job in networks.items()}
    for precision in DTYPES:
        jobs |= {**torch_jobs(precision), **openvino_jobs(precision)}
    shared = list(photos)
    if peer is not None:
        shared = [photo for photo in photos if peer.ask(photo=photo, track=False)["found"]]
        if not shared:
            sys.exit(
                "error: MediaPipe finds nobody in any of the photos; give others: make bench BENCH='--photos FOLDER'"
            )
        jobs |= peer.jobs(shared)
    found = interleaved(jobs, rounds)
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

    if peer is None:
        print("\nnothing to compare with: run make bench-peers, then this again")
    else:
        print(f"\nMediaPipe {peer.version}: on the {len(shared)} of {len(photos)} photos in which it finds somebody")
    print(f"\n{noise(found)}")
