"""Photo in, poses out: the Estimator, and ``liftwild predict`` end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor
from torch.nn import functional

import liftwild
from liftwild.cli import cli
from liftwild.data.given import GivenBoxes
from liftwild.errors import LiftwildError
from liftwild.outputs import finish
from liftwild.outputs.run import Counts
from liftwild.posenet import Prediction
from liftwild.predict.estimator import Estimator
from liftwild.skeleton import MPII_16, PELVIS, SCALE_BONES
from tests.conftest import TINY, encode, picture

LEFT, RIGHT = (torch.tensor([name.startswith(side) for name in MPII_16.names]) for side in ("left_", "right_"))


class Fake:
    """A network that is a function."""

    config = TINY

    def __init__(self, net: Callable[[Tensor], Prediction]) -> None:
        self.net = net

    def __call__(self, images: Tensor, with_depth: bool = True) -> Prediction:
        return self.net(images)


@pytest.fixture
def make(tiny_weights: Path) -> Callable[..., Estimator]:
    """Makes Estimators of the tiny network; with ``net`` its network is replaced."""

    def make(net: Callable[[Tensor], Prediction] | None = None, **options: object) -> Estimator:
        estimator = Estimator(tiny_weights, "cpu", **options)  # type: ignore[arg-type]
        if net is not None:
            estimator.runtime.net = Fake(net)  # type: ignore[attr-defined]
        return estimator

    return make


def brightness(images: Tensor) -> Tensor:
    """Heatmap-sized mean brightness (B, 1, 16, 16) of crops (B, 3, 64, 64)."""
    return functional.avg_pool2d(images.float().mean(dim=1, keepdim=True) / 255, 4)


def find_dot(images: Tensor) -> Prediction:
    """A network whose joints all lie where the crop is brightest."""
    return Prediction([brightness(images).expand(-1, 16, -1, -1)], torch.zeros(len(images), 16))


def mirror_true(images: Tensor) -> Prediction:
    """A network that calls left what a mirrored crop calls right: left weighs by x, right by the mirrored x."""
    light, ramp = brightness(images), torch.linspace(0.2, 1.0, 16)
    weight = torch.where(LEFT[:, None], ramp, torch.where(RIGHT[:, None], ramp.flip(0), torch.tensor(0.6)))
    heatmaps = light * weight[None, :, None, :]
    return Prediction([heatmaps], heatmaps.mean(dim=(2, 3)) * 3 - 1)


def arrays(poses: list[liftwild.Pose]) -> np.ndarray:
    """Everything of the poses that is a number, for comparing."""
    return np.array([np.column_stack([pose.joints_2d, pose.joints_3d, pose.confidence]) for pose in poses])


def test_cells_land_where_the_box_says(make: Callable[..., Estimator]) -> None:
    columns, rows = torch.arange(16), torch.arange(16).flip(0)
    heatmaps = torch.zeros(1, 16, 16, 16)
    heatmaps[0, torch.arange(16), rows, columns] = 0.5

    def net(images: Tensor) -> Prediction:
        return Prediction([heatmaps * 0, heatmaps], torch.linspace(-1, 1, 16)[None])

    box = (37.0, -11.0, 20.0, 80.0)  # its middle (47, 29), its crop 100 px wide
    (pose,) = make(net).predict(picture(), [box], [5])
    cell = 100 / 16
    x, y = 47 - 50 + (columns + 0.5) * cell, 29 - 50 + (rows + 0.5) * cell
    np.testing.assert_allclose(pose.joints_2d, np.stack([x, y], axis=1), atol=1e-9)
    assert pose.box == box and pose.annotation_id == 5
    assert (pose.confidence == 0.5).all()
    # 3D: x and y in the network's unit, depth beside them, scaled to the card's summed bone length.
    unit = np.stack([(columns + 0.5) / 8 - 1, (rows + 0.5) / 8 - 1, np.linspace(-1, 1, 16)], axis=1)
    length = sum(np.linalg.norm(unit[a] - unit[b]) for a, b in SCALE_BONES)
    np.testing.assert_allclose(pose.joints_3d, (unit - unit[PELVIS]) * 4000 / length, atol=1e-3)


def test_without_a_box_the_person_fills_the_photo(make: Callable[..., Estimator]) -> None:
    def net(images: Tensor) -> Prediction:
        heatmaps = torch.zeros(len(images), 16, 16, 16)
        heatmaps[:, :, 0, 0] = 2.0
        return Prediction([heatmaps], torch.zeros(len(images), 16))

    (pose,) = make(net).predict(picture(60, 80))
    assert pose.box == (0, 0, 80, 60) and pose.annotation_id is None
    np.testing.assert_allclose(pose.joints_2d, np.tile([2.5, -10 + 2.5], (16, 1)))  # an 80 px square about the middle
    assert (pose.confidence == 1).all() and (pose.joints_3d == 0).all()


@pytest.mark.parametrize("size", [(300, 500), (3000, 4000)])
@pytest.mark.parametrize("box", [None, (0.55, 0.3, 0.2, 0.4), (-0.1, -0.2, 1.0, 0.9)])
@pytest.mark.parametrize("flip_test", [False, True])
def test_a_dot_is_found_where_it_is(
    make: Callable[..., Estimator],
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None,
    flip_test: bool,
) -> None:
    height, width = size
    photo = np.zeros((height, width, 3), np.uint8)
    x, y, side = 0.62 * width, 0.41 * height, height // 25
    photo[round(y) - side // 2 : round(y) + side // 2, round(x) - side // 2 : round(x) + side // 2] = 255
    boxes = None if box is None else [np.array(box) * (width, height, width, height)]
    (pose,) = make(find_dot, flip_test=flip_test).predict(photo, boxes)
    cell = (max(width, height) if boxes is None else 1.25 * max(boxes[0][2:])) / 16
    assert np.abs(pose.joints_2d - (x, y)).max() <= 0.75 * cell


def test_flip_test_changes_nothing_where_the_network_is_mirror_true(make: Callable[..., Estimator]) -> None:
    photo, boxes = picture(seed=3), [(5.0, 5.0, 50.0, 40.0), (20.0, 3.0, 30.0, 50.0)]
    plain, flipped = (make(mirror_true, flip_test=flip).predict(photo, boxes) for flip in (False, True))
    assert np.ptp(arrays(plain)[0, :, 2:5], axis=0).min() > 1  # left and right are told apart
    np.testing.assert_allclose(arrays(flipped), arrays(plain), atol=1e-3)


def test_flip_test_averages_with_the_mirrored_crop(make: Callable[..., Estimator]) -> None:
    seen = []

    def net(images: Tensor) -> Prediction:
        seen.append(images)
        heatmaps = torch.zeros(2, 16, 16, 16)
        heatmaps[0, :, 3, 2] = 0.9  # plain: every joint in column 2
        heatmaps[1, LEFT, 3, 15 - 5] = 1.0  # mirrored: left ones, so right ones of the plain crop, in column 5
        depth = torch.zeros(2, 16)
        depth[0, LEFT], depth[1, RIGHT] = 0.4, 0.8
        return Prediction([heatmaps], depth)

    estimator = make(net, flip_test=True)
    (pose,) = estimator.predict(picture(64, 64))
    assert torch.equal(seen[0][1], seen[0][0].flip(2)) and seen[0].dtype == torch.uint8
    np.testing.assert_allclose(pose.joints_2d[RIGHT], np.tile([22, 14], (6, 1)))
    np.testing.assert_allclose(pose.joints_2d[~RIGHT], np.tile([10, 14], (10, 1)))
    np.testing.assert_allclose(pose.confidence, np.where(RIGHT, 0.5, 0.45), rtol=1e-6)
    z = pose.joints_3d[:, 2]
    assert (z[LEFT] > 0).all() and np.ptp(z[LEFT]) == 0 and (z[~LEFT] == 0).all()  # 0.6, the sign kept


def test_batches_do_not_matter(make: Callable[..., Estimator]) -> None:
    photos = [picture(60 + 10 * i, 80, seed=i) for i in range(5)]
    boxes = [[(10.0 * k, 5.0, 30.0, 40.0) for k in range(i)] for i in (1, 0, 3, 2, 1)]
    together = list(make(batch_size=16).predict_many(photos, boxes))
    assert [len(poses) for poses in together] == [1, 0, 3, 2, 1]
    for size in (1, 2, 3):
        for one, other in zip(together, make(batch_size=size).predict_many(photos, boxes), strict=True):
            assert [pose.box for pose in one] == [pose.box for pose in other]
            np.testing.assert_allclose(arrays(one), arrays(other), atol=0.05)
    alone = [make().predict(photo, own) for photo, own in zip(photos, boxes, strict=True)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(arrays(one), arrays(other), atol=0.05)
        assert all(np.isfinite(arrays([pose])).all() and (pose.joints_3d[PELVIS] == 0).all() for pose in one)


@pytest.mark.parametrize("people_each", [1, 0])
def test_a_stream_is_taken_a_batch_at_a_time(make: Callable[..., Estimator], people_each: int) -> None:
    estimator, taken = make(batch_size=4), 0

    def photos() -> Iterator[list]:
        nonlocal taken
        for i in range(1000):
            taken += 1
            # With nobody else in sight, the first photo's person must not wait for a full batch.
            yield estimator.crop_people(picture(), [(0, 0, 9, 9)] * (people_each if i else 1))

    stream = estimator.predict_crops(photos())
    assert len(next(stream)) == 1 and taken <= 8
    assert len(next(stream)) == people_each and taken <= 8


def test_a_path_is_read(make: Callable[..., Estimator], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(".png", picture()))
    by_path, by_array = make().predict(tmp_path / "a.png"), make().predict(picture()[..., ::1])
    assert np.array_equal(arrays(by_path), arrays(by_array))
    assert np.array_equal(arrays(make().predict(str(tmp_path / "a.png"))), arrays(by_array))
    bgr = np.ascontiguousarray(picture()[..., ::-1])
    assert np.array_equal(arrays(make().predict(bgr[..., ::-1])), arrays(by_array))


@pytest.mark.parametrize("photo", [picture()[..., 0], picture() / 255, picture()[:0], None, np.dstack([picture()] * 2)])
def test_what_is_no_photo(make: Callable[..., Estimator], photo: object) -> None:
    with pytest.raises(LiftwildError, match=r"\(H, W, 3\) uint8 RGB"):
        make().predict(photo)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((np.nan, 0, 5, 5), "not finite"), ((0, 0, np.inf, 5), "not finite"), ((0, 0, 0, 5), "no size"),
        ((0, 0, 5, -5), "no size"), ((0, 0, 1e-300, 1e-300), "no size"), ((80, 0, 5, 5), "outside the photo"),
        ((0, -5, 5, 5), "outside the photo"), ((-1e300, -1e300, 2e300, 2e300), "far larger"),
        ((1, 2, 3), "four numbers"), ("abcd", "four numbers"), (7, "four numbers"),
    ],
)  # fmt: skip
def test_bad_boxes(make: Callable[..., Estimator], box: object, reason: str) -> None:
    with pytest.raises(LiftwildError, match=f"^photo: .*{reason}"):
        make().predict(picture(), [(0, 0, 9, 9), box])  # type: ignore[list-item]


def test_wrong_use_is_a_clear_error(make: Callable[..., Estimator], tmp_path: Path) -> None:
    with pytest.raises(LiftwildError, match="1 boxes but 2 annotation_ids"):
        make().predict(picture(), [(0, 0, 9, 9)], [1, 2])
    with pytest.raises(LiftwildError, match="need boxes"):
        make().predict(picture(), annotation_ids=[1])
    with pytest.raises(LiftwildError, match="batch_size"):
        make(batch_size=0)
    with pytest.raises(LiftwildError, match="device 'abacus' cannot be used"):
        Estimator(tmp_path, "abacus")
    with pytest.raises(LiftwildError, match="no weights"):
        Estimator(tmp_path / "none.safetensors")
    broken = make(lambda images: Prediction([torch.full((1, 16, 16, 16), torch.nan)], torch.zeros(1, 16)))
    with pytest.raises(LiftwildError, match="NaN"):
        broken.predict(picture())


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_poses_are_finite_on_the_oddest_photos(make: Callable[..., Estimator], size: tuple[int, int]) -> None:
    far = (-99.0, -99.0, 100.0, 100.0) if size == (1, 1) else (-40000.0, -40000.0, 50000.0, 50000.0)
    for boxes in (None, [(0.5, 0.5, 1.0, 1.0), far]):
        assert np.isfinite(arrays(make().predict(np.zeros((*size, 3), np.uint8), boxes))).all()


def test_boxes_are_found_by_the_end_of_the_path() -> None:
    first, second, third, fourth = ([(i, (0.0, 0.0, float(i), 1.0))] for i in range(1, 5))
    index = GivenBoxes({"im1.jpg": first, "sub/im1.jpg": second, "a\\b\\im2.jpg": third, "./im3.jpg": fourth})
    assert index.of(Path("im1.jpg")) == first
    assert index.of(Path("/x/sub/im1.jpg")) == second
    assert index.of(Path("/x/notsub/im1.jpg")) == first
    assert index.of(Path("/a/b/im2.jpg")) == third
    assert index.of(Path("/b/im2.jpg")) == () and index.of(Path("im4.jpg")) == ()
    assert index.of(Path("any/im3.jpg")) == fourth


def test_counts() -> None:
    assert str(Counts(12, 11, 14, 0, 1)) == "12 photos: 11 done (14 people), 1 failed"
    assert str(Counts(1, 1, 1)) == "1 photo: 1 done (1 person), 0 failed"
    assert str(Counts(3, 3, 1, empty=2)) == "3 photos: 3 done (1 person, nobody found in 2), 0 failed"
    assert str(Counts(4, 4, 1, 3, 0)) == "4 photos: 4 done (1 person, 3 without a box), 0 failed"


@pytest.fixture
def predict(tiny_weights: Path, tmp_path: Path) -> Callable[..., Result]:
    """Runs ``liftwild predict --whole`` with the tiny weights and -o tmp/out."""

    def predict(*arguments: object, out: Path | None = None) -> Result:
        given = [str(argument) for argument in arguments]
        end = ["--whole", "--weights", str(tiny_weights), "--device", "cpu", "-o", str(out or tmp_path / "out")]
        end += ["--runtime", "torch"]
        return CliRunner().invoke(cli, ["predict", *given, *end])

    return predict


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(path.suffix, image))
    return path


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def people(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["people"]


def test_help_and_version() -> None:
    assert liftwild.__version__ in CliRunner().invoke(cli, ["--version"]).output
    assert "--flip-test" in CliRunner().invoke(cli, ["predict", "--help"]).output
    code = "import sys, liftwild.cli; print([m for m in ('torch', 'cv2', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV).stdout == "[]\n"


ENV = {**os.environ, "PYTHONPATH": str(Path(liftwild.__file__).parent.parent)}


def test_one_run_over_every_kind_of_file(tmp_path: Path, tiny_weights: Path) -> None:
    photos, image = tmp_path / "photos", picture(300, 400)
    jpeg, png = encode(".jpg", image), encode(".png", image)
    for name in ("colour.jpg", "tiff.TIFF", "bmp.bmp", "webp.webp"):
        write(photos / name, image)
    write(photos / "grey.png", image[..., 0])
    write(photos / "clear.png", np.dstack([image, image[..., 0]]))
    write(photos / "deep.png", image.astype(np.uint16) * 257)
    write(photos / "pixel.png", image[:1, :1])
    write(photos / "huge.jpg", np.zeros((6000, 9000, 3), np.uint8))
    bad = {
        "empty.jpg": b"", "cut.jpg": jpeg[: len(jpeg) // 2], "cut.png": png[: len(png) // 2], "text.webp": b"hello",
        "cut2.webp": encode(".webp", image)[:-50], "cut3.tif": encode(".tif", image)[:-50],
    }  # fmt: skip
    for name, content in bad.items():
        (photos / name).write_bytes(content)
    (photos / "sub").mkdir()
    command = [sys.executable, "-m", "liftwild.cli", "predict", "--whole", str(photos), str(photos / "none.jpg")]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out"), "--weights", str(tiny_weights), "--runtime", "torch"],
        capture_output=True, text=True, env=ENV,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert done.stdout == f"16 photos: 9 done (9 people), 7 failed; results in {tmp_path / 'out'} (torch fp32)\n"
    assert len(lines) == 7 and all(line.startswith("error: ") for line in lines), done.stderr
    for name in [*bad, "none.jpg"]:
        assert sum(str(photos / name) + ": " in line for line in lines) == 1
    good = ("colour", "tiff", "bmp", "webp", "grey", "clear", "deep", "pixel", "huge")
    assert names(tmp_path / "out") == sorted(f"{stem}.{kind}" for stem in good for kind in ("json", "png"))
    huge = json.loads((tmp_path / "out" / "huge.json").read_text())
    assert huge["image"] == {"file": "huge.jpg", "width": 9000, "height": 6000}
    for stem in good:
        (person,) = people(tmp_path / "out" / f"{stem}.json")
        assert np.array(person["joints_2d"]).shape == (16, 2) and np.array(person["joints_3d"]).shape == (16, 3)
        assert len(person["confidence"]) == 16 and 0 <= min(person["confidence"]) <= max(person["confidence"]) <= 1


def test_box_and_no_figure(tmp_path: Path, predict: Callable[..., Result]) -> None:
    photos = [write(tmp_path / name, picture()) for name in ("a.png", "b.png")]
    done = predict(*photos, "--box", "-5,10,20,30.5", "--no-figure", "--flip-test", "--batch-size", 1)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"2 photos: 2 done (2 people), 0 failed; results in {tmp_path / 'out'} (torch fp32)\n"
    assert names(tmp_path / "out") == ["a.json", "b.json"]
    (person,) = people(tmp_path / "out" / "b.json")
    assert person["box"] == [-5, 10, 20, 30.5] and "annotation_id" not in person


@pytest.mark.parametrize("box", ["1,2,3", "1,2,3,x", "0,0,0,5", "0,0,nan,5", ""])
def test_a_bad_box_is_wrong_usage(tmp_path: Path, predict: Callable[..., Result], box: str) -> None:
    done = predict(write(tmp_path / "a.png", picture()), "--box", box)
    assert done.exit_code == 2 and "--box" in done.stderr and not (tmp_path / "out").exists()


def test_boxes_from_labels(tmp_path: Path, predict: Callable[..., Result]) -> None:
    for name in ("photos/sub/im1.png", "photos/im2.png", "photos/im3.png", "photos/im4.png"):
        write(tmp_path / name, picture())
    entries = [(1, "sub/im1.png"), (2, "im2.png"), (3, "im3.png"), (4, "im4.png")]
    boxes = [(11, 1, [10, 5, 20, 40]), (12, 1, [40, 5, 20, 40]), (13, 2, [0, 0, 80, 60]), (14, 4, [500, 0, 9, 9])]
    labels = {
        "images": [{"id": key, "file_name": name, "width": 80, "height": 60} for key, name in entries],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": a, "image_id": i, "category_id": 1, "bbox": box} for a, i, box in boxes],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    done = predict(tmp_path / "photos" / "sub", tmp_path / "photos", "--boxes", tmp_path / "labels.json")
    out = tmp_path / "out"
    assert done.exit_code == 1
    assert done.stdout == f"4 photos: 3 done (3 people, 1 without a box), 1 failed; results in {out} (torch fp32)\n"
    where = tmp_path / "photos" / "im4.png"
    assert done.stderr == f"error: {where}: box 500,0,9,9 lies outside the photo (80 x 60 px)\n"
    assert [(person["annotation_id"], person["box"]) for person in people(out / "im1.json")] == [
        (11, [10, 5, 20, 40]),
        (12, [40, 5, 20, 40]),
    ]
    assert [person["annotation_id"] for person in people(out / "im2.json")] == [13]
    assert people(out / "im3.json") == [] and (out / "im3.png").exists()
    both = predict(tmp_path / "photos", "--boxes", tmp_path / "labels.json", "--box", "0,0,5,5")
    assert both.exit_code == 2 and "exclude each other" in both.stderr
    (tmp_path / "labels.json").write_text("[")
    done = predict(tmp_path / "photos", "--boxes", tmp_path / "labels.json")
    assert done.exit_code == 1 and done.stderr.startswith(f"error: {tmp_path / 'labels.json'} is not JSON")


def test_boxes_from_a_detector(tmp_path: Path, predict: Callable[..., Result]) -> None:
    for name in ("photos/000012.png", "photos/b.png", "photos/c.png"):
        write(tmp_path / name, picture())
    rows = [(12, 0.9, [10, 5, 20, 40]), (12, 0.2, [40, 5, 20, 40]), ("b", 0.4, [0, 0, 80, 60])]
    results = [{"image_id": key, "category_id": 1, "bbox": box, "score": score} for key, score, box in rows]
    given, ids, out = tmp_path / "results.json", tmp_path / "ids.json", tmp_path / "out"
    given.write_text(json.dumps(results))
    done = predict(tmp_path / "photos", "--boxes", given)
    assert done.exit_code == 0 and "3 done (2 people, 1 without a box)" in done.stdout, done.output
    assert [person["annotation_id"] for person in people(out / "000012.json")] == [1]
    assert [person["box"] for person in people(out / "b.json")] == [[0, 0, 80, 60]]
    assert "3 people" in predict(tmp_path / "photos", "--boxes", given, "--box-score", 0.1).stdout
    none = predict(tmp_path / "photos" / "c.png", "--boxes", given, out=tmp_path / "none")
    assert none.exit_code == 1 and "knows none of the photos: it has 'b', not 'c.png'" in none.stderr
    assert not (tmp_path / "none").exists()
    given.write_text(json.dumps([{**results[0], "image_id": 7}]))
    ids.write_text(json.dumps({"images": [{"id": 7, "file_name": "photos/c.png"}]}))
    done = predict(tmp_path / "photos" / "c.png", "--boxes", given, "--photo-ids", ids)
    assert "1 done (1 person)" in done.stdout, done.output
    alone = predict(tmp_path / "photos", "--photo-ids", ids)
    assert alone.exit_code == 2 and "--photo-ids is for --boxes" in alone.stderr


def test_the_same_stem_twice(tmp_path: Path, predict: Callable[..., Result]) -> None:
    first, second = write(tmp_path / "a" / "im.png", picture()), write(tmp_path / "b" / "im.jpg", picture(seed=1))
    done = predict(first, second)
    assert done.exit_code == 1 and str(first) in done.stderr and done.stderr.startswith(f"error: {second}: ")
    assert "2 photos: 1 done (1 person), 1 failed" in done.stdout
    assert json.loads((tmp_path / "out" / "im.json").read_text())["image"]["file"] == "im.png"


def test_nothing_of_the_users_is_overwritten(tmp_path: Path, predict: Callable[..., Result]) -> None:
    photo, other, third = (write(tmp_path / name, picture()) for name in ("a.png", "b.jpg", "c.jpg"))
    (tmp_path / "c.json").write_text('{"shapes": []}')  # as labelling tools leave it
    write(tmp_path / "d.png", picture())
    fourth = write(tmp_path / "d.jpg", picture())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for _ in range(2):  # the second time over our own results
        done = predict(photo, other, third, fourth, out=tmp_path)
        lines = done.stderr.splitlines()
        assert done.exit_code == 1 and "4 photos: 1 done (1 person), 3 failed" in done.stdout
        assert (
            lines[0] == f"error: {photo}: its picture would overwrite the photo {photo}; use another -o, or --no-figure"
        )
        assert f"{tmp_path / 'c.json'} exists and is no result of liftwild" in lines[1]
        assert f"{tmp_path / 'd.png'} exists and is no result of liftwild" in lines[2]
        assert all(path.read_bytes() == content for path, content in before.items())
        assert set(names(tmp_path)) == {path.name for path in before} | {"b.json", "b.png"}
    assert predict(photo, "--no-figure", out=tmp_path).exit_code == 0


def test_errors_of_the_whole_run_are_one_line(tmp_path: Path, predict: Callable[..., Result]) -> None:
    photo = write(tmp_path / "a.png", picture())
    (tmp_path / "empty").mkdir()
    for done in (
        predict(photo, out=photo),
        predict(tmp_path / "empty"),
        predict(photo, "--boxes", tmp_path / "none.json"),
        CliRunner().invoke(cli, ["predict", str(photo), "-o", str(tmp_path / "out"), "--weights", "none"]),
    ):
        assert done.exit_code == 1 and done.stdout == ""
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert CliRunner().invoke(cli, ["predict", str(photo)]).exit_code == 2


def test_a_full_disk_fails_the_photo_only(
    tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [write(tmp_path / f"{stem}.png", picture()) for stem in "abc"]
    real = Path.write_bytes
    calls = iter([None, None, OSError(28, "No space left on device")] + [None] * 9)

    def write_bytes(path: Path, content: bytes) -> int:
        if error := next(calls):
            real(path, content[:10])
            raise error
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    done = predict(*photos)
    assert done.exit_code == 1 and "3 photos: 2 done (2 people), 1 failed" in done.stdout
    assert done.stderr == f"error: {tmp_path / 'out' / 'b.json'}: cannot be written: No space left on device\n"
    assert names(tmp_path / "out") == ["a.json", "a.png", "c.json", "c.png"]


def test_interrupted(tmp_path: Path, predict: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [write(tmp_path / f"{stem}.png", picture()) for stem in "abc"]
    real, calls = finish.draw_figure, iter([False, True])

    def draw_figure(*arguments: object) -> np.ndarray:
        if next(calls):
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(finish, "draw_figure", draw_figure)
    done = predict(*photos)
    assert done.exit_code == 130 and done.stderr == "interrupted\n" and done.stdout == ""
    assert names(tmp_path / "out") == ["a.json", "a.png", "b.json"]


def test_really_interrupted(tmp_path: Path, tiny_weights: Path) -> None:
    content = encode(".png", picture())
    (tmp_path / "photos").mkdir()
    for i in range(300):
        (tmp_path / "photos" / f"{i}.png").write_bytes(content)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "liftwild.cli", "predict", "--whole", str(tmp_path / "photos"), "-o", str(out)]
    process = subprocess.Popen(
        [*command, "--weights", str(tiny_weights), "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not list(out.glob("*.png")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, "", "interrupted\n")
    assert 0 < len(list(out.iterdir())) < 600
    assert {file.suffix for file in out.iterdir()} <= {".json", ".png"}
    for file in out.glob("*.json"):
        assert len(people(file)) == 1
