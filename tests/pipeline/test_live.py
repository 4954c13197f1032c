"""The people before a camera, picture after picture."""

from __future__ import annotations

import numpy as np
import pytest

from liftwild.boxes import Detected
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.media.photo import read_photo
from liftwild.pipeline.live import LivePeople
from liftwild.pipeline.options import PoseOptions
from liftwild.placement.body_height import standing_height_mm
from liftwild.pose import Pose
from tests.support.paths import ROOT

PHOTO = read_photo(ROOT / "examples" / "person.jpg")


class Found:
    """Somebody in a box."""

    score = 0.9

    def __init__(self, image: np.ndarray) -> None:
        height, width = image.shape[:2]
        self.box = (0.15 * width, 0.05 * height, 0.7 * width, 0.9 * height)


class Everybody:
    """A detector that finds one person in each picture that is not black."""

    min_score = 0.35

    def detect(self, image: np.ndarray, most: int | None = None, min_score: float | None = None) -> list[Detected]:
        return [Found(image)] if image.max() else []

    def fingerprint(self) -> str:
        return "everybody"


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator("small", "cpu", runtime="torch")


def people(estimator: Estimator, **options: float) -> LivePeople:
    return LivePeople(estimator, Everybody(), 2, PoseOptions(**options))  # type: ignore[arg-type]


def test_somebody_keeps_number_score_and_height(estimator: Estimator) -> None:
    live = people(estimator, height_m=1.7)
    found: list[Pose] = []
    for number in range(6):
        found += live.step(PHOTO, number / 20)
    assert [pose.person_id for pose in found] == [0] * 6
    assert all(pose.score == pytest.approx(0.9) for pose in found)  # also of pictures that no detector saw
    assert float(standing_height_mm(found[-1].joints_3d)) == pytest.approx(1700, rel=0.02)
    roots = np.array([pose.root_mm for pose in found])
    assert np.isfinite(roots).all() and np.ptp(roots[:, 2]) < 0.03 * roots[0, 2]


def test_a_known_camera_sets_the_distance(estimator: Estimator) -> None:
    near, far = (people(estimator, fov_deg=fov).step(PHOTO, 0.0)[0].root_mm for fov in (90.0, 30.0))
    assert near is not None and far is not None
    assert far[2] > 2.5 * near[2]


def test_a_camera_that_is_turned_begins_with_new_numbers(estimator: Estimator) -> None:
    live = people(estimator)
    turned = np.ascontiguousarray(PHOTO[:, 20:-20])
    assert [pose.person_id for pose in live.step(PHOTO, 0.0)] == [0]
    assert [pose.person_id for pose in live.step(turned, 0.1)] == [1]
    assert live.step(np.zeros_like(turned), 9.0) == []


def test_times_rise(estimator: Estimator) -> None:
    live = people(estimator)
    live.step(PHOTO, 1.0)
    for time_s in (1.0, 0.5, float("inf"), float("nan")):
        with pytest.raises(LiftwildError, match="must be later than that of the last, 1 s"):
            live.step(PHOTO, time_s)
