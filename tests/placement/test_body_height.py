"""How tall people are by their bones, and people scaled to a height."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from liftwild.errors import LiftwildError
from liftwild.placement.body_height import sized, standing_height_mm
from liftwild.placement.root_translation import located
from liftwild.synthetic.body.body import SKIN, load_body
from tests.support.placed_clips import CAMERA, ROOTS, poses, recording


def test_standing_height_is_that_of_the_body() -> None:
    body = load_body()
    rows = torch.linspace(0, len(body.coefficients) - 1, 40).long()
    vertices, heads = body.shape(body.coefficients[rows])
    still = torch.eye(3).expand(len(rows), heads.shape[1], 3, 3)
    joints = (
        body.joints(heads, heads, body.transforms(heads, heads, still), vertices[:, body.head_top].mean(1)).numpy()
        * 1000
    )
    skin = vertices[:, body.part == SKIN, 2].numpy() * 1000
    stature = skin.max(axis=1) - skin.min(axis=1)
    found = standing_height_mm(joints)
    assert np.abs(found / stature - 1).max() < 0.02 and abs(np.median(found / stature) - 1) < 0.003
    bent = joints.copy()
    bent[:, :6] = bent[:, :6] @ np.diag([1, -1, 1])  # bones keep their lengths
    np.testing.assert_allclose(standing_height_mm(bent), found, rtol=0.05)


def test_everybody_is_as_tall_as_said() -> None:
    pose, times = poses(6, 2, 40.0), np.arange(6) / 30
    found = located(recording(pose, None, times, CAMERA.project(pose + ROOTS[:, None])), CAMERA, "given")
    (track,) = found.tracks
    tall = sized(found, 1.2)
    (scaled,) = tall.tracks
    assert np.median(standing_height_mm(scaled.joints_3d)) == pytest.approx(1200)
    factor = scaled.joints_3d[0, 0] / track.joints_3d[0, 0]
    np.testing.assert_allclose(factor, factor[0])  # one for the whole clip
    np.testing.assert_allclose(scaled.root_mm, track.root_mm * factor[0])
    np.testing.assert_allclose(scaled.depth_sd_mm, 80 * factor[0])
    assert "1.2 m" in tall.steps[-1]
    hidden = replace(track, joints_3d=np.full_like(track.joints_3d, np.nan))
    assert sized(replace(found, tracks=(hidden,)), 1.8).tracks[0] is hidden


def test_each_person_has_a_height_of_their_own() -> None:
    pose, times = poses(6, 2, 40.0), np.arange(6) / 30
    found = located(recording(pose, None, times, CAMERA.project(pose + ROOTS[:, None])), CAMERA, "given")
    (track,) = found.tracks
    both = replace(found, tracks=(track, replace(track, person_id=track.person_id + 4)))
    one = track.person_id
    first, second = sized(both, {one: 1.5}).tracks
    assert np.median(standing_height_mm(first.joints_3d)) == pytest.approx(1500) and second is both.tracks[1]
    tall = sized(both, {one: 1.5, one + 4: 1.9})
    assert [round(float(np.median(standing_height_mm(each.joints_3d)))) for each in tall.tracks] == [1500, 1900]
    assert f"1.5 m (person {one}), 1.9 m (person {one + 4})" in tall.steps[-1]
    with pytest.raises(LiftwildError, match="for person 9, who is not there"):
        sized(both, {9: 1.5})
    with pytest.raises(LiftwildError, match="not 180; give the height in metres"):
        sized(both, {one: 180})


@pytest.mark.parametrize("height", [0.0, -1.8, 0.29, 2.61, 180.0, math.nan, math.inf])
def test_heights_that_no_person_has(height: float) -> None:
    with pytest.raises(LiftwildError, match=r"^a person is 0\.3 to 2\.6 m tall, not .*metres$"):
        sized(recording(poses(1), None, np.zeros(1)), height)
