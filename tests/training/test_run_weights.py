"""What a run exports: the average, the best, the network after each stage."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation import measure
from liftwild.evaluation.metric_table import score_all
from liftwild.training import loop
from liftwild.training.average import update_average
from liftwild.weights import load_weights
from tests.support.training import run, tiny_recipe


def test_the_average_follows_parameters_and_statistics() -> None:
    net, average = (torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1)) for _ in range(2))
    for one, value in ((net, 4.0), (average, 1.0)):
        for tensor in [*one.parameters(), one[1].running_mean, one[1].running_var]:
            tensor.data.fill_(value)
    net[1].num_batches_tracked.fill_(7)
    update_average(average, net, 0.5, steps=2)  # the warm-up keeps (1 + 2) / (10 + 2)
    assert {float(tensor) for name, tensor in average.state_dict().items() if "num" not in name} == {3.25}
    assert average[1].num_batches_tracked == 7
    update_average(average, net, 0.5, steps=100)
    assert average[0].weight.item() == 3.625


def test_the_average_is_what_is_measured_and_exported(stores: tuple[Path, Path], tmp_path: Path) -> None:
    table = tiny_recipe(*stores, ema_decay=0.9)
    table["stores"]["val"] = {"path": str(stores[0]), "use": "val"}
    trainer = run(table, tmp_path / "run")
    assert trainer.average is not None
    saved = load_file(tmp_path / "run" / "weights.safetensors")
    average, net = trainer.average.state_dict(), trainer.net.state_dict()
    assert all(torch.equal(saved[name].float(), average[name].half().float()) for name in saved)
    assert not torch.equal(
        average["subnetwork.stacks.0.to_heatmaps.weight"], net["subnetwork.stacks.0.to_heatmaps.weight"]
    )
    measured = measure.run(trainer.average, measure.rows(Store(stores[0])), trainer.sum_length_mm)
    assert trainer.metrics["val"]["pck_torso"] == round(score_all(measured)["pck_torso"], 2)
    kept = load_file(tmp_path / "run/checkpoints/step-00000016/average.safetensors")
    assert all(torch.equal(kept[name], average[name]) for name in average)


def test_the_best_is_kept(stores: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes after it, and over a resume; of an error, the lowest."""
    scores = iter([{"mpjpe_mm": 90.0}, {"mpjpe_mm": 80.0}, {}, {"mpjpe_mm": 85.0}, {"mpjpe_mm": 80.0}])
    monkeypatch.setattr(loop.measure, "run", lambda *_, **__: [])
    monkeypatch.setattr(loop, "score_all", lambda *_, **__: next(scores))
    table = tiny_recipe(*stores, val_every=4, best="val:mpjpe_mm")
    table["stores"]["val"] = {"path": str(stores[0]), "use": "val"}
    run(table, tmp_path / "run", stop_after=9)  # measured after 4, 6 (a stage's end) and 8
    trainer = run(table, tmp_path / "run", resume=True, stop_after=3)
    assert trainer.best == {"of": "val:mpjpe_mm", "value": 80.0, "step": 6}
    card = json.loads((tmp_path / "run" / "best.json").read_text())
    assert card["step"] == 6 and card["best"] == trainer.best and card["metrics"]["val"]["mpjpe_mm"] == 80.0
    at_6 = load_file(tmp_path / "run" / "best.safetensors")["subnetwork.stacks.0.to_heatmaps.weight"]
    assert not torch.equal(
        at_6.float(), trainer.net.state_dict()["subnetwork.stacks.0.to_heatmaps.weight"].half().float()
    ), card
    table["stores"]["val"]["path"] = str(stores[1])
    with pytest.raises(LiftwildError, match="store val has no 3D labels"):
        run(table, tmp_path / "other")


def test_every_stage_leaves_weights(stores: tuple[Path, Path], tmp_path: Path) -> None:
    """What ``--from``, ``evaluate`` and ``export`` take: those of a stage are those that the run stopped there has."""
    table = tiny_recipe(*stores)
    table["stages"][0]["name"] = "joints, 64 px"
    run(table, tmp_path / "run")
    after = sorted(path.name for path in (tmp_path / "run/stages").iterdir())
    assert after == ["depth.json", "depth.safetensors", "joints-64-px.json", "joints-64-px.safetensors"]
    first, card = load_weights(tmp_path / "run/stages/joints-64-px.safetensors")
    assert card["name"] == "tiny, after joints, 64 px" and card["step"] == 6
    only = {**table, "stages": table["stages"][:1]}
    run(only, tmp_path / "only")
    alone = load_weights(tmp_path / "only")[0].state_dict()
    assert all(torch.equal(value, alone[name]) for name, value in first.state_dict().items())
