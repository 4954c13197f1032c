"""Recipes: those that ship, stages, schedules, and errors that name the entry."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from liftwild.errors import LiftwildError
from liftwild.network.posenet import SMALL, PoseNet
from liftwild.training.optimizer import make_optimizer
from liftwild.training.recipe_file import load_recipe, recipe_from_dict, shipped_recipes
from liftwild.training.stage import Stage
from tests.support.paths import ROOT
from tests.support.training import run, tiny_recipe


def test_schedules() -> None:
    step = Stage("s", 10, 1.0, schedule="step", lr_end=0.1)
    assert [step.lr_at(i) for i in (0, 7, 8, 9)] == [1.0, 1.0, 0.1, 0.1]
    cosine = Stage("c", 14, 1.0, schedule="cosine", lr_end=0.2, warmup=4)
    assert [cosine.lr_at(i) for i in (0, 3, 4, 9)] == pytest.approx([0.2, 0.8, 1.0, 0.6])
    assert Stage("g", 5, 1.0, sigma=2.0, sigma_end=1.0).heatmap_sigma_px(2) == 1.5


def test_shipped_recipes_are_sound() -> None:
    folder = ROOT / "recipes"
    for name in shipped_recipes():
        load_recipe(name, network=SMALL)
    with pytest.raises(LiftwildError, match="size is 'from': give the weights to begin with, --from"):
        load_recipe(folder / "adapt.toml")
    paper = load_recipe(folder / "paper.toml")
    rows = [(s.iterations, s.batch_size, s.lr, s.depth_weight, s.geometric_weight) for s in paper.stages]
    assert rows == [(240_000, 6, 2.5e-4, 0, 0), (200_000, 6, 2.5e-4, 0.1, 0), (40_000, 6, 2.5e-5, 0.1, 0.01)]
    assert [s.ratio_3d for s in paper.stages] == [0.0, 0.5, 0.5] and paper.optimizer.name == "rmsprop"
    assert (paper.network.stacks, paper.network.features, paper.network.depth_norm) == (2, 256, False)
    # Not blind over 480,000 steps, and in the paper's precision.
    assert (
        paper.val_every and [e.kind for e in paper.stores.values() if e.use == "val"] and paper.precision == "32-true"
    )


def test_a_stage_is_as_long_as_its_images(stores: tuple[Path, Path]) -> None:
    rows = [{"name": "a", "images": 41, "lr": 1e-3, "batch_size": 4}, {"name": "b", "images": 12, "lr": 1e-3}]
    recipe = recipe_from_dict(tiny_recipe(*stores, stages=rows))
    assert [stage.iterations for stage in recipe.stages] == [11, 2] and recipe.steps == 13


@pytest.mark.parametrize(
    "change, words",
    [
        ({"stages": []}, "no [[stages]]"),
        ({"sede": 3}, "unknown entry sede"),
        ({"seed": "three"}, "seed must be a whole number from 0"),
        ({"network": {"size": "huge"}}, "network.size 'huge' is unknown"),
        ({"network": {"stacks": 0}}, "network.stacks"),
        ({"augment_2d": {"flip_probability": 2}}, "augment_2d.flip_probability must be a number from 0 to 1, not 2"),
        ({"augment_2d": {"brightness": 0.4}}, "unknown entry augment_2d.brightness"),
        ({"network": {"softmax": True}, "stages": [{"name": "a", "iterations": 5, "lr": 1, "foreground_weight": 1}]},
         "stages[0] (a): foreground_weight is for squared error"),
        ({"network": {"fetures": 3}}, "unknown entry network.fetures"),
        ({"stages": [{"name": "a", "iterations": 5}]}, "stages[0].lr is missing"),
        ({"stages": [{"name": "a", "lr": 1e-3}]}, "stages[0]: give one of iterations and images, not none"),
        ({"stages": [{"name": "a", "iterations": 5, "images": 20, "lr": 1e-3}]}, "iterations and images, not both"),
        ({"stages": [{"name": "a", "images": 0, "lr": 1e-3}]}, "iterations"),
        ({"stages": [{"name": "a", "images": 1.5, "lr": 1e-3}]}, "stages[0].images must be a whole number"),
        ({"ema_decay": 1.0}, "ema_decay must be a number from 0 to 1, not 1.0"),
        ({"best": "two:pck_torso"}, "best = 'two:pck_torso': no val store 'two'; there is none"),
        ({"stores": {use: {"path": "x", "use": use} for use in ("2d", "3d", "val")}, "best": "val:pck"},
         "no metric 'pck'; metrics are pck_torso"),
        ({"stores": {"two": {"path": "x", "use": "2d", "render": "wild"}}}, "stores.two: render wants a count above 0"),
        ({"stores": {"two": {"path": "x", "use": "2d", "count": 8}}}, "count and backgrounds are for stores with"),
        ({"stores": {"two": {"path": "x", "use": "2d", "render": "zoo"}}}, "two.render must be one of wild, lab"),
        ({"augment_3d": {"occlusion": 1.5}}, "augment_3d.occlusion"),
        ({"stages": [{"name": "a", "iterations": 5, "lr": 1e-3, "schedule": "stairs"}]}, "stages[0].schedule"),
        ({"stages": [{"name": "a", "iterations": 0, "lr": 1e-3}]}, "iterations"),
        ({"stages": [{"name": "a", "iterations": 5, "lr": 1e-3, "depth_weight": 1, "input_px": 128}]}, "input_px"),
        ({"stores": {"two": {"path": "x", "use": "2d"}}}, "no store has use = 3d"),
        ({"stores": {"two": {"path": "x", "use": "4d"}}}, "stores.two.use must be one of 3d, 2d, val"),
    ],
)  # fmt: skip
def test_recipe_errors_name_the_entry(stores: tuple[Path, Path], change: dict[str, Any], words: str) -> None:
    with pytest.raises(LiftwildError) as error:
        recipe_from_dict(tiny_recipe(*stores, **change), "r.toml")
    assert str(error.value).startswith("r.toml: ") and words in str(error.value)


def test_transferred_layers_may_learn_slower(stores: tuple[Path, Path]) -> None:
    """Of an hourglass: all but the depth module get the share of the learning rate."""
    recipe = recipe_from_dict(tiny_recipe(*stores))
    stage = dataclasses.replace(recipe.stages[2], transferred_lr=0.1)
    net = PoseNet(recipe.network)
    groups = {group["share"]: group["params"] for group in make_optimizer(net, recipe.optimizer, stage).param_groups}
    assert set(groups) == {1.0, 0.1}
    assert {id(each) for each in groups[1.0]} == {id(each) for each in net.depth_parameters()}
    assert len(groups[0.1]) + len(groups[1.0]) == len(list(net.parameters()))
    with pytest.raises(ValueError, match="transferred_lr is for an hourglass"):
        stage.check(SMALL, {"3d", "2d"})


def test_a_run_computes_as_its_recipe_says(stores: tuple[Path, Path], tmp_path: Path) -> None:
    table = tiny_recipe(*stores, precision="bf16-mixed")
    table["stages"] = [{**table["stages"][0], "iterations": 1}]
    assert run(table, tmp_path / "own", precision="auto").fabric.strategy.precision.precision == "bf16-mixed"
    assert run(table, tmp_path / "told", precision="32-true").fabric.strategy.precision.precision == "32-true"


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Stage) if f.name.endswith("_weight")])
def test_no_weight_is_below_0(stores: tuple[Path, Path], name: str) -> None:
    recipe = recipe_from_dict(tiny_recipe(*stores))
    with pytest.raises(ValueError, match=f"{name} must be a number from 0"):
        dataclasses.replace(recipe.stages[2], **{name: -0.1}).check(recipe.network, {"3d", "2d"})


FULL = [{"name": "a", "iterations": 1, "lr": 1e-3}]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": 10**400}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"name": 3}, "name must be text"),
        ({"stores": "lab"}, "stores must be a table of entries, not 'lab'"),
        ({"stores": {"two": 1e-320}}, "stores.two must be a table"),
        ({"stores": {"two": {"path": "x", "use": ["2d"]}}}, "stores.two.use must be one of 3d"),
        ({"stores": {"two": {"path": "x", "use": "2d", "weight": float("nan")}}}, "stores.two.weight must be a number"),
        ({"optimizer": 3}, "optimizer must be a table"),
        ({"optimizer": {"name": "adamw", "beta1": 2**63}}, "optimizer.beta1 must be a number from 0"),
        ({"optimizer": {"name": "adamw", "beta2": 1.5}}, "optimizer.beta2 must be a number from 0"),
        ({"optimizer": {"name": "adamw", "eps": 0}}, "optimizer.eps must be a number above 0"),
        ({"augment_2d": {"rotation_deg": "30"}}, "augment_2d.rotation_deg must be a number from 0 to 360"),
        ({"augment_2d": [[]]}, "augment_2d must be a table"),
        ({"network": {"joints": 3}}, "network.joints must be one of 16, not 3"),
        ({"network": {"features": 60_000}}, "network.features must be a whole number from 1 to 2,048"),
        ({"network": {"stacks": 100_000}}, "network.stacks must be a whole number from 1 to 16"),
        ({"network": {"size": ["base"]}}, "network.size ['base'] is unknown"),
        ({"network": {"stacks": 4, "features": 2048, "stem": 2048}}, "parameters, more than 500,000,000"),
        ({"stages": [FULL[0] | {"batch_size": 10_000_000}]}, "stages[0].batch_size must be a whole number from 1"),
        ({"stages": [FULL[0] | {"batch_size": 60_000, "ratio_3d": 0, "input_px": 256}]}, "GB, more than 16"),
        ({"stages": [FULL[0] | {"depth_weight": 2**63}]}, "stages[0].depth_weight must be a number from 0"),
        ({"stages": [FULL[0] | {"input_px": [{}]}]}, "stages[0].input_px must be a whole number"),
        ({"stages": [FULL[0] | {"name": "../../x"}]}, "stages[0].name must be a name of at most 60 letters"),
        ({"stages": [3]}, "stages[0] must be a table"),
        ({"stages": {"joints": {}}}, "stages must be a list"),
        ({"best": 3}, "best must be text"),
        ({"log_every": 0}, "log_every must be a whole number from 1"),
    ],
)  # fmt: skip
def test_every_value_is_checked_before_memory_is_taken(
    stores: tuple[Path, Path], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(LiftwildError) as error:
        recipe_from_dict(tiny_recipe(*stores, **change), "r.toml")
    assert str(error.value).startswith("r.toml: ") and words in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "lists in lists, hundreds deep"),
        ("a = 1" + "0" * 5000, "is not TOML that can be read"),
        ('name = "\udcff"', "is not TOML that can be read"),
        ('extends = "small"\nstages = 3', "stages must be a list"),
        ('extends = "small"\n[stages]\nlifter = 3', "stages must be tables of entries"),
        ('extends = ["small"]', "extends must be the name or the path of a recipe"),
        ('extends = "a\\u0000b.toml"', "embedded null byte"),
    ],
)
def test_what_is_no_recipe(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(LiftwildError, match=re.escape(words)):
        load_recipe(path)
