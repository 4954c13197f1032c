"""A long clip end to end: memory in its first and its last minute, frames a second. Nothing else should run meanwhile.

python benchmarks/video.py [--minutes 10] [--formats json,csv,overlay] [--out FOLDER] [--weights small] [--device cpu]

Ten seconds of a rendered person are shown forward and backward for as long as asked, and go through ``liftwild
predict`` in a process of their own, whose resident memory is read from /proc (Linux).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import chain, cycle, islice
from pathlib import Path

import numpy as np

from liftwild.boxes import body_box
from liftwild.media.video_writer import VideoWriter
from liftwild.synthetic.render.clip import render_clip

FPS, DISTINCT, SIZE, EVERY_S = 25, 250, 320, 0.1


def main() -> None:
    """Make the clip, run the command, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--formats", default="json,csv,overlay")
    parser.add_argument("--out", type=Path, help="keep clip and results there")
    parser.add_argument("--weights", default="base")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = asked.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        clip, box = out / "long.mp4", make_clip(out / "long.mp4", asked.minutes)
        command = [sys.executable, "-m", "liftwild", "predict", str(clip), "-o", str(out / "poses"), "--box", box]
        command += ["--format", asked.formats, "--view", "--weights", asked.weights, "--device", asked.device]
        report(watch(command, out / "poses" / "long.spool"), asked.minutes)


def make_clip(path: Path, minutes: int) -> str:
    """Write the clip; the person's box in its first frame, as --box takes it."""
    frames = list(render_clip(DISTINCT, 5, fps=FPS, size=SIZE))
    box = body_box(frames[0].joints_2d[0], np.ones(16, dtype=bool))
    assert box is not None
    there_and_back = cycle(chain(range(DISTINCT), range(DISTINCT - 2, 0, -1)))
    with path.open("wb") as file, VideoWriter(file, SIZE, SIZE, FPS, path) as writer:
        for number, shown in enumerate(islice(there_and_back, minutes * 60 * FPS)):
            writer.write(frames[shown].image, number / FPS, (number + 1) / FPS)
    return ",".join(f"{value:.1f}" for value in box)


def watch(command: Sequence[str], spool: Path) -> list[tuple[float, int, float]]:
    """Run ``command``: (seconds since its start, bytes of its spool, resident MB), many times a second."""
    start, samples = time.monotonic(), []
    process = subprocess.Popen(command, env=os.environ)
    while process.poll() is None:
        try:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            held = spool.stat().st_size if spool.exists() else 0
            samples.append((time.monotonic() - start, held, pages * os.sysconf("SC_PAGE_SIZE") / 1e6))
        except (OSError, IndexError):  # it ended in between
            pass
        time.sleep(EVERY_S)
    if process.returncode:
        sys.exit(f"error: the command ended with {process.returncode}")
    return samples


def report(samples: Sequence[tuple[float, int, float]], minutes: int) -> None:
    """Print memory by minute of the clip, as far as the spool had come, and how long the passes took."""
    seconds, held, memory = (np.array(column) for column in zip(*samples, strict=True))
    followed = held > 0
    first = int(followed.argmax())
    end = int((held == held.max()).argmax())
    print("\n| of the clip | resident MB |\n|---|---|")
    for minute in sorted({1, (minutes + 1) // 2, minutes}):
        at = int((held >= minute / minutes * held.max() * 0.999).argmax())
        print(f"| minute {minute} | {memory[at]:.0f} |")
    print(f"| second pass and files, peak | {memory[end:].max():.0f} |")
    frames, took, rest = minutes * 60 * FPS, seconds[end] - seconds[first], seconds[-1] - seconds[end]
    print(f"\n{frames} frames followed in {took:.0f} s ({frames / took:.1f} frames/s), the rest {rest:.0f} s")


if __name__ == "__main__":
    main()
