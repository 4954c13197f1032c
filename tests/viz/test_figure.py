"""The figure: its panels, what is drawn where, and the same as vectors."""

from __future__ import annotations

import dataclasses
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.errors import LiftwildError
from liftwild.media.encoding import write_png
from liftwild.media.photo import read_photo
from liftwild.pose import Pose
from liftwild.skeleton import MPII_16
from liftwild.viz import figure
from liftwild.viz.draw import (
    FINE,
    LEFT,
    RIGHT,
    ROOM,
    UNSURE,
    Disc,
    Floor,
    Line,
    Mark,
    Placing,
    View,
    Words,
    draw_pose,
)
from liftwild.viz.figure import GAP_PX, MAX_ROWS, PANEL_PX, POSE_WIDTH_PX, draw_figure, lay_out, surest
from liftwild.viz.overlay import draw_overlay
from tests.support.images import picture
from tests.support.paths import ROOT
from tests.support.poses import ARMS_OUT, standing

ARM = [MPII_16.index("right_elbow"), MPII_16.index("right_wrist")]


def has(image: np.ndarray, colour: tuple[int, int, int], least: int = 20) -> bool:
    """Whether ``colour`` is in a picture, nearly, in ``least`` pixels."""
    return int((np.abs(image.astype(int) - colour).max(axis=-1) < 12).sum()) >= least


def without(pose: Pose, joints: list[int]) -> Pose:
    """``pose`` with ``joints`` hidden."""
    points, places = pose.joints_2d.copy(), pose.joints_3d.copy()
    points[joints], places[joints] = np.nan, np.nan
    return dataclasses.replace(pose, joints_2d=points, joints_3d=places)


def panels_of(drawn: np.ndarray) -> list[np.ndarray]:
    """Front, side and top, cut out of a figure."""
    body, step = drawn[figure.TITLE_PX : -figure.FOOT_PX], POSE_WIDTH_PX + GAP_PX
    return [body[:, body.shape[1] - (3 - i) * step : body.shape[1] - (3 - i) * step + POSE_WIDTH_PX] for i in range(3)]


@pytest.mark.parametrize(("height", "width"), [(60, 80), (1, 1), (5, 2000), (2000, 5), (1500, 1700)])
def test_figures_of_any_photo(height: int, width: int) -> None:
    image = np.full((height, width, 3), 128, np.uint8)
    drawn = draw_figure(image, [standing(width / 2, height / 2, max(width, height))])
    assert drawn.dtype == np.uint8 and drawn.shape[0] == figure.TITLE_PX + PANEL_PX + figure.FOOT_PX
    poses = 3 * (POSE_WIDTH_PX + GAP_PX)
    assert poses + figure.PHOTO_WIDTH_PX[0] < drawn.shape[1] <= poses + figure.PHOTO_WIDTH_PX[1] + 2 * GAP_PX
    for panel in panels_of(drawn):
        assert panel.shape == (PANEL_PX, POSE_WIDTH_PX, 3)
        assert has(panel, ROOM, 100_000)
        blue = panel[..., 2].astype(int) - panel[..., 0]
        assert (blue > 60).sum() > 300 and (blue < -60).sum() > 300  # both sides, far parts paler


def test_left_is_blue_and_right_is_orange() -> None:
    image = np.full((600, 600, 3), 128, np.uint8)
    drawn = draw_figure(image, [standing(300, 300, 500)])
    photo = drawn[figure.TITLE_PX : -figure.FOOT_PX, :PANEL_PX]
    left, right = photo[:, photo.shape[1] // 2 + 30 :], photo[:, : photo.shape[1] // 2 - 30]
    assert has(left, LEFT, 300) and not has(left, RIGHT, 1)  # the person's left, on the picture's right
    assert has(right, RIGHT, 300) and not has(right, LEFT, 1)


def test_figures_of_several_no_and_broken_people() -> None:
    image = picture()
    nobody, one = draw_figure(image, []), draw_figure(image, [standing()])
    assert nobody.shape == one.shape
    assert not has(nobody[figure.TITLE_PX : -figure.FOOT_PX], LEFT)
    people = [dataclasses.replace(standing(), person_id=i, score=score) for i, score in enumerate((0.3, 0.9, 0.5))]
    assert [pose.person_id for pose in surest(people, 2)] == [1, 2]
    rows = [lay_out(image, people[:count]).panels[1:] for count in (2, 3)]
    assert [len(panels) for panels in rows] == [6, 9]  # three views for each person
    assert len(lay_out(image, [*people, *people]).panels[1:]) == 3 * MAX_ROWS
    point = dataclasses.replace(standing(), joints_3d=ARMS_OUT * 0, joints_2d=ARMS_OUT[:, :2] * 0)
    far = dataclasses.replace(standing(), joints_3d=ARMS_OUT * 1e6, joints_2d=ARMS_OUT[:, :2] * 1e9)
    assert draw_figure(image, [point]).shape == draw_figure(image, [far]).shape == one.shape


def test_unsure_joints_are_hollow() -> None:
    image = picture()
    sure, unsure = (draw_figure(image, [standing(confidence=value)]) for value in (UNSURE + 0.01, UNSURE - 0.01))
    count = [int((np.abs(drawn.astype(int) - LEFT).max(axis=-1) < 12).sum()) for drawn in (sure, unsure)]
    assert 0 < count[1] < 0.7 * count[0]
    page = ROOT / "docs" / "viewer.md"
    assert page.read_text(encoding="utf-8").count(f"under {UNSURE:g}") >= 1


def test_hidden_joints_and_their_bones_are_not_drawn() -> None:
    image = np.full((600, 600, 3), 128, np.uint8)
    whole, hidden = standing(300, 300, 500), without(standing(300, 300, 500), ARM)
    marks = [[panel.marks + panel.shadow for panel in lay_out(image, [pose]).panels] for pose in (whole, hidden)]
    for before, after in zip(*marks, strict=True):
        discs = [{tuple(np.round(m.centre, 3)) for m in own if isinstance(m, Disc)} for own in (before, after)]
        assert len(discs[0]) == 16 and len(discs[1]) == 14
        for mark in after:
            numbers = [mark.start, mark.end] if isinstance(mark, Line) else [mark.at if isinstance(mark, Words) else 0]
            assert all(np.isfinite(number).all() for number in numbers)
    photos = [
        draw_figure(image, [pose])[figure.TITLE_PX :][:PANEL_PX, GAP_PX : GAP_PX + PANEL_PX] for pose in (whole, hidden)
    ]
    x, y = np.array([200, 170]) * PANEL_PX // 600
    assert has(photos[0][y - 30 : y + 30, : x + 10], RIGHT) and not has(photos[1][y - 30 : y + 30, : x + 10], RIGHT, 1)
    alone = without(standing(300, 300, 500), [j for j in range(16) if j != ARM[0]])  # no bone at all
    assert sum(isinstance(mark, Disc) for mark in lay_out(image, [alone]).panels[1].marks) == 1
    gone = without(whole, list(range(16)))
    assert not has(draw_figure(image, [gone])[figure.TITLE_PX : -figure.FOOT_PX], LEFT, 1)
    room = np.full((50, 50, 3), 9, np.uint8)
    draw_pose(room, View(np.zeros(3), 0), gone, 1.0, np.zeros(2), 2.0)
    assert (room == 9).all()


def test_joints_outside_leave_no_ink_in_the_photo_and_are_hollow_in_3d() -> None:
    image = np.full((600, 600, 3), 128, np.uint8)
    whole = standing(300, 300, 500)
    inside = np.ones(16)
    inside[ARM] = 0.49
    told = dataclasses.replace(whole, inside=inside)
    first, second = lay_out(image, [whole]), lay_out(image, [told])
    discs = [sum(isinstance(mark, Disc) for mark in layout.panels[0].marks) for layout in (first, second)]
    assert len({tuple(mark.centre) for mark in second.panels[0].marks if isinstance(mark, Disc)}) == 14 < discs[0]
    shown = draw_figure(image, [whole]), draw_figure(image, [told])
    photos = [drawn[figure.TITLE_PX :][:PANEL_PX, GAP_PX : GAP_PX + PANEL_PX] for drawn in shown]
    overlays = [draw_overlay(image, [pose], number=True) for pose in (whole, told)]
    for (before, after), size in ((photos, PANEL_PX), (overlays, 600)):
        x, y = (whole.joints_2d[ARM[0]] * size / 600).astype(int)
        left, over = slice(None, x + size // 40), slice(y - size // 20, y + size // 20)
        assert has(before[over, left], RIGHT)
        assert (after[over, left] == 128).all()  # neither bone nor joint, nor what is drawn about them
    # In space both are there, hollow as unsure ones are.
    unsure = dataclasses.replace(whole, confidence=np.where(np.isin(np.arange(16), ARM), 0.1, 0.8))
    hollow = lay_out(image, [unsure])
    for own, other, plain in zip(second.panels[1:], hollow.panels[1:], first.panels[1:], strict=True):
        assert marks_of(own.marks) == marks_of(other.marks) != marks_of(plain.marks)
    for chance in (0.5, np.nan):  # even, and not known
        same = dataclasses.replace(whole, inside=np.full(16, chance))
        assert np.array_equal(draw_figure(image, [same]), shown[0])
    gone = dataclasses.replace(whole, inside=np.zeros(16), person_id=3)
    assert np.array_equal(draw_overlay(image, [gone], number=True), image)


def marks_of(marks: Sequence[Mark]) -> list[str]:
    """Marks as text, to be compared."""
    return [repr(mark) for mark in marks]


def test_the_three_views_show_the_three_planes() -> None:
    """The front shows x to the right, the side (from the picture's right) z, the top x and, upwards, z."""
    image = picture()
    front, side, top = (
        np.array([mark.centre for mark in panel.marks if isinstance(mark, Disc)])
        for panel in lay_out(image, [standing()]).panels[1:]
    )
    spans = [np.ptp(points, axis=0) for points in (front, side, top)]
    x, y, z = np.ptp(ARMS_OUT, axis=0)
    scale = spans[2][0] / x  # from above there is no perspective: exact
    np.testing.assert_allclose(spans[2], [x * scale, z * scale], rtol=1e-6)
    np.testing.assert_allclose(spans[0], [x * scale, y * scale], rtol=0.1)
    np.testing.assert_allclose(spans[1], [z * scale, y * scale], rtol=0.2)


@given(st.integers(0, 1000), st.sampled_from([0.01, 1.0, 40.0]))
@settings(max_examples=40, deadline=None)
def test_nothing_leaves_its_panel(seed: int, size: float) -> None:
    joints = np.random.default_rng(seed).normal(0, 500 * size, (16, 3))
    joints -= joints[6]
    for panel in lay_out(picture(8, 8), [dataclasses.replace(standing(), joints_3d=joints)]).panels[1:]:
        points = [p for mark in (*panel.below, *panel.shadow) for p in (mark.start, mark.end)]
        points += [mark.centre for mark in panel.marks if isinstance(mark, Disc)]
        assert (np.array(points) > 0).all() and (np.array(points) < panel.size).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-5e5, 5e5)] * 3), min_size=1, max_size=8))
def test_the_floor_lies_below_and_around(points: list[tuple[float, float, float]]) -> None:
    joints = np.array([*points, (np.nan, 1e9, 0.0)])
    floor = Floor.below(joints)
    assert floor.level == joints[:-1, 1].max()
    for ticks, values in ((floor.xs, joints[:-1, 0]), (floor.zs, joints[:-1, 2])):
        assert ticks[0] <= values.min() + 1e-6 and values.max() <= ticks[-1] + 1e-6 and 3 <= len(ticks) <= 12
        np.testing.assert_allclose(np.diff(ticks), floor.step_mm)
        np.testing.assert_allclose(ticks % floor.step_mm, 0)


def test_numbers_on_the_floor_stand_where_they_say() -> None:
    """From above, the numbers lie on a straight scale that the joints are on too."""
    (top,) = (panel for panel in lay_out(picture(), [standing()]).panels if panel.title == "Top")
    numbers = [mark for mark in top.marks if isinstance(mark, Words) and re.fullmatch(r"-?\d+", mark.words)]
    ankle = ARMS_OUT[0]
    spots = {float(mark.words): mark.at[0] for mark in numbers if mark.at[1] == max(n.at[1] for n in numbers)}
    assert len(spots) == len(Floor.below(ARMS_OUT).xs)
    x = np.interp(ankle[0], sorted(spots), [spots[key] for key in sorted(spots)])
    assert min(abs(mark.centre[0] - x) for mark in top.marks if isinstance(mark, Disc)) < 1e-6
    place = Placing(View(np.zeros(3), 0, 90, flat=True), 2.0, np.array([5.0, 7.0]))
    np.testing.assert_allclose(place(np.array([[10, 300, 20.0]])), [[25, -33]])


@pytest.mark.parametrize(("height", "width"), [(3000, 2000), (300, 200)])
def test_a_smaller_copy_of_the_photo_gives_the_same_figure(height: int, width: int) -> None:
    image, pose = picture(height, width), standing(width * 0.6, height * 0.4, height * 0.5)
    small = figure.shrink_for_figure(image)
    assert small.shape[0] == min(height, PANEL_PX * FINE)
    a, b = draw_figure(image, [pose]), draw_figure(small, [pose], (width, height))
    assert np.array_equal(a, b)


def test_png(tmp_path: Path) -> None:
    drawn = draw_figure(picture(), [standing()])
    write_png(tmp_path / "a.png", drawn)
    assert np.array_equal(read_photo(tmp_path / "a.png"), drawn)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_vectors_as_svg(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from liftwild.viz.vector import write_vector_figure

    image, pose = picture(300, 200), standing(100, 150, 250)
    for name in ("a.svg", "b.svg"):
        write_vector_figure(tmp_path / name, image, [without(pose, ARM)])
    content = (tmp_path / "a.svg").read_bytes()
    assert content == (tmp_path / "b.svg").read_bytes()
    tree = ET.fromstring(content)
    space = "{http://www.w3.org/2000/svg}"
    assert not list(tree.iter(f"{space}text"))  # outlines: no font is needed
    (shown,) = tree.iter(f"{space}image")
    assert any(value.startswith("data:image/png;base64,") for value in shown.attrib.values())
    strokes = " ".join(path.get("style", "") for path in tree.iter(f"{space}path"))
    assert strokes.count("#0072b2") > 10 and strokes.count("#f08a14") > 10
    assert b"nan" not in content.lower().split(b"base64,")[0]


def test_vectors_as_pdf(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from liftwild.viz.vector import write_vector_figure

    for name, poses in (("a.pdf", [standing()]), ("b.pdf", [standing()]), ("none.PDF", [])):
        write_vector_figure(tmp_path / name, picture(), poses, (80, 60))
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and content == (tmp_path / "b.pdf").read_bytes()
    assert content.count(b"/FontFile2") >= 1 and b"/Type3" not in content  # TrueType, in the file
    width, height = map(float, re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", content).groups())  # type: ignore[union-attr]
    assert 480 < width < 620 and 190 < height < 210  # points: across a page's text


def test_vectors_refuse_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from liftwild.viz.vector import write_vector_figure

    for name in ("a.png", "a"):
        with pytest.raises(LiftwildError, match=r"written as \.pdf or \.svg") as caught:
            write_vector_figure(tmp_path / name, picture(), [standing()])
        assert str(tmp_path / name) in str(caught.value)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(LiftwildError, match=r"as \.pdf need matplotlib: pip install 'liftwild\[figures\]'"):
        write_vector_figure(tmp_path / "a.pdf", picture(), [standing()])
    assert not list(tmp_path.iterdir())
