"""What the README prints runs as printed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import liftwild
from liftwild import Estimator
from liftwild.data.readers.coco import read_labels
from liftwild.evaluation.metrics import mpjpe, pck_torso, scale_to_bone_sum
from liftwild.skeleton import PELVIS
from liftwild.weights_files import find_weights, shipped_names
from tests.support.paths import ROOT, SRC

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SRC)}


@pytest.fixture(scope="module")
def readme() -> str:
    """The README's text."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(readme: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len([line for line in example.splitlines() if line]) == 4
    photo = str(ROOT / "examples" / "person.jpg")
    code = example.replace("examples/person.jpg", photo)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 3 and (tmp_path / "person.bvh").read_text().startswith("HIERARCHY")


def test_the_call_and_the_command_give_the_same_clip(readme: str, tmp_path: Path) -> None:
    """The README's command and its Python call, on its clip, to the byte."""
    (command,) = re.findall(r"^(liftwild predict examples/clip.mp4.*?)\s*#", readme, flags=re.MULTILINE)
    words = command.replace("-o out", f"-o {tmp_path}").split()
    subprocess.run([sys.executable, "-m", "liftwild", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    assert {"clip.json", "clip.csv", "clip.html", "clip.person0.bvh"} <= {path.name for path in tmp_path.iterdir()}
    recording = liftwild.predict(ROOT / "examples" / "clip.mp4")
    for suffix in (".json", ".csv"):
        recording.save(tmp_path / f"mine{suffix}")
        assert (tmp_path / f"mine{suffix}").read_bytes() == (tmp_path / f"clip{suffix}").read_bytes()


def test_links_and_pictures_are_there(readme: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / target).is_file(), target


def test_the_default_weights_ship(readme: str) -> None:
    assert shipped_names() == ["base", "base-research", "small"]
    assert {find_weights(name).stem for name in shipped_names()} == set(shipped_names())


@pytest.mark.parametrize("weights", ["base", "base-research", "small"])
def test_the_shipped_weights_find_the_person_of_the_demo(weights: str) -> None:
    (person,), skips = read_labels(ROOT / "examples" / "person.json")
    assert not skips
    (pose,) = Estimator(weights).predict(ROOT / "examples" / "person.jpg", whole=True)
    assert pck_torso(pose.joints_2d[None], person.joints_2d[None], person.joints_2d_valid[None])[0] > 0.9
    true = person.joints_3d[None]
    assert mpjpe(scale_to_bone_sum(pose.joints_3d[None], true), true, root=PELVIS)[0] < 130


@pytest.mark.parametrize(
    ("weights", "said"), [(name, f"person-{name}.json") for name in ("base", "base-research", "small")]
)
def test_predict_says_of_the_shipped_picture_what_it_said(weights: str, said: str) -> None:
    """Golden, made with the shipped weights: other weights, another crop or decoding move it. Rounding may push a joint
    a little, not by cells (16 px here)."""
    golden = json.loads((ROOT / "tests/golden" / said).read_text())
    (pose,) = Estimator(weights, runtime="torch", device="cpu").predict(ROOT / "examples" / "person.jpg", whole=True)
    off_px = np.linalg.norm(pose.joints_2d - np.array(golden["joints_2d"]), axis=1)
    off_mm = np.linalg.norm(pose.joints_3d - np.array(golden["joints_3d"]), axis=1)
    assert off_px.mean() < 1 and off_px.max() < 8
    assert off_mm.mean() < 5


def test_docs_name_files_that_exist() -> None:
    pages = [page for page in (ROOT / "docs").glob("*.md") if page.name != "log.md"]  # history names what is gone
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), (page.name, target)
        for recipe in re.findall(r"recipes/[\w-]+\.toml", page.read_text(encoding="utf-8")):
            assert (ROOT / recipe).is_file(), (page.name, recipe)
