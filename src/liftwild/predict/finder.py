"""Whom to look at: the people in a photo, found by a small network of our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from liftwild.boxes import Box, clipped, suppress
from liftwild.crop import Crop
from liftwild.data.photo import checked_photo
from liftwild.errors import LiftwildError
from liftwild.finder_net import PeopleMaps, read_people
from liftwild.predict.estimator import Estimator
from liftwild.predict.finder_graph import faster_finder
from liftwild.predict.judge import SAME, Scored, judged
from liftwild.predict.runtime import find_device, hash_of
from liftwild.weights.finder import Mix, load_finder

LEAST_SIDE = 2.0  # px of the network's input; a smaller box is no person
LEAST_PX = 1.0  # of the photo, for the longer side: the estimator takes no smaller box


@dataclass(frozen=True)
class Found:
    """A person found in a photo. ``box`` (x, y, w, h): px, inside the photo, around what is seen of the body.
    ``score`` in [0, 1]: how sure the finder is."""

    box: Box
    score: float

    @property
    def area(self) -> float:
        """Of the box, px squared."""
        return self.box[2] * self.box[3]

    def holds(self, x: float, y: float) -> bool:
        """Whether the point (px) lies in the box."""
        return self.box[0] <= x <= self.box[0] + self.box[2] and self.box[1] <= y <= self.box[1] + self.box[3]


class Finder:
    """Finds people in photos: ``Finder().find(photo)``, and better ``Finder(estimator=Estimator()).find(photo)``.

    ``weights``: name of weights that come with liftwild, the path of a .safetensors file, or the folder of a
    'liftwild train-finder'. ``device``: as for ``Estimator``. ``least_score`` in [0, 1]: who scores less is not there;
    None is what was best on photos held back from its training. ``batch_size``: photos that go through the network
    together. ``estimator``: looks at what the network proposes, drops where it sees nobody, and moves boxes to the body
    that it sees, as the ``Mix`` of the weights says; where it runs in OpenVINO, the network does too. Without one,
    or with ``judges`` off, the network alone is asked: faster, and less right. It looks at a photo once, at 256 px:
    who is less than about a sixth of the photo's height is often missed (docs/finder.md). LiftwildError if weights
    or device cannot be used, or if there is an estimator and the weights have no mix. Calls do not change it.
    """

    def __init__(
        self,
        weights: str | Path = "finder",
        device: str | None = None,
        least_score: float | None = None,
        batch_size: int = 8,
        estimator: Estimator | None = None,
        judges: bool = True,
    ) -> None:
        if batch_size < 1:
            raise LiftwildError(f"batch_size must be 1 or more, not {batch_size}")
        if least_score is not None and not 0 <= least_score <= 1:
            raise LiftwildError(f"least_score must lie between 0 and 1, not {least_score}")
        self.device = find_device(device)
        net, self.card = load_finder(weights)
        self.weights, self.estimator, self.batch_size = weights, estimator, batch_size
        self.mix: Mix | None = None
        chosen = float(self.card["threshold"])
        if estimator is not None and judges:
            self.mix = Mix.of(self.card)
            if self.mix is None:
                raise LiftwildError(
                    f"the json of the finder {weights} does not say how PoseNet judges what it proposes; use it "
                    "without an estimator, or have scripts/finder_study.py --write choose that"
                )
            chosen = self.mix.threshold
        self.least_score = chosen if least_score is None else least_score
        self.input_px = net.config.input_px
        self._faster = faster_finder(net, estimator) if self.device.type == "cpu" else None
        self.net = net.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fingerprint(self) -> str:
        """What tells its answers from those of others, but for the estimator's."""
        return f"{hash_of(self.net)} {self.least_score:g} {self.mix}"

    def find(self, image: np.ndarray, most: int | None = None) -> list[Found]:
        """The people in a photo, largest box first; empty if there are none.

        ``image`` (H, W, 3) uint8 RGB. ``most``: only so many, the largest; None is all. LiftwildError if it is no such
        array.
        """
        return next(self.find_many([image], most))

    def find_many(self, images: Iterable[np.ndarray], most: int | None = None) -> Iterator[list[Found]]:
        """As ``find`` for a stream of photos of any sizes: one list for each, in order. At most a batch waits."""
        if most is not None and most < 1:
            raise LiftwildError(f"the most people to find must be 1 or more, not {most}")
        waiting: list[np.ndarray] = []
        for image in images:
            waiting.append(checked_photo(image))
            if len(waiting) == self.batch_size:
                yield from self._batch(waiting, most)
                waiting = []
        if waiting:
            yield from self._batch(waiting, most)

    def _batch(self, images: list[np.ndarray], most: int | None) -> Iterator[list[Found]]:
        wholes: list[Box] = [(0.0, 0.0, float(image.shape[1]), float(image.shape[0])) for image in images]
        crops = [Crop.around(whole, 1.0) for whole in wholes]
        pixels = np.stack([crop.apply(image, self.input_px) for crop, image in zip(crops, images, strict=True)])
        boxes, scores = (part.double().cpu().numpy() for part in read_people(self._maps(pixels)))
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise LiftwildError(f"the network of {self.weights} gives NaN or infinity; its weights are broken")
        for i, image in enumerate(images):
            people = self._proposed(crops[i], wholes[i], boxes[i], scores[i])
            if self.estimator is not None and self.mix is not None:
                people = judged(self.estimator, image, people, self.mix)
            found = [
                Found((x, y, w, h), score)
                for (x, y, w, h), score in zip(people.boxes.tolist(), people.scores.tolist(), strict=True)
                if score >= self.least_score
            ]
            yield largest(found, most)

    @torch.inference_mode()
    def _maps(self, pixels: np.ndarray) -> PeopleMaps:
        """What the network says of pictures (B, S, S, 3) uint8 RGB."""
        if self._faster is not None:
            return self._faster(pixels)
        tensor = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)  # as it lies in memory: channels_last
        maps: PeopleMaps = self.net(tensor)
        return maps

    def _proposed(self, crop: Crop, whole: Box, boxes: np.ndarray, scores: np.ndarray) -> Scored:
        """What the network says of one photo, as people in it."""
        least = self.least_score if self.mix is None else self.mix.proposed
        keep = (scores >= max(least, 1e-6)) & (boxes[:, 2:].min(axis=1) >= LEAST_SIDE)
        boxes, scores = boxes[keep], scores[keep]
        inside: list[Box] = []
        sure: list[float] = []
        for i in suppress(boxes, scores, SAME):
            x, y, w, h = boxes[i]
            low, high = crop.to_photo(np.array([[x, y], [x + w, y + h]]), self.input_px)
            box = clipped((float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])), whole)
            if box is not None and max(box[2:]) >= LEAST_PX:
                inside.append(box)
                sure.append(float(scores[i]))
        return Scored(np.array(inside).reshape(-1, 4), np.array(sure))


def largest(people: Sequence[Found], most: int | None = None) -> list[Found]:
    """``people`` by the area of their boxes, largest first; only the first ``most`` unless that is None."""
    return sorted(people, key=lambda found: -found.area)[:most]


def under(people: Sequence[Found], x: float, y: float) -> Found | None:
    """Who is under the point (px): of those whose box holds it, the one whose middle is nearest for the box's size.

    None if nobody's box does.
    """

    def away(found: Found) -> float:
        left, top, w, h = found.box
        return max(abs(x - left - w / 2) / w, abs(y - top - h / 2) / h)

    return min((found for found in people if found.holds(x, y)), key=away, default=None)
