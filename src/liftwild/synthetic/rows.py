"""Dataclasses of tensors that hold one row for each person, or for each picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Rows:
    """Base of such a dataclass. Every field is a tensor, or again ``Rows``, of the same length."""

    def take(self, rows: Tensor) -> Self:
        """The same of ``rows`` (long) alone."""
        return replace(
            self,
            **{
                name: value.take(rows) if isinstance(value, Rows) else value[rows] for name, value in vars(self).items()
            },
        )

    def join(self, *others: Self) -> Self:
        """All rows of this one, then those of each of ``others``."""
        joined = {}
        for name, value in vars(self).items():
            rest = [getattr(other, name) for other in others]
            joined[name] = value.join(*rest) if isinstance(value, Rows) else torch.cat([value, *rest])
        return replace(self, **joined)
