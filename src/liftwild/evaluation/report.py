"""Reports on runs, from predictions files: the paper's tables with our rows, charts, and people side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from liftwild.console import file_stem, say
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.cost import cost_table
from liftwild.evaluation.pictures import draw_side_by_side, small_jpeg
from liftwild.evaluation.predictions import StorePredictions, find_predictions, read_predictions
from liftwild.evaluation.protocols import find_protocol
from liftwild.evaluation.protocols.protocol import Aligned
from liftwild.evaluation.scored import Scored, compare, comparison_text, score, tables_text
from liftwild.evaluation.tables import as_csv, as_latex
from liftwild.files import check_output, make_folder, remove_leftovers, staging, starts_with, write_whole, writing
from liftwild.skeleton import MPII_16
from liftwild.viz.plots import MissingMatplotlibError, write_joint_errors, write_pck_curves

REPORT = "report.md"
REPORT_MARK = "<!-- report of liftwild -->\n"
CARD_MARK = "<!-- tables of liftwild -->\n"
CURVE_MM = tuple(range(0, 151, 5))
MAX_LINES = 8  # in one chart


def report(
    paths: Sequence[Path],
    card: Path | None = None,
    *,
    out: Path | None = None,
    stores: Sequence[Path] = (),
    seed: int = 0,
    switches: Mapping[str, str] | None = None,
    any_count: bool = False,
    bench: Path | None = None,
) -> str:
    """The tables of predictions files, or of all in a folder, without a network.

    ``card``: file for them; ``out``: folder for tables, charts and, of ``stores``, pictures of people drawn by
    ``seed`` (``write_report``). ``switches``, ``any_count``: instead of those of the files, as in
    ``run.evaluate_stores``. ``bench``: a file of ``benchmarks/cost.py``, told beside the paper's times. LiftwildError
    as there.
    """
    if stores and out is None:
        raise LiftwildError("pictures of people go into the folder of a report: give -o too")
    found = find_predictions(paths)
    predictions = [read_predictions(path) for path in found]
    known = {name for one in predictions for name in find_protocol(one.about["protocol"]).switches}
    for name in switches or {}:
        if name not in known:
            raise LiftwildError(f"no protocol of these predictions has a switch {name!r}; they have "
                                f"{', '.join(sorted(known)) or 'none'}")  # fmt: skip
    check_card(card)
    times = [] if bench is None else [cost_table(bench)]
    scored = [score(*one, switches, any_count) for one in zip(found, predictions, strict=True)]
    tables = "\n".join([tables_text(scored), *times])
    if out is not None:
        write_report(out, scored, stores, seed, times)
    keep_tables(tables, card)
    return tables


def check_card(card: Path | None) -> None:
    """LiftwildError unless ``card`` is new or was written by ``keep_tables``, in a folder that is there."""
    if card is None:
        return
    if not card.parent.is_dir():
        raise LiftwildError(f"no folder {card.parent} to write {card.name} into")
    check_output(card, partial(starts_with, mark=CARD_MARK.encode()), "--card")


def keep_tables(tables: str, card: Path | None) -> None:
    """Keep ``tables`` in the file ``card``, if there is to be one."""
    if card is not None:
        write_whole(card, (CARD_MARK + tables).encode())


def write_report(
    folder: Path, found: Sequence[Scored], stores: Sequence[Path] = (), seed: int = 0, notes: Sequence[str] = ()
) -> list[Path]:
    """Write report.md, each table as .tex and .csv, the charts, and people of ``stores`` drawn by ``seed``.

    Returns the files, report.md first. LiftwildError if ``folder`` is not empty and holds no report, or if none of the
    predictions is on one of the stores.
    """
    opened = [Store(path) for path in stores]
    tables = compare(found)
    _claim(folder)
    with writing(folder), staging(folder / REPORT) as stage:
        files = []
        for table in tables:
            for suffix, content in ((".tex", as_latex(table)), (".csv", as_csv(table))):
                files.append(stage / (file_stem(table.key.replace("/", "-")) + suffix))
                files[-1].write_bytes(content.encode())
        pictures = _charts(stage, found)
        for store in opened:
            pictures.append(stage / f"people-{file_stem(store.path.stem)}.jpg")
            pictures[-1].write_bytes(small_jpeg(_side_by_side(store, found, seed)))
        shown = [f"![{path.stem}]({path.name})" for path in pictures]
        text = comparison_text(found, notes) + ("\n" + "\n\n".join(shown) + "\n" if shown else "")
        (stage / REPORT).write_bytes((REPORT_MARK + text).encode())
        # The report first: it makes the others ours, should somebody end us between two of them.
        names = [path.name for path in (stage / REPORT, *files, *pictures)]
        for name in names:
            os.replace(stage / name, folder / name)
    return [folder / name for name in names]


def _claim(folder: Path) -> None:
    """``folder``, made, empty or with a report that may be written over."""
    if folder.exists() and not folder.is_dir():
        raise LiftwildError(f"{folder} is a file, not a folder for a report")
    make_folder(folder)
    remove_leftovers(folder)
    report = folder / REPORT
    ours = report.is_file() and starts_with(report, REPORT_MARK.encode())
    if any(folder.iterdir()) and not ours:
        raise LiftwildError(f"{folder} is not empty and holds no report; choose another -o")


def _charts(folder: Path, found: Sequence[Scored]) -> list[Path]:
    """PCK curve and error by joint of every set of people with 3D labels: mean over runs of one label.

    None, and a line on stderr, where matplotlib is not installed.
    """
    sets: dict[str, dict[str, list[Aligned]]] = {}
    for one in found:
        for name, poses in one.aligned().items():
            sets.setdefault(name, {}).setdefault(one.label, []).append(poses)
    written: list[Path] = []
    try:
        for name, by_label in sets.items():
            shown = dict(list(by_label.items())[:MAX_LINES])
            curves = {
                label: np.mean([[100 * poses.hits(limit).pooled() for limit in CURVE_MM] for poses in runs], axis=0)
                for label, runs in shown.items()
            }
            joints = {label: np.mean([poses.joint_errors() for poses in runs], axis=0) for label, runs in shown.items()}
            pck, errors = folder / f"pck-{file_stem(name)}.png", folder / f"joints-{file_stem(name)}.png"
            write_pck_curves(pck, f"PCK on {name}", CURVE_MM, curves)
            write_joint_errors(errors, f"Mean error by joint on {name}", MPII_16.names, joints)
            written += [pck, errors]
    except MissingMatplotlibError as missing:
        say(f"the report has no charts: {missing}", err=True)
    return written


def _side_by_side(store: Store, found: Sequence[Scored], seed: int) -> np.ndarray:
    """People of ``store`` with what the first run of each recipe made of them."""
    fingerprint = store.fingerprint()
    shown: dict[str, StorePredictions] = {}
    for one in found:
        for own in one.predictions.stores:
            if own.fingerprint == fingerprint:
                flipped = " (flip test)" if one.predictions.about["flip_test"] else ""
                shown.setdefault(one.weights + flipped, own)
    if not shown:
        raise LiftwildError(f"none of the predictions is on {store.path}; its pictures cannot be drawn")
    return draw_side_by_side(store, dict(list(shown.items())[:MAX_LINES]), seed)
