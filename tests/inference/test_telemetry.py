"""OpenVINO's reports of usage: no event, no process for it, nothing in the home folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ENVIRONMENT
from tests.support.images import encode, picture
from tests.support.paths import ROOT, SRC

# What stands in for OpenVINO's package of reports: it says that it was imported.
REPORTER = """\
import os
open(os.environ["REPORTED"], "a").write("imported\\n")
class Telemetry:
    def __init__(self, *args, **kwargs): ...
    def send_event(self, *args, **kwargs): ...
"""
PHOTO = ("predict", "photo.jpg", "--whole", "--runtime", "openvino-fp32", "--weights", "tiny.safetensors", "-o", "out")
EXPORT = ("export", "tiny.safetensors", "-o", "out/tiny.xml", "--to", "openvino")


@pytest.fixture
def folder(tmp_path: Path, tiny_weights: Path) -> Path:
    """A photo, weights, an empty home, and a package ``openvino_telemetry`` that leaves a note."""
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    (tmp_path / "photo.jpg").write_bytes(encode(".jpg", picture()))
    for suffix in (".safetensors", ".json"):
        shutil.copy(tiny_weights.with_suffix(suffix), tmp_path / f"tiny{suffix}")
    (tmp_path / "reporter" / "openvino_telemetry" / "backend").mkdir(parents=True)
    (tmp_path / "reporter" / "openvino_telemetry" / "__init__.py").write_text(REPORTER)
    (tmp_path / "reporter" / "openvino_telemetry" / "backend" / "__init__.py").write_text("backend_ga4 = None\n")
    for name in ("home", "out"):
        (tmp_path / name).mkdir()
    return tmp_path


def run(folder: Path, *arguments: str, reporter: bool = True) -> None:
    """Python with ``arguments`` in the folder, which is to end well."""
    path = f"{folder / 'reporter'}:{SRC}" if reporter else str(SRC)
    environment = {**ENVIRONMENT, "PYTHONPATH": path, "HOME": str(folder / "home"), "REPORTED": str(folder / "note")}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_openvino_imported_as_it_is_would_report(folder: Path) -> None:
    run(folder, sys.executable, "-c", "import openvino")
    assert (folder / "note").exists()  # else the tests below prove nothing


@pytest.mark.parametrize("command", (PHOTO, EXPORT), ids=lambda command: command[0])
def test_nothing_is_reported(folder: Path, command: tuple[str, ...]) -> None:
    run(folder, sys.executable, "-m", "liftwild", *command)
    assert list((folder / "out").iterdir())
    assert not (folder / "note").exists()
    assert not list((folder / "home").iterdir())


def test_no_network_call_is_made(folder: Path) -> None:
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    trace = folder / "trace"
    tracing = ("strace", "-f", "--seccomp-bpf", "-e", "trace=socket,connect,sendto,sendmmsg", "-o", str(trace))
    run(folder, *tracing, sys.executable, "-m", "liftwild", *PHOTO, reporter=False)
    calls = [line for line in trace.read_text().splitlines() if "AF_INET" in line or "sendmmsg" in line]
    assert not calls, calls[:3]
    assert not list((folder / "home").iterdir())


def test_openvino_is_imported_in_one_place() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for part in ("src", "benchmarks", "scripts", "experiments")
        for path in (ROOT / part).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"^\s*(import|from) openvino\b|import_module\(.openvino|__import__\(.openvino", line)
    ]
    assert len(found) == 1 and found[0].startswith("src/liftwild/inference/openvino_runtime.py:"), found
