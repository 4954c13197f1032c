"""What scenes are composed of: rectangles cut from photos, with the box of the labelled person in them or without."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from liftwild.boxes import Box, body_box, clipped
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16, PELVIS, THORAX

BLACK = 20  # what lies beyond a stored crop's photo is no brighter, JPEG noise included
# Pelvis and thorax are middles of others. A box from fewer of these would leave limbs out.
LIMBS = [i for i in range(len(MPII_16)) if i not in (PELVIS, THORAX)]
LEAST_LIMBS = 13
TRIES = 20
CUT = 0.45  # how often a side of the person is cut off, mostly the legs: so are people in most photos
UPPER = [MPII_16.names.index(name) for name in ("head_top", "upper_neck", "left_shoulder", "right_shoulder")]
LOWER = [MPII_16.names.index(name) for name in ("left_knee", "right_knee", "left_ankle", "right_ankle")]


class Piece(NamedTuple):
    """A rectangle of a photo.

    ``pixels`` (h, w, 3) uint8 RGB. ``body`` (x, y, w, h) px of ``pixels``: the labelled person's whole body, which may
    reach beyond them, or None if nobody is labelled. ``complete``: there is nobody else, so that what lies outside
    ``body`` is known to be no person.
    """

    pixels: np.ndarray
    body: Box | None
    complete: bool


@dataclass(frozen=True)
class People:
    """Labelled people to cut out: stores, each drawn ``weights[i] / sum(weights)`` of the time."""

    stores: tuple[Store, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.stores or len(self.stores) != len(self.weights):
            raise LiftwildError(f"{len(self.stores)} stores of people but {len(self.weights)} weights")
        if not all(np.isfinite(weight) and weight > 0 for weight in self.weights):
            raise LiftwildError(f"weights of stores must be above 0: {list(self.weights)}")

    def draw(self, rng: np.random.Generator) -> tuple[Sample, Box, Box]:
        """A person at random: the sample, the box of the body, and the part of the picture that is photo."""
        share = np.cumsum(self.weights) / np.sum(self.weights)
        for _ in range(TRIES):
            store = self.stores[min(int(np.searchsorted(share, rng.random(), side="right")), len(share) - 1)]
            sample = store[int(rng.integers(len(store)))]
            if sample.joints_2d_valid[LIMBS].sum() < LEAST_LIMBS:
                continue
            body, photo = body_box(sample.joints_2d, sample.joints_2d_valid), photo_part(sample.image)
            if body is not None and photo is not None and min(body[2:]) >= 8 and min(photo[2:]) >= 32:
                return sample, body, photo
        raise LiftwildError(f"{store.path}: of {TRIES} people none has {LEAST_LIMBS} of its 14 outer joints labelled")


def photo_part(image: np.ndarray) -> Box | None:
    """The box of a stored crop (H, W, 3) that is not the black beyond the photo's edge; None if it is all black."""
    columns, rows = (
        np.flatnonzero(cv2.reduce(image, axis, cv2.REDUCE_MAX).reshape(-1, 3).max(axis=1) > BLACK) for axis in (0, 1)
    )
    if len(rows) == 0:
        return None
    # One px less on each side: there photo and black are mixed.
    x0, y0, x1, y1 = columns[0] + 1, rows[0] + 1, columns[-1], rows[-1]
    return (float(x0), float(y0), float(x1 - x0), float(y1 - y0)) if x1 > x0 and y1 > y0 else None


def cut_person(rng: np.random.Generator, people: People, close: bool, aspect: float | None = None) -> Piece:
    """A rectangle about a person drawn from ``people``.

    ``close``: little more than the body; else as much of the photo as a draw says. Either may leave out a side of the
    body. ``aspect``: its width over its height, or None for whatever comes out.
    """
    sample, body, photo = people.draw(rng)
    x, y, w, h = body
    grow = rng.uniform(0.0, 0.35 if close else 1.5, 4) * max(w, h)
    if rng.random() < CUT:
        side = _legs_side(sample) if rng.random() < 0.75 else int(rng.integers(4))
        kept = rng.uniform(0.3, 0.9)
        grow[side] = -(1 - kept) * body[2 + side % 2]
        if rng.random() < 0.7:  # near, as one who is cut off mostly is
            others = [other for other in range(4) if other != side]
            grow[others] = rng.uniform(-0.05, 0.3, 3) * kept * max(w, h)
        photo = _up_to(photo, body, side, grow[side])
    window = (x - grow[0], y - grow[1], w + grow[0] + grow[2], h + grow[1] + grow[3])
    if aspect is not None:
        window = _of_aspect(window, aspect, photo)
    return _cut(sample.image, window, photo, body)


def _legs_side(sample: Sample) -> int:
    """Where in the picture the legs point: 0 left, 1 top, 2 right, 3 bottom; bottom if no joint tells."""
    joints, valid = sample.joints_2d, sample.joints_2d_valid
    heads, legs = joints[UPPER][valid[UPPER]], joints[LOWER][valid[LOWER]]
    if not len(heads) or not len(legs):
        return 3
    x, y = legs.mean(axis=0) - heads.mean(axis=0)
    if abs(x) > abs(y):
        return 2 if x > 0 else 0
    return 3 if y > 0 else 1


def _up_to(photo: Box, body: Box, side: int, grow: float) -> Box:
    """``photo`` up to the ``side`` of ``body`` moved out by ``grow``; all of it if hardly any would be left."""
    low, high = np.array(photo[:2]), np.array(photo[:2]) + photo[2:]
    if side < 2:
        low[side] = max(low[side], body[side] - grow)
    else:
        high[side - 2] = min(high[side - 2], body[side - 2] + body[side] + grow)
    size = high - low
    return (float(low[0]), float(low[1]), float(size[0]), float(size[1])) if size.min() >= 16 else photo


def cut_beside(rng: np.random.Generator, people: People) -> Piece | None:
    """A rectangle of a person's photo beside that person, where others may be. None if there is no room."""
    sample, (x, y, w, h), photo = people.draw(rng)
    px, py, pw, ph = photo
    left, right = (px, py, x - px, ph), (x + w, py, px + pw - x - w, ph)
    side = left if left[2] > right[2] else right
    if side[2] < 0.15 * pw or side[2] < 24:
        return None
    high = float(rng.uniform(0.5, 1)) * ph
    return _cut(sample.image, (side[0], py + float(rng.random()) * (ph - high), side[2], high), photo, None)


def cut_scenery(rng: np.random.Generator, backgrounds: tuple[Path, ...], aspect: float, least: float = 0.4) -> Piece:
    """A rectangle of a background photo, ``least`` to all of what fits of this width over height."""
    image = read_scenery(backgrounds[int(rng.integers(len(backgrounds)))])
    height, width = image.shape[:2]
    share = rng.uniform(least, 1)
    w, h = share * min(width, height * aspect), share * min(height, width / aspect)
    x, y = rng.random(2) * (width - w, height - h)
    whole = (0.0, 0.0, float(width), float(height))
    return _cut(image, (float(x), float(y), max(w, 4.0), max(h, 4.0)), whole, None, complete=True)


@lru_cache(maxsize=256)
def read_scenery(path: Path) -> np.ndarray:
    """A background photo (H, W, 3) uint8 RGB, at most 512 px long. LiftwildError if it cannot be read."""
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None or min(image.shape[:2]) < 16:
        raise LiftwildError(f"{path}: not a picture that can be a background")
    shrink = 512 / max(image.shape[:2])
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _of_aspect(window: Box, aspect: float, photo: Box) -> Box:
    """``window`` made as wide as ``aspect`` times its height, inside ``photo`` as far as that has room."""
    x, y, w, h = window
    wide, high = max(w, h * aspect), max(h, w / aspect)
    shrink = min(1.0, photo[2] / wide, photo[3] / high)
    wide, high = wide * shrink, high * shrink
    x = min(max(x + (w - wide) / 2, photo[0]), photo[0] + photo[2] - wide)
    y = min(max(y + (h - high) / 2, photo[1]), photo[1] + photo[3] - high)
    return x, y, wide, high


def _cut(image: np.ndarray, window: Box, photo: Box, body: Box | None, complete: bool = False) -> Piece:
    """The part of ``image`` in ``window``, as far as it is ``photo``."""
    inside = clipped(window, photo) or photo
    x0, y0 = round(inside[0]), round(inside[1])
    x1, y1 = max(x0 + 2, round(inside[0] + inside[2])), max(y0 + 2, round(inside[1] + inside[3]))
    pixels = image[y0:y1, x0:x1]
    return Piece(pixels, None if body is None else (body[0] - x0, body[1] - y0, body[2], body[3]), complete)
