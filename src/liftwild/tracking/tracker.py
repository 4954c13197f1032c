"""People followed from frame to frame: where to look for each, when one is lost, and who is who afterwards.

docs/video.md says what the numbers below were measured on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from liftwild.boxes import Box, Detected
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.pose import Pose
from liftwild.tracking.observation import (
    Observation,
    Person,
    apart,
    as_kept,
    best_iou,
    centre,
    colour_distance,
    colours_of,
    followed_box,
    in_sight,
    presence,
    side_of,
    wider,
)

# When somebody is lost. ``presence`` is compared with the person's own usual one, which light, clothes and weights set.
LOST_SHARE = 0.6  # below this share of the usual: nobody is there
DOUBT_SHARE = 0.8  # below this one a detector is asked; without one, what was lost is back only above it
MAX_GROWTH = 2.0  # of a box from one frame to the next, or its inverse
SAME_POSE = 0.12  # two poses nearer than this (mean joint distance in box sides) are one person's

# Who is who. Distances between joints are in box sides, between colours in CIELAB.
REACH = 0.3  # how far a pose may be from where it was expected, to be the same person's ...
CROWD_REACH = 0.15  # ... beside others ...
REACH_PER_S = 0.8  # ... and how much farther for each second that has passed: about as fast as people walk
MAX_REACH = 1.5
ALIKE_SIZE = 0.6  # ratio of box sides below which two boxes are not one person's
ALIKE_COLOUR = 30.0  # farther apart, clothes are not one person's
OTHERS_COLOUR = 5.0  # so much nearer to somebody else's clothes, the body of who is followed is that one's
COLOUR_PER_SIDE = 100.0  # how much of a difference in colour weighs like one box side
SEEN_OVERLAP = 0.3  # IoU with the box of somebody who is followed: the detector means that one
CLEAR_OVERLAP = 0.05  # IoU with everybody else's boxes up to which a pose is surely nobody else's

LOOSE = 2.0  # boxes are those of an earlier frame: more is left to be seen about them than about exact ones
KEEP_S = 3.0  # who is lost for longer is forgotten; found later, it is somebody new
SEARCH_S = 0.2  # how often a detector looks while there is trouble, or nobody
NEWCOMER_S = 1.0  # and how often while all is well
WIDER = 1.3  # the box where somebody lost is still looked for, against the last one


Detect = Callable[[np.ndarray, int | None], Sequence[Detected]]


class Tracker:
    """Follows people through the frames of a clip: ``step`` for each frame.

    ``detect``: a detector's ``detect``, asked for the first boxes, for people lost and for newcomers; None: one person
    is taken to fill the first frame, as in a photo. ``most``: people at a time, None for all. ``box`` (x, y, w, h) px:
    the one person to follow, in the first frame. ``at`` (x, y) px: only who is under this point is begun with. What it
    does in a frame depends on the frame and on what was seen before alone: after ``observe`` of that it goes on as if
    it had never stopped.
    """

    def __init__(
        self,
        estimator: Estimator,
        detect: Detect | None = None,
        most: int | None = None,
        box: Box | None = None,
        at: tuple[float, float] | None = None,
    ) -> None:
        if most is not None and most < 1:
            raise LiftwildError(f"the most people to follow must be 1 or more, not {most}")
        self.estimator, self.detect, self.at, self.box = estimator, detect, at, box
        self.most = 1 if detect is None or box is not None or at is not None else most
        self.people: dict[int, Person] = {}
        self.begun = 0  # people so far: the next one's number
        self.usual = 0.0  # of whoever was seen last, for when all are forgotten
        self.last_s: float | None = None

    def step(
        self, image: np.ndarray, time_s: float, external: Sequence[tuple[int | None, Box]] | None = None, name: str = ""
    ) -> list[Observation]:
        """The people in the next frame, each with ``person_id``, by that number.

        ``image`` (H, W, 3) uint8 RGB; ``time_s`` s, rising. ``external``: (annotation id, box) of the people in this
        frame, looked at as they are; None: people are followed. LiftwildError, with ``name``, on a bad box.
        """
        self._forget(time_s)
        if external is not None:
            seen = self._external(image, time_s, external, name)
        elif self.last_s is None and self.box is not None:
            seen = {self._next(): self._look(image, [self.box], name)[0]}
        else:
            seen = self._followed(image, time_s, name)
        found = [Observation(replace(seen[n].pose, person_id=n), seen[n].colours) for n in sorted(seen)]
        self.observe(time_s, found)
        return found

    def observe(self, time_s: float, found: Iterable[Observation]) -> None:
        """Know that people were ``found`` in the frame at ``time_s``: the second half of ``step``."""
        self._forget(time_s)
        seen = {_number(each.pose): each for each in found}
        for number, person in self.people.items():
            person.lost = number not in seen
        for number, each in seen.items():
            if number in self.people:
                self.people[number].go_on(each, time_s, DOUBT_SHARE)
            else:
                self.people[number] = Person.begin(each, time_s)
                self.begun = max(self.begun, number + 1)
            self.usual = self.people[number].usual
        boxes = {number: person.box(time_s) for number, person in self.people.items()}
        for number, person in self.people.items():
            others = [box for other, box in boxes.items() if other != number]
            person.crowded = best_iou(boxes[number], others) > CLEAR_OVERLAP
        self.last_s = time_s

    def _forget(self, time_s: float) -> None:
        for number in [key for key, person in self.people.items() if time_s - person.time_s > KEEP_S]:
            del self.people[number]

    def _look(self, image: np.ndarray, boxes: Sequence[Box | None], name: str) -> list[Observation]:
        """Who is in ``boxes``; None is the whole frame."""
        people = []
        for box in boxes:
            people += self.estimator.crop_people(image, None if box is None else [box], name=name or None, loose=LOOSE)
        found = [as_kept(pose) for pose in next(self.estimator.predict_crops([people]))]
        return [Observation(pose, colours_of(image, pose)) for pose in found]

    def _external(
        self, image: np.ndarray, time_s: float, external: Sequence[tuple[int | None, Box]], name: str
    ) -> dict[int, Observation]:
        """People in boxes that somebody else knows; numbers by who was there before."""
        found = self._look(image, [box for _, box in external], name)
        numbers = self._matched(found, list(self.people), time_s)
        seen = {}
        for i, (each, (key, _)) in enumerate(zip(found, external, strict=True)):
            number = numbers[i] if i in numbers else self._next()
            seen[number] = Observation(replace(each.pose, annotation_id=key), each.colours)
        return seen

    def _followed(self, image: np.ndarray, time_s: float, name: str) -> dict[int, Observation]:
        asked = self._is_due(time_s)
        detected = list(self.detect(image, None)) if asked and self.detect is not None else []
        owned = self._owned([each.box for each in detected], time_s)
        where: dict[int, Box] = {}
        for number, person in self.people.items():
            found = owned.get(number) if person.lost or person.crowded else None
            box = (
                detected[found].box
                if found is not None
                else in_sight(wider(person.box(time_s), WIDER if person.lost else 1.0), image)
            )
            if box is not None:
                where[number] = box
        looks = dict(zip(where, self._look(image, list(where.values()), name), strict=True))
        seen = {n: look for n, look in looks.items() if self._is_there(n, look, time_s, n in owned)}
        seen = {n: look.scored(detected[owned[n]].score if n in owned else None) for n, look in seen.items()}
        self._drop_beside_others(seen, owned)
        self._drop_doubles(seen, time_s)
        if asked and self.detect is not None:  # it sees nobody where the pose is doubtful, too
            for number in [n for n in seen if n not in owned]:
                if presence(seen[number].pose) < DOUBT_SHARE * self.people[number].usual:
                    del seen[number]
        if asked:
            self._add_found(image, time_s, detected, seen, name)
        return seen

    def _owned(self, boxes: Sequence[Box], time_s: float) -> dict[int, int]:
        """Which of a detector's ``boxes`` is whose, the nearest first, none too far: {number: position}."""
        pairs = []
        for number, person in self.people.items():
            own = person.box(time_s)
            for i, box in enumerate(boxes):
                small, large = sorted((side_of(own), side_of(box)))
                away = float(np.linalg.norm(centre(own) - centre(box))) / large
                if away <= self._reach(person, time_s) and small >= ALIKE_SIZE * large:
                    pairs.append((away, number, i))
        return _nearest(pairs)

    def _add_found(
        self, image: np.ndarray, time_s: float, detected: Sequence[Detected], seen: dict[int, Observation], name: str
    ) -> None:
        """Add to ``seen`` who else was ``detected``: lost ones by their numbers, and new ones."""
        followed = [followed_box(each.pose) for each in seen.values()]
        free: list[Detected | None] = [each for each in detected if best_iou(each.box, followed) < SEEN_OVERLAP]
        if self.detect is None and not seen:
            free = [None]
        looks = self._look(image, [None if each is None else each.box for each in free], name)
        scores = [None if each is None else each.score for each in free]
        found = [look.scored(score) for look, score in zip(looks, scores, strict=True)]
        if self.detect is None and self.begun:  # nobody says that somebody is there, so the pose must
            found = [each for each in found if presence(each.pose) >= DOUBT_SHARE * self.usual]
        numbers = self._matched(found, [number for number in self.people if number not in seen], time_s)
        room = len(found) if self.most is None else self.most - len(self.people)
        for i, each in enumerate(found):
            if any(apart(each.pose, other.pose) < SAME_POSE for other in seen.values()):
                continue
            if i in numbers:
                seen[numbers[i]] = each
            elif room > 0 and self._is_wanted(each.pose.box):
                seen[self._next()] = each
                room -= 1

    def _is_there(self, number: int, seen: Observation, time_s: float, found: bool) -> bool:
        """Whether who is ``seen`` is still that person: by confidence, place, size and colours."""
        person, pose = self.people[number], seen.pose
        share = DOUBT_SHARE if person.lost and not found else LOST_SHARE
        if presence(pose) < share * person.usual:
            return False
        if person.crowded and self._is_anothers(number, seen):
            return False
        if person.lost and found:
            return self._could_be(person, seen, time_s)
        reach = CROWD_REACH if person.crowded else REACH
        reach += 0.0 if person.lost else REACH_PER_S * (time_s - person.time_s)
        growth = side_of(followed_box(pose)) / side_of(person.box(time_s))
        return person.jump(pose, time_s) <= reach and 1 / MAX_GROWTH <= growth <= MAX_GROWTH

    def _is_anothers(self, number: int, seen: Observation) -> bool:
        """Whether the clothes are rather those of somebody else who is about."""
        person = self.people[number]
        more = 0.0 if person.lost else OTHERS_COLOUR
        own = colour_distance(person.colours, seen.colours)
        others = [each for other, each in self.people.items() if other != number]
        return any(colour_distance(each.colours, seen.colours) + more < own for each in others)

    def _drop_beside_others(self, seen: dict[int, Observation], owned: dict[int, int]) -> None:
        """Drop who was lost and is back beside somebody else without a detector's word: it may be that one."""
        others = [followed_box(each.pose) for n, each in seen.items() if not self.people[n].lost]
        for number in [n for n in seen if self.people[n].lost and n not in owned]:
            if best_iou(followed_box(seen[number].pose), others) > CLEAR_OVERLAP:
                del seen[number]

    def _drop_doubles(self, seen: dict[int, Observation], time_s: float) -> None:
        """Of two numbers on one body, drop the one that fits it less."""

        def misfit(number: int) -> tuple[bool, float]:
            person, each = self.people[number], seen[number]
            return person.lost, self._misfit(person, each, time_s)

        numbers = sorted(seen)
        for i, first in enumerate(numbers):
            for second in numbers[i + 1 :]:
                if first in seen and second in seen and apart(seen[first].pose, seen[second].pose) < SAME_POSE:
                    del seen[max((first, second), key=misfit)]

    def _misfit(self, person: Person, seen: Observation, time_s: float) -> float:
        """How unlike the person who is ``seen`` is, in place and colours; box sides."""
        unlike = colour_distance(person.colours, seen.colours) / COLOUR_PER_SIDE
        return person.jump(seen.pose, time_s) + unlike

    def _could_be(self, person: Person, seen: Observation, time_s: float) -> bool:
        """Whether who is ``seen`` may be that person, who was lost."""
        small, large = sorted((side_of(followed_box(seen.pose)), side_of(person.box(time_s))))
        return (
            person.jump(seen.pose, time_s) <= self._reach(person, time_s)
            and small >= ALIKE_SIZE * large
            and colour_distance(person.colours, seen.colours) <= ALIKE_COLOUR
        )

    def _reach(self, person: Person, time_s: float) -> float:
        """How far from where it should be somebody may be found, in box sides."""
        return min(REACH + REACH_PER_S * (time_s - person.time_s), MAX_REACH)

    def _matched(self, found: Sequence[Observation], numbers: Sequence[int], time_s: float) -> dict[int, int]:
        """Which of ``found`` are whom of ``numbers``: {position: number}, the best fit first, none that cannot be."""
        pairs = []
        for number in numbers:
            person = self.people[number]
            for i, seen in enumerate(found):
                if self._could_be(person, seen, time_s):
                    pairs.append((self._misfit(person, seen, time_s), i, number))
        return _nearest(pairs)

    def _is_due(self, time_s: float) -> bool:
        """Whether a detector shall look at this frame; it depends on the frames before and on their times alone."""
        if self.last_s is None:
            return True
        if not self.people or any(each.lost or each.doubtful or each.crowded for each in self.people.values()):
            every = SEARCH_S
        elif self.most is None or len(self.people) < self.most:
            every = NEWCOMER_S
        else:
            return False
        return int(time_s / every) > int(self.last_s / every)

    def _is_wanted(self, box: Box) -> bool:
        return self.at is None or (0 <= self.at[0] - box[0] <= box[2] and 0 <= self.at[1] - box[1] <= box[3])

    def _next(self) -> int:
        self.begun += 1
        return self.begun - 1


def _nearest(pairs: list[tuple[float, int, int]]) -> dict[int, int]:
    """Of (distance, one, other) the nearest pairs, each one and each other once: {one: other}."""
    matched: dict[int, int] = {}
    for _, one, other in sorted(pairs):
        if one not in matched and other not in matched.values():
            matched[one] = other
    return matched


def _number(pose: Pose) -> int:
    assert pose.person_id is not None
    return pose.person_id
