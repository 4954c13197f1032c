"""Poses after the network: people placed in space, smoothed over time, and sized."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from liftwild.console import progress
from liftwild.kinematics.contacts import sliding, with_contacts, without_moving_camera
from liftwild.kinematics.foot_lock import hold_feet
from liftwild.pipeline.options import PlacingCamera, PoseOptions
from liftwild.placement.body_height import sized
from liftwild.placement.floor import floor_fault, level
from liftwild.placement.root_translation import located
from liftwild.placement.steady_root import steady_root
from liftwild.pose import Recording
from liftwild.tracking.filters import GAP_S
from liftwild.tracking.gaps import fill_gaps
from liftwild.tracking.sides import put_sides_right
from liftwild.tracking.smoothing import Steadiness, smooth_recording, steadiness


class Smoothed(NamedTuple):
    """A clip's ``recording`` after all steps, and how much it shook ``before`` and, if it was smoothed, ``after``."""

    recording: Recording
    before: Steadiness
    after: Steadiness | None
    notes: tuple[str, ...]

    def report(self) -> list[str]:
        """A line for each measure of shaking, and for what else was done."""
        return [*_shaking(self.before, self.after), *self.notes]


def postprocess_photo(recording: Recording, camera: PlacingCamera, options: PoseOptions) -> Recording:
    """A photo's people placed in space and sized."""
    return _sized(_placed(recording, camera), options)


def postprocess_clip(recording: Recording, options: PoseOptions, background_px: np.ndarray | None = None) -> Smoothed:
    """A clip's people placed, smoothed, on feet that do not slide, and sized.

    ``background_px`` (F, 2): where the background is in each frame, to tell when the camera moves; None: it stands.
    """
    placed = _placed(recording, options.camera_of(recording.width, recording.height))
    before = steadiness(placed)
    if not options.smooth:
        return Smoothed(_sized(placed, options), before, None, ())
    people = len(placed.tracks)
    with progress("movement", 3 * people, "step") as bar:
        whole, notes = _mended(placed, bar.update)
        smoothed = smooth_recording(whole, options.time_filter)
        bar.update(people)
        standing, moving = _standing(smoothed, background_px, options.free_feet, bar.update)
    after = steadiness(standing)
    feet = _feet(whole, standing)
    if moving:
        feet.append(f"the camera moves during {moving} contacts of feet, which are left out")
    said = "; ".join([*_shaking(before, after), *notes, *feet])
    final = _sized(replace(standing, steps=(*standing.steps, said)), options)
    if fault := floor_fault(level(final).camera_height_mm):
        feet.append(f"{fault}; files of feet on a floor (bvh, trc, ...) are wrong in height")
    return Smoothed(final, before, after, (*notes, *feet))


def _mended(recording: Recording, done: Callable[[], object]) -> tuple[Recording, list[str]]:
    """``recording`` with sides put right and short gaps filled, and what there was to do."""
    times, tracks = recording.times_s, []
    exchanged = filled = 0
    for track in recording.tracks:
        mended, count = put_sides_right(track, times)
        exchanged += count
        mended, count = fill_gaps(mended, times)
        filled += count
        tracks.append(mended)
        done()
    notes = [f"left and right exchanged back in {exchanged} poses"] if exchanged else []
    notes += [f"{filled} poses interpolated in gaps of at most {GAP_S:g} s"] if filled else []
    steps = ("sides that jump are put right, short gaps filled",) if notes else ()
    return replace(recording, tracks=tuple(tracks), steps=(*recording.steps, *steps)), notes


def _standing(
    recording: Recording, background_px: np.ndarray | None, free_feet: bool, done: Callable[[], object]
) -> tuple[Recording, int]:
    """``recording`` with steady depths, and feet that stay where they stand, unless they are ``free_feet``; and during
    how many of their contacts the camera moves."""
    camera, times = recording.camera, recording.times_s
    if camera is None:
        return recording, 0
    steady = replace(recording, tracks=tuple(steady_root(track, times, camera) for track in recording.tracks))
    down = level(steady).turn[1]
    tracks, moving = [], 0
    for track in steady.tracks:
        track = with_contacts(track, times, down)
        if background_px is not None:
            track, count = without_moving_camera(track, background_px / (camera.fx, camera.fy))
            moving += count
        tracks.append(track if free_feet else hold_feet(track, times))
        done()
    held = "" if free_feet else "; feet held where they stand, by root, hips and knees"
    said = f"depth of the root steadied{held}"
    return replace(steady, tracks=tuple(tracks), steps=(*recording.steps, said)), moving


def _feet(before: Recording, after: Recording) -> list[str]:
    """A line on how far feet slide while they stand, ``before`` and ``after``, of the same frames."""
    bare = zip(before.tracks, after.tracks, strict=True)
    first = sliding(tuple(replace(track, contacts=then.contacts) for track, then in bare))
    then = sliding(after.tracks)
    if not then.contacts:
        return []
    contacts = "1 contact" if then.contacts == 1 else f"{then.contacts} contacts"
    return [f"feet slide in {contacts}: {first.mm:,.0f} -> {then.mm:,.0f} mm"]


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
