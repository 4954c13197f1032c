"""Flat backdrops: photos of a user's folder, or painted ones with the clutter of photos."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from liftwild.errors import LiftwildError
from liftwild.media.library_noise import without_noise
from liftwild.synthetic.render.textures import NATURAL

PAINTED, PAINTED_PX = 40, 320
PHOTO_TYPES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def find_backdrops(folder: str | Path) -> tuple[Path, ...]:
    """The pictures in ``folder``, by name. LiftwildError if it is no folder or has none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise LiftwildError(f"{folder}: no such folder of background photos")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_TYPES and path.is_file())
    if not found:
        raise LiftwildError(f"{folder}: no background photos; wanted are {', '.join(sorted(PHOTO_TYPES))}")
    return tuple(found)


@lru_cache(maxsize=64)
def read_backdrop(path: Path) -> np.ndarray:
    """A photo (H, W, 3) uint8 RGB, its shorter side at most twice ``PAINTED_PX``. LiftwildError if unreadable."""
    with without_noise():
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None or min(image.shape[:2]) < 16:
        raise LiftwildError(f"{path}: not a picture that can be read as a background photo")
    shrink = 2 * PAINTED_PX / min(image.shape[:2])
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def crop_backdrop(image: np.ndarray, numbers: np.ndarray, size: int) -> np.ndarray:
    """A part (size, size, 3) of ``image``; ``numbers`` (4,) in [0, 1): how large, where, and whether mirrored."""
    side = min(image.shape[:2]) * (0.5 + 0.5 * numbers[0])
    left, top = (image.shape[1] - side) * numbers[1], (image.shape[0] - side) * numbers[2]
    part = image[int(top) : int(top + side), int(left) : int(left + side)]
    part = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_LINEAR)
    return part[:, ::-1] if numbers[3] < 0.5 else part


@lru_cache(maxsize=2)
def painted_backdrops(seed: int) -> tuple[np.ndarray, ...]:
    """Painted backdrops (PAINTED_PX, PAINTED_PX, 3) uint8."""
    return tuple(_paint(np.random.default_rng((seed, 11, i))) for i in range(PAINTED))


def _paint(rng: np.random.Generator) -> np.ndarray:
    size = PAINTED_PX
    palette = np.array(NATURAL) * 255

    def colour(near: np.ndarray | None = None) -> np.ndarray:
        own = palette[rng.integers(len(palette))] * rng.uniform(0.6, 1.3) + rng.normal(0, 8, 3)
        return np.clip(own if near is None else 0.55 * own + 0.45 * near, 0, 255)

    horizon = int(size * rng.uniform(0.3, 0.75))
    image = np.zeros((size, size, 3), np.float32)
    sky, ground = colour(), colour()
    rise = np.linspace(1.15, 0.9, size)[:, None, None]
    image[:] = sky * rise
    image[horizon:] = ground * np.linspace(0.8, 1.15, size - horizon)[:, None, None]
    for octave in range(2, 8):
        side = 2**octave
        grain = rng.normal(0, 1, (side, side, 1)) * rng.uniform(0.3, 1) + 0.1 * rng.normal(0, 1, (side, side, 3))
        image += cv2.resize(grain.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC) * (10 / octave**0.7)
    for _ in range(int(rng.integers(3, 9))):
        _paint_block(rng, image, horizon, colour(ground))
    for _ in range(int(rng.integers(0, 6))):
        _paint_tree(rng, image, horizon, palette[rng.choice([4, 6, 7, 8])] * rng.uniform(0.5, 1.3))
    for _ in range(int(rng.integers(0, 10))):
        _paint_figure(rng, image, horizon, colour(), colour())
    for _ in range(int(rng.integers(0, 8))):
        ends = rng.uniform(-0.1, 1.1, (2, 2)) * size
        ends[1, int(rng.integers(2))] = ends[0, int(rng.integers(2))]
        a, b = ends.astype(int).tolist()
        cv2.line(image, a, b, colour(ground).tolist(), int(rng.integers(1, 5)), cv2.LINE_AA)
    if rng.random() < 0.75:
        cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 4), image)
    return np.clip(image + rng.normal(0, rng.uniform(0, 5), image.shape), 0, 255).astype(np.uint8)


def _paint_block(rng: np.random.Generator, image: np.ndarray, horizon: int, colour: np.ndarray) -> None:
    """A house with windows, a wall, a shelf: an upright rectangle with a regular inside, standing on the ground."""
    size = len(image)
    wide, high = int(size * rng.uniform(0.08, 0.5)), int(size * rng.uniform(0.1, 0.6))
    left, bottom = int(rng.uniform(-0.2, 1) * size), int(horizon + rng.uniform(0, 0.25) * size)
    x0, x1, y0, y1 = max(left, 0), min(left + wide, size), max(bottom - high, 0), min(bottom, size)
    if x1 <= x0 or y1 <= y0:
        return
    slope = np.linspace(rng.uniform(0.8, 1.1), rng.uniform(0.8, 1.1), x1 - x0)[None, :, None]
    image[y0:y1, x0:x1] = 0.25 * image[y0:y1, x0:x1] + 0.75 * colour * slope
    if rng.random() < 0.6:
        step_x, step_y = int(rng.integers(10, 40)), int(rng.integers(12, 48))
        pane = np.clip(colour * rng.uniform(0.3, 1.5), 0, 255)
        for x in range(x0 + 4, x1 - step_x // 2, step_x):
            for y in range(y0 + 4, y1 - step_y // 2, step_y):
                image[y : y + step_y // 2, x : x + step_x // 2] = pane * rng.uniform(0.8, 1.2)


def _paint_tree(rng: np.random.Generator, image: np.ndarray, horizon: int, colour: np.ndarray) -> None:
    """A heap of leaves, on a trunk if it stands high."""
    size = len(image)
    middle = np.array([rng.uniform(0, 1) * size, horizon - rng.uniform(-0.05, 0.3) * size])
    spread = size * rng.uniform(0.04, 0.16)
    trunk = (int(middle[0]), int(middle[1]))
    cv2.line(image, trunk, (trunk[0], horizon + 8), (colour * 0.5).tolist(), int(rng.integers(2, 7)), cv2.LINE_AA)
    for place in middle + rng.normal(0, spread, (int(rng.integers(60, 160)), 2)) * (1, 0.8):
        light = 1 + 0.4 * (middle[1] - place[1]) / (2 * spread) + rng.normal(0, 0.15)
        x, y = place.astype(int).tolist()
        cv2.circle(image, (x, y), int(rng.integers(2, 6)), np.clip(colour * light, 0, 255).tolist(), -1)


def _paint_figure(rng: np.random.Generator, image: np.ndarray, horizon: int, top: np.ndarray, legs: np.ndarray) -> None:
    """A person far away, as blobs."""
    size = len(image)
    high = size * rng.uniform(0.06, 0.22)
    x, foot = rng.uniform(0, 1) * size, horizon + high * rng.uniform(0.3, 0.9)
    for share, wide, tall, colour in ((0.25, 0.09, 0.25, legs), (0.65, 0.12, 0.19, top), (0.92, 0.06, 0.07, None)):
        shown = np.array([190, 140, 110]) * rng.uniform(0.3, 1.1) if colour is None else colour
        middle = (int(x), int(foot - share * high))
        axes = (max(1, int(wide * high)), max(1, int(tall * high)))
        cv2.ellipse(image, middle, axes, 0, 0, 360, np.clip(shown, 0, 255).tolist(), -1, cv2.LINE_AA)
