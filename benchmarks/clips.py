"""A clip and photos as phones take them, by their size and how hard they are to decode: scaled up, with grain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, cycle, islice
from pathlib import Path

import cv2
import numpy as np

from liftwild.media.photo import read_photo
from liftwild.media.video import open_clip
from liftwild.media.video_writer import VideoWriter

CLIP = Path(__file__).parents[1] / "examples" / "clip.mp4"
WIDTH, HEIGHT, FPS = 1920, 1080, 30
GRAIN = 3.0  # standard deviation of the noise of a sensor, of 255
BLUR_PX = 40  # of what fills the sides
PHONE_PX = 12_000_000
QUALITY = 92  # of JPEGs


def frames_1080p(count: int) -> Iterator[np.ndarray]:
    """Frames (1080, 1920, 3) uint8 RGB: examples/clip.mp4 there and back, as high, blurred at the sides."""
    small = [frame.image for frame in open_clip(CLIP).frames() if frame.image is not None]
    there_and_back = cycle(chain(range(len(small)), range(len(small) - 2, 0, -1)))
    rng = np.random.default_rng(0)
    grain = [rng.normal(0, GRAIN, (HEIGHT, WIDTH, 1)).astype(np.int16) for _ in range(4)]
    for number, shown in enumerate(islice(there_and_back, count)):
        whole = cv2.blur(cv2.resize(small[shown], (WIDTH, HEIGHT)), (BLUR_PX, BLUR_PX))
        side = min(HEIGHT, WIDTH)
        left = (WIDTH - side) // 2
        whole[:, left : left + side] = cv2.resize(small[shown], (side, HEIGHT), interpolation=cv2.INTER_CUBIC)
        yield (whole + grain[number % len(grain)]).clip(0, 255).astype(np.uint8)


def write_1080p(path: Path, count: int) -> float:
    """Write the clip, H.264; its Mbit/s."""
    with path.open("wb") as file, VideoWriter(file, WIDTH, HEIGHT, FPS, path) as writer:
        for number, frame in enumerate(frames_1080p(count)):
            writer.write(frame, number / FPS, (number + 1) / FPS)
    return 8e-6 * path.stat().st_size * FPS / count


def write_phone_photos(photos: Sequence[Path], folder: Path) -> list[Path]:
    """``photos`` scaled to 12 megapixels, with grain, as JPEGs in ``folder``."""
    rng, paths = np.random.default_rng(0), []
    for photo in photos:
        image = read_photo(photo)
        height, width = image.shape[:2]
        scale = (PHONE_PX / (width * height)) ** 0.5
        large = cv2.resize(image, (round(scale * width), round(scale * height)), interpolation=cv2.INTER_CUBIC)
        large = (large + rng.normal(0, GRAIN, (*large.shape[:2], 1)).astype(np.int16)).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{photo.stem}.jpg")
        cv2.imwrite(str(paths[-1]), cv2.cvtColor(large, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return paths
