"""Scenes to learn from where people are: pieces of photos composed at random, with the boxes of the people in them.

What stands at a position of a step's batch is a function of (seed, step, position) alone, as in ``mixed``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from liftwild.boxes import Box
from liftwild.data.pieces import People, Piece, cut_beside, cut_person, cut_scenery
from liftwild.finder_net import STRIDE

MOST_PEOPLE = 12
ASPECTS = (4 / 3, 4 / 3, 3 / 2, 16 / 9, 1.0, 3 / 4, 3 / 4, 2 / 3, 9 / 16)
LEAST_SEEN = 0.35  # of a body's box in the scene that must be seen for the person to count
LEAST_BODY = 0.12  # of the whole body's box: head and shoulders
LEAST_SIDE = 8.0  # px


@dataclass(frozen=True)
class Scene:
    """A composed picture and who is in it.

    ``image`` (S, S, 3) uint8 RGB. ``boxes`` (N, 4) float32 x, y, w, h px: what is seen of each labelled person.
    ``weight`` (S / 4, S / 4) float32 in [0, 1]: how sure it is, cell by cell, that there is nobody but these.
    """

    image: np.ndarray
    boxes: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Scenes(Dataset[dict[str, torch.Tensor]]):
    """Batches of scenes, as a map-style dataset indexed by step.

    Each item: ``images`` (B, 3, S, S) uint8, ``boxes`` (B, 12, 4) float32, ``valid`` (B, 12) bool, ``weight``
    (B, S / 4, S / 4) float32 (``Scene``). ``context``: the weight of what surrounds a person in a real photo, where
    others may stand who are not labelled.
    """

    people: People
    backgrounds: tuple[Path, ...]
    batch_size: int
    input_px: int
    seed: tuple[int, ...]
    context: float = 0.25

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        scenes = [self.scene(step, position) for position in range(self.batch_size)]
        boxes = np.zeros((len(scenes), MOST_PEOPLE, 4), np.float32)
        valid = np.zeros((len(scenes), MOST_PEOPLE), bool)
        for i, scene in enumerate(scenes):
            boxes[i, : len(scene.boxes)], valid[i, : len(scene.boxes)] = scene.boxes, True
        return {
            "images": torch.from_numpy(np.stack([scene.image.transpose(2, 0, 1) for scene in scenes])),
            "boxes": torch.from_numpy(boxes),
            "valid": torch.from_numpy(valid),
            "weight": torch.from_numpy(np.stack([scene.weight for scene in scenes])),
        }

    def scene(self, step: int, position: int) -> Scene:
        """One scene of a step's batch."""
        rng = np.random.default_rng([*self.seed, step, position])
        canvas = _Canvas(rng, self.input_px)
        kind = rng.random()
        if kind < 0.4:  # a photo of a person, as it is
            canvas.paste(cut_person(rng, self.people, False, canvas.aspect), canvas.frame, 0)
            some = int(rng.choice(4, p=[0.5, 0.25, 0.15, 0.1]))
        elif kind < 0.65:  # photos side by side
            for place in _split(rng, canvas.frame, int(rng.integers(2, 5))):
                canvas.paste(self._piece(rng, place[2] / place[3], 0.65), place, 0)
            some = int(rng.choice(3, p=[0.6, 0.25, 0.15]))
        else:  # scenery
            for place in _split(rng, canvas.frame, int(rng.choice([1, 1, 2, 4]))):
                canvas.paste(cut_scenery(rng, self.backgrounds, place[2] / place[3]), place, 0)
            some = int(rng.choice(6, p=[0.1, 0.25, 0.25, 0.2, 0.1, 0.1]))
        for _ in range(2 * some):  # as many pieces without a person as with one, so that edges tell nothing
            self._paste_somewhere(rng, canvas)
        return canvas.finish(rng, self.context)

    def _piece(self, rng: np.random.Generator, aspect: float, share: float) -> Piece:
        """A piece to fill a place with: a person's photo ``share`` of the time."""
        if rng.random() < share:
            return cut_person(rng, self.people, bool(rng.random() < 0.5), aspect)
        return cut_scenery(rng, self.backgrounds, aspect)

    def _paste_somewhere(self, rng: np.random.Generator, canvas: _Canvas) -> None:
        """A person, or as often something else, at a random place and size."""
        with_person, beside = rng.random(2) < (0.5, 0.4)
        piece: Piece | None
        if with_person:
            piece = cut_person(rng, self.people, True)
        else:
            piece = cut_beside(rng, self.people) if beside else None
            piece = piece or cut_scenery(rng, self.backgrounds, float(np.exp(rng.uniform(-1.2, 0.5))), 0.2)
        height, width = piece.pixels.shape[:2]
        tall = height if piece.body is None else min(piece.body[3], height)
        x, y, w, h = canvas.frame
        scale = float(np.exp(rng.uniform(np.log(0.15), np.log(1.0)))) * h / tall
        scale = min(scale, 1.3 * w / width, 1.3 * h / height)
        middle = np.array([x, y]) + rng.uniform(-0.05, 1.05, 2) * (w, h)
        size = np.array([width, height]) * scale
        feather = rng.uniform(0.5, 0.06 * size.min() + 0.6) if rng.random() < 0.4 else 0.0
        canvas.paste(piece, (*(middle - size / 2), *size), float(feather), oval=bool(rng.random() < 0.1))


class _Canvas:
    """A scene while it is made."""

    def __init__(self, rng: np.random.Generator, side: int) -> None:
        self.rng, self.side = rng, side
        self.aspect = float(rng.choice(ASPECTS))
        w, h = side * min(1.0, self.aspect), side * min(1.0, 1 / self.aspect)
        self.frame: Box = ((side - w) / 2, (side - h) / 2, w, h)
        self.image = np.zeros((side, side, 3), np.uint8)
        self.owner = np.full((side, side), -1, np.int16)  # number of the piece that a px shows; -1: none
        self.bodies: list[Box | None] = []
        self.complete: list[bool] = []

    def paste(self, piece: Piece, place: Box, feather: float, oval: bool = False) -> None:
        """Put a piece into ``place``, inside the frame, mirrored or not, in a light of its own."""
        rng = self.rng
        pixels, body = piece.pixels, piece.body
        height, width = pixels.shape[:2]
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
            body = None if body is None else (width - body[0] - body[2], *body[1:])
        # Whole px, and scales that take the piece's corners onto them.
        x0, y0 = round(place[0]), round(place[1])
        w, h = max(2, round(place[0] + place[2]) - x0), max(2, round(place[1] + place[3]) - y0)
        shrinks = w < width or h < height
        pixels = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        pixels = _relit(rng, pixels, 0.1)
        fx, fy, fw, fh = (round(value) for value in self.frame)
        left, top, right, bottom = max(x0, fx), max(y0, fy), min(x0 + w, fx + fw), min(y0 + h, fy + fh)
        number = len(self.bodies)
        self.complete.append(piece.complete)
        sx, sy = w / width, h / height
        self.bodies.append(None if body is None else (x0 + body[0] * sx, y0 + body[1] * sy, body[2] * sx, body[3] * sy))
        if right <= left or bottom <= top:
            return
        inner = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
        outer = (slice(top, bottom), slice(left, right))
        if feather or oval:
            cover = np.zeros((h, w), np.float32)
            if oval:
                cv2.ellipse(cover, (((w - 1) / 2, (h - 1) / 2), (w, h), 0.0), 1.0, -1)
            else:
                edge = int(np.ceil(feather))
                cover[edge : max(h - edge, edge + 1), edge : max(w - edge, edge + 1)] = 1
            if feather:
                cv2.GaussianBlur(cover, (0, 0), feather, cover, borderType=cv2.BORDER_CONSTANT)
            part = cover[inner][..., None]
            mixed = self.image[outer] * (1 - part) + pixels[inner] * part
            self.image[outer] = np.round(mixed).astype(np.uint8)
            self.owner[outer][part[..., 0] > 0.5] = number
        else:
            self.image[outer] = pixels[inner]
            self.owner[outer] = number

    def finish(self, rng: np.random.Generator, context: float) -> Scene:
        """The scene: boxes of what is seen of each body, weights, and the picture as a camera might give it."""
        weight = np.ones((self.side, self.side), np.float32)
        for number, complete in enumerate(self.complete):
            if not complete:
                weight[self.owner == number] = context
        boxes: list[Box] = []
        for number, body in enumerate(self.bodies):
            if body is None:
                continue
            seen, certain = self._seen(number, body)
            if seen is None:
                continue
            x, y, w, h = seen
            rows, columns = slice(int(y), int(np.ceil(y + h))), slice(int(x), int(np.ceil(x + w)))
            if certain and len(boxes) < MOST_PEOPLE:
                boxes.append(seen)
                mine = self.owner[rows, columns] == number
                weight[rows, columns][mine] = 1
            else:
                weight[rows, columns] = 0
        cells = weight.reshape(self.side // STRIDE, STRIDE, -1, STRIDE).min(axis=(1, 3))
        return Scene(self._shot(rng), np.array(boxes, np.float32).reshape(-1, 4), cells)

    def _seen(self, number: int, body: Box) -> tuple[Box | None, bool]:
        """The box of what is seen of a body, and whether that is enough to call it a person."""
        x0, y0 = (max(0, round(value)) for value in body[:2])
        x1, y1 = (min(self.side, round(body[i] + body[i + 2])) for i in range(2))
        if x1 <= x0 or y1 <= y0:
            return None, False
        mine = self.owner[y0:y1, x0:x1] == number
        rows, columns = np.flatnonzero(mine.mean(axis=1) > 0.05), np.flatnonzero(mine.mean(axis=0) > 0.05)
        if len(rows) == 0 or len(columns) == 0:
            return None, False
        # A side that nothing hides stays where it is, between px.
        left = body[0] if columns[0] == 0 and body[0] >= 0 else float(x0 + columns[0])
        top = body[1] if rows[0] == 0 and body[1] >= 0 else float(y0 + rows[0])
        right = body[0] + body[2] if columns[-1] == x1 - x0 - 1 and x1 < self.side else float(x0 + columns[-1] + 1)
        bottom = body[1] + body[3] if rows[-1] == y1 - y0 - 1 and y1 < self.side else float(y0 + rows[-1] + 1)
        w, h = right - left, bottom - top
        certain = (
            mine.sum() >= LEAST_SEEN * w * h and w * h >= LEAST_BODY * body[2] * body[3] and min(w, h) >= LEAST_SIDE
        )
        return (left, top, w, h), bool(certain)

    def _shot(self, rng: np.random.Generator) -> np.ndarray:
        """The picture in one light, grey, blurred, small or noisy by chance. The black around the frame stays black."""
        x, y, w, h = (round(value) for value in self.frame)
        image = _relit(rng, self.image[y : y + h, x : x + w], 0.3)
        if rng.random() < 0.1:
            image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        # Scenery is often coarser than people, and coarse is no sign of anything.
        if rng.random() < 0.4:
            scale = rng.uniform(0.35, 0.9)
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            image = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
        if rng.random() < 0.15:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.5))
        if rng.random() < 0.2:
            noise = rng.normal(0, rng.uniform(2, 10), image.shape).astype(np.float32)
            image = np.clip(image + noise, 0, 255).round().astype(np.uint8)
        if rng.random() < 0.5:
            quality = int(rng.integers(25, 95))
            _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
            image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[..., ::-1]
        out = np.zeros_like(self.image)
        out[y : y + h, x : x + w] = image
        return out


def _split(rng: np.random.Generator, place: Box, parts: int) -> list[Box]:
    """``place`` cut into so many rectangles, across its longer side each time."""
    if parts == 1:
        return [place]
    x, y, w, h = place
    first = parts // 2
    share = rng.uniform(0.35, 0.65)
    if w >= h:
        one, other = (x, y, w * share, h), (x + w * share, y, w * (1 - share), h)
    else:
        one, other = (x, y, w, h * share), (x, y + h * share, w, h * (1 - share))
    return [*_split(rng, one, first), *_split(rng, other, parts - first)]


def _relit(rng: np.random.Generator, image: np.ndarray, much: float) -> np.ndarray:
    """``image`` in another light: brighter or darker, a little tinted, and a gamma."""
    gain = (1 + 0.4 * much * rng.uniform(-1, 1, 3)) * (1 + much * rng.uniform(-1, 1))
    gamma = np.exp(much * rng.uniform(-1, 1))
    levels = (np.arange(256) / 255) ** gamma
    table = np.clip(255 * levels[:, None] * gain, 0, 255).round().astype(np.uint8)
    return cv2.LUT(np.ascontiguousarray(image), np.ascontiguousarray(table[None]))
