"""When feet stand: steps whose times are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from liftwild.kinematics.contacts import MAX_CAMERA_MM, all_contacts, sliding, with_contacts, without_moving_camera
from liftwild.pose import PoseTrack
from liftwild.skeleton import MPII_16
from tests.support.poses import STANDING
from tests.support.steps import DOWN, FPS, STEP_S, stepping

LEFT, RIGHT = (MPII_16.index(f"{side}_ankle") for side in ("left", "right"))


def test_feet_stand_between_their_steps() -> None:
    track, times, stands = stepping()
    found = with_contacts(track, times, DOWN)
    assert found.contacts is not None
    inner = np.ones(len(times), dtype=bool)
    wrong = (found.contacts != stands)[inner]
    assert wrong.mean() < 0.12 and (found.contacts & stands).sum() > 0.95 * stands.sum()
    assert len(all_contacts(found)) == len(all_contacts(replace(track, contacts=stands)))


def test_a_foot_that_is_high_or_unsure_does_not_stand() -> None:
    track, times, _ = stepping()
    still = replace(
        track, joints_3d=np.tile(STANDING, (len(track), 1, 1)), root_mm=np.tile([0.0, 0, 4000], (len(track), 1))
    )
    found = with_contacts(still, times, DOWN).contacts
    assert found is not None and found.all()
    lifted = still.joints_3d.copy()
    lifted[:, LEFT, 1] -= 300
    found = with_contacts(replace(still, joints_3d=lifted), times, DOWN).contacts
    assert found is not None and not found[:, 0].any() and found[:, 1].all()
    unsure = still.confidence.copy()
    unsure[:, RIGHT] = 0.05
    found = with_contacts(replace(still, confidence=unsure), times, DOWN).contacts
    assert found is not None and found[:, 0].all() and not found[:, 1].any()


def test_how_far_feet_slide() -> None:
    track, times, stands = stepping()
    standing = replace(track, contacts=stands)
    assert sliding((standing,)).mm < 1.0
    drifting = replace(standing, root_mm=track.root_mm + np.array([200.0, 0, 0]) * times[:, None])
    measured = sliding((drifting,))
    assert measured.contacts == len(all_contacts(standing)) and 0.6 * 200 * STEP_S < measured.mm < 200 * STEP_S * 2
    nobody = sliding((replace(track, contacts=np.zeros_like(stands)),))
    assert nobody.contacts == 0 and np.isnan(nobody.mm)


def test_short_contacts_and_short_lifts_are_jitter() -> None:
    track, times, _ = stepping()
    still = np.tile(STANDING, (len(track), 1, 1))
    still[20, LEFT, 0] += 60  # for one frame
    found = with_contacts(
        replace(track, joints_3d=still, root_mm=np.tile([0.0, 0, 4000], (len(track), 1))), times, DOWN
    )
    assert found.contacts is not None and found.contacts[:, 1].all()
    assert FPS == 30 and found.contacts[[15, 25], 0].all()


def test_without_a_place_nothing_is_found() -> None:
    track, times, _ = stepping()
    bare: PoseTrack = replace(track, root_mm=None)
    assert with_contacts(bare, times, DOWN) is bare


def test_contacts_during_which_the_camera_turns_are_none() -> None:
    track, times, stands = stepping()
    standing = replace(track, contacts=stands)
    still, moving = without_moving_camera(standing, np.zeros((len(times), 2)))
    assert moving == 0 and np.array_equal(still.contacts, stands)
    turned = np.zeros((len(times), 2))
    inside = (times >= 1.0) & (times < 1.5)  # at 4 m, so far that it counts in contacts of that time alone
    turned[:, 0] = np.cumsum(inside) / inside.sum() * 3 * MAX_CAMERA_MM / 4000
    found, moving = without_moving_camera(standing, turned)
    lost = [each for each in all_contacts(standing) if not found.contacts[each.first, each.side]]
    assert 0 < moving == len(lost) < len(all_contacts(standing))
    assert all(times[each.first] < 1.5 and times[each.last] >= 1.0 for each in lost)
    slowly = turned / 4
    assert without_moving_camera(standing, slowly)[1] == 0
