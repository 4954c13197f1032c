"""Finding people: boxes, the network's targets and answers, the scenes it learns from, its training, the Finder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild import Estimator
from liftwild.boxes import BODY_MARGIN, body_box, clipped, ious, suppress
from liftwild.cli import cli
from liftwild.cli_finder import train_finder
from liftwild.crop import Crop
from liftwild.data import pieces
from liftwild.data.pieces import People, Piece, cut_beside, cut_person, cut_scenery, photo_part
from liftwild.data.scenes import MOST_PEOPLE, Scene, Scenes, _Canvas
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.detection import Matched, match
from liftwild.finder_net import (
    STRIDE,
    FinderConfig,
    FinderNet,
    PeopleMaps,
    draw_people,
    finder_losses,
    macs,
    read_people,
)
from liftwild.predict import finder as finder_module
from liftwild.predict import finder_graph
from liftwild.predict.finder import Finder, Found, largest, under
from liftwild.predict.finder_graph import OpenVinoFinder
from liftwild.predict.judge import Looks, Scored, mixed
from liftwild.predict.runtime import OpenVinoRuntime
from liftwild.predict.track import Follower
from liftwild.skeleton import MPII_16
from liftwild.weights.finder import Mix, load_finder, save_finder
from tests.conftest import encode, picture
from tests.synthetic import write_store

TINY = FinderConfig(features=8, fine=8, stem=4, input_px=64)

sides = st.floats(-50, 200, allow_nan=False)
lengths = st.floats(0.5, 120, allow_nan=False)
boxes_ = st.tuples(sides, sides, lengths, lengths)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Eight made-up people in two stores."""
    folder = tmp_path_factory.mktemp("people")
    stores = (write_store(folder / "a.arrow", 4, False, 1), write_store(folder / "b.arrow", 4, True, 2))
    return People(tuple(map(Store, stores)), (3.0, 1.0))


@pytest.fixture(scope="module")
def backgrounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few pictures."""
    folder = tmp_path_factory.mktemp("backgrounds")
    for i in range(11):
        (folder / f"{i:02}.png").write_bytes(encode(".png", picture(40 + 8 * i, 90, i)))
    return folder


@pytest.fixture(scope="module")
def scenes(people: People, backgrounds: Path) -> Scenes:
    """Batches of six small scenes."""
    return Scenes(people, tuple(sorted(backgrounds.iterdir())), 6, 128, (5,))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny finder, untrained."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = FinderNet(TINY).eval()
    path = tmp_path_factory.mktemp("finder") / "finder.safetensors"
    save_finder(path, net, {"threshold": 0.3})
    return path


def finder_that_says(
    weights: Path,
    boxes: list[tuple[float, float, float, float, float]],
    estimator: Estimator | None = None,
    least_score: float | None = None,
) -> Finder:
    """A Finder whose network says these boxes (px of its 64 px input, then the score), and nothing else."""
    finder = Finder(weights, "cpu", least_score, estimator=estimator)
    centres, where = torch.full((16, 16), -20.0), torch.ones(4, 16, 16)
    for x, y, w, h, score in boxes:
        j, i = int((x + w / 2) / STRIDE), int((y + h / 2) / STRIDE)
        centres[i, j] = float(np.log(score / (1 - score)))
        cx, cy = (j + 0.5) * STRIDE, (i + 0.5) * STRIDE
        where[:, i, j] = torch.tensor([cx - x, cy - y, x + w - cx, y + h - cy])

    def net(images: torch.Tensor) -> PeopleMaps:
        return PeopleMaps(centres.expand(len(images), -1, -1), where.expand(len(images), -1, -1, -1))

    finder.net = net  # type: ignore[assignment]
    return finder


# --- boxes ---


def test_a_body_reaches_beyond_its_joints_by_the_margins() -> None:
    joints, valid = np.zeros((16, 2)), np.zeros(16, bool)
    for name, at in {
        "thorax": (50, 20), "pelvis": (50, 60), "left_ankle": (55, 130), "right_wrist": (20, 50), "head_top": (50, 0),
        "left_elbow": (75, 40),
    }.items():  # fmt: skip
        joints[MPII_16.names.index(name)], valid[MPII_16.names.index(name)] = at, True
    x, y, w, h = body_box(joints, valid)  # the torso is 40 px
    assert x == pytest.approx(20 - 40 * BODY_MARGIN["wrist"])
    assert y == pytest.approx(0 - 40 * BODY_MARGIN["head_top"])
    assert x + w == pytest.approx(75 + 40 * BODY_MARGIN["elbow"])
    assert y + h == pytest.approx(130 + 40 * BODY_MARGIN["ankle"])
    assert body_box(joints, valid & (np.arange(16) == 0)) is None


@given(st.integers(0, 10**6), st.floats(0.1, 9), sides, sides)
@settings(max_examples=30, deadline=None)
def test_the_body_box_moves_and_grows_with_the_body(seed: int, scale: float, dx: float, dy: float) -> None:
    rng = np.random.default_rng(seed)
    joints, valid = rng.uniform(0, 100, (16, 2)), rng.random(16) < 0.7
    valid[:2] = True
    box, moved = body_box(joints, valid), body_box(joints * scale + (dx, dy), valid)
    assert box is not None and moved is not None
    np.testing.assert_allclose(moved, np.array(box) * scale + (dx, dy, 0, 0), atol=1e-6)
    inside = (joints[valid] >= box[:2]) & (joints[valid] <= np.array(box[:2]) + box[2:])
    assert inside.all()


@given(boxes_, boxes_)
@settings(max_examples=60, deadline=None)
def test_iou_agrees_with_the_common_box(a: tuple, b: tuple) -> None:
    common = clipped(a, b)
    area = 0.0 if common is None else common[2] * common[3]
    expected = area / (a[2] * a[3] + b[2] * b[3] - area)
    table = ious(np.array([a, b]), np.array([b]))
    assert table[0, 0] == pytest.approx(expected, abs=1e-6) and table[1, 0] == pytest.approx(1)


def test_of_boxes_that_say_the_same_the_best_stays() -> None:
    boxes = np.array([[0, 0, 10, 20], [1, 0, 10, 20], [30, 0, 10, 20], [0, 0, 10, 10]])
    assert suppress(boxes, np.array([0.5, 0.9, 0.1, 0.3]), 0.6) == [1, 3, 2]
    assert suppress(boxes, np.array([0.5, 0.9, 0.1, 0.3]), 0.4) == [1, 2]
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5) == []


# --- network ---


def test_the_network_is_as_small_as_said() -> None:
    config = FinderConfig()
    assert macs(config) <= 0.5e9
    assert sum(2 * value.numel() for value in FinderNet(config).state_dict().values()) <= 1e6


def test_maps_have_a_cell_for_four_px_of_any_multiple_of_64() -> None:
    maps = FinderNet(TINY).eval()(torch.zeros(2, 3, 64, 128, dtype=torch.uint8))
    assert maps.centres.shape == (2, 16, 32) and maps.sides.shape == (2, 4, 16, 32)
    assert (maps.sides > 0).all()
    with pytest.raises(ValueError, match="multiple of 64"):
        FinderConfig(input_px=200)


@given(st.lists(st.tuples(*[st.floats(1, 100)] * 2, *[st.floats(6, 27)] * 2), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_what_is_drawn_is_read_again(rows: list[tuple[float, float, float, float]]) -> None:
    boxes = torch.tensor(rows)[None]
    middles = ((boxes[0, :, :2] + boxes[0, :, 2:] / 2) / STRIDE).floor()
    apart = torch.cdist(middles, middles, p=float("inf")) + 9 * torch.eye(len(rows))
    if apart.min() < 2:  # two in neighbouring cells are one peak
        return
    target = draw_people(boxes, torch.ones(1, len(rows), dtype=torch.bool), 32, 32)
    grid = (torch.arange(32) + 0.5) * STRIDE
    x0, y0, x1, y1 = target.corners.unbind(1)
    sides = torch.stack([grid - x0, grid[:, None] - y0, x1 - grid, y1 - grid[:, None]], 1)
    found, scores = read_people(PeopleMaps(target.centres.logit(1e-6), sides))
    assert (scores[0] > 0.999).sum() == len(rows)
    got = found[0, : len(rows)]
    assert torch.cdist(got, boxes[0]).min(dim=1).values.max() < 1e-3
    assert torch.cdist(got, boxes[0]).min(dim=0).values.max() < 1e-3
    assert target.share.sum() == pytest.approx(len(rows), abs=1e-4)


def test_losses_are_least_for_what_is_true() -> None:
    boxes, valid = (
        torch.tensor([[[10.0, 12, 40, 30], [70, 60, 20, 50], [0, 0, 9, 9]]]),
        torch.tensor([[True, True, False]]),
    )
    target = draw_people(boxes, valid, 32, 32)
    assert (target.centres == 1).sum() == 2 and target.share.sum() == pytest.approx(2)
    grid = (torch.arange(32) + 0.5) * STRIDE
    x0, y0, x1, y1 = target.corners.unbind(1)
    sides = torch.stack([grid - x0, grid[:, None] - y0, x1 - grid, y1 - grid[:, None]], 1)
    sure = torch.where(target.centres == 1, 12.0, -12.0)
    everywhere = torch.ones(1, 32, 32)
    centres, box = finder_losses(PeopleMaps(sure, sides), target, everywhere)
    assert centres < 1e-4 and box == pytest.approx(0, abs=1e-5)
    _, wider = finder_losses(PeopleMaps(sure, sides + 5), target, everywhere)
    areas = np.array([(40 * 30 + 1) / (50 * 40 + 1), (20 * 50 + 1) / (30 * 60 + 1)])
    assert wider == pytest.approx(-np.log(areas).mean(), abs=1e-4)
    # A person too many costs where it is known that there is none, and only there.
    more = sure.clone()
    more[0, 30, 3] = 5.0
    assert finder_losses(PeopleMaps(more, sides), target, everywhere)[0] > centres + 1
    nowhere = everywhere.clone()
    nowhere[0, 30, 3] = 0
    assert finder_losses(PeopleMaps(more, sides), target, nowhere)[0] == pytest.approx(float(centres), abs=1e-5)


def test_nobody_is_a_target_too() -> None:
    net = FinderNet(TINY)
    for people_ in (0, 3):
        target = draw_people(torch.zeros(2, people_, 4), torch.zeros(2, people_, dtype=torch.bool), 16, 16)
        assert target.centres.sum() == 0 and target.share.sum() == 0
        centres, box = finder_losses(net(torch.rand(2, 3, 64, 64)), target, torch.ones(2, 16, 16))
        (centres + box).backward()
        assert torch.isfinite(centres) and box == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


# --- scenes ---


def test_the_black_beyond_a_photo_is_no_part_of_it() -> None:
    image = np.zeros((100, 120, 3), np.uint8)
    image[20:81, 10:101] = 90
    image[30:50, 40:60] = 0
    assert photo_part(image) == (11, 21, 89, 59)
    assert photo_part(image * 0) is None


def test_a_pasted_body_is_where_it_was_put() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        canvas = _Canvas(rng, 128)
        canvas.frame = (0.0, 0.0, 128.0, 128.0)
        pixels = np.zeros((50, 40, 3), np.uint8)
        pixels[10:40, 5:25] = 255  # the body, off the middle
        canvas.paste(Piece(pixels, (5.0, 10.0, 20.0, 30.0), False), (10.0, 20.0, 80.0, 75.0), 0.0)
        bright = np.argwhere(canvas.image[..., 1] > 120)
        (box,) = canvas.finish(rng, 0.25).boxes
        low, high = bright.min(axis=0)[::-1], bright.max(axis=0)[::-1] + 1
        np.testing.assert_allclose(box[:2], low, atol=1)
        np.testing.assert_allclose(box[:2] + box[2:], high, atol=1)
        assert box[2] == pytest.approx(40) and box[3] == pytest.approx(45)  # 2 and 1.5 times


def test_what_hides_a_body_ends_its_box() -> None:
    rng = np.random.default_rng(0)
    body, wall = (
        Piece(np.full((100, 50, 3), 200, np.uint8), (5.0, 5.0, 40.0, 90.0), False),
        np.zeros((10, 10, 3), np.uint8),
    )

    def scene(place: tuple[float, float, float, float]) -> Scene:
        canvas = _Canvas(np.random.default_rng(1), 128)
        canvas.frame = (0.0, 0.0, 128.0, 128.0)
        canvas.paste(body, (40.0, 20.0, 50.0, 100.0), 0.0)
        canvas.paste(Piece(wall, None, True), place, 0.0)
        return canvas.finish(rng, 0.25)

    (x, y, w, h) = scene((0.0, 70.0, 128.0, 58.0)).boxes[0]  # the legs
    assert (y, y + h) == (25, 70) and w == 40
    (x, y, w, h) = scene((60.0, 60.0, 10.0, 10.0)).boxes[0]  # a hole in the middle changes nothing
    assert (y, h, w) == (25, 90, 40)
    hidden = scene((0.0, 35.0, 128.0, 93.0))  # the head alone is neither a person nor none
    assert len(hidden.boxes) == 0 and hidden.weight[7, 15] == 0 and hidden.weight[20, 15] == 1
    assert hidden.weight[7, 2] == 1
    seen = scene((0.0, 0.0, 4.0, 4.0))
    assert seen.weight[7, 15] == 1 and seen.weight[5, 15] == 0.25  # inside the body's box; beside it in its photo


def test_scenes_are_made_of_seed_step_and_position(scenes: Scenes) -> None:
    first, again = scenes[3], replace(scenes)[3]
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = replace(scenes, seed=(6,))[3]
    assert not torch.equal(first["images"], other["images"])
    alone = scenes.scene(3, 4)
    assert np.array_equal(alone.image, first["images"][4].permute(1, 2, 0).numpy())
    assert not torch.equal(first["images"], scenes[4]["images"])


def test_scenes_are_sound(scenes: Scenes) -> None:
    shown = 0
    for step in range(12):
        batch = scenes[step]
        assert batch["images"].shape == (6, 3, 128, 128) and batch["images"].dtype == torch.uint8
        assert batch["boxes"].shape == (6, MOST_PEOPLE, 4) and batch["weight"].shape == (6, 32, 32)
        boxes = batch["boxes"][batch["valid"]]
        assert (boxes[:, :2] >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= 128).all()
        assert (boxes[:, 2:] >= 8 - 1e-4).all()
        assert batch["weight"].min() >= 0 and batch["weight"].max() <= 1
        shown += len(boxes)
    assert shown > 40  # people in most of the 72


def test_pieces_know_whether_somebody_may_be_there(people: People, backgrounds: Path) -> None:
    rng = np.random.default_rng(2)
    close, wide = cut_person(rng, people, True), cut_person(rng, people, False, 4 / 3)
    assert close.body is not None and not close.complete
    assert wide.pixels.shape[1] / wide.pixels.shape[0] == pytest.approx(4 / 3, rel=0.05)
    beside = [piece for piece in (cut_beside(rng, people) for _ in range(8)) if piece is not None]
    assert all(piece.body is None and not piece.complete for piece in beside)
    scenery = cut_scenery(rng, tuple(backgrounds.iterdir()), 0.5)
    assert scenery.body is None and scenery.complete
    assert scenery.pixels.shape[1] / scenery.pixels.shape[0] == pytest.approx(0.5, rel=0.15)


def test_what_is_cut_off_is_no_part_of_the_piece(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CUT", 1.0)
    sides = []
    for seed in range(40):
        piece = cut_person(np.random.default_rng(seed), people, bool(seed % 2), 1.5 if seed % 3 else None)
        height, width = piece.pixels.shape[:2]
        x, y, w, h = piece.body or (0, 0, 0, 0)
        beyond = np.array([-x, -y, x + w - width, y + h - height]) / (w, h, w, h)
        assert beyond.max() > 0.07  # at least a tenth, less the piece's rounding and the photo's edge
        sides.append(int(beyond.argmax()))
    assert sides.count(3) > 20  # they stand


def test_people_without_limbs_are_not_shown(tmp_path: Path) -> None:
    path = write_store(tmp_path / "few.arrow", 2, False)
    store = Store(path)
    few = People((store,), (1.0,))
    assert cut_person(np.random.default_rng(0), few, True).body is not None
    with pytest.raises(LiftwildError, match="2 stores of people but 1 weights"):
        People((store, store), (1.0,))


# --- measures ---


def test_matching_gives_each_person_to_the_best_box_once() -> None:
    labelled = np.array([[0, 0, 10, 20], [50, 0, 10, 20], [80, 0, 4, 8]])
    counts, sizes = np.array([True, True, False]), np.array([0.4, 0.5, 0.1])
    found = np.array([[0, 0, 10, 19], [1, 0, 10, 20], [80, 0, 4, 8], [30, 30, 5, 5], [52, 2, 10, 20]])
    scores = np.array([0.7, 0.9, 0.8, 0.6, 0.5])
    judged = match(found, scores, labelled, counts, sizes)
    assert judged.scores.tolist() == [0.9, 0.7, 0.6, 0.5]  # who does not count is neither right nor wrong
    assert judged.right.tolist() == [True, False, False, True]
    assert judged.sizes[judged.right].tolist() == [0.4, 0.5] and judged.wanted.tolist() == [0.4, 0.5]
    assert judged.at(0.65) == (0.5, 0.5) and judged.at(0.0) == (1.0, 0.5)
    assert judged.average_precision() == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    assert judged.best_threshold() == 0.9
    in_a_crowd = match(found, scores, labelled, counts, sizes, np.array([[28, 28, 50, 50]]))
    assert in_a_crowd.right.tolist() == [True, False, True]


def test_measures_of_nothing() -> None:
    none = match(np.zeros((0, 4)), np.zeros(0), np.array([[0, 0, 5, 5]]), np.array([True]))
    assert none.at(0.5)[0] == 0 and np.isnan(none.at(0.5)[1]) and none.average_precision() == 0
    both = Matched.together([none, match(np.array([[0, 0, 5, 5]]), [0.9], np.array([[0, 0, 5, 5]]), [True])])
    assert both.at(0.5) == (0.5, 1.0)
    assert np.isnan(Matched.together([]).at(0.5)[0])


# --- the Finder ---


@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 480), (100, 1000), (64, 64)])
def test_boxes_land_where_people_are(weights: Path, height: int, width: int) -> None:
    longer = max(height, width)
    scale, left, top = longer / 64, (longer - width) / 2, (longer - height) / 2
    finder = finder_that_says(weights, [(30, 29, 5, 6, 0.9), (10, 30, 8, 5, 0.7), (50, 30, 3, 3, 0.2)])
    small, large = finder.find(np.zeros((height, width, 3), np.uint8))[::-1]
    for found, (x, y, w, h), score in ((small, (30, 29, 5, 6), 0.9), (large, (10, 30, 8, 5), 0.7)):
        x0, y0 = max(0, x * scale - left), max(0, y * scale - top)
        x1, y1 = min(width, (x + w) * scale - left), min(height, (y + h) * scale - top)
        np.testing.assert_allclose(found.box, (x0, y0, x1 - x0, y1 - y0), rtol=1e-4)
        assert found.score == pytest.approx(score, abs=1e-4)
    assert finder.find(np.zeros((height, width, 3), np.uint8), most=1) == [large]


def test_a_dot_is_found_where_it_is(weights: Path) -> None:
    finder = Finder(weights, "cpu", least_score=0.5)

    def net(images: torch.Tensor) -> PeopleMaps:
        light = torch.nn.functional.avg_pool2d(images.float().mean(dim=1), STRIDE) / 255
        return PeopleMaps(40 * light - 10, torch.full((len(images), 4, 16, 16), 4.0))

    finder.net = net  # type: ignore[assignment]
    photo = np.zeros((300, 500, 3), np.uint8)
    photo[190:230, 90:130] = 255
    (found,) = finder.find(photo)
    x, y, w, h = found.box
    assert abs(x + w / 2 - 110) < 500 / 32 and abs(y + h / 2 - 210) < 500 / 32 and w == pytest.approx(8 * 500 / 64)


def test_nobody_there_is_an_empty_list_and_doubles_are_dropped(weights: Path) -> None:
    photo = np.zeros((64, 64, 3), np.uint8)
    assert finder_that_says(weights, []).find(photo) == []
    assert finder_that_says(weights, [(20, 20, 20, 20, 0.29)]).find(photo) == []  # under the card's threshold
    twice = finder_that_says(weights, [(10, 10, 30, 30, 0.6), (10, 18, 30, 30, 0.9), (40, 10, 20, 40, 0.5)])
    assert [found.score for found in twice.find(photo)] == pytest.approx([0.9, 0.6, 0.5], abs=1e-4)
    twice = finder_that_says(weights, [(10, 10, 30, 40, 0.6), (10, 14, 30, 40, 0.9), (40, 10, 20, 40, 0.5)])
    assert [found.score for found in twice.find(photo)] == pytest.approx([0.9, 0.5], abs=1e-4)


def test_many_photos_are_answered_one_by_one(weights: Path) -> None:
    finder = Finder(weights, "cpu", least_score=0.0, batch_size=3)
    photos = [picture(60 + 9 * i, 80, i) for i in range(7)]
    taken = []

    def stream():
        for photo in photos:
            taken.append(1)
            yield photo

    answers = finder.find_many(stream())
    first = next(answers)
    assert len(taken) == 3
    rest = [first, *answers]
    assert len(rest) == 7
    for photo, together in zip(photos, rest, strict=True):
        alone = finder.find(photo)
        assert len(alone) == len(together) > 0
        np.testing.assert_allclose([f.box for f in alone], [f.box for f in together], atol=1e-3)
        areas = [found.area for found in alone]
        assert areas == sorted(areas, reverse=True)


def test_whom_a_point_means() -> None:
    big, small, other = Found((0, 0, 100, 200), 0.9), Found((60, 100, 30, 60), 0.5), Found((300, 0, 50, 90), 0.8)
    people_ = largest([small, other, big])
    assert people_ == [big, other, small] and largest(people_, 2) == [big, other]
    assert under(people_, 50, 100) == big  # its very middle
    assert under(people_, 76, 131) == small  # in both, the middle of one
    assert under(people_, 310, 5) == other
    assert under(people_, 200, 100) is None and under([], 0, 0) is None


def test_finders_that_cannot_work(weights: Path, tmp_path: Path) -> None:
    photo = np.zeros((64, 64, 3), np.uint8)
    finder = Finder(weights, "cpu")
    for wrong in (np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3)), np.zeros((0, 64, 3), np.uint8)):
        with pytest.raises(LiftwildError, match="a photo must be"):
            finder.find(wrong)
    with pytest.raises(LiftwildError, match="1 or more, not 0"):
        finder.find(photo, most=0)
    with pytest.raises(LiftwildError, match=r"least_score must lie between 0 and 1, not 1\.5"):
        Finder(weights, "cpu", least_score=1.5)
    with pytest.raises(LiftwildError, match="no finder's weights 'nothing'"):
        Finder("nothing")
    for file in weights.parent.iterdir():
        shutil.copy(file, tmp_path)
    card = tmp_path / "finder.json"
    net, about = load_finder(tmp_path)
    assert about["threshold"] == 0.3 and net.config == TINY
    for change, message in (
        ({"threshold": 3}, "lacks a threshold"),
        ({"format": "liftwild-weights"}, "not the json of a liftwild finder"),
        ({"network": {"features": 16}}, "does not hold the network"),
    ):
        card.write_text(json.dumps({**about, **change}))
        with pytest.raises(LiftwildError, match=message):
            Finder(tmp_path / "finder.safetensors", "cpu")
    card.unlink()
    with pytest.raises(LiftwildError, match=r"has no finder\.json beside it"):
        Finder(tmp_path, "cpu")


# --- what PoseNet makes of proposals ---

CELLS = [(7, 1), (8, 3), (8, 8), (6, 8), (9, 8), (6, 14), (9, 14)]  # x, y of head, thorax, pelvis, hips, ankles
NAMES = ["head_top", "thorax", "pelvis", "right_hip", "left_hip", "right_ankle", "left_ankle"]
MIX = {"trust": 0.5, "move": 0.75, "threshold": 0.3, "proposed": 0.1, "most": 3}


class Onlooker(Estimator):
    """An Estimator that sees the same body in every crop, as sure as the crop's middle is bright, and counts looks."""

    name, input_px, fine, batch_size, weights, flip_test = "stub", 64, False, 16, "stub", True
    calibration, card = None, {"sum_length_mm": 4000.0}

    def __init__(self) -> None:
        self.runtime = self
        self.looks: list[int] = []

    def __call__(self, crops: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """As a Runtime."""
        self.looks.append(len(crops))
        heatmaps = torch.zeros(len(crops), 16, 16, 16)
        for crop, maps in zip(crops, heatmaps, strict=True):
            for name, (x, y) in zip(NAMES, CELLS, strict=True):
                maps[MPII_16.names.index(name), y, x] = float(crop[30:34, 30:34].mean()) / 255
        return heatmaps, torch.zeros(len(crops), 16)

    def fingerprint(self) -> str:
        """As a Runtime."""
        return "stub"

    def sees(self, box: tuple[float, float, float, float], photo: np.ndarray) -> np.ndarray:
        """The box of the body that it sees when it is shown ``box``."""
        joints, known = np.zeros((16, 2)), np.zeros(16, bool)
        for name, cell in zip(NAMES, CELLS, strict=True):
            j = MPII_16.names.index(name)
            known[j] = True
            joints[j] = Crop.around(box).to_photo((np.array(cell) + 0.5) * STRIDE, 64)
        body = clipped(body_box(joints, known), (0, 0, photo.shape[1], photo.shape[0]))
        assert body is not None
        return np.array(body)


@pytest.fixture
def judging(weights: Path, tmp_path: Path) -> Path:
    """The tiny finder's weights with ``MIX`` in their json."""
    for file in weights.parent.iterdir():
        shutil.copy(file, tmp_path)
    card = json.loads((tmp_path / "finder.json").read_text())
    (tmp_path / "finder.json").write_text(json.dumps({**card, "judged": MIX}))
    return tmp_path / "finder.safetensors"


def shining(*places: tuple[int, int, int], side: int = 64) -> np.ndarray:
    """A dark photo with bright spots of 6 px about x, y."""
    photo = np.zeros((side, side, 3), np.uint8)
    for x, y, light in places:
        photo[y - 3 : y + 3, x - 3 : x + 3] = light
    return photo


def moved(box: tuple[float, float, float, float], to: np.ndarray, share: float) -> np.ndarray:
    """``box`` with each of its sides moved by ``share`` of the way to the same side of ``to``."""
    old, new = (np.array([x, y, x + w, y + h]) for x, y, w, h in (box, to))
    corners = old + share * (new - old)
    return np.array([*corners[:2], *(corners[2:] - corners[:2])])


def test_what_posenet_does_not_believe_falls_away_and_loose_boxes_move(judging: Path) -> None:
    there, nowhere = (6.0, 20.0, 16.0, 30.0), (40.0, 10.0, 18.0, 40.0)
    photo, onlooker = shining((14, 35, 204)), Onlooker()
    says = [(*there, 0.4), (*nowhere, 0.9)]
    assert len(finder_that_says(judging, says).find(photo)) == 2  # alone it believes itself
    (found,) = finder_that_says(judging, says, onlooker).find(photo)
    np.testing.assert_allclose(found.box, moved(there, onlooker.sees(there, photo), 0.75), atol=1e-4)
    sure = 7 * 0.8 / 16  # of 16 joints it sees 7
    assert found.score == pytest.approx(np.sqrt(0.4 * sure), abs=1e-5)
    assert onlooker.looks == [2]  # together, and not in the mirror


def test_shares_of_the_say_and_of_the_way() -> None:
    proposed = Scored(np.array([[0.0, 0, 10, 20], [30, 0, 10, 20], [52, 0, 10, 20]]), np.array([0.5, 0.9, 0.2]))
    bodies = np.array([[2.0, 4, 10, 20], [30, 0, 20, 40], [30, 0, 20, 36]])
    looks = Looks(np.array([0.8, 0.1, 0.6]), bodies, np.zeros((3, 16, 2)), np.zeros((3, 16), bool))
    for trust, move, order in (
        (0.0, 0.0, [1, 0, 2]),
        (1.0, 0.0, [0, 2, 1]),
        (0.25, 0.5, [0, 1, 2]),
        (1.0, 1.0, [0, 2]),
    ):
        found = mixed(proposed, looks, Mix(trust, move, 0.0, 0.0, 9))
        expected = proposed.scores ** (1 - trust) * looks.sure**trust
        np.testing.assert_allclose(found.scores, expected[order])
        for box, i in zip(found.boxes, order, strict=True):
            np.testing.assert_allclose(box, moved(tuple(proposed.boxes[i]), looks.boxes[i], move))


@pytest.mark.parametrize(("known", "near", "stays"), [(10, 6, False), (10, 5, True), (2, 2, True), (3, 2, False)])
def test_who_is_seen_twice_is_one_person(known: int, near: int, stays: bool) -> None:
    """A body, and a part of it in a box of its own: ``near`` of the part's ``known`` joints are the body's."""
    boxes = np.array([[0.0, 0, 100, 200], [20, 0, 50, 80]])
    joints = np.random.default_rng(0).uniform(0, 80, (16, 2))
    part = joints + np.where(np.arange(16) < near, 7.9, 8.1)[:, None] * (0.6, -0.8)  # a tenth of 80 px is the limit
    seen = np.stack([np.arange(16) < 16, np.arange(16) < known])
    looks = Looks(np.array([0.9, 0.5]), boxes, np.stack([joints, part]), seen)
    for order in ([0, 1], [1, 0]):
        shown = Scored(boxes[order], np.full(2, 0.5))
        found = mixed(shown, Looks(*(field[order] for field in looks)), Mix(1.0, 1.0, 0.0, 0.0, 9))
        assert found.scores.tolist() == [0.9, 0.5][: 1 + stays] and found.boxes[0].tolist() == boxes[0].tolist()


def test_only_the_best_proposals_are_looked_at(judging: Path) -> None:
    says = [(2.0, 4.0, 14.0, 20.0), (24.0, 4.0, 12.0, 16.0), (46.0, 4.0, 12.0, 24.0), (2.0, 36.0, 14.0, 24.0)]
    photo, onlooker = np.full((64, 64, 3), 255, np.uint8), Onlooker()
    scores = (0.5, 0.8, 0.7, 0.6)
    rows = [(*box, score) for box, score in zip(says, scores, strict=True)]
    found = finder_that_says(judging, rows, onlooker).find(photo)
    assert onlooker.looks == [3]
    expected = [moved(box, onlooker.sees(box, photo), 0.75) for box in says[1:]]
    expected.sort(key=lambda box: -box[2] * box[3])
    np.testing.assert_allclose([each.box for each in found], expected, atol=1e-4)
    assert finder_that_says(judging, rows, onlooker).find(photo, most=1) == found[:1]
    onlooker = Onlooker()  # what is proposed with less than 0.1 is not shown to it
    finder_that_says(judging, [(*says[0], 0.09), (*says[1], 0.11)], onlooker).find(photo)
    assert onlooker.looks == [1]
    onlooker.batch_size = 2
    assert finder_that_says(judging, rows, onlooker).find(photo) == found and onlooker.looks == [1, 2, 1]
    stricter = finder_that_says(judging, rows, onlooker, least_score=0.99)
    assert stricter.find(photo) == []


def test_an_empty_photo_needs_no_look(judging: Path) -> None:
    onlooker = Onlooker()
    nobody = finder_that_says(judging, [(20.0, 20.0, 20.0, 20.0, 0.05)], onlooker)
    assert list(nobody.find_many([shining()] * 3)) == [[], [], []] and onlooker.looks == []
    somebody = finder_that_says(judging, [(10.0, 20.0, 20.0, 30.0, 0.9)], onlooker)
    answers = list(somebody.find_many([shining(), shining((20, 35, 255)), shining()]))
    assert [len(found) for found in answers] == [0, 1, 0]
    tiny = np.full((2, 2, 3), 255, np.uint8)  # boxes smaller than a px are no boxes
    assert finder_that_says(judging, [(30.0, 30.0, 8.0, 8.0, 0.9)], onlooker).find(tiny) == []


def test_the_follower_is_given_judged_boxes(judging: Path) -> None:
    there, nowhere = (6.0, 20.0, 16.0, 30.0), (40.0, 10.0, 18.0, 40.0)
    photo, onlooker = shining((14, 35, 204)), Onlooker()
    finder = finder_that_says(judging, [(*there, 0.4), (*nowhere, 0.9)], onlooker)
    (seen,) = Follower(onlooker, finder.find).step(photo, 0.0)
    np.testing.assert_allclose(seen.pose.box, moved(there, onlooker.sees(there, photo), 0.75), atol=1e-3)


def test_predict_takes_the_boxes_that_were_judged(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes, asked = np.array([[10.0, 5, 20, 40], [40, 5, 30, 50]]), []

    def judged(estimator: Estimator, image: np.ndarray, proposed: Scored, mix: Mix) -> Scored:
        asked.append((str(estimator.weights), mix))
        return Scored(boxes, np.array([0.9, 0.8]))

    monkeypatch.setattr(finder_module, "judged", judged)
    photo = tmp_path / "a.png"
    photo.write_bytes(encode(".png", picture()))
    for more, expected in (((), [1, 0]), (("--people", "1"), [1]), (("--at", "20,20"), [0])):
        command = ["predict", str(photo), "--no-figure", "--weights", str(tiny_weights), "-o", str(tmp_path), *more]
        done = CliRunner().invoke(cli, [*command, "--device", "cpu", "--runtime", "torch"])
        assert done.exit_code == 0, done.output
        found = json.loads((tmp_path / "a.json").read_text())["people"]
        assert [person["box"] for person in found] == boxes[expected].tolist()
    assert asked == [(str(tiny_weights), Mix.of(load_finder("finder")[1]))] * 3


def test_a_mix_is_checked(judging: Path, weights: Path) -> None:
    onlooker = Onlooker()
    with pytest.raises(LiftwildError, match="does not say how PoseNet judges"):
        Finder(weights, "cpu", estimator=onlooker)
    alone = Finder(weights, "cpu", estimator=onlooker, judges=False)
    assert alone.mix is None and alone.least_score == 0.3
    finder = Finder(judging, "cpu", estimator=onlooker)
    assert finder.mix == Mix(**MIX) and finder.least_score == 0.3 and Finder(judging, "cpu").mix is None
    assert finder.fingerprint() != Finder(judging, "cpu").fingerprint()
    card = json.loads(judging.with_suffix(".json").read_text())
    for change, message in (
        ({"trust": 1.5}, "judged: trust must lie between 0 and 1"),
        ({"most": 0}, "judged: most must be a whole number above 0"),
        (None, "finder.json lacks judged.move"),
    ):
        broken = {**MIX, **change} if change else {"trust": 0.5}
        judging.with_suffix(".json").write_text(json.dumps({**card, "judged": broken}))
        with pytest.raises(LiftwildError, match=message):
            Finder(judging, "cpu")


def test_a_broken_posenet_is_said(judging: Path) -> None:
    onlooker = Onlooker()
    onlooker.runtime = lambda crops: (torch.full((len(crops), 16, 16, 16), torch.nan), torch.zeros(len(crops), 16))  # type: ignore[assignment]
    onlooker.runtime.input_px, onlooker.runtime.fine = 64, False  # type: ignore[attr-defined,misc]
    with pytest.raises(LiftwildError, match="gives NaN or infinity"):
        finder_that_says(judging, [(10.0, 20.0, 20.0, 30.0, 0.9)], onlooker).find(shining())


def test_openvino_finds_the_same_people(tiny_weights: Path) -> None:
    for name in ("onnx", "openvino"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'liftwild[openvino]'")
    net, _ = load_finder("finder")
    fast = OpenVinoFinder(net)
    pixels = np.stack([picture(256, 256, seed) for seed in range(3)])
    for got, wanted in zip(fast(pixels), net(torch.from_numpy(pixels).permute(0, 3, 1, 2)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    for runtime, made in (("openvino-fp32", OpenVinoFinder), ("torch", type(None))):
        estimator = Estimator(tiny_weights, "cpu", runtime=runtime)
        assert isinstance(Finder("finder", "cpu", estimator=estimator)._faster, made)


def test_a_finder_that_openvino_cannot_run_says_so(
    judging: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Elsewhere(OpenVinoRuntime):
        def __init__(self) -> None:
            pass

    def fails(net: FinderNet) -> None:
        raise LiftwildError("it needs this and that")

    monkeypatch.setattr(finder_graph, "OpenVinoFinder", fails)
    onlooker = Onlooker()
    onlooker.runtime = Elsewhere()  # type: ignore[assignment]
    assert Finder(judging, "cpu", estimator=onlooker)._faster is None
    assert "torch runs it instead: it needs this and that" in capsys.readouterr().err


# --- training ---


def run(out: Path, stores: list[Path], backgrounds: Path, *more: str) -> tuple[int, str]:
    """``liftwild train-finder`` on small things."""
    options = [f"--store={path}=2" for path in stores] + [f"--val={stores[0]}"]
    done = CliRunner().invoke(
        train_finder,
        [*options, "--out", str(out), "--backgrounds", str(backgrounds), "--images", "24", "--batch-size", "4",
         "--workers", "0", "--precision", "32-true", "--checkpoint-every", "3", *more],
    )  # fmt: skip
    error = f" {done.exception}" if done.exception and not isinstance(done.exception, SystemExit) else ""
    return done.exit_code, done.output + error


def test_training_resumed_is_training_uninterrupted(
    tmp_path: Path, backgrounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from liftwild.training import finder as training

    monkeypatch.setattr(training, "VAL_SCENES", 4)
    plan_of = training.FinderPlan
    monkeypatch.setattr(training, "FinderPlan", lambda *a, **k: replace(plan_of(*a, **k), network=TINY, log_every=1))
    stores = [write_store(tmp_path / "a.arrow", 3, False)]
    code, said = run(tmp_path / "whole", stores, backgrounds)
    assert code == 0 and "weights in" in said, said
    code, said = run(tmp_path / "parts", stores, backgrounds, "--stop-after", "2")
    assert code == 0 and "stopped after step 2 of 6" in said, said
    assert not (tmp_path / "parts" / "finder.safetensors").exists()
    code, said = run(tmp_path / "parts", stores, backgrounds)
    assert code == 1 and "holds a run already" in said
    code, said = run(tmp_path / "parts", stores, backgrounds, "--resume", "--lr", "0.1")
    assert code == 1 and "begun with other settings" in said
    code, said = run(tmp_path / "parts", stores, backgrounds, "--resume")
    assert code == 0, said

    (one, card), (two, _) = load_finder(tmp_path / "whole"), load_finder(tmp_path / "parts")
    assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))
    assert card["step"] == 6 and 0 <= card["threshold"] <= 1 and card["data"]["a.arrow"]["people"] == 3
    assert "tmp" not in json.dumps(card["plan"])  # no path of a machine
    lines = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert cv2.imread(str(tmp_path / "whole" / "found.png")) is not None
    assert len(Finder(tmp_path / "whole", "cpu", least_score=0.0).find(picture())) > 0


def test_a_plan_that_cannot_work_is_said(tmp_path: Path, backgrounds: Path) -> None:
    stores = [write_store(tmp_path / "a.arrow", 2, False)]
    for more, message in (
        (["--store", str(tmp_path / "none.arrow")], "no store"),
        (["--backgrounds", str(tmp_path / "none")], "no such folder of background photos"),
        (["--store", f"{stores[0]}=-1"], "weights of stores must be above 0"),
    ):
        code, said = run(tmp_path / "out", stores, backgrounds, *more)
        assert code == 1 and message in said, said
    assert not (tmp_path / "out").exists()


def test_a_finder_is_no_weights_of_poses(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from liftwild import weights as of_poses
    from liftwild.weights import finder as of_finders

    for file in weights.parent.iterdir():
        shutil.copy(file, tmp_path / f"finder-open{file.suffix}")
    monkeypatch.setattr(of_poses, "SHIPPED", tmp_path)
    monkeypatch.setattr(of_finders, "SHIPPED", tmp_path)
    assert of_poses.shipped_names() == []
    with pytest.raises(LiftwildError, match="no weights named 'finder-open'"):
        of_poses.find_weights("finder-open")
    for name in ("finder", "finder-open"):
        assert of_finders.find_finder(name) == tmp_path / "finder-open.safetensors"
    with pytest.raises(LiftwildError, match="finder-open come with liftwild"):
        of_finders.find_finder("other")
