"""How well people are found: boxes against labelled boxes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from liftwild.boxes import ious, overlaps


@dataclass(frozen=True)
class Matched:
    """Boxes found in some photos, judged.

    ``scores`` (N,) and ``right`` (N,) bool: those that count, right if they are a labelled person whom no better one
    claims. ``sizes`` (N,): what ``match`` was told of the person that is found, NaN for the wrong. ``wanted`` (P,):
    sizes of the people to be found.
    """

    scores: np.ndarray
    right: np.ndarray
    sizes: np.ndarray
    wanted: np.ndarray

    @classmethod
    def together(cls, several: Iterable[Matched]) -> Matched:
        """Those of many photos as one."""
        rows = list(several)
        columns = ([getattr(row, name) for row in rows] for name in ("scores", "right", "sizes", "wanted"))
        scores, right, sizes, wanted = (np.concatenate([*column, np.zeros(0)]) for column in columns)
        return cls(scores, right.astype(bool), sizes, wanted)

    def at(self, threshold: float) -> tuple[float, float]:
        """Recall and precision, each in [0, 1], of what scores at least ``threshold``; NaN where nothing counts."""
        kept = self.scores >= threshold
        right = int(self.right[kept].sum())
        recall = right / len(self.wanted) if len(self.wanted) else float("nan")
        return recall, right / int(kept.sum()) if kept.any() else float("nan")

    def average_precision(self) -> float:
        """Area under precision over recall, precision made falling (as in PASCAL VOC 2010); 0 if nothing is right."""
        order = np.argsort(-self.scores, kind="stable")
        right = self.right[order]
        if not len(self.wanted) or not right.any():
            return 0.0
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        return float(precision[right].sum() / len(self.wanted))


def match(
    found: np.ndarray,
    scores: np.ndarray,
    labelled: np.ndarray,
    counts: np.ndarray,
    sizes: np.ndarray | None = None,
    ignored: np.ndarray | None = None,
    min_iou: float = 0.5,
    optional: np.ndarray | None = None,
) -> Matched:
    """Judge the boxes found in one photo, best first, each against the free labelled one that it overlaps most.

    ``found`` (N, 4) x, y, w, h px with ``scores`` (N,); ``labelled`` (M, 4); ``counts`` (M,) bool: those to be found.
    Of the others it is neither right nor wrong to find one. ``sizes`` (M,): anything to tell people apart by later.
    ``ignored`` (K, 4): areas, such as crowds, where a box that lies in one by half is neither right nor wrong.
    ``optional`` (N,) bool: boxes that are not wrong where nobody is, as COCO has it for boxes of another size than that
    of the people to be found.
    """
    found, labelled = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (found, labelled))
    counts = np.asarray(counts, dtype=bool)
    sizes = np.zeros(len(labelled)) if sizes is None else np.asarray(sizes, dtype=np.float64)
    table = ious(found, labelled)
    inside = np.zeros(len(found), dtype=bool) if optional is None else np.array(optional, dtype=bool)
    if ignored is not None and len(ignored):
        share = overlaps(found, ignored) / np.maximum(found[:, 2:].prod(axis=1)[:, None], 1e-12)
        inside |= (share >= 0.5).any(axis=1)
    taken = np.zeros(len(labelled), dtype=bool)
    rows = []
    for i in np.argsort(-np.asarray(scores), kind="stable").tolist():
        free = np.where(taken, 0.0, table[i])
        # One who counts goes before one who does not, as in COCO's own evaluation.
        for whom in (counts, ~counts):
            fits = whom & (free >= min_iou)
            if fits.any():
                best = int(np.where(fits, free, 0).argmax())
                taken[best] = True
                if counts[best]:
                    rows.append((scores[i], True, sizes[best]))
                break
        else:
            if not inside[i]:
                rows.append((scores[i], False, np.nan))
    table_of = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Matched(table_of[:, 0], table_of[:, 1].astype(bool), table_of[:, 2], sizes[counts])
