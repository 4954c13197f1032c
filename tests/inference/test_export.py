"""``liftwild export``: the file says what it is, gives torch's answer, and is not written otherwise."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from liftwild import Estimator, __version__
from liftwild.cli.main import cli
from liftwild.errors import LiftwildError
from liftwild.inference import export as command
from liftwild.inference import export_file as module
from liftwild.inference.decoding import Outputs
from liftwild.inference.runtimes import RUNTIMES, open_runtime
from liftwild.inference.torch_runtime import hash_of
from liftwild.network.posenet import PoseNet
from liftwild.skeleton import MPII_16
from liftwild.weights import load_weights, save_weights
from tests.support.calibrations import calibration
from tests.support.commands import export
from tests.support.files import names
from tests.support.images import picture
from tests.support.networks import TINY
from tests.support.paths import ROOT

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'liftwild[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: pip install 'liftwild[onnx]'")


def need_openvino() -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'liftwild[openvino]'")


@pytest.fixture(scope="module")
def exported(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny.onnx and, where OpenVINO is installed, tiny.xml."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "trial_crops", lambda side: picture(side, side)[None])
        assert export(tiny_weights, "--to", "onnx", "-o", folder / "tiny.onnx").exit_code == 0
        try:
            import openvino  # noqa: F401
        except ImportError:
            return folder
        assert export(tiny_weights, "--to", "openvino", "-o", folder / "tiny.xml").exit_code == 0
    return folder


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to damage."""
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_the_shipped_weights_as_the_docs_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Export, the comparison with torch on rendered people, and examples/onnx_alone.py on the file."""
    monkeypatch.chdir(tmp_path)
    done = export("small", "--to", "onnx")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("small in small.onnx, ") and names(tmp_path) == ["small.onnx"]
    cells = re.search(r"^\| onnx fp32 \| (\S+) \| (\S+) \| (\S+) \| (\S+) \| (\d+) of 256 \|$", done.stdout, re.M)
    assert cells is not None and all(0 < float(number) < 1e-4 for number in cells.groups()[:4]) and cells[5] == "0"
    script = (ROOT / "examples" / "onnx_alone.py").read_text(encoding="utf-8")
    assert not re.search(r"^ *(import|from) (liftwild|torch)", script, re.MULTILINE)
    (tmp_path / "person.jpg").write_bytes((ROOT / "examples" / "person.jpg").read_bytes())
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    lines = [re.sub(r"[\[\]]", "", line).split() for line in ran.stdout.splitlines()]
    assert [line[0] for line in lines] == list(MPII_16.names)
    found = np.array([[float(number) for number in line[1:]] for line in lines])
    (pose,) = Estimator("small", "cpu", runtime="torch").predict(ROOT / "examples" / "person.jpg", whole=True)
    assert np.linalg.norm(found - pose.joints_3d, axis=1).max() < 3  # rounded to mm
    (same,) = Estimator("small.onnx", runtime="onnx").predict(ROOT / "examples" / "person.jpg", whole=True)
    np.testing.assert_allclose(same.joints_3d, pose.joints_3d, atol=0.1)
    np.testing.assert_allclose(same.confidence, pose.confidence, atol=1e-4)


@pytest.mark.parametrize("name", ["tiny.onnx", "tiny.xml"])
def test_an_export_is_taken_like_weights(name: str, exported: Path, tiny_weights: Path) -> None:
    if name.endswith("xml"):
        need_openvino()
    own = Estimator(tiny_weights, "cpu", flip_test=True, runtime="torch")
    kind = "onnx" if name.endswith("onnx") else "openvino-fp32"
    other = Estimator(exported / name, flip_test=True, runtime=kind)
    assert other.card == own.card and other.input_px == 64 and other.confidence_is == own.confidence_is
    boxes = [(3.0, 4.0, 30.0, 50.0), (20.0, 5.0, 40.0, 41.0)]
    for one, same in zip(own.predict(picture(), boxes), other.predict(picture(), boxes), strict=True):
        np.testing.assert_allclose(one.joints_2d, same.joints_2d, atol=1e-9)
        np.testing.assert_allclose(one.joints_3d, same.joints_3d, atol=0.1)
        np.testing.assert_allclose(one.confidence, same.confidence, atol=1e-4)
    assert Estimator(exported / name).runtime_name.partition(" ")[0] in ("openvino", "onnx")
    with pytest.raises(LiftwildError, match=r"not by torch$"):
        Estimator(exported / name, runtime="torch")


def test_what_is_in_the_files(exported: Path, tiny_weights: Path) -> None:
    _, card = load_weights(tiny_weights)
    abouts = [{each.key: each.value for each in onnx.load(exported / "tiny.onnx").metadata_props}]
    if (exported / "tiny.xml").exists():
        import openvino

        info = openvino.Core().read_model(exported / "tiny.xml").get_rt_info()["liftwild"]
        abouts.append({name: value.astype(str) for name, value in info.items()})
        digest = abouts[1].pop("bin_sha256")
        assert digest == hashlib.sha256((exported / "tiny.bin").read_bytes()).hexdigest()
        assert abouts[1] == abouts[0]
    about = abouts[0]
    assert (about["format"], about["version"], about["liftwild"]) == ("liftwild-export", "1", __version__)
    assert (about["precision"], about["input_px"]) == ("fp32", "64")
    assert json.loads(about["joint_names"]) == list(MPII_16.names)
    assert json.loads(about["card"]) == card and json.loads(about["sum_length_mm"]) == 4000
    assert about["normalisation"] == "inside the graph: x / 255 - 0.5" and "mm" in about["units"]
    text = (ROOT / "docs" / "runtimes.md").read_text(encoding="utf-8")
    assert [name for name in about if f"`{name}`" not in text] == []
    assert [kind for kind in RUNTIMES if f"`{kind}`" not in text] == []
    session = onnxruntime.InferenceSession(exported / "tiny.onnx")
    assert [(each.name, each.type, each.shape) for each in session.get_inputs()] == [
        ("crops", "tensor(uint8)", ["people", 64, 64, 3])
    ]
    onnx.checker.check_model(onnx.load(exported / "tiny.onnx"), full_check=True)


def test_a_calibration_travels_along(tmp_path: Path, quick: None) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        card = {"sum_length_mm": 4000.0, "calibration": calibration().card()}
        save_weights(tmp_path / "a.safetensors", PoseNet(TINY).eval(), card)
    assert export(tmp_path / "a.safetensors", "--to", "onnx", "-o", tmp_path / "a.onnx").exit_code == 0
    own, other = Estimator(tmp_path / "a.safetensors", "cpu"), Estimator(tmp_path / "a.onnx")
    assert own.calibration is not None and other.calibration is not None
    stated = other.calibration.confidence(np.ones(16))
    np.testing.assert_array_equal(own.calibration.confidence(np.ones(16)), stated)
    assert len(np.unique(stated)) == 16


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_what_differs_is_not_written(
    to: str, tmp_path: Path, tiny_weights: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if to == "openvino":
        need_openvino()
    real = command.graph_of

    def wrong(net: PoseNet) -> bytes:
        state = net.depth.linear.bias.clone()
        net.depth.linear.bias += 0.002
        graph = real(net)
        net.depth.linear.bias.copy_(state)
        return graph

    monkeypatch.setattr(command, "graph_of", wrong)
    done = export(tiny_weights, "--to", to, "-o", tmp_path / f"x{module.SUFFIX[to]}")
    assert done.exit_code == 1 and names(tmp_path) == []
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "is not written" in done.stderr and "2.0e-03 in depths" in done.stderr and "0.001" in done.stderr


def test_nan_is_a_difference(tiny_weights: Path) -> None:
    class Broken:
        name, input_px, subpixel = "broken", 64, False

        def __call__(self, crops: np.ndarray) -> Outputs:
            return Outputs(
                np.full((len(crops), 16, 16, 16), np.nan, np.float32), np.zeros((len(crops), 16), np.float32)
            )

        def fingerprint(self) -> str:
            return ""

    net, _ = load_weights(tiny_weights)
    before = hash_of(net)
    assert not module.difference(net, Broken(), picture(64, 64)[None]).is_small
    assert hash_of(net) == before


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def broken_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that are no good export, each with words of its error."""
    whole = (folder / "tiny.onnx").read_bytes()
    for name, content, words in (
        ("bomb.onnx", pickle.dumps(Bomb(folder / "exploded")), "bomb.onnx cannot be run"),
        ("text.onnx", b"hello", "text.onnx cannot be run"),
        ("empty.onnx", b"", "empty.onnx cannot be run"),
        ("cut.onnx", whole[: len(whole) // 2], "cut.onnx cannot be run"),
    ):
        (folder / name).write_bytes(content)
        yield folder / name, words
    yield folder / "none.onnx", "no file"
    for name, changes, words in (
        ("foreign.onnx", None, "was not written by 'liftwild export'"),
        ("newer.onnx", {"version": "2"}, "was not written by 'liftwild export', version 1"),
        ("nocard.onnx", {"card": "{}"}, "does not say its joints and units"),
        (
            "joints.onnx",
            {"card": json.dumps({"format": "liftwild-weights", "joint_names": ["a"]})},
            "sum_length_mm is missing",
        ),
    ):
        model = onnx.load_from_string(whole)
        about = {each.key: each.value for each in model.metadata_props}
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, {} if changes is None else {**about, **changes})
        (folder / name).write_bytes(model.SerializeToString())
        yield folder / name, words
    if not (folder / "tiny.xml").exists():
        return
    xml, bin_ = ((folder / f"tiny.{end}").read_bytes() for end in ("xml", "bin"))
    for name, text, beside, words in (
        ("alone", xml, None, "alone.xml has no alone.bin beside it"),
        ("other", xml, bin_[:-1] + bytes([bin_[-1] ^ 1]), "other.bin is not the one"),
        ("short", xml, bin_[:100], "cannot be run"),
        ("cut", xml[: len(xml) // 2], bin_, "cannot be run"),
        ("words", b"hello", bin_, "cannot be run"),
    ):
        (folder / f"{name}.xml").write_bytes(text)
        if beside is not None:
            (folder / f"{name}.bin").write_bytes(beside)
        yield folder / f"{name}.xml", words


def test_a_broken_or_foreign_file_is_one_line(copied: Path) -> None:
    for path, words in broken_files(copied):
        with pytest.raises(LiftwildError) as caught:
            Estimator(path)
        assert words in str(caught.value) and path.name in str(caught.value), caught.value
        assert "\n" not in str(caught.value)
    assert not (copied / "exploded").exists()
    done = CliRunner().invoke(
        cli, ["predict", "x.jpg", "-o", str(copied / "o"), "--weights", str(copied / "text.onnx")]
    )
    assert done.exit_code == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_only_exports_are_replaced(copied: Path, tiny_weights: Path, quick: None) -> None:
    before = (copied / "tiny.onnx").stat().st_mtime_ns
    assert export(tiny_weights, "--to", "onnx", "-o", copied / "tiny.onnx").exit_code == 0
    assert (copied / "tiny.onnx").stat().st_mtime_ns > before
    (copied / "mine.onnx").write_bytes(b"mine")
    (copied / "model.bin").write_bytes(b"mine")
    for to, name, words in (
        ("onnx", "mine.onnx", "mine.onnx exists and is no export of liftwild"),
        ("openvino", "model.xml", "model.bin exists and is no export of liftwild"),
        ("onnx", "x.xml", "an export to onnx is named x.onnx"),
        ("openvino", "x.onnx", "an export to openvino is named x.xml"),
        ("onnx", "none/x.onnx", "no folder"),
    ):
        done = export(tiny_weights, "--to", to, "-o", copied / name)
        assert done.exit_code == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.output
    assert (copied / "mine.onnx").read_bytes() == (copied / "model.bin").read_bytes() == b"mine"
    done = export(copied / "tiny.onnx", "--to", "onnx", "-o", copied / "y.onnx")
    assert done.exit_code == 1 and "is an exported file" in done.stderr
    done = export(tiny_weights, "--to", "onnx", "-o", copied / "y.onnx", "--photos", copied)
    assert done.exit_code == 1 and "--int8" in done.stderr and not (copied / "y.onnx").exists()


def test_an_export_that_is_interrupted_leaves_nothing(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(side: int) -> np.ndarray:
        return picture(side, side)[None]

    def stop(*arguments: object) -> None:
        assert names(tmp_path) != []  # it has been written, under another name
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "trial_crops", interrupted)
    monkeypatch.setattr(module, "difference", stop)
    assert export(tiny_weights, "--to", "onnx", "-o", tmp_path / "x.onnx").exit_code == 130
    assert names(tmp_path) == []


def test_runtimes_of_a_file(exported: Path) -> None:
    with pytest.raises(LiftwildError, match="computed on the CPU, not on meta"):
        open_runtime(exported / "tiny.onnx", device="meta")
    if (exported / "tiny.xml").exists():
        with pytest.raises(LiftwildError, match=r"tiny\.xml is run by openvino, not by onnx"):
            open_runtime(exported / "tiny.xml", "onnx")
        assert open_runtime(exported / "tiny.onnx", "openvino")[0].name.startswith("openvino")
