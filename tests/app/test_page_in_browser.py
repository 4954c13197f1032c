"""The page of ``liftwild serve``, driven in a browser as a person would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from liftwild.media.encoding import jpeg_bytes
from liftwild.synthetic.render.clip import render_clip
from tests.support.app_page import WORK_S, AppPage
from tests.support.browser import FAKE_CAMERA, Browser, find_browser
from tests.support.commands import liftwild
from tests.support.server import RunningServer, running_server
from tests.support.videos import encode_video

SEED = 4  # two people who stand apart, and do not hide each other
PHOTO, CLIP = "two people.jpg", "two people.mp4"


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Two rendered people, for a second."""
    return [frame.image[64:320] for frame in render_clip(24, SEED, people=2, fps=25.0, size=384)]


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory, pictures: list[np.ndarray]) -> Path:
    path = tmp_path_factory.mktemp("photo") / PHOTO
    path.write_bytes(jpeg_bytes(pictures[0], 92))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, pictures: list[np.ndarray]) -> Path:
    return encode_video(tmp_path_factory.mktemp("clip") / CLIP, pictures, fps=25)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("served") / "data") as running:
        yield running
        assert running.said() == ""


@pytest.fixture
def page(browser: Browser, server: RunningServer) -> Iterator[AppPage]:
    """The page, with nothing in it."""
    page = AppPage(browser, server.address)
    page.forget()
    page.open()
    yield page
    browser.call("Page.navigate", url="about:blank")


def test_a_photo_is_dropped_a_person_clicked_the_pose_turned_and_downloaded(
    page: AppPage, photo: Path, tmp_path: Path
) -> None:
    browser = page.browser
    assert "Drop a photo or a video" in page.text("#empty")
    browser.save_into(tmp_path)
    browser.drop(640, 400, photo)
    page.wait_for_result(PHOTO)
    assert page.text("#result-facts").startswith("2 people")
    assert browser.run("document.getElementById('said').textContent") == f"{PHOTO}: 2 people"
    x, y, w, h = page.person_at(1)
    browser.mouse("move", x + w / 2, y + h / 2)
    browser.mouse("press", x + w / 2, y + h / 2)
    browser.mouse("release", x + w / 2, y + h / 2)
    assert browser.run("[app.state.focus, app.state.isPale(0)]", "#view") == [1, True]
    browser.wait("document.getElementById('said').textContent === 'Person 1 is chosen'")
    # Turn the pose.
    before = browser.run("app.space.camera.position.toArray()", "#view")
    left, top, right, bottom = browser.run(
        "(({ left, top, right, bottom }) => [left, top, right, bottom])(byId('space').getBoundingClientRect())", "#view"
    )
    fx, fy = browser.run("(({ x, y }) => [x, y])(document.getElementById('view').getBoundingClientRect())")
    middle = fx + (left + right) / 2, fy + (top + bottom) / 2
    browser.drag(middle, (middle[0] + 80, middle[1] + 10))
    browser.settle()
    assert np.linalg.norm(np.subtract(browser.run("app.space.camera.position.toArray()", "#view"), before)) > 0.3
    # The menu is set to who was clicked.
    page.click("#result-download")
    assert browser.run("document.getElementById('download-person').value") == "1"
    page.click("[data-format=bvh]")
    got = page.download(tmp_path, "*.bvh")
    browser.run("document.getElementById('download-person').value = ''")
    page.click("[data-format=npz]")
    recording = page.download(tmp_path, "*.npz")
    liftwild("convert", recording, "--format", "bvh", "-o", tmp_path / "converted")
    assert got.read_bytes() == (tmp_path / "converted" / got.name).read_bytes()
    page.is_clean()


def test_a_box_about_one_person_is_looked_into(page: AppPage, photo: Path) -> None:
    browser = page.browser
    browser.choose("#files", photo)
    page.wait_for_result(PHOTO)
    x, y, w, h = page.person_at(1)
    browser.drag((x - 2, y - 2), (x + w + 2, y + h + 2))
    browser.wait("document.getElementById('result-facts').textContent.includes('in your box')", patience_s=WORK_S)
    page.wait_for_result(PHOTO)
    assert page.text("#result-facts").startswith("1 person")
    nx, ny, nw, nh = page.person_at(0)
    assert abs(nx + nw / 2 - x - w / 2) < w / 2 and abs(nw - w) < w / 2 and abs(nh - h) < h / 3
    assert browser.run("document.querySelectorAll('#shelf li').length") == 2
    page.is_clean()


def test_many_videos_leave_the_browser_connections_for_the_rest(page: AppPage, clip: Path, tmp_path: Path) -> None:
    """It opens six to a server; the progress of each video would hold one."""
    browser = page.browser
    browser.run(
        "(() => { window.most = 0; const open = new Set(); window.EventSource = class extends EventSource {"
        " constructor(address) { super(address); open.add(this); window.most = Math.max(window.most, open.size); }"
        " close() { super.close(); open.delete(this); } }; })()"
    )
    clips = [tmp_path / f"{number}.mp4" for number in range(7)]
    for path in clips:
        path.write_bytes(clip.read_bytes())
    browser.choose("#files", *clips)
    browser.wait("document.querySelectorAll('#shelf .badge').length === 7", patience_s=WORK_S)
    assert browser.run("window.most") == 2
    assert browser.run("document.querySelectorAll('#shelf .failed').length") == 0
    page.is_clean()


def test_a_video_is_worked_off_with_progress(page: AppPage, clip: Path) -> None:
    browser = page.browser
    browser.run(
        "(() => { window.told = []; new MutationObserver(() => told.push(document.getElementById('busy-words')"
        ".textContent)).observe(document.getElementById('busy-words'), { childList: true }); })()"
    )
    browser.choose("#files", clip)
    browser.wait("!document.getElementById('busy').hidden")
    page.wait_for_result(CLIP)
    told = browser.run("told")
    assert any("of 24" in words for words in told), told
    assert "0:01" in page.text("#result-facts") and "Video" in page.text("#shelf")
    assert browser.run("app.data.clip && !byId('player').hidden && app.data.frames", "#view") == 24
    assert browser.run("document.getElementById('result-report').href").endswith("/report")
    # The first frame, from the server, is its thumbnail.
    browser.wait("document.querySelector('#shelf img').naturalWidth > 0")
    page.click("#result-download")
    assert "Joint angles" in page.text("#formats")
    page.is_clean()
    # After a reload it is there again, and can be removed.
    page.open()
    page.wait_for_result(CLIP)
    page.click("#shelf .remove")
    assert "Drop a photo or a video" in page.text("#empty") and page.text("#strip") == ""
    assert browser.run("fetch('/v1/recordings').then((answer) => answer.json())")["recordings"] == []
    page.is_clean()


def test_the_camera_is_followed_and_recorded(server: RunningServer, pictures: list[np.ndarray], tmp_path: Path) -> None:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium to look at pages with")
    plays = tmp_path / "camera.mjpeg"
    plays.write_bytes(b"".join(jpeg_bytes(cv2.resize(picture, (640, 480)), 90) for picture in pictures))
    browser = Browser(program, *FAKE_CAMERA, f"--use-file-for-fake-video-capture={plays}")
    try:
        page = AppPage(browser, server.address)
        page.forget()
        page.open()
        browser.save_into(tmp_path)
        page.click("#camera-first")
        browser.wait("/^\\d+ frames.s · \\d+ ms/.test(document.getElementById('camera-facts').textContent)",
                     patience_s=WORK_S)  # fmt: skip
        browser.wait("app.data.people.length === 2", "#live")
        shown = browser.run("[app.data.width, app.space.bodies.length, app.picture.decoded.get(0).width]", "#live")
        assert shown == [640, 2, 640]
        # People are drawn where they are, in both panels.
        joints = browser.run("['picture', 'space'].map((panel) => app[panel].shownJoints().length)", "#live")
        assert min(joints) > 20
        page.click("#camera-record")
        browser.wait("document.getElementById('camera-record').getAttribute('aria-pressed') === 'true'")
        browser.run("window.shown = app.picture.decoded.get(0)", "#live")
        browser.wait("app.picture.decoded.get(0) !== window.shown", "#live")  # it goes on while it records
        browser.run("new Promise((done) => setTimeout(done, 1500))")
        page.click("#camera-record")
        browser.wait("document.getElementById('camera').hidden", patience_s=WORK_S)
        name = browser.run("document.getElementById('busy-name').textContent")
        assert name.startswith("camera 2") and name.endswith(".webm")
        page.wait_for_result(name)
        assert "person" in page.text("#result-facts") or "people" in page.text("#result-facts")
        page.click("#result-save")
        assert page.download(tmp_path, "camera 2*").stat().st_size > 10_000
        page.is_clean()
    finally:
        browser.close()


def test_all_of_it_works_by_keyboard(page: AppPage, photo: Path, tmp_path: Path) -> None:
    browser = page.browser
    browser.save_into(tmp_path)
    browser.call("Page.setInterceptFileChooserDialog", enabled=True)
    try:
        page.tab_to("focused.textContent === 'Skip to the result'")
        page.tab_to("focused.id === 'choose-first'")
        opened = browser.choosers
        browser.key("Enter")
        browser.settle()
        assert browser.choosers == opened + 1
    finally:
        browser.call("Page.setInterceptFileChooserDialog", enabled=False)
    browser.choose("#files", photo)
    page.wait_for_result(PHOTO)
    # A person, by the list.
    page.tab_to("focused.textContent === 'Person 1'")
    browser.key("Enter")
    browser.wait("app.state.focus === 1", "#view")
    # The menu of files, with Tab from the end of the page to its beginning again.
    page.tab_to("focused.id === 'result-download'")
    browser.key("Enter")
    assert browser.run("document.getElementById('downloads').open"
                       " && document.getElementById('downloads').contains(document.activeElement)")  # fmt: skip
    page.tab_to("focused.dataset.format === 'glb'")
    browser.key("Enter")
    assert page.download(tmp_path, "*.glb").read_bytes()[:4] == b"glTF"
    browser.key("Escape")
    assert browser.run("document.activeElement.id") == "result-download"
    # A box by keys: it is moved, made wider, and taken.
    page.tab_to("focused.id === 'box'")
    browser.key("Enter")
    assert "Arrows move the box" in browser.run("byId('box-note').textContent", "#view")
    before = browser.run("app.chooser.box", "#view")
    browser.key("ArrowLeft")
    browser.key("ArrowRight", shift=True)
    x0, _, x1, _ = browser.run("app.chooser.box", "#view")
    assert x0 < before[0] and x1 == pytest.approx(before[2])
    browser.key("Enter")
    browser.wait("document.getElementById('result-facts').textContent.includes('in your box')", patience_s=WORK_S)
    page.wait_for_result(PHOTO)
    page.tab_to("focused.className === 'open' && focused.getAttribute('aria-current') === 'true'")
    browser.key("Delete")
    browser.wait("document.querySelectorAll('#shelf li').length === 1")
    assert browser.run("document.activeElement.className") == "open"
    page.is_clean()


def test_settings_are_remembered_and_used(page: AppPage, photo: Path) -> None:
    browser = page.browser
    page.click("#settings-open")
    assert browser.run("document.querySelector('[name=weights]:checked').value") == "small"  # the server's own
    browser.run(
        "(() => { const form = document.getElementById('settings-form').elements; form.fov.value = 'own';"
        " form.own_fov.value = '61.5'; form.height_m.value = '1.9'; form.people.value = '1';"
        " document.getElementById('settings-form').dispatchEvent(new Event('input')); })()"
    )
    assert page.text("#own-fov-row") != ""
    page.click("#settings-close")
    page.open()
    browser.choose("#files", photo)
    page.wait_for_result(PHOTO)
    assert page.text("#result-facts").startswith("1 person")
    (posted,) = [asked for asked in browser.requests if "/v1/recordings?" in asked]
    assert all(part in posted for part in ("fov=61.5", "height_m=1.9", "people=1", "name=two+people.jpg")), posted
    # A picture of one person is as tall as was said, to what it can tell: the numbers are in space.
    assert browser.run("app.data.placed && app.data.people.length", "#view") == 1
    page.is_clean()


def test_several_photos_and_a_pasted_picture(page: AppPage, photo: Path, tmp_path: Path) -> None:
    browser = page.browser
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    browser.choose("#files", photo, other)
    browser.wait("document.querySelectorAll('#shelf [aria-label$=\": 2 people\"]').length === 2", patience_s=WORK_S)
    page.wait_for_result(PHOTO)  # the first is shown
    code = json.dumps(list(photo.read_bytes()))
    browser.run(
        f"(() => {{ const data = new DataTransfer(); data.items.add(new File([new Uint8Array({code})], 'image.png',"
        " { type: 'image/png' })); window.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data })); })()"
    )
    page.wait_for_result("image.png")
    assert browser.run("document.querySelectorAll('#shelf li').length") == 3
    page.is_clean()


def test_what_is_wrong_is_said_in_one_line(page: AppPage, tmp_path: Path) -> None:
    browser = page.browser
    text = tmp_path / "<b>notes.jpg"
    text.write_text("no picture")
    browser.choose("#files", text)
    browser.wait("document.getElementById('busy').classList.contains('failed')", patience_s=WORK_S)
    line = page.text("#busy-words")
    assert "no video in it that can be read" in line and "photos are JPEG" in line and "\n" not in line
    assert browser.run("document.getElementById('busy-words').getAttribute('role')") == "alert"
    assert page.text("#busy-name") == "<b>notes.jpg"
    page.click("#busy-end")
    assert "Drop a photo or a video" in page.text("#empty")
    # The browser itself notes the refused request; nothing else.
    (noted,) = browser.errors
    assert noted.startswith("Failed to load resource: the server responded with a status of 422")


def test_on_a_phone_in_the_dark(page: AppPage, photo: Path) -> None:
    browser = page.browser
    wide = "document.documentElement.scrollWidth"
    page.open(390, 780, phone=True, dark=True)
    assert browser.run(wide) == 390
    browser.choose("#files", photo)
    page.wait_for_result(PHOTO)
    assert browser.run(wide) == 390 and browser.run("document.documentElement.scrollWidth", "#view") <= 390
    out = ("Array.from(document.querySelectorAll('button, a, select, h2'), (each) => [each.id || each.textContent,"
           " each.getBoundingClientRect()]).filter(([, { left, right, width }]) => width && (left < -1 || right > 391))"
           ".map(([name]) => name)")  # fmt: skip
    inside = out.replace("document.querySelectorAll('", "document.querySelectorAll('#empty ~ * ")
    assert browser.run(inside.replace("button, a, select, h2", "h2")) == [] and browser.run(out, "#view") == []
    assert browser.picture().mean() < 90
    for button, dialog in (("settings-open", "settings"), ("result-download", "downloads")):
        page.click(f"#{button}")
        assert browser.run(out.replace("('button", f"('#{dialog} button")) == []
        assert browser.run(f"document.getElementById('{dialog}').scrollWidth") <= 390
        browser.key("Escape")
    # A finger picks who it taps.
    x, y, w, h = page.person_at(1)
    browser.tap(x + w / 2, y + h / 2)
    browser.wait("app.state.focus === 1", "#view")
    page.is_clean()
