"""Somebody who is followed: the last pose, where the body should be next, and who of those seen may be that person.

docs/video.md says what the numbers below were measured on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from liftwild.boxes import Box
from liftwild.pose import Pose
from liftwild.skeleton import PELVIS, THORAX
from liftwild.tracking.observation import (
    Observation,
    alike,
    apart,
    centre,
    colour_distance,
    followed_box,
    presence,
    side_of,
)

USUAL_OF = 30  # poses whose median presence is the usual one
SPEED_S = 0.3  # over how long the speed of a person is taken
SHAPE_S = 1.0  # over how long the shape of a box is, while it meets another
COLOUR_S = 2.0  # over how long colours are
AHEAD_S, AHEAD_SIDES = 0.5, 0.5  # for how long somebody goes on like that, and how far, in box sides

# When somebody is lost. ``presence`` is compared with the person's own usual one, which light, clothes and weights set.
LOST_SHARE = 0.6  # below this share of the usual: nobody is there
DOUBT_SHARE = 0.8  # below this one a detector is asked; without one, what was lost is back only above it
MAX_GROWTH = 2.0  # of a box from one frame to the next, or its inverse

# Who is who. Distances between joints are in box sides, between colours in CIELAB.
REACH = 0.3  # how far a pose may be from where it was expected, to be the same person's ...
CROWD_REACH = 0.15  # ... beside others ...
REACH_PER_S = 0.8  # ... and how much farther for each second that has passed: about as fast as people walk
MAX_REACH = 1.5
ALIKE_COLOUR = 15.0  # farther apart, clothes are not those of who was lost ...
STILL_COLOUR, STILL_JUMP = 20.0, 0.05  # ... nor those of who was seen, so far apart in a pose that moved so far
COLOUR_PER_SIDE = 100.0  # how much of a difference in colour weighs like one box side


@dataclass
class Person:
    """Somebody who is followed or was lost a moment ago.

    ``speed`` (2,) px/s. ``sure``: ``presence`` of late poses. ``shape`` (x, y, w, h) px: the body's box about the
    middle of the trunk. ``missed``: in how many frames since the last pose. ``doubtful``: the last pose was less sure
    than usual; ``crowded``: its box met somebody else's.
    """

    pose: Pose
    time_s: float
    speed: np.ndarray
    sure: list[float]
    shape: np.ndarray
    colours: np.ndarray
    missed: int = 0
    doubtful: bool = False
    crowded: bool = False

    @classmethod
    def begin(cls, seen: Observation, time_s: float) -> Person:
        """Somebody who was never seen before."""
        return cls(seen.pose, time_s, np.zeros(2), [presence(seen.pose)], _shape(seen.pose), seen.colours)

    def go_on(self, seen: Observation, time_s: float) -> None:
        """Take in that the person was ``seen`` at ``time_s``."""
        step, sure = time_s - self.time_s, presence(seen.pose)
        speed = (_middle(seen.pose) - _middle(self.pose)) / max(step, 1e-3)
        self.speed = self.speed + _share(step, SPEED_S) * (speed - self.speed)
        # Among others a pose takes in their limbs and colours.
        self.shape = self.shape + (_share(step, SHAPE_S) if self.crowded else 1.0) * (_shape(seen.pose) - self.shape)
        if not self.crowded:
            new = self.colours + _share(step, COLOUR_S) * (seen.colours - self.colours)
            self.colours = np.where(np.isnan(new), np.where(np.isnan(self.colours), seen.colours, self.colours), new)
        self.pose, self.time_s = seen.pose, time_s
        self.sure = [*self.sure[-USUAL_OF + 1 :], sure]
        self.doubtful = sure < DOUBT_SHARE * self.usual

    @property
    def lost(self) -> bool:
        """Whether the person was not in the last frame."""
        return self.missed > 0

    @property
    def usual(self) -> float:
        """The ``presence`` that poses of this person usually have."""
        return float(np.median(self.sure))

    def ahead(self, time_s: float) -> np.ndarray:
        """How far (2,) px the person will have gone by ``time_s``."""
        gone = self.speed * min(time_s - self.time_s, AHEAD_S)
        most = AHEAD_SIDES * float(self.shape[2:].max())
        length = float(np.linalg.norm(gone))
        return gone * min(1.0, most / length) if length > 0 else gone

    def box(self, time_s: float) -> Box:
        """Where the body should be at ``time_s``."""
        x, y = _middle(self.pose) + self.ahead(time_s) + self.shape[:2]
        return float(x), float(y), float(self.shape[2]), float(self.shape[3])

    def jump(self, pose: Pose, time_s: float) -> float:
        """How far ``pose`` is from where this person should be, in box sides."""
        return apart(self.pose, pose, self.ahead(time_s))

    def reach(self, time_s: float) -> float:
        """How far from where the person should be they may be found at ``time_s``, in box sides."""
        return min(REACH + REACH_PER_S * (time_s - self.time_s), MAX_REACH)

    def distance(self, box: Box, time_s: float) -> float:
        """How far a detector's ``box`` is from where the body should be, in sides of the larger one; infinite where it
        cannot be this person's."""
        own = self.box(time_s)
        away = float(np.linalg.norm(centre(own) - centre(box))) / max(side_of(own), side_of(box))
        return away if away <= self.reach(time_s) and alike(own, box) else math.inf

    def misfit(self, seen: Observation, time_s: float) -> float:
        """How unlike this person who is ``seen`` is, in place and colours; box sides."""
        return self.jump(seen.pose, time_s) + colour_distance(self.colours, seen.colours) / COLOUR_PER_SIDE

    def could_be(self, seen: Observation, time_s: float) -> bool:
        """Whether who is ``seen`` may be this person, who was lost."""
        return (
            self.jump(seen.pose, time_s) <= self.reach(time_s)
            and alike(followed_box(seen.pose), self.box(time_s))
            and colour_distance(self.colours, seen.colours) <= ALIKE_COLOUR
        )

    def is_still(self, seen: Observation, time_s: float, detected: bool) -> bool:
        """Whether who is ``seen`` where this person should be is this person: by confidence, place and size.

        ``detected``: a detector has found somebody there.
        """
        if presence(seen.pose) < (DOUBT_SHARE if self.lost and not detected else LOST_SHARE) * self.usual:
            return False
        if self.lost and detected:
            return self.could_be(seen, time_s)
        if self.jump(seen.pose, time_s) > STILL_JUMP and colour_distance(self.colours, seen.colours) > STILL_COLOUR:
            return False
        reach = CROWD_REACH if self.crowded else REACH
        reach += 0.0 if self.lost else REACH_PER_S * (time_s - self.time_s)
        growth = side_of(followed_box(seen.pose)) / side_of(self.box(time_s))
        return self.jump(seen.pose, time_s) <= reach and 1 / MAX_GROWTH <= growth <= MAX_GROWTH


def _shape(pose: Pose) -> np.ndarray:
    """The body's box (4,) about the middle of the trunk."""
    x, y, w, h = followed_box(pose)
    middle = _middle(pose)
    return np.array([x - middle[0], y - middle[1], w, h])


def _share(step_s: float, time_s: float) -> float:
    """How far a mean over ``time_s`` goes towards a new value in one step."""
    return float(1 - np.exp(-step_s / time_s))


def _middle(pose: Pose) -> np.ndarray:
    return np.asarray((pose.joints_2d[PELVIS] + pose.joints_2d[THORAX]) / 2)
