"""People who are followed in a made-up world: where they are, what a detector and a network say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from liftwild.boxes import Box, body_box, ious
from liftwild.pose import Pose
from liftwild.skeleton import MPII_16
from liftwild.tracking.observation import Observation
from liftwild.tracking.tracker import Tracker
from tests.support.poses import STANDING

WIDTH, HEIGHT, FPS = 640, 360, 25.0
RED, BLUE, GREY = (200, 40, 30), (30, 60, 200), (90, 90, 90)
KNOWN = np.ones(16, dtype=bool)


@dataclass
class Body:
    """Somebody in the world. ``place``: middle x, y px by frame; ``size`` px; ``seen``: whether by frame."""

    place: Callable[[int], tuple[float, float]]
    colour: tuple[int, int, int] = RED
    size: float = 160.0
    seen: Callable[[int], bool] = lambda frame: True
    found: Callable[[int], bool] = lambda frame: True
    score: float = 0.9

    def joints(self, frame: int) -> np.ndarray:
        """Joints (16, 2) px, an arm swinging."""
        joints = STANDING[:, :2] * (self.size / 1750)
        joints[MPII_16.index("right_wrist"), 0] += 0.1 * self.size * np.sin(frame / 3)
        return joints + self.place(frame)


class Shown(NamedTuple):
    """What the world's detector gives."""

    box: Box
    score: float


@dataclass
class World:
    """Stands for estimator and detector: knows who is where, the last of ``bodies`` in front."""

    bodies: Sequence[Body]
    frame: int = 0
    asked: list[int] = field(default_factory=list)
    looked: list[Box | None] = field(default_factory=list)

    def image(self, frame: int) -> np.ndarray:
        """The frame: trunks and thighs in their colours on grey."""
        self.frame = frame
        image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        for body in self.bodies:
            if body.seen(frame):
                joints = body.joints(frame)
                (x0, y0), (x1, y1) = joints[[0, 12]].min(axis=0).clip(0), joints[[5, 13, 4]].max(axis=0).clip(0)
                image[int(y0) : int(y1), int(x0 - 4) : int(x1 + 4)] = body.colour
        return image

    def crop_people(
        self, image: np.ndarray, boxes: Sequence[Box] | None, name: str | None = None, loose: float = 1.0
    ) -> list[Any]:
        """The boxes themselves."""
        return [None] if boxes is None else list(boxes)

    def predict_crops(self, photos: Sequence[Sequence[Box | None]]) -> Iterator[list[Pose]]:
        """For each box the pose of whom it shows best, sure; or a guess, unsure."""
        for boxes in photos:
            self.looked += boxes
            yield [self._pose(box) for box in boxes]

    def _pose(self, box: Box | None) -> Pose:
        whole = box or (0.0, 0.0, float(WIDTH), float(HEIGHT))
        bodies = [body for body in self.bodies if body.seen(self.frame)]
        shown = [ious([whole], [body_box(body.joints(self.frame), KNOWN)])[0, 0] for body in bodies]
        if bodies and (box is None or max(shown) > 0.15):
            best = max(range(len(bodies)), key=lambda i: (shown[i], i))
            joints, sure = bodies[best].joints(self.frame), 0.7
        else:
            x, y, w, h = whole
            joints, sure = STANDING[:, :2] * (h / 2500) + (x + w / 2, y + h / 2), 0.2
        return Pose(joints, STANDING * 1.0, np.full(16, sure), whole)

    def find(self, image: np.ndarray, most: int | None) -> list[Shown]:
        """Everybody who is not hidden behind somebody, largest first."""
        self.asked.append(self.frame)
        boxes = []
        for i, body in enumerate(self.bodies):
            box = body_box(body.joints(self.frame), KNOWN)
            before = [
                body_box(each.joints(self.frame), KNOWN) for each in self.bodies[i + 1 :] if each.seen(self.frame)
            ]
            hidden = any(ious([box], [other])[0, 0] > 0.4 for other in before)
            if body.seen(self.frame) and body.found(self.frame) and not hidden:
                boxes.append(Shown(box, body.score))
        return sorted(boxes, key=lambda found: -found.box[2] * found.box[3])[:most]


def run(
    world: World, frames: int, follower: Tracker | None = None, start: int = 0, fps: float = FPS
) -> list[list[Observation]]:
    """Who is seen in each frame."""
    follower = follower or Tracker(world, world.find)  # type: ignore[arg-type]
    return [follower.step(world.image(frame), frame / fps) for frame in range(start, frames)]


def numbers(found: list[list[Observation]]) -> list[list[int | None]]:
    return [[seen.pose.person_id for seen in frame] for frame in found]


def who(world: World, found: list[list[Observation]]) -> list[dict[int | None, int]]:
    """{number: body} of each frame."""
    return [
        {
            seen.pose.person_id: min(
                range(len(world.bodies)),
                key=lambda i: np.abs(world.bodies[i].joints(frame) - seen.pose.joints_2d).mean(),
            )
            for seen in people
        }
        for frame, people in enumerate(found)
    ]


def walk(start: float, speed: float, y: float = 180.0) -> Callable[[int], tuple[float, float]]:
    """From x ``start`` with ``speed`` px/s."""
    return lambda frame: (start + speed * frame / FPS, y)
