"""The four ablations: what their recipes change, line by line, and the command that runs them."""

from __future__ import annotations

import difflib
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from liftwild.evaluation.predictions import read_predictions
from liftwild.training.recipe import load_recipe
from tests.support.paths import ROOT
from tests.support.stores import write_store

RECIPES = ROOT / "recipes"
# What the paper changes in stages 2 and 3, as lines of the recipe.
ON_3D = [("ratio_3d = 0.5", "ratio_3d = 1.0")] * 2
ON_3D_IMAGES = [("", 'geometric_on = "3d"')]
NAMES = ("3d-wo-geo", "3d-w-geo", "3d-2d-wo-geo", "3d-2d-w-geo")
# The geometric loss beside the depth loss is a tenth of it in both; cross-entropy wants both ten times as large.
GEOMETRIC, OPEN_GEOMETRIC = 0.01, 0.1


def expected(name: str, weight: float) -> list[tuple[str, str]]:
    """Lines that the paper changes for one of the four, where the geometric loss weighs so much."""
    found = ON_3D if name.startswith("3d-w") else []
    found = found + ([(f"geometric_weight = {weight}", "geometric_weight = 0.0")] if "-wo-" in name else [])
    return found + (ON_3D_IMAGES if name == "3d-w-geo" else [])


def lines(path: Path) -> list[str]:
    """What counts in a recipe: no comments, no empty lines, and not its name, which comes first."""
    found = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert found[0].startswith("name = ")
    return found[1:]


def changes(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    """Pairs of lines (before, after) that differ, "" where there is none."""
    found = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            pairs = max(b - a, d - c)
            old, new = before[a:b] + [""] * pairs, after[c:d] + [""] * pairs
            found += [(old[i], new[i]) for i in range(pairs)]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_recipes_differ_as_the_paper_says(name: str) -> None:
    paper, own = RECIPES / "paper.toml", RECIPES / "ablation" / f"{name}.toml"
    assert changes(lines(paper), lines(own)) == expected(name, GEOMETRIC)
    method = RECIPES / "ablation/open/3d-2d-w-geo.toml"
    assert changes(lines(method), lines(RECIPES / "ablation/open" / f"{name}.toml")) == expected(name, OPEN_GEOMETRIC)


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
    spec = importlib.util.spec_from_file_location("ablation", ROOT / "experiments/ablation.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    train = module.train

    def watched(recipe, folder, **options):  # type: ignore[no-untyped-def]
        begun.append(f"{folder.parent.name}/{folder.name}")
        if len(begun) == 3:
            train(recipe, folder, **options, stop_after=1)
            raise KeyboardInterrupt
        return train(recipe, folder, **options)

    monkeypatch.setattr(module, "train", watched)
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
    tables = {name: module.read_table(RECIPES / "ablation/open" / f"{name}.toml") for name in NAMES}
    assert module.common_stages([table["stages"] for table in tables.values()]) == 2
    table = tables["3d-w-geo"]
    total = sum(stage["images"] for stage in table["stages"])
    module.budget(table, total // 10)
    assert [stage["images"] for stage in table["stages"]] == [4800, 320, 1280, 480]
    assert [stage.get("warmup", 0) for stage in table["stages"]] == [30, 4, 16, 0]
