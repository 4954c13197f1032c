"""Compiled networks that are kept: the same answers, sooner, and never a wrong one."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from liftwild.detection.network import DetectorNet
from liftwild.detection.runtime import detector_graph
from liftwild.heatmap_torch import as_heatmaps
from liftwild.inference import model_cache, openvino_runtime
from liftwild.inference.onnx_graph import graph_of
from liftwild.inference.onnx_recorder import recorded
from liftwild.inference.runtimes import open_runtime
from liftwild.network.config import PoseNetConfig
from liftwild.network.lifter import Lifter
from liftwild.network.posenet import PoseNet
from liftwild.weights import save_weights
from liftwild.weights_card import WeightsFiles
from tests.support.networks import TINY

pytest.importorskip("openvino", reason="openvino is not installed")
CROPS = np.random.default_rng(1).integers(0, 256, (3, TINY.input_px, TINY.input_px, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where networks are kept in a test."""
    monkeypatch.setenv("LIFTWILD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / model_cache.FOLDER


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The weights whose tensors have been loaded."""
    loaded: list[Path] = []
    load = WeightsFiles.load

    def counted(weights: WeightsFiles) -> object:
        loaded.append(weights.path)
        return load(weights)

    monkeypatch.setattr(WeightsFiles, "load", counted)
    return loaded


def answers(weights: Path | str) -> list[np.ndarray]:
    """What OpenVINO says of crops."""
    runtime = open_runtime(weights, "openvino", "cpu")[0]
    side = runtime.input_px
    crops = CROPS if side == TINY.input_px else np.repeat(np.repeat(CROPS, 8, axis=1), 8, axis=2)[:, :side, :side]
    return [part for part in runtime(crops) if part is not None]


def alike(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_what_is_kept_answers_to_the_bit(name: str, tiny_weights: Path, folder: Path, loads: list[Path]) -> None:
    weights = tiny_weights if name == "tiny" else name
    first = answers(weights)
    assert len(loads) == 1 and len(list(folder.iterdir())) == 1
    assert alike(answers(weights), first) and len(loads) == 1


def test_other_weights_code_or_options_are_others(
    tiny_weights: Path, folder: Path, loads: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answers(tiny_weights)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        other = PoseNet(TINY).eval()
    save_weights(tmp_path / "tiny.safetensors", other, {"sum_length_mm": 4000.0})
    assert not alike(answers(tmp_path / "tiny.safetensors"), first)
    save_weights(tmp_path / "tiny.safetensors", other, {"sum_length_mm": 4001.0})  # the json alone
    answers(tmp_path / "tiny.safetensors")
    monkeypatch.setattr(model_cache, "_makers", lambda: "another version")
    answers(tiny_weights)
    open_runtime(tiny_weights, "openvino-fp32", "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    answers(tiny_weights)
    torch.set_num_threads(threads)
    assert len(loads) == len(list(folder.iterdir())) == (6 if openvino_runtime.chosen_precision(None) == "bf16" else 5)


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "blob"])
def test_what_is_damaged_is_made_anew(damage: str, tiny_weights: Path, folder: Path, loads: list[Path]) -> None:
    first = answers(tiny_weights)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    if damage == "blob":  # whole, but nothing that OpenVINO knows
        file.write_bytes(model_cache.sealed(b"no network" * 100))
    else:
        file.write_bytes(
            {"cut": whole[:-1], "bit": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:], "empty": b""}[damage]
        )
    assert alike(answers(tiny_weights), first) and len(loads) == 2
    assert file.read_bytes()[-1000:] == whole[-1000:]


@pytest.mark.skipif(os.name == "nt", reason="rights are others on Windows")
def test_a_folder_that_cannot_be_written_is_no_fault(tiny_weights: Path, folder: Path, loads: list[Path]) -> None:
    folder.parent.write_text("a file, no folder")
    answers(tiny_weights)
    answers(tiny_weights)
    assert len(loads) == 2 and folder.parent.read_text() == "a file, no folder"


def test_nothing_is_kept_where_that_is_said(
    tiny_weights: Path, folder: Path, loads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTWILD_CACHE", "")
    answers(tiny_weights)
    answers(tiny_weights)
    assert len(loads) == 2 and not folder.exists()


def test_what_was_used_longest_ago_makes_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_cache, "MAX_BYTES", 25)
    folder.mkdir(parents=True)
    for age, name in ((40, "new"), (60, "old"), (50, "middle")):
        (folder / f"{name}.openvino").write_bytes(bytes(10))
        os.utime(folder / f"{name}.openvino", (1e9 - age, 1e9 - age))
    (folder / "other").write_bytes(bytes(1000))
    model_cache.make_room(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["middle.openvino", "new.openvino", "other"]


def test_all_code_that_makes_graphs_is_told_apart() -> None:
    """Else a network that was compiled by an older liftwild would answer for a newer one."""
    parts = (as_heatmaps, graph_of, detector_graph, recorded, PoseNet, DetectorNet, Lifter, PoseNetConfig)
    assert {Path(inspect.getfile(part)) for part in parts} <= set(model_cache.makers())
