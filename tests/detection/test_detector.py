"""Finding people: boxes, how they are measured, and the Detector itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwild.boxes import BODY_MARGIN, body_box, clipped, ious, suppress
from liftwild.detection.decoding import DetectorMaps
from liftwild.detection.detector import Detection, Detector, largest, under
from liftwild.detection.weights import load_detector
from liftwild.errors import LiftwildError
from liftwild.evaluation.detection import Matched, match
from liftwild.skeleton import MPII_16
from tests.support.detectors import CELLS, TINY, detector_that_says
from tests.support.images import picture

# --- boxes ---

sides = st.floats(-50, 200, allow_nan=False)
lengths = st.floats(0.5, 120, allow_nan=False)
boxes_ = st.tuples(sides, sides, lengths, lengths)


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
    kept, scores = suppress(boxes, np.array([0.5, 0.9, 0.1, 0.3]), 0.6)
    assert kept == [1, 3, 2] and scores.tolist() == [0.9, 0.3, 0.1]
    assert suppress(boxes, np.array([0.5, 0.9, 0.1, 0.3]), 0.4)[0] == [1, 2]
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5)[0] == []


def test_who_overlaps_a_surer_one_is_doubted() -> None:
    boxes = np.array([[0, 0, 10, 20], [0, 10, 10, 20], [30, 0, 10, 20], [0, 1, 10, 20]])
    kept, scores = suppress(boxes, np.array([0.9, 0.8, 0.5, 0.7]), 0.6, 0.5)
    assert kept == [0, 1, 2]  # the last is the first once more
    np.testing.assert_allclose(scores, [0.9, 0.8 * np.exp(-((1 / 3) ** 2) / 0.5), 0.5])
    kept, scores = suppress(boxes, np.array([0.9, 0.55, 0.5, 0.1]), 0.6, 0.5)
    assert kept == [0, 2, 1] and scores.tolist() == sorted(scores, reverse=True)
    kept, scores = suppress(np.zeros((0, 4)), np.zeros(0), 0.5, 0.5)
    assert kept == [] and scores.shape == (0,)


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
    optional = match(found, scores, labelled, counts, sizes, optional=np.array([True, False, True, True, False]))
    assert optional.right.tolist() == [True, True] and optional.scores.tolist() == [0.9, 0.5]
    in_a_crowd = match(found, scores, labelled, counts, sizes, np.array([[28, 28, 50, 50]]))
    assert in_a_crowd.right.tolist() == [True, False, True]


def test_measures_of_nothing() -> None:
    none = match(np.zeros((0, 4)), np.zeros(0), np.array([[0, 0, 5, 5]]), np.array([True]))
    assert none.at(0.5)[0] == 0 and np.isnan(none.at(0.5)[1]) and none.average_precision() == 0
    both = Matched.together([none, match(np.array([[0, 0, 5, 5]]), [0.9], np.array([[0, 0, 5, 5]]), [True])])
    assert both.at(0.5) == (0.5, 1.0)
    assert np.isnan(Matched.together([]).at(0.5)[0])


# --- the Detector ---


@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 480), (100, 1000), (64, 64)])
def test_boxes_land_where_people_are(weights: Path, height: int, width: int) -> None:
    longer = max(height, width)
    scale, left, top = longer / 64, (longer - width) / 2, (longer - height) / 2
    detector = detector_that_says(weights, [(33, 29, 5, 9, 0.9), (8, 31, 10, 10, 0.7), (50, 30, 4, 8, 0.2)])
    small, large = detector.detect(np.zeros((height, width, 3), np.uint8))[::-1]
    for found, (x, y, w, h), score in ((small, (33, 29, 5, 9), 0.9), (large, (8, 31, 10, 10), 0.7)):
        x0, y0 = max(0, x * scale - left), max(0, y * scale - top)
        x1, y1 = min(width, (x + w) * scale - left), min(height, (y + h) * scale - top)
        np.testing.assert_allclose(found.box, (x0, y0, x1 - x0, y1 - y0), rtol=1e-4)
        assert found.score == pytest.approx(score, abs=1e-4)
    assert detector.detect(np.zeros((height, width, 3), np.uint8), most=1) == [large]


def test_a_dot_is_found_where_it_is(weights: Path) -> None:
    detector = Detector(weights, "cpu", min_score=0.5)

    def runtime(pixels: np.ndarray) -> DetectorMaps:
        side = pixels.shape[1] // 8
        light = pixels.reshape(len(pixels), side, 8, side, 8, 3).mean(axis=(2, 4, 5)).reshape(len(pixels), -1) / 255
        scores = np.concatenate([60 * light - 10, np.full((len(pixels), CELLS - light.shape[1]), -10.0)], axis=1)
        sides = np.zeros((*scores.shape, 4, TINY.bins))
        sides[..., 1] = 50  # a cell each way
        return DetectorMaps(scores, sides)

    detector.runtime = runtime  # type: ignore[assignment]
    photo = np.zeros((300, 500, 3), np.uint8)
    photo[190:230, 90:130] = 255
    found = max(detector.detect(photo), key=lambda each: each.score)
    x, y, w, h = found.box
    assert abs(x + w / 2 - 110) < 500 / 16 and abs(y + h / 2 - 210) < 500 / 16 and w == pytest.approx(16 * 500 / 64)


def test_nobody_there_is_an_empty_list_and_doubles_are_dropped(weights: Path) -> None:
    photo = np.zeros((64, 64, 3), np.uint8)
    assert detector_that_says(weights, []).detect(photo) == []
    assert detector_that_says(weights, [(20, 20, 20, 20, 0.29)]).detect(photo) == []  # under the card's score
    assert len(detector_that_says(weights, [(20, 20, 20, 20, 0.29)], 0.2).detect(photo)) == 1
    twice = detector_that_says(weights, [(10, 10, 30, 30, 0.6), (10, 26, 30, 30, 0.9), (44, 10, 16, 40, 0.4)])
    iou = 14 / (60 - 14)
    doubted = 0.6 * np.exp(-(iou**2) / 0.5)
    assert sorted(found.score for found in twice.detect(photo)) == pytest.approx([0.4, doubted, 0.9], abs=1e-3)
    twice = detector_that_says(weights, [(10, 10, 30, 40, 0.6), (10, 18, 30, 40, 0.9), (44, 10, 16, 40, 0.5)])
    assert [found.score for found in twice.detect(photo)] == pytest.approx([0.9, 0.5], abs=1e-4)


def test_many_photos_are_answered_one_by_one(weights: Path) -> None:
    detector = Detector(weights, "cpu", min_score=0.0, batch_size=3)
    photos = [picture(60 + 9 * i, 80, i) for i in range(7)]
    taken = []

    def stream() -> Iterator[np.ndarray]:
        for photo in photos:
            taken.append(1)
            yield photo

    answers = detector.detect_many(stream())
    first = next(answers)
    assert len(taken) == 3
    rest = [first, *answers]
    assert len(rest) == 7
    for photo, together in zip(photos, rest, strict=True):
        alone = detector.detect(photo)
        assert len(alone) == len(together) > 0
        np.testing.assert_allclose([f.box for f in alone], [f.box for f in together], atol=1e-3)
        areas = [found.box[2] * found.box[3] for found in alone]
        assert areas == sorted(areas, reverse=True)


def test_a_smaller_input_gives_the_same_detector_another_size(weights: Path) -> None:
    whole, small = Detector(weights, "cpu", 0.0), Detector(weights, "cpu", 0.0, input_px=32)
    assert (whole.input_px, small.input_px) == (64, 32)
    assert whole.fingerprint() != small.fingerprint() != Detector(weights, "cpu", 0.1, input_px=32).fingerprint()
    photo = picture(90, 120, 1)
    for found in small.detect(photo):
        x, y, w, h = found.box
        assert 0 <= x <= x + w <= 120 + 1e-6 and 0 <= y <= y + h <= 90 + 1e-6
    with pytest.raises(LiftwildError, match="input_px must be a multiple of 32, not 100"):
        Detector(weights, input_px=100)


def test_whom_a_point_means() -> None:
    big, small = Detection((0, 0, 100, 200), 0.9), Detection((60, 100, 30, 60), 0.5)
    other = Detection((300, 0, 50, 90), 0.8)
    people_ = largest([small, other, big])
    assert people_ == [big, other, small] and largest(people_, 2) == [big, other]
    assert under(people_, 50, 100) == big  # its very middle
    assert under(people_, 76, 131) == small  # in both, the middle of one
    assert under(people_, 310, 5) == other
    assert under(people_, 200, 100) is None and under([], 0, 0) is None


def test_detectors_that_cannot_work(weights: Path, tmp_path: Path) -> None:
    photo = np.zeros((64, 64, 3), np.uint8)
    detector = Detector(weights, "cpu")
    for wrong in (np.zeros((64, 64, 2), np.uint8), np.zeros((64, 64, 3), bool), np.zeros((0, 64, 3), np.uint8)):
        with pytest.raises(LiftwildError, match="a photo is a path"):
            detector.detect(wrong)
    with pytest.raises(LiftwildError, match="1 or more, not 0"):
        detector.detect(photo, most=0)
    with pytest.raises(LiftwildError, match=r"min_score must lie between 0 and 1, not 1\.5"):
        Detector(weights, "cpu", min_score=1.5)
    with pytest.raises(LiftwildError, match="no detector's weights 'nothing'"):
        Detector("nothing")
    with pytest.raises(LiftwildError, match="no runtime 'fast'"):
        Detector(weights, "cpu", runtime="fast")
    for file in weights.parent.iterdir():
        shutil.copy(file, tmp_path)
    path, card = tmp_path / "tiny.safetensors", tmp_path / "tiny.json"
    net, about = load_detector(path)
    assert about["min_score"] == 0.3 and net.config == TINY
    for change, message in (
        ({"min_score": 3}, "min_score must be a number from 0 to 1"),
        ({"format": "liftwild-weights"}, "not the json of liftwild-detector"),
        ({"network": {"stem": 16}}, "does not hold the network"),
        ({"network": {**about["network"], "bins": True}}, "bins must be a whole number"),
    ):
        card.write_text(json.dumps({**about, **change}))
        with pytest.raises(LiftwildError, match=message):
            Detector(path, "cpu")
    card.unlink()
    with pytest.raises(LiftwildError, match=r"has no tiny\.json beside it"):
        Detector(path, "cpu")
