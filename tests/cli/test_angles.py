"""``liftwild angles``: from a recording's file to a table, a chart, a motion for OpenSim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from liftwild.cli.angles import angles_command
from liftwild.kinematics.angles import MIN_CONFIDENCE
from liftwild.kinematics.upright import Y_UP
from liftwild.media.encoding import is_marked
from tests.support.angle_poses import posed
from tests.support.commands import liftwild
from tests.support.recordings import clip_of_people
from tests.support.tracks import track_of


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip of two people as npz, which loses nothing."""
    return clip_of_people(2).save(tmp_path / "clip.npz")[0]


def test_the_table_is_what_python_gives(clip: Path, tmp_path: Path) -> None:
    done = liftwild("angles", clip, "-o", tmp_path / "a.csv")
    table = pd.read_csv(tmp_path / "a.csv")
    people = clip_of_people(2).angles()
    frames = [each.to_dataframe() for each in people]
    pd.testing.assert_frame_equal(table, pd.concat(frames, ignore_index=True), atol=0.00501, rtol=0)
    assert table["person_id"].tolist() == [0] * 12 + [1] * 11 and table["frame"].tolist()[12] == 1
    assert people[0].to_dict()["left_knee_flexion_deg"] == pytest.approx(people[0]["left_knee_flexion"], nan_ok=True)
    for words in ("person 0: 12 frames, 0.44 s", "person 1: 11 frames", "knee flexion", "written: "):
        assert words in done.output
    liftwild("angles", clip.with_suffix(".npz"), "-o", tmp_path / "a.csv", "--person", 1)  # over its own file
    assert pd.read_csv(tmp_path / "a.csv")["person_id"].unique().tolist() == [1]
    people[1].save(tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def test_what_is_unsure_is_an_empty_cell(tmp_path: Path) -> None:
    recording = clip_of_people(1)
    (track,) = recording.tracks
    track.confidence[3:, track.skeleton.index("left_ankle")] = 0.55
    path = replace(recording, tracks=(track,)).save(tmp_path / "clip.json")[0]
    liftwild("angles", path, "-o", tmp_path / "a.csv")
    assert pd.read_csv(tmp_path / "a.csv")["left_knee_flexion_deg"].notna().all()
    done = liftwild("angles", path, "-o", tmp_path / "a.csv", "--min-confidence", 0.6)
    assert pd.read_csv(tmp_path / "a.csv")["left_knee_flexion_deg"].notna().tolist() == [True] * 3 + [False] * 9
    assert "known in less than half of the frames: left knee flexion" in done.output


def test_the_command_and_python_leave_out_the_same() -> None:
    (option,) = (each for each in angles_command.params if each.name == "min_confidence")
    assert option.default == MIN_CONFIDENCE


def test_charts_and_motions_are_a_file_a_person(clip: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    liftwild("angles", clip, "--plot", tmp_path / "a.png", "--mot", tmp_path / "a.mot", "--by", "left_knee_flexion")
    names = {path.name for path in tmp_path.iterdir()} - {"clip.npz"}
    assert names == {f"a.person{i}.{suffix}" for i in (0, 1) for suffix in ("png", "mot")}
    assert all(is_marked(path) for path in tmp_path.glob("*.png"))
    liftwild("angles", clip, "--person", 1, "--mot", tmp_path / "b.mot")
    assert (tmp_path / "b.mot").read_bytes() == (tmp_path / "a.person1.mot").read_bytes()


def test_repetitions_are_told(tmp_path: Path) -> None:
    bends = 40 - 40 * np.cos(2 * np.pi * np.arange(75) / 25)
    joints = np.stack([posed(left_knee_flexion=bend, right_knee_flexion=bend) for bend in bends])
    tracks = (track_of(joints * 1000 @ Y_UP),)
    path = replace(clip_of_people(1, 75), tracks=tracks).save(tmp_path / "clip.json")[0]
    done = liftwild("angles", path, "--by", "left_knee_flexion")
    told = done.output.partition("3 repetitions of left knee flexion: 0.99 ± 0.02 s each; range in each, degrees\n")[2]
    assert told.split("knee flexion")[1].split("\n")[0].split() == ["80", "±", "0", "80", "±", "0"]
    assert told.split("\n")[0].split() == ["left", "right"]
    # Seen at its turning points alone, one repetition is counted, and its ranges are not made up.
    tracks[0].confidence[:] = 0.0
    tracks[0].confidence[[0, 12, 25, 37, 50]] = 0.9
    path = replace(clip_of_people(1, 75), tracks=tracks).save(tmp_path / "sparse.json")[0]
    done = liftwild("angles", path, "--by", "left_knee_flexion")
    assert "2 repetitions" in done.output and "no ranges, since no angle is known in 80% of" in done.output
    assert "range in each" not in done.output


def test_the_chart_shades_the_feet(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    recording = clip_of_people(1)
    stands = np.tile([True, False], (len(recording.tracks[0]), 1))
    (path,) = replace(recording, tracks=(replace(recording.tracks[0], contacts=stands),)).save(tmp_path / "feet.npz")
    (bare,) = recording.save(tmp_path / "bare.npz")
    for source in (path, bare):
        liftwild("angles", source, "--plot", source.with_suffix(".png"))
    feet, plain = (cv2.imread(str(each.with_suffix(".png"))) for each in (path, bare))
    blue = (feet[..., 0].astype(int) - feet[..., 2] > 60).sum() - (plain[..., 0].astype(int) - plain[..., 2] > 60).sum()
    assert blue > 10_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("clip.mp4",), "clip.mp4: poses are read from .json, .csv, .npz, .parquet, .bvh, .trc"),
        (("gone.json",), "gone.json: no such file"),
        (("clip.npz", "--person", "7"), "clip.npz has no person 7"),
        (("clip.npz", "--by", "knee"), "no angle 'knee'; there are pelvis_list, "),
        (("clip.npz", "-o", "a.txt"), "a.txt: -o is a .csv file"),
        (("clip.npz", "-o", "mine.csv"), "mine.csv exists and was not written by this command"),
        (("clip.npz", "--mot", "mine.mot", "--person", "0"), "mine.mot exists and was not written by this command"),
        (("clip.npz", "--plot", "mine.png", "--person", "0"), "choose another --plot"),
        (("empty.json",), "empty.json: nobody was found in it"),
    ],
)  # fmt: skip
def test_errors_are_one_line(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.csv", "mine.mot", "mine.png"):
        Path(name).write_text("mine")
    replace(clip_of_people(1), tracks=()).save("empty.json")
    done = liftwild("angles", *arguments, code=1)
    assert words in done.output and done.output.count("\n") == 1
    assert Path("mine.csv").read_text() == Path("mine.mot").read_text() == Path("mine.png").read_text() == "mine"
