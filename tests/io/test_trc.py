"""TRC, and the joint sets that every format can be written in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from liftwild.data.readers.h36m import JOINTS as H36M_JOINTS
from liftwild.io.coco_results import COCO_LINES
from liftwild.io.formats import write_formats
from liftwild.joint_mapping import joint_notes, track_in_skeleton
from liftwild.placement.floor import Levelled
from liftwild.pose import Recording
from liftwild.skeleton import COCO_17, H36M_17, MPII_16, SKELETONS, Skeleton
from tests.support.poses import COCO_17 as COCO_NAMES
from tests.support.recordings import hide, photo, random_recording, random_track, written
from tests.support.strategies import quick, seeds
from tests.support.trc import read_trc

# --- trc ---


@quick
@given(seed=seeds)
def test_trc_has_the_markers_where_the_joints_are(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("trc")
    recording = random_recording(seed)
    recording = Levelled(**{name: getattr(recording, name) for name in Recording.__dataclass_fields__})
    skeleton = recording.tracks[0].skeleton if recording.tracks else MPII_16
    written = write_formats(recording, out, "a", ["trc"], skeleton)
    seen = [track for track in recording.tracks if len(track)]
    assert [path.name for path in written] == [*(f"a.person{track.person_id}.trc" for track in seen), "a.about.txt"]
    for path, track in zip(written, seen, strict=False):
        header, names, places, times, numbers = read_trc(path)
        first, last = track.frames[0], track.frames[-1]
        assert header["Units"] == "m" and int(header["NumMarkers"]) == len(names) == len(skeleton)
        assert int(header["NumFrames"]) == int(header["OrigNumFrames"]) == len(places) == last - first + 1
        assert int(header["OrigDataStartFrame"]) == numbers[0] == first + 1 and float(header["DataRate"]) > 0
        assert tuple(names) == skeleton.names
        np.testing.assert_allclose(times, recording.times_s[first : last + 1], atol=1e-6)
        expected = np.full(places.shape, np.nan)
        if track.root_mm is not None:  # by hand: y and z change their signs, mm become m
            expected[track.frames - first] = (track.joints_3d + track.root_mm[:, None]) * (1e-3, -1e-3, -1e-3)
            np.testing.assert_allclose(places, expected, atol=1e-6)
        else:
            expected[track.frames - first] = track.joints_3d * (1e-3, -1e-3, -1e-3)
            height = places[..., 1] - expected[..., 1]
            assert np.nanmax(height) - np.nanmin(height) < 3e-6  # one height for all
            np.testing.assert_allclose(places[..., [0, 2]], expected[..., [0, 2]], atol=1e-6)


def test_who_has_no_place_stands_on_the_floor(tmp_path: Path) -> None:
    track = replace(photo(1).tracks[0], root_mm=None)
    path = written(tmp_path, photo(tracks=(track,), camera=None, camera_from=""), "trc")
    _, names, places, _, _ = read_trc(path)
    assert 0.05 < places[..., 1].min() < 0.1  # an ankle, above its sole
    assert places[0, names.index("head_top"), 1] > 1.4
    # The person faces the camera, so the left side is at larger x, and what is nearer to the camera at larger z.
    assert places[0, names.index("left_hip"), 0] > places[0, names.index("right_hip"), 0]
    assert places[0, names.index("right_wrist"), 1] > places[0, names.index("left_wrist"), 1]
    assert places[0, names.index("right_wrist"), 2] > 0.05


def test_placed_people_are_put_on_their_floor(tmp_path: Path) -> None:
    _, names, places, _, _ = read_trc(written(tmp_path, photo(1), "trc"))
    assert 0 < places[0, names.index("left_ankle"), 1] < 0.2  # the sole is on it
    assert places[0, names.index("pelvis"), 2] == pytest.approx(-4, abs=1e-3)
    text = (tmp_path / "a.about.txt").read_text(encoding="utf-8")
    assert "zero: on the floor below the camera" in text and "for BVH and TRC also done: not levelled" in text
    # Once levelled it is written as it is, in every format.
    levelled = Levelled(**vars(photo(1)), camera_height_mm=900.0)
    _, _, same, _, _ = read_trc(written(tmp_path, levelled, "trc"))
    np.testing.assert_allclose(same[0, names.index("pelvis")], (0, -0.03, -4), atol=1e-6)
    document = json.loads(written(tmp_path, levelled, "json").read_text(encoding="utf-8"))
    assert document["levelled"]["camera_height_mm"] == 900 and "y is down in the room" in document["frame"]["axes"]


# --- joint sets ---


def test_joint_sets_are_those_of_the_field() -> None:
    assert COCO_17.names == tuple(COCO_NAMES)
    assert H36M_17.names == H36M_JOINTS
    for skeleton in SKELETONS.values():
        assert skeleton.parents.count(-1) == 1 and len(skeleton.flip_pairs) in (6, 8)
        for joint in range(len(skeleton)):  # every joint hangs on the root, without a circle
            steps = 0
            while skeleton.parents[joint] >= 0:
                joint, steps = skeleton.parents[joint], steps + 1
                assert steps < len(skeleton)
    lines = {frozenset(line) for line in COCO_LINES}
    assert all(frozenset((child + 1, parent + 1)) in lines for child, parent in COCO_17.bones)


@pytest.mark.parametrize("target", SKELETONS.values(), ids=SKELETONS)
@pytest.mark.parametrize("source", SKELETONS.values(), ids=SKELETONS)
def test_joints_are_mapped_by_name(source: Skeleton, target: Skeleton) -> None:
    track = random_track(np.random.default_rng(3), np.arange(4), 1, source)
    track = replace(track, depth_sd_mm=np.random.default_rng(4).uniform(1, 90, (4, len(source))))
    other = track_in_skeleton(track, target)
    assert other.skeleton == target and other.joints_3d.shape == (4, len(target), 3)
    neck = {"neck": "upper_neck", "upper_neck": "neck"}
    for joint, name in enumerate(target.names):
        own = next((alias for alias in (name, neck.get(name)) if alias in source.names), None)
        if own is not None:
            at = source.index(own)
            for array in ("joints_2d", "joints_3d", "confidence", "depth_sd_mm"):
                np.testing.assert_array_equal(getattr(other, array)[:, joint], getattr(track, array)[:, at])
        elif np.isnan(other.joints_3d[:, joint]).all() and name not in ("pelvis", "thorax"):
            assert (other.confidence[:, joint] == 0).all() and np.isnan(other.joints_2d[:, joint]).all()
        else:
            assert name in ("pelvis", "thorax", "spine")
    assert other.boxes is track.boxes and other.root_mm is track.root_mm


def test_chances_of_made_up_joints_are_products() -> None:
    rng = np.random.default_rng(5)
    track = replace(photo(1).tracks[0], inside=rng.random((1, 16)), visible=rng.random((1, 16)))
    own, at = MPII_16.index, H36M_17.index
    other = track_in_skeleton(track, H36M_17)
    for before, after in ((track.inside, other.inside), (track.visible, other.visible)):
        assert before is not None and after is not None and after.shape == (1, 17)
        assert after[0, at("left_knee")] == before[0, own("left_knee")]
        assert after[0, at("spine")] == pytest.approx(before[0, own("pelvis")] * before[0, own("upper_neck")])
        assert np.isnan(after[0, at("jaw")]) and not other.is_outside[0, at("jaw")]
    silent = track_in_skeleton(replace(track, inside=None, visible=None), COCO_17)
    assert silent.inside is None and silent.visible is None


def test_made_up_joints_are_means_and_say_so() -> None:
    track = photo(1).tracks[0]
    track = replace(track, confidence=np.linspace(0, 1, 16)[None], depth_sd_mm=np.arange(16.0)[None])
    other = track_in_skeleton(track, H36M_17)
    at, own = H36M_17.index, MPII_16.index
    middle = (track.joints_3d[0, own("pelvis")] + track.joints_3d[0, own("upper_neck")]) / 2
    np.testing.assert_allclose(other.joints_3d[0, at("spine")], middle)
    assert other.confidence[0, at("spine")] == track.confidence[0, own("pelvis")]  # the lower of the two
    assert other.depth_sd_mm is not None and other.depth_sd_mm[0, at("spine")] == 7.0
    assert np.isnan(other.joints_3d[0, at("jaw")]).all() and other.confidence[0, at("jaw")] == 0
    assert joint_notes(H36M_17) == {
        "spine": "made up: the middle of pelvis and upper_neck", "jaw": "not known: always empty, with confidence 0",
    }  # fmt: skip
    assert set(joint_notes(COCO_17)) == {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}
    assert joint_notes(MPII_16) == {}
    hidden = track_in_skeleton(hide(track, "upper_neck"), H36M_17)
    assert np.isnan(hidden.joints_3d[0, at("spine")]).all()
