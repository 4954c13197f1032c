"""The report on a recording: what is in its file."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.io.formats import read_recording
from liftwild.joint_mapping import in_skeleton
from liftwild.kinematics.angles import ANGLE_NAMES
from liftwild.kinematics.cycles import motion_ranges
from liftwild.kinematics.upright import on_floor
from liftwild.placement.floor import Levelled
from liftwild.pose import Recording
from liftwild.skeleton import COCO_17, MPII_16
from liftwild.viz.report_html import report_page
from liftwild.viz.report_notes import recording_warnings, track_warnings
from tests.support.poses import standing
from tests.support.viewer_clips import NASTY, clip, moves, unpack


def words(page: str) -> str:
    """What the article says, without its tags."""
    article = page[page.index('<article id="report">') : page.index("</article>")]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", article))


def test_ranges_and_symmetry_are_those_of_the_angles() -> None:
    recording = moves()
    text = words(report_page(recording))
    (angles,) = recording.angles()
    ranges = motion_ranges(angles)
    sides = angles.symmetry()["knee_flexion"]

    def cell(name: str) -> str:
        low, high, span = (f"{round(value)}".replace("-", "\u2212") for value in ranges[name][:3])
        return f"{low} to {high} ({span})"

    asymmetry = f"{round(sides.asymmetry):+d} %".replace("-", "\u2212")
    assert f"knee flexion {cell('left_knee_flexion')} {cell('right_knee_flexion')} {asymmetry}" in text
    assert f"trunk twist {cell('trunk_twist')}" in text
    assert "fit for clinical use" in text and "60 frames, 2.36 s" in text


def test_all_angles_over_time_are_in_the_page() -> None:
    recording = moves()
    page = report_page(recording)
    found = re.search(r'<script id="curves" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    curves = json.loads(found[1])
    (person,) = curves["people"]
    (angles,) = recording.angles()
    assert set(person["degrees"]) == set(ANGLE_NAMES)
    for name, values in person["degrees"].items():
        np.testing.assert_allclose(unpack(values), angles[name], atol=0.051)
    assert sorted(name for panel in curves["panels"] for name in panel["curves"].values()) == sorted(ANGLE_NAMES)


def test_the_page_asks_for_nothing_and_no_name_breaks_out() -> None:
    page = report_page(dataclasses.replace(clip(), source=NASTY, steps=(NASTY,)))
    assert NASTY not in page and page.count("<article") == 1
    assert set(re.findall(r"https?://[^\s\"'`)]+", page)) <= {
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/2000/svg",
    }
    assert set(re.findall(r"\b(?:src|href)=\"([^\"]*)", page)) == {"data:,"}


def test_steps_are_reported_where_contacts_show_some() -> None:
    recording = moves(200)
    left = np.arange(200) // 13 % 2 == 0  # a stride lasts 26 frames, 1.04 s
    track = dataclasses.replace(recording.tracks[0], contacts=np.stack([left, ~left], axis=1))
    text = words(report_page(dataclasses.replace(recording, tracks=(track,))))
    assert "stride time, s 1.04 ± 0.00 (6) 1.04 ± 0.00 (" in text and "115 steps a minute" in text
    assert "stance, % of the stride 50 ± 0" in text
    assert "Steps" not in words(report_page(moves()))


def test_a_photo_has_its_angles_and_no_curves() -> None:
    page = report_page(Recording.of_photo("a.jpg", 640, 480, [standing(), standing(200, 34, 40)]))
    text = words(page)
    assert "Angles, degrees" in text and "left less right" in text and "over time" not in text
    assert len(re.findall(r"knee flexion \d+° \d+° \D?\d+°", text)) == 2 and "Person 1 a photo" in text


def test_nobody_and_other_joints() -> None:
    assert "Nobody was found." in words(report_page(Recording.of_photo("a.jpg", 64, 48, [])))
    assert "knee flexion" in words(report_page(in_skeleton(moves(), COCO_17)))
    with pytest.raises(LiftwildError, match="between 0 and 1"):
        report_page(moves(), min_confidence=2.0)


def test_what_is_in_doubt_is_said() -> None:
    recording = clip()  # 7 is unsure in its first 4 frames, and away in frames 8 to 11
    ranges = [motion_ranges(angles) for angles in recording.angles()]
    first, second = (track_warnings(recording, *pair) for pair in zip(recording.tracks, ranges, strict=True))
    assert "Not seen in frames 8-11." in second and not any("Not seen" in text for text in first)
    assert any(text.startswith("20% of the joints are unsure (confidence under 0.3); in 20% of") for text in second)
    track = dataclasses.replace(recording.tracks[0], joints_2d=np.add(recording.tracks[0].joints_2d, (0, 500)))
    assert any(
        "cuts the person off in 100% of the frames: " in text for text in track_warnings(recording, track, ranges[0])
    )
    joints = recording.tracks[0].joints_3d.copy()
    joints[16:] = joints[16:][:, list(MPII_16.flip_index)]
    flipped = dataclasses.replace(recording.tracks[0], joints_3d=joints)
    assert any("change places at frames 16" in text for text in track_warnings(recording, flipped, ranges[0]))
    assert any("left elbow flexion" in text for text in first)  # its wrist is hidden


def test_a_floor_that_cannot_be_is_said_and_not_shown() -> None:
    recording = clip()
    tilt = np.array([[1.0, 0, 0], [0, 0.96, 0.28], [0, -0.28, 0.96]])
    good, above, unknown = (
        Levelled.of(recording, turn, height) for turn, height in ((tilt, 1500.0), (tilt, -830.0), (np.eye(3), 1500.0))
    )
    assert recording_warnings(recording, good) == []
    for floored, text in ((above, "0.83 m above the camera"), (unknown, "do not show"), (recording, "not known")):
        (warning,) = recording_warnings(recording, floored)
        assert text in warning.text and warning.about_floor


def test_motion_capture_has_its_own_floor_and_height(tmp_path: Path) -> None:
    """A file without camera and picture: nothing is said of a camera, and a floor far from the feet is."""
    (path,) = moves().save(tmp_path / "a.trc")
    text = words(report_page(read_recording(path)))
    assert "above the camera" not in text and "No warning about the whole recording" in text
    assert "Height that of the file; person 0" in text
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines[6:]]
    lifted = ["\t".join([*row[:2], *_plus(row[2:], 1.2)]) for row in rows]
    path.write_text("\n".join([*lines[:6], *lifted, ""]), encoding="utf-8")
    (warning,) = recording_warnings(read_recording(path), on_floor(read_recording(path)))
    assert "m above the file's height 0" in warning.text


def _plus(cells: list[str], metres: float) -> list[str]:
    """Cells of a TRC's row, x y z after each other, with that much added to each y."""
    return [f"{float(cell) + metres:.6f}" if at % 3 == 1 and cell else cell for at, cell in enumerate(cells)]


def test_what_was_assumed_is_said() -> None:
    text = words(report_page(clip()))
    assert "Camera focal length 300 x 300 px, given" in text and "smoothed; one skeleton" in text
    assert re.search(r"Height assumed, as of an average person: lengths are as exact as that; person 3 1\.\d\d m", text)
    given = dataclasses.replace(clip(), steps=("scaled to a standing height of 1.8 m",))
    assert "Height scaled to a standing height of 1.8 m; person" in words(report_page(given))
