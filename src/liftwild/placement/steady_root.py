"""A person's way through space, from a clip whose bones keep their lengths."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from liftwild.camera import Camera
from liftwild.placement.root_translation import MIN_WEIGHT, place
from liftwild.pose import PoseTrack
from liftwild.tracking.filters import OneEuro, OneEuroState, butterworth, spans

DEPTH_HZ = 0.5  # of movements toward the camera and away that are believed ...
ROBUST_S = 0.5  # ... after a median over so long


def steady_root(track: PoseTrack, times_s: np.ndarray, camera: Camera) -> PoseTrack:
    """``track`` placed anew, its depth steady: ``root_mm`` (T, 3) mm on the ray that the picture shows.

    Depth comes from the size of the body alone, and a pose that is a little wrong changes it by decimetres. So it is
    the median over ``ROBUST_S``, then slower than ``DEPTH_HZ``; x and y follow the picture. Best after bones got one
    length each. A track without ``root_mm`` stays. ``times_s`` (F,): when each frame of the clip is shown, s.
    """
    from scipy.ndimage import median_filter

    if track.root_mm is None:
        return track
    times = np.asarray(times_s, dtype=np.float64)[track.frames]
    weight = np.clip(np.where(track.is_outside, MIN_WEIGHT, track.confidence), MIN_WEIGHT, 1.0)
    root = place(track.joints_2d, track.joints_3d, camera, np.where(np.isfinite(weight), weight, 0.0))
    depth = root[:, 2].copy()
    for span in spans(times):
        own = depth[span]
        known = np.isfinite(own)
        if known.sum() < 3:
            continue
        at = times[span]
        whole = np.log(np.interp(at, at[known], own[known]))  # nearness is a ratio: far people waver more
        width = max(3, round(ROBUST_S * (len(at) - 1) / max(at[-1] - at[0], 1e-6)) | 1)
        smooth = np.exp(butterworth(median_filter(whole, size=width, mode="nearest"), at, DEPTH_HZ))
        depth[span] = np.where(known, smooth, np.nan)
    with np.errstate(invalid="ignore"):
        placed = root * (depth / root[:, 2])[:, None]
    return replace(track, root_mm=np.where(np.isfinite(placed), placed, track.root_mm))


class SteadyDepth:
    """One person's depth before a camera made steady while it comes: the median over the last ``ROBUST_S``, then slower
    than ``DEPTH_HZ``."""

    def __init__(self) -> None:
        self._last: deque[tuple[float, float]] = deque()
        self._slow = OneEuroState(OneEuro(DEPTH_HZ, 0.0))

    def step(self, depth_mm: float, time_s: float) -> float:
        """The steady depth at ``time_s``, which rises, mm; NaN where ``depth_mm`` is."""
        if not depth_mm > 0:
            return float("nan")
        self._last.append((time_s, float(np.log(depth_mm))))
        while time_s - self._last[0][0] > ROBUST_S:
            self._last.popleft()
        usual = np.median([each for _, each in self._last])
        return float(np.exp(self._slow.step(np.array([usual]), time_s)[0]))
