"""Following people: in a world of flat people whose place, clothes and sight are set by each test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liftwild.boxes import Box, body_box, ious
from liftwild.errors import LiftwildError
from liftwild.pose import Pose
from liftwild.tracking.observation import colour_distance, colours_of, followed_box
from liftwild.tracking.tracker import KEEP_S, NEWCOMER_S, SEARCH_S, Tracker
from tests.support.poses import STANDING
from tests.support.tracked_world import (
    BLUE,
    FPS,
    KNOWN,
    RED,
    Body,
    World,
    numbers,
    run,
    walk,
    who,
)


def test_one_person_is_followed_by_the_pose_alone() -> None:
    world = World([Body(walk(100, 120))])
    found = run(world, 60, Tracker(world, world.find, most=1))  # type: ignore[arg-type]
    assert numbers(found) == [[0]] * 60
    assert world.asked == [0]  # all was well after the first frame
    for frame, (seen,) in enumerate(found):
        np.testing.assert_allclose(seen.pose.joints_2d, world.bodies[0].joints(frame), atol=1e-4)
        assert ious([seen.pose.box], [followed_box(seen.pose)])[0, 0] > 0.7
    assert found[3][0].pose.joints_2d.dtype == np.float64


def test_numbers_are_kept_on_disk_as_they_are_used() -> None:
    world = World([Body(walk(100.123456789, 120))])
    ((seen,),) = run(world, 1)
    assert np.array_equal(seen.pose.joints_2d.astype(np.float32).astype(np.float64), seen.pose.joints_2d)


@pytest.mark.parametrize(("gone_s", "number"), [(0.4, 0), (KEEP_S - 0.4, 0), (KEEP_S + 0.4, 1)])
def test_who_is_gone_for_a_moment_keeps_the_number(gone_s: float, number: int) -> None:
    gone = range(20, 20 + round(gone_s * FPS))
    world = World([Body(walk(200, 20), seen=lambda frame: frame not in gone)])
    found = run(world, 20 + len(gone) + 15)
    assert numbers(found)[:20] == [[0]] * 20
    assert not any(found[frame] for frame in gone)  # nobody is made up
    back = numbers(found)[20 + len(gone) :]
    assert back[-1] == [number] and all(frame in ([], [number]) for frame in back)
    assert back.index([number]) <= SEARCH_S * FPS + 1


def test_a_cut_to_somebody_elsewhere_is_no_jump() -> None:
    world = World([Body(lambda frame: (120, 180) if frame < 20 else (520, 190))])
    found = run(world, 40)
    assert numbers(found)[:20] == [[0]] * 20 and numbers(found)[-1] == [1]
    assert all(frame in ([], [1]) for frame in numbers(found)[20:])


def test_a_pose_that_grows_at_once_is_somebody_elses() -> None:
    world = World([Body(walk(300, 0))])
    follower = Tracker(world, None, box=(250, 80, 100, 190))  # type: ignore[arg-type]
    run(world, 10, follower)
    world.bodies = [Body(walk(300, 0), size=350)]
    assert follower.step(world.image(10), 10 / FPS) == []


@pytest.mark.parametrize(("speed", "colours"), [(60, (RED, BLUE)), (150, (RED, BLUE)), (150, (RED, (165, 60, 60)))])
def test_two_who_cross_keep_their_numbers(speed: float, colours: tuple[tuple[int, int, int], ...]) -> None:
    frames = round(400 / speed * FPS)
    world = World([Body(walk(120, speed), colours[0]), Body(walk(520, -speed, 190), colours[1], size=175)])
    found = run(world, frames)
    assert sorted(found[0][i].pose.person_id or 0 for i in range(2)) == [0, 1]
    first = who(world, found)[0]
    for frame in who(world, found):
        assert all(first[number] == body for number, body in frame.items())
    assert len(found[-1]) == 2  # both are back
    hidden = [frame for frame, people in enumerate(found) if len(people) < 2]
    assert hidden and len(hidden) < frames / 2


def test_two_numbers_never_share_a_body() -> None:
    world = World([Body(walk(200, 40)), Body(walk(420, -40))])
    for frame in who(world, run(world, 140)):
        assert len(set(frame.values())) == len(frame)


def test_newcomers_are_seen_within_a_second_and_only_as_many_as_asked_for() -> None:
    bodies = [Body(walk(100, 10)), Body(walk(300, 0), size=200, seen=lambda frame: frame >= 30)]
    world = World(bodies)
    found = numbers(run(world, 70))
    assert found[29] == [0] and found[-1] == [0, 1]
    assert found.index([0, 1]) <= 30 + NEWCOMER_S * FPS + 1
    world = World(bodies)
    assert numbers(run(world, 70, Tracker(world, world.find, most=1)))[-1] == [0]  # type: ignore[arg-type]
    with pytest.raises(LiftwildError, match="1 or more, not 0"):
        Tracker(world, world.find, most=0)  # type: ignore[arg-type]


def test_the_largest_come_first() -> None:
    world = World([Body(walk(100, 0)), Body(walk(300, 0), size=200), Body(walk(500, 0), size=180)])
    assert who(world, run(world, 1, Tracker(world, world.find, most=2))) == [{0: 1, 1: 2}]  # type: ignore[arg-type]


def test_the_one_under_the_point() -> None:
    world = World([Body(walk(120, 30), BLUE, size=200), Body(walk(450, -20))])
    found = run(world, 60, Tracker(world, world.find, at=(452, 200)))  # type: ignore[arg-type]
    assert who(world, found) == [{0: 1}] * 60
    nobody = run(world, 30, Tracker(world, world.find, at=(5, 5)))  # type: ignore[arg-type]
    assert nobody == [[]] * 30


def test_scores_are_of_the_frames_that_the_detector_looked_at() -> None:
    world = World([Body(walk(300, 0))])
    found = run(world, 60)
    scored = [frame for frame, (seen,) in enumerate(found) if seen.pose.score is not None]
    assert scored == world.asked and scored[0] == 0 and 5 < len(scored) < 20
    assert {seen.pose.score for (seen,) in found} == {None, float(np.float32(0.9))}


def test_unsure_detections_begin_nobody_and_find_who_is_known() -> None:
    def sure(frame: int) -> bool:
        return frame < 10

    known = Body(walk(300, 0), BLUE, seen=lambda frame: not 10 <= frame < 30)
    world = World([known, Body(walk(500, 0), score=0.3)])
    follower = Tracker(world, world.find, sure_score=0.5)  # type: ignore[arg-type]
    found = []
    for frame in range(60):
        known.score = 0.9 if sure(frame) else 0.3
        found.append(follower.step(world.image(frame), frame / FPS))
    assert numbers(found)[:10] == [[0]] * 10 and numbers(found)[15] == [] and numbers(found)[-1] == [0]


def test_a_pose_that_goes_over_to_other_clothes_is_lost() -> None:
    changed = Body(walk(300, 0), (230, 230, 230))
    world = World([changed])
    follower = Tracker(world, lambda image, most: [], box=body_box(changed.joints(0), KNOWN))  # type: ignore[arg-type]
    assert follower.step(world.image(0), 0.0)
    changed.colour = (20, 20, 20)
    assert follower.step(world.image(1), 1 / FPS)  # the light may have changed
    changed.place = walk(315, 0)
    assert follower.step(world.image(2), 2 / FPS) == []


@pytest.mark.parametrize("with_detector", [True, False])
def test_a_box_says_whom_to_begin_with(with_detector: bool) -> None:
    world = World([Body(walk(120, 30)), Body(walk(450, -20), BLUE, size=220)])
    box = body_box(world.bodies[0].joints(0), KNOWN)
    find = world.find if with_detector else None
    found = run(world, 50, Tracker(world, find, box=box))  # type: ignore[arg-type]
    assert who(world, found) == [{0: 0}] * 50
    assert found[0][0].pose.box == pytest.approx(box, abs=1e-3)


def test_without_a_detector_one_person_fills_the_first_frame() -> None:
    world = World([Body(walk(320, 10))])
    found = run(world, 20, Tracker(world))  # type: ignore[arg-type]
    assert world.looked[0] is None and numbers(found) == [[0]] * 20
    gone = range(20, 60)
    world = World([Body(walk(320, 10), seen=lambda frame: frame not in gone)])
    found = run(world, 90, Tracker(world))  # type: ignore[arg-type]
    assert not any(found[25:60]) and numbers(found)[-1] == [0]


def test_nobody_is_nobody() -> None:
    world = World([])
    assert run(world, 50) == [[]] * 50
    assert len(world.asked) == 1 + int(49 / FPS / SEARCH_S)  # looked for at times, not in every frame


def test_who_walks_out_of_the_picture_is_lost_without_a_word() -> None:
    world = World([Body(walk(500, 300), seen=lambda frame: frame < 25)])
    found = run(world, 80)
    assert numbers(found)[5] == [0] and not any(found[30:])


def test_the_peaks_say_whether_somebody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrated confidence falls at the photo's edge, where people stay; over nobody only the peaks fall."""
    world = World([Body(walk(300, 0), seen=lambda frame: frame < 40)])
    real = World._pose

    def calibrated(self: World, box: Box | None) -> Pose:
        pose = real(self, box)
        return replace(
            pose, peak=float(pose.confidence.mean()), confidence=np.full(16, 0.7 if self.frame < 20 else 0.2)
        )

    monkeypatch.setattr(World, "_pose", calibrated)
    found = run(world, 60, Tracker(world, None, box=(250, 80, 100, 190)))  # type: ignore[arg-type]
    assert numbers(found) == [[0]] * 40 + [[]] * 20


@pytest.mark.parametrize("is_found", [True, False])
def test_doubt_is_settled_by_the_detector(is_found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pose that is less sure than usual stays if the detector sees somebody there, and goes if not."""
    world = World([Body(walk(300, 0), found=lambda frame: frame < 20 or is_found)])
    real = World._pose

    def unsure(self: World, box: Box | None) -> Pose:
        return replace(real(self, box), confidence=np.full(16, 0.7 if self.frame < 20 else 0.5))

    monkeypatch.setattr(World, "_pose", unsure)
    seen = [bool(frame) for frame in run(world, 40)]
    assert all(seen[:20]) and any(seen[20:]) and seen[-1] is is_found


def test_given_boxes_are_looked_at_as_they_are() -> None:
    world = World([Body(walk(120, 60)), Body(walk(450, -60), BLUE)])
    follower = Tracker(world, lambda image, most: [])  # type: ignore[arg-type]
    order = [[0, 1], [1, 0]]
    for frame in range(20):
        image = world.image(frame)
        given = [(100 + i, body_box(world.bodies[i].joints(frame), KNOWN)) for i in order[frame % 2]]
        if frame % 5 < 3:
            seen = follower.step(image, frame / FPS, given)
            assert {each.pose.annotation_id: each.pose.person_id for each in seen} == {100: 0, 101: 1}
        else:  # no labels here: followed
            seen = follower.step(image, frame / FPS)
            assert [each.pose.person_id for each in seen] == [0, 1]
            assert all(each.pose.annotation_id is None for each in seen)


@pytest.mark.parametrize("stop", [1, 17, 40, 63, 80])
def test_it_goes_on_as_if_it_had_never_stopped(stop: int) -> None:
    def world() -> World:
        gone = range(30, 50)
        return World(
            [Body(walk(120, 90), RED), Body(walk(520, -90, 190), BLUE, 175, seen=lambda frame: frame not in gone)]
        )

    whole = run(world(), 110)
    again = world()
    follower = Tracker(again, again.find)  # type: ignore[arg-type]
    for frame, seen in enumerate(whole[:stop]):
        follower.observe(frame / FPS, seen)
    rest = run(again, 110, follower, stop)
    for one, other in zip(whole[stop:], rest, strict=True):
        assert [seen.pose.person_id for seen in one] == [seen.pose.person_id for seen in other]
        for first, second in zip(one, other, strict=True):
            assert np.array_equal(first.pose.joints_2d, second.pose.joints_2d) and first.pose.box == second.pose.box


def test_a_slow_camera_loses_nobody() -> None:
    world = World([Body(lambda frame: (150 + 35 * frame, 180))])
    assert numbers(run(world, 8, fps=5.0)) == [[0]] * 8


@pytest.mark.parametrize("fps", [0.01, 0.1, 0.3, 0.34])
@pytest.mark.parametrize("with_detector", [True, False])
def test_frames_that_are_seconds_apart(fps: float, with_detector: bool) -> None:
    world = World([Body(lambda frame: (300 + 3 * frame, 180), seen=lambda frame: frame not in (5, 6))])
    follower = Tracker(world, world.find if with_detector else None)  # type: ignore[arg-type]
    assert numbers(run(world, 12, follower, fps=fps)) == [[0]] * 5 + [[]] * 2 + [[0]] * 5


def test_colours_tell_people_apart() -> None:
    world = World([Body(walk(200, 0), RED), Body(walk(450, 0), BLUE)])
    image = world.image(0)
    red, blue = (colours_of(image, Pose(body.joints(0), STANDING, np.ones(16), (0, 0, 9, 9))) for body in world.bodies)
    assert colour_distance(red, blue) > 60 and colour_distance(red, red) == 0
    dark = colours_of(image // 2, Pose(world.bodies[0].joints(0), STANDING, np.ones(16), (0, 0, 9, 9)))
    assert colour_distance(red, dark) < 0.5 * colour_distance(red, blue)
    outside = colours_of(image, Pose(world.bodies[0].joints(0) - 900, STANDING, np.ones(16), (0, 0, 9, 9)))
    assert np.isnan(outside).all() and colour_distance(red, outside) == 0
