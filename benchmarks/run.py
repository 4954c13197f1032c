"""``make bench``: what liftwild costs, as ratios to something measured in the same run, interleaved, medians.

Milliseconds belong to the machine; ratios travel. Nothing else should run meanwhile. benchmarks/README.md explains it.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

# As threads.py has it for the command line; torch reads it when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import networks
import numpy as np
import torch
import whole_path
from memory import report as memory_report
from peer import mediapipe
from photos import photos_for_all
from runtimes import AUTO
from starts import report as starts_report
from steps import report as steps_report

from liftwild import Estimator, __version__

PARTS = ("networks", "path", "training", "start", "memory")


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


def main() -> None:
    """Measure the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="of " + ",".join(PARTS))
    parser.add_argument("--photos", type=Path, help="a folder of photos with one person each, instead of rendered ones")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--train", default="small,base,paper", help="sizes whose training step is measured")
    parser.add_argument("--predictions", type=int, default=10_000, help="of the memory row")
    parser.add_argument("--profile", action="store_true", help="also where a photo's time goes, by function")
    asked = parser.parse_args()
    parts = asked.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only {','.join(sorted(unknown))}: parts are {', '.join(PARTS)}")
    began = time.monotonic()
    print(f"{time.strftime('%Y-%m-%d')}: {machine()}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if {"networks", "path"} & set(parts):
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
        steps_report(asked.train.split(","), max(1, asked.rounds // 3))
    if "start" in parts:
        starts_report(max(1, asked.rounds - 3))
    if "memory" in parts:
        memory_report(asked.predictions)
    print(f"\nall of it took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
