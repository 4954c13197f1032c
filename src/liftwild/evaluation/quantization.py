"""What int8 costs on labelled photos: some give it its ranges, the others, held back, are measured on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from liftwild.data.prepare import prepare_labels
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.measure import Measured, in_first_half, labels_of, network_view, rows
from liftwild.evaluation.metric_table import METRICS
from liftwild.inference.export import Int8Trial
from liftwild.inference.runtime import Runtime, infer_crops
from liftwild.network.posenet import PoseNetConfig
from liftwild.sample import Sample

MAX_LOST = 0.5  # points of PCK@0.2-torso that int8 may cost
MIN_PEOPLE = 50  # to measure that on
MAX_SHOWN = 256  # people whose crops give int8 its ranges
BATCH = 16


def int8_trial(source: Path, photos: Path | None = None) -> Callable[[PoseNetConfig], Int8Trial]:
    """What ``export_weights`` tries int8 on: half of the labelled photos give it its ranges, the other half show what
    it costs. Arguments and errors as for ``split_people``."""

    def trial(config: PoseNetConfig) -> Int8Trial:
        shown, held_back = split_people(source, photos, config.input_px, config.mask)
        ranges, others = (np.stack([person.image for person in people]) for people in (shown, held_back))
        return Int8Trial(ranges, others, lambda runtime: measured_pck(runtime, held_back, source), MAX_LOST)

    return trial


def split_people(
    source: Path, photos: Path | None, input_px: int, mask: float = 0.0
) -> tuple[list[Sample], list[Sample]]:
    """People for the ranges, at most ``MAX_SHOWN``, and those to measure on, of other photos; all as the network sees.

    ``source``: a store, or COCO labels (.json) of photos in ``photos`` (None: beside the labels). LiftwildError if it
    cannot be read, or has fewer than ``MIN_PEOPLE`` to measure on.
    """
    people = _labelled(source, photos, input_px, mask)
    first = in_first_half([person.source for person in people])
    shown = [person for person, is_first in zip(people, first, strict=True) if is_first]
    held_back = [person for person, is_first in zip(people, first, strict=True) if not is_first]
    if not shown or len(held_back) < MIN_PEOPLE:
        raise LiftwildError(
            f"{source}: int8 is measured on half of the photos, on {MIN_PEOPLE} people or more, not {len(held_back)}"
        )
    return shown[:: -(-len(shown) // MAX_SHOWN)], held_back


def _labelled(source: Path, photos: Path | None, input_px: int, mask: float) -> list[Sample]:
    """The labelled people as the network sees them; those of a store, or of COCO labels."""
    with tempfile.TemporaryDirectory() as folder:
        store = source
        if source.suffix == ".json":
            store = Path(folder) / f"{source.stem}.arrow"
            prepare_labels(source, photos or source.parent, store)
        return [network_view(sample, input_px, mask) for sample in rows(Store(store))]


def measured_pck(runtime: Runtime, people: Sequence[Sample], source: Path) -> float:
    """PCK@0.2-torso in percent of ``people``, seen as the network sees them."""
    seen = [
        infer_crops(runtime, np.stack([person.image for person in people[start : start + BATCH]]))
        for start in range(0, len(people), BATCH)
    ]
    joints = np.concatenate([each.joints_2d for each in seen])
    peaks = np.concatenate([each.peaks for each in seen])
    flat = np.zeros_like(peaks)
    pck = METRICS["pck_torso"].function(
        Measured(joints, peaks, flat, **labels_of(people), input_px=runtime.input_px, sum_length_mm=1.0)
    )
    if not pck.people:
        raise LiftwildError(f"{source}: nobody held back has labels of the torso, by which joints are measured")
    return pck.number
