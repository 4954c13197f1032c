"""People followed from frame to frame: where to look for each, when one is lost, and who is who afterwards.

docs/video.md says what the numbers below were measured on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from liftwild.boxes import Box, Detected
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.pose import Pose
from liftwild.tracking.observation import (
    Observation,
    apart,
    as_kept,
    best_iou,
    colour_distance,
    colours_of,
    followed_box,
    in_sight,
    presence,
    wider,
)
from liftwild.tracking.occlusion import painted_out
from liftwild.tracking.person import DOUBT_SHARE, Person

SAME_POSE = 0.12  # two poses nearer than this (mean joint distance in box sides) are one person's
UNLIKE_COLOUR = 10.0  # clothes nearer than this in CIELAB to a person's own may be that person's
OTHERS_COLOUR = 5.0  # so much nearer in CIELAB to somebody else's clothes, the body of who is followed is that one's
SEEN_OVERLAP = 0.3  # IoU with the box of somebody who is followed: the detector means that one
CLEAR_OVERLAP = 0.05  # IoU with everybody else's boxes up to which a pose is surely nobody else's
UNCOVERED_SHARE = 0.8  # a pose with others painted out may be less sure than one with them, down to this share
LOOSE = 2.0  # boxes are those of an earlier frame: more is left to be seen about them than about exact ones
KEEP_S = 3.0  # who is lost for longer is forgotten; found later, it is somebody new ...
KEEP_FRAMES = 3  # ... but not before this many frames without them, where a frame is seconds after the last
SEARCH_S = 0.1  # how often a detector looks while there is trouble, or nobody
NEWCOMER_S = 0.15  # and how often while all is well
WIDER = 1.3  # the box where somebody lost is still looked for, against the last one


Detect = Callable[[np.ndarray, int | None], Sequence[Detected]]


class Tracker:
    """Follows people through the frames of a clip: ``step`` for each frame.

    ``detect``: a detector's ``detect``, asked for the first boxes, for people lost and for newcomers; None: one person
    is taken to fill the first frame, as in a photo. ``most``: people at a time, None for all. ``box`` (x, y, w, h) px:
    the one person to follow, in the first frame. ``at`` (x, y) px: only who is under this point is begun with.
    ``sure_score``: a detection below it finds nobody new, but who is known already. What it
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
        sure_score: float = 0.0,
    ) -> None:
        if most is not None and most < 1:
            raise LiftwildError(f"the most people to follow must be 1 or more, not {most}")
        self.estimator, self.detect, self.at, self.box = estimator, detect, at, box
        self.sure_score = sure_score
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
            person.missed = 0 if number in seen else person.missed + 1
        for number, each in seen.items():
            if number in self.people:
                self.people[number].go_on(each, time_s)
            else:
                self.people[number] = Person.begin(each, time_s)
                self.begun = max(self.begun, number + 1)
            self.usual = self.people[number].usual
        boxes = {number: person.box(time_s) for number, person in self.people.items()}
        for number, person in self.people.items():
            others = [box for other, box in boxes.items() if other != number]
            person.crowded = best_iou(boxes[number], others) > CLEAR_OVERLAP
        self.last_s = time_s

    def earlier(
        self, seen: Observation, time_s: float, frames: Iterable[tuple[np.ndarray, float, Sequence[Observation]]]
    ) -> Iterator[Observation]:
        """Who was ``seen`` at ``time_s`` for the first time, in the ``frames`` before, until lost or hidden.

        ``frames``: (image, time s, people seen), the last one first; an observation for each, from there on.
        """
        person = Person.begin(seen, -time_s)  # time runs backward
        for image, then_s, others in frames:
            box = in_sight(person.box(-then_s), image)
            if box is None:
                return
            (look,) = self._look(image, [box], "")
            meets = best_iou(followed_box(look.pose), [followed_box(other.pose) for other in others])
            if meets >= SEEN_OVERLAP or not person.is_still(look, -then_s, detected=False):
                return
            person.go_on(look, -then_s)
            yield Observation(replace(look.pose, person_id=seen.pose.person_id), look.colours)

    def _forget(self, time_s: float) -> None:
        for number, person in list(self.people.items()):
            if time_s - person.time_s > KEEP_S and person.missed >= KEEP_FRAMES:
                del self.people[number]

    def _look(self, image: np.ndarray, boxes: Sequence[Box | None], name: str) -> list[Observation]:
        """Who is in ``boxes``; None is the whole frame."""
        people = []
        for box in boxes:
            people += self.estimator.crop_people(image, None if box is None else [box], name=name or None, loose=LOOSE)
        found = [as_kept(pose) for pose in next(self.estimator.predict_crops([people]))]
        return [Observation(pose, colours_of(image, pose)) for pose in found]

    def _uncovered(
        self, image: np.ndarray, box: Box, person: Person, seen: Observation, others: Iterable[Observation],
        time_s: float, name: str,
    ) -> Observation:  # fmt: skip
        """``seen`` in ``box``, or who is there with the surer of ``others`` painted out: who fits better."""
        before = [
            other.pose for other in others
            if presence(other.pose) > presence(seen.pose) and best_iou(followed_box(other.pose), [box]) > CLEAR_OVERLAP
        ]  # fmt: skip
        if not before or person.lost:
            return seen
        picture, hidden = painted_out(image, before)
        (again,) = self._look(picture, [box], name)
        again = Observation(again.pose, colours_of(image, again.pose, hidden))
        if presence(again.pose) < max(UNCOVERED_SHARE * presence(seen.pose), DOUBT_SHARE * person.usual):
            return seen
        return min(seen, again, key=lambda each: person.misfit(each, time_s))

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
        looks = {
            n: self._uncovered(image, where[n], self.people[n], looks[n], looks.values(), time_s, name) for n in looks
        }
        seen = {
            n: look for n, look in looks.items()
            if self.people[n].is_still(look, time_s, n in owned) and not self._is_anothers(n, look)
        }  # fmt: skip
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
        people = self.people.items()
        return _nearest((each.distance(box, time_s), n, i) for n, each in people for i, box in enumerate(boxes))

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
            elif room > 0 and self._is_sure(scores[i]) and self._is_wanted(each.pose.box):
                seen[self._next()] = each
                room -= 1

    def _is_anothers(self, number: int, seen: Observation) -> bool:
        """Whether the clothes are rather those of somebody else who is about, beside whom the person is."""
        person = self.people[number]
        if not person.crowded:
            return False
        more = 0.0 if person.lost else OTHERS_COLOUR
        own = colour_distance(person.colours, seen.colours)
        if own < UNLIKE_COLOUR:
            return False
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
            return self.people[number].lost, self.people[number].misfit(seen[number], time_s)

        numbers = sorted(seen)
        for i, first in enumerate(numbers):
            for second in numbers[i + 1 :]:
                if first in seen and second in seen and apart(seen[first].pose, seen[second].pose) < SAME_POSE:
                    del seen[max((first, second), key=misfit)]

    def _matched(self, found: Sequence[Observation], numbers: Sequence[int], time_s: float) -> dict[int, int]:
        """Which of ``found`` are whom of ``numbers``: {position: number}, the best fit first, none that cannot be."""
        people = [(number, self.people[number]) for number in numbers]
        return _nearest(
            (person.misfit(seen, time_s), i, number)
            for number, person in people for i, seen in enumerate(found) if person.could_be(seen, time_s)
        )  # fmt: skip

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

    def _is_sure(self, score: float | None) -> bool:
        return score is None or score >= self.sure_score

    def _is_wanted(self, box: Box) -> bool:
        return self.at is None or (0 <= self.at[0] - box[0] <= box[2] and 0 <= self.at[1] - box[1] <= box[3])

    def _next(self) -> int:
        self.begun += 1
        return self.begun - 1


def _nearest(pairs: Iterable[tuple[float, int, int]]) -> dict[int, int]:
    """Of (distance, one, other) the nearest pairs at a finite distance, each one and each other once: {one: other}."""
    matched: dict[int, int] = {}
    for distance, one, other in sorted(pairs):
        if math.isfinite(distance) and one not in matched and other not in matched.values():
            matched[one] = other
    return matched


def _number(pose: Pose) -> int:
    assert pose.person_id is not None
    return pose.person_id
