"""Calibrate a network's confidence: predict labelled people, fit, measure, write it into the weights' json, draw it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from tqdm import tqdm

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation import calibration as fits
from liftwild.evaluation import measure
from liftwild.evaluation.calibration import Bin, Observed
from liftwild.evaluation.page import shrunk
from liftwild.evaluation.predictions import check_names
from liftwild.inference.confidence import EDGES, Calibration
from liftwild.inference.runtime import find_device
from liftwild.network.posenet import PoseNet
from liftwild.sample import Sample
from liftwild.skeleton import MPII_16
from liftwild.viz.draw import FAINT, FINE, GRID, INK, PAPER, Colour, disc, line, text
from liftwild.viz.figure import write_png
from liftwild.viz.plots import COLOURS
from liftwild.weights import find_weights, load_weights, write_card

SIDE_PX, LEFT_PX, TOP_PX, BARS_PX, BELOW_PX, LEGEND_PX = 420, 74, 76, 70, 62, 26
SEED = 0  # of where photos are cut
WHOLE = EDGES[0]
ENDS = {WHOLE: "around the person", "bottom": "below", "top": "above", "side": "at a side"}

# Those by which the first and the second half of the photos are measured: fitted on the other half.
Halves = tuple[Calibration, Calibration]
Watch = Callable[[Iterable[Sample]], Iterable[Sample]]


class _Run(NamedTuple):
    """What was seen in one way of looking; ``beyond`` (N, J): joints that the photo leaves out, none of whole ones."""

    seen: Observed
    beyond: np.ndarray

    def take(self, rows: np.ndarray) -> _Run:
        """Some of the people."""
        return _Run(Observed(*(values[rows] for values in self.seen)), self.beyond[rows])


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
    net, card = load_weights(weights)
    net = net.to(find_device(device)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    opened, with_depth = [Store(path) for path in stores], [Store(path) for path in depth]
    for store in with_depth:
        if not store.column("depth_valid").any():
            raise LiftwildError(f"{store.path} has no 3D labels to measure depths by; give it without --depth")

    def size(store: Store) -> int:
        return min(len(store), most) if most > 0 else len(store)

    with tqdm(total=4 * sum(map(size, opened)) + sum(map(size, with_depth)), unit="person", disable=None) as bar:
        runs: dict[tuple[bool, str], _Run] = {}
        for flip in (False, True):
            for cut in (False, True):
                found = [_look(net, card, store, flip, cut, batch_size, most, _counted_by(bar)) for store in opened]
                seen = _Run(
                    fits.joined([run.seen for run, _ in found]), np.concatenate([run.beyond for run, _ in found])
                )
                edges = np.concatenate([edge for _, edge in found])
                runs |= {(flip, edge): seen.take(edges == edge) for edge in (EDGES[1:] if cut else EDGES[:1])}
        depths = [_depths(net, card, store, batch_size, most, _counted_by(bar)) for store in with_depth]
    halves = tuple({key: fits.fit_chance(run.seen.half(first)) for key, run in runs.items()} for first in (False, True))
    result = Calibration({key: fits.fit_chance(run.seen) for key, run in runs.items()})
    held_out = (Calibration(halves[0]), Calibration(halves[1]))
    spread_rows: list[tuple[float, float, int]] = []
    if depths:
        peaks, errors, known, first = (np.concatenate(column) for column in zip(*(d[:4] for d in depths), strict=True))
        own = [d[4] for d in depths if d[4] is not None]
        by_network = len(own) == len(depths)
        by = -np.log(np.concatenate(own)) if by_network else result.confidence(peaks)
        stated = np.zeros_like(by)
        for half in (first, ~first):
            spread = Calibration({}, fits.fit_spread(by[~half], errors[~half], known[~half]))
            stated[half] = spread.depth_sd_mm(by[half])
        result = Calibration(result.chance, fits.fit_spread(by, errors, known), by_network)
        counted = known & (stated > 0)
        spread_rows = _spread_rows(stated[counted], errors[counted])
    before, after = _bins(runs[False, WHOLE], None), _bins(runs[False, WHOLE], held_out)
    tables = _tables(weights, held_out, runs, spread_rows)
    about = {
        "stores": [{"name": s.path.stem, "people": size(s), "fingerprint": s.fingerprint()} for s in opened],
        "depth_stores": [{"name": s.path.stem, "people": size(s), "fingerprint": s.fingerprint()} for s in with_depth],
        "ece_of_peak": round(fits.expected_error(before), 4),
        "ece": round(fits.expected_error(after), 4),
        "joints": sum(each.joints for each in after),
    }
    path = find_weights(weights).with_suffix(".json")
    kept: dict[str, Any] = json.loads(path.read_text())
    kept["calibration"] = {**result.card(), "measured": about}
    if picture is not None:
        write_png(picture, draw_reliability(f"{card.get('name', path.stem)}: is a joint right?", before, after))
    write_card(path, kept)
    return tables


def _check(weights: str, stores: Sequence[Path], depth: Sequence[Path], picture: Path | None) -> None:
    """Before minutes of work: arguments in order, and a place for the picture."""
    if Path(weights).suffix == ".arrow":
        raise LiftwildError(f"{weights} is a store; the weights come first: liftwild calibrate WEIGHTS {weights}")
    if not stores:
        raise LiftwildError(f"no store to calibrate {weights} on: liftwild calibrate {weights} STORE...")
    check_names(stores)
    check_names(depth)
    if picture is not None and not picture.parent.is_dir():
        raise LiftwildError(f"no folder {picture.parent} to write {picture.name} into")


def _look(
    net: PoseNet, card: dict[str, Any], store: Store, flip: bool, cut: bool, batch_size: int, most: int, watch: Watch
) -> tuple[_Run, np.ndarray]:
    """Peaks and hits of the people of a store, as they are or in photos that end within them; (N,) at which edge."""
    sources: list[str] = []
    beyond: list[np.ndarray] = []
    edges: list[str] = []

    def noted() -> Iterator[Sample]:
        for number, sample in enumerate(measure.rows(store, most)):
            out, edge = np.zeros(len(MPII_16), dtype=bool), WHOLE
            if cut:
                edge = fits.CUT_EDGES[number % len(fits.CUT_EDGES)]
                sample, out = fits.cut(sample, edge, np.random.default_rng((SEED, number)))
            sources.append(sample.source)
            beyond.append(out)
            edges.append(edge)
            yield sample

    measured = measure.run(net, watch(noted()), card["sum_length_mm"], batch_size, flip)
    return _Run(fits.observe(measured, sources), np.stack(beyond)), np.array(edges)


def _depths(
    net: PoseNet, card: dict[str, Any], store: Store, batch_size: int, most: int, watch: Watch
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Peaks, depth errors in mm, which are known (N, J each), who is in the first half (N,), and the spread in mm that
    the network states (N, J), or None."""
    sources: list[str] = []

    def noted() -> Iterator[Sample]:
        for sample in measure.rows(store, most):
            sources.append(sample.source)
            yield sample

    measured = measure.run(net, watch(noted()), card["sum_length_mm"], batch_size)
    own = fits.stated_spread_mm(measured)
    return measured.confidence, *fits.depth_errors(measured), fits.in_first_half(sources), own


def _counted_by(bar: tqdm) -> Watch:
    """Lets people go by and counts them on ``bar``."""

    def watch(people: Iterable[Sample]) -> Iterator[Sample]:
        for person in people:
            yield person
            bar.update()

    return watch


def _stated(run: _Run, by: Halves | None, flip: bool = False, edge: str = WHOLE) -> np.ndarray:
    """Chances (N, J) of people, each by the calibration of the half that they are not in; the peaks themselves, at most
    1, without one."""
    peaks, first = run.seen.peaks, run.seen.first
    if by is None:
        return np.clip(peaks, 0, 1)
    of_first, of_second = (each.confidence(peaks, flip, (edge,)) for each in by)
    return np.where(first[:, None], of_first, of_second)


def _bins(run: _Run, by: Halves | None, flip: bool = False, edge: str = WHOLE) -> list[Bin]:
    counted = fits.scored(run.seen)
    return fits.reliability(_stated(run, by, flip, edge)[counted], run.seen.hits[counted])


def _tables(
    weights: str, held_out: Halves, runs: dict[tuple[bool, str], _Run], spread: Sequence[tuple[float, float, int]]
) -> str:
    """What was measured on photos that were not fitted on, as Markdown."""
    people = len(runs[False, WHOLE].seen.peaks)
    lines = [
        f"Confidence of {weights}: {people} people, each half of the photos measured by the fit on the other. "
        f"Right: at most {fits.RIGHT_TORSOS:g} torsos off.",
        "",
        "| stated, % | found, % | joints | peak alone: stated, % | found, % | joints |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows = zip(_bins(runs[False, WHOLE], held_out), _bins(runs[False, WHOLE], None), strict=True)
    lines += [f"| {_cells(after)} | {_cells(before)} |" for after, before in rows]
    lines += ["", "| photo ends | peaks | ECE of the peak, % | calibrated, % |", "| --- | --- | --- | --- |"]
    for (flip, edge), run in runs.items():
        before, after = (100 * fits.expected_error(_bins(run, by, flip, edge)) for by in (None, held_out))
        lines.append(f"| {ENDS[edge]} | {'flip-tested' if flip else 'plain'} | {before:.1f} | {after:.1f} |")
    lines += ["", "| photo ends | joints | stated, % | found, % | joints |", "| --- | --- | --- | --- | --- |"]
    for edge in EDGES[1:]:
        run = runs[False, edge]
        stated = _stated(run, held_out, edge=edge)
        for name, which in (("in the photo", ~run.beyond), ("beyond its edge", run.beyond)):
            which = which & fits.scored(run.seen)
            if which.any():
                each = Bin(float(stated[which].mean()), float(run.seen.hits[which].mean()), int(which.sum()))
                lines.append(f"| {ENDS[edge]} | {name} | {_cells(each)} |")
    if spread:
        lines += ["", "| depth spread: stated, mm | found, mm | joints |", "| --- | --- | --- |"]
        lines += [f"| {stated_mm:.0f} | {found_mm:.0f} | {count} |" for stated_mm, found_mm, count in spread]
    return "\n".join(lines) + "\n"


def _cells(each: Bin) -> str:
    return f"{100 * each.stated:.0f} | {100 * each.found:.0f} | {each.joints}" if each.joints else "- | - | 0"


def _spread_rows(stated: np.ndarray, errors: np.ndarray, parts: int = 5) -> list[tuple[float, float, int]]:
    """Stated and found standard deviations, mm, of fifths of the joints by what is stated, and of all."""
    order = np.argsort(stated, kind="stable")
    groups = [group for group in np.array_split(order, parts) if len(group)] + [order]
    return [
        (float(np.sqrt((stated[g] ** 2).mean())), float(np.sqrt((errors[g] ** 2).mean())), len(g))
        for g in groups
        if len(g)
    ]


def draw_reliability(title: str, before: Sequence[Bin], after: Sequence[Bin]) -> np.ndarray:
    """Found over stated chances, of the peak alone and calibrated, over how many joints state them: (H, W, 3) RGB."""
    width, height = LEFT_PX + SIDE_PX + 30, TOP_PX + SIDE_PX + BARS_PX + BELOW_PX + 2 * LEGEND_PX + 14
    canvas = np.full((height * FINE, width * FINE, 3), PAPER, np.uint8)
    text(canvas, title, (24 * FINE, 30 * FINE), 0.6, INK)

    def place(x: float, y: float) -> np.ndarray:
        return np.array([LEFT_PX + SIDE_PX * x, TOP_PX + SIDE_PX * (1 - y)]) * FINE

    for share in np.linspace(0, 1, 6):
        line(canvas, place(share, 0), place(share, 1), GRID, FINE)
        line(canvas, place(0, share), place(1, share), GRID, FINE)
        _words(canvas, f"{100 * share:.0f}", place(0, share) + np.array([-20, 0]) * FINE)
        _words(canvas, f"{100 * share:.0f}", place(share, 0) + np.array([0, BARS_PX + 16]) * FINE)
    _words(canvas, "right, %", place(0, 1) + np.array([-20, -22]) * FINE)
    _words(
        canvas, "confidence, %; below the curve: how many joints", place(0.5, 0) + np.array([0, BARS_PX + 40]) * FINE
    )
    line(canvas, place(0, 0), place(1, 1), FAINT, FINE)
    floor = place(0, 0)[1] + BARS_PX * FINE
    most = max((each.joints for table in (before, after) for each in table), default=0)
    names = []
    for number, (name, table) in enumerate((("peak alone", before), ("calibrated", after))):
        colour: Colour = COLOURS[1 - number]
        points = [place(each.stated, each.found) for each in table if each.joints]
        for start, end in pairwise(points):
            line(canvas, start, end, colour, 2.4 * FINE)
        for point in points:
            disc(canvas, point, 4 * FINE, colour)
        for at, each in enumerate(table):
            left = place((at + 0.14 + 0.38 * number) / len(table), 0)[0]
            right = left + 0.34 * SIDE_PX / len(table) * FINE
            high = (BARS_PX - 14) * FINE * each.joints / max(most, 1)
            corners = (round(left), round(floor - high)), (round(right), round(floor))
            cv2.rectangle(canvas, *corners, colour, cv2.FILLED)
        names.append((f"{name}   off by {100 * fits.expected_error(table):.1f} % on average (ECE)", colour))
    top = TOP_PX + SIDE_PX + BARS_PX + BELOW_PX
    for number, (words, colour) in enumerate(names):
        y = (top + LEGEND_PX * (number + 0.5)) * FINE
        line(canvas, np.array([30 * FINE, y]), np.array([56 * FINE, y]), colour, 4 * FINE)
        text(canvas, words, (68 * FINE, y + 5 * FINE), 0.48, INK)
    return shrunk(canvas)


def _words(canvas: np.ndarray, words: str, at: np.ndarray) -> None:
    text(canvas, words, (float(at[0]), float(at[1])), 0.45, FAINT, centred=True)
