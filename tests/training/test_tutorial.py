"""docs/adapt.md as a user would type it, tiny; every documented command has the options that it is shown with."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from liftwild.cli.main import cli
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.training.recipe_file import find_recipe, load_recipe, shipped_recipes
from tests.support.networks import TINY
from tests.support.paths import ROOT


def commands(page: Path) -> list[list[str]]:
    """The lines of code blocks that call liftwild, as words."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("liftwild ")]


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name)
def test_documented_commands_and_options_exist(page: Path) -> None:
    for _, *words in commands(page):
        command: click.Command = cli
        while isinstance(command, click.Group):
            assert words[0] in command.commands, (page.name, words)
            command = command.commands[words.pop(0)]
        known = {name for param in command.params for name in param.opts} | {"-h", "--help"}
        for word in words:
            assert not re.match(r"--?[a-z]", word) or word.split("=")[0] in known, (page.name, word, words)


def test_the_tutorial(tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its commands in their order; labels.json and photos are the rendered people of its first step."""
    recipe = find_recipe("adapt").read_text()
    for name, value in {"count": 2, "images": 6, "batch_size": 4, "warmup": 1}.items():
        recipe, found = re.subn(rf"^{name} = \d+$", f"{name} = {value}", recipe, flags=re.MULTILINE)
        assert found
    (tmp_path / "tiny.toml").write_text(recipe)
    shutil.copy(ROOT / "examples" / "person.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    said: dict[str, str] = {}
    for _, *words in commands(ROOT / "docs" / "adapt.md"):
        if words[2].startswith(("cvat/", "studio/")):  # their layouts: test_labelling_tools.py
            continue
        if "labels.json" in words and not Path("photos").exists():
            shutil.copytree("try", "photos")
            Path("labels.json").write_bytes(Path("try/labels.json").read_bytes())
        own = {"adapt": "tiny.toml", "base": str(tiny_weights), "24": "12"}
        more = ["--size", "96"] if words[0] == "render" else []
        done = CliRunner().invoke(cli, [*(own.get(word, word) for word in words), *more])
        assert done.exit_code == 0, (words, done.output, done.exception)
        said[" ".join(words)] = done.output
    assert "12 people of 12 photos in check.arrow" in said["prepare coco labels.json photos -o check.arrow"]
    trained = said["train adapt --from base --photos labels.json photos --out runs/mine"]
    assert "photos_val " in trained and "rendered_val " in trained and trained.count(" -> ") >= 8
    assert len(Store("runs/mine/photos-val.arrow")) == 1
    assert all(Path(file).is_file() for file in ("before/chosen.jpg", "after/worst.jpg", "poses/photo.json"))


def test_recipes_go_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {path.stem for path in (ROOT / "recipes").glob("*.toml")} < set(shipped_recipes()) >= {"adapt", "paper"}
    assert load_recipe("ablation/3d-wo-geo").name == "3d-wo-geo" and "parts/rendered" not in shipped_recipes()
    assert load_recipe("adapt", network=TINY).name == "adapt"
    Path("own.toml").write_text("x = 1")
    assert find_recipe("own.toml") == Path("own.toml")
    with pytest.raises(LiftwildError, match=r"no recipe named 'adopt'; adapt, .* come with liftwild"):
        load_recipe("adopt")
    with pytest.raises(LiftwildError, match=r"cannot read recipe recipes/adapt.toml: .*; the one that ships is called"):
        load_recipe("recipes/adapt.toml")


def test_a_recipe_changes_stages_of_another(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('extends = "base"\nname = "own"\n[stages.heads]\ntrain = "all"\npretrained_share = 0.0\n')
    base, changed = load_recipe("base"), load_recipe(own)
    assert changed.stages[0] == base.stages[0] and changed.stores == base.stores
    assert changed.stages[1] == dataclasses.replace(base.stages[1], train="all", pretrained_share=0.0)
    own.write_text('extends = "base"\n[stages.head]\nlr = 1e-4\n')
    with pytest.raises(LiftwildError, match=r"own\.toml: no stage 'head' to change; stages are lifter, heads"):
        load_recipe(own)
    own.write_text("[network]\nsize = 'base'\n[stages.heads]\nlr = 1e-4\n")
    with pytest.raises(LiftwildError, match="stages must be a list"):
        load_recipe(own)


def test_the_recipe_in_the_docs(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "training.md").read_text(), flags=re.DOTALL)
    (tmp_path / "own.toml").write_text(block)
    heads = load_recipe(tmp_path / "own.toml").stages[-1]
    assert heads.train == "all" and heads.lr * heads.pretrained_lr == pytest.approx(2e-5)
