"""``liftwild.BatchRenderer``: numbers of rendered people in, rows of a store out, for engines that map over tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from liftwild.data.store import SCHEMA
from liftwild.errors import LiftwildError
from liftwild.synthetic.render.generate import batch_size, captured_poses, render_chunks, render_config
from liftwild.synthetic.render.write import rendered_row


class BatchRenderer:
    """Renders the people of a batch of numbers: ``map`` it over a table with Ray, ``datasets`` or Spark.

    ``number``: the column with the numbers, from 0. The rest as for ``render_people``: person ``i`` of n is the same
    whoever renders it, to the byte on one kind of CPU. It may be pickled. LiftwildError if the options make no sense;
    needs pyarrow.

    Whole batches of ``at_once`` numbers, from a multiple of it on, are rendered, whatever is asked for: let the engine
    hand them over so.
    """

    def __init__(
        self,
        mode: str,
        seed: int = 0,
        number: str = "id",
        *,
        split: str = "train",
        size: int = 256,
        backdrops: str | Path | None = None,
        poses: str | Path | None = None,
        device: str = "cpu",
    ) -> None:
        self.number, self.poses = number, poses
        self.config = render_config(mode, seed, split=split, size=size, backdrops=backdrops, device=device)
        self.at_once = batch_size(size, device)
        self._captured: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the captured poses."""
        return {**self.__dict__, "_captured": None}

    def __call__(self, batch: Any) -> Any:
        """The rows of a store (``data.store.SCHEMA``) of the people whose numbers are in ``batch``, in its order.

        ``batch``: an Arrow Table or RecordBatch; the same kind comes back. LiftwildError if it is something else, or
        has no such numbers.
        """
        if not hasattr(batch, "schema") or not hasattr(batch, "to_pydict"):
            raise LiftwildError(f"a batch is an Arrow table, not {type(batch).__name__}")
        if self.number not in batch.schema.names:
            raise LiftwildError(f"no column is called {self.number!r}; there are {', '.join(batch.schema.names)}")
        numbers = batch.column(self.number).to_pylist()
        for number in numbers:
            if not isinstance(number, int) or number < 0:
                raise LiftwildError(f"{self.number}: numbers of people are whole, from 0, not {number!r}")
        if self._captured is None and self.poses is not None:
            self._captured = captured_poses(self.poses, self.config.split)
        starts = sorted({number - number % self.at_once for number in numbers})
        chunks = [list(range(start, start + self.at_once)) for start in starts]
        wanted = set(numbers)
        rows = {
            sample.index: rendered_row(sample)
            for samples in render_chunks(self.config, chunks, self._captured)
            for sample in samples
            if sample.index in wanted
        }
        return type(batch).from_pylist([rows[number] for number in numbers], schema=SCHEMA)
