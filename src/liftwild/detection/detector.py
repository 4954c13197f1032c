"""The detector: who is in a photo, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from liftwild.boxes import Box, Detected, clipped, suppress
from liftwild.crop import Crop
from liftwild.detection.config import STRIDES
from liftwild.detection.decoding import decode
from liftwild.detection.runtime import open_detector_runtime
from liftwild.detection.weights import open_detector
from liftwild.errors import LiftwildError
from liftwild.inference.runtime import is_cpu
from liftwild.media.photo import Photo, load_photo

SAME_IOU = 0.5  # two boxes with a larger IoU are one person: docs/detection.md
SOFTNESS = 0.5  # how much a box is doubted that overlaps a surer one: ``boxes.suppress``
MAX_CANDIDATES = 300  # cells of a photo, the best, whose boxes are compared
CUT_PX, MAX_CUTS = STRIDES[-1], 2  # of what is black: more sizes of picture would each take time to open
MIN_SIDE_PX = 2.0  # of the network's input; a smaller box shows nobody
MIN_PHOTO_PX = 1.0  # of the photo, for the longer side: the estimator takes no smaller box


Person = TypeVar("Person", bound=Detected)


@dataclass(frozen=True)
class Detection:
    """A person found in a photo. ``box`` (x, y, w, h): px, inside the photo, around what is seen of the body.
    ``score`` in [0, 1]: how sure the detector is; it is no probability."""

    box: Box
    score: float


class _Part(NamedTuple):
    """What the network sees of a photo: ``pixels`` (H, W, 3) of the square ``crop`` around the ``whole`` photo, from
    ``corner`` (x, y) px on. What is black above and below, or left and right, is left out in steps of ``CUT_PX``."""

    pixels: np.ndarray
    crop: Crop
    whole: Box
    corner: tuple[int, int]

    @classmethod
    def of(cls, image: np.ndarray, side: int) -> _Part:
        """Of a photo (H, W, 3), with ``side`` px for its longer side."""
        height, width = image.shape[:2]
        whole = (0.0, 0.0, float(width), float(height))
        crop = Crop.around(whole, 1.0)
        left, top = (
            CUT_PX * min(MAX_CUTS, int(side * (1 - length / max(width, height))) // (2 * CUT_PX))
            for length in (width, height)
        )
        return cls(crop.apply(image, side)[top : side - top, left : side - left], crop, whole, (left, top))


class Detector:
    """Finds people in photos: ``Detector().detect(photo)``.

    ``weights``: "detector", which ships, or the path of a .safetensors file. ``device``: as for ``Estimator``.
    ``min_score`` in [0, 1]: who scores less is left out; None is what the json of the weights says. ``batch_size``:
    photos that go through the network together. ``runtime``: what computes, as for ``Estimator``.
    ``input_px``: longer side of the photo as the network sees it, a multiple of 32; None is what the json says; less is
    faster and misses small people (docs/detection.md). LiftwildError if weights, device or runtime cannot be used.
    Calls do not change it.
    """

    def __init__(
        self,
        weights: str | Path = "detector",
        device: str | None = None,
        min_score: float | None = None,
        batch_size: int = 8,
        runtime: str = "auto",
        input_px: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise LiftwildError(f"batch_size must be 1 or more, not {batch_size}")
        if min_score is not None and not 0 <= min_score <= 1:
            raise LiftwildError(f"min_score must lie between 0 and 1, not {min_score}")
        is_cpu(device)  # or an error
        files = open_detector(weights)
        network, self.card = files.about.network, files.card
        if input_px is not None:
            try:
                network = replace(network, input_px=input_px)
            except ValueError as error:
                raise LiftwildError(str(error).removeprefix("network.")) from None
        self.weights, self.batch_size = weights, batch_size
        self.min_score = float(self.card["min_score"]) if min_score is None else min_score
        self.input_px = network.input_px
        self._digest = files.digest()
        self.runtime = open_detector_runtime(files, self.input_px, runtime, device)

    @property
    def runtime_name(self) -> str:
        """What computes: "torch fp32", "openvino fp32", "onnx fp32", ..."""
        return self.runtime.name

    def fingerprint(self) -> str:
        """What tells its answers from those of others."""
        return f"{self._digest} {self.min_score:g} {self.input_px} {self.runtime_name}"

    def detect(self, photo: Photo, most: int | None = None, min_score: float | None = None) -> list[Detection]:
        """The people in a photo, largest box first; empty if there are none.

        ``photo``: as for ``media.photo.load_photo``. ``most``: only so many, the largest; None is all. ``min_score``:
        another than the detector's. LiftwildError if it cannot be read.
        """
        return next(self.detect_many([photo], most, min_score))

    def detect_many(
        self, photos: Iterable[Photo], most: int | None = None, min_score: float | None = None
    ) -> Iterator[list[Detection]]:
        """As ``detect`` for a stream of photos of any sizes: one list for each, in order. At most a batch waits."""
        if most is not None and most < 1:
            raise LiftwildError(f"the most people to detect must be 1 or more, not {most}")
        least = self.min_score if min_score is None else min_score
        waiting: list[np.ndarray] = []
        for photo in photos:
            waiting.append(load_photo(photo).image)
            if len(waiting) == self.batch_size:
                yield from self._batch(waiting, most, least)
                waiting = []
        if waiting:
            yield from self._batch(waiting, most, least)

    def _batch(self, images: list[np.ndarray], most: int | None, least: float) -> Iterator[list[Detection]]:
        parts = [_Part.of(image, self.input_px) for image in images]
        found: dict[int, list[Detection]] = {}
        for height, width in dict.fromkeys(part.pixels.shape[:2] for part in parts):
            these = [i for i, part in enumerate(parts) if part.pixels.shape[:2] == (height, width)]
            maps = self.runtime(np.stack([parts[i].pixels for i in these]))
            for i, (boxes, scores) in zip(these, decode(maps, height, width, MAX_CANDIDATES, least), strict=True):
                if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
                    raise LiftwildError(f"the network of {self.weights} gives NaN or infinity; its weights are broken")
                found[i] = self._people(parts[i], boxes, scores, least)
        for i in range(len(parts)):
            yield largest(found[i], most)

    def _people(self, part: _Part, boxes: np.ndarray, scores: np.ndarray, least: float) -> list[Detection]:
        """The people of one photo, of its candidates."""
        keep = (scores >= least) & (boxes[:, 2:].min(axis=1) >= MIN_SIDE_PX)
        boxes, scores = boxes[keep], scores[keep]
        corners = np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1) + part.corner
        corners = part.crop.to_photo(corners, self.input_px).clip(0, part.whole[2:])
        boxes = np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)
        people = []
        kept, lowered = suppress(boxes, scores, SAME_IOU, SOFTNESS)
        for (x, y, w, h), score in zip(boxes[kept].tolist(), lowered.tolist(), strict=True):
            box = clipped((x, y, w, h), part.whole)
            if box is not None and max(box[2:]) >= MIN_PHOTO_PX and score >= least:
                people.append(Detection(box, score))
        return people


def largest(people: Sequence[Person], most: int | None = None) -> list[Person]:
    """``people`` by the area of their boxes, largest first; only the first ``most`` unless that is None."""
    return sorted(people, key=lambda found: -found.box[2] * found.box[3])[:most]


def under(people: Sequence[Person], x: float, y: float) -> Person | None:
    """Who is under the point (px): of those whose box holds it, the one whose middle is nearest for the box's size.

    None if nobody's box does.
    """

    def away(found: Person) -> float:
        left, top, w, h = found.box
        return max(abs(x - left - w / 2) / w, abs(y - top - h / 2) / h)

    return min((found for found in people if away(found) <= 0.5), key=away, default=None)
