"""The viewer in a browser: who is listed, named and followed; trails, contacts, poses that were interpolated."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from liftwild.pose import Recording
from liftwild.skeleton import MPII_16
from liftwild.viz.viewer_html import write_viewer
from tests.support.browser import Browser
from tests.support.poses import standing
from tests.support.viewer_clips import clip, on_feet, turned
from tests.support.viewer_panels import changed, clean, joint, panel

LABELS = "Array.from(document.querySelectorAll('#people button'), (b) => b.textContent)"


def crowd(count: int) -> Recording:
    """A photo of people side by side, who face all ways."""
    poses = [
        dataclasses.replace(standing(10 + 6 * i, 30, 14), joints_3d=turned(77.0 * i)) for i in range(count)
    ]  # fmt: skip
    return Recording.of_photo("crowd.jpg", 20 + 6 * count, 60, poses)


def test_trails_of_one_joint_or_all_in_both_panels(browser: Browser, tmp_path: Path) -> None:
    write_viewer(tmp_path / "a.html", clip())
    browser.open(tmp_path / "a.html", 900, 520)
    browser.key("End")
    bare = {name: panel(browser, name) for name in ("space", "picture")}
    drawn = {}
    for trail in ("right_wrist", "all"):
        browser.run(f"byId('trails').value = '{trail}'; byId('trails').dispatchEvent(new Event('change'))")
        drawn[trail] = {name: changed(panel(browser, name), bare[name]) for name in bare}
    assert all(0.0002 < drawn["right_wrist"][name] < drawn["all"][name] for name in bare), drawn
    browser.key("l")
    assert all(changed(panel(browser, name), bare[name]) == 0 for name in bare)
    browser.key("l")
    assert browser.run("[byId('trails').value, app.state.trail]") == ["all", "all"]
    clean(browser)


def test_a_trail_has_a_gap_where_nobody_was_seen(browser: Browser, tmp_path: Path) -> None:
    write_viewer(tmp_path / "a.html", clip())
    browser.open(tmp_path / "a.html", 900, 520)
    ends = """(() => {
      const seen = [];
      const pen = {
        save() {}, restore() {}, beginPath() {}, stroke() {},
        moveTo(x, y) { seen.push([x, y]); }, lineTo(x, y) { seen.push([x, y]); },
      };
      app.go(14);
      app.state.trail = "pelvis";
      drawTrails(pen, app.data, app.state, (index, row) => [app.data.people[index].frames[row], index]);
      return seen;
    })()"""
    lines = np.array(browser.run(ends)).reshape(-1, 2, 2)  # start and end: frame, person
    first, second = (lines[lines[:, 0, 1] == person][:, :, 0].tolist() for person in (0, 1))
    assert first == [[frame - 1, frame] for frame in range(14, 0, -1)]
    assert second == [line for line in first if not {8, 9, 10, 11} & set(line)]  # person 7 is away


def test_the_camera_follows_who_walks(browser: Browser, tmp_path: Path) -> None:
    write_viewer(tmp_path / "a.html", clip())
    browser.open(tmp_path / "a.html", 900, 520)

    def moved() -> float:
        browser.key("Home")
        browser.settle()
        first = joint(browser, "space", 1, "pelvis")
        browser.key("End")
        browser.settle()
        last = joint(browser, "space", 1, "pelvis")
        assert first is not None and last is not None
        return float(np.hypot(first[0] - last[0], first[1] - last[1]))

    browser.run("app.state.hidden.add(0)")
    standing_still = moved()
    browser.key("c")
    assert browser.run("[app.state.leader(), byId('follow').getAttribute('aria-pressed')]") == [1, "true"]
    assert moved() < 0.25 * standing_still
    browser.key("c")
    assert browser.run("app.state.leader()") is None and moved() > 5
    # Who is away is shown where they are nearest.
    browser.run("app.go(9); app.people.pick(1)")
    assert browser.run("[app.state.frame, app.state.leader()]") == [7, 1]
    clean(browser)


def test_who_is_there_briefly_is_not_listed(browser: Browser, tmp_path: Path) -> None:
    recording = clip()
    longest = recording.tracks[0]
    brief = dataclasses.replace(
        longest, person_id=9, annotation_ids=None, scores=None,
        **{name: getattr(longest, name)[:3] for name in
           ("frames", "joints_2d", "joints_3d", "confidence", "boxes", "depth_sd_mm")},
        root_mm=np.full((3, 3), 90_000.0),
    )  # fmt: skip
    write_viewer(tmp_path / "a.html", dataclasses.replace(recording, tracks=(brief, *recording.tracks)))
    browser.open(tmp_path / "a.html", 900, 520)
    assert browser.run(LABELS) == ["All", "Person 3", "Hide", "Person 7", "Hide", "1 brief"]
    assert browser.run("byId('summary').textContent").startswith("2 people, 1 more for under 0.5 s")
    assert joint(browser, "space", 0, "pelvis") is None and joint(browser, "picture", 0, "pelvis") is None
    assert browser.run("app.space.high.x") < 3  # nor does it make the others small
    browser.key("2")
    assert browser.run("app.state.focus") == 2
    browser.run("document.querySelector('#people > button:last-child').click()")
    browser.settle()
    assert browser.run(LABELS) == ["All", "Person 9", "Hide", "Person 3", "Hide", "Person 7", "Hide", "1 brief"]
    assert joint(browser, "picture", 0, "pelvis") is not None
    clean(browser)
    # Nobody is left out of a photo, or where all are brief.
    write_viewer(tmp_path / "b.html", dataclasses.replace(recording, tracks=(brief,)))
    browser.open(tmp_path / "b.html", 900, 520)
    assert browser.run("app.state.listed") == [0]


def test_a_crowd_fills_its_panel_and_its_names_do_not_heap_up(browser: Browser, tmp_path: Path) -> None:
    write_viewer(tmp_path / "a.html", crowd(23))
    browser.open(tmp_path / "a.html", 1000, 560)
    at = np.array(browser.run("app.space.shownJoints().map(({ at }) => at)"))
    size = np.array(browser.run("[byId('space').clientWidth, byId('space').clientHeight]"))
    assert (at > 0).all() and (at < size).all()
    assert ((at.max(axis=0) - at.min(axis=0)) / size).max() > 0.7
    apart = browser.run("app.space.bodies.map((body) => body.places[6].toArray())")
    assert min(np.linalg.norm(np.subtract(a, b)) for i, a in enumerate(apart) for b in apart[:i]) > 0.9
    # The list shows two lines of people, and the rest by scrolling.
    outer, inner = browser.run("[byId('people').clientHeight, byId('people').scrollHeight]")
    assert outer < 90 and inner > outer and browser.run("document.documentElement.scrollHeight") <= 560
    browser.run("""(() => {
      window.written = [];
      const draw = drawLabel;
      drawLabel = (space, text, at, size, pale) => {
        space.words.font = `${size}px ${FONT}`;
        window.written.push([text, at[0], at[1], space.words.measureText(text).width, size]);
        draw(space, text, at, size, pale);
      };
    })()""")
    browser.key("n")
    browser.settle()
    words = browser.run("window.written")
    assert {text for text, *_ in words} & set(MPII_16.names) and len([w for w in words if w[0].isdigit()]) >= 15
    for i, (_, x, y, wide, high) in enumerate(words):
        assert not any(
            x < ox + owide and ox < x + wide and abs(y - oy) < 0.7 * min(high, ohigh)
            for _, ox, oy, owide, ohigh in words[:i]
        )
    clean(browser)


def test_feet_on_the_floor_are_marked_and_interpolated_poses_are_unsure(browser: Browser, tmp_path: Path) -> None:
    recording = on_feet(clip(), 0)
    write_viewer(tmp_path / "a.html", recording)
    browser.open(tmp_path / "a.html", 900, 520)
    marks = "app.space.bodies.map((body) => body.soles.map((mark) => mark.visible))"
    found = []
    for frame in range(4):
        browser.run(f"app.go({frame})")
        browser.settle()
        found.append(browser.run(marks))
    assert found == [[[left, right], []] for left, right in recording.tracks[0].contacts[:4].tolist()]
    assert {tuple(pair) for pair, _ in found} == {(True, False), (False, True)}
    low = browser.run("[app.space.bodies[0].soles[0].position.y, app.space.level]")
    assert low[0] == low[1]
    seen = panel(browser, "picture")
    browser.run("app.data.people[0].contacts = null; app.draw()")
    assert changed(panel(browser, "picture"), seen) > 0.0003
    filled = recording.tracks[0].filled.tolist()
    sure = browser.run(f"Array.from({{ length: {len(filled)} }}, (_, row) => app.data.people[0].isSure(row, 0))")
    assert sure == [not each for each in filled] and any(filled)
    clean(browser)
