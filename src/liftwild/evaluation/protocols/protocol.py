"""What a protocol is: whom it measures, its switches, its numbers, and its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation import metrics
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.predictions import Predictions
from liftwild.skeleton import PELVIS

Switches: TypeAlias = Mapping[str, str]
Scores: TypeAlias = dict[str, dict[str, float]]  # table -> column -> number


class Aligned(NamedTuple):
    """Poses as a protocol compares them: ``pred``, ``true`` (N, J, 3) mm, ``valid`` (N, J) bool; what is not to be
    compared is invalid."""

    pred: np.ndarray
    true: np.ndarray
    valid: np.ndarray

    def hits(self, limit_mm: float) -> metrics.JointHits:
        """Joints less than ``limit_mm`` off: 3D PCK."""
        return metrics.joint_hits(*self, limit=limit_mm)

    def joint_errors(self) -> np.ndarray:
        """Mean distance of each joint (J,) in mm, NaN where it is never compared."""
        distance = np.linalg.norm(self.pred - self.true, axis=-1)
        count = self.valid.sum(0)
        total = np.where(self.valid, distance, 0.0).sum(0)
        return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


@dataclass(frozen=True)
class Protocol:
    """One way to measure.

    ``published``: how many people without and with 3D labels it is over; 0: any number, None: it does not measure
    such. ``scores``: its numbers by table and column. ``align``: everybody's poses as it compares them; ``per_store``:
    of each store by itself, not of all together. ``switches``: the values of each, the default first. ``group``: tells
    the name that it has for a ``Sample.group``; LiftwildError if it has none. ``needs_head_size``: of somebody in each
    store. ``tables``: Markdown of its own, where it does not go by the tables of the paper. ``scale``: of
    the 3D joints that it is over, where a store states one; "": any.
    """

    name: str
    published: tuple[int | None, int | None]
    scores: Callable[[Predictions, Switches], Scores]
    align: Callable[[Predictions, Switches], Aligned] | None = None
    per_store: bool = False
    switches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    group: Callable[[str], str] | None = None
    needs_head_size: bool = False
    tables: Callable[[Predictions], str] | None = None
    scale: str = "true"

    def chosen(self, given: Switches) -> dict[str, str]:
        """All switches with their values, the defaults where ``given`` has none; LiftwildError on an unknown one."""
        for name, value in given.items():
            if name not in self.switches:
                known = ", ".join(self.switches) or "none"
                raise LiftwildError(f"protocol {self.name} has no switch {name!r}; it has {known}")
            if value not in self.switches[name]:
                raise LiftwildError(f"switch {name} is {' or '.join(self.switches[name])}, not {value!r}")
        return {name: given.get(name, values[0]) for name, values in self.switches.items()}

    def check_people(self, counts: Iterable[tuple[int, bool]], any_count: bool) -> str:
        """Whom this protocol is over and whom it got instead, "" if that is the same.

        ``counts``: people of each store, and whether there are 3D labels. LiftwildError if it cannot measure such
        people at all, or if they are others than its own and not ``any_count``.
        """
        found = [0, 0]
        for people, has_3d in counts:
            found[has_3d] += people
        faults = []
        for kind, people, published in zip(("without 3D labels", "with 3D labels"), found, self.published, strict=True):
            if people and published is None:
                raise LiftwildError(f"protocol {self.name} does not measure people {kind}, and there are {people}")
            if people and published and people != published:
                faults.append(f"{people:,} people instead of {published:,}")
        fault = ", ".join(faults)
        if fault and not any_count:
            raise LiftwildError(
                f"protocol {self.name}: {fault}; give its whole test set, or --any-count to score what there is"
            )
        return fault

    def scale_note(self, scales: Iterable[str]) -> str:
        """What differs where stores state ``scales`` of their 3D joints, "" if nothing does."""
        other = sorted(set(scales) - {"", self.scale}) if self.scale else []
        return f"3D joints at the {' and '.join(other)} scale instead of the {self.scale} one" if other else ""

    def check_labels(self, store: Store) -> None:
        """LiftwildError if ``store`` lacks what this protocol needs beside the joints: before it is predicted on."""
        if self.group is not None:
            for name in sorted(set(store.column("group").tolist())):
                self.group(name)
        if self.needs_head_size and not (store.column("head_size_px") > 0).any():
            raise LiftwildError(f"protocol {self.name}: {store.path} has no head sizes; prepare it with "
                                f"'liftwild prepare {self.name}'")  # fmt: skip

    def aligned(self, predictions: Predictions, switches: Switches) -> dict[str, Aligned]:
        """Poses as they are compared, by name of the set of people; empty where none are."""
        if self.align is None:
            return {}
        if self.per_store:
            stores = (store for store in predictions.stores if store.has_3d)
            return {store.name: self.align(predictions.of(store), switches) for store in stores}
        return {self.name: self.align(predictions, switches)}


def with_label_size(pred: np.ndarray, measured: Measured) -> np.ndarray:
    """Poses ``pred`` (N, J, 3) with the summed bone length of their labels, mm; NaN where those have no bone."""
    return metrics.scale_to_bone_sum(pred, measured.true_3d, measured.valid_3d)


def rooted(pose: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """``pose`` (N, J, 3) with the pelvis at 0; NaN where that is not ``valid`` (N, J)."""
    pose = pose - pose[:, PELVIS : PELVIS + 1]
    return pose if valid is None else np.where(valid[:, PELVIS, None, None], pose, np.nan)


def known(aligned: Aligned) -> Aligned:
    """The same, with what is not a number in pose or label taken as invalid: such people have no root or no scale."""
    finite = np.isfinite(aligned.pred).all(-1) & np.isfinite(aligned.true).all(-1)
    return aligned._replace(valid=aligned.valid & finite)
