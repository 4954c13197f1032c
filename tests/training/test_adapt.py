"""Weights to one's own world: photos prepared, people rendered, measured before and after."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.synthetic.render.generate import CPU_BATCH, RenderedSample, render_people
from liftwild.synthetic.render.write import rendered_row, write_store
from liftwild.training import budget, render_stores
from liftwild.training import train as runs
from liftwild.training.loop import Trainer
from liftwild.training.monitor import before_and_after
from liftwild.training.recipe import StoreEntry
from liftwild.training.recipe_file import recipe_from_dict
from liftwild.weights import load_weights, save_weights
from tests.support.commands import ENVIRONMENT, train_command
from tests.support.training import Clock, adapt_recipe, to_toml, write_labelled_photos


def adapt(recipe: dict[str, Any], out: Path, start: Path, **options: Any) -> Trainer:
    """Train from ``start`` in this process."""
    network = runs.network_of(out, options.get("resume", False), str(start))
    how: dict[str, Any] = {"start": str(start), "workers": 0, "precision": "32-true", "accelerator": "cpu", **options}
    return runs.train_recipe(recipe_from_dict(recipe, network=network), out, **how)


def test_photos_to_weights(tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos, out = write_labelled_photos(tmp_path, 21), tmp_path / "run"
    origin = {"made_by": "somebody", "licence": "Apache-2.0", "origin": {}}
    tiny_weights = save_weights(tmp_path / "start.safetensors", load_weights(str(tiny_weights))[0],
                                {"sum_length_mm": 4000.0, "pretrained": origin})[0]  # fmt: skip
    adapt(adapt_recipe(tmp_path), out, tiny_weights, photos=photos, stop_after=1)
    said = capsys.readouterr().err
    assert "left out: 1 x crowd; the first: 1.png, annotation 99: crowd\n" in said
    assert f"20 people of 19 photos in {out / 'photos.arrow'}; 2 of 2 held back to measure on, in " in said
    assert f"; 1 left out, see {out / 'photos.arrow.skipped.txt'}" in said
    # The 10th and 20th by image id, which counts down.
    assert [Store(out / "photos-val.arrow")[i].source for i in (0, 1)] == ["12.png", "2.png"]
    made = {path: path.stat().st_mtime_ns for path in (*out.glob("*.arrow"), tmp_path / "stores" / "r.arrow")}
    # What was rendered is what liftwild render would have.
    write_store(render_people("wild", 3, 5), tmp_path / "again.arrow")
    assert Store(tmp_path / "stores" / "r.arrow").fingerprint() == Store(tmp_path / "again.arrow").fingerprint()

    trainer = adapt(adapt_recipe(tmp_path), out, tiny_weights, resume=True, photos=photos)
    assert {path: path.stat().st_mtime_ns for path in made} == made and trainer.steps == 3
    card = json.loads((out / "weights.json").read_text())
    assert card["from"] == str(tiny_weights) and card["pretrained"] == origin  # across a stop, too
    assert set(card["data"]) == {"photos", "photos_val", "rendered"}
    assert card["metrics_before"]["photos_val"]["step"] == 0 and card["metrics"]["photos_val"]["step"] == 3
    assert set(card["metrics"]["photos_val"]) == set(card["metrics_before"]["photos_val"]) >= {"pck_torso", "people"}


def test_rendering_leaves_half_of_the_time(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a second a person and a budget of a minute: 30 people, shared by the stores as they ask for people."""
    clock, people, processes = Clock(), list(render_people("wild", 8)), []

    def slow(mode: str, count: int, *_: Any, **how: Any) -> Iterator[RenderedSample]:
        processes.append(how["processes"])
        for number in range(count):
            clock.time += 1.0
            yield people[number % 8]

    monkeypatch.setattr(budget, "now", clock)
    monkeypatch.setattr(render_stores, "render_people", slow)
    monkeypatch.setattr(render_stores, "usable_cores", lambda: 4)
    recipe, out = adapt_recipe(tmp_path), tmp_path / "run"
    recipe["stores"]["rendered"]["count"] = 80
    val = {"path": str(tmp_path / "stores/v.arrow"), "use": "val", "render": "wild", "split": "test", "count": 40}
    recipe["stores"]["rendered_val"] = val
    trainer = adapt(recipe, out, tiny_weights, photos=write_labelled_photos(tmp_path, 9), minutes=1)
    said = capsys.readouterr().err
    assert (len(trainer.stores["rendered"]), len(trainer.stores["rendered_val"])) == (20, 10)
    assert processes == [4, 1]  # for ten seconds it pays to start none
    assert f"{tmp_path / 'stores/r.arrow'} holds 20 of 80 people: the share of --minutes for rendering is used" in said
    assert "20 people in rendered (" in said and "3 steps, 12 images" in said
    card = json.loads((out / "weights.json").read_text())
    assert card["data"]["rendered"]["people"] == 20 and not trainer.stopped

    stores_before = [path.read_bytes() for path in sorted((tmp_path / "stores").glob("*.arrow"))]
    adapt(recipe, out, tiny_weights, photos=(tmp_path / "labels.json", tmp_path / "photos"), resume=True)
    said = capsys.readouterr().err
    assert f"{tmp_path / 'stores/r.arrow'} holds 20 people, the recipe asks for 80: it is taken as it is" in said
    assert stores_before == [path.read_bytes() for path in sorted((tmp_path / "stores").glob("*.arrow"))]


def test_without_time_a_batch_is_rendered(tmp_path: Path) -> None:
    entry = StoreEntry(str(tmp_path / "r.arrow"), "3d", render="wild", count=24)
    render_stores.render_missing([entry], until=budget.now() - 5)
    assert len(Store(entry.path)) == CPU_BATCH


def test_how_long_rendering_takes_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From the pace after the first ones; the wait before them, for processes to start, is not counted in."""
    clock, person = Clock(), next(iter(render_people("wild", 1)))

    def samples() -> Iterator[RenderedSample]:
        clock.time += 100.0
        for _ in range(12):
            yield person
            clock.time += 2.0

    monkeypatch.setattr(budget, "now", clock)
    assert len(list(render_stores.with_estimate(samples(), people=1000, first=10, until=600.0))) == 12
    said = capsys.readouterr().err.strip()
    size = (len(rendered_row(person)["image"]) + render_stores.ROW_BYTES) * 1000 / 1e6
    assert said == (f"about 33 min more for all 1000, 2 s each; about {size:.1f} MB; "
                    "the share of --minutes for rendering ends in 8 min")  # fmt: skip


def test_few_photos_are_all_trained_on(tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = adapt(
        adapt_recipe(tmp_path), tmp_path / "run", tiny_weights, photos=write_labelled_photos(tmp_path, 9), stop_after=1
    )
    assert "10 people of 9 photos" in (said := capsys.readouterr().err)
    assert "fewer than 10 photos, so none is held back" in said and set(trainer.stores) == {"photos", "rendered"}
    assert not (tmp_path / "run" / "photos-val.arrow").exists()
    with pytest.raises(LiftwildError, match="no photos to measure on; give --photos-val"):
        adapt(adapt_recipe(tmp_path, best="photos_val:pck_torso"), tmp_path / "best", tiny_weights,
              photos=(tmp_path / "labels.json", tmp_path / "photos"))  # fmt: skip


def test_own_photos_to_measure_on(tmp_path: Path, tiny_weights: Path) -> None:
    photos, val = write_labelled_photos(tmp_path / "train", 12), write_labelled_photos(tmp_path / "val", 2)
    trainer = adapt(adapt_recipe(tmp_path), tmp_path / "run", tiny_weights, photos=photos, photos_val=val, stop_after=1)
    assert (len(trainer.stores["photos"]), len(trainer.stores["photos_val"])) == (13, 3)


def test_what_is_wrong_is_said_before_anything_is_made(tmp_path: Path, tiny_weights: Path) -> None:
    photos = write_labelled_photos(tmp_path, 1)
    without = adapt_recipe(tmp_path)
    del without["stores"]["photos_val"]
    gone = adapt_recipe(tmp_path)
    gone["stores"]["more"] = {"path": str(tmp_path / "none.arrow"), "use": "3d"}
    for recipe, options, words in (
        (
            adapt_recipe(tmp_path),
            {},
            "recipe tiny is for photos of your own: give --photos LABELS IMAGES, or --store photos=",
        ),
        (without, {"photos_val": photos}, "recipe tiny has no store photos_val for --photos-val to fill"),
        (gone, {"photos": photos}, "no store .*none.arrow"),
        (adapt_recipe(tmp_path, network={"size": "small"}), {"photos": photos}, "another network size"),
    ):
        with pytest.raises(LiftwildError, match=words):
            adapt(recipe, tmp_path / "run", tiny_weights, **options)
    assert not (tmp_path / "run").exists() and not (tmp_path / "stores").exists()


def test_on_the_command_line_by_two_processes(tmp_path: Path, tiny_weights: Path) -> None:
    """One of them prepares and renders, once; then on alone, from the run's own network."""
    recipe, out = tmp_path / "recipe.toml", tmp_path / "run"
    recipe.write_text(to_toml(adapt_recipe(tmp_path)))
    write_labelled_photos(tmp_path, 10)
    options = (recipe, "--out", out, "--accelerator", "cpu", "--workers", 0, "--shard-mb", 0.05)
    begin = ("--from", tiny_weights, "--photos", tmp_path / "labels.json", tmp_path / "photos", "--minutes", 0)
    done = subprocess.run(train_command(*options, *begin, processes=2), env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stopped, head, row, last = done.stdout.splitlines()
    assert stopped == f"stopped at step 1 of 3: 0 minutes are over; go on with --resume --out {out}"
    assert head.split("  ")[0] == "val store" and row.startswith("photos_val") and last.startswith("weights in ")
    assert json.loads((out / "weights.json").read_text())["metrics"]["photos_val"]["step"] == 1
    assert done.stderr.count("rendering 3 people") == 1
    assert done.stderr.count(f"9 people of 9 photos in {out / 'photos.arrow'}; 2 of 1 held back") == 1  # both of 1.png
    done = subprocess.run(train_command(*options, "--resume"), env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    head, row, last = done.stdout.splitlines()
    assert head.split("  ")[0] == "val store" and row.startswith("photos_val") and row.count("->") == 2
    assert last.startswith(f"weights in {out / 'weights-00001-of-'}") and last.endswith("more files")


def test_the_table_of_before_and_after() -> None:
    before = {"a": {"pck_torso": 50.0, "sides_swapped": 12.0, "mpjpe_mm": 101.0, "pa_mpjpe_mm": 70.0},
              "long": {"pck_torso": 5.04, "sides_swapped": 0.0}}  # fmt: skip
    after = {"a": {**before["a"], "pck_torso": 61.25}, "long": {"pck_torso": 7.0, "sides_swapped": 1.0}}
    assert before_and_after(before, after).splitlines() == [
        "val store  PCK@0.2-torso, %  sides swapped, %  MPJPE, mm       PA-MPJPE, mm",
        "a          50.0 -> 61.2      12.0 -> 12.0      101.0 -> 101.0  70.0 -> 70.0",
        "long       5.0 -> 7.0        0.0 -> 1.0        -               -",
    ]
