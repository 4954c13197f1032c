"""Who was hidden: people found late, who are followed back, and people whom others cover."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from liftwild.boxes import Box, body_box, ious
from liftwild.pose import Pose
from liftwild.skeleton import MPII_16
from liftwild.tracking.observation import Observation, colours_of, followed_box
from liftwild.tracking.occlusion import GREY as GREY_PAINT
from liftwild.tracking.occlusion import painted_out
from liftwild.tracking.tracker import Tracker
from tests.support.poses import STANDING
from tests.support.tracked_world import (
    BLUE,
    FPS,
    KNOWN,
    RED,
    Body,
    World,
    run,
    walk,
)


def test_who_is_found_late_is_followed_back_to_where_they_came_into_sight() -> None:
    world = World([Body(walk(300, 60), seen=lambda frame: frame >= 4, found=lambda frame: frame >= 9)])
    follower = Tracker(world, world.find)  # type: ignore[arg-type]
    found = run(world, 15, follower)
    first = next(frame for frame, people in enumerate(found) if people)
    assert first >= 9
    frames = ((world.image(frame), frame / FPS, found[frame]) for frame in range(first - 1, -1, -1))
    past = list(follower.earlier(found[first][0], first / FPS, frames))
    assert len(past) == first - 4 and {each.pose.person_id for each in past} == {0}
    for before, seen in enumerate(past, start=1):
        np.testing.assert_allclose(seen.pose.joints_2d, world.bodies[0].joints(first - before), atol=1e-4)


def test_nobody_is_followed_back_onto_somebody_else() -> None:
    world = World([Body(walk(300, 0))])
    follower = Tracker(world, world.find)  # type: ignore[arg-type]
    (seen,) = follower.step(world.image(0), 1.0)
    other = seen.pose
    assert list(follower.earlier(seen, 1.0, [(world.image(0), 0.96, [])]))
    assert not list(follower.earlier(seen, 1.0, [(world.image(0), 0.96, [Observation(other, seen.colours)])]))


def test_who_covers_somebody_is_painted_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the picture with both, the pose of the one behind has the legs of the one in front."""
    behind, front = Body(walk(300, 0), BLUE, 175), Body(walk(330, 0), RED)
    world = World([behind, front])
    own, others = behind.joints(0), front.joints(0)
    mixed = np.where(np.arange(16)[:, None] < 6, others, own)
    wanted = followed_box(Pose(own, STANDING * 1.0, np.full(16, 0.6), (0, 0, 1, 1)))

    def crop_people(image: np.ndarray, boxes: Sequence[Box], name: str | None = None, loose: float = 1.0) -> list[Any]:
        x, y = others[MPII_16.index("left_knee")].astype(int)
        return [(box, (image[y, x] == GREY_PAINT).all()) for box in boxes]

    def predict_crops(photos: Sequence[Sequence[Any]]) -> Iterator[list[Pose]]:
        for people in photos:
            yield [
                Pose(others, STANDING * 1.0, np.full(16, 0.7), box)
                if ious([box], [wanted])[0, 0] < ious([box], [body_box(others, KNOWN)])[0, 0]
                else Pose(own if painted else mixed, STANDING * 1.0, np.full(16, 0.6), box)
                for box, painted in people
            ]

    monkeypatch.setattr(world, "crop_people", crop_people)
    monkeypatch.setattr(world, "predict_crops", predict_crops)
    follower = Tracker(world, lambda image, most: [])  # type: ignore[arg-type]
    image = world.image(0)
    poses = [Pose(own, STANDING * 1.0, np.full(16, 0.6), wanted, person_id=0)]
    poses += [Pose(others, STANDING * 1.0, np.full(16, 0.7), (0, 0, 1, 1), person_id=1)]
    follower.observe(0.0, [Observation(pose, colours_of(image, pose)) for pose in poses])
    first, second = follower.step(image, 1 / FPS)
    np.testing.assert_allclose(first.pose.joints_2d, own, atol=1e-3)
    np.testing.assert_allclose(second.pose.joints_2d, others, atol=1e-3)


def test_colours_are_not_those_of_whoever_is_in_front() -> None:
    body = Body(walk(300, 0))
    world = World([body])
    image = world.image(0)
    pose = Pose(body.joints(0), STANDING * 1.0, np.full(16, 0.7), (0, 0, 1, 1))
    painted, hidden = painted_out(image, [pose])
    assert (painted[hidden] == GREY_PAINT).all() and np.array_equal(painted[~hidden], image[~hidden])
    assert np.isnan(colours_of(image, pose, hidden)).all() and not np.isnan(colours_of(image, pose)).any()
