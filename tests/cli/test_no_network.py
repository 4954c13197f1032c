"""Commands where there is no network, and what no source may hold."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ENVIRONMENT
from tests.support.files import names
from tests.support.images import write_photo
from tests.support.paths import ROOT
from tests.support.stores import write_store
from tests.support.training import tiny_recipe, to_toml

SOURCES = [path for part in ("src", "scripts", "benchmarks") for path in sorted((ROOT / part).rglob("*.py"))]

# Runs commands one after the other, each as a user types it; the list of them is its argument.
RUNNER = """\
import json, socket, sys
try:
    socket.create_connection(("192.0.2.1", 80), 0.2)
except OSError as error:
    assert error.strerror == "Network is unreachable", error
from liftwild.cli.main import cli
for command in json.loads(sys.argv[1]):
    cli(command, standalone_mode=False)
"""


def test_commands_need_no_network(tmp_path: Path, tiny_weights: Path) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("unshare -rn, a process without network, is not allowed here")
    pytest.importorskip("lightning_fabric")
    write_photo(tmp_path / "photo.jpg")
    stores = write_store(tmp_path / "three.arrow", 6, True), write_store(tmp_path / "two.arrow", 6, False)
    recipe = to_toml(tiny_recipe(*stores, stages=[{"name": "all", "iterations": 2, "lr": 1e-3, "batch_size": 2}]))
    (tmp_path / "tiny.toml").write_text(recipe)
    commands = [
        ["predict", "photo.jpg", "-o", "out", "--view", "--weights", "small"],
        ["train", "tiny.toml", "--out", "run", "--workers", "1", "--accelerator", "cpu"],
        ["view", "out/photo.json", "-o", "page.html", "--no-open"],
        ["evaluate", "run", "three.arrow", "-o", "kept.arrow", "--device", "cpu"],
    ]
    command = ["unshare", "-rn", sys.executable, "-c", RUNNER, json.dumps(commands)]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert names(tmp_path / "out") == ["photo.html", "photo.json", "photo.png"]
    assert {"weights.safetensors", "log.jsonl"} <= set(names(tmp_path / "run"))
    assert (tmp_path / "kept.arrow").is_file() and (tmp_path / "page.html").is_file()


FORBIDDEN_MODULES = {
    "pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve",  # data that runs code
    "socket", "ssl", "http", "urllib", "ftplib", "smtplib", "telnetlib", "requests", "httpx", "aiohttp",
    "huggingface_hub",
}  # fmt: skip
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "builtins.eval", "builtins.exec", "os.system", "os.popen", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "torch.load", "torch.hub.load", "torch.jit.load", "pandas.read_pickle",
    "pd.read_pickle", "numpy.memmap.dump", "commands.getoutput", "subprocess.getoutput", "subprocess.getstatusoutput",
}  # fmt: skip
FORBIDDEN_OPTIONS = {"allow_pickle", "shell"}  # set to anything but False


def forbidden(source: str) -> list[str]:
    """What a source holds that may run what lies in a file, or reach a network: "line: what"."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
            calls = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [f"{node.lineno}: {call}" for call in calls if call in FORBIDDEN_CALLS]
        else:
            modules = []
        found += [f"{node.lineno}: {name}" for name in modules if name.partition(".")[0] in FORBIDDEN_MODULES]
        if isinstance(node, ast.Call):
            if (called := ast.unparse(node.func)) in FORBIDDEN_CALLS:
                found.append(f"{node.lineno}: {called}")
            for option in node.keywords:
                is_off = isinstance(option.value, ast.Constant) and option.value.value is False
                if option.arg in FORBIDDEN_OPTIONS and not is_off:
                    found.append(f"{node.lineno}: {option.arg}={ast.unparse(option.value)}")
    return found


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import loads", "from os import system", "eval('1')", "torch.load(path)",
     "np.load(path, allow_pickle=True)", "np.load(path, allow_pickle=other)", "subprocess.run('x', shell=True)",
     "yaml.load(text)", "os.system('x')", "import urllib.request", "def f():\n    exec(text)"],
)  # fmt: skip
def test_what_runs_code_is_found(source: str) -> None:
    assert forbidden(source)


@pytest.mark.parametrize("source", ["np.load(path, allow_pickle=False)", "re.compile('x')", "net.eval()", "import os"])
def test_what_is_harmless_is_not_found(source: str) -> None:
    assert not forbidden(source)


# What goes to a process of our own through its pipe, pickled as all of multiprocessing is: no file.
TO_OWN_PROCESSES = {"src/liftwild/processes.py": "pickle", "src/liftwild/synthetic/render/generate.py": "pickle"}
# The server listens, and asks nobody; addresses are taken apart, and numbers of answers have names.
OF_THE_SERVER = {
    "src/liftwild/app/connections.py": "socket", "src/liftwild/app/server.py": "socket",
    "src/liftwild/app/downloads.py": "urllib.parse", "src/liftwild/app/guard.py": "urllib.parse",
    "src/liftwild/app/problem.py": "http",
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_runs_code_from_a_file(path: Path) -> None:
    allowed = (TO_OWN_PROCESSES | OF_THE_SERVER).get(path.relative_to(ROOT).as_posix())
    found = [what for what in forbidden(path.read_text(encoding="utf-8")) if what.partition(": ")[2] != allowed]
    assert not found
