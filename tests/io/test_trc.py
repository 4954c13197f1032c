"""TRC: markers are where the joints are, on the floor."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from liftwild.io.formats import write_formats
from liftwild.placement.floor import Levelled
from liftwild.pose import Recording
from liftwild.skeleton import COCO_17, H36M_17, MPII_16
from tests.support.recordings import photo, random_recording, random_track, written
from tests.support.strategies import quick, seeds
from tests.support.trc import read_trc


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
        assert header["Units"] == "m" and int(header["NumMarkers"]) == len(names) == len(skeleton)
        assert int(header["NumFrames"]) == int(header["OrigNumFrames"]) == len(places) == len(track)
        assert int(header["OrigDataStartFrame"]) == numbers[0] and float(header["DataRate"]) > 0
        assert numbers == (track.frames + 1).tolist()
        assert tuple(names) == skeleton.names
        np.testing.assert_allclose(times, recording.times_s[track.frames], atol=1e-6)
        if track.root_mm is not None:  # by hand: y and z change their signs, mm become m
            expected = (track.joints_3d + track.root_mm[:, None]) * (1e-3, -1e-3, -1e-3)
            np.testing.assert_allclose(places, expected, atol=1e-6)
        else:
            expected = track.joints_3d * (1e-3, -1e-3, -1e-3)
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
    assert "zero: on the floor below the camera" in text and "for TRC also done: not levelled" in text
    # Once levelled it is written as it is, in every format.
    levelled = Levelled(**vars(photo(1)), camera_height_mm=900.0)
    _, _, same, _, _ = read_trc(written(tmp_path, levelled, "trc"))
    np.testing.assert_allclose(same[0, names.index("pelvis")], (0, -0.03, -4), atol=1e-6)
    document = json.loads(written(tmp_path, levelled, "json").read_text(encoding="utf-8"))
    assert document["levelled"]["camera_height_mm"] == 900 and "y is down in the room" in document["frame"]["axes"]


def test_frames_without_any_marker_have_no_row(tmp_path: Path) -> None:
    """OpenSim's inverse kinematics ends at such a row; the others keep their numbers and times."""
    frames = np.array([3, 4, 6, 9, 10])
    track = random_track(np.random.default_rng(3), frames, 2, MPII_16)
    hidden = np.zeros((5, 16), dtype=bool)
    hidden[1], hidden[2, :9] = True, True
    track = replace(track, root_mm=None, joints_3d=np.where(hidden[..., None], np.nan, track.joints_3d))
    clip = Recording("c.mp4", 640, 480, np.arange(12) / 25, (track,), is_clip=True)
    header, _, places, times, numbers = read_trc(written(tmp_path, clip, "trc"))
    assert numbers == [4, 7, 10, 11] and header["NumFrames"] == "4" and header["OrigDataStartFrame"] == "4"
    np.testing.assert_allclose(times, [0.12, 0.24, 0.36, 0.4])
    assert np.isnan(places[1]).any() and np.isfinite(places).any(axis=(1, 2)).all()


def test_markers_of_trc_have_a_place_on_the_model(tmp_path: Path) -> None:
    for skeleton, without in ((MPII_16, 0), (COCO_17, 5), (H36M_17, 2)):
        write_formats(photo(2), tmp_path, "a", ["trc", "markers"], skeleton)
        root = ET.parse(tmp_path / "a.markers.xml").getroot()
        assert root.tag == "OpenSimDocument" and root.attrib["Version"] == "40000"
        markers = {marker.attrib["name"]: marker for marker in root.iter("Marker")}
        _, names, *_ = read_trc(tmp_path / "a.person1.trc")
        assert len(markers) == len(names) - without and set(markers) <= set(names)
        assert markers["left_knee"].findtext("socket_parent_frame") == "/bodyset/tibia_l"
        left, right = (
            [float(value) for value in str(markers[f"{side}_hip"].findtext("location")).split()]
            for side in ("left", "right")
        )
        assert left == [right[0], right[1], -right[2]] and right[2] > 0  # OpenSim's z is to the right
