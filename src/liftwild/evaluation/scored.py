"""Scores of predictions files, and tables that show several of them beside each other and beside the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liftwild.errors import LiftwildError
from liftwild.evaluation import paper
from liftwild.evaluation.metric_table import METRICS
from liftwild.evaluation.predictions import Predictions
from liftwild.evaluation.protocols import find_protocol
from liftwild.evaluation.protocols.protocol import Aligned, Protocol, Scores
from liftwild.evaluation.tables import Table, as_markdown, markdown_text, mean_cell


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

    def aligned(self) -> dict[str, Aligned]:
        """Poses as its protocol compares them, by name of the set of people."""
        return self.protocol.aligned(self.predictions, self.switches)


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
    others = protocol.check_people(predictions.counts, any_count or about.get("any_count", False))
    note = "; ".join(filter(None, [others, protocol.scale_note(store.scale for store in predictions.stores)]))
    odd = [f"{name}={value}" for name, value in chosen.items() if value != protocol.switches[name][0]]
    odd += (["flip test"] if about["flip_test"] else []) + ([note] if note else [])
    weights = about["weights"]["name"]
    label = weights + (f" ({'; '.join(odd)})" if odd else "")
    scores = protocol.scores(predictions, chosen)
    return Scored(path, predictions, protocol, chosen, weights, label, note, scores)


def compare(found: Sequence[Scored]) -> list[Table]:
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
    tables += [open_table(key, f"{key[5:]}: open protocol") for key in keys if key.startswith("open/")]
    for table in tables:
        filled = set()
        for weights, label in labels:
            rows = [one.scores[table.key] for one in found if one.label == label and table.key in one.scores]
            cells = {
                column: mean_cell([row[column] for row in rows if column in row])
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


def open_table(key: str, title: str) -> Table:
    """An empty table with a column for each of ``METRICS``."""
    return Table(key, title, tuple(metric.column for metric in METRICS.values()))


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


def tables_text(found: Sequence[Scored]) -> str:
    """As Markdown, the tables of one file in its protocol's own form if it has one, or of several beside each other."""
    if len(found) == 1 and (own := found[0].protocol.tables) is not None:
        return own(found[0].predictions)
    return comparison_text(found)


def comparison_text(found: Sequence[Scored], notes: Sequence[str] = ()) -> str:
    """All tables of ``compare`` as Markdown, and where their numbers come from."""
    parts = [*notes, *map(as_markdown, compare(found)), "### Where our rows come from"]
    lines: list[str] = []
    for one in found:
        about = one.predictions.about
        stores = ", ".join(f"{s.name} (sha256 {s.fingerprint[:12]})" for s in one.predictions.stores)
        people = sum(len(store.source) for store in one.predictions.stores)
        switches = "".join(f", {name} = {value}" for name, value in one.switches.items())
        odd = f" **Not the protocol's people: {one.note}.**" if one.note else ""
        line = (
            f"- {one.label}: weights sha256 {about['weights']['sha256'][:12]}, protocol {one.protocol.name}{switches}, "
            f"{people:,} people of {stores}, AvgSumLen {about['sum_length_mm']:.2f} mm, "
            f"liftwild {about['liftwild']}.{odd}"
        )
        lines.append(markdown_text(line))
    parts.append("\n".join(lines))
    if any(one.note for one in found):
        parts.append("Rows over other people than the protocol's cannot be compared with the paper's.")
    return "\n\n".join(parts) + "\n"
