"""Reports on runs: the paper's tables with our rows, curves, and people side by side, from predictions files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.evaluation import paper
from liftwild.evaluation.page import jpeg
from liftwild.evaluation.panels import draw_panels
from liftwild.evaluation.paper import Table
from liftwild.evaluation.predictions import Predictions, StorePredictions, is_predictions_file
from liftwild.evaluation.protocols import find_protocol
from liftwild.evaluation.protocols.open import MAIN
from liftwild.evaluation.protocols.protocol import Aligned, Protocol, Scores, check_people, miscounted
from liftwild.files import write_whole
from liftwild.skeleton import MPII_16
from liftwild.viz.figure import write_png
from liftwild.viz.plots import draw_joint_errors, draw_pck_curves

MARK = "<!-- report of liftwild -->\n"
CURVE_MM = tuple(range(0, 151, 5))
MAX_LINES = 8  # in one figure


@dataclass(frozen=True, eq=False)
class Scored:
    """One predictions file and what it scores. ``weights``: their name; ``label``: of its rows, with what is out of
    the ordinary in brackets; ``note``: whom the protocol is over and whom it got, "" if that is the same."""

    path: Path
    predictions: Predictions
    protocol: Protocol
    switches: dict[str, str]
    weights: str
    label: str
    note: str
    scores: Scores


def find_predictions(paths: Sequence[Path]) -> list[Path]:
    """The predictions files in ``paths``, which are such files or folders that hold some, however deep.

    LiftwildError if one holds none.
    """
    found: list[Path] = []
    for path in paths:
        own = [path]
        if path.is_dir():
            own = [file for file in sorted(path.rglob("*.arrow")) if is_predictions_file(file)]
            if not own:
                raise LiftwildError(f"no predictions in {path}; 'liftwild evaluate ... -o {path}/x.arrow' makes them")
        found += [file for file in own if file not in found]
    return found


def score(
    path: Path, predictions: Predictions, switches: Mapping[str, str] | None = None, any_count: bool = False
) -> Scored:
    """Score one file. ``switches``: instead of those it was made with; those of another protocol are passed over.

    LiftwildError if the people are not the protocol's, unless ``any_count`` or the file says that they may be any.
    """
    about = predictions.about
    protocol = find_protocol(about["protocol"])
    given = {name: value for name, value in (switches or {}).items() if name in protocol.switches}
    chosen = protocol.chosen({**about.get("switches", {}), **given})
    note = miscounted(protocol, predictions)
    check_people(protocol, note, any_count or about.get("any_count", False))
    odd = [f"{name}={value}" for name, value in chosen.items() if value != protocol.switches[name][0]]
    odd += (["flip test"] if about["flip_test"] else []) + ([note] if note else [])
    weights = about["weights"]["name"]
    label = weights + (f" ({'; '.join(odd)})" if odd else "")
    return Scored(
        path, predictions, protocol, chosen, weights, label, note, protocol.scores(predictions, chosen)
    )  # fmt: skip


def tables_of(found: Sequence[Scored]) -> list[Table]:
    """The tables that the files fill, the paper's all together or not at all, with its rows first.

    Files of one label are runs of one recipe: their mean and standard deviation. LiftwildError if two of them are the
    same weights on the same stores.
    """
    _check_twins(found)
    labels = list(dict.fromkeys((one.weights, one.label) for one in found))
    keys = list(dict.fromkeys(key for one in found for key in one.scores))
    tables = []
    if any(not key.startswith("open/") for key in keys):
        tables += [paper.paper_table(key) for key in paper.PAPER_TABLES]
    if "mpii" in keys:
        tables.append(paper.paper_table("mpii"))
    tables += [Table(key, f"{key[5:]}: open protocol", tuple(MAIN)) for key in keys if key.startswith("open/")]
    for table in tables:
        filled = set()
        for weights, label in labels:
            rows = [one.scores[table.key] for one in found if one.label == label and table.key in one.scores]
            cells = {
                column: paper.cell([row[column] for row in rows if column in row])
                for column in table.columns
                if any(column in row for row in rows)
            }
            if rows:
                table.rows.append((_ours(label, len(rows)), cells))
                filled.add(weights)
        if table.key in paper.PAPER_TABLES:
            missing = dict.fromkeys(weights for weights, _ in labels if weights not in filled)
            table.rows += [(_ours(weights), {}) for weights in missing]
    return tables


def _ours(label: str, runs: int = 1) -> str:
    return f"ours: {label}" + (f", {runs} runs" if runs > 1 else "")


def _check_twins(found: Sequence[Scored]) -> None:
    seen: dict[tuple[object, ...], Path] = {}
    for one in found:
        stores = tuple(store.fingerprint for store in one.predictions.stores)
        key = (one.predictions.about["weights"]["sha256"], one.protocol.name, one.label, stores)
        if key in seen:
            raise LiftwildError(f"{seen[key]} and {one.path} are the same weights on the same people; give one of them")
        seen[key] = one.path


def markdown(found: Sequence[Scored], notes: Sequence[str] = ()) -> str:
    """All tables as Markdown, and where their numbers come from."""
    parts = [*notes, *(paper.markdown(table) for table in tables_of(found)), "### Where our rows come from"]
    lines = []
    for one in found:
        about = one.predictions.about
        stores = ", ".join(f"{s.name} (sha256 {s.fingerprint[:12]})" for s in one.predictions.stores)
        people = sum(len(store.source) for store in one.predictions.stores)
        switches = "".join(f", {name} = {value}" for name, value in one.switches.items())
        odd = f" **Not the protocol's people: {one.note}.**" if one.note else ""
        lines.append(
            f"- {one.label}: weights sha256 {about['weights']['sha256'][:12]}, protocol {one.protocol.name}{switches}, "
            f"{people:,} people of {stores}, AvgSumLen {about['sum_length_mm']:.2f} mm, "
            f"liftwild {about['liftwild']}.{odd}"
        )
    parts.append("\n".join(lines))
    if any(one.note for one in found):
        parts.append("Rows over other people than the protocol's cannot be compared with the paper's.")
    return "\n\n".join(parts) + "\n"


def write_report(
    folder: Path, found: Sequence[Scored], stores: Sequence[Path] = (), seed: int = 0, notes: Sequence[str] = ()
) -> list[Path]:
    """Write report.md, each table as .tex and .csv, the figures, and people of ``stores`` drawn by ``seed``.

    Returns the files, report.md first. LiftwildError if ``folder`` is not empty and holds no report, or if none of the
    predictions is on one of the stores.
    """
    opened = [Store(path) for path in stores]
    tables = tables_of(found)
    _claim(folder)
    written = [folder / "report.md"]
    for table in tables:
        for suffix, content in ((".tex", paper.latex(table)), (".csv", paper.as_csv(table))):
            written.append(folder / (table.key.replace("/", "-") + suffix))
            write_whole(written[-1], content.encode())
    pictures = _figures(folder, found)
    for store in opened:
        pictures.append(folder / f"people-{store.path.stem}.jpg")
        write_whole(pictures[-1], jpeg(_panels(store, found, seed)))
    shown = [f"![{path.stem}]({path.name})" for path in pictures]
    text = markdown(found, notes) + ("\n" + "\n\n".join(shown) + "\n" if shown else "")
    write_whole(written[0], (MARK + text).encode())
    return [*written, *pictures]


def _claim(folder: Path) -> None:
    """``folder``, made, empty or with a report that may be written over."""
    if folder.exists() and not folder.is_dir():
        raise LiftwildError(f"{folder} is a file, not a folder for a report")
    report = folder / "report.md"
    ours = report.is_file() and report.read_bytes().startswith(MARK.encode())
    if folder.is_dir() and any(folder.iterdir()) and not ours:
        raise LiftwildError(f"{folder} is not empty and holds no report; choose another -o")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiftwildError(f"{folder}: cannot be made: {error.strerror}") from None


def _figures(folder: Path, found: Sequence[Scored]) -> list[Path]:
    """PCK curve and error by joint of every set of people with 3D labels: mean over runs of one label."""
    sets: dict[str, dict[str, list[Aligned]]] = {}
    for one in found:
        if one.protocol.aligned is not None:
            for name, poses in one.protocol.aligned(one.predictions, one.switches).items():
                sets.setdefault(name, {}).setdefault(one.label, []).append(poses)
    written = []
    for name, by_label in sets.items():
        shown = dict(list(by_label.items())[:MAX_LINES])
        curves = {
            label: np.mean([[100 * poses.hits(limit).pooled() for limit in CURVE_MM] for poses in runs], axis=0)
            for label, runs in shown.items()
        }
        joints = {label: np.mean([joint_errors(poses) for poses in runs], axis=0) for label, runs in shown.items()}
        for kind, picture in (
            ("pck", draw_pck_curves(f"PCK on {name}", CURVE_MM, curves)),
            ("joints", draw_joint_errors(f"Mean error by joint on {name}", MPII_16.names, joints)),
        ):
            written.append(folder / f"{kind}-{name}.png")
            write_png(written[-1], picture)
    return written


def joint_errors(poses: Aligned) -> np.ndarray:
    """Mean distance of each joint (J,) in mm, NaN where it is never compared."""
    distance = np.linalg.norm(poses.pred - poses.true, axis=-1)
    count = poses.valid.sum(0)
    total = np.where(poses.valid, distance, 0.0).sum(0)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _panels(store: Store, found: Sequence[Scored], seed: int) -> np.ndarray:
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
    return draw_panels(store, dict(list(shown.items())[:MAX_LINES]), seed)
