"""The same person twice in one photo."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftwild import Estimator
from liftwild.detection.detector import Detection
from liftwild.pipeline.distinct import distinct, similarity
from liftwild.pipeline.options import PoseOptions
from liftwild.pipeline.person_selection import PersonSelection
from liftwild.pipeline.photos import predict_photos
from liftwild.pose import Pose
from tests.support.images import write_photo
from tests.support.poses import STANDING, J

BODY = (10.0, 10.0, 100.0, 200.0)
HALF = (20.0, 110.0, 80.0, 100.0)  # its lower half


def standing(x: float = 0.0, peak: float = 0.8, box: tuple[float, float, float, float] = BODY) -> Pose:
    """Somebody 180 px tall, ``x`` px to the right."""
    joints = STANDING[:, :2] / np.ptp(STANDING[:, 1]) * 180 + [60 + x, 110]
    return Pose(joints, STANDING.astype(float), np.full(J, 0.8), box, None, peak=peak)


def with_joints_away(pose: Pose, count: int, px: float) -> Pose:
    """The first ``count`` joints ``px`` to the right."""
    return replace(pose, joints_2d=pose.joints_2d + np.where(np.arange(J) < count, px, 0)[:, None] * [1, 0])


def test_the_measure() -> None:
    """Joints that are NEAR (here 10 px) apart are alike by exp(-1/2), those far apart by 0, by their weights."""
    joints = standing().joints_2d
    others = np.stack([joints, joints + np.array([10, 0]), joints + np.array([0, 20]), joints + 1000])
    found = similarity(joints, others, np.full((4, J), 0.3), np.full(4, 200.0))
    np.testing.assert_allclose(found, [1, math.exp(-0.5), math.exp(-2), 0], atol=1e-12)
    weights = np.where(np.arange(J) < 4, 1.0, 0.5)[None]  # 4 sure joints of 16 lie elsewhere: 6 of 10 are left
    far = with_joints_away(standing(), 4, 1000).joints_2d[None]
    np.testing.assert_allclose(similarity(joints, far, weights, np.array([200.0])), [0.6], atol=1e-12)


def test_half_a_body_inside_the_body_is_no_second_person() -> None:
    """As in a report: 13 of 16 joints lie where those of the whole body do."""
    whole, half = standing(), with_joints_away(standing(peak=0.6, box=HALF), 3, 60)
    assert distinct([whole, half]) == [whole] and distinct([half, whole]) == [whole]
    clearer = replace(half, peak=0.9)
    assert distinct([whole, clearer]) == [clearer]


@pytest.mark.parametrize(("px", "people"), [(0.0, 1), (8.0, 1), (9.0, 2), (60.0, 2)])
def test_people_beside_each_other_stay(px: float, people: int) -> None:
    """exp(-0.8^2 / 2) = 0.73, exp(-0.9^2 / 2) = 0.67; the limit is 0.7."""
    assert len(distinct([standing(), standing(px, peak=0.7)])) == people


def test_order_and_many() -> None:
    crowd = [standing(40.0 * i, peak=0.9 - 0.1 * (i % 3)) for i in range(30)]
    twice = [pose for one in crowd for pose in (one, with_joints_away(replace(one, peak=0.1), 2, 50))]
    assert distinct(twice) == crowd
    assert distinct([]) == []


class Sees:
    """A detector that sees the same person in three boxes."""

    def detect(self, image: np.ndarray, most: int | None = None) -> list[Detection]:
        return [Detection((60.0, 20.0, 120.0, 200.0), score) for score in (0.9, 0.8, 0.7)]

    def fingerprint(self) -> str:
        return ""


def test_photos_have_nobody_twice_unless_boxes_say_so(tmp_path: Path, tiny_weights: Path) -> None:
    estimator = Estimator(tiny_weights, "cpu", runtime="torch")
    photo = write_photo(tmp_path / "a.png")
    (found,) = predict_photos(estimator, [photo], PersonSelection(detector=Sees()), PoseOptions())
    assert found.recording is not None and len(found.recording.tracks) == 1
    assert len(estimator.predict(photo, [(60.0, 20.0, 120.0, 200.0)] * 2)) == 2
