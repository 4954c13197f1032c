"""Poses of one person filtered while they come: by what was seen before alone."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from liftwild.pose import Pose
from liftwild.tracking.filters import OneEuro, OneEuroState
from liftwild.tracking.smoothing import trust_in, usual_px_per_mm

# Half of the shaking, and joints a tenth farther away while they move: docs/results/serve.md.
LIVE = OneEuro(min_cutoff_hz=1.0, beta_hz_per_mm_s=0.006)
USUAL_OF = 30  # poses whose medians are the usual confidence and scale


class LiveFilter:
    """The One-Euro filter over one person's poses, in the picture and in space."""

    def __init__(self, settings: OneEuro = LIVE) -> None:
        self._flat, self._deep = OneEuroState(settings), OneEuroState(settings)
        self._late: deque[Pose] = deque(maxlen=USUAL_OF)

    def step(self, pose: Pose, time_s: float) -> Pose:
        """``pose`` with ``joints_2d`` and ``joints_3d`` filtered; ``time_s`` rises."""
        self._late.append(pose)
        confidence, joints_2d, joints_3d = (
            np.array([getattr(each, name) for each in self._late]) for name in ("confidence", "joints_2d", "joints_3d")
        )
        trust = trust_in(confidence)[-1]
        scale = usual_px_per_mm(joints_2d, joints_3d, pose.skeleton)
        return replace(
            pose,
            joints_2d=self._flat.step(pose.joints_2d, time_s, trust, 1 / scale) if scale > 0 else pose.joints_2d,
            joints_3d=self._deep.step(pose.joints_3d, time_s, trust),
        )
