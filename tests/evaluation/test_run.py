"""From stores to tables, cards and pages; nothing foreign is written over."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from liftwild.errors import LiftwildError
from liftwild.evaluation.predictions import (
    read_predictions,
)
from liftwild.evaluation.report import CARD_MARK, report
from liftwild.evaluation.run import evaluate_stores
from liftwild.weights import load_weights, save_weights


def test_evaluate_and_report(stores: list[Path], tiny_weights: Path, tmp_path: Path) -> None:
    out, card, folder = tmp_path / "p.arrow", tmp_path / "card.md", tmp_path / "page"
    for _ in range(2):  # what it wrote itself it writes over
        tables = evaluate_stores(str(tiny_weights), stores, out=out, card=card, page=folder, batch_size=3)
    assert card.read_text() == CARD_MARK + tables
    assert "no flip test" in tables and "Weights tiny (sha256 " in tables
    assert report([out], tmp_path / "again.md") == tables == (tmp_path / "again.md").read_text()[len(CARD_MARK) :]
    assert sorted(path.name for path in folder.iterdir()) == ["chosen.jpg", "worst.jpg"]
    flipped = evaluate_stores(str(tiny_weights), stores[1:], flip_test=True)
    assert "with flip test" in flipped and "Poses in space" not in flipped


def test_the_fingerprint_of_weights(stores: list[Path], tiny_weights: Path, tmp_path: Path) -> None:
    """That of the file; of weights in several files, of all of them."""
    net, card = load_weights(tiny_weights)
    shards = save_weights(tmp_path / "cut.safetensors", net, card, shard_mb=0.1)
    assert len(shards) > 1
    for weights, files in ((tiny_weights, [tiny_weights]), (tmp_path / "cut.safetensors", shards)):
        evaluate_stores(str(weights), stores[1:], out=tmp_path / "p.arrow")
        about = read_predictions(tmp_path / "p.arrow").about
        content = b"".join(file.read_bytes() for file in files)
        assert about["weights"] == {"name": weights.stem, "sha256": hashlib.sha256(content).hexdigest()}


def test_nothing_foreign_is_written_over(stores: list[Path], tiny_weights: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    before = stores[0].read_bytes()
    for options, words in (
        ({"out": stores[0]}, "studio.arrow exists and was not written by this"),
        ({"card": notes}, "notes.md exists and was not written by this"),
        ({"out": tmp_path / "x", "card": tmp_path / "x"}, "are both"),
        ({"out": tmp_path}, "is a folder"),
        ({"page": notes}, "is a file, not a folder"),
        ({"card": tmp_path / "none" / "card.md"}, "no folder"),
    ):
        with pytest.raises(LiftwildError, match=words):
            evaluate_stores(str(tiny_weights), stores, **options)
    assert notes.read_text() == "mine" and stores[0].read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["notes.md"]
