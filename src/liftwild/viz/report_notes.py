"""What a report says in words: what is to be doubted, what was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from liftwild.io.description import frame_ranges
from liftwild.kinematics.angles import ANGLE_NAMES, SIDES
from liftwild.kinematics.cycles import MotionRange
from liftwild.kinematics.quality import track_quality
from liftwild.placement.body_height import standing_height_mm
from liftwild.placement.floor import Levelled
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import MPII_16
from liftwild.viz.draw import UNSURE
from liftwild.viz.viewer_html import lasting_people

# Parts of a person's joints or frames that are worth a warning.
MANY_UNSURE, MANY_CUT, FEW_KNOWN = 0.1, 0.05, 0.5
MAX_NAMES = 6
FAR_FROM_FLOOR_MM = 400.0  # of the lowest ankles: more is no floor below them


class Warned(NamedTuple):
    """A warning about a whole recording; ``about_floor``: the floor is not to be used."""

    text: str
    about_floor: bool = False


def recording_warnings(recording: Recording, floored: Recording) -> list[Warned]:
    """What is to be doubted about the whole ``recording``; ``floored``: the same on its floor (``on_floor``)."""
    found = []
    if not recording.tracks:
        found.append(Warned("Nobody was found."))
    brief = len(recording.tracks) - len(lasting_people(recording))
    if brief:
        people = "1 person is" if brief == 1 else f"{brief} people are"
        found.append(Warned(f"{people} there for under half a second, and rather nobody: not in this report."))
    if not isinstance(floored, Levelled):
        found.append(Warned("Where people stand is not known: up is the camera's, as if it were held level.", True))
    elif not recording.width:  # of motion capture: the floor is the file's
        if (lowest := _lowest_mm(floored)) is not None and abs(lowest) > FAR_FROM_FLOOR_MM:
            where = "above" if lowest > 0 else "below"
            found.append(
                Warned(f"The lowest feet are {abs(lowest) / 1000:.2f} m {where} the file's height 0: that is no floor.")
            )
    elif floored.camera_height_mm <= 0:
        found.append(
            Warned(
                f"The floor came out {-floored.camera_height_mm / 1000:.2f} m above the camera, which cannot be: where "
                "people stand is wrong. Up is the camera's, as if it were held level.",
                True,
            )
        )
    elif np.array_equal(floored.turn, np.eye(3)):
        found.append(
            Warned("The feet do not show which way is down: up is the camera's, as if it were held level.", True)
        )
    return found


def track_warnings(recording: Recording, track: PoseTrack, ranges: Mapping[str, MotionRange]) -> list[str]:
    """What is to be doubted about one person; ``ranges``: of the person's angles (``motion_ranges``)."""
    if not len(track):
        return ["No pose."]
    quality = track_quality(recording, track, UNSURE)
    frames = "in {:.0%} of the frames".format if len(track) > 1 else lambda share: "here"
    found = []
    if quality.unsure >= MANY_UNSURE or quality.unsure_frames >= MANY_UNSURE:
        found.append(
            f"{quality.unsure:.0%} of the joints are unsure (confidence under {UNSURE:g}); "
            f"{frames(quality.unsure_frames)} a quarter of them or more."
        )
    if quality.cut_off >= MANY_CUT:
        names = _listed([name.replace("_", " ") for name in quality.cut_joints])
        found.append(f"The picture's edge cuts the person off {frames(quality.cut_off)}: {names}.")
    if len(quality.side_changes):
        places = frame_ranges(quality.side_changes)
        found.append(f"Left and right of arms or legs change places at frames {places}: sides are in doubt.")
    if len(quality.jumps):
        found.append(f"The place in space jumps at frames {frame_ranges(quality.jumps)}.")
    if len(quality.missing):
        found.append(f"Not seen in frames {frame_ranges(quality.missing)}.")
    if len(quality.filled):
        found.append(f"Interpolated, not seen, in frames {frame_ranges(quality.filled)}.")
    unknown = [name.replace("_", " ") for name in ANGLE_NAMES if ranges[name].known < FEW_KNOWN]
    if unknown:
        often = "known in less than half of the frames" if len(track) > 1 else "not known"
        found.append(f"Angles {often}: {_listed(unknown, len(unknown))}.")
    return found


def _lowest_mm(floored: Levelled) -> float | None:
    """How high, mm, ankles are where they are lowest; None where they are not known."""
    heights = [
        -(track.joints_3d[:, [track.skeleton.index(f"{side}_ankle") for side in SIDES], 1] + track.root_mm[:, None, 1])
        for track in floored.tracks
        if track.root_mm is not None and track.skeleton == MPII_16
    ]
    known = np.concatenate([np.empty(0), *(each[np.isfinite(each)] for each in heights)])
    return float(np.quantile(known, 0.05)) if len(known) else None


def assumptions(recording: Recording, floored: Recording, min_confidence: float) -> dict[str, str]:
    """What the numbers rest on, by subject; arguments as for ``recording_warnings``."""
    camera = recording.camera
    facts = {
        "Camera": "not known"
        if camera is None
        else f"focal length {camera.fx:.0f} x {camera.fy:.0f} px, {recording.camera_from or 'origin not kept'}",
        "Height": _heights(recording),
        "Floor": next(iter(floored.steps[len(recording.steps) :]), "")
        or ("as the file has it" if isinstance(recording, Levelled) else "none: where people stand is not known"),
        "Angles": f"of joints with a confidence of {min_confidence:g} or more; axes and signs of the International "
        "Society of Biomechanics, flexion always positive",
        "Confidence": recording.confidence_is or "what it is was not kept",
        "Done after the network": "; ".join(recording.steps) or "nothing",
    }
    return facts


def _heights(recording: Recording) -> str:
    """How tall people come out, standing straight, and where that is from."""
    said = next((step for step in recording.steps if "standing height" in step), "")
    heights = []
    for place in lasting_people(recording):
        track = recording.tracks[place]
        if track.skeleton != MPII_16:
            continue
        known = standing_height_mm(track.joints_3d, track.skeleton)
        known = known[np.isfinite(known)]
        if len(known):
            heights.append(f"person {track.person_id} {np.median(known) / 1000:.2f} m")
    average = "assumed, as of an average person: lengths are as exact as that"
    origin = said or ("that of the file" if not recording.width else average)
    return "; ".join([origin, *([_listed(heights, 12)] if heights else [])])


def _listed(names: list[str], most: int = MAX_NAMES) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
