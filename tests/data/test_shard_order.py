"""The order of the rows of a store in shards: each once an epoch, a few shards at a time, the same whoever asks."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from liftwild.data import mixed
from liftwild.data.augment import Augmentation
from liftwild.data.mixed import MixedBatches, Source, worker_init
from liftwild.data.shard_order import RowOrder, turn
from liftwild.errors import LiftwildError
from tests.support.shards import make_shards, opened
from tests.support.stores import make_store, sample
from tests.support.strategies import quick

SHARDS = st.lists(st.integers(1, 9), min_size=1, max_size=13)
SEEDS = st.tuples(st.integers(0, 2**40), st.integers(0, 9))


@quick
@given(SHARDS, SEEDS, st.integers(1, 5))
def test_each_row_comes_once_an_epoch(rows: list[int], seed: tuple[int, int], window: int) -> None:
    order, total = RowOrder(rows, seed, window), sum(rows)
    for epoch in range(3):
        assert sorted(order.row(epoch * total + i) for i in range(total)) == list(range(total))


@quick
@given(SHARDS, SEEDS, st.integers(1, 5))
def test_few_shards_are_needed_at_a_time(rows: list[int], seed: tuple[int, int], window: int) -> None:
    order, ends, total = RowOrder(rows, seed, window), list(accumulate(rows)), sum(rows)
    start, shards = total, order.shards_ahead(total - 1)  # the first window of the second epoch
    while start < 3 * total:
        stop = start + sum(rows[shard] for shard in shards)
        assert {bisect_right(ends, order.row(number)) for number in range(start, stop)} == set(shards)
        assert len(shards) <= window and order.shards_ahead(start) == order.shards_ahead(stop - 1)
        start, shards = stop, order.shards_ahead(start)


@quick
@given(SHARDS, SEEDS, st.lists(st.integers(0, 500), min_size=1, max_size=20))
def test_the_order_is_a_function_of_the_number(rows: list[int], seed: tuple[int, int], numbers: list[int]) -> None:
    order = RowOrder(rows, seed)
    assert [order.row(number) for number in numbers] == [RowOrder(rows, seed).row(number) for number in numbers]


def test_seeds_and_epochs_differ() -> None:
    def epoch(seed: tuple[int, ...], number: int = 0) -> tuple[int, ...]:
        order = RowOrder([20] * 10, seed)
        return tuple(order.row(200 * number + i) for i in range(200))

    assert len({epoch((1, 2)), epoch((1, 3)), epoch((2, 2)), epoch((1, 2), 1), epoch((1, 2), 2)}) == 5
    first = epoch((1, 2))[:80]  # of four shards: no neighbours, and well mixed
    assert len({row // 20 for row in first}) == 4 and len({row // 20 for row in first[:20]}) == 4


WEIGHTS = st.lists(st.floats(0, 100), min_size=1, max_size=5).filter(lambda weights: sum(weights) > 1e-3)


@quick
@given(WEIGHTS, st.integers(1, 400))
def test_stores_take_turns_by_weight(weights: list[float], draws: int) -> None:
    seen = [0] * len(weights)
    for number in range(draws):
        store, before = turn(number, weights)
        assert before == seen[store]  # no draw of a store is left out, none comes twice
        seen[store] += 1
    for count, weight in zip(seen, weights, strict=True):
        assert abs(count - draws * weight / sum(weights)) < len(weights)
        assert weight or not count


def test_turns_are_exact_late_in_a_long_run() -> None:
    weights, start = [1.0, 0.3, 7.0], 10**12
    places = [turn(start + i, weights) for i in range(300)]
    for store in range(3):
        own = [before for at, before in places if at == store]
        assert own == list(range(own[0], own[0] + len(own))) and len(own) > 8


# --- batches ---


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> MixedBatches:
    """7 images a batch: 3 of 13 3D-labelled people in shards, 4 of two stores, one of them a file."""
    folder = tmp_path_factory.mktemp("shards")
    three = opened(
        make_shards(folder / "three", [[0, 1, 2], [3, 4], [5, 6, 7, 8], [9, 10, 11], [12]]), folder / "cache"
    )
    two = opened(make_shards("memory://order/two", [[100, 101, 102], [103, 104]], three=False), folder / "cache")
    more = make_store(folder / "more.arrow", [sample(200 + i, three=False, size=40) for i in range(3)])
    return MixedBatches(
        Source([three], [1.0], Augmentation()), Source([two, more], [3.0, 1.0], Augmentation()),
        ratio_3d=3 / 7, positions=(0, 7), input_px=32, seed=(7, 1), batch_size=7,
    )  # fmt: skip


def ids(batches: MixedBatches, steps: range, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Who is in the batches of some steps, in order."""
    with monkeypatch.context() as patched:
        patched.setattr(mixed, "targets", lambda sample, *_: {"id": np.array(sample.annotation_id)})
        return [int(who) for step in steps for who in batches[step]["id"]]


def test_a_run_goes_through_every_store_evenly(batches: MixedBatches, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = ids(batches, range(26), monkeypatch)
    three, two, more = ([i for i in drawn if low <= i < low + 100] for low in (0, 100, 200))
    assert len(three) == 78 and len(two) == 78 and len(more) == 26
    for own, people in ((three, 13), (two, 5), (more, 3)):
        epochs = [own[at : at + people] for at in range(0, len(own) - people + 1, people)]
        assert all(len(set(epoch)) == people for epoch in epochs)  # everybody once
        assert len(set(map(tuple, epochs))) > 1  # in another order


@pytest.mark.parametrize("cuts", [[(0, 3), (3, 7)], [(0, 1), (1, 2), (2, 7)]])
def test_ranks_share_the_batches_of_one_process(batches: MixedBatches, cuts: list[tuple[int, int]]) -> None:
    for step in (0, 5, 11):
        whole, parts = batches[step], [replace(batches, positions=cut)[step] for cut in cuts]
        assert all(torch.equal(torch.cat([part[name] for part in parts]), whole[name]) for name in whole)


def test_any_step_is_the_same_whatever_came_before(batches: MixedBatches) -> None:
    fresh = replace(
        batches,
        source_3d=replace(batches.source_3d),
        source_2d=replace(batches.source_2d),  # type: ignore[type-var]
    )
    for step in (17, 2, 9):
        assert all(torch.equal(fresh[step][name], value) for name, value in batches[step].items())
    again = replace(batches, seed=(7, 2))[2]
    assert not all(torch.equal(again[name], value) for name, value in batches[2].items())


def test_loader_processes_make_the_same_batches(batches: MixedBatches) -> None:
    loader = DataLoader(batches, batch_size=None, sampler=range(6), num_workers=2, worker_init_fn=worker_init)
    for step, fields in enumerate(loader):
        assert all(torch.equal(fields[name], value) for name, value in batches[step].items())


def test_the_size_of_the_whole_batch_is_asked_for(batches: MixedBatches) -> None:
    with pytest.raises(LiftwildError, match="batch_size is 0"):
        replace(batches, batch_size=0)


def test_without_shards_the_draws_are_what_they_were(tmp_path: Path) -> None:
    store = make_store(tmp_path / "x.arrow", [sample(i, size=40) for i in range(5)])
    one = MixedBatches(Source([store], [1.0], Augmentation()), None, 1.0, (0, 4), 32, (3,))
    assert all(torch.equal(replace(one, batch_size=9)[1][name], value) for name, value in one[1].items())
