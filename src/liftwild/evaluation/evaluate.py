"""Measuring weights on stores, from files to files: predictions first, scores from them, then pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from liftwild import __version__
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation.page import write_page
from liftwild.evaluation.predictions import (
    Predictions,
    check_names,
    encode,
    is_predictions_file,
    predict_store,
    read_predictions,
)
from liftwild.evaluation.protocols import find_protocol
from liftwild.evaluation.protocols.protocol import check_people
from liftwild.evaluation.report import find_predictions, markdown, score, write_report
from liftwild.files import write_whole
from liftwild.inference.estimator import Estimator
from liftwild.sample import Sample
from liftwild.weights import find_weights

CARD_MARK = "<!-- tables of liftwild -->\n"


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
    people = [(len(store), bool(store.column("depth_valid").any())) for store in opened]
    check_people(rules, rules.miscounted(people), any_count)
    for store in opened:
        rules.check_labels(store)
    _check_outputs(out, card, page)
    estimator = Estimator(weights, device, flip_test, batch_size)
    total = sum(len(store) for store in opened)
    with tqdm(total=total, unit="person", disable=None) as bar:
        found = []
        for store in opened:
            bar.set_description(store.path.stem)
            found.append(
                predict_store(
                    estimator.net, store, estimator.card["sum_length_mm"], batch_size, flip_test, _counted_by(bar)
                )
            )
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
        "mean_pose_mm": estimator.card.get("mean_pose_mm"),
        "switches": chosen,
        "any_count": any_count,
    }
    predictions = Predictions(about, tuple(found))
    if out is not None:
        write_whole(out, encode(predictions))
    tables = _tables([out or Path(name)], [predictions])
    _write_card(tables, card)
    if page is not None:
        write_page(page, opened[0], found[0], name, page_seed)
    return tables


def report(
    paths: Sequence[Path],
    card: Path | None = None,
    *,
    out: Path | None = None,
    stores: Sequence[Path] = (),
    seed: int = 0,
    switches: Mapping[str, str] | None = None,
    any_count: bool = False,
) -> str:
    """The tables of predictions files, or of all in a folder, without a network.

    ``card``: file for them; ``out``: folder for tables, figures and, of ``stores``, pictures of people drawn by
    ``seed`` (``report.write_report``). ``switches``, ``any_count``: instead of those of the files, as in
    ``evaluate_stores``. LiftwildError as there.
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
    _check_outputs(None, card, None)
    tables = _tables(found, predictions, switches, any_count)
    if out is not None:
        scored = [score(*one, switches, any_count) for one in zip(found, predictions, strict=True)]
        write_report(out, scored, stores, seed)
    _write_card(tables, card)
    return tables


def _tables(
    paths: Sequence[Path],
    predictions: Sequence[Predictions],
    switches: Mapping[str, str] | None = None,
    any_count: bool = False,
) -> str:
    """The tables of one file, in its protocol's own form if it has one, or of several beside each other."""
    if len(predictions) == 1 and (own := find_protocol(predictions[0].about["protocol"]).tables) is not None:
        return own(predictions[0])
    return markdown([score(*one, switches, any_count) for one in zip(paths, predictions, strict=True)])


def _write_card(tables: str, card: Path | None) -> None:
    if card is not None:
        write_whole(card, (CARD_MARK + tables).encode())


def _check_order(weights: str, stores: Sequence[Path]) -> None:
    """Weights come before stores."""
    if Path(weights).suffix == ".arrow":
        raise LiftwildError(f"{weights} is a store; the weights come first: liftwild evaluate WEIGHTS {weights}")
    if not stores:
        raise LiftwildError(f"no store to measure {weights} on: liftwild evaluate {weights} STORE...")


def _check_outputs(out: Path | None, card: Path | None, page: Path | None) -> None:
    """Before hours of work: folders are there, and nothing that is not ours is written over."""
    for path in (out, card, page):
        if path is not None and not path.parent.is_dir():
            raise LiftwildError(f"no folder {path.parent} to write {path.name} into")
    for path in (out, card):
        if path is not None and path.is_dir():
            raise LiftwildError(f"{path} is a folder, not a file to write")
    if page is not None and page.exists() and not page.is_dir():
        raise LiftwildError(f"{page} is a file, not a folder for pictures")
    if out is not None and out == card:
        raise LiftwildError(f"-o and --card are both {out}; choose another file for one")
    if out is not None and out.exists() and not is_predictions_file(out):
        raise LiftwildError(f"{out} exists and is no predictions file; it is not written over, choose another -o")
    if card is not None and card.exists() and not card.read_bytes().startswith(CARD_MARK.encode()):
        raise LiftwildError(f"{card} exists and was not written by --card; it is not written over, choose another")


def _counted_by(bar: tqdm) -> Callable[[Iterable[Sample]], Iterable[Sample]]:
    """Lets people go by and counts them on ``bar``."""

    def watch(people: Iterable[Sample]) -> Iterator[Sample]:
        for person in people:
            yield person
            bar.update()

    return watch


def _sha256(files: Sequence[Path]) -> str:
    """SHA-256 of the files' bytes, one after another."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()
