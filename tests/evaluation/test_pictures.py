"""Pages of pictures: who is on them, how large they are, and what they show."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from liftwild.data.store import Store
from liftwild.evaluation import pictures
from liftwild.evaluation.predictions import (
    Predictions,
)
from liftwild.skeleton import MPII_16
from liftwild.viz.draw import LEFT, RIGHT

J = len(MPII_16)


def test_who_is_on_the_pages() -> None:
    assert pictures.choose(500, 0) == pictures.choose(500, 0) == sorted(set(pictures.choose(500, 0)))
    assert len(pictures.choose(500, 0)) == 48 and pictures.choose(500, 0) != pictures.choose(500, 1)
    assert pictures.choose(3, 0) == [0, 1, 2]
    pck = np.array([0.5, np.nan, 0.0, 0.5, 0.2])
    assert pictures.worst(pck, np.array([9, 1, 5, 3, 4])) == [2, 4, 3, 0]
    assert pictures.worst(pck, np.array([9, 1, 5, 3, 4]), most=2) == [2, 4]


def test_a_page_is_small_enough(predictions: Predictions, stores: list[Path], tmp_path: Path) -> None:
    pictures.write_people_page(tmp_path, Store(stores[0]), predictions.stores[0], "tiny")
    for name in ("chosen", "worst"):
        path = tmp_path / f"{name}.jpg"
        assert path.stat().st_size < 1_500_000 and cv2.imread(str(path)).shape[1] == 2400
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert len(pictures.small_jpeg(noise, 30_000)) < 30_000 < len(pictures.small_jpeg(noise))


def test_the_page_shows_prediction_and_labels(stores: list[Path], predictions: Predictions) -> None:
    """The right side orange, the left blue, in the photo and in space; a person without a torso says so."""
    store, own = Store(stores[0]), predictions.stores[0]
    drawn = pictures.draw_people_page(store, own, [0, 1], 2, "title")
    assert drawn.shape[:2] == (pictures.TITLE_PX + pictures.CAPTION_PX + pictures.GAP_PX + 596, 2400)
    for half in (drawn[:, :596], drawn[:, 596:1192]):
        for colour in (RIGHT, LEFT):
            assert (np.abs(half.astype(int) - colour).max(axis=-1) < 40).sum() > 50
    measured = dataclasses.replace(own.measured, valid_2d=np.zeros((5, J), dtype=bool))
    bare = pictures.draw_people_page(store, dataclasses.replace(own, measured=measured), [0, 1], 2, "title")
    assert not np.array_equal(bare, drawn)
