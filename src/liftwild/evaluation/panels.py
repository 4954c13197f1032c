"""People side by side, as the paper's Table 5 shows them: the photo with the joints found, and the pose in space."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from liftwild.data.store import Store
from liftwild.evaluation import measure
from liftwild.evaluation.page import CAPTION_PX, GAP_PX, choose, draw_person, shrunk
from liftwild.evaluation.predictions import StorePredictions
from liftwild.viz.draw import FAINT, FINE, INK, PAPER, text

PEOPLE = 6
SIDE_PX = 240  # of a photo, and of the pose beside it
HEAD_PX = 58


def draw_panels(store: Store, runs: Mapping[str, StorePredictions], seed: int = 0, people: int = PEOPLE) -> np.ndarray:
    """A row for each of ``people`` drawn by ``seed``, a pair of panels for each of ``runs`` (by name): (H, W, 3) uint8
    RGB. Predictions: left blue, right red; dots: labels; 3D turned by 60 degrees."""
    rows = choose(len(store), seed, people)
    wide, high = 2 * SIDE_PX + GAP_PX, SIDE_PX + CAPTION_PX + GAP_PX
    # Two runs wide at least: the legend needs the room.
    canvas = np.full((HEAD_PX + high * len(rows), max(2, len(runs)) * wide, 3), PAPER, np.uint8)
    head = np.full((HEAD_PX * FINE, canvas.shape[1] * FINE, 3), PAPER, np.uint8)
    legend = f"{store.path.stem}: left blue, right red, unsure joints hollow; dots: labels; 3D turned by 60 degrees"
    text(head, legend, (4 * FINE, 20 * FINE), 0.5, FAINT)
    for place, (name, own) in enumerate(runs.items()):
        text(head, name, ((place * wide + 4) * FINE, 48 * FINE), 0.6, INK)
        pck = measure.torso_hits(own.measured).per_sample()
        for line, row in enumerate(rows):
            score = "no torso labelled" if np.isnan(pck[row]) else f"PCK@0.2-torso {100 * pck[row]:.0f} %"
            cell = draw_person(store, own.measured, row, SIDE_PX, f"{own.annotation_id[row]}   {score}")
            y, x = HEAD_PX + line * high, place * wide
            canvas[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    canvas[:HEAD_PX] = shrunk(head)
    return canvas
