"""The time of a run: how a schedule is made to fit, that a budget ends with weights, and how cores are shared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from liftwild.cli.main import cli
from liftwild.threads import split_cores, usable_cores
from liftwild.training import budget, loop
from liftwild.training import checkpoint as checkpoints
from liftwild.training.stage import Stage
from liftwild.weights import load_weights
from tests.support.commands import ENVIRONMENT
from tests.support.stores import write_store
from tests.support.training import Clock, logged, run, tiny_recipe

LENGTHS = (100, 50)  # steps of the two stages below


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds three.arrow and two.arrow, synthetic people."""
    folder = tmp_path_factory.mktemp("stores")
    write_store(folder / "three.arrow", 6, True)
    write_store(folder / "two.arrow", 6, False, seed=1)
    return folder


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that a step moves on by its ``step_s``, measuring a store by its ``measuring_s``."""
    clock = Clock()
    clock.step_s, clock.measuring_s = 1.0, 2.0  # type: ignore[attr-defined]
    losses, measure = loop.step_losses, loop.measure.run

    def step_losses(*about: Any) -> Any:
        clock.time += clock.step_s  # type: ignore[attr-defined]
        return losses(*about)

    def measure_run(*about: Any, **more: Any) -> Any:
        clock.time += clock.measuring_s  # type: ignore[attr-defined]
        return measure(*about, **more)

    monkeypatch.setattr(budget, "now", clock)
    monkeypatch.setattr(loop, "step_losses", step_losses)
    monkeypatch.setattr(loop.measure, "run", measure_run)
    return clock


def two_stages(folder: Path, **changes: Any) -> dict[str, Any]:
    """A tiny recipe of two stages by cosine, with a val store."""
    table = tiny_recipe(folder / "three.arrow", folder / "two.arrow", checkpoint_every=0, **changes)
    table["stores"]["val"] = {"path": str(folder / "three.arrow"), "use": "val"}
    stage = {"batch_size": 2, "lr": 1e-3, "lr_end": 1e-5, "schedule": "cosine", "clip": 1.0}
    table["stages"] = [
        {"name": "a", "iterations": LENGTHS[0], "warmup": 10, **stage},
        {"name": "b", "iterations": LENGTHS[1], "depth_weight": 0.1, **stage},
    ]
    return table


def test_a_schedule_is_made_to_fit() -> None:
    stages = tuple(
        Stage(name, n, 1.0, batch_size=4, warmup=w) for name, n, w in (("a", 5, 0), ("b", 120, 40), ("c", 60, 6))
    )
    assert budget.steps_left(stages, 1, 20, 64) == 160
    fitted = budget.fit_schedule(stages, 1, 20, 80.0, 64)
    assert [(s.iterations, s.warmup) for s in fitted] == [(5, 0), (70, 30), (30, 6)]
    assert budget.fit_schedule(stages, 1, 20, 160.0, 64) == budget.fit_schedule(stages, 1, 20, 1e9, 64) == stages
    assert [s.iterations for s in budget.fit_schedule(stages, 1, 20, 0.0, 64)] == [5, 20, 1]
    # A step of four times the pixels, or images, counts four times.
    for dear in (Stage("d", 10, 1.0, batch_size=4, input_px=128), Stage("d", 10, 1.0, batch_size=16)):
        assert budget.steps_left((*stages, dear), 1, 20, 64) == 200


def test_a_run_ends_in_its_time_by_a_shorter_schedule(
    folder: Path, tmp_path: Path, clock: Clock, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A minute at a second a step, 2 s for each measurement. Broken off and resumed it is the same to the bit."""
    whole = run(two_stages(folder), tmp_path / "whole", start=str(tiny_weights), minutes=1)
    assert not whole.stopped and 45 < clock.time <= 60
    # 2 s and 20 steps are gone, 4 s go into measuring: 80 % of 34 s for 130 steps.
    assert [stage.iterations for stage in whole.recipe.stages] == [20 + int(80 * 27.2 / 130), int(50 * 27.2 / 130)]
    said = capsys.readouterr().err
    assert f"the schedule is made to fit: {whole.steps} steps in place of 150\n" in said
    assert "1.00 s a step: the end is expected in 3" in said
    card = load_weights(tmp_path / "whole")[1]
    assert (card["step"], card["steps_planned"], card["steps_of_recipe"]) == (whole.steps, whole.steps, 150)
    rates = [row["lr"] for row in logged(tmp_path / "whole")]
    ends = [rates[whole.recipe.stages[0].iterations - 1], rates[-1]]
    assert len(rates) == whole.steps and max(ends) < 0.1 * max(rates)  # the cosine of each stage comes to its end

    clock.time = 0.0
    run(two_stages(folder), tmp_path / "broken", start=str(tiny_weights), minutes=1, stop_after=30)
    assert not (tmp_path / "broken" / "weights.safetensors").exists()
    broken = run(two_stages(folder), tmp_path / "broken", resume=True)
    assert broken.steps == whole.steps and broken.shortened_from == 150
    assert all(map(torch.equal, broken.net.parameters(), whole.net.parameters()))


def test_a_machine_that_slows_down_gets_weights_in_time(
    folder: Path, tmp_path: Path, clock: Clock, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the steps left take longer than thought: stopped, measured, written, and resumable."""
    step = loop.Trainer.must_stop

    def slow_down(trainer: loop.Trainer) -> bool:
        clock.step_s = 5.0 if trainer.steps >= 25 else 1.0  # type: ignore[attr-defined]
        return step(trainer)

    monkeypatch.setattr(loop.Trainer, "must_stop", slow_down)
    trainer = run(
        two_stages(folder, val_every=4, ema_decay=0.9), tmp_path / "run", start=str(tiny_weights), minutes=1.5
    )
    assert trainer.stopped and trainer.out_of_time and 25 < trainer.steps < trainer.recipe.steps < 150
    assert 85 <= clock.time <= 90 + 5  # the last step may have begun just before
    card = load_weights(tmp_path / "run")[1]
    assert card["metrics"]["val"]["step"] == card["step"] == trainer.steps
    assert card["steps_planned"] == trainer.recipe.steps and card["metrics_before"]["val"]["step"] == 0
    state = checkpoints.read_state(checkpoints.list_checkpoints(tmp_path / "run" / "checkpoints")[-1])
    assert state["step"] == trainer.steps
    assert [a for a, _ in state["schedule"]] == [stage.iterations for stage in trainer.recipe.stages]
    resumed = run(two_stages(folder, val_every=4, ema_decay=0.9), tmp_path / "run", resume=True, minutes=60)
    assert not resumed.stopped and resumed.steps == trainer.recipe.steps


def test_on_a_slow_machine_the_pace_is_known_early() -> None:
    """But processes that train together may not disagree about when."""
    clock = Clock()
    for step_s, alone, known in (
        (1.0, True, 20),
        (1.0, False, 20),
        (10.0, True, 5),
        (60.0, True, 3),
        (60.0, False, 20),
    ):
        timer = budget.Timer()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(budget, "now", clock)
            told = []
            for done in range(1, 60):
                clock.time += step_s if done > 1 else 500.0  # the first starts things up
                told.append(timer.step(done, alone))
        assert told.index(step_s) == known - 1 and told.count(None) == 58


def test_a_schedule_is_kept_where_that_is_asked_for(folder: Path, tmp_path: Path, clock: Clock) -> None:
    """And by --resume, whatever the time."""
    trainer = run(two_stages(folder), tmp_path / "run", minutes=0.5, keep_schedule=True)
    assert trainer.out_of_time and trainer.recipe.steps == 150 and 25 <= trainer.steps < 30  # measuring was foreseen
    assert load_weights(tmp_path / "run")[1]["metrics"]["val"]["step"] == trainer.steps
    clock.time = 0.0
    resumed = run(two_stages(folder), tmp_path / "run", resume=True, minutes=0.6)
    assert resumed.out_of_time and resumed.recipe.steps == 150
    assert "schedule" not in checkpoints.read_state(checkpoints.list_checkpoints(tmp_path / "run" / "checkpoints")[-1])


def test_all_counts_that_the_command_does(folder: Path, tmp_path: Path, clock: Clock) -> None:
    clock.time = 100.0
    assert run(two_stages(folder), tmp_path / "run", minutes=2, begun=0.0).steps <= 20
    assert budget.Budget(100.0, 3).render_until == 190.0 and budget.Budget(100.0, 3).until == 280.0
    assert budget.Budget(100.0).until is None is budget.Budget(100.0).render_until


def test_durations_in_words() -> None:
    assert [budget.duration_text(s) for s in (0.4, 89, 95, 3590, 11_100)] == [
        "0 s",
        "89 s",
        "2 min",
        "1 h 00 min",
        "3 h 05 min",
    ]


def test_loaders_and_threads_share_the_cores() -> None:
    for cores in range(1, 65):
        for gpu in (False, True):
            workers, threads = split_cores(cores, None, gpu)
            assert workers + threads == cores and threads >= 1 and (workers >= 1 or cores == 1)
    assert split_cores(2, None, False) == (1, 1) and split_cores(16, None, True) == (14, 2)
    assert split_cores(4, 0, False) == (0, 4) and split_cores(2, 6, False) == (6, 1)
    assert usable_cores() >= 1


def test_threads_are_given_back(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run that computed with as many as its loaders left."""
    seen = []
    monkeypatch.setattr(loop.Trainer, "run", lambda *_, **__: seen.append(torch.get_num_threads()))
    monkeypatch.setattr("liftwild.training.train.usable_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for workers, threads in ((0, 2), (1, 1), (None, 1)):
            run(two_stages(folder), tmp_path / str(workers), workers=workers)
            assert seen[-1] == threads and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_workers_are_a_number_or_auto() -> None:
    done = CliRunner().invoke(cli, ["train", "adapt", "--out", "x", "--workers", "three"])
    assert done.exit_code == 2 and "'three' is not auto, nor a number of 0 or more" in done.output


@pytest.mark.parametrize(
    "command",
    ["train adapt --out x", "evaluate small x",
     "calibrate small x", "render wild -n 1 -o x.arrow"],
)  # fmt: skip
def test_how_to_wait_is_said_before_torch_is_loaded(command: str, tmp_path: Path) -> None:
    """torch reads it once, when it is loaded."""
    script = """if True:
        import os, sys
        class Watch:
            def find_spec(self, name, path=None, target=None):
                if name == "torch":
                    print("waits", os.environ.get("OMP_WAIT_POLICY"), flush=True)
                    os._exit(0)
        sys.meta_path.insert(0, Watch())
        from liftwild.cli.main import cli
        cli(sys.argv[1:])
    """
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", script, *command.split()], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "waits PASSIVE\n", done.stderr
    assert os.listdir(tmp_path) == []
