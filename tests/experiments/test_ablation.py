"""The four ablations: what their recipes change, line by line, and the command that runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from liftwild.evaluation.predictions import read_predictions
from liftwild.training.recipe_file import load_recipe, read_table
from tests.support.paths import ROOT
from tests.support.scripts import load_script
from tests.support.stores import write_store

RECIPES = ROOT / "recipes"
NAMES = ("3d-wo-geo", "3d-w-geo", "3d-2d-wo-geo", "3d-2d-w-geo")
# The geometric loss beside the depth loss is a tenth of it in both; cross-entropy wants both ten times as large.
GEOMETRIC, OPEN_GEOMETRIC = 0.01, 0.2


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What differs between two recipes beside their names: the entries of each stage, and of the rest."""
    assert len(before["stages"]) == len(after["stages"])
    pairs = [(old["name"], old, new) for old, new in zip(before["stages"], after["stages"], strict=True)]
    rest = [
        {name: value for name, value in table.items() if name not in ("name", "stages")} for table in (before, after)
    ]
    found = {where: {name: new[name] for name in new if new[name] != old.get(name)} for where, old, new in pairs}
    return {where: entries for where, entries in found.items() if entries} | (
        {"rest": {}} if rest[0] != rest[1] else {}
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method, folder", [("paper", "ablation"), ("ablation/open/3d-2d-w-geo", "ablation/open")])
def test_recipes_differ_as_the_paper_says(name: str, method: str, folder: str) -> None:
    expected: dict[str, dict[str, Any]] = {}
    if name.startswith("3d-w"):
        expected = {"2D and depth": {"ratio_3d": 1.0}, "geometry": {"ratio_3d": 1.0}}
    if "-wo-" in name:
        expected.setdefault("geometry", {})["geometric_weight"] = 0.0
    if name == "3d-w-geo":
        expected["geometry"]["geometric_on"] = "3d"
    tables = [read_table(RECIPES / f"{path}.toml") for path in (method, f"{folder}/{name}")]
    assert changes(*tables) == expected


@pytest.mark.parametrize("name", NAMES)
def test_recipes_mean_what_the_paper_says(name: str) -> None:
    paper = load_recipe(RECIPES / "paper.toml")
    own = load_recipe(RECIPES / "ablation" / f"{name}.toml")
    open_one = load_recipe(RECIPES / "ablation/open" / f"{name}.toml", {"photos": "x.arrow"})
    assert (own.name, open_one.name) == (name, f"open-{name}")
    assert own.stages[0] == paper.stages[0] and own.stores == paper.stores and own.augment_2d == paper.augment_2d
    for stages, weight in ((own.stages[1:], GEOMETRIC), (open_one.stages[2:], OPEN_GEOMETRIC)):
        assert {stage.ratio_3d for stage in stages} == {1.0 if name.startswith("3d-w") else 0.5}
        assert [stage.geometric_weight for stage in stages] == [0, 0.0 if "-wo-" in name else weight]
        assert all(stage.depth_weight == pytest.approx(10 * weight) for stage in stages)
        if name == "3d-w-geo":
            assert stages[1].geometric_on == "3d"
    assert open_one.stages[0].ratio_3d == 0 and open_one.network.input_px == 128


def script() -> ModuleType:
    """experiments/ablation.py."""
    return load_script(ROOT / "experiments/ablation.py")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The open recipes with a network and batches that take no time."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    size = "stacks = 1\nblocks = 1\nfeatures = 16\nstem = 8\ninput_px = 64\ndepth_norm = true\nsoftmax = true"
    for name in NAMES:
        text = (RECIPES / "ablation/open" / f"{name}.toml").read_text()
        text = re.sub(r"stacks = 1\n(\w+ = \w+\n)+", f"{size}\n", text)
        text = re.sub("batch_size = (16|32)", "batch_size = 4", text)
        (folder / f"{name}.toml").write_text(text)
    return folder


def test_all_four_from_nothing_to_the_report(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, out = script(), tmp_path / "out"
    for name in ("lab-test", "wild-test", "lab"):  # rendering is tested elsewhere
        (out / "stores").mkdir(parents=True, exist_ok=True)
        write_store(out / "stores" / f"{name}.arrow", 6, True, seed=len(name))
    photos = write_store(tmp_path / "photos.arrow", 6, False, seed=9)
    real = write_store(tmp_path / "real.arrow", 3, True, seed=4)
    arguments = [
        "--out", out, "--store", photos, "--real", real, "--seeds", 2, "--images", 40, "--recipes", tiny,
        "--precision", "32-true", "--accelerator", "cpu", "--workers", 0,
    ]  # fmt: skip
    begun: list[str] = []
    train = module.train_recipe

    def watched(recipe, folder, **options):  # type: ignore[no-untyped-def]
        begun.append(f"{folder.parent.name}/{folder.name}")
        if len(begun) == 3:
            train(recipe, folder, **options, stop_after=1)
            raise KeyboardInterrupt
        return train(recipe, folder, **options)

    monkeypatch.setattr(module, "train_recipe", watched)
    with pytest.raises(SystemExit, match="the same command goes on"):
        module.main([str(argument) for argument in arguments])
    assert begun == ["common/seed-0", "3d-wo-geo/seed-0", "3d-w-geo/seed-0"]
    module.main([str(argument) for argument in arguments])
    assert begun[3:5] == ["3d-w-geo/seed-0", "3d-2d-wo-geo/seed-0"] and len(begun) == 11
    text = (out / "report/report.md").read_text()
    for words in (
        "ours: open-3d-2d-w-geo, 2 runs",
        "real: open protocol",
        "wild-test: open protocol",
        "| 64.90 |",
        "±",
    ):
        assert words in text
    assert "| 3D+2D: with geo minus without |" in text and "differences within a seed" in text
    # One seed, one beginning; the depth and geometry that follow differ.
    cards = [json.loads((out / name / "seed-1/weights.json").read_text()) for name in NAMES]
    assert {card["from"] for card in cards} == {str(out / "common/seed-1")} and {card["seed"] for card in cards} == {1}
    found = [read_predictions(out / name / "seed-0/preds.arrow") for name in NAMES]
    assert len({one.about["weights"]["sha256"] for one in found}) == 4
    module.main([str(argument) for argument in arguments])  # nothing is left to do
    assert len(begun) == 11
    report = (out / "report/report.md").stat().st_mtime_ns
    module.main([*(str(argument) for argument in arguments), "--only-seed", "1"])
    assert len(begun) == 11 and (out / "report/report.md").stat().st_mtime_ns == report
    capsys.readouterr()
    with pytest.raises(SystemExit, match="was trained with another budget, recipe or data; choose another --out"):
        module.main([str(argument).replace("40", "80") if argument == 40 else str(argument) for argument in arguments])


def test_budgets_and_what_is_alike() -> None:
    module = script()
    tables = {name: read_table(RECIPES / "ablation/open" / f"{name}.toml") for name in NAMES}
    assert module.common_stages([table["stages"] for table in tables.values()]) == 2
    table = tables["3d-w-geo"]
    total = sum(stage["images"] for stage in table["stages"])
    module.budget(table, total // 10)
    assert [stage["images"] for stage in table["stages"]] == [4800, 320, 1280, 480]
    assert [stage.get("warmup", 0) for stage in table["stages"]] == [30, 4, 16, 0]
