"""Whether memory grows while predicting: resident MB after many predictions, and after many more.

python benchmarks/memory.py [--predictions 10000] [--warm 500] [--weights small] [--runtime auto]
    [--alone] [--leak BYTES]

--alone: one call a photo, with boxes, instead of a stream. --leak: keep so many bytes of each, to see that it is seen.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftwild import Estimator
from liftwild.pose import Pose

SIZES_PX = ((480, 640), (640, 480), (96, 160), (720, 1280), (300, 200), (128, 128), (512, 512), (60, 80))
BOXES = [(5.0, 5.0, 30.0, 50.0), (30.0, 5.0, 30.0, 50.0)]


def held_mb() -> float | None:
    """Memory of this process's own, MB: resident, without mapped files, which the kernel takes and gives as it likes.

    What was freed is handed back first. None where there is neither /proc nor glibc.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024 / 1e6
    except (OSError, AttributeError, StopIteration, TypeError):
        return None


def predictions(estimator: Estimator, file: Path, alone: bool) -> Iterator[list[Pose]]:
    """Poses without end, of photos of many sizes, every tenth of them ``file``; ``alone``: by a call for each photo."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES_PX]
    photos = (images[number % len(images)] if number % 10 else file for number in itertools.count())
    if alone:
        return (estimator.predict(photo, BOXES[: number % 3]) for number, photo in enumerate(photos))
    return estimator.predict_many(photos)


def leaking(found: Iterator[list[Pose]], leak: int) -> Iterator[list[Pose]]:
    """``found``, and ``leak`` bytes kept of each."""
    kept = []
    for poses in found:
        kept.append(np.ones(leak, dtype=np.uint8))
        yield poses


def grown_mb(found: Iterator[list[Pose]], warm: int, count: int) -> float | None:
    """By how many MB ``count`` predictions more than the first ``warm`` make the process grow; None as above."""

    def held(number: int) -> float | None:
        for _ in itertools.islice(found, number):
            pass
        return held_mb()

    before, after = held(warm), held(count)
    return None if before is None or after is None else after - before


def report(count: int) -> None:
    """Print the row, measured in a process of its own."""
    print("\n## Memory\n")
    sys.stdout.flush()
    subprocess.run([sys.executable, __file__, "--predictions", str(count), "--weights", "small"], check=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=10_000)
    parser.add_argument("--warm", type=int, default=500)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--leak", type=int, default=0)
    asked = parser.parse_args()
    file = Path(__file__).parents[1] / "examples" / "person.jpg"
    estimator = Estimator(asked.weights, device="cpu", runtime=asked.runtime)
    found = predictions(estimator, file, asked.alone)
    grown = grown_mb(leaking(found, asked.leak) if asked.leak else found, asked.warm, asked.predictions)
    said = "cannot be told on this system" if grown is None else f"{grown:+.1f} MB, of {held_mb():.0f} MB held"
    print(f"{asked.predictions:,} predictions after the first {asked.warm}, {estimator.runtime_name}: {said}")


if __name__ == "__main__":
    main()
