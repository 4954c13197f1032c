"""``make bench``: what liftwild costs, as ratios to something measured in the same run, interleaved, medians.

Milliseconds belong to the machine; ratios travel. Nothing else should run meanwhile. benchmarks/README.md explains it.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# As threads.py has it for the command line; torch reads it when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import jobs
import networks
import numpy as np
import starts
import summary
import torch
import whole_path
from clips import write_1080p
from clock import Times
from memory import report as memory_report
from peer import mediapipe
from photos import photos_for_all
from runtimes import AUTO
from steps import report as steps_report

from liftwild import Estimator, __version__

PARTS = ("networks", "path", "training", "memory", "people", "start", "table")
VIDEO_FRAMES = 150  # smoothing costs some 0.3 s for each person, however short the clip


def machine() -> str:
    """What is measured on, and with what."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
        flags = next(line.partition(": ")[2].split() for line in lines if line.startswith("flags"))
        name += "".join(f" {flag}" for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags)
    except (OSError, StopIteration):
        pass
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}"
    threads = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    return f"liftwild {__version__}; {name}, {threads}; {versions}"


def one_table(
    photos: Sequence[Path], folder: Path, found: Mapping[str, Times], rounds: int, processes: int
) -> list[summary.Row]:
    """Measure and print what everything costs; the rows. ``found``: of the starts."""
    video = folder / "1080p.mp4"
    write_1080p(video, VIDEO_FRAMES)
    rows = [*jobs.table_rows(photos, video, VIDEO_FRAMES, folder, rounds, processes), *starts.table_rows(found)]
    print("\n## All of it, in one table\n")
    print(summary.table(rows))
    print(
        f"\nmedians of {rounds} rounds in each of {processes} processes (starts: of one). spread: how far apart the "
        "middle half\nof the rounds lies. floor: of the networks (layers.py), and of decoding alone where a file is "
        "read; of starts:\nPython, or Python and libraries, alone"
    )
    return rows


def main() -> None:
    """Measure the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="of " + ",".join(PARTS))
    parser.add_argument("--photos", type=Path, help="a folder of photos with one person each, instead of rendered ones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--train", default="paper", help="sizes whose training step is measured")
    parser.add_argument("--processes", type=int, default=3, help="whose rounds the one table is made of")
    parser.add_argument("--save", type=Path, help="keep the one table in this file")
    parser.add_argument("--again", type=Path, help="hold the one table against one that was kept")
    parser.add_argument("--predictions", type=int, default=10_000, help="of the memory row")
    parser.add_argument("--profile", action="store_true", help="also where a photo's time goes, by function")
    asked = parser.parse_args()
    parts = asked.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only {','.join(sorted(unknown))}: parts are {', '.join(PARTS)}")
    if (asked.save or asked.again) and "table" not in parts:
        parser.error("--save and --again are about the one table: --only must hold table")
    before = None if asked.again is None else summary.read(asked.again)
    began = time.monotonic()
    print(f"{time.strftime('%Y-%m-%d')}: {machine()}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if {"networks", "path", "table"} & set(parts):
            photos = photos_for_all(asked.photos, folder)
        if "networks" in parts:
            with mediapipe() as peer:
                networks.report(peer, photos, folder, asked.rounds)
        if "path" in parts:
            for runtime in (AUTO, "torch"):
                estimator = Estimator(device="cpu", runtime=runtime)
                whole_path.report(estimator, photos, folder / f"path-{runtime}", asked.rounds)
                if asked.profile:
                    whole_path.profile(estimator, photos, folder / f"profile-{runtime}")
                if runtime == AUTO and estimator.runtime_name.startswith("torch"):
                    break  # that was torch
        if "training" in parts:
            steps_report(asked.train.split(","), max(2, asked.rounds // 3))
        if "memory" in parts:
            memory_report(asked.predictions)
        if "people" in parts:
            print("\n## Rendering\n", flush=True)
            subprocess.run([sys.executable, str(Path(__file__).with_name("people.py"))], check=True)
        rounds = 1 + asked.rounds // 2
        if {"start", "table"} & set(parts):
            found = starts.measured(rounds)
            starts.report(found)
        if "table" in parts:
            rows = one_table(photos, folder, found, rounds, asked.processes)
            if asked.save is not None:
                summary.write(asked.save, machine(), rows)
            if before is not None:
                print(f"\n## Against {asked.again} ({before[0]})\n")
                print(summary.compared(summary.agreements(before[1], rows)))
    print(f"\nall of it took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
