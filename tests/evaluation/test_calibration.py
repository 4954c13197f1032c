"""What confidence is worth: fitted maps come back, the Estimator applies them, the weights' json keeps them."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from liftwild.cli.calibrate import calibrate_command
from liftwild.errors import LiftwildError
from liftwild.evaluation import confidence_fit, reliability
from liftwild.evaluation.calibration import CUT_EDGES, calibrate_weights, cut_at
from liftwild.evaluation.measure import Measured, in_first_half
from liftwild.evaluation.reliability import Bin, Observed
from liftwild.inference.confidence import CHANCE_IS, Chance, calibration_of
from liftwild.inference.estimator import Estimator
from liftwild.skeleton import MPII_16, PELVIS, THORAX
from liftwild.weights import load_weights, save_weights
from tests.support.calibrations import calibration
from tests.support.images import picture
from tests.support.stores import sample, write_store

J = len(MPII_16)
A = MPII_16.index


def chances(level: np.ndarray | float, slope: np.ndarray | float, peaks: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(level + slope * peaks)))


def drawn(people: int, level: np.ndarray, slope: np.ndarray, seed: int = 0) -> Observed:
    """People whose joints are right by the chance that their peaks give."""
    rng = np.random.default_rng(seed)
    peaks = rng.uniform(0, 1.3, (people, J))
    hits = rng.random((people, J)) < chances(level, slope, peaks)
    return Observed(peaks, hits, rng.random((people, J)) < 0.9, np.arange(people) % 2 == 0)


def test_the_chances_that_were_drawn_by_come_back() -> None:
    kind = confidence_fit.KINDS
    level, slope = -1 - 0.1 * kind, 3 + 0.3 * kind
    seen = drawn(4000, level, slope)
    found = confidence_fit.fit_chance(seen)
    np.testing.assert_allclose(found.level, level, atol=0.25)
    np.testing.assert_allclose(found.slope, slope, atol=0.35)
    np.testing.assert_allclose(found.found, found.stated, atol=0.03)
    assert found.level[A("left_knee")] == found.level[A("right_knee")] != found.level[A("left_hip")]
    other = drawn(4000, level, slope, seed=1)
    stated = found.of(other.peaks)[other.counted]
    assert reliability.expected_error(reliability.bin_chances(stated, other.hits[other.counted])) < 0.01
    raw = np.clip(other.peaks, 0, 1)[other.counted]
    assert reliability.expected_error(reliability.bin_chances(raw, other.hits[other.counted])) > 0.05


def test_what_is_not_logistic_is_mended() -> None:
    rng = np.random.default_rng(0)
    peaks = rng.uniform(0, 1, (3000, J))
    hits = rng.random((3000, J)) < np.where(peaks < 0.6, 0.3, 0.3 + 1.7 * (peaks - 0.6))  # flat, then straight up
    found = confidence_fit.fit_chance(Observed(peaks, hits, np.ones_like(hits), np.ones(3000, dtype=bool)))
    assert reliability.expected_error(reliability.bin_chances(found.of(peaks).ravel(), hits.ravel())) < 0.01
    plain = chances(found.level, found.slope, peaks).ravel()
    assert reliability.expected_error(reliability.bin_chances(plain, hits.ravel())) > 0.02
    assert (np.diff(found.of(np.linspace(0, 1, 99)[:, None] * np.ones(J)), axis=0) >= 0).all()


def test_a_kind_with_few_joints_leans_on_the_others_and_never_falls() -> None:
    seen = drawn(300, np.full(J, -1.0), np.full(J, 4.0))
    heads = np.zeros((300, J), dtype=bool)
    heads[:, A("head_top")] = True
    seen.counted[heads] = False
    seen.counted[:6, A("head_top")] = True
    seen.peaks[:6, A("head_top")] = [0.1, 0.2, 0.3, 0.9, 1.0, 1.1]
    seen.hits[:6, A("head_top")] = [True, True, True, False, False, False]  # the wrong way round
    slope = confidence_fit.fit_chance(seen).slope
    assert (slope > 0).all() and slope[A("head_top")] < slope[A("left_knee")]
    falling = Observed(seen.peaks, seen.peaks < 0.6, np.ones((300, J), dtype=bool), seen.first)
    found = confidence_fit.fit_chance(falling)
    assert (found.slope == 0).all() and (found.of(np.zeros(J)) == found.of(np.ones(J))).all()
    assert np.isfinite(found.of(np.ones(J))).all()
    always = Observed(seen.peaks, np.ones((300, J), dtype=bool), np.ones((300, J), dtype=bool), seen.first)
    assert (confidence_fit.fit_chance(always).of(always.peaks) == 0.99).all()
    with pytest.raises(LiftwildError, match="too few"):
        confidence_fit.fit_chance(Observed(*(values[:6] for values in seen)))


def test_the_spread_that_was_drawn_by_comes_back() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random((1500, J))
    level, slope = 5.5 + 0.05 * confidence_fit.KINDS, -1.0 - 0.05 * confidence_fit.KINDS
    errors = rng.normal(0, np.exp(level + slope * confidence))
    errors[:, PELVIS] = 0
    found = confidence_fit.fit_spread(confidence, errors, np.ones((1500, J), dtype=bool))
    others = np.arange(J) != PELVIS
    np.testing.assert_allclose(found[0][others], level[others], atol=0.1)
    np.testing.assert_allclose(found[1][others], slope[others], atol=0.15)
    assert found[0][A("left_hip")] == found[0][A("right_hip")]
    rising = rng.normal(0, np.exp(3 + 2 * confidence))
    assert (confidence_fit.fit_spread(confidence, rising, np.ones((1500, J), dtype=bool))[1] == 0).all()
    with pytest.raises(LiftwildError, match="too few"):
        confidence_fit.fit_spread(confidence[:6], errors[:6], np.ones((6, J), dtype=bool))


def test_reliability_and_its_error() -> None:
    stated = np.array([0.05, 0.05, 0.65, 0.65, 0.65, 0.65, 1.0, 0.0])
    hits = np.array([False, True, True, True, False, False, True, False])
    table = reliability.bin_chances(stated, hits)
    assert [each.joints for each in table] == [3, 0, 0, 0, 0, 0, 4, 0, 0, 1]
    assert table[6] == Bin(pytest.approx(0.65), 0.5, 4) and np.isnan(table[1].stated)
    assert reliability.expected_error(table) == pytest.approx((3 * abs(0.1 / 3 - 1 / 3) + 4 * 0.15 + 0) / 8)
    assert reliability.expected_error(reliability.bin_chances(np.zeros(0), np.zeros(0, bool))) == 0


def test_halves_of_the_photos_are_always_the_same() -> None:
    names = [f"im{number:05d}.jpg" for number in range(1000)]
    first = in_first_half(names)
    assert 440 < first.sum() < 560
    assert np.array_equal(first[::-1], in_first_half(names[::-1]))
    assert in_first_half(["a.jpg", "a.jpg"]).sum() in (0, 2)  # two people of one photo


def measured(people: int = 3) -> Measured:
    true = np.tile(np.linspace(0, 90, J)[:, None] * [1, 0.5], (people, 1, 1))
    every = np.ones((people, J), dtype=bool)
    return Measured(
        true.copy(), np.full((people, J), 0.4), np.zeros((people, J)), true, every.copy(),
        np.zeros((people, J, 3)), every.copy(), 96, 4000.0,
    )  # fmt: skip


def test_observe_counts_what_pck_counts() -> None:
    seen = measured()
    torso = np.linalg.norm(seen.true_2d[0, A("left_shoulder")] - seen.true_2d[0, A("right_hip")])
    seen.pred_2d[0, 0, 0] += 0.2 * torso * 0.999
    seen.pred_2d[1, 0, 0] += 0.2 * torso * 1.001
    seen.valid_2d[1, 4] = False
    seen.valid_2d[2, [A("left_shoulder"), A("right_shoulder")]] = False  # no torso: nothing to tell by
    found = reliability.observe(seen, ["a", "b", "c"])
    assert found.hits[0].all() and not found.hits[1, 0] and found.hits[1, 1]
    assert not found.counted[1, 4] and not found.counted[2].any() and found.counted[0].all()
    scored = reliability.scored(found)
    assert not scored[:, [PELVIS, THORAX]].any() and scored[0].sum() == J - 2
    assert len(found.half(True).peaks) + len(found.half(False).peaks) == 3


def test_depth_errors_are_what_a_user_gets() -> None:
    seen = measured()
    seen.true_3d[..., 2] = np.arange(J) * 10.0 + 3000
    seen.valid_3d[1, 3], seen.valid_3d[2, PELVIS] = False, False
    errors, known = reliability.depth_errors(seen)
    np.testing.assert_allclose(errors[0], (PELVIS - np.arange(J)) * 10.0)
    assert known[0].all() and not known[1, 3] and known[1].sum() == J - 1 and not known[2].any()


def test_cut_photos_end_within_the_person() -> None:
    person = sample(1)
    x, y, w, h = person.box
    sides, whole = set(), 0
    for seed in range(80):
        edge = CUT_EDGES[seed % 4]
        cut, beyond = cut_at(person, edge, np.random.default_rng(seed))
        left, top, width, height = cut.box
        lost = [left > x + 1, top > y + 1, left + width < x + w - 1, top + height < y + h - 1]
        if not any(lost):
            whole += 1
            assert beyond.sum() <= 1 and cut.box == pytest.approx(person.box, abs=1)  # the outermost, by a rounding
            continue
        assert sum(lost) == 1
        sides.add(lost.index(True))
        assert edge == ("side", "top", "side", "bottom")[lost.index(True)]
        assert 0.33 < width * height / (w * h) <= 1
        low, high = np.array([left, top]), np.array([left + width, top + height])
        far_in, near = (
            ((person.joints_2d >= low + edge) & (person.joints_2d <= high - edge)).all(axis=1) for edge in (2, -2)
        )
        assert not (beyond & far_in).any() and (beyond | near).all()
        for joint in np.flatnonzero(beyond):
            px, py = person.joints_2d[joint].astype(int)
            assert not cut.image[
                max(0, py + 2 if lost[3] else py - 2), px + (2 if lost[2] else -2 if lost[0] else 0)
            ].any()
    assert sides == {0, 1, 2, 3} and 2 < whole < 30


# --- in the weights' json


def test_a_calibration_survives_the_json(tmp_path: Path) -> None:
    first = calibration()
    card = json.loads(json.dumps({"calibration": first.card()}))
    again = calibration_of(card, "x")
    assert again is not None and again.spread is not None
    peaks = np.random.default_rng(0).uniform(0, 1.5, (5, J))
    for flip, edge in first.chance:
        line = first.chance[flip, edge]
        wanted = np.interp(chances(line.level, line.slope, peaks), [0, 0.5, 1], [0, 0.6, 1])
        np.testing.assert_allclose(again.confidence(peaks, flip, (edge,)), wanted, atol=1e-3)
    assert np.array_equal(again.confidence(peaks), again.confidence(peaks, edges=("whole",)))
    assert np.array_equal(again.confidence(peaks, edges=("bottom", "side")), again.confidence(peaks, edges=("side",)))
    rising = again.confidence(np.linspace(0, 2, 50)[:, None] * np.ones(J))
    assert (np.diff(rising, axis=0) > 0).all() and 0 < rising.min() < rising.max() < 1
    spread = again.depth_sd_mm(rising)
    assert spread is not None and (spread[:, PELVIS] == 0).all() and (np.diff(spread[:, 0]) < 0).all()
    assert calibration_of({}, "x") is None and calibration(spread=False).depth_sd_mm(rising) is None
    kept = calibration_of(json.loads(json.dumps({"calibration": calibration(spread=False).card()})), "x")
    assert kept is not None and kept.spread is None


@pytest.mark.parametrize("broken", ["text", {}, "slope", "length", "nan", "depth", "falls", "empty"])
def test_a_broken_calibration_is_named(broken: object) -> None:
    card = json.loads(json.dumps(calibration().card()))
    if broken == "slope":
        card["plain"]["whole"]["slope"][3] = -1.0
    elif broken == "length":
        card["flip_test"]["side"]["level"].pop()
    elif broken == "nan":
        card["plain"]["top"]["level"][0] = float("nan")
    elif broken == "falls":
        card["plain"]["whole"]["found"] = [0, 1, 0.5]
    elif broken == "empty":
        card["plain"]["whole"]["stated"] = card["plain"]["whole"]["found"] = []
    elif broken == "depth":
        card["depth"]["slope"][0] = 1.0
    else:
        card = broken
    with pytest.raises(LiftwildError, match=r"json of mine is broken .*liftwild calibrate") as caught:
        calibration_of({"calibration": card}, "mine")
    assert "\n" not in str(caught.value)


# --- the command


def test_calibrate_writes_the_json_and_nothing_else(tiny_weights: Path, tmp_path: Path) -> None:
    weights = tmp_path / "net.safetensors"
    net, card = load_weights(tiny_weights)
    save_weights(weights, net, {**card, "name": "net"})
    before = json.loads(weights.with_suffix(".json").read_text())
    photos, lab = write_store(tmp_path / "photos.arrow", 80, False), write_store(tmp_path / "lab.arrow", 80, True, 1)
    picture_path = tmp_path / "curve.png"
    done = CliRunner().invoke(
        calibrate_command, [str(weights), str(photos), "--depth", str(lab), "-o", str(picture_path)]
    )
    assert done.exit_code == 0, done.output
    after = json.loads(weights.with_suffix(".json").read_text())
    found = after.pop("calibration")
    assert after == before
    assert found["measured"]["stores"] == [
        {"name": "photos", "people": 80, "fingerprint": hashlib.sha256(photos.read_bytes()).hexdigest()}
    ]
    assert found["confidence_is"] == CHANCE_IS and found["measured"]["ece"] <= found["measured"]["ece_of_peak"] + 0.1
    assert "| stated, % | found, % | joints |" in done.output and "beyond its edge" in done.output
    assert "depth spread" in done.output and "flip-tested" in done.output
    assert picture_path.read_bytes().startswith(b"\x89PNG")
    (pose,) = Estimator(weights, "cpu", runtime="torch").predict(picture(), whole=True)
    assert pose.depth_sd_mm is not None and (pose.depth_sd_mm[:PELVIS] > 0).all()
    assert {path.name for path in tmp_path.iterdir()} == {
        "net.safetensors", "net.json", "photos.arrow", "lab.arrow", "curve.png",
    }  # fmt: skip


def test_calibrate_fails_in_one_line_and_changes_nothing(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "net.safetensors"
    save_weights(weights, load_weights(tiny_weights)[0], {"sum_length_mm": 4000.0})
    content = weights.with_suffix(".json").read_bytes()
    photos, few = write_store(tmp_path / "photos.arrow", 4, False), write_store(tmp_path / "few.arrow", 4, True)
    for stores, depth, out, says in (
        ([], [], None, "no store to calibrate"),
        ([few], [], None, "are too few to fit on"),
        ([few], [photos], None, "photos.arrow has no 3D labels"),
        ([few, tmp_path / "sub" / "few.arrow"], [], None, "one name, few"),
        ([tmp_path / "none.arrow"], [], None, "no store"),
        ([few], [], tmp_path / "none" / "a.png", "no folder"),
    ):
        with pytest.raises(LiftwildError, match=says) as caught:
            calibrate_weights(str(weights), stores, depth, picture=out)
        assert "\n" not in str(caught.value)
    with pytest.raises(LiftwildError, match="the weights come first"):
        calibrate_weights(str(few), [weights])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(LiftwildError, match="charts need matplotlib"):
        calibrate_weights(str(weights), [photos], picture=tmp_path / "curve.png")
    assert weights.with_suffix(".json").read_bytes() == content


def test_each_half_is_measured_by_the_fit_on_the_other(
    monkeypatch: pytest.MonkeyPatch, tiny_weights: Path, tmp_path: Path
) -> None:
    weights, photos = tmp_path / "net.safetensors", write_store(tmp_path / "photos.arrow", 30, False)
    save_weights(weights, load_weights(tiny_weights)[0], {"sum_length_mm": 4000.0})

    def fit(seen: Observed) -> Chance:
        """A calibration that states what is found in all joints of its people."""
        found = float(seen.hits[seen.counted].mean())
        zeros = np.zeros(J)
        return Chance(zeros, zeros, np.array([0.0, 1.0]), np.array([found, found]))

    def observe(measured: Measured, sources: list[str]) -> Observed:
        first = in_first_half(sources)
        hits = np.repeat(first[:, None], J, axis=1)  # all of the first half is right, nothing of the second
        return Observed(measured.confidence, hits, np.ones_like(hits), first)

    monkeypatch.setattr(confidence_fit, "fit_chance", fit)
    monkeypatch.setattr(reliability, "observe", observe)
    calibrate_weights(str(weights), [photos])
    kept = json.loads(weights.with_suffix(".json").read_text())["calibration"]
    assert kept["measured"]["ece"] == 1  # always wrong; by its own half it would be 0
    part = kept["plain"]["whole"]["found"][0]
    assert 0.2 < part < 0.8  # all photos fit what is kept
