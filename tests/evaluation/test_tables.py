"""From stores over predictions to the tables of a report."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from liftwild.cli.main import cli
from liftwild.data.store import Store, StoreWriter, stored_row
from liftwild.errors import LiftwildError
from liftwild.evaluation import paper
from liftwild.evaluation.predictions import Predictions, encode, predict_store, read_predictions
from liftwild.evaluation.report import REPORT_MARK, report
from liftwild.evaluation.run import evaluate_stores
from liftwild.evaluation.tables import Cell, Table, as_csv, as_latex, as_markdown, mean_cell
from liftwild.weights import load_weights
from tests.support.paths import ROOT
from tests.support.predictions import SEQUENCES, joint, perfect, predictions
from tests.support.stores import dotted_person


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people of six sequences, with head sizes."""
    path = tmp_path_factory.mktemp("stores") / "ts.arrow"
    rng = np.random.default_rng(0)
    with StoreWriter(path) as writer:
        for number in range(12):
            sample = dotted_person(rng, number, True)
            group = SEQUENCES[number % 6]
            writer.add(stored_row(dataclasses.replace(sample, group=group, subject=group, head_size_px=11.0)))
    return path


def test_the_file_carries_what_protocols_need(studio: Path, tiny_weights: Path, tmp_path: Path) -> None:
    net, _ = load_weights(tiny_weights)
    store = Store(studio)
    found = predict_store(net, store, 4000.0)
    assert found.group == SEQUENCES * 2 and found.subject == found.group
    one_by_one = predict_store(net, store, 4000.0, batch_size=1)
    np.testing.assert_allclose(one_by_one.measured.pred_2d, found.measured.pred_2d, atol=1e-3)
    np.testing.assert_allclose(one_by_one.measured.pred_depth, found.measured.pred_depth, atol=1e-4)
    head = [joint("upper_neck"), joint("head_top")]
    scale = [
        np.linalg.norm(np.diff(found.measured.true_2d[i, head], axis=0))
        / np.linalg.norm(np.diff(store[i].joints_2d[head], axis=0))
        for i in range(12)
    ]
    sizes = [store[i].head_size_px for i in range(12)]
    np.testing.assert_allclose(found.head_size_px, np.multiply(scale, sizes), rtol=1e-5)
    found.head_size_px[3] = np.nan
    (tmp_path / "p.arrow").write_bytes(encode(dataclasses.replace(predictions(perfect(), "mpii"), stores=(found,))))
    read = read_predictions(tmp_path / "p.arrow").stores[0]
    np.testing.assert_array_equal(read.head_size_px, found.head_size_px)
    assert (read.group, read.subject) == (found.group, found.subject)


def test_names_cannot_act_in_a_report(tmp_path: Path) -> None:
    store_predictions = predictions(perfect(), "open")
    name = "../../evil\n\\input{secret}$^$|<b>=1"
    stores = tuple(dataclasses.replace(store, name=name) for store in store_predictions.stores[:1])
    (tmp_path / "p.arrow").write_bytes(encode(dataclasses.replace(store_predictions, stores=stores)))
    report([tmp_path / "p.arrow"], out=tmp_path / "out" / "r", any_count=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "p.arrow"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["r"]
    for path in (tmp_path / "out" / "r").iterdir():
        assert re.fullmatch(r"[\w.+-]+", path.name), path
        if path.suffix == ".tex":
            lines = path.read_text().split("\n")
            assert not [line for line in lines if "input{secret}" in line and not line.startswith("%")]
    assert "<b>" not in (tmp_path / "out" / "r" / "report.md").read_text()


def test_cells_of_a_csv_are_no_formulas() -> None:
    table = Table("k", "t", ("a",), [('=cmd|"x", 1\n2', {"a": Cell(1.5)}), ("@b", {}), ("plain", {"a": Cell(-2.0)})])
    assert as_csv(table) == ('row,runs,a,a (sd)\n"\'=cmd|""x"", 1\\n2",1,1.5000,\n\'@b,0,,\nplain,1,-2.0000,\n')


def test_a_store_of_another_scale_is_said(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for scale in ("true", "universal", ""):
        path, out = tmp_path / f"3dhp{scale}.arrow", tmp_path / f"{scale}-p.arrow"
        with StoreWriter(path, scale) as writer:
            row = stored_row(dotted_person(np.random.default_rng(0), 0, True))
            writer.add({**row, "group": "TS1"})
        assert Store(path).scale == scale
        tables = evaluate_stores(str(tiny_weights), [path], "mpi-inf-3dhp", out=out, any_count=True)
        says = "3D joints at the true scale instead of the universal one"
        assert (says in tables) == (says in capsys.readouterr().err) == (scale == "true")
        assert read_predictions(out).stores[0].scale == scale and (says in report([out])) == (scale == "true")


def test_evaluate_refuses_other_people(studio: Path, tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.arrow"
    with pytest.raises(
        LiftwildError, match=r"mpi-inf-3dhp: 12 people instead of 2,929; give its whole .* or --any-count"
    ):
        evaluate_stores(str(tiny_weights), [studio], "mpi-inf-3dhp", out=out)
    assert not out.exists()
    tables = evaluate_stores(str(tiny_weights), [studio], "mpi-inf-3dhp", out=out, any_count=True)
    assert "ours: tiny (12 people instead of 2,929)" in tables and "**Not the protocol's people" in tables
    assert "| 3D+2D/w geo | 71.1 | 64.7 | 72.7 | 69.2 | 32.5 |" in tables
    assert "| ours: tiny | - | - | - | - |" in tables  # Table 4, not measured
    assert report([out]) == tables
    assert "hips=none" in report([out], switches={"hips": "none"})
    with pytest.raises(LiftwildError, match="no protocol of these predictions has a switch 'root'; they have hips"):
        report([out], switches={"root": "whole"})
    with pytest.raises(LiftwildError, match="h36m: no action 'TS1'"):
        evaluate_stores(str(tiny_weights), [studio], "h36m", any_count=True)
    headless = tmp_path / "headless.arrow"
    with StoreWriter(headless) as writer:
        writer.add(stored_row(dotted_person(np.random.default_rng(0), 0, False)))
    with pytest.raises(
        LiftwildError, match=r"headless.arrow has no head sizes; prepare it with 'liftwild prepare mpii'"
    ):
        evaluate_stores(str(tiny_weights), [headless], "mpii", any_count=True)
    strict = read_predictions(out)
    strict.about["any_count"] = False
    out.write_bytes(encode(strict))
    with pytest.raises(LiftwildError, match="12 people instead of 2,929"):
        report([out])
    assert report([out], any_count=True) == tables


def test_h36m_from_the_command_line(tiny_weights: Path, tmp_path: Path) -> None:
    store, out = tmp_path / "s9.arrow", tmp_path / "p.arrow"
    rng = np.random.default_rng(0)
    with StoreWriter(store) as writer:
        for number in range(4):
            group = ("Walking", "WalkTogether")[number % 2]
            writer.add(stored_row(dataclasses.replace(dotted_person(rng, number, True), group=group, subject="S9")))
    arguments = [
        "evaluate",
        tiny_weights,
        store,
        "--protocol",
        "h36m",
        "--any-count",
        "--switch",
        "root=depth",
        "-o",
        out,
    ]
    done = CliRunner().invoke(cli, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    name = "tiny (root=depth; 4 people instead of 109,867)"
    row = next(line for line in done.output.splitlines() if line.startswith(f"| ours: {name} |"))
    cells = row.split(" | ")[1:]
    actions = dict(zip(paper.paper_table("table1").columns, cells, strict=True))
    assert sum(cell.strip(" |") != "-" for cell in cells) == 3
    values = [float(actions[name].strip(" |")) for name in ("Walking", "WalkPair", "Average")]
    assert values[2] == pytest.approx(np.mean(values[:2]), abs=0.01)
    wrong = CliRunner().invoke(cli, ["report", str(out), "--switch", "root"])
    assert wrong.exit_code == 2 and "--switch wants NAME=VALUE, not 'root'" in wrong.output
    # Another reading of the same predictions; the default.
    again = CliRunner().invoke(cli, ["report", str(out), "--switch", "root=whole"])
    assert again.exit_code == 0 and "| ours: tiny (4 people instead of 109,867) |" in again.output


def test_the_paper_stands_in_the_package() -> None:
    assert [len(paper.paper_table(key).rows) for key in paper.PAPER_TABLES] == [9, 4, 6, 2, 2]
    table = paper.paper_table("table1")
    assert dict(table.rows)["3D+2D/w geo"]["Average"].value == 64.90 and table.columns[-1] == "Average"
    shared = ROOT.parent / "shared/reference/paper-tables.json"
    if shared.exists():
        assert json.loads(shared.read_text()) == json.loads(paper.PAPER.read_text())


def test_tables_in_three_forms() -> None:
    table = Table("t", "A & B", ("one, %", "two"), digits=1)
    table.rows = [("a_b", {"one, %": mean_cell([1.0, 2.0]), "two": mean_cell([3.0])}), ("c", {})]
    assert as_markdown(table).splitlines()[2:] == [
        "|  | one, % | two |", "| --- | --- | --- |", "| a_b | 1.5 ± 0.7 | 3.0 |", "| c | - | - |"
    ]  # fmt: skip
    assert r"a\_b & 1.5 $\pm$ 0.7 & 3.0 \\" in as_latex(table) and r"c & -- & -- \\" in as_latex(table)
    assert as_csv(table).splitlines() == [
        'row,runs,"one, %",two,"one, % (sd)",two (sd)', "a_b,2,1.5000,3.0000,0.7071,", "c,0,,,,"
    ]  # fmt: skip


def write(path: Path, found: Predictions, sha: str, name: str = "net", **about: Any) -> Path:
    """A predictions file of other weights."""
    found.about.update(weights={"name": name, "sha256": sha}, any_count=True, **about)
    path.write_bytes(encode(found))
    return path


def test_runs_of_one_recipe_are_averaged(tmp_path: Path) -> None:
    true = perfect()
    for number, shift in enumerate((1, 3)):
        pred = dataclasses.replace(true, pred_2d=true.pred_2d + np.array([shift, 0]))
        about = {"switches": {"root": "depth"}}
        write(tmp_path / f"{number}.arrow", predictions(pred, "h36m", ("Walking",), **about), str(number) * 64)
    tables = report([tmp_path])
    row = next(line for line in tables.splitlines() if "ours: net (root=depth; 6 people" in line)
    assert row.endswith("| 20.00 ± 14.14 |") and ", 2 runs |" in row and "| - |" in row
    write(tmp_path / "2.arrow", predictions(true, "h36m", ("Walking",), **about), "0" * 64)
    with pytest.raises(LiftwildError, match=r"0.arrow and .*2.arrow are the same weights on the same people"):
        report([tmp_path])


def test_a_report_in_a_folder(
    studio: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, out = tmp_path / "runs", tmp_path / "report"
    runs.mkdir()
    for protocol in ("mpi-inf-3dhp", "symmetry", "open", "mpii"):
        evaluate_stores(str(tiny_weights), [studio], protocol, out=runs / f"{protocol}.arrow", any_count=True)
    for _ in range(2):  # over its own it writes
        done = CliRunner().invoke(cli, ["report", str(runs), "-o", str(out), "--store", str(studio)])
        assert done.exit_code == 0, done.output
    names = {path.name for path in out.iterdir()}
    tables = {f"{key}{suffix}" for key in (*paper.PAPER_TABLES, "mpii", "open-ts") for suffix in (".tex", ".csv")}
    pictures = {"pck-mpi-inf-3dhp.png", "joints-mpi-inf-3dhp.png", "pck-ts.png", "joints-ts.png", "people-ts.jpg"}
    assert names == {"report.md", *tables, *pictures}
    text = (out / "report.md").read_text()
    assert text.startswith(REPORT_MARK) and all(f"]({name})" in text for name in pictures)
    for name in pictures:
        assert cv2.imread(str(out / name)).shape[1] > 400
    assert ",0," in (out / "table1.csv").read_text().splitlines()[-1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.md").write_text("mine")
    for arguments, words in (
        (["-o", tmp_path / "mine"], "is not empty and holds no report"),
        (["--store", studio], "give -o too"),
        (["-o", out, "--store", tmp_path / "none.arrow"], "no store"),
    ):
        done = CliRunner().invoke(cli, ["report", str(runs), *map(str, arguments)])
        assert done.exit_code == 1 and words in done.output, done.output
    with pytest.raises(LiftwildError, match=r"no predictions in .*mine"):
        report([tmp_path / "mine"])
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # all but the charts
    done = CliRunner().invoke(cli, ["report", str(runs), "-o", str(tmp_path / "bare")])
    assert done.exit_code == 0 and "the report has no charts: charts need matplotlib: pip install" in done.output
    assert {path.name for path in (tmp_path / "bare").iterdir()} == {"report.md", *tables}


def test_times_stand_beside_the_papers(tmp_path: Path) -> None:
    write(tmp_path / "p.arrow", predictions(perfect(), "h36m", ("Walking",), any_count=True), "0" * 64)
    bench = tmp_path / "cost.json"
    cost = {"format": "liftwild-cost", "machine": "box", "forward_ms": 50.0, "step_ms": 900, "steps": 480_000}
    bench.write_text(json.dumps(cost))
    tables = report([tmp_path / "p.arrow"], bench=bench, out=tmp_path / "report")
    assert "| paper | about 30 ms on the same GPU | about two days on one Titan X |" in tables
    row = "| ours, measured: box | 50.0 ms | 5.0 days, 480,000 steps of 900 ms |"
    assert row in tables and row in (tmp_path / "report/report.md").read_text()
    for wrong in ("[]", "{", json.dumps({**cost, "step_ms": None}), json.dumps({**cost, "format": "other"})):
        bench.write_text(wrong)
        with pytest.raises(LiftwildError, match=r"cost.json is not (JSON|a file of 'python benchmarks/cost.py)"):
            report([tmp_path / "p.arrow"], bench=bench)
