"""Poses after the network: people placed in space, smoothed over time, and sized."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from liftwild.pipeline.options import PlacingCamera, PoseOptions
from liftwild.placement.body_height import sized
from liftwild.placement.root_translation import located
from liftwild.pose import Recording
from liftwild.tracking.smoothing import Steadiness, smooth_recording, steadiness


class Smoothed(NamedTuple):
    """A clip's ``recording`` after all steps, and how much it shook ``before`` and, if it was smoothed, ``after``."""

    recording: Recording
    before: Steadiness
    after: Steadiness | None

    def report(self) -> list[str]:
        """A line for each measure of shaking."""
        return _shaking(self.before, self.after)


def postprocess_photo(recording: Recording, camera: PlacingCamera, options: PoseOptions) -> Recording:
    """A photo's people placed in space and sized."""
    return _sized(_placed(recording, camera), options)


def postprocess_clip(recording: Recording, options: PoseOptions) -> Smoothed:
    """A clip's people placed, smoothed and sized."""
    placed = _placed(recording, options.camera_of(recording.width, recording.height))
    before = steadiness(placed)
    if not options.smooth:
        return Smoothed(_sized(placed, options), before, None)
    smoothed = smooth_recording(placed)
    after = steadiness(smoothed)
    said = "; ".join(_shaking(before, after))
    return Smoothed(_sized(replace(smoothed, steps=(*smoothed.steps, said)), options), before, after)


def _placed(recording: Recording, camera: PlacingCamera) -> Recording:
    # An assumed camera says about where people are; it is not let into their poses.
    return located(recording, camera.camera, camera.origin, perspective=camera.is_known)


def _sized(recording: Recording, options: PoseOptions) -> Recording:
    return recording if options.height_m is None else sized(recording, options.height_m)


def _shaking(before: Steadiness, after: Steadiness | None) -> list[str]:
    def line(name: str, unit: str, of: Callable[[Steadiness], float]) -> str:
        first = of(before)
        if math.isnan(first):
            return f"{name}: too few frames to tell"
        then = "" if after is None else f" -> {of(after):,.0f}"
        return f"{name}: {first:,.0f}{then} {unit}"

    return [
        line("jitter in space (mean acceleration)", "mm/s^2", lambda found: found.jitter_mm),
        line("jitter in the picture", "px/s^2", lambda found: found.jitter_px),
        line("spread of bone lengths", "%", lambda found: 100 * found.bone_spread),
    ]
