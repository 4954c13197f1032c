"""The Estimator: where joints land, the flip test, batches, bad photos and boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import liftwild
from liftwild.data.external_boxes import ExternalBoxes
from liftwild.detection.detector import Detection
from liftwild.errors import LiftwildError
from liftwild.inference.estimator import Estimator
from liftwild.network.posenet import Prediction
from liftwild.pipeline.outputs import Counts
from liftwild.skeleton import MPII_16, PELVIS, SCALE_BONES
from tests.support.images import encode, picture
from tests.support.networks import TINY

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
        estimator = Estimator(tiny_weights, "cpu", **{"runtime": "torch", **options})  # type: ignore[arg-type]
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


def test_one_person_may_fill_the_photo(make: Callable[..., Estimator]) -> None:
    def net(images: Tensor) -> Prediction:
        heatmaps = torch.zeros(len(images), 16, 16, 16)
        heatmaps[:, :, 0, 0] = 2.0
        return Prediction([heatmaps], torch.zeros(len(images), 16))

    (pose,) = make(net).predict(picture(60, 80), whole=True)
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
    (pose,) = make(find_dot, flip_test=flip_test).predict(photo, boxes, whole=boxes is None)
    cell = (max(width, height) if boxes is None else 1.25 * max(boxes[0][2:])) / 16
    assert np.abs(pose.joints_2d - (x, y)).max() <= 0.75 * cell


def test_flip_test_changes_nothing_where_the_network_is_mirror_true(make: Callable[..., Estimator]) -> None:
    photo, boxes = picture(seed=3), [(5.0, 5.0, 50.0, 40.0), (20.0, 3.0, 30.0, 50.0)]
    plain, flipped = (
        make(mirror_true, flip_test=flip).predict(photo, boxes, whole=boxes is None) for flip in (False, True)
    )
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
    (pose,) = estimator.predict(picture(64, 64), whole=True)
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
    alone = [make().predict(photo, own, whole=own is None) for photo, own in zip(photos, boxes, strict=True)]
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
    by_path, by_array = (make().predict(photo, whole=True) for photo in (tmp_path / "a.png", picture()))
    assert np.array_equal(arrays(by_path), arrays(by_array))
    assert np.array_equal(arrays(make().predict(str(tmp_path / "a.png"), whole=True)), arrays(by_array))
    bgr = np.ascontiguousarray(picture()[..., ::-1])
    assert np.array_equal(arrays(make().predict(bgr[..., ::-1], whole=True)), arrays(by_array))


def test_boxes_may_be_detections(make: Callable[..., Estimator]) -> None:
    boxes = [(5.0, 5.0, 20.0, 30.0), (10.0, 2.0, 30.0, 40.0)]
    found = make().predict(picture(), [Detection(boxes[0], 0.75), boxes[1]])
    assert np.array_equal(arrays(found), arrays(make().predict(picture(), boxes)))
    assert [pose.score for pose in found] == [0.75, None] and [pose.box for pose in found] == boxes


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
        make().predict(picture(), annotation_ids=[1], whole=True)
    for options in ({}, {"boxes": [(0, 0, 9, 9)], "whole": True}):
        with pytest.raises(LiftwildError, match=r"wants boxes.*or whole=True.*liftwild.predict finds the people"):
            make().predict(picture(), **options)
    with pytest.raises(LiftwildError, match="batch_size"):
        make(batch_size=0)
    with pytest.raises(LiftwildError, match="device 'abacus' cannot be used"):
        Estimator(tmp_path, "abacus")
    with pytest.raises(LiftwildError, match="no weights"):
        Estimator(tmp_path / "none.safetensors")
    broken = make(lambda images: Prediction([torch.full((1, 16, 16, 16), torch.nan)], torch.zeros(1, 16)))
    with pytest.raises(LiftwildError, match="NaN"):
        broken.predict(picture(), whole=True)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_poses_are_finite_on_the_oddest_photos(make: Callable[..., Estimator], size: tuple[int, int]) -> None:
    far = (-99.0, -99.0, 100.0, 100.0) if size == (1, 1) else (-40000.0, -40000.0, 50000.0, 50000.0)
    for boxes in (None, [(0.5, 0.5, 1.0, 1.0), far]):
        assert np.isfinite(arrays(make().predict(np.zeros((*size, 3), np.uint8), boxes, whole=boxes is None))).all()


def test_boxes_are_found_by_the_end_of_the_path() -> None:
    first, second, third, fourth = ([(i, (0.0, 0.0, float(i), 1.0))] for i in range(1, 5))
    index = ExternalBoxes({"im1.jpg": first, "sub/im1.jpg": second, "a\\b\\im2.jpg": third, "./im3.jpg": fourth})
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
