"""Exports in int8: written where they cost little, refused where they cost much."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from liftwild import Estimator
from liftwild.errors import LiftwildError
from liftwild.inference import export_file as module
from liftwild.inference.decoding import Outputs
from liftwild.weights import load_weights
from tests.support.commands import export
from tests.support.files import names
from tests.support.images import picture, write_photo
from tests.support.label_files import annotation, labels, write_labels

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'liftwild[onnx]'")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: pip install 'liftwild[onnx]'")


def people(folder: Path, count: int = 130) -> Path:
    """A store of ``count`` labelled people, each in a photo of their own."""
    stores = pytest.importorskip("tests.support.stores")
    samples = (dataclasses.replace(stores.sample(seed), source=f"{seed}.jpg") for seed in range(count))
    stores.make_store(folder / "people.arrow", samples)
    return folder / "people.arrow"


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_int8_within_half_a_point_is_written(
    to: str, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if to == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'liftwild[openvino]'")
    int8 = pytest.importorskip("liftwild.evaluation.quantization")
    scores = iter([60.0, 59.5])
    monkeypatch.setattr(int8, "measured_pck", lambda runtime, held_back, source: next(scores))
    path = tmp_path / f"q{module.SUFFIX[to]}"
    done = export(tiny_weights, "--to", to, "-o", path, "--int8", people(tmp_path))
    assert done.exit_code == 0 and done.stderr == "", done.output
    assert f"60.00 in torch fp32, 59.50 in {to} int8; 0.5 may be lost" in done.stdout
    estimator = Estimator(path, runtime=to)
    assert estimator.runtime_name == f"{to} int8"
    if to == "onnx":
        model = onnx.load(path)
        assert {each.key: each.value for each in model.metadata_props}["precision"] == "int8"
        kinds = [each.data_type for each in model.graph.initializer if len(each.dims) == 4]
        assert kinds.count(onnx.TensorProto.INT8) > 0.8 * len(kinds)
    net, _ = load_weights(tiny_weights)
    off = module.difference(net, estimator.runtime, np.stack([picture(64, 64, seed) for seed in range(8)]))
    assert 1e-4 < off.heatmaps[1] < 0.1 and 1e-4 < off.depth[1] < 0.2  # it does compute in int8, and the same thing


def test_int8_that_costs_more_is_refused_aloud(
    tmp_path: Path, tiny_weights: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    int8 = pytest.importorskip("liftwild.evaluation.quantization")
    scores = iter([60.0, 59.49])
    monkeypatch.setattr(int8, "measured_pck", lambda runtime, held_back, source: next(scores))
    path = tmp_path / "q.onnx"
    done = export(tiny_weights, "--to", "onnx", "-o", path, "--int8", people(tmp_path))
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: int8 is refused: ") and done.stderr.endswith("q.onnx is without int8\n")
    assert "60.00 in torch fp32, 59.49 in onnx int8" in done.stderr
    assert Estimator(path, runtime="onnx").runtime_name == "onnx fp32"
    assert names(tmp_path) == ["people.arrow", "q.onnx"]


def test_int8_is_measured_on_other_photos(tmp_path: Path, tiny_weights: Path) -> None:
    int8 = pytest.importorskip("liftwild.evaluation.quantization")
    shown, held_back = int8.split_people(people(tmp_path), None, 64)
    assert len(shown) + len(held_back) == 130 and len(held_back) >= 50
    assert not {person.source for person in shown} & {person.source for person in held_back}
    cells = np.stack([person.joints_2d for person in held_back]) / 4

    class Right:
        name, input_px, subpixel = "right", 64, False

        def __init__(self) -> None:
            self.seen, self.off = 0, 0

        def __call__(self, crops: np.ndarray) -> Outputs:
            heatmaps = np.zeros((len(crops), 16, 16, 16), np.float32)
            for i in range(len(crops)):
                at = cells[self.seen + i].astype(int) + self.off
                heatmaps[i, np.arange(16), at[:, 1] % 16, at[:, 0] % 16] = 1
            self.seen += len(crops)
            return Outputs(heatmaps, np.zeros((len(crops), 16), np.float32))

        def fingerprint(self) -> str:
            return ""

    one, other = Right(), Right()
    other.off = 8
    assert int8.measured_pck(one, held_back, tmp_path) > 90 > 20 > int8.measured_pck(other, held_back, tmp_path)
    done = export(tiny_weights, "--to", "onnx", "-o", tmp_path / "q.onnx", "--int8", people(tmp_path, 30))
    assert done.exit_code == 1 and "on 50 people or more" in done.stderr and not (tmp_path / "q.onnx").exists()


def test_int8_takes_coco_labels(tmp_path: Path) -> None:
    int8 = pytest.importorskip("liftwild.evaluation.quantization")
    files = [f"{number}.png" for number in range(120)]
    for file in files:
        write_photo(tmp_path / "photos" / file)
    wild = [annotation(number + 1, number + 1) for number in range(120)]
    write_labels(tmp_path / "wild.json", labels(wild, files=files))
    shown, held_back = int8.split_people(tmp_path / "wild.json", tmp_path / "photos", 64)
    assert len(shown) + len(held_back) == 120 and shown[0].image.shape == (64, 64, 3)
    with pytest.raises(LiftwildError, match="nobody of"):
        int8.split_people(tmp_path / "wild.json", None, 64)
