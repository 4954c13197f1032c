"""The detector's network: equal to NanoDet-g as it is published, in every runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from liftwild.detection import detector as module
from liftwild.detection.config import STRIDES, DetectorConfig
from liftwild.detection.decoding import decode, split_cells
from liftwild.detection.detector import Detector
from liftwild.detection.network import DetectorNet
from liftwild.detection.runtime import OF_DETECTOR, open_detector_runtime
from liftwild.detection.weights import load_detector, open_detector
from liftwild.inference.openvino_runtime import computes_bf16, openvino_core
from liftwild.inference.runtime_kinds import RUNTIMES
from liftwild.inference.runtimes import OF_WEIGHTS
from tests.support.images import picture
from tests.support.paths import ROOT
from tests.support.scripts import load_script


def reference() -> ModuleType:
    """scripts/detector_reference.py, which made nanodet_reference.npz."""
    return load_script(ROOT / "scripts" / "detector_reference.py")


def test_the_shipped_network_says_what_the_published_one_says() -> None:
    pixels = torch.from_numpy(reference().pixels()).permute(2, 0, 1)[None]
    net, _ = load_detector("detector")
    with torch.inference_mode():
        maps = split_cells(net(pixels).numpy(), net.config.bins)
    with np.load(Path(__file__).with_name("nanodet_reference.npz")) as wanted:
        cells, scores, sides = wanted["cells"], wanted["scores"], wanted["sides"]
    assert scores.max() > 0.2 and len(cells) > 80
    np.testing.assert_allclose(1 / (1 + np.exp(-maps.scores[0, cells])), scores, atol=1e-3)
    np.testing.assert_allclose(maps.sides[0, cells].reshape(len(cells), -1), sides, atol=1e-3)


def test_the_shipped_json_says_where_the_weights_are_from() -> None:
    _, card = load_detector("detector")
    assert card["licence"] == "Apache-2.0" and card["origin"]["version"] == "3.0.4"
    assert 0.2 < card["min_score"] < 0.6 and card["measured"] and card["min_score_is"]


def test_every_runtime_runs_the_detector_too() -> None:
    assert list(OF_DETECTOR) == list(OF_WEIGHTS) == list(dict.fromkeys(kind.family for kind in RUNTIMES.values()))


@pytest.mark.parametrize(
    ("kind", "modules"), [("openvino-fp32", ("openvino", "onnx")), ("onnx", ("onnxruntime", "onnx"))]
)
def test_runtimes_agree(kind: str, modules: tuple[str, ...], weights: Path) -> None:
    for name in modules:
        pytest.importorskip(name, reason=f"{name} is not installed")
    files = open_detector(weights)
    side = files.about.network.input_px
    exact, runtime = (open_detector_runtime(files, side, each, "cpu") for each in ("torch", kind))
    assert runtime.name == f"{kind.partition('-')[0]} fp32"
    for height, width in ((side, side), (side + 64, side), (side, side + 64), (side, side)):
        pixels = np.stack([picture(height, width, seed) for seed in range(3)])
        for one, other in zip(runtime(pixels), exact(pixels), strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_shipped_detector_agrees_with_itself_in_openvino() -> None:
    for name in ("openvino", "onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    import cv2

    photo = cv2.imread(str(ROOT / "examples" / "person.jpg"))[:, :, ::-1].copy()
    (one,), (other,) = (Detector(device="cpu", runtime=kind).detect(photo) for kind in ("torch", "openvino-fp32"))
    np.testing.assert_allclose(one.box, other.box, atol=0.05)
    assert one.score == pytest.approx(other.score, abs=1e-3) and one.score > 0.4


def test_bf16_changes_little() -> None:
    for name in ("openvino", "onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    if not computes_bf16(openvino_core()):
        pytest.skip("this CPU does not compute in bf16")
    files = open_detector("detector")
    side = files.about.network.input_px
    pixels = reference().pixels()[None, :side, :side]
    exact, rough = (open_detector_runtime(files, side, kind, "cpu") for kind in ("openvino-fp32", "openvino"))
    assert rough.name == "openvino bf16"
    scores = [1 / (1 + np.exp(-runtime(np.ascontiguousarray(pixels)).scores)) for runtime in (exact, rough)]
    assert 0 < np.abs(scores[0] - scores[1]).max() < 0.03


def test_a_box_is_the_mean_of_its_distances(tiny_net: DetectorNet) -> None:
    side, bins = tiny_net.config.input_px, tiny_net.config.bins
    with torch.inference_mode():
        maps = split_cells(tiny_net(torch.from_numpy(picture(side, side, 4)).permute(2, 0, 1)[None]).numpy(), bins)
    count = sum((side // stride) ** 2 for stride in STRIDES)
    assert maps.scores.shape == (1, count) and maps.sides.shape == (1, count, 4, bins)
    ((boxes, scores),) = decode(maps, side, side, 5)
    assert boxes.shape == (5, 4) and (np.diff(scores) <= 0).all()
    ((some, _),) = decode(maps, side, side, 5, scores[2])
    np.testing.assert_array_equal(some, boxes[:3])
    best = int(maps.scores[0].argmax())
    stride, first, at = 0, 0, best
    for stride in STRIDES:
        cells = (side // stride) ** 2
        if at < cells:
            break
        first, at = first + cells, at - cells
    row, column = divmod(at, side // stride)
    likely = np.exp(maps.sides[0, best].astype(np.float64))
    mean = likely @ np.arange(bins) / likely.sum(axis=1) * stride
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    wanted = [x - mean[0], y - mean[1], mean[0] + mean[2], mean[1] + mean[3]]
    np.testing.assert_allclose(boxes[0], wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"input_px": 100}, "multiple of 32"), ({"stem": 3}, "even"), ({"bins": 0}, "from 1"),
     ({"blocks": (1, 2)}, "four numbers"), ({"blocks": (1, 2, 0, 1)}, r"blocks\[2\] must be a whole number from 1")],
)  # fmt: skip
def test_networks_that_cannot_be(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DetectorConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(300, 533), (533, 300), (400, 533), (200, 600)])
def test_what_is_black_beside_a_photo_need_not_be_seen(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide or high photo is seen without the black above and below, or left and right; people stay where they are."""
    import cv2

    person = cv2.imread(str(ROOT / "examples" / "person.jpg"))[:, :, ::-1]
    side = min(shape)
    photo = np.full((*shape, 3), 90, np.uint8)
    top, left = ((whole - side) // 3 for whole in shape)
    photo[top : top + side, left : left + side] = cv2.resize(person, (side, side), interpolation=cv2.INTER_AREA)
    detector = Detector(device="cpu", runtime="torch")
    seen: list[tuple[int, ...]] = []
    cells = detector.runtime.cells
    monkeypatch.setattr(
        detector,
        "runtime",
        replace(detector.runtime, cells=lambda pixels: (seen.append(pixels.shape), cells(pixels))[1]),
    )
    (found,) = detector.detect(photo)
    monkeypatch.setattr(module, "MAX_CUTS", 0)
    (square,) = detector.detect(photo)
    short, long = sorted(seen[0][1:3])
    assert 352 * min(shape) / max(shape) <= short < long == 352 and seen[1][1:3] == (352, 352)
    np.testing.assert_allclose(found.box, square.box, atol=0.02 * max(shape))
    assert found.score == pytest.approx(square.score, abs=0.1)
