"""What a protocol is: whom it measures, its switches, its numbers, and its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation import metrics
from liftwild.evaluation.measure import Measured
from liftwild.evaluation.predictions import Predictions, StorePredictions
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


@dataclass(frozen=True)
class Protocol:
    """One way to measure.

    ``published``: how many people without and with 3D labels it is over; 0: any number, None: it does not measure
    such. ``switches``: the values of each, the paper's first. ``scores``: its numbers by table and column.
    ``aligned``: by name of a set of people, poses as it compares them. ``group``: tells the name that it has for a
    ``Sample.group``; LiftwildError if it has none. ``head_sizes``: it needs these. ``tables``: Markdown of its own,
    where it does not go by the tables of the paper.
    """

    name: str
    published: tuple[int | None, int | None]
    scores: Callable[[Predictions, Switches], Scores]
    aligned: Callable[[Predictions, Switches], dict[str, Aligned]] | None = None
    switches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    group: Callable[[str], str] | None = None
    head_sizes: bool = False
    tables: Callable[[Predictions], str] | None = None

    def chosen(self, given: Switches) -> dict[str, str]:
        """All switches with their values, the paper's where ``given`` has none; LiftwildError on an unknown one."""
        for name, value in given.items():
            if name not in self.switches:
                known = ", ".join(self.switches) or "none"
                raise LiftwildError(f"protocol {self.name} has no switch {name!r}; it has {known}")
            if value not in self.switches[name]:
                raise LiftwildError(f"switch {name} is {' or '.join(self.switches[name])}, not {value!r}")
        return {name: given.get(name, values[0]) for name, values in self.switches.items()}

    def miscounted(self, stores: Iterable[tuple[int, bool]]) -> str:
        """PersonSelection this protocol is over and whom it got instead, "" if that is the same.

        ``stores``: people, and whether there are 3D labels. LiftwildError if it cannot measure such people at all.
        """
        found = [0, 0]
        for people, has_3d in stores:
            found[has_3d] += people
        faults = []
        for kind, people, published in zip(("without 3D labels", "with 3D labels"), found, self.published, strict=True):
            if people and published is None:
                raise LiftwildError(f"protocol {self.name} does not measure people {kind}, and there are {people}")
            if people and published and people != published:
                faults.append(f"{people:,} people instead of {published:,}")
        return ", ".join(faults)

    def check_labels(self, store: Store) -> None:
        """LiftwildError if ``store`` lacks what this protocol needs beside the joints: before it is predicted on."""
        if self.group is not None:
            for name in sorted(set(store.column("group").tolist())):
                self.group(name)
        if self.head_sizes and not (store.column("head_size_px") > 0).any():
            raise LiftwildError(f"protocol {self.name}: {store.path} has no head sizes; prepare it with "
                                f"'liftwild prepare {self.name}'")  # fmt: skip


def miscounted(protocol: Protocol, predictions: Predictions) -> str:
    """``Protocol.miscounted`` of predictions."""
    return protocol.miscounted((len(store.source), store.has_3d) for store in predictions.stores)


def check_people(protocol: Protocol, fault: str, any_count: bool) -> None:
    """LiftwildError if there is a ``fault`` in the numbers of people, unless they may be any."""
    if fault and not any_count:
        raise LiftwildError(
            f"protocol {protocol.name}: {fault}; give its whole test set, or --any-count to score what there is"
        )


def together(stores: Sequence[StorePredictions]) -> Measured:
    """The people of several stores as one."""
    first = stores[0].measured  # what is not by person is of the network, the same for all
    parts = {
        item.name: [getattr(store.measured, item.name) for store in stores]
        for item in fields(Measured)
        if item.name not in ("input_px", "sum_length_mm")
    }
    arrays: dict[str, Any] = {  # what only some of the stores have is left out
        name: None if any(each is None for each in part) else np.concatenate(part) for name, part in parts.items()
    }
    return Measured(**arrays, input_px=first.input_px, sum_length_mm=first.sum_length_mm)


def groups(stores: Sequence[StorePredictions]) -> np.ndarray:
    """Which group everybody in ``stores`` is of, (N,) str."""
    return np.array([group for store in stores for group in store.group])


def head_sizes(stores: Sequence[StorePredictions]) -> np.ndarray:
    """Head sizes of everybody in ``stores``, (N,) px of the network's input, NaN: unknown."""
    return np.concatenate([store.head_size_px for store in stores])


def rooted(pose: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """``pose`` (N, J, 3) with the pelvis at 0; NaN where that is not ``valid`` (N, J)."""
    pose = pose - pose[:, PELVIS : PELVIS + 1]
    return pose if valid is None else np.where(valid[:, PELVIS, None, None], pose, np.nan)


def known(aligned: Aligned) -> Aligned:
    """The same, with what is not a number in pose or label taken as invalid: such people have no root or no scale."""
    finite = np.isfinite(aligned.pred).all(-1) & np.isfinite(aligned.true).all(-1)
    return aligned._replace(valid=aligned.valid & finite)
