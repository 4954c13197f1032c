"""Random numbers that depend on the sample alone, not on its batch nor on the process that renders it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class SampleRng:
    """B rows of uniform numbers in [0, 1), one row a sample, used up column by column.

    Each row has its own seed, and each call takes as many columns of every row, so a sample's numbers do not depend on
    its neighbours. RuntimeError when the columns run out.
    """

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers
        self.used = 0

    @classmethod
    def from_seeds(cls, seeds: Sequence[Sequence[int]], columns: int, device: torch.device | str = "cpu") -> SampleRng:
        """A row for each of ``seeds`` (tuples of whole numbers from 0 on), ``columns`` numbers long."""
        rows = [np.random.default_rng(tuple(seed)).random(columns, dtype=np.float32) for seed in seeds]
        return cls(torch.from_numpy(np.stack(rows)).to(device))

    @property
    def rows(self) -> int:
        """B."""
        return len(self.numbers)

    @property
    def device(self) -> torch.device:
        """Device of the numbers."""
        return self.numbers.device

    def unit(self, *shape: int) -> Tensor:
        """Uniform in [0, 1): (B, *shape)."""
        count = int(np.prod(shape))
        start, self.used = self.used, self.used + count
        if self.used > self.numbers.shape[1]:
            raise RuntimeError(f"{self.used} numbers asked for, {self.numbers.shape[1]} there")
        return self.numbers[:, start : self.used].reshape(-1, *shape)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform between ``low`` and ``high``: (B, *shape)."""
        return self.unit(*shape) * (high - low) + low

    def normal(self, mean: float, deviation: float, *shape: int) -> Tensor:
        """Normal, cut at 3.5 deviations: (B, *shape)."""
        return torch.erfinv((self.unit(*shape) * 2 - 1).clamp(-0.9995, 0.9995)) * (2**0.5 * deviation) + mean

    def chance(self, probability: float, *shape: int) -> Tensor:
        """True with ``probability``: bool (B, *shape)."""
        return self.unit(*shape) < probability

    def pick(self, weights: Sequence[float] | Tensor, *shape: int) -> Tensor:
        """Indices in proportion to ``weights`` (K,), or to those of each row (B, K): long (B, *shape)."""
        table = torch.as_tensor(weights, dtype=torch.float32, device=self.device)
        share = (table / table.sum(-1, keepdim=True)).cumsum(-1)
        numbers = self.unit(*shape).contiguous()
        if share.ndim == 1:
            return torch.searchsorted(share, numbers, right=True).clamp(max=table.shape[-1] - 1)
        flat = numbers.reshape(self.rows, -1).contiguous()
        return torch.searchsorted(share, flat, right=True).clamp(max=table.shape[-1] - 1).view_as(numbers)

    def index(self, count: int, *shape: int) -> Tensor:
        """One of 0 .. count - 1: long (B, *shape)."""
        return (self.unit(*shape) * count).long().clamp(max=count - 1)

    def skip(self, columns: int) -> None:
        """Leave out ``columns`` numbers: those that a part made by ``take`` may have used."""
        self.used += columns

    def take(self, rows: Tensor) -> SampleRng:
        """The numbers of ``rows`` (long), as far used as these."""
        part = SampleRng(self.numbers[rows])
        part.used = self.used
        return part

    def branch(self, count: int, columns: int) -> SampleRng:
        """B * count rows (row-major) of ``columns`` numbers: ``count`` tries for each row."""
        return SampleRng(self.unit(count, columns).reshape(-1, columns))
