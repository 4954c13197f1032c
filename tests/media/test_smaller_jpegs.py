"""Large JPEGs are decoded no larger than their people need."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.media import photo as module
from liftwild.media.photo import LoadedPhoto, load_photo
from tests.support.commands import liftwild
from tests.support.images import encode, jpeg_with_exif, picture
from tests.support.paths import ROOT

PERSON = ROOT / "examples" / "person.jpg"


def blocks(image: np.ndarray, by: int) -> np.ndarray:
    """Means of blocks of by x by px."""
    height, width = image.shape[0] // by, image.shape[1] // by
    return np.asarray(image.reshape(height, by, width, by, 3).mean(axis=(1, 3)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("least_px", "by"), [(801, 1), (800, 2), (401, 2), (400, 4), (200, 8), (1, 8)])
def test_a_px_is_the_mean_of_a_block(orientation: int, least_px: int, by: int) -> None:
    data = jpeg_with_exif(picture(1200, 1600, seed=3), orientation)
    whole, small = load_photo(data), load_photo(data, least_px)
    assert whole.divisor == 1 and small.divisor == by
    assert small.size == whole.size == ((1200, 1600) if orientation > 4 else (1600, 1200))
    assert np.abs(blocks(whole.image, by) - small.image).mean() < 1.0
    assert small.exif == whole.exif and small.image.flags.c_contiguous


@pytest.mark.parametrize(("sides", "by"), [((1604, 1200), 4), ((1606, 1200), 2), ((1603, 1200), 1), ((1600, 1201), 1)])
def test_no_px_is_cut(sides: tuple[int, int], by: int) -> None:
    assert load_photo(encode(".jpg", picture(sides[1], sides[0])), 100).divisor == by


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_other_files_and_pictures_in_memory_stay_as_they_are(suffix: str) -> None:
    image = picture(1200, 1600)
    assert load_photo(encode(suffix, image), 100).divisor == load_photo(image, 100).divisor == 1
    loaded = LoadedPhoto(image, b"")
    assert load_photo(loaded, 100) is loaded


def test_damage_is_said_all_the_same() -> None:
    data = encode(".jpg", picture(1200, 1600))
    with pytest.raises(LiftwildError, match="cut short"):
        load_photo(data[:-300], 100)
    damaged = data[:9000] + b"\xff\xd5" + data[9040:]
    assert load_photo(damaged, 100).damage


@pytest.fixture
def photos(tmp_path: Path) -> dict[int, Path]:
    """Photos of 4000 x 3000 px, by the side of the picture of a person in them, px."""
    person, made = cv2.imread(str(PERSON)), {}
    for side in (2800, 240):
        image = np.full((3000, 4000, 3), 120, np.uint8)
        image[100 : 100 + side, 300 : 300 + side] = cv2.resize(person, (side, side), interpolation=cv2.INTER_CUBIC)
        made[side] = tmp_path / f"{side}.jpg"
        cv2.imwrite(str(made[side]), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return made


@pytest.mark.parametrize(("side", "divisors"), [(2800, [4]), (240, [4, 1])])
def test_people_are_seen_with_as_many_px_as_the_network_sees(
    side: int, divisors: list[int], photos: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def counted(*arguments: object) -> LoadedPhoto:
        decoded.append(load_bytes(*arguments))
        return decoded[-1]

    load_bytes = module._load_bytes
    monkeypatch.setattr(module, "_load_bytes", counted)
    x, y, w, h = (300 + 0.2 * side, 100 + 0.05 * side, 0.6 * side, 0.9 * side)
    typed = ["--weights", "small", "--runtime", "torch", "--box", f"{x},{y},{w},{h}"]
    liftwild("predict", photos[side], "-o", tmp_path / "out", *typed)
    assert [each.divisor for each in decoded] == divisors
    found = json.loads((tmp_path / "out" / f"{side}.json").read_bytes())
    assert (found["image"]["width"], found["image"]["height"]) == (4000, 3000)
    (pose,) = Estimator("small", "cpu", runtime="torch").predict(photos[side], [(x, y, w, h)])
    joints = np.array(found["people"][0]["joints_2d"])
    assert np.linalg.norm(joints - pose.joints_2d, axis=1).max() < 0.01 * side


def test_the_detector_s_boxes_are_in_px_of_the_photo(photos: dict[int, Path], tmp_path: Path) -> None:
    liftwild(
        "predict", photos[2800], "-o", tmp_path / "out", "--weights", "small", "--runtime", "torch", "--at", "1700,1500"
    )
    found = json.loads((tmp_path / "out" / "2800.json").read_bytes())
    x, y, w, h = found["people"][0]["box"]
    assert 300 < x < 1300 and 100 < y < 600 and 1000 < w < 2800 and 2000 < h < 2800
