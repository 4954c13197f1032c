"""Training from stores of shards: the same from a folder and from an address, resumed the same; what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from liftwild.data.shard_cache import ShardCache
from liftwild.data.shard_writing import split_stores
from liftwild.errors import LiftwildError
from tests.support.training import logged, run, tiny_recipe


@pytest.fixture(scope="module")
def sharded(stores: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The two stores, split into shards of 5 people."""
    folder = tmp_path_factory.mktemp("sharded")
    for store, name in zip(stores, ("three", "two"), strict=True):
        split_stores([store], str(folder / name), 5)
        split_stores([store], f"memory://training/{name}", 5)
    return folder / "three", folder / "two"


def weights(trainer: object) -> torch.Tensor:
    return torch.cat([parameter.flatten() for parameter in trainer.net.parameters()])  # type: ignore[attr-defined]


def test_folder_address_workers_and_resuming_are_the_same(
    stores: tuple[Path, Path], sharded: tuple[Path, Path], tmp_path: Path
) -> None:
    cache = ShardCache(tmp_path / "cache", 1.0)
    whole = run(tiny_recipe(*sharded), tmp_path / "folder")
    there = {name: {"path": f"memory://training/{name}", "use": use} for name, use in (("three", "3d"), ("two", "2d"))}
    table = tiny_recipe(*sharded, stores=there)
    other = run(table, tmp_path / "address", cache=cache, workers=2)
    assert torch.equal(weights(whole), weights(other)) and len(list((tmp_path / "cache").glob("*.arrow"))) == 6
    run(table, tmp_path / "broken", cache=cache, stop_after=5)
    resumed = run(table, tmp_path / "broken", cache=cache, resume=True)
    assert torch.equal(weights(whole), weights(resumed))
    assert [row["loss"] for row in logged(tmp_path / "folder")] == [row["loss"] for row in logged(tmp_path / "address")]
    # The people are those of the files, so are their means; the order is another.
    files = run(tiny_recipe(*stores), tmp_path / "files", stop_after=1)
    assert whole.sum_length_mm == pytest.approx(files.sum_length_mm, rel=1e-9)
    assert whole.count_people("three") == 12 and whole.fingerprints["three"] == other.fingerprints["three"]


def test_a_store_that_was_written_anew_is_no_store_to_resume_with(
    stores: tuple[Path, Path], sharded: tuple[Path, Path], tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    split_stores([stores[0]], str(mine), 5)
    run(tiny_recipe(mine, sharded[1]), tmp_path / "run", stop_after=2)
    shutil.rmtree(mine)
    split_stores([stores[0]], str(mine), 4)
    with pytest.raises(LiftwildError, match="store three is not the one"):
        run(tiny_recipe(mine, sharded[1]), tmp_path / "run", resume=True)


def test_what_cannot_be_trained_on(stores: tuple[Path, Path], sharded: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    table = tiny_recipe(*sharded)
    for entries, words in (
        ({"val": {"path": str(sharded[0]), "use": "val"}}, "a store to measure on is one file"),
        ({"three": {"path": str(tmp_path / "empty"), "use": "3d"}}, "it has no store.json"),
        ({"three": {"path": "memory://nothing", "use": "3d"}}, "it has no store.json"),
        ({"three": {"path": "memory://no", "use": "3d", "render": "wild", "count": 2}}, "it has no store.json"),
        ({"three": {"path": "s4://bucket/people", "use": "3d"}}, "Protocol not known: s4"),
    ):
        with pytest.raises(LiftwildError, match=words) as raised:
            run({**table, "stores": {**table["stores"], **entries}}, tmp_path / "run")
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()
