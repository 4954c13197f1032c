"""The report on a recording, opened in a browser."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from liftwild.viz.report_html import write_recording_report
from tests.support.browser import Browser
from tests.support.viewer_clips import clip, moves, pictures
from tests.support.viewer_panels import clean, panel

CHART = "document.querySelectorAll('.curves figure')[{}]"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    recording = moves()
    frames = ((i, np.full((48, 64, 3), 90 + 2 * i, np.uint8)) for i in range(60))
    write_recording_report(path, recording, frames)
    return path


def test_curves_and_the_viewer_show_the_same_frame(browser: Browser, page: Path) -> None:
    browser.open(page, 1300, 800)
    assert browser.run("document.querySelectorAll('.curves figure').length") == 14
    browser.run("app.go(30)")
    browser.settle()
    (angles,) = moves().angles()
    shown = browser.run(f"Array.from({CHART.format(2)}.querySelectorAll('output'), (output) => output.textContent)")
    wanted = [f"{round(angles[f'{side}_knee_flexion'][30])}\u00b0" for side in ("left", "right")]
    assert shown == wanted
    cursor = f"Number({CHART.format(2)}.querySelector('.cursor').getAttribute('x1'))"
    before = browser.run(cursor)
    browser.key("ArrowRight")
    browser.settle()
    assert 0 < browser.run(cursor) - before < 10
    # A click in a chart takes the viewer there, a drag along with it.
    browser.run(f"{CHART.format(2)}.scrollIntoView({{ block: 'center' }})")
    x, y, w, h = browser.run(
        f"(({{ x, y, width, height }}) => [x, y, width, height])({CHART.format(2)}.querySelector('svg')"
        ".getBoundingClientRect())"
    )
    start = w * 34 / 360
    browser.drag((x + start + 2, y + h / 2), (x + start + (w * 318 / 360) / 2, y + h / 2))
    browser.settle()
    assert browser.run("app.state.frame") == pytest.approx(29.5, abs=1)
    assert browser.run("document.body.dataset.frame") == str(browser.run("app.state.frame"))
    clean(browser)


def test_a_curve_has_its_values_gaps_and_contacts(browser: Browser, tmp_path: Path) -> None:
    write_recording_report(tmp_path / "a.html", clip(), pictures())
    browser.open(tmp_path / "a.html", 1300, 800)
    curves = "app.report.charts.find(({ person, curves }) => person.id === 7).curves"
    assert browser.run(f"{curves}.path(new Float64Array(20).fill(5))").count("M") == 2  # frames 8 to 11 are missing
    lines = browser.run(
        "app.report.charts[0].curves.path(new Float64Array([5, NaN, 7, 7, NaN, ...Array(19).fill(NaN)]))"
    )
    assert lines.count("M") == 2 and lines.count("L") == 1 and lines.count("h0") == 2
    # Of 100,000 rows the least and the most of each px stay.
    browser.run("""(() => {
      const { curves } = app.report.charts[0];
      const frames = Array.from({ length: 100000 }, (_, i) => i);
      window.values = new Float64Array(frames.length);
      window.values[55555] = 10;
      window.many = Object.assign(Object.create(Object.getPrototypeOf(curves)), curves,
        { person: { frames }, times: frames.map((i) => i * 1e-5), first: 0, last: frames.length - 1 });
    })()""")
    drawn = browser.run("window.many.path(window.values)")
    assert len(drawn) < 20_000 and drawn.count("M") == 1
    assert f" {browser.run('app.report.charts[0].curves.y(10).toFixed(1)')}" in drawn
    clean(browser)


def test_charts_of_a_long_clip_show_a_piece_at_a_time(browser: Browser, tmp_path: Path) -> None:
    write_recording_report(tmp_path / "a.html", moves(1000))  # 40 s
    browser.open(tmp_path / "a.html", 1300, 800)
    shown = "(({ start, first, last }) => [start, first, last])(app.report.charts[0].curves)"
    assert browser.run(shown) == [0, 0, 250]
    browser.run("app.go(260)")
    browser.settle()
    assert browser.run(shown) == [10, 250, 500]
    assert browser.run(f"{CHART.format(0)}.querySelector('.contact').getAttribute('d')").count("M") == 63
    x = browser.run(f"Number({CHART.format(0)}.querySelector('.cursor').getAttribute('x1'))")
    assert x == pytest.approx(34 + 318 * 0.04, abs=0.1)
    browser.run("app.go(999)")
    browser.settle()
    assert browser.run(shown)[0] == 30
    browser.run(
        "(() => { const list = document.querySelector('.curves-note select'); list.value = 'Infinity';"
        " list.dispatchEvent(new Event('change')); })()"
    )
    browser.settle()
    assert browser.run(shown) == [0, 0, 999]
    clean(browser)


def test_feet_on_the_floor_and_filled_frames_are_shaded(browser: Browser, page: Path) -> None:
    browser.open(page, 1300, 800)
    bars = browser.run(f"Array.from({CHART.format(0)}.querySelectorAll('.contact'), (bar) => bar.getAttribute('d'))")
    assert [bar.count("M") for bar in bars] == [15, 15]  # two frames on, two off, of 60
    assert browser.run(f"{CHART.format(0)}.querySelector('.filled').getAttribute('d')").count("M") == 1
    assert "feet on the floor" in browser.run("document.querySelector('.curves-note').textContent")
    clean(browser)


def test_figures_lead_to_their_frames(browser: Browser, page: Path) -> None:
    browser.open(page, 1300, 800)
    assert browser.run("document.querySelectorAll('.strip button').length") == 24
    browser.run("document.querySelectorAll('.strip button')[3].click()")
    browser.settle()
    assert browser.run("app.state.frame") == round(3 * 59 / 11)
    assert browser.run("Array.from(document.querySelectorAll('.strip .now'), (b) => b.title)") == ["Frame 16"] * 2
    # From the picture's right, what is away from the camera is on the right.
    first, second = browser.run("VIEWS.map(([, view]) => view(1, 2, 3))")
    assert first == [1, 2] and second == [3, 2]
    clean(browser)


def test_the_wheel_turns_the_page_until_the_3d_view_was_clicked(browser: Browser, page: Path) -> None:
    browser.open(page, 800, 700)
    where = browser.run(
        "(({ x, y, width, height }) => [x + width / 2, y + height * 0.7])(byId('space').getBoundingClientRect())"
    )
    distance = "app.space.camera.position.distanceTo(app.space.controls.target)"
    before = browser.run(distance)
    browser.mouse("wheel", *where, deltaX=0, deltaY=200)
    browser.wait("window.scrollY > 50")
    assert browser.run(distance) == pytest.approx(before)
    browser.run("window.scrollTo(0, 0)")
    browser.drag(tuple(where), (where[0] + 1, where[1]))
    browser.mouse("wheel", *where, deltaX=0, deltaY=200)
    browser.wait(f"{distance} > {before} * 1.02")
    clean(browser)


def test_it_fits_a_phone_and_keeps_the_viewer_in_sight_on_a_desk(browser: Browser, page: Path) -> None:
    browser.open(page, 390, 780, phone=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.open(page, 1300, 800, dark=True)
    browser.run("window.scrollTo(0, 600)")
    browser.settle()
    top, bottom = browser.run("(({ top, bottom }) => [top, bottom])(byId('viewer').getBoundingClientRect())")
    assert top == 0 and bottom == 800 and browser.run("window.scrollY") == 600
    assert panel(browser, "space").mean() < 60


def test_print_has_pictures_and_no_buttons(browser: Browser, page: Path) -> None:
    browser.open(page, 1000, 700)
    browser.wait("app.picture.shown === 0")
    browser.run("app.space.still()")
    # The 3D view is under the words, on a canvas that is printed.
    drawn = "app.space.words.getImageData(0, 0, app.space.words.canvas.width, app.space.words.canvas.height).data"
    assert (
        browser.run(f"{drawn}.reduce((count, value, place) => count + (place % 4 === 3 && value === 255), 0)") > 50_000
    )
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        hidden = browser.run(
            "['.tools', '#player', '.cursor'].map((name) => { const style = getComputedStyle("
            "document.querySelector(name)); return style.display === 'none' || style.visibility === 'hidden'; })"
        )
        assert hidden == [True, True, True]
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")
    content = base64.b64decode(browser.call("Page.printToPDF", printBackground=False)["data"])
    assert content.startswith(b"%PDF") and 1 <= content.count(b"/Type /Page\n") <= 4
    clean(browser)
