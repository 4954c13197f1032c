"""Calibrate a network's confidence: predict labelled people, fit, measure, write it into the weights' json, draw it.

What is measured of a fit is of photos that it has not seen: each half of them by the fit on the other. What is kept is
the fit on all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from liftwild.data.augment import end_photo, is_in_photo
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation import confidence_fit, measure, reliability
from liftwild.evaluation.metric_table import RIGHT_TORSOS
from liftwild.evaluation.predictions import check_names
from liftwild.evaluation.reliability import Bin, Observed
from liftwild.evaluation.tables import markdown_table
from liftwild.files import check_output
from liftwild.inference.confidence import EDGES, Calibration
from liftwild.inference.runtime import find_device
from liftwild.media.encoding import is_marked
from liftwild.network.posenet import PoseNet
from liftwild.sample import Sample
from liftwild.schema import load_json
from liftwild.viz.plots import check_matplotlib, write_reliability
from liftwild.weights import load_weights, write_weights_json
from liftwild.weights_files import find_weights

SEED = 0  # of where photos are cut
WHOLE = EDGES[0]
ENDS = {WHOLE: "around the person", "bottom": "below", "top": "above", "side": "at a side"}
# Photos that end within the person: at which edge, in turn, and how much of the box is left; 1 and more: all of it, for
# boxes that reach the edge with nothing beyond.
CUT_EDGES = ("bottom", "side", "bottom", "top")
CUT_KEPT = (0.35, 1.1)

# Those by which the first and the second half of the photos are measured: fitted on the other half.
Halves = tuple[Calibration, Calibration]


class _Run(NamedTuple):
    """What was seen in one way of looking: ``edge`` (N,) at which edge the photo ends; ``beyond`` (N, J) bool, joints
    that the photo leaves out."""

    seen: Observed
    edge: np.ndarray
    beyond: np.ndarray

    def of(self, people: np.ndarray) -> _Run:
        """Some of the people."""
        return _Run(self.seen.of(people), self.edge[people], self.beyond[people])


class _Depths(NamedTuple):
    """(N, J) each, ``first`` (N,): peaks; depth errors, mm; which are known; who is in the first half; the spread that
    the network states, mm, or None."""

    peaks: np.ndarray
    errors_mm: np.ndarray
    known: np.ndarray
    first: np.ndarray
    stated_mm: np.ndarray | None


@dataclass
class _Looker:
    """The network, and how people are shown to it."""

    net: PoseNet
    card: dict[str, Any]
    batch_size: int
    most: int
    bar: tqdm

    def observe(self, store: Store, flip: bool, cut: bool) -> _Run:
        """Peaks and hits of the people of a store, as they are or in photos that end within them."""
        sources, edges, beyond = [], [], []

        def shown() -> Iterator[Sample]:
            for number, sample in enumerate(measure.rows(store, self.most)):
                edge, out = WHOLE, np.zeros(len(sample.joints_2d), dtype=bool)
                if cut:
                    edge = CUT_EDGES[number % len(CUT_EDGES)]
                    sample, out = cut_at(sample, edge, np.random.default_rng((SEED, number)))
                sources.append(sample.source)
                edges.append(edge)
                beyond.append(out)
                yield sample

        measured = self._run(shown(), flip)
        return _Run(reliability.observe(measured, sources), np.array(edges), np.stack(beyond))

    def depths(self, store: Store) -> _Depths:
        """Depths of the people of a store with 3D labels."""
        sources: list[str] = []

        def shown() -> Iterator[Sample]:
            for sample in measure.rows(store, self.most):
                sources.append(sample.source)
                yield sample

        measured = self._run(shown(), False)
        spread = None if measured.depth_spread is None else measured.depth_spread * measured.mm_per_unit[:, None]
        errors_mm, known = reliability.depth_errors(measured)
        return _Depths(measured.confidence, errors_mm, known, measure.in_first_half(sources), spread)

    def _run(self, people: Iterable[Sample], flip: bool) -> measure.Measured:
        bones = self.card.get("bone_length_mm")
        return measure.run(
            self.net, measure.counted_on(self.bar)(people), self.card["sum_length_mm"], self.batch_size, flip,
            bone_length_mm=None if bones is None else np.array(bones, dtype=np.float64),
        )  # fmt: skip


def calibrate_weights(
    weights: str,
    stores: Sequence[Path],
    depth: Sequence[Path] = (),
    *,
    picture: Path | None = None,
    device: str | None = None,
    batch_size: int = 32,
    most: int = 0,
) -> str:
    """Fit what ``weights``' confidence is worth and keep it as ``calibration`` in their json; returns the tables.

    ``stores``: labelled photos that were not trained on, for the chance that a joint is right; ``depth``: stores with
    3D labels, for the spread of depths, which stays unknown without. All photos fit; the tables are of each half of
    them by the fit on the other. ``picture``: PNG for the curve; ``most``: so many people of a store at most, 0 for
    all. The json is written whole or not at all, and only in the end. LiftwildError if something is missing or cannot
    be fitted.
    """
    _check(weights, stores, depth, picture)
    if picture is not None:
        check_output(picture, is_marked)
    net, card = load_weights(weights)
    net = net.to(find_device(device)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    opened, with_depth = [Store(path) for path in stores], [Store(path) for path in depth]
    for store in with_depth:
        if not store.column("depth_valid").any():
            raise LiftwildError(f"{store.path} has no 3D labels to measure depths by; give it without --depth")

    def size(store: Store) -> int:
        return min(len(store), most) if most > 0 else len(store)

    with tqdm(total=4 * sum(map(size, opened)) + sum(map(size, with_depth)), unit="person", disable=None) as bar:
        looker = _Looker(net, card, batch_size, most, bar)
        runs = _runs(looker, opened)
        depths = [looker.depths(store) for store in with_depth]
    first, second = (
        Calibration({key: confidence_fit.fit_chance(run.seen.half(half)) for key, run in runs.items()})
        for half in (False, True)
    )
    held_out = first, second
    result = Calibration({key: confidence_fit.fit_chance(run.seen) for key, run in runs.items()})
    spread_rows: list[tuple[float, float, int]] = []
    if depths:
        result, spread_rows = _with_spread(result, depths)
    before, after = _bins(runs[False, WHOLE], None), _bins(runs[False, WHOLE], held_out)
    error_before, error_after = reliability.expected_error(before), reliability.expected_error(after)
    about = {
        "stores": [{"name": s.path.stem, "people": size(s), "fingerprint": s.fingerprint()} for s in opened],
        "depth_stores": [{"name": s.path.stem, "people": size(s), "fingerprint": s.fingerprint()} for s in with_depth],
        "ece_of_peak": round(error_before, 4),
        "ece": round(error_after, 4),
        "joints": sum(each.joints for each in after),
    }
    path = find_weights(weights).with_suffix(".json")
    kept: dict[str, Any] = load_json(path)
    kept["calibration"] = {**result.card(), "measured": about}
    if picture is not None:
        bins = {
            f"{name}   off by {100 * error:.1f} % on average (ECE)": table
            for name, error, table in (("calibrated", error_after, after), ("peak alone", error_before, before))
        }
        write_reliability(picture, f"{card.get('name', path.stem)}: is a joint right?", bins)
    write_weights_json(path, kept)
    return _tables(weights, held_out, runs, spread_rows)


def _check(weights: str, stores: Sequence[Path], depth: Sequence[Path], picture: Path | None) -> None:
    """Before minutes of work: arguments in order, and what the picture needs."""
    if Path(weights).suffix == ".arrow":
        raise LiftwildError(f"{weights} is a store; the weights come first: liftwild calibrate WEIGHTS {weights}")
    if not stores:
        raise LiftwildError(f"no store to calibrate {weights} on: liftwild calibrate {weights} STORE...")
    check_names(stores)
    check_names(depth)
    if picture is not None:
        check_matplotlib()
        if not picture.parent.is_dir():
            raise LiftwildError(f"no folder {picture.parent} to write {picture.name} into")


def cut_at(sample: Sample, edge: str, rng: np.random.Generator) -> tuple[Sample, np.ndarray]:
    """The sample as if its photo ended within the person, at ``edge`` (of ``confidence.EDGES``, not the first), and
    which joints (J,) bool are labelled and beyond."""
    kept = min(1.0, rng.uniform(*CUT_KEPT))
    right = bool(rng.integers(2))  # which side
    side = {"bottom": "below", "top": "above", "side": "right" if right else "left"}[edge]
    part = end_photo(sample, side, kept)
    return part, sample.joints_2d_valid & ~is_in_photo(part)


def _runs(looker: _Looker, stores: Sequence[Store]) -> dict[tuple[bool, str], _Run]:
    """What is seen of all stores, by whether flip-tested and by the edge at which photos end."""
    runs: dict[tuple[bool, str], _Run] = {}
    for flip in (False, True):
        for cut in (False, True):
            seen, edge, beyond = zip(*(looker.observe(store, flip, cut) for store in stores), strict=True)
            observed = Observed(*(np.concatenate(columns) for columns in zip(*seen, strict=True)))
            run = _Run(observed, np.concatenate(edge), np.concatenate(beyond))
            runs |= {(flip, edge): run.of(run.edge == edge) for edge in (EDGES[1:] if cut else EDGES[:1])}
    return runs


def _with_spread(result: Calibration, depths: Sequence[_Depths]) -> tuple[Calibration, list[tuple[float, float, int]]]:
    """The calibration with the spread of depths, and rows of stated and found ones."""
    peaks, errors_mm, known, first = (np.concatenate(column) for column in list(zip(*depths, strict=True))[:4])
    own = [each.stated_mm for each in depths if each.stated_mm is not None]
    by_network = len(own) == len(depths)
    by = -np.log(np.concatenate(own)) if by_network else result.confidence(peaks)
    stated = np.zeros_like(by)
    for half in (first, ~first):
        spread = confidence_fit.fit_spread(by[~half], errors_mm[~half], known[~half])
        stated[half] = Calibration({}, spread).depth_sd_mm(by[half])
    counted = known & (stated > 0)
    result = Calibration(result.chance, confidence_fit.fit_spread(by, errors_mm, known), by_network)
    return result, reliability.spread_rows(stated[counted], errors_mm[counted])


def _stated(run: _Run, by: Halves | None, flip: bool = False, edge: str = WHOLE) -> np.ndarray:
    """Chances (N, J) of people, each by the calibration of the half that they are not in; the peaks themselves, at most
    1, without one."""
    peaks, first = run.seen.peaks, run.seen.first
    if by is None:
        return np.clip(peaks, 0, 1)
    of_first, of_second = (each.confidence(peaks, flip, (edge,)) for each in by)
    return np.where(first[:, None], of_first, of_second)


def _bins(run: _Run, by: Halves | None, flip: bool = False, edge: str = WHOLE) -> list[Bin]:
    counted = reliability.scored(run.seen)
    return reliability.bin_chances(_stated(run, by, flip, edge)[counted], run.seen.hits[counted])


def _tables(
    weights: str, held_out: Halves, runs: dict[tuple[bool, str], _Run], spread: Sequence[tuple[float, float, int]]
) -> str:
    """What was measured on photos that were not fitted on, as Markdown."""
    whole = runs[False, WHOLE]
    parts = [
        f"Confidence of {weights}: {len(whole.edge)} people, each half of the photos measured by the fit on the other. "
        f"Right: at most {RIGHT_TORSOS:g} torsos off.",
        markdown_table(
            ("stated, %", "found, %", "joints", "peak alone: stated, %", "found, %", "joints"),
            [
                _cells(after) + _cells(before)
                for after, before in zip(_bins(whole, held_out), _bins(whole, None), strict=True)
            ],
        ),
    ]
    rows = []
    for (flip, edge), run in runs.items():
        errors = (100 * reliability.expected_error(_bins(run, by, flip, edge)) for by in (None, held_out))
        rows.append([ENDS[edge], "flip-tested" if flip else "plain", *(f"{error:.1f}" for error in errors)])
    parts.append(markdown_table(("photo ends", "peaks", "ECE of the peak, %", "calibrated, %"), rows))
    rows = []
    for edge in EDGES[1:]:
        run = runs[False, edge]
        stated = _stated(run, held_out, edge=edge)
        for name, which in (("in the photo", ~run.beyond), ("beyond its edge", run.beyond)):
            which = which & reliability.scored(run.seen)
            if which.any():
                each = Bin(float(stated[which].mean()), float(run.seen.hits[which].mean()), int(which.sum()))
                rows.append([ENDS[edge], name, *_cells(each)])
    parts.append(markdown_table(("photo ends", "joints", "stated, %", "found, %", "joints"), rows))
    if spread:
        cells = [[f"{stated_mm:.0f}", f"{found_mm:.0f}", f"{count}"] for stated_mm, found_mm, count in spread]
        parts.append(markdown_table(("depth spread: stated, mm", "found, mm", "joints"), cells))
    return "\n\n".join(parts) + "\n"


def _cells(each: Bin) -> list[str]:
    if not each.joints:
        return ["-", "-", "0"]
    return [f"{100 * each.stated:.0f}", f"{100 * each.found:.0f}", f"{each.joints}"]
