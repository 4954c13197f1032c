"""Runtimes: torch, OpenVINO and ONNX Runtime say the same; the fastest is taken, and falling back is not silent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from liftwild import Estimator
from liftwild.cli.main import cli
from liftwild.cli.predict import predict_command
from liftwild.errors import LiftwildError
from liftwild.inference import runtimes as module
from liftwild.inference.decoding import Outputs
from liftwild.inference.onnx_graph import graph_of
from liftwild.inference.onnx_recorder import recorded
from liftwild.inference.onnx_runtime import OnnxRuntime
from liftwild.inference.openvino_runtime import OpenVinoRuntime
from liftwild.inference.runtime import Runtime, infer_crops
from liftwild.inference.runtime_kinds import RUNTIME_NAMES, RUNTIMES
from liftwild.inference.runtimes import open_runtime
from liftwild.inference.torch_runtime import TorchRuntime
from liftwild.network.posenet import PoseNet, PoseNetConfig
from liftwild.weights import load_weights
from tests.support.images import encode, picture
from tests.support.paths import ROOT

CPU = torch.device("cpu")
FAST = ("openvino-fp32", "onnx")


def need(kind: str) -> None:
    """Skips where the extra of a runtime is not installed."""
    extra = kind.partition("-")[0]
    for name in ("onnx", RUNTIMES[kind].library):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'liftwild[{extra}]'")


def opened(kind: str, weights: str | Path = "small") -> Runtime:
    need(kind)
    return open_runtime(weights, kind, "cpu")[0]


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """Crops (17, 192, 192, 3): the person of the examples, moved about, smooth pictures, noise, black and white."""
    photo = cv2.imread(str(ROOT / "examples" / "person.jpg"))[:, :, ::-1]
    people = [cv2.resize(photo[20 * i :, : 500 - 30 * i], (192, 192), interpolation=cv2.INTER_AREA) for i in range(8)]
    noise = np.random.default_rng(0).integers(0, 256, (3, 192, 192, 3), dtype=np.uint8)
    flat = [np.zeros_like(people[0]), np.full_like(people[0], 255)]
    return np.stack([*people, *(picture(192, 192, seed) for seed in range(4)), *noise, *flat])


@pytest.fixture(scope="module")
def wanted(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What torch makes of them."""
    found = opened_torch()(crops)
    assert found.depth is not None
    return found.heatmaps, found.depth


def opened_torch() -> Runtime:
    return open_runtime("small", "torch", "cpu")[0]


@pytest.mark.parametrize("kind", FAST)
def test_runtimes_agree_on_the_shipped_weights(
    kind: str, crops: np.ndarray, wanted: tuple[np.ndarray, np.ndarray]
) -> None:
    runtime = opened(kind)
    assert runtime.name == f"{kind.partition('-')[0]} fp32" and runtime.input_px == 192
    for rows in ([0], [5], [3, 9], [1, 2, 3], list(range(17)), [4], [0, 1, 2, 3, 4]):
        heatmaps, depth = runtime(crops[rows])[:2]
        assert heatmaps.dtype == depth.dtype == np.float32
        assert heatmaps.shape == (len(rows), 16, 48, 48) and depth.shape == (len(rows), 16)
        np.testing.assert_allclose(heatmaps, wanted[0][rows], atol=2e-5)
        np.testing.assert_allclose(depth, wanted[1][rows], atol=2e-5)


@pytest.mark.parametrize("kind", FAST)
@pytest.mark.parametrize("flip_test", [False, True])
def test_poses_agree_on_photos_of_odd_sizes(kind: str, flip_test: bool) -> None:
    need(kind)
    person = cv2.imread(str(ROOT / "examples" / "person.jpg"))[:, :, ::-1]
    photos = [
        person,
        cv2.resize(person, (331, 517)),
        np.ascontiguousarray(person[::3, ::2]),
        person[:127, 1:400].copy(),
    ]
    boxes = [[(100.5, 30.25, 301.0, 440.0), (0.0, 0.0, 512.0, 512.0)], [(5.0, 6.0, 300.0, 500.0)], None, None]
    one, other = (
        [pose for poses in Estimator("small", "cpu", flip_test, 3, run).predict_many(photos, boxes) for pose in poses]
        for run in ("torch", kind)
    )
    assert len(one) == len(other) == 5
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.joints_2d, b.joints_2d, atol=0.01)
        np.testing.assert_allclose(a.joints_3d, b.joints_3d, atol=0.1)
        np.testing.assert_allclose(a.confidence, b.confidence, atol=1e-4)


@pytest.mark.parametrize("kind", ["openvino-bf16", "torch-bf16"])
def test_bf16_is_near(kind: str, crops: np.ndarray, wanted: tuple[np.ndarray, np.ndarray]) -> None:
    if kind.startswith("openvino"):
        need(kind)
        try:
            runtime = open_runtime("small", kind, "cpu")[0]
        except LiftwildError as error:
            assert "no runtime" not in str(error) and "does not compute in bf16" in str(error)
            pytest.skip("this CPU does not compute in bf16")
    else:
        runtime = open_runtime("small", kind, "cpu")[0]
    assert runtime.name == kind.replace("-", " ")
    heatmaps, depth = runtime(crops[:8])[:2]
    off = np.abs(heatmaps - wanted[0][:8])
    assert 1e-5 < off.max() < 0.2 and off.mean() < 1e-3  # not fp32, and not far
    assert np.abs(depth - wanted[1][:8]).max() < 0.1
    joints, exact = (infer_crops(each, crops[:8]).joints_2d for each in (runtime, opened_torch()))
    assert (np.linalg.norm(joints - exact, axis=-1) > 4).mean() < 0.03  # more than a cell


def test_openvino_answers_alike_whatever_came_before(crops: np.ndarray) -> None:
    """In bf16 where the CPU has it: there a network set up for other numbers of people answers otherwise."""
    need("openvino")
    runtime: Any = open_runtime("small", "openvino", "cpu")[0]
    first = [part.copy() for part in runtime(crops[:3]) if part is not None]
    for people in [8] * 30:  # 240: more than 200, after which it once was set up anew
        runtime(crops[:people])
    for some in (crops[:3], crops[:8]):
        again = [part[:3] for part in runtime(some) if part is not None]
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    shape = runtime._request.get_compiled_model().input("crops").get_shape()
    assert shape[0] == 1  # set up for one person, whoever came


CONFIGS = (
    PoseNetConfig(stacks=2, blocks=2, features=12, stem=6, input_px=64),
    PoseNetConfig(stacks=1, blocks=1, features=16, stem=8, input_px=128, depth_norm=True, softmax=True),
    PoseNetConfig(stacks=3, blocks=1, features=8, stem=8, input_px=64, softmax=True),
    PoseNetConfig(subnetwork="mobilenet", width=0.5, features=16, input_px=64, softmax=True, lifter=32),
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.subnetwork} {config.stacks}x{config.blocks}")
def test_the_graph_is_the_network(config: PoseNetConfig) -> None:
    """Also where batch norms have seen something, and in every kind of network."""
    need("onnx")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = PoseNet(config)
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                for numbers, low, high in (
                    (part.weight.data, 0.5, 1.5), (part.bias.data, -0.5, 0.5), (part.running_mean, -0.5, 0.5),
                    (part.running_var, 0.5, 2.0),
                ):  # fmt: skip
                    numbers.uniform_(low, high)
        for layer in (module for module in net.modules() if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)):
            if not layer.weight.any():  # what begins by adding nothing
                torch.nn.init.normal_(layer.weight, std=0.1)
    net.eval().requires_grad_(False)
    graph = graph_of(net)
    crops = np.random.default_rng(2).integers(0, 256, (3, config.input_px, config.input_px, 3), dtype=np.uint8)
    exact = TorchRuntime(net, CPU)(crops)
    makers: list[Callable[[], Any]] = [lambda: OnnxRuntime(graph)]
    if "openvino" in module.fastest():
        makers.append(lambda: OpenVinoRuntime(lambda: [graph], "fp32"))
    for make in makers:
        for one, other in zip(exact, make()(crops), strict=True):
            if one is None:
                assert other is None
                continue
            scale = float(np.abs(one).max())
            np.testing.assert_allclose(other / scale, one / scale, atol=2e-5)


def test_an_operation_without_onnx_is_no_graph() -> None:
    need("onnx")
    layer = torch.nn.Linear(1, 1)
    for compute in (lambda crops: {"sine": crops.float().sin()}, lambda crops: {"cube": crops.float() ** 3}):
        with pytest.raises(NotImplementedError, match="no ONNX is known for"):
            recorded(layer, compute, "crops", 64, 64)


@pytest.mark.parametrize("kind", FAST)
def test_several_threads_may_ask(kind: str, crops: np.ndarray, wanted: tuple[np.ndarray, np.ndarray]) -> None:
    runtime = opened(kind)
    with ThreadPoolExecutor(4) as pool:
        for i, (heatmaps, *_) in enumerate(pool.map(lambda i: runtime(crops[i % 17 : i % 17 + 1]), range(40))):
            np.testing.assert_allclose(heatmaps[0], wanted[0][i % 17], atol=2e-5)


def test_signals_are_heard_after_estimators_have_come_and_gone(tiny_weights: Path) -> None:
    """OpenVINO restores the signal stack of a Core that is gone: a process with several dies of the next signal."""
    need("openvino")
    script = """if True:
        import signal, sys
        from liftwild import Estimator
        one = Estimator(sys.argv[1], "cpu", runtime="openvino")
        two = Estimator(sys.argv[1], "cpu", runtime="openvino")
        del one
        del two
        heard = []
        signal.signal(signal.SIGINT, lambda *_: heard.append(1))
        signal.raise_signal(signal.SIGINT)
        assert heard == [1]
    """
    done = subprocess.run([sys.executable, "-c", script, str(tiny_weights)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    makers = [path.name for path in (ROOT / "src").rglob("*.py") if "openvino.Core(" in path.read_text("utf-8")]
    assert makers == ["openvino_runtime.py"]


def test_auto_takes_the_fastest_that_is_installed(tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    estimator = Estimator(tiny_weights, "cpu")
    fastest = module.fastest()[0]
    assert estimator.runtime_name.startswith(fastest) and capsys.readouterr().err == ""
    assert fastest == "torch" or estimator.runtime_name in ("openvino bf16", "onnx fp32", "openvino fp32")
    assert Estimator(tiny_weights, "cpu", runtime="torch").runtime_name == "torch fp32"
    if fastest != "torch":
        with pytest.raises(LiftwildError, match="this needs weights, and torch"):
            _ = estimator.net


@pytest.mark.parametrize(("able", "first"), [(True, "openvino"), (False, "onnx")])
def test_the_fastest_depends_on_the_cpu(able: bool, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    need("openvino")
    need("onnx")
    monkeypatch.setattr(module, "computes_bf16", lambda core: able)
    assert module.fastest()[0] == first and sorted(module.fastest()) == ["onnx", "openvino", "torch"]


def test_falling_back_is_said(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("Exception from core.cpp:105:\nno such instruction\n\n")

    monkeypatch.setattr(module, "fastest", lambda: ["openvino", "onnx", "torch"])
    monkeypatch.setattr(module, "_graph_of", lambda weights: b"")
    monkeypatch.setattr(module, "OpenVinoRuntime", broken)
    monkeypatch.setattr(module, "OnnxRuntime", lambda graph: TorchRuntime(load_weights(tiny_weights)[0], CPU))
    assert Estimator(tiny_weights, "cpu", runtime="auto").runtime_name == "torch fp32"
    said = "note: openvino cannot be used, torch fp32 runs instead: no such instruction\n"
    assert capsys.readouterr().err == said
    monkeypatch.setattr(module, "OnnxRuntime", broken)
    Estimator(tiny_weights, "cpu", runtime="auto")
    assert capsys.readouterr().err == said + said.replace("openvino", "onnx")
    # Asked for by name, nothing else is taken.
    with pytest.raises(LiftwildError, match=r"^the runtime openvino cannot be used: no such instruction$"):
        Estimator(tiny_weights, "cpu", runtime="openvino")


def test_a_runtime_that_gives_something_else_is_not_used(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Wrong:
        name, input_px = "openvino fp32", 64

        def __call__(self, crops: np.ndarray) -> Outputs:
            return Outputs(np.zeros((len(crops), 16, 8, 8), np.float32), np.zeros((len(crops), 16), np.float32))

    monkeypatch.setattr(module, "fastest", lambda: ["openvino", "torch"])
    monkeypatch.setattr(module, "_graph_of", lambda weights: b"")
    monkeypatch.setattr(module, "OpenVinoRuntime", lambda *arguments: Wrong())
    assert Estimator(tiny_weights, "cpu", runtime="auto").runtime_name == "torch fp32"
    assert "heatmaps (1, 16, 8, 8)" in capsys.readouterr().err


def test_what_is_wrong_is_one_line(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, words in (
        ({"runtime": "tensorrt"}, "no runtime 'tensorrt'; there are auto, torch"),
        ({"runtime": "openvino", "device": "meta"}, "the runtime openvino computes on the CPU, not on meta"),
    ):
        with pytest.raises(LiftwildError, match=words):
            Estimator(tiny_weights, **options)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setenv("LIFTWILD_CACHE", "")  # what is compiled already needs no onnx
    for kind in ("onnx", "openvino"):
        with pytest.raises(LiftwildError, match=r"needs the package onnx .*pip install 'liftwild\[") as caught:
            Estimator(tiny_weights, "cpu", runtime=kind)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["openvino", "onnx"])
def test_a_missing_library_is_named_with_its_extra(
    kind: str, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, RUNTIMES[kind].library, None)
    monkeypatch.setattr(module, "_graph_of", lambda weights: b"")
    with pytest.raises(LiftwildError, match=rf"runtime {kind} cannot be used: it needs .*'liftwild\[{kind}\]'"):
        Estimator(tiny_weights, "cpu", runtime=kind)
    assert kind not in module.fastest()  # so auto does not try


def test_fingerprints_tell_weights_apart(tiny_weights: Path) -> None:
    kinds = module.fastest()
    prints = [open_runtime(weights, kind)[0].fingerprint() for weights in (tiny_weights, "small") for kind in kinds]
    assert prints == [open_runtime(w, kind)[0].fingerprint() for w in (tiny_weights, "small") for kind in kinds]
    assert len(set(prints[: len(kinds)]) & set(prints[len(kinds) :])) == 0


def test_the_command_line_says_what_has_computed(tmp_path: Path, tiny_weights: Path) -> None:
    (choice,) = (option.type for option in predict_command.params if option.name == "runtime")
    assert tuple(choice.choices) == RUNTIME_NAMES  # type: ignore[attr-defined]
    (tmp_path / "a.png").write_bytes(encode(".png", picture()))
    for kind, name in (("torch", "torch fp32"), ("onnx", "onnx fp32")):
        if kind == "onnx":
            need(kind)
        arguments = ["predict", "--whole", "--no-figure", str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]
        done = CliRunner().invoke(cli, [*arguments, "--weights", str(tiny_weights), "--runtime", kind])
        assert done.exit_code == 0 and done.stdout.endswith(f"; results in {tmp_path / 'out'} ({name})\n"), done.output
