"""Measure weights on stores, from files to files: predictions first, scores from them, then pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from liftwild import __version__
from liftwild.console import say
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.measure import counted_on
from liftwild.evaluation.pictures import check_page, write_people_page
from liftwild.evaluation.predictions import Predictions, check_names, encode, is_predictions_file, predict_store
from liftwild.evaluation.protocols import find_protocol
from liftwild.evaluation.report import check_card, keep_tables
from liftwild.evaluation.scored import score, tables_text
from liftwild.files import check_output, write_whole
from liftwild.inference.estimator import Estimator
from liftwild.weights_files import find_weights


def evaluate_stores(
    weights: str,
    stores: Sequence[Path],
    protocol: str = "open",
    *,
    out: Path | None = None,
    card: Path | None = None,
    page: Path | None = None,
    page_seed: int = 0,
    flip_test: bool = False,
    device: str | None = None,
    batch_size: int = 32,
    switches: Mapping[str, str] | None = None,
    any_count: bool = False,
) -> str:
    """Measure ``weights`` on ``stores``; returns the tables of ``protocol`` as Markdown.

    ``out``: predictions file to write; ``card``: file for the tables; ``page``: folder for pictures of people of the
    first store, drawn by ``page_seed``, and of the worst; ``switches`` of the protocol, the paper's if not said;
    ``any_count``: also of other people than the protocol's. LiftwildError if something is missing, is something else,
    or would be written over.
    """
    _check_order(weights, stores)
    check_names(stores)
    rules = find_protocol(protocol)
    chosen = rules.chosen(switches or {})
    opened = [Store(path) for path in stores]
    rules.check_people([(len(store), bool(store.column("depth_valid").any())) for store in opened], any_count)
    for store in opened:
        rules.check_labels(store)
    if note := rules.scale_note(store.scale for store in opened):
        say(f"warning: protocol {protocol}: {note}; 'liftwild prepare mpi-inf-3dhp --scale' decides it", err=True)
    _check_outputs(out, card, page)
    estimator = Estimator(weights, device, flip_test, batch_size, runtime="torch")
    total = sum(len(store) for store in opened)
    with tqdm(total=total, unit="person", disable=None) as bar:
        found = []
        for store in opened:
            bar.set_description(store.path.stem)
            found.append(
                predict_store(
                    estimator.net, store, estimator.card["sum_length_mm"], batch_size, flip_test, counted_on(bar),
                    estimator.bone_length_mm,
                )
            )  # fmt: skip
    path = find_weights(weights)
    name = estimator.card.get("name", path.stem)
    files = [path.with_name(file) for file in estimator.card.get("files", [path.name])]
    about = {
        "liftwild": __version__,
        "weights": {"name": name, "sha256": _sha256(files)},
        "protocol": protocol,
        "flip_test": flip_test,
        "input_px": estimator.input_px,
        "sum_length_mm": estimator.card["sum_length_mm"],
        "bone_length_mm": estimator.card.get("bone_length_mm"),
        "mean_pose_mm": estimator.card.get("mean_pose_mm"),
        "switches": chosen,
        "any_count": any_count,
    }
    predictions = Predictions(about, tuple(found))
    if out is not None:
        write_whole(out, encode(predictions))
    tables = tables_text([score(out or Path(name), predictions)])
    keep_tables(tables, card)
    if page is not None:
        write_people_page(page, opened[0], found[0], name, page_seed)
    return tables


def _check_order(weights: str, stores: Sequence[Path]) -> None:
    """Weights come before stores."""
    if Path(weights).suffix == ".arrow":
        raise LiftwildError(f"{weights} is a store; the weights come first: liftwild evaluate WEIGHTS {weights}")
    if not stores:
        raise LiftwildError(f"no store to measure {weights} on: liftwild evaluate {weights} STORE...")


def _check_outputs(out: Path | None, card: Path | None, page: Path | None) -> None:
    """Before hours of work: folders are there, and nothing that is not ours is written over."""
    check_card(card)
    for path in (out, page):
        if path is not None and not path.parent.is_dir():
            raise LiftwildError(f"no folder {path.parent} to write {path.name} into")
    if page is not None and page.exists() and not page.is_dir():
        raise LiftwildError(f"{page} is a file, not a folder for pictures")
    if out is not None and out == card:
        raise LiftwildError(f"-o and --card are both {out}; choose another file for one")
    if out is not None:
        check_output(out, is_predictions_file)
    if page is not None:
        check_page(page)


def _sha256(files: Sequence[Path]) -> str:
    """SHA-256 of the files' bytes, one after another."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()
