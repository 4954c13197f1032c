"""Mixed batches: an exact ratio, and everything a function of (seed, step, position)."""

from __future__ import annotations

import pickle
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from liftwild.camera import depth_targets
from liftwild.data.augment import PAPER_2D, Augmentation, augment
from liftwild.data.mixed import MixedBatches, Source, as_batch, is_3d, targets, worker_init
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.sample import Batch
from liftwild.skeleton import DEPTH_ROOT, THORAX
from tests.support.poses import J
from tests.support.stores import make_store, sample

PX = 32


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """Stores of 3D-labelled and 2D-labelled people; annotation ids tell who is who."""
    folder = tmp_path_factory.mktemp("stores")
    return {
        "three": make_store(folder / "three.arrow", [sample(i, size=48) for i in range(6)]),
        "two": make_store(folder / "two.arrow", [sample(100 + i, three=False, size=48) for i in range(5)]),
        "more": make_store(folder / "more.arrow", [sample(200 + i, three=False, size=48) for i in range(3)]),
    }


@pytest.fixture(scope="module")
def mixed(stores: dict[str, Store]) -> MixedBatches:
    """Half and half, batches of 6."""
    return MixedBatches(
        Source([stores["three"]], [1.0], Augmentation()),
        Source([stores["two"], stores["more"]], [3.0, 1.0], PAPER_2D),
        ratio_3d=0.5,
        positions=(0, 6),
        input_px=PX,
        seed=(7, 1),
    )


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


# --- ratio ---


@pytest.mark.parametrize(
    ("ratio", "size", "count"),
    [(0, 6, 0), (1, 6, 6), (0.5, 6, 3), (0.5, 7, 3), (0.25, 16, 4), (0.25, 6, 1), (0.75, 8, 6), (1 / 3, 6, 2),
     (1 / 3, 9, 3), (0.1, 10, 1), (0.3, 10, 3), (0.7, 10, 7), (0.9, 100, 90), (0.35, 20, 7), (0.29, 100, 29),
     (2 / 3, 3, 2)],
)  # fmt: skip
def test_the_ratio_is_exact(ratio: float, size: int, count: int) -> None:
    assert sum(is_3d(position, ratio) for position in range(size)) == count
    # No stretch of a batch is off by more than one.
    for start in range(size):
        for stop in range(start + 1, size + 1):
            assert abs(sum(is_3d(p, ratio) for p in range(start, stop)) - ratio * (stop - start)) < 1


def test_any_even_stretch_of_a_half_half_batch_is_half_half() -> None:
    for start in range(9):
        for length in (2, 4, 6, 8):
            assert sum(is_3d(start + i, 0.5) for i in range(length)) == length // 2


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("size", [1, 4, 7])
def test_batches_hold_that_share(mixed: MixedBatches, ratio: float, size: int) -> None:
    batch = as_batch(replace(mixed, ratio_3d=ratio, positions=(0, size))[3])
    assert isinstance(batch, Batch) and len(batch) == size
    expected = [is_3d(position, ratio) for position in range(size)]
    assert batch.has_3d.tolist() == expected
    assert batch.depth_valid.any(dim=1).tolist() == expected
    assert torch.all(batch.depth[~batch.depth_valid] == 0)


def test_fields(mixed: MixedBatches) -> None:
    fields = mixed[0]
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in fields.items()}
    assert shapes == {
        "images": ((6, 3, PX, PX), torch.uint8),
        "joints_2d": ((6, J, 2), torch.float32),
        "joints_2d_valid": ((6, J), torch.bool),
        "depth": ((6, J), torch.float32),
        "depth_valid": ((6, J), torch.bool),
        "has_3d": ((6,), torch.bool),
        "presence": ((6, J), torch.uint8),
        "visibility": ((6, J), torch.uint8),
    }
    assert all(value.is_contiguous() for value in fields.values())


# --- a function of (seed, step, position) ---


def test_the_same_step_is_the_same_batch_in_any_order(mixed: MixedBatches) -> None:
    forward = [mixed[step] for step in range(4)]
    backward = [mixed[step] for step in (3, 2, 1, 0)][::-1]
    assert all(equal(a, b) for a, b in zip(forward, backward, strict=True))
    row = mixed.row(2, 5)
    assert all(np.array_equal(row[name], forward[2][name][5].numpy()) for name in row)
    assert equal(pickle.loads(pickle.dumps(mixed))[2], forward[2])


def test_loader_workers_make_the_same_batches(mixed: MixedBatches) -> None:
    loader = DataLoader(mixed, batch_size=None, sampler=[5, 0, 3], num_workers=2, worker_init_fn=worker_init)
    for step, fields in zip([5, 0, 3], loader, strict=True):
        assert equal(fields, mixed[step])


def test_seeds_steps_and_positions_differ(mixed: MixedBatches) -> None:
    wide = replace(mixed, ratio_3d=0.0, positions=(0, 8))
    rows = [
        fields["images"][position].numpy().tobytes()
        for fields in (wide[0], wide[1], replace(wide, seed=(7, 2))[0], replace(wide, seed=(8, 1))[0])
        for position in range(8)
    ]
    assert len(set(rows)) == len(rows)  # every one is augmented otherwise


@pytest.mark.parametrize("cuts", [[(0, 3), (3, 6)], [(0, 2), (2, 4), (4, 6)], [(0, 1), (1, 6)]])
def test_processes_cut_a_batch_between_them(mixed: MixedBatches, cuts: Sequence[tuple[int, int]]) -> None:
    parts = [replace(mixed, positions=cut)[4] for cut in cuts]
    assert equal({name: torch.cat([part[name] for part in parts]) for name in parts[0]}, mixed[4])


def test_a_changed_size_of_the_batch_leaves_the_positions_that_stay(mixed: MixedBatches) -> None:
    longer = replace(mixed, positions=(0, 9))[1]
    assert equal({name: value[:6] for name, value in longer.items()}, mixed[1])


# --- what is drawn ---


def test_weights(stores: dict[str, Store]) -> None:
    source = Source([stores["two"], stores["three"], stores["more"]], [3.0, 0.0, 1.0], Augmentation())
    drawn = Counter(source.draw(np.random.default_rng([1, i]), PX).annotation_id for i in range(1200))
    from_two = sum(count for key, count in drawn.items() if 100 <= key < 200)
    assert set(drawn) == {100, 101, 102, 103, 104, 200, 201, 202}  # everyone, and nobody of weight 0
    assert abs(from_two / 1200 - 0.75) < 0.05  # four standard deviations of the mean
    assert min(drawn.values()) > 60


def test_the_last_store_is_the_last(stores: dict[str, Store]) -> None:
    class Highest:
        def random(self, *_: Any) -> Any:
            return np.nextafter(1.0, 0.0) if not _ else np.full(*_, 0.5)

        def integers(self, high: int) -> int:
            return high - 1

        def standard_normal(self, count: int) -> np.ndarray:
            return np.zeros(count)

        uniform = np.random.default_rng(0).uniform

    weights = [0.1] * 10 + [0.0]
    source = Source([stores["two"]] * 9 + [stores["more"], stores["three"]], weights, Augmentation())
    assert source.draw(Highest(), PX).annotation_id == 202  # type: ignore[arg-type]


def test_depth_of_people_drawn_for_2d_is_left_out(mixed: MixedBatches, stores: dict[str, Store]) -> None:
    fields = replace(mixed, source_2d=Source([stores["three"]], [1.0], Augmentation()), ratio_3d=0.0)[0]
    assert not fields["has_3d"].any() and not fields["depth_valid"].any() and torch.all(fields["depth"] == 0)
    assert fields["joints_2d_valid"].all()


# --- targets ---


def test_targets_are_those_of_the_method() -> None:
    seen = augment(sample(3), np.random.default_rng(0), Augmentation(), PX)
    made = targets(seen, PX, with_depth=True)
    assert np.array_equal(made["images"], seen.image.transpose(2, 0, 1))
    assert np.array_equal(made["joints_2d"], seen.joints_2d.astype(np.float32))
    depth, valid = depth_targets(seen.joints_2d, seen.joints_3d, np.ones(J, bool), PX)
    assert np.array_equal(made["depth"], depth) and np.array_equal(made["depth_valid"], valid) and valid.all()
    assert made["depth"][DEPTH_ROOT] == 0 and made["has_3d"] and np.abs(made["depth"]).max() > 0.05
    # Farther away is more.
    assert np.array_equal(np.argsort(made["depth"]), np.argsort(seen.joints_3d[:, 2].astype(np.float32)))


def test_depth_is_valid_where_joint_and_thorax_are_known() -> None:
    whole = sample(3)

    def valid(unseen: Sequence[int] = (), unknown: Sequence[int] = ()) -> list[int]:
        seen, known = np.ones(J, bool), np.ones(J, bool)
        seen[list(unseen)], known[list(unknown)] = False, False
        made = targets(replace(whole, joints_2d_valid=seen, depth_valid=known), PX, with_depth=True)
        assert np.all(made["depth"][~made["depth_valid"]] == 0) and np.isfinite(made["depth"]).all()
        assert np.array_equal(made["joints_2d_valid"], seen)
        return np.flatnonzero(~made["depth_valid"]).tolist()

    everyone = list(range(J))
    assert valid() == []
    assert valid(unseen=[2], unknown=[5, 9]) == [2, 5, 9]
    assert valid(unknown=[THORAX]) == everyone and valid(unseen=[THORAX]) == everyone
    assert valid(unknown=[j for j in everyone if j != THORAX]) == everyone  # no bone tells the scale


# --- what cannot be ---


def test_a_missing_source_and_a_bad_ratio(mixed: MixedBatches) -> None:
    for change, says in (
        ({"source_3d": None}, "no 3D source"),
        ({"source_2d": None}, "no 2D source"),
        ({"source_2d": None, "ratio_3d": 0.0}, "no 2D source"),
        ({"source_3d": None, "ratio_3d": 1.0}, "no 3D source"),
        ({"ratio_3d": 1.1}, "between 0 and 1"),
        ({"ratio_3d": -0.1}, "between 0 and 1"),
        ({"ratio_3d": float("nan")}, "between 0 and 1"),
    ):
        with pytest.raises(LiftwildError, match=says):
            replace(mixed, **change)  # type: ignore[arg-type]
    assert len(replace(mixed, source_3d=None, ratio_3d=0.0)[0]["images"]) == 6
    assert len(replace(mixed, source_2d=None, ratio_3d=1.0)[0]["images"]) == 6


@pytest.mark.parametrize("weights", [[], [1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")], [1.0, 1.0, 1.0]])
def test_bad_weights(stores: dict[str, Store], weights: list[float]) -> None:
    with pytest.raises(LiftwildError, match="weights"):
        Source([stores["two"], stores["more"]], weights, Augmentation())
    with pytest.raises(LiftwildError, match="weights"):
        Source([], [], Augmentation())


def test_a_broken_store_is_one_clear_error_in_a_worker(tmp_path: Path) -> None:
    store = make_store(tmp_path / "x.arrow", [sample(0, size=48)])
    broken = Source([store], [1.0], Augmentation())
    content = bytearray((tmp_path / "x.arrow").read_bytes())
    at = content.index(b"\xff\xd8\xff")
    content[at : at + 4] = b"gone"
    (tmp_path / "x.arrow").write_bytes(content)
    batches = MixedBatches(broken, None, 1.0, (0, 2), PX, (1, 1))
    loader = DataLoader(batches, batch_size=None, sampler=range(2), num_workers=1, worker_init_fn=worker_init)
    with pytest.raises(LiftwildError, match="picture of row 0 is broken") as raised:
        next(iter(loader))
    traceback.clear_frames(raised.tb)  # they hold the loader; found later, in another test, it is waited for 5 s
