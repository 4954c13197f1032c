"""Starts: seconds from the start of a process to its end, with the files in the disk cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from clock import Times, interleaved, noise
from peer import PYTHON
from photos import EXAMPLE
from summary import Row, row_of

from liftwild.evaluation.tables import markdown_table

LIFTWILD = [sys.executable, "-m", "liftwild"]
NOTHING, LIBRARIES = "python -c pass", "python -c 'import numpy, cv2, openvino'"
IMPORT, HELP, TORCH = "python -c 'import liftwild'", "liftwild --help", "python -c 'import torch'"
FIRST, AGAIN = (
    "liftwild predict person.jpg --no-figure, its cache empty",
    "liftwild predict person.jpg --no-figure, again",
)
IN_TORCH, DRAWN = f"{AGAIN}, --runtime torch", "liftwild predict person.jpg, with its picture, again"
PEER = "MediaPipe full: a process, and a photo's file to JSON"
GOALS_S = {HELP: "0.3", FIRST: "2.5", AGAIN: "2.5"}
# Which is held against which floor, and against MediaPipe.
ROWS = {HELP: (NOTHING, ""), IMPORT: (NOTHING, ""), FIRST: (LIBRARIES, PEER), AGAIN: (LIBRARIES, PEER)}


def run(command: Sequence[str], cache: Path, empty: bool = False, given: str = "") -> None:
    """Run it, quietly, with ``cache`` for what programs keep; CalledProcessError if it fails."""
    if empty:
        shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(exist_ok=True)
    subprocess.run(
        command, check=True, input=given.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip


def measured(rounds: int) -> dict[str, Times]:
    """Each start, in turn."""
    with tempfile.TemporaryDirectory() as temporary:
        out, cache = Path(temporary) / "out", Path(temporary) / "cache"
        photo = [*LIFTWILD, "predict", str(EXAMPLE), "-o", str(out)]
        python = [sys.executable, "-c"]
        jobs = {
            NOTHING: partial(run, [*python, "pass"], cache),
            IMPORT: partial(run, [*python, "import liftwild"], cache),
            HELP: partial(run, [*LIFTWILD, "--help"], cache),
            TORCH: partial(run, [*python, "import torch"], cache),
            LIBRARIES: partial(run, [*python, "import numpy, cv2, openvino"], cache),
            FIRST: partial(run, [*photo, "--no-figure"], cache, empty=True),
            AGAIN: partial(run, [*photo, "--no-figure"], cache),
            IN_TORCH: partial(run, [*photo, "--no-figure", "--runtime", "torch"], cache),
            DRAWN: partial(run, photo, cache),
        }
        if PYTHON.exists():
            request = json.dumps({"file": str(EXAMPLE), "out": str(Path(temporary) / "peer.json")}) + "\n"
            script = str(Path(__file__).with_name("peer_mediapipe.py"))
            jobs[PEER] = partial(run, [str(PYTHON), script], cache, given=request)
        return interleaved(jobs, rounds)


def report(found: Mapping[str, Times]) -> None:
    """Print the table."""
    rows = [[name, f"{times.median:.2f}", GOALS_S.get(name, "-")] for name, times in found.items()]
    print("\n## Starts\n")
    print(markdown_table(("from a process's start to its end", "s", "goal, s"), rows))
    print(f"\n{noise(found)}")


def table_rows(found: Mapping[str, Times]) -> list[Row]:
    """Rows of the one table."""
    return [
        row_of(name, found[name].by_round, found[floor].by_round, found[peer].by_round if peer in found else None)
        for name, (floor, peer) in ROWS.items()
    ]


if __name__ == "__main__":
    report(measured(5))
