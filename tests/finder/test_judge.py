"""What PoseNet makes of the boxes that the finder proposes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from liftwild import Estimator
from liftwild.boxes import body_box, clipped
from liftwild.cli import cli
from liftwild.crop import Crop
from liftwild.errors import LiftwildError
from liftwild.finder_net import STRIDE, FinderNet
from liftwild.predict import finder as finder_module
from liftwild.predict import finder_graph
from liftwild.predict.finder import Finder
from liftwild.predict.finder_graph import OpenVinoFinder
from liftwild.predict.judge import Looks, Scored, mixed
from liftwild.predict.runtime import OpenVinoRuntime
from liftwild.predict.track import Follower
from liftwild.skeleton import MPII_16
from liftwild.weights.finder import Mix, load_finder
from tests.conftest import encode, picture
from tests.finder.conftest import finder_that_says

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
