"""From the pictures of a camera to poses, one picture after the other: people followed, smoothed, placed and sized."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from functools import partial

import numpy as np

from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.pipeline.options import PoseOptions
from liftwild.pipeline.person_selection import UNSURE_SCORE, PersonDetector
from liftwild.placement.body_height import standing_height_mm
from liftwild.placement.root_translation import MIN_WEIGHT, along_rays, place
from liftwild.placement.steady_root import SteadyDepth
from liftwild.pose import Pose
from liftwild.tracking.filters import GAP_S
from liftwild.tracking.live_filter import LiveFilter
from liftwild.tracking.tracker import Tracker

HEIGHT_OF = 150  # poses whose median height is the person's


class LivePeople:
    """The people before one camera: ``step`` for each picture.

    ``most``: people at a time. ``options``: camera and height, as for clips; of ``smooth`` all that a later picture is
    not needed for: filtered over time, and steady depth. Left and right stay as they are found.
    """

    def __init__(self, estimator: Estimator, detector: PersonDetector, most: int, options: PoseOptions) -> None:
        self.estimator, self.detector, self.most, self.options = estimator, detector, most, options
        self._tracker = self._new_tracker()
        self._people: dict[int, _LivePerson] = {}
        self._size: tuple[int, int] | None = None
        self._last_s = -math.inf

    def step(self, image: np.ndarray, time_s: float) -> list[Pose]:
        """The people in the next picture, each with ``person_id`` and ``root_mm``; ``score`` is the detector's latest.

        ``image`` (H, W, 3) uint8 RGB, of any size; where it changes, people get new numbers. ``time_s``: when it was
        taken. LiftwildError if that is not later than the last.
        """
        if not self._last_s < time_s < math.inf:
            raise LiftwildError(f"the picture's time must be later than that of the last, {self._last_s:g} s")
        self._last_s = time_s
        size = image.shape[1], image.shape[0]
        if self._size not in (None, size):  # the camera was turned, or is another
            begun = self._tracker.begun
            self._tracker, self._people = self._new_tracker(), {}
            self._tracker.begun = begun
        self._size = size
        seen = [each.pose for each in self._tracker.step(image, time_s)]
        self._people = {
            number: person for number, person in self._people.items() if time_s - person.time_s <= GAP_S
        }  # fmt: skip
        smoothed = [self._person(pose).step(pose, time_s) for pose in seen]
        return self._placed(smoothed, time_s)

    def _new_tracker(self) -> Tracker:
        find = partial(self.detector.detect, min_score=UNSURE_SCORE)
        return Tracker(self.estimator, find, self.most, sure_score=self.detector.min_score)

    def _person(self, pose: Pose) -> _LivePerson:
        assert pose.person_id is not None
        return self._people.setdefault(pose.person_id, _LivePerson(self.options))

    def _placed(self, poses: list[Pose], time_s: float) -> list[Pose]:
        """``poses`` with ``root_mm``, all together: as fast as one."""
        if not poses:
            return []
        assert self._size is not None
        camera = self.options.camera_of(*self._size)
        joints_2d, joints_3d, confidence, outside = (
            np.stack([getattr(pose, name) for pose in poses])
            for name in ("joints_2d", "joints_3d", "confidence", "is_outside")
        )
        weight = np.clip(np.where(outside, MIN_WEIGHT, confidence), MIN_WEIGHT, 1.0)
        root = place(joints_2d, joints_3d, camera.camera, weight)
        depth = np.array([self._person(pose).depth_of(at[2], time_s) for pose, at in zip(poses, root, strict=True)])
        root = root * (depth / root[:, 2])[:, None]
        if camera.is_known:
            joints_3d, root = along_rays(joints_2d, joints_3d, root, camera.camera)
        placed = zip(poses, joints_3d, root, strict=True)
        return [self._person(pose).sized(replace(pose, joints_3d=own, root_mm=at)) for pose, own, at in placed]


class _LivePerson:
    """What is known of somebody who is followed."""

    def __init__(self, options: PoseOptions) -> None:
        self.options = options
        self.time_s = -math.inf
        self._filter, self._depth = LiveFilter(), SteadyDepth()
        self._heights: deque[float] = deque(maxlen=HEIGHT_OF)
        self._score: float | None = None

    def step(self, pose: Pose, time_s: float) -> Pose:
        self.time_s = time_s
        self._score = self._score if pose.score is None else pose.score
        return replace(self._filter.step(pose, time_s) if self.options.smooth else pose, score=self._score)

    def depth_of(self, depth_mm: float, time_s: float) -> float:
        return self._depth.step(depth_mm, time_s) if self.options.smooth else depth_mm

    def sized(self, pose: Pose) -> Pose:
        """``pose`` as tall as the person is said to be, by the median of the last poses."""
        height = self.options.height_m
        if height is None:
            return pose
        assert isinstance(height, float | int) and pose.root_mm is not None
        self._heights.append(float(standing_height_mm(pose.joints_3d)))
        usual = float(np.median(self._heights))
        if not usual > 0:
            return pose
        factor = 1000 * height / usual
        return replace(pose, joints_3d=pose.joints_3d * factor, root_mm=pose.root_mm * factor)
