"""Weights files: in one piece or in shards, what is written is what is read."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from liftwild.errors import LiftwildError
from liftwild.network.posenet import PoseNet
from liftwild.weights import load_weights, save_weights, write_weights_json
from liftwild.weights_files import SHIPPED
from tests.support.networks import TINY

CARD = {"sum_length_mm": 4000.0}


def same(first: PoseNet, second: PoseNet) -> bool:
    """Whether two networks hold the same tensors."""
    return all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


def test_shards_are_read_as_one(tiny_weights: Path, tmp_path: Path) -> None:
    net, _ = load_weights(tiny_weights)
    limit = 20_000
    files = save_weights(tmp_path / "net.safetensors", net, CARD, shard_mb=limit / 1e6)
    assert len(files) > 2 and all(file.stat().st_size <= limit for file in files)
    assert [file.name for file in files] == [
        f"net-{n:05d}-of-{len(files):05d}.safetensors" for n in range(1, len(files) + 1)
    ]
    assert json.loads((tmp_path / "net.json").read_text())["files"] == [file.name for file in files]
    assert not (tmp_path / "net.safetensors").exists()
    again, card = load_weights(tmp_path / "net.safetensors")
    assert same(again, net)

    # In one piece again: the shards go, and the card no longer lists them.
    save_weights(tmp_path / "net.safetensors", net, card)
    assert {path.name for path in tmp_path.iterdir()} == {"net.safetensors", "net.json"}
    assert same(load_weights(tmp_path / "net.safetensors")[0], net)


def test_a_run_in_shards_is_found_by_its_folder(tiny_weights: Path, tmp_path: Path) -> None:
    net, _ = load_weights(tiny_weights)
    save_weights(tmp_path / "weights.safetensors", net, CARD, shard_mb=0.05)
    assert same(load_weights(tmp_path)[0], net)


def test_a_missing_shard_is_named(tiny_weights: Path, tmp_path: Path) -> None:
    net, _ = load_weights(tiny_weights)
    files = save_weights(tmp_path / "net.safetensors", net, CARD, shard_mb=0.05)
    files[1].unlink()
    with pytest.raises(LiftwildError, match=f"{files[1].name} is missing, one of the {len(files)} files"):
        load_weights(tmp_path / "net.safetensors")
    card = json.loads((tmp_path / "net.json").read_text())
    for wrong, said in (("net.safetensors", "must be a list"), (["../net.safetensors"], "is not a list of file names")):
        (tmp_path / "net.json").write_text(json.dumps({**card, "files": wrong}))
        with pytest.raises(LiftwildError, match=rf"^[^:]*: files {said}"):
            load_weights(tmp_path / "net.safetensors")


def test_a_shard_too_small_for_a_tensor(tmp_path: Path) -> None:
    with pytest.raises(LiftwildError, match=r"alone has .* MB: a shard must be larger"):
        save_weights(tmp_path / "net.safetensors", PoseNet(TINY), CARD, shard_mb=0.001)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_cards_are_short_and_as_they_are_written(path: Path, tmp_path: Path) -> None:
    card = json.loads(path.read_text())
    write_weights_json(tmp_path / "x.json", card)
    assert (tmp_path / "x.json").read_text() == path.read_text() and path.read_text().count("\n") < 120
    assert json.loads((tmp_path / "x.json").read_text()) == card


def test_a_card_keeps_six_digits(tmp_path: Path) -> None:
    card = {
        "lengths": [427.20001220703125, 0.000123456789, 1e-5],
        "steps": 12345678,
        "none": None,
        "rows": [{"a": 1.0}],
    }
    write_weights_json(tmp_path / "x.json", card)
    assert (tmp_path / "x.json").read_text().splitlines() == [
        "{", ' "lengths": [427.2, 0.000123457, 1e-05],', ' "steps": 12345678,', ' "none": null,', ' "rows": [',
        '  {"a": 1.0}', " ]", "}",
    ]  # fmt: skip


def test_what_fp16_cannot_hold_stays_fp32(tiny_weights: Path, tmp_path: Path) -> None:
    """A running variance of 1e5 is no infinity in the file; what fits is fp16."""
    net, card = load_weights(tiny_weights)
    name = next(name for name in net.state_dict() if name.endswith("running_var"))
    net.state_dict()[name].fill_(1e5)
    save_weights(tmp_path / "wide.safetensors", net, card)
    kept = load_file(tmp_path / "wide.safetensors")
    assert kept[name].dtype == torch.float32 and (kept[name] == 1e5).all()
    assert all(tensor.dtype != torch.float32 for other, tensor in kept.items() if other != name)
    assert torch.equal(load_weights(tmp_path / "wide.safetensors")[0].state_dict()[name], net.state_dict()[name])


HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"sum_length_mm": 4000.0', '"sum_length_mm": NaN', "sum_length_mm must be a number"),
        ('"sum_length_mm": 4000.0', '"sum_length_mm": Infinity', "sum_length_mm must be a number"),
        ('"sum_length_mm": 4000.0', '"sum_length_mm": -4000', "sum_length_mm must be a number"),
        ('"sum_length_mm": 4000.0', '"sum_length_mm": true', "sum_length_mm must be a number"),
        ('"sum_length_mm": 4000.0', f'"sum_length_mm": {HUGE}', "is not JSON"),
        ('"sum_length_mm": 4000.0', f'"sum_length_mm": 1{"0" * 400}', "sum_length_mm must be a number"),
        ('"sum_length_mm": 4000.0', '"x": ' + "[" * 100_000, "lists in lists"),
        (
            '"sum_length_mm": 4000.0',
            '"sum_length_mm": 4000.0, "mean_pose_mm": [[1, 2, 3], [1]]',
            "mean_pose_mm must be",
        ),
        ('"sum_length_mm": 4000.0', '"sum_length_mm": 4000.0, "bone_length_mm": "long"', "bone_length_mm must be 14"),
        ('"sum_length_mm": 4000.0', '"sum_length_mm": 4000.0, "name": ["a"]', "name must be text"),
        ('"stacks": 1', '"stacks": 100000', "network.stacks must be a whole number from 1 to 16, not 100000"),
        ('"stacks": 1', '"stacks": 16', "does not hold the network"),
        ('"features": 16', '"features": 2048', "does not hold the network"),
        ('"input_px": 64', '"input_px": 640000', "network.input_px must be"),
        ('"lifter": 0', '"lifter": 1e400', "network.lifter must be"),
        ('"network": ', '"network": 3, "x": ', "network must be a table"),
    ],
)
def test_hostile_cards_are_one_line_at_once(tiny_weights: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    """Shapes are compared before a tensor is made: 16 stacks or 2,048 channels of a tiny file take no memory."""
    for file in tiny_weights.parent.glob("tiny.*"):
        shutil.copy(file, tmp_path)
    beside = tmp_path / "tiny.json"
    text = beside.read_text().replace("\n", " ")
    text = re.sub(r'"sum_length_mm": [\d.]+', '"sum_length_mm": 4000.0', text)
    assert old in text
    beside.write_text(text.replace(old, new, 1))
    with pytest.raises(LiftwildError, match=re.escape(said)) as caught:
        load_weights(tmp_path / "tiny.safetensors")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_path_that_is_no_file_is_one_line(tiny_weights: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_weights, tmp_path)
    (tmp_path / "tiny.json").mkdir()
    (tmp_path / "circle.safetensors").symlink_to("circle.safetensors")
    (tmp_path / "zero.safetensors").touch()
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    for name in ("tiny", "circle", "zero", "x" * 5000, "x/" * 5000 + "x"):
        with pytest.raises(LiftwildError):
            load_weights(tmp_path / f"{name}.safetensors")
