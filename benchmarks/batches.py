"""What a row of a table costs ``BatchPredictor``, what a frame costs ``liftwild predict``, and how much comes out.

OMP_NUM_THREADS=1 python benchmarks/batches.py [--rounds 5] [--photos 40]

Seconds of one core, not of a clock: a machine that does other things meanwhile changes them less. Its numbers are the
constants of benchmarks/extrapolate.py.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from liftwild import BatchPredictor
from liftwild.media.photo import load_photo
from liftwild.media.video_file import VideoFile
from liftwild.media.video_writer import VideoWriter

ROOT = Path(__file__).parent.parent
SIDES = (512, 1920, 4000)  # px of the photos' longer side; the example's own is 512
WEIGHTS = ("small", "base")
FPS = 25


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=40)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photos = {side: [photo(side, number) for number in range(asked.photos)] for side in SIDES}
    predictors = {weights: BatchPredictor(weights=weights) for weights in WEIGHTS}
    for predictor in predictors.values():
        predictor(table(photos[SIDES[0]][:2]))
    print("| photo, px | KB | decoding, ms | small, ms | base, ms | Parquet, KB |\n|---|---|---|---|---|---|")
    for side, content in photos.items():
        rows = table(content)
        times: dict[str, list[float]] = {name: [] for name in ("decoding", *WEIGHTS)}
        for _ in range(asked.rounds):
            times["decoding"].append(cpu_ms(decode, content) / len(content))
            for weights, predictor in predictors.items():
                times[weights].append(cpu_ms(predictor, rows) / len(content))
        shown = " | ".join(f"{statistics.median(each):.1f} ({spread(each)})" for each in times.values())
        kb = np.mean([len(each) for each in content]) / 1e3
        print(f"| {side} | {kb:.0f} | {shown} | {parquet_kb(predictors['small'](rows)):.1f} |", flush=True)
    print("\n| frames of 1920 x 1080 px, one person | ms a frame | JSON, KB a frame | spool, KB |\n|---|---|---|---|")
    for weights in WEIGHTS:
        print(f"| {weights} | {video_row(weights)} |", flush=True)


def photo(side: int, number: int) -> bytes:
    """The example's person as a JPEG, a little darker than the one before, with a camera's noise."""
    image = cv2.imread(str(ROOT / "examples" / "person.jpg"))
    assert image is not None
    image = cv2.resize(image, None, fx=side / image.shape[1], fy=0.75 * side / image.shape[0])
    image = cv2.convertScaleAbs(image, alpha=1 - 0.01 * (number % 30))
    noise = np.random.default_rng(number).normal(0, 4 if side > 512 else 1, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


def table(photos: list[bytes]) -> pa.Table:
    """Photos as a table."""
    return pa.table({"id": list(range(len(photos))), "photo": pa.array(photos, pa.binary())})


def decode(photos: list[bytes]) -> None:
    """As ``predict`` decodes them."""
    for each in photos:
        load_photo(each)


def cpu_ms(work: Callable[[Any], Any], what: Any) -> float:
    """What all threads of this process take for it."""
    before = time.process_time()
    work(what)
    return (time.process_time() - before) * 1e3


def spread(values: list[float]) -> str:
    """Lowest to highest."""
    return f"{min(values):.1f} to {max(values):.1f}"


def parquet_kb(poses: pa.Table) -> float:
    """KB a row as Parquet, as pyarrow writes it, of rows beyond the first half, which pay for the file itself."""

    def size(rows: int) -> int:
        file = io.BytesIO()
        pq.write_table(poses.slice(0, rows), file)
        return len(file.getvalue())

    half = len(poses) // 2
    return (size(len(poses)) - size(half)) / (len(poses) - half) / 1e3


def video_row(weights: str) -> str:
    """Of a clip's frames beyond its first ones, which pay for the start."""
    with tempfile.TemporaryDirectory() as folder:
        spent, size = {}, {}
        for seconds in (4, 16):
            clip = make_clip(Path(folder) / f"{seconds}.mp4", seconds)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "liftwild", "predict", str(clip), "-o", folder, "--weights", weights]
            subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent[seconds] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            size[seconds] = (clip.with_suffix(".json").stat().st_size, clip.with_suffix(".spool").stat().st_size)
    frames = 12 * FPS
    json, spool = ((size[16][index] - size[4][index]) / frames / 1e3 for index in (0, 1))
    return f"{(spent[16] - spent[4]) / frames * 1e3:.1f} | {json:.2f} | {spool:.2f}"


def make_clip(path: Path, seconds: int) -> Path:
    """The example clip forward and backward, as large as a phone's."""
    frames = [frame.image for frame in VideoFile(ROOT / "examples" / "clip.mp4").frames()]
    with path.open("wb") as file, VideoWriter(file, 1920, 1080, FPS, path) as writer:
        for number in range(seconds * FPS):
            at = number % (2 * len(frames) - 2)
            image = cv2.resize(frames[min(at, 2 * len(frames) - 2 - at)], (1080, 1080))
            wide = cv2.copyMakeBorder(image, 0, 0, 420, 420, cv2.BORDER_REPLICATE)
            writer.write(wide, number / FPS, (number + 1) / FPS)
    return path


if __name__ == "__main__":
    main()
