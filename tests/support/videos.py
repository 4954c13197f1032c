"""Videos and folders of frames; each numbered frame tells its number."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.images import encode

WIDTH, HEIGHT, FRAMES, FPS = 64, 48, 12, 25.0
BOX = "10,6,30,36"  # a person's box in them, for --box


def frame_of(number: int) -> np.ndarray:
    """A frame that tells its number: as many bright columns, left of the middle; (H, W, 3) RGB."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[:, : 2 * number + 2] = 220
    image[: HEIGHT // 4, WIDTH - 8 :] = (250, 30, 30)  # red, in the upper right corner
    return image


def number_of(image: np.ndarray) -> int:
    """The number that an upright frame tells."""
    return round(float((image[HEIGHT // 2 :, :, 1] > 130).sum(axis=1).mean() - 2) / 2)


def encode_video(path: Path, frames: Iterable[np.ndarray], codec: str = "mp4v", fps: float = FPS) -> Path:
    """A video of pictures (H, W, 3) uint8 RGB, all of one size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = list(frames)
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (width, height))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot write {codec} to make a test video")
    for frame in pictures:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_video(path: Path, codec: str = "mp4v", frames: int = FRAMES) -> Path:
    """A video of ``frames`` numbered frames."""
    return encode_video(path, map(frame_of, range(frames)), codec)


def write_frames(path: Path, frames: int = FRAMES) -> Path:
    """A folder of ``frames`` numbered frames."""
    path.mkdir(parents=True)
    for number in range(frames):
        (path / f"{number}.png").write_bytes(encode(".png", frame_of(number)))
    return path
