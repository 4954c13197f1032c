"""The page of a photo or clip: what is in the file."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from liftwild.errors import LiftwildError
from liftwild.pose import Recording
from liftwild.skeleton import MPII_16
from liftwild.viz import viewer_html
from liftwild.viz.viewer_html import json_for_html, packed, write_viewer
from tests.support.images import picture
from tests.support.paths import ROOT
from tests.support.poses import standing
from tests.support.viewer_clips import FRAMES, HEIGHT, NASTY, WIDTH, clip, pictures, unpack

ROOM = ROOT / "src" / "liftwild" / "viz" / "viewer"


def parts(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two JSON documents of a page."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r'<script id="(?:recording|pictures)" type="application/json">(.*?)</script>', text, re.DOTALL)
    recording, shown = map(json.loads, found)
    return recording, shown


@given(
    npst.arrays(np.float64, st.integers(0, 40), elements=st.floats(allow_infinity=False, width=32)),
    st.sampled_from([0.1, 0.001, 1.0]),
)
def test_packed_numbers_are_right_to_half_a_step(values: np.ndarray, step: float) -> None:
    back = unpack(packed(values, step))
    fits = np.abs(np.round(values / step)) < 2**31
    np.testing.assert_allclose(back[fits], values[fits], atol=0.5001 * step, rtol=1e-12)
    assert np.isnan(back[~fits]).all()


@given(st.text())
def test_no_text_ends_its_script(text: str) -> None:
    written = json_for_html({text: [text]})
    assert json.loads(written) == {text: [text]}
    assert written.isascii() and not set("<>&") & set(written)
    assert "</script" not in json_for_html(NASTY).lower()


def test_what_is_in_the_file(tmp_path: Path) -> None:
    recording = clip(source=NASTY)
    write_viewer(tmp_path / "a.html", recording, pictures())
    document, shown = parts(tmp_path / "a.html")
    assert document["source"] == NASTY and document["placed"] and document["frames"] == FRAMES
    assert document["about"]["camera"]["from"] == "given" and document["about"]["steps"] == ["smoothed", "one skeleton"]
    assert document["about"]["frame"]["unit"] == "mm"
    np.testing.assert_allclose(unpack(document["times"]), recording.times_s, atol=5e-5)
    for person, track in zip(document["people"], recording.tracks, strict=True):
        assert person["id"] == track.person_id and person["joints"] == list(MPII_16.names)
        for name, values, step in (
            ("frames", track.frames, 0), ("joints2d", track.joints_2d, 0.1), ("joints3d", track.joints_3d, 0.1),
            ("confidence", track.confidence, 0.001), ("root", track.root_mm, 0.1), ("spread", track.depth_sd_mm, 0.1),
        ):  # fmt: skip
            assert values is not None
            np.testing.assert_allclose(unpack(person[name]), values.ravel(), atol=0.51 * step)
    assert shown["every"] == 1 and shown["frames"] == list(range(FRAMES))
    first, last = (cv2.imdecode(np.frombuffer(base64.b64decode(shown["data"][i]), np.uint8), 1) for i in (0, -1))
    assert first is not None and last is not None and first.shape == (HEIGHT, WIDTH, 3)
    assert abs(int(first[9, 9, 0]) - 60) < 4 and abs(int(last[9, 9, 0]) - 180) < 4
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]


def test_chances_are_in_the_file_where_they_are_known(tmp_path: Path) -> None:
    chances = np.linspace(0, 1, 16)
    told = dataclasses.replace(standing(), inside=chances, visible=np.where(chances < 0.3, np.nan, chances))
    write_viewer(tmp_path / "a.html", Recording.of_photo("a.jpg", 80, 60, [told, standing()]))
    first, second = parts(tmp_path / "a.html")[0]["people"]
    np.testing.assert_allclose(unpack(first["inside"]), chances, atol=0.0005)
    np.testing.assert_allclose(unpack(first["visible"]), told.visible, atol=0.0005)
    assert second["inside"] is None and second["visible"] is None


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    write_viewer(tmp_path / "a.html", Recording.of_photo("a.jpg", 80, 60, [standing()]), [(0, picture())])
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"'`)]+", text)) == {"http://www.w3.org/1999/xhtml"}  # a name, no address
    assert set(re.findall(r"\b(?:src|href)=\"([^\"]*)", text)) == {"data:,"}
    assert "default-src 'none'" in text and "unsafe-eval" not in text


def test_people_stand_in_space_only_if_all_are_placed(tmp_path: Path) -> None:
    some = dataclasses.replace(clip(), tracks=(clip().tracks[0], clip(placed=False).tracks[1]))
    write_viewer(tmp_path / "a.html", some)
    document, shown = parts(tmp_path / "a.html")
    assert not document["placed"] and [person["root"] for person in document["people"]] == [None, None]
    assert shown == {"every": 1, "frames": [], "data": []}


def test_a_long_clip_keeps_all_poses_and_as_many_pictures_as_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_viewer(tmp_path / "a.html", clip(frames=70))
    bare = (tmp_path / "a.html").stat().st_size
    limit = bare + 60_000
    monkeypatch.setattr(viewer_html, "MAX_BYTES", limit)
    waiting, most = 0, 0

    def noisy() -> Iterator[tuple[int, np.ndarray]]:
        nonlocal waiting, most
        for frame, image in pictures(70):
            noise = np.random.default_rng(frame).integers(0, 30, image.shape).astype(np.uint8)
            waiting += 1
            most = max(most, waiting)
            yield frame + 3, image + noise  # frames need not begin at 0
            waiting -= 1

    write_viewer(tmp_path / "a.html", clip(frames=70), noisy())
    document, shown = parts(tmp_path / "a.html")
    size = (tmp_path / "a.html").stat().st_size
    assert size <= limit and size > bare + 20_000  # at least about half of the room is used
    assert shown["every"] in (4, 8, 16, 32) and most == 1
    assert shown["frames"] == list(range(3, 73, shown["every"]))
    assert len(unpack(document["people"][0]["frames"])) == 70
    monkeypatch.setattr(viewer_html, "MAX_BYTES", 1000)  # the poses alone are more
    write_viewer(tmp_path / "a.html", clip(frames=70), noisy())
    assert len(parts(tmp_path / "a.html")[1]["frames"]) == 1


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    recording = Recording.of_photo("a.jpg", 2600, 1300, [standing()])
    write_viewer(tmp_path / "a.html", recording, [(0, picture(1300, 2600))])
    (data,) = parts(tmp_path / "a.html")[1]["data"]
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
    assert image is not None and image.shape == (640, 1280, 3)


def test_odd_names_and_no_people(tmp_path: Path) -> None:
    write_viewer(tmp_path / "a.html", Recording.of_photo(os.fsdecode(b"latin-\xe9.jpg"), 80, 60, []), [(0, picture())])
    assert parts(tmp_path / "a.html")[0]["people"] == []
    assert "<title>latin-?.jpg</title>" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LiftwildError, match="cannot be written"):
        write_viewer(tmp_path / "none" / "a.html", clip())
    with pytest.raises(ZeroDivisionError):
        write_viewer(tmp_path / "a.html", clip(), ((i, picture(8 // (1 - i))) for i in range(2)))
    assert not list(tmp_path.iterdir())


def test_the_library_is_what_the_script_bundles() -> None:
    script = (ROOT / "scripts" / "bundle_viewer.sh").read_text(encoding="utf-8")
    bundle = (ROOM / "three.min.js").read_text(encoding="utf-8")
    (version,) = re.findall(r"^three=([\d.]+) ", script, re.MULTILINE)
    licence = (ROOM / "three_LICENSE").read_text(encoding="utf-8")
    assert bundle.startswith(f"/*! three.js {version}\n")
    assert "Permission is hereby granted" in bundle[:1500] and "Permission is hereby granted" in licence
    assert len(bundle) < 700_000
    used = set(
        re.findall(
            r"\bTHREE\.(\w+)", "".join((ROOM / name).read_text(encoding="utf-8") for name in viewer_html.SCRIPTS)
        )
    )
    assert used <= set(re.findall(r"\b[A-Z]\w+", script))
