"""The commands that are ended from outside, their inputs, and what may lie in their folder afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.io.formats import FORMATS
from liftwild.network.posenet import PoseNet
from liftwild.training.checkpoint import check_whole
from liftwild.weights import save_weights
from tests.support.commands import ENVIRONMENT
from tests.support.h36m_layouts import write_h36m_folder
from tests.support.images import picture, write_photo
from tests.support.label_files import annotation, labels, write_labels
from tests.support.networks import TINY
from tests.support.paths import ROOT
from tests.support.rendered_datasets import FOLDERS
from tests.support.stores import write_store
from tests.support.training import tiny_recipe, to_toml
from tests.support.videos import BOX, write_video

NETWORK = "--weights IN/tiny.safetensors --runtime torch --device cpu"
EVERYTHING = ",".join((*FORMATS, "overlay"))
# By name: what is typed, where IN is the folder of the inputs and COUNT a number; results go into this folder.
COMMANDS = {
    "predict photos": f"predict IN/photos --whole {NETWORK} --format json,csv -o out",
    "predict clip": f"predict IN/clip.mp4 --box {BOX} {NETWORK} --format {EVERYTHING} --view -o out",
    "prepare coco": "prepare coco IN/labels.json IN/photos -o x.arrow",
    "prepare h36m": "prepare h36m IN/h36m -o x.arrow --split test",
    "render": "render wild -n COUNT --size 64 --processes 2 --pictures people --sheet x.png -o x.arrow",
    "train": "train IN/tiny.toml --out run --resume --accelerator cpu --precision 32-true --workers 1",
    "evaluate": "evaluate IN/tiny.safetensors IN/three.arrow -o x.arrow --card x.md --page page",
    "export onnx": "export IN/tiny.safetensors --to onnx -o x.onnx",
    "export openvino": "export IN/tiny.safetensors --to openvino -o x.xml",
    "report": "report IN/predictions.arrow -o report --card x.md --store IN/three.arrow",
}
# Files that only grow, and are gone on with, whatever stands at their end; and those that tell the time.
GROWING = re.compile(r"out/clip\.spool|run/log\.jsonl|run/tensorboard/.*")
DATED = re.compile(r"run/(weights|stages/\w+)\.json")
STAGE = ".liftwild-"
MOMENTS = int(os.environ.get("LIFTWILD_KILLS", "3"))  # at which each command is ended
LONG = MOMENTS > 3


@dataclass(frozen=True)
class Undisturbed:
    """A command, ``typed`` in words; the files that it leaves where nobody disturbs it, and how long it takes."""

    typed: list[str]
    files: dict[str, bytes]
    seconds: float


def make_inputs(folder: Path) -> None:
    """All inputs but ``predictions.arrow``."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_weights(folder / "tiny.safetensors", PoseNet(TINY).eval(), {"sum_length_mm": 4000.0})
    files = [f"{i}.png" for i in range(5)]
    for number, file in enumerate(files):
        write_photo(folder / "photos" / file, picture(240, 320, number))
    people = [annotation(i, i) for i in range(1, 6)]
    write_labels(folder / "labels.json", labels([*people, annotation(9, 1, iscrowd=1)], files=files))
    for key in FOLDERS[:3]:
        write_h36m_folder(folder / "h36m", key, 11)
    write_video(folder / "clip.mp4")
    three, two = write_store(folder / "three.arrow", 8, True), write_store(folder / "two.arrow", 8, False, 1)
    (folder / "tiny.toml").write_text(to_toml(tiny_recipe(three, two)))


class Server:
    """A process that runs commands as ``fork_server`` says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def run(self, arguments: Sequence[str], folder: Path, **how: Any) -> tuple[dict[str, Any], str]:
        """The server's answer to a job, ``code`` the exit code of the first, and what was said."""
        assert self.process.stdin is not None and self.process.stdout is not None
        said = folder.with_name(f"{folder.name}.said")
        said.unlink(missing_ok=True)
        job = {"arguments": arguments, "folder": str(folder), "said": str(said), **how}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        answer["code"] = answer["codes"][0]
        return answer, said.read_text(errors="replace") if said.exists() else ""


@contextmanager
def started_server() -> Iterator[Server]:
    """A server that is ready, until the block ends."""
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.fork_server"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield Server(process)
        assert process.stdin is not None
        process.stdin.close()


def contents(folder: Path) -> dict[str, bytes]:
    """The files below ``folder`` by their path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def half_files(folder: Path, whole: dict[str, bytes]) -> list[str]:
    """Files below ``folder`` that are neither those of an undisturbed run nor whole by their own reader."""
    half = []
    for name, content in contents(folder).items():
        if content == whole.get(name) or GROWING.fullmatch(name) or name.startswith(STAGE) or f"/{STAGE}" in name:
            continue
        path = folder / name
        try:
            if re.match(r"run/checkpoints/step-\d+/", name):
                check_whole(path.parent)
            elif name == "run/predictions.png":
                assert content.endswith(b"IEND\xaeB`\x82")
            elif name.startswith("x.arrow.parts/") and path.suffix == ".arrow":
                store = Store(path)
                assert all(len(store[i].image) for i in range(len(store)))
            elif DATED.fullmatch(name) or name == "x.arrow.parts/plan.json":
                json.loads(content)
            else:
                assert name.startswith("x.arrow.parts/") and path.suffix == ".incomplete"
        except (LiftwildError, ValueError, AssertionError) as error:
            half.append(f"{name}: {type(error).__name__} {error}")
    return half


def differences(folder: Path, whole: dict[str, bytes]) -> list[str]:
    """How ``folder`` differs from that of an undisturbed run; in bytes, but for files that tell the time."""
    found = contents(folder)
    changing = {name for name in {*found, *whole} if GROWING.fullmatch(name) or DATED.fullmatch(name)}
    events = re.compile(r"run/tensorboard/.*")
    lacking = {name for name in {*whole} - {*found} if not events.fullmatch(name)}
    more = {name for name in {*found} - {*whole} if not events.fullmatch(name)}
    others = {name for name in {*found} & {*whole} - changing if found[name] != whole[name]}
    lines = [
        f"{what} {name}" for what, names in (("lacks", lacking), ("more", more), ("other", others)) for name in names
    ]
    log = "run/log.jsonl"
    if log in found and log in whole and _steps(found[log]) != _steps(whole[log]):
        lines.append(f"other {log}")
    return lines


def _steps(log: bytes) -> list[dict[str, Any]]:
    """The rows of a training log without its speeds."""
    return [{**json.loads(line), "images_per_s": 0} for line in log.splitlines()]
