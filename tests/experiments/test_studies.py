"""experiments/adapt_study.py: nested subsets, what is done is not done again, and what it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import pytest

from liftwild.data.readers.coco import read_labels
from tests.support.paths import ROOT
from tests.support.scripts import load_script
from tests.support.stores import write_store
from tests.support.training import adapt_recipe, to_toml, write_labelled_photos


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """The script as a module."""
    return load_script(ROOT / "experiments" / "adapt_study.py")


def test_a_study(
    study: ModuleType, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    photos, val = write_labelled_photos(tmp_path / "train", 12), write_labelled_photos(tmp_path / "test", 3)
    (tmp_path / "recipe.toml").write_text(to_toml(adapt_recipe(tmp_path)))
    also = write_store(tmp_path / "also.arrow", 4, with_3d=True)
    out = tmp_path / "out"
    given = ["--from", tiny_weights, "--photos", *photos, "--val", *val, "--images", 8, "--also", also, "--out", out,
             "--recipe", tmp_path / "recipe.toml", "--accelerator", "cpu", "--workers", 0]  # fmt: skip

    def run(*more: object) -> None:
        study.main([str(word) for word in (*given, *more)])

    run("--counts", "8,4")
    rows = json.loads((out / "study.json").read_text())
    assert [(row["photos"], row["store"]) for row in rows] == [(n, s) for n in (0, 4, 8) for s in ("val", "also")]
    assert all({"pck_torso", "sides_swapped", "symmetry_mm", "symmetry_percent"} <= set(row) for row in rows)
    assert ["mpjpe_mm" in row and "pa_mpjpe_mm" in row for row in rows] == [False, True] * 3
    four, eight = ({p.file_name for p in read_labels(out / n / "labels.json")[0]} for n in ("4", "8"))
    assert len(four) == 4 and len(eight) == 8 and four < eight
    lines = (out / "study.md").read_text().splitlines()
    assert len(lines) == 8 and lines[2].startswith("| val (4) | before | ") and lines[6].startswith("| also (4) | 4 | ")
    assert cv2.imread(str(out / "study.png")).shape[1] > 1200  # five charts in a row

    # Once more with another count: only that one is trained.
    before = {path: path.stat().st_mtime_ns for path in (*out.glob("[48]/*.safetensors"), out / "before.arrow")}
    trained = []
    real = study.train_recipe
    monkeypatch.setattr(
        study, "train_recipe", lambda recipe, out, **how: (trained.append(out.name), real(recipe, out, **how))
    )
    run("--counts", "4,8,all")
    assert trained == ["12"] and {path: path.stat().st_mtime_ns for path in before} == before
    assert [row["photos"] for row in json.loads((out / "study.json").read_text())] == [0, 0, 4, 4, 8, 8, 12, 12]

    for more, words in (
        (["--counts", "13"], "has 12 photos that can be used; say all"),
        (["--counts", "some"], "wants numbers above 0 and all"),
        (["--counts", "4", "--images", "9"], "was begun with another images, recipe"),
    ):
        with pytest.raises(SystemExit, match=words):
            run(*more)
    assert "training on 12 photos" in capsys.readouterr().err


def test_stages_are_scaled_in_proportion(study: ModuleType) -> None:
    recipe = {"stages": [{"images": 900, "warmup": 20, "lr": 1.0}, {"iterations": 10, "batch_size": 10, "lr": 2.0}]}
    assert study.scaled(recipe, 100)["stages"] == [
        {"images": 90, "warmup": 2, "lr": 1.0}, {"images": 10, "batch_size": 10, "lr": 2.0},
    ]  # fmt: skip


def test_confidence_is_measured_on_whole_photos(tmp_path: Path) -> None:
    """experiments/coco_study.py on the example, whose joints are right: counted by hand, and nobody is an error."""
    script, photos = ROOT / "experiments" / "coco_study.py", ROOT / "examples"
    done = subprocess.run(
        [sys.executable, script, "--photos", photos / "person.json", photos], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 people, 1 with a torso; torch fp32\n")
    labels = json.loads((photos / "person.json").read_text())
    (person,) = labels["annotations"]
    names = labels["categories"][0]["keypoints"]
    limbs = [n for n, name in enumerate(names) if name.partition("_")[0] in ("left", "right")]
    hidden = sum(person["keypoints"][3 * n + 2] == 1 for n in limbs)
    for what, count in (("visible", 12 - hidden), ("hidden", hidden)):
        (line,) = [each for each in done.stdout.splitlines() if each.startswith(f"| labelled as {what} | inside")]
        assert line.split("|")[3].strip() == str(count)
        assert count == 0 or float(line.split("|")[5]) >= 75
    person["bbox"][3] = 10.0
    (tmp_path / "small.json").write_text(json.dumps(labels))
    none = subprocess.run(
        [sys.executable, script, "--photos", tmp_path / "small.json", photos], capture_output=True, text=True
    )
    assert none.returncode == 1 and "nobody" in none.stderr and "Traceback" not in none.stderr
