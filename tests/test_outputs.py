"""What is written: the JSON's schema, whole files, and the figure."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from liftwild.data.photo import read_photo
from liftwild.errors import LiftwildError
from liftwild.outputs import figure
from liftwild.outputs.files import write_whole
from liftwild.outputs.json import is_pose_file, pose_document, write_json
from liftwild.pose import Pose
from liftwild.skeleton import MPII_16
from tests.conftest import picture

# A person who stands, arms out, MPII-16 order: right ankle ... left wrist; mm, pelvis at 0.
STANDING = np.array(
    [
        [-110, 860, 30], [-115, 440, -10], [-110, 5, 0], [110, 5, 0], [120, 440, -30], [115, 850, 60], [0, 0, 0],
        [0, -480, 10], [0, -560, 5], [0, -800, -10], [-610, -420, -120], [-400, -440, 20], [-170, -470, 20],
        [170, -470, 20], [380, -360, 90], [420, -130, 250],
    ],
    dtype=np.float64,
)  # fmt: skip


def standing(x: float = 40, y: float = 30, size: float = 50, confidence: float = 0.8) -> Pose:
    """The standing person, ``size`` px tall about (x, y)."""
    joints_2d = STANDING[:, :2] * (size / 1700) + (x, y)
    return Pose(joints_2d, STANDING, np.full(16, confidence), (x - size / 2, y - size / 2, size, size))


def test_the_document(tmp_path: Path) -> None:
    poses = [standing(), dataclasses.replace(standing(), annotation_id=7, confidence=np.linspace(0, 1, 16))]
    write_json(tmp_path / "a.json", pose_document("a.jpg", 80, 60, poses))
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert list(document) == ["format", "version", "image", "joint_names", "frame", "people"]
    assert (document["format"], document["version"]) == ("liftwild-pose", 1)
    assert document["image"] == {"file": "a.jpg", "width": 80, "height": 60}
    assert document["joint_names"] == list(MPII_16.names)
    assert document["frame"]["unit"] == "mm"
    assert document["frame"]["zero"].startswith("pelvis")
    assert document["frame"]["axes"].startswith("x right, y down, z away from the camera")
    first, second = document["people"]
    assert list(first) == ["box", "joints_2d", "joints_3d", "confidence"]
    assert list(second) == ["box", "annotation_id", "joints_2d", "joints_3d", "confidence"]
    assert second["annotation_id"] == 7
    assert first["box"] == [15, 5, 50, 50]
    assert np.array(first["joints_3d"]).tolist() == STANDING.tolist()
    np.testing.assert_allclose(first["joints_2d"], poses[0].joints_2d, atol=0.005)
    np.testing.assert_allclose(second["confidence"], poses[1].confidence, atol=0.0005)


def test_numbers_are_rounded_and_never_minus_zero(tmp_path: Path) -> None:
    pose = dataclasses.replace(standing(), joints_3d=STANDING * 0 - 0.01, joints_2d=STANDING[:, :2] / 3)
    write_json(tmp_path / "a.json", pose_document("a.jpg", 80, 60, [pose]))
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "-0.0," not in text and "333333" not in text
    assert "[0.0, 0.0, 0.0]" in text  # a joint to a line


def test_nothing_but_numbers_in_json(tmp_path: Path) -> None:
    pose = dataclasses.replace(standing(), joints_3d=STANDING * np.nan)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", pose_document("a.jpg", 80, 60, [pose]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ['quote " [ 1 ].jpg', "новый [\n1\n].png", os.fsdecode(b"latin-\xe9.jpg")])
def test_odd_file_names_survive(tmp_path: Path, name: str) -> None:
    write_json(tmp_path / "a.json", pose_document(name, 80, 60, []))
    document = json.loads((tmp_path / "a.json").read_bytes())
    assert document["image"]["file"] == name and document["people"] == []


def test_is_pose_file(tmp_path: Path) -> None:
    write_json(tmp_path / "ours.json", pose_document("a.jpg", 80, 60, []))
    (tmp_path / "other.json").write_text('{"shapes": [], "imagePath": "a.jpg"}')
    assert is_pose_file(tmp_path / "ours.json")
    assert not is_pose_file(tmp_path / "other.json")
    assert not is_pose_file(tmp_path / "none.json")


def test_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for owner, name in ((os, "replace"), (Path, "write_bytes")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                write_whole(path, b"new")
        assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
        assert path.read_bytes() == b"old"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "a.json", tmp_path / "none" / "a.json", tmp_path / ("x" * 300)):
        with pytest.raises(LiftwildError, match="cannot be written") as caught:
            write_whole(path, b"content")
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def has(image: np.ndarray, colour: tuple[int, int, int], least: int = 20) -> bool:
    """Whether ``colour`` is in a picture, nearly, in ``least`` pixels."""
    return int((np.abs(image.astype(int) - colour).max(axis=-1) < 12).sum()) >= least


@pytest.mark.parametrize(("height", "width"), [(60, 80), (1, 1), (5, 2000), (2000, 5), (1500, 1700)])
def test_figures_of_any_photo(height: int, width: int) -> None:
    image = np.full((height, width, 3), 128, np.uint8)
    drawn = figure.draw_figure(image, [standing(width / 2, height / 2, max(width, height))])
    assert drawn.dtype == np.uint8 and drawn.shape[0] == figure.TITLE_PX + figure.PANEL_PX + figure.FOOT_PX
    assert 2 * figure.PANEL_PX + figure.PHOTO_WIDTH_PX[0] < drawn.shape[1] < 2 * figure.PANEL_PX + 1100
    body = drawn[figure.TITLE_PX : -figure.FOOT_PX]
    for panel in (body[:, -figure.PANEL_PX - figure.GAP_PX :], body[:, -2 * figure.PANEL_PX - 20 : -figure.PANEL_PX]):
        assert has(panel, figure.ROOM, 10000)


def test_left_is_blue_and_right_is_orange() -> None:
    image = np.full((600, 600, 3), 128, np.uint8)
    drawn = figure.draw_figure(image, [standing(300, 300, 500)])
    photo = drawn[figure.TITLE_PX : -figure.FOOT_PX, : figure.PANEL_PX]
    left, right = photo[:, photo.shape[1] // 2 + 30 :], photo[:, : photo.shape[1] // 2 - 30]
    assert has(left, figure.LEFT, 300) and not has(left, figure.RIGHT, 1)  # the person's left, on the picture's right
    assert has(right, figure.RIGHT, 300) and not has(right, figure.LEFT, 1)


def test_figures_of_several_no_and_broken_people() -> None:
    image = picture()
    nobody, one = figure.draw_figure(image, []), figure.draw_figure(image, [standing()])
    several = figure.draw_figure(image, [standing(20, 30, 20), standing(), standing(60, 30, 30)])
    assert nobody.shape == one.shape == several.shape
    assert not has(nobody[figure.TITLE_PX : -figure.FOOT_PX], figure.LEFT)
    panels = slice(figure.TITLE_PX, -figure.FOOT_PX), slice(-2 * figure.PANEL_PX, None)
    assert np.array_equal(one[panels], several[panels])  # the largest
    point = dataclasses.replace(standing(), joints_3d=STANDING * 0, joints_2d=STANDING[:, :2] * 0)
    far = dataclasses.replace(standing(), joints_3d=STANDING * 1e6, joints_2d=STANDING[:, :2] * 1e9)
    assert figure.draw_figure(image, [point]).shape == figure.draw_figure(image, [far]).shape == one.shape


def test_unsure_joints_are_hollow() -> None:
    image = picture()
    sure, unsure = (figure.draw_figure(image, [standing(confidence=value)]) for value in (0.11, 0.09))
    count = [int((np.abs(drawn.astype(int) - figure.LEFT).max(axis=-1) < 12).sum()) for drawn in (sure, unsure)]
    assert 0 < count[1] < 0.7 * count[0]


@pytest.mark.parametrize(("height", "width"), [(3000, 2000), (300, 200)])
def test_a_smaller_copy_of_the_photo_gives_the_same_figure(height: int, width: int) -> None:
    image, pose = picture(height, width), standing(width * 0.6, height * 0.4, height * 0.5)
    small = figure.shrink_for_figure(image)
    assert small.shape[0] == min(height, figure.PANEL_PX * figure.FINE)
    a, b = figure.draw_figure(image, [pose]), figure.draw_figure(small, [pose], (width, height))
    assert np.array_equal(a, b)


def test_png(tmp_path: Path) -> None:
    drawn = figure.draw_figure(picture(), [standing()])
    figure.write_png(tmp_path / "a.png", drawn)
    assert np.array_equal(read_photo(tmp_path / "a.png"), drawn)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
