"""``liftwild.predict`` and what it returns, as a person types it."""

from __future__ import annotations

import inspect
import io
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import liftwild
from liftwild.cli.main import cli
from liftwild.detection.detector import Detection
from liftwild.errors import LiftwildError
from liftwild.io.json_file import read_json
from liftwild.media.photo import load_photo
from liftwild.pipeline import predict as module
from tests.support.images import encode, picture

PEOPLE = [Detection((30.0, 4.0, 40.0, 50.0), 0.75), Detection((2.0, 4.0, 24.0, 36.0), 0.9)]


class FakeDetector:
    """Finds the same two people in every picture."""

    min_score = 0.35

    def detect(self, image: np.ndarray, most: int | None = None, min_score: float | None = None) -> list[Detection]:
        return PEOPLE[:most]

    def fingerprint(self) -> str:
        return "fake"


@pytest.fixture
def predict(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``liftwild.predict`` with a tiny network and a detector that needs none."""
    monkeypatch.setattr(module, "shared_detector", lambda *_: FakeDetector())
    return lambda source, **options: liftwild.predict(source, weights=tiny_weights, runtime="torch", **options)


def same(one: liftwild.Recording, other: liftwild.Recording) -> bool:
    return all(np.array_equal(a.joints_3d, b.joints_3d) for a, b in zip(one.tracks, other.tracks, strict=True))


def test_whatever_holds_a_photo(predict: Callable[..., Any], tmp_path: Path) -> None:
    pixels = picture(60, 80)
    (tmp_path / "a.png").write_bytes(encode(".png", pixels))
    by_path = predict(tmp_path / "a.png")
    assert isinstance(by_path, liftwild.Recording) and by_path.source == "a.png" and len(by_path.poses) == 2
    assert [pose.score for pose in by_path.poses] == [0.75, 0.9]  # the largest first
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    sixteen = pixels.astype(np.uint16) * 257
    for photo in (str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes(), pixels, pixels / 255, alpha, sixteen):
        assert same(predict(photo), by_path)
    grey = pixels[..., 0]
    assert same(predict(grey), predict(np.dstack([grey] * 3))) and same(predict(grey[..., None]), predict(grey))


def test_pil_images_are_turned_upright(predict: Callable[..., Any]) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = picture(60, 80)
    assert same(predict(image.fromarray(pixels)), predict(pixels))
    exif = image.Exif()
    exif[0x0112] = 6
    held = io.BytesIO()
    image.fromarray(pixels).save(held, "png", exif=exif)
    turned = image.open(io.BytesIO(held.getvalue()))
    np.testing.assert_array_equal(load_photo(turned).image, load_photo(held.getvalue()).image)
    assert load_photo(turned).image.shape == (80, 60, 3)


def test_lists_folders_and_generators(predict: Callable[..., Any], tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_bytes(encode(".png", picture(60 + i, 80)))
    listed, folder = predict(paths), predict(tmp_path)
    assert [each.source for each in listed] == [each.source for each in folder] == ["0.png", "1.png", "2.png"]
    assert all(map(same, listed, folder)) and listed[0].picture is None
    taken: list[int] = []

    def photos() -> Iterator[Path]:
        for i, path in enumerate(paths):
            taken.append(i)
            yield path

    stream = predict(photos())
    assert not isinstance(stream, list) and taken == []
    assert all(map(same, stream, listed))
    paths[1].write_bytes(b"no photo")
    stream = predict(iter(paths))
    assert next(stream).source == "0.png"
    with pytest.raises(LiftwildError, match=r"1\.png: is no image"):
        next(stream)


def test_whom(predict: Callable[..., Any]) -> None:
    pixels = picture(60, 80)

    def boxes(**options: Any) -> list[tuple[float, ...]]:
        return [pose.box for pose in predict(pixels, **options).poses]

    assert boxes() == [PEOPLE[0].box, PEOPLE[1].box] and boxes(people=1) == [PEOPLE[0].box]
    assert boxes(at=(5, 10)) == [PEOPLE[1].box] and boxes(at=(29, 2)) == []
    assert boxes(box=np.array([1, 2, 30, 40])) == [(1, 2, 30, 40)] and boxes(whole=True) == [(0, 0, 80, 60)]
    with pytest.raises(LiftwildError, match="at and box exclude each other"):
        boxes(at=(1, 1), box=(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (None, {}, r"a photo is a path, .* not NoneType"),
        (7, {}, r"or a list or generator of photos, not int"),
        (np.zeros((4, 4, 2), np.uint8), {}, r"not an array \(4, 4, 2\) of uint8"),
        (np.zeros((0, 4, 3), np.uint8), {}, r"not an array \(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.int32), {}, "int32"),
        (np.full((4, 4, 3), 200.0), {}, r"floats has values in \[0, 1\]"),
        (np.full((4, 4, 3), np.nan), {}, r"floats has values in \[0, 1\]"),
        (b"", {}, "empty"),
        (b"words", {}, "no image"),
        ("none.jpg", {}, "none.jpg: no such file"),
        ("none.mp4", {}, "none.mp4: no such file"),
        (picture(), {"fps": 3}, "fps and clip are for a folder"),
        ([picture()], {"clip": True}, "fps and clip are for a folder"),
        (picture(), {"whole": True, "min_score": 0.5}, "min_score is for the detector"),
        (picture(), {"height_m": 180}, "height in metres"),
        (picture(), {"fov": 300}, "5 to 170 degrees"),
        (picture(), {"camera": (1, 2)}, "four numbers"),
        (picture(), {"people": 0}, "must be 1 or more"),
    ],
)
def test_wrong_input_says_what_is_accepted(
    predict: Callable[..., Any], source: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(LiftwildError, match=said) as caught:
        predict(source, **options)
    assert "\n" not in str(caught.value)


def test_what_a_user_holds(predict: Callable[..., Any], tmp_path: Path) -> None:
    found = predict(picture(60, 80))
    pose = found.poses[0]
    knee = pose["left_knee"]
    at = pose.joint_names.index("left_knee")
    assert np.array_equal(knee.px, pose.joints_2d[at]) and np.array_equal(knee.mm, pose.joints_3d[at])
    assert [joint.name for joint in pose] == list(pose.joint_names)
    assert pose.to_dict()["left_knee"]["z_mm"] == pose.joints_3d[at, 2]
    with pytest.raises(KeyError, match="no joint 'knee'; there are right_ankle"):
        pose["knee"]
    track = found.tracks[0]
    assert track["left_knee"].mm.shape == (1, 3)
    for held in (pose, track, found):
        assert len(repr(held)) < 120 and "\n" not in repr(held)
    pose.plot().save(tmp_path / "pose.png")
    assert load_photo(tmp_path / "pose.png").image.shape[0] > 500
    assert found.plot()._repr_png_().startswith(b"\x89PNG")
    html = found._repr_html_()
    assert html.startswith("<img") and found.source in html
    (written,) = found.save(tmp_path / "x.json")
    assert same(read_json(written), read_json(found.save(str(tmp_path / "y.json"))[0]))
    assert found.to_dict()["people"][0]["box"] == [30, 4, 40, 50]


def test_the_command_writes_the_same(predict: Callable[..., Any], tmp_path: Path, tiny_weights: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(".png", picture(60, 80)))
    out = tmp_path / "out"
    command = ["predict", str(tmp_path / "a.png"), "-o", str(out), "--no-figure", "--weights", str(tiny_weights)]
    command += ["--runtime", "torch", "--box", "2,4,24,36", "--height-m", "1.7"]
    assert CliRunner().invoke(cli, command).exit_code == 0
    predict(tmp_path / "a.png", box=(2, 4, 24, 36), height_m=1.7).save(tmp_path / "mine.json")
    assert (tmp_path / "mine.json").read_bytes() == (out / "a.json").read_bytes()


def test_weights_that_changed_are_read_anew(tiny_weights: Path, tmp_path: Path) -> None:
    for file in tiny_weights.parent.glob(f"{tiny_weights.stem}.*"):
        shutil.copy(file, tmp_path)
    weights = tmp_path / tiny_weights.name
    ask = partial(liftwild.predict, picture(60, 80), whole=True, weights=weights, runtime="torch")
    before, again = ask(), ask()
    tensors = load_file(weights)
    save_file({name: values * 1.5 for name, values in tensors.items()}, weights)
    assert same(before, again) and not same(before, ask())


def test_the_public_names_and_signatures() -> None:
    """A change here is one that users see: it belongs into the changelog."""
    assert sorted(liftwild.__all__) == dir(liftwild) == [
        "BatchPredictor", "BatchRenderer", "Detector", "Estimator", "LiftwildError", "Pose", "PoseTrack", "Recording",
        "Tracker", "__version__", "predict",
    ]  # fmt: skip
    wanted = {
        liftwild.predict: "source people at box boxes whole clip fps start end slow_motion camera fov height_m smooth "
        "time_filter cutoff_hz free_feet min_score weights "
        "runtime device flip_test",
        liftwild.BatchPredictor: "photo box keep people whole fov height_m min_score weights runtime device",
        liftwild.BatchRenderer: "mode seed number split size backdrops poses device",
        liftwild.Estimator: "weights device flip_test batch_size runtime",
        liftwild.Estimator.predict: "self photo boxes annotation_ids whole",
        liftwild.Estimator.predict_many: "self photos boxes",
        liftwild.Detector: "weights device min_score batch_size runtime input_px",
        liftwild.Detector.detect: "self photo most min_score",
        liftwild.Tracker: "estimator detect most box at sure_score",
        liftwild.Tracker.step: "self image time_s external name",
        liftwild.Recording.save: "self path rig",
        liftwild.Pose.plot: "self photo",
    }
    for public, names in wanted.items():
        assert " ".join(inspect.signature(public).parameters) == names, public
