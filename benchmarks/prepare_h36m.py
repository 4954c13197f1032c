"""What ``liftwild prepare h36m`` costs a picture: time and room, on rendered people in two of the layouts."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the layouts are written as for the tests

from liftwild.camera import Camera
from liftwild.synthetic.render.generate import render_people
from tests.support.dataset_layouts import CROPPED, FILMED, flat
from tests.support.h36m_layouts import write_h36m_folder, write_h36m_video, write_metadata

PEOPLE, FRAMES, VIDEO_PX = 12, 1000, 1000
CAMERA = Camera(1145.0, 1145.0, 512.0, 512.0)  # of Human3.6M, about
PICTURES = {"train": 312_000, "test": 109_867}  # every fifth


def main() -> None:
    """Write both layouts, prepare them, print a table."""
    pictures = [one.sample.image for one in render_people("wild", PEOPLE, seed=0, size=256)]

    def crop(frame: int) -> np.ndarray:
        return cv2.resize(pictures[frame // 5 % PEOPLE], (224, 224), interpolation=cv2.INTER_AREA)

    def film(frame: int) -> np.ndarray:
        """A person of 450 px before the same scene all the time, with the noise of a camera."""
        scene = cv2.resize(pictures[0], (VIDEO_PX, VIDEO_PX))
        scene[300:750, 300:750] = cv2.resize(pictures[1 + frame // 50 % (PEOPLE - 1)], (450, 450))
        noise = np.random.default_rng(frame).normal(0, 3, scene.shape)
        return np.clip(scene + noise, 0, 255).astype(np.uint8)

    print("| layout | pictures | ms a picture | kB a picture | train | test |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        crops, videos = Path(folder) / "crops", Path(folder) / "videos"
        for action in range(2, 6):
            write_h36m_folder(crops, (9, action, 1, 1), FRAMES, dataclasses.replace(CROPPED, picture=crop))
        filmed = dataclasses.replace(FILMED, picture=film, camera=CAMERA, flat=partial(flat, camera=CAMERA))
        for take in (1, 2):
            write_h36m_video(videos, 9, f"Posing {take}.54138969", FRAMES, cast=filmed)
        write_metadata(videos, CAMERA)
        start = seconds("--help")
        for source in (crops, videos):
            out = Path(folder) / f"{source.name}.arrow"
            took = seconds(str(source), "--split", "test", "-o", str(out)) - start
            count = FRAMES // 5 * (4 if source == crops else 2)
            each_s, each_b = took / count, out.stat().st_size / count
            whole = (f"{n * each_s / 60:.0f} min, {n * each_b / 1e9:.1f} GB" for n in PICTURES.values())
            print(f"| {source.name} | {count} | {1000 * each_s:.1f} | {each_b / 1000:.0f} | {' | '.join(whole)} |")


def seconds(*arguments: str) -> float:
    """How long the command takes."""
    before = time.perf_counter()
    command = [sys.executable, "-m", "liftwild", "prepare", "h36m", *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
