"""Which row of a store is drawn n-th: a function of (seed, n), so that nobody has to keep a place.

In each epoch every row comes once. Shards are shuffled, and rows within windows of a few shards that then follow each
other: all that must be at hand is a window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

WINDOW = 4  # shards
_SHARES = 32  # bits of a share of draws
_SHARDS, _ROWS = 0, 1  # what a seed is for


class RowOrder:
    """The order of the rows of a store with so many ``rows`` in each shard, by ``seed``.

    Rows are counted through all shards. It holds a number for each shard, and the rows of two windows.
    """

    def __init__(self, rows: Sequence[int], seed: Sequence[int], window: int = WINDOW) -> None:
        self._rows, self._seed, self._size = np.asarray(rows, dtype=np.int64), tuple(seed), window
        self._starts = np.cumsum(self._rows) - self._rows
        self._total = int(self._rows.sum())
        self._epochs: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._windows: dict[tuple[int, int], np.ndarray] = {}

    def row(self, number: int) -> int:
        """The row that is drawn ``number``-th, from 0 on."""
        epoch, window, place = self._place(number)
        return int(self._window(epoch, window)[place])

    def shards_ahead(self, number: int) -> list[int]:
        """The shards of the window after the one that draw ``number`` is in."""
        epoch, window, _ = self._place(number)
        last = len(self._epoch(epoch)[1]) - 1
        return self._shards(epoch, window + 1) if window < last else self._shards(epoch + 1, 0)

    def _place(self, number: int) -> tuple[int, int, int]:
        """Epoch, window, and how many rows of the window came before."""
        epoch, place = divmod(number, self._total)
        ends = self._epoch(epoch)[1]
        window = int(np.searchsorted(ends, place, side="right"))
        return epoch, window, place - (int(ends[window - 1]) if window else 0)

    def _epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The shards in the order of an epoch, and how many rows are in its windows up to each."""
        if epoch not in self._epochs:
            shards = np.random.default_rng([*self._seed, _SHARDS, epoch]).permutation(len(self._rows))
            sums = np.cumsum(self._rows[shards])
            lasts = np.minimum(np.arange(self._size, len(shards) + self._size, self._size), len(shards)) - 1
            _keep(self._epochs, epoch, (shards, sums[lasts]))
        return self._epochs[epoch]

    def _shards(self, epoch: int, window: int) -> list[int]:
        return [int(shard) for shard in self._epoch(epoch)[0][window * self._size : (window + 1) * self._size]]

    def _window(self, epoch: int, window: int) -> np.ndarray:
        """The rows of a window in their order."""
        if (epoch, window) not in self._windows:
            parts = [np.arange(self._rows[shard]) + self._starts[shard] for shard in self._shards(epoch, window)]
            rng = np.random.default_rng([*self._seed, _ROWS, epoch, window])
            _keep(self._windows, (epoch, window), rng.permutation(np.concatenate(parts)))
        return self._windows[epoch, window]


def _keep(cache: dict, key: object, value: object) -> None:
    """Add to ``cache``, which holds two things: batches straddle what follows each other."""
    cache[key] = value
    if len(cache) > 2:
        del cache[next(iter(cache))]


def turn(number: int, weights: Sequence[float]) -> tuple[int, int]:
    """Which of several stores draw ``number`` is from, and how many draws before were from the same one.

    Draws are shared by ``weights``, evenly over any stretch; one of weight 0 gets none.
    """
    left = list(weights)
    for store in range(len(left) - 1):
        rest = sum(left[store:])
        # Whole numbers: rounding must neither leave out a draw nor give one twice.
        share = math.ceil(left[store] / rest * (1 << _SHARES)) if rest > 0 else 0
        before = number * share >> _SHARES
        if (number + 1) * share >> _SHARES > before:
            return store, before
        number -= before
    return len(left) - 1, number
