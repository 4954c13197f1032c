"""What there is to doubt in a track."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liftwild.kinematics.quality import TrackQuality, track_quality
from liftwild.pose import PoseTrack, Recording
from liftwild.skeleton import COCO_17, MPII_16
from tests.support.tracks import moving, track_of
from tests.support.viewer_clips import on_feet, turned

FLIP = list(MPII_16.flip_index)


def quality(track: PoseTrack, fps: float = 25.0, width: int = 640) -> TrackQuality:
    count = int(track.frames.max(initial=0)) + 1
    return track_quality(Recording("a.mp4", width, 480, np.arange(count) / fps, (track,), is_clip=True), track, 0.3)


def shown(track: PoseTrack) -> PoseTrack:
    """Well within the picture."""
    return replace(track, joints_2d=track.joints_3d[..., :2] / 8 + (320, 240))


def test_a_good_track_is_not_doubted() -> None:
    found = quality(shown(track_of(moving(np.random.default_rng(0), 60))))
    assert (found.unsure, found.unsure_frames, found.cut_off, found.cut_joints) == (0, 0, 0, ())
    assert not any(len(part) for part in (found.side_changes, found.jumps, found.missing, found.filled))


@pytest.mark.parametrize("fps", [5.0, 25.0, 120.0])
def test_sides_that_change_are_found_also_when_smoothed(fps: float) -> None:
    still = np.tile(turned(20.0), (40, 1, 1))
    still[15:32] = still[15:32][:, FLIP]
    assert quality(track_of(still), fps).side_changes.tolist() == [15, 32]
    legs = np.tile(turned(20.0), (40, 1, 1))
    pairs = [MPII_16.index(f"{side}_{part}") for side in ("left", "right") for part in ("hip", "knee", "ankle")]
    legs[20:, pairs] = legs[20:, pairs[3:] + pairs[:3]]
    assert quality(track_of(legs), fps).side_changes.tolist() == [20]
    if fps > 20:
        smooth = sum(np.roll(legs, shift, axis=0) for shift in (-1, 0, 1)) / 3
        smooth[[0, -1]] = legs[[0, -1]]
        (frame,) = quality(track_of(smooth), fps).side_changes
        assert 19 <= frame <= 21


def test_who_turns_round_or_comes_back_does_not_change_sides() -> None:
    round_about = np.stack([turned(10.0 * i) for i in range(72)])  # once in 1.4 s each
    assert not len(quality(track_of(round_about)).side_changes)
    back = track_of(np.stack([turned(0.0)] * 5 + [turned(180.0)] * 5), np.r_[0:5, 25:30])
    found = quality(back)
    assert not len(found.side_changes) and found.missing.tolist() == list(range(5, 25))


def test_unsure_cut_off_jumping_and_filled_frames() -> None:
    track = shown(track_of(np.tile(turned(0.0), (10, 1, 1)), root_mm=np.tile([0.0, 0.0, 4000.0], (10, 1))))
    confidence = track.confidence.copy()
    confidence[:4, :8] = 0.1
    confidence[4, 0] = 0.1
    points, roots = track.joints_2d.copy(), track.root_mm
    assert roots is not None
    points[7:, MPII_16.index("left_ankle")] = 300, 500
    points[9:, MPII_16.index("left_knee")] = -1, 400
    roots[6:] += 1000.0
    track = replace(track, confidence=confidence, joints_2d=points)
    found = quality(track)
    assert found.unsure == pytest.approx(33 / 160) and found.unsure_frames == 0.4
    assert found.cut_off == pytest.approx(0.3) and found.cut_joints == ("left_ankle", "left_knee")
    assert found.jumps.tolist() == [6]
    # What the network says about the picture's edge is taken before the place.
    inside = np.ones((10, 16))
    inside[0, 3] = 0.2
    assert quality(replace(track, inside=inside)).cut_joints == (MPII_16.names[3],)
    assert quality(track, width=0).cut_off == 0  # a file that has no picture
    filled = on_feet(Recording("a", 64, 48, np.arange(10) / 25, (track,), is_clip=True), 0).tracks[0]
    assert quality(filled).filled.tolist() == [2]


def test_other_joints_and_single_poses() -> None:
    track = track_of(np.zeros((1, 16, 3)))
    assert not len(quality(track).side_changes) and not len(quality(track).missing)
    coco = replace(
        track,
        skeleton=COCO_17,
        joints_3d=np.zeros((1, 17, 3)),
        joints_2d=np.ones((1, 17, 2)),
        confidence=np.ones((1, 17)),
    )
    assert quality(coco).unsure == 0
