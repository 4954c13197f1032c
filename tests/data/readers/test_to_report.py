"""A dozen rendered people in the layout of each data set: from ``prepare`` over ``evaluate`` to ``report``."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liftwild.camera import bone_lengths, depth_targets
from liftwild.crop import Crop
from liftwild.data.labels import positions
from liftwild.data.readers import h36m, lsp, mpi_inf_3dhp, mpii
from liftwild.data.store import Store
from liftwild.evaluation import metrics, paper
from liftwild.evaluation.predictions import encode, read_predictions
from liftwild.evaluation.scored import open_table
from liftwild.skeleton import MPII_16
from liftwild.synthetic.render.generate import RenderedSample
from tests.support.commands import liftwild
from tests.support.dataset_layouts import Cast, write_3dhp_test, write_mpii
from tests.support.h36m_layouts import write_h36m_folder
from tests.support.rendered_datasets import (
    CASES,
    DOZEN,
    FOLDERS,
    MIDDLES,
    Case,
    J,
    annot_h36m,
    cast_of,
    crops_of,
    films_3dhp,
    folders_h36m,
    lspet_photos,
    mpii_json,
    sequences_3dhp,
)

PAPER = json.loads((Path(paper.__file__).parent / "paper-tables.json").read_text())


# --- What is in the store, and what the tables say ---


def in_photo(store: Store) -> np.ndarray:
    """The joints (N, 16, 2) of a store in px of the photos that its crops come from."""
    crops = pa.ipc.open_file(pa.memory_map(str(store.path), "r")).read_all()["crop"].to_pylist()
    sides = [store[i].image.shape[0] for i in range(len(store))]
    joints = store.column("joints_2d")
    return np.stack(
        [Crop((x, y), size).to_photo(own, side) for (x, y, size), own, side in zip(crops, joints, sides, strict=True)]
    )


def check_store(store: Store, case: Case, dozen: list[RenderedSample]) -> None:
    """Everybody is there, in order, with the joints and the picture that were rendered."""
    assert len(store) == DOZEN
    cast = crops_of(dozen) if case.write in (folders_h36m, annot_h36m) else cast_of(dozen)
    flat = np.stack([cast.flat(number) for number in range(DOZEN)])
    space = np.stack([cast.skeleton(number) for number in range(DOZEN)])
    for joint in case.made_up:
        flat[:, J[joint]] = flat[:, MIDDLES[joint]].mean(1)
        space[:, J[joint]] = space[:, MIDDLES[joint]].mean(1)
    known = np.ones((DOZEN, 16), dtype=bool)
    if case.command == "mpii" or case.write is lspet_photos:
        known[0, J["right_ankle"]] = False  # as the fixtures write it
    np.testing.assert_array_equal(store.column("joints_2d_valid"), known)
    np.testing.assert_allclose(in_photo(store)[known], flat[known], atol=2e-3)
    assert store.column("depth_valid").all() == (case.size > 0) == store.column("depth_valid").any()
    if case.size:
        np.testing.assert_allclose(store.column("joints_3d"), space * case.size, atol=2e-3)
    crops = pa.ipc.open_file(pa.memory_map(str(store.path), "r")).read_all()["crop"].to_pylist()
    for number, (x, y, size) in enumerate(crops):
        sample = store[number]
        side = sample.image.shape[0]
        shown = Crop((x, y), size).apply(cast.picture(number), side)
        assert np.abs(sample.image.astype(int) - shown).mean() < case.blur
        assert (sample.camera is not None) == case.camera
        if sample.camera is not None:
            seen = [j for name, j in J.items() if name not in case.made_up]
            projected = sample.camera.project(sample.joints_3d)
            np.testing.assert_allclose(projected[seen], sample.joints_2d[seen], atol=0.05)
        if case.command == "mpii":
            assert sample.head_size_px == pytest.approx(cast.where(number)[2] * side / size)


def read_csv(path: Path) -> dict[str, dict[str, float]]:
    """Rows of a table by name, without what is empty."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {row.pop("row"): {name: float(value) for name, value in row.items() if value} for row in rows}


def read_markdown(text: str) -> dict[str, dict[str, dict[str, str]]]:
    """Tables by title, rows by name, cells by column."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for part in text.split("### ")[1:]:
        lines = [line.split(" | ") for line in part.splitlines() if line.startswith("|")]
        if lines:
            cells = [[cell.strip(" |") for cell in line] for line in lines]
            rows = {row[0]: dict(zip(cells[0][1:], row[1:], strict=True)) for row in cells[2:]}
            tables[part.splitlines()[0]] = rows
    return tables


def read_latex(path: Path) -> dict[str, list[str]]:
    """Rows of a tabular by name."""
    text = path.read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    width = text.split("{tabular}{")[1].split("}")[0]
    rows = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]
    assert all(len(row) == len(width) for row in rows), (width, rows)
    return {row[0].replace("\\", ""): row[1:] for row in rows}


def check_report(folder: Path, name: str, case: Case) -> None:
    """Our row stands beside the paper's, in three forms that say the same."""
    keys = [*paper.PAPER_TABLES, *(key for key in case.filled if key == "mpii")]
    if case.protocol == "open":
        keys = list(case.filled)
    written = {path.name for path in folder.iterdir()}
    assert {"report.md", *(f"{key}{suffix}" for key in keys for suffix in (".tex", ".csv"))} <= written
    shown = read_markdown((folder / "report.md").read_text())
    for key in keys:
        table = paper.paper_table(key) if case.protocol != "open" else open_table(key, "x: open protocol")
        rows, tex = read_csv(folder / f"{key}.csv"), read_latex(folder / f"{key}.tex")
        own = {column: rows[name][column] for column in table.columns if column in rows.get(name, {})}
        assert tuple(own) == tuple(c for c in table.columns if c in case.filled.get(key, ())), (key, rows)
        assert all(np.isfinite(value) for value in own.values())
        assert list(rows) == [*(row for row, _ in table.rows), name if own else "ours: tiny"]
        for row, cells in rows.items():
            words = [f"{cells[c]:.{table.digits}f}" if c in cells else "-" for c in table.columns]
            assert list(shown[table.title][row].values()) == words
            assert tex[row] == [word.replace("-", "--") if word == "-" else word for word in words]
    if case.protocol != "open":
        rows = read_csv(folder / "table1.csv")
        (kinds, values) = (PAPER["table1"]["columns"], PAPER["table1"]["rows"])
        for row, numbers in values.items():
            assert [rows[row].get(kind) for kind in kinds] == numbers
        assert rows["3D+2D/w geo"]["Average"] == 64.90


@pytest.mark.parametrize("name", CASES)
def test_from_prepare_to_the_report(name: str, dozen: list[RenderedSample], tiny_weights: Path, tmp_path: Path) -> None:
    case = CASES[name]
    case.write(tmp_path / "data", dozen)
    store, preds = tmp_path / "x.arrow", tmp_path / "preds.arrow"
    done = liftwild("prepare", case.command, tmp_path / "data", "-o", store, *case.options)
    assert f"warning: {case.says}" in done.output or f", {case.says}" in done.output or case.says in done.output
    assert "12 people of 12 photos" in done.output and "left out" not in done.output
    check_store(Store(store), case, dozen)

    evaluate = ("evaluate", tiny_weights, store, "--protocol", case.protocol, "-o", preds)
    row = "ours: tiny"
    if case.instead_of:
        refused = liftwild(*evaluate, code=1)
        assert refused.output == (
            f"error: protocol {case.protocol}: 12 people instead of {case.instead_of}; give its whole test set, or "
            "--any-count to score what there is\n"
        )
        assert not preds.exists()
        row = f"ours: tiny (12 people instead of {case.instead_of})"
    liftwild(*evaluate, "--any-count")
    store.rename(tmp_path / "away.arrow")  # the predictions are enough
    for folder in ("one", "two"):
        liftwild("report", preds, "-o", tmp_path / folder)
    check_report(tmp_path / "one", row, case)
    text = (tmp_path / "one" / "report.md").read_text()
    assert (f"**Not the protocol's people: 12 people instead of {case.instead_of}.**" in text) == bool(case.instead_of)
    assert ("cannot be compared with the paper's" in text) == bool(case.instead_of)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_table_4_of_two_data_sets(dozen: list[RenderedSample], tiny_weights: Path, tmp_path: Path) -> None:
    """mm of the one, px of the other; in batches as one by one."""
    for name, write, split in (("mpi-inf-3dhp", sequences_3dhp, "test"), ("mpii", mpii_json, "val")):
        write(tmp_path / name, dozen)
        liftwild("prepare", name, tmp_path / name, "--split", split, "-o", tmp_path / f"{name}.arrow")
    stores = [tmp_path / "mpi-inf-3dhp.arrow", tmp_path / "mpii.arrow"]
    evaluate = ("evaluate", tiny_weights, *stores, "--protocol", "symmetry")
    counts = "12 people instead of 2,958, 12 people instead of 2,929"
    assert f"error: protocol symmetry: {counts}; give" in liftwild(*evaluate, code=1).output
    tables = {}
    for size in (1, 5):
        preds = tmp_path / f"{size}.arrow"
        liftwild(*evaluate, "--any-count", "--batch-size", size, "-o", preds)
        liftwild("report", preds, "-o", tmp_path / f"report-{size}")
        rows = [read_csv(tmp_path / f"report-{size}" / f"table4-{unit}.csv") for unit in ("mm", "px")]
        tables[size] = [table[f"ours: tiny ({counts})"] for table in rows]
        columns = {"row", "runs", *next(iter(PAPER["table4"][paper.NAME_OF_TABLE_4["table4-mm"]].values()))}
        assert all(set(table) | {"row"} == columns for table in tables[size])
    one, five = (read_predictions(tmp_path / f"{size}.arrow") for size in (1, 5))
    for a, b in zip(one.stores, five.stores, strict=True):
        np.testing.assert_allclose(a.measured.pred_2d, b.measured.pred_2d, atol=1e-3)
        np.testing.assert_allclose(a.measured.pred_depth, b.measured.pred_depth, atol=1e-4)
    for a, b in zip(tables[1], tables[5], strict=True):
        assert a == pytest.approx(b, abs=1e-2)


# --- A prediction without fault ---

FAR_PX_PER_MM = 0.05


def far_away(dozen: Sequence[RenderedSample], who: Callable[[int], int], sum_length_mm: float) -> Cast:
    """The dozen seen from so far that a px is as many mm everywhere, the one place where depths and px make up a pose
    exactly; all of one summed bone length, uneven, thorax and pelvis where every layout has them."""
    poses = np.stack([one.sample.joints_3d for one in dozen]) + np.random.default_rng(0).normal(0, 30, (DOZEN, 16, 3))
    poses -= poses[:, [J["pelvis"]]]
    for joint, ends in MIDDLES.items():
        poses[:, J[joint]] = poses[:, ends].mean(1)
    poses *= sum_length_mm / bone_lengths(poses).sum(1)[:, None, None]
    return dataclasses.replace(
        cast_of(dozen, who),
        skeleton=lambda n: poses[who(n)] + (0, 0, 5000),
        flat=lambda n: poses[who(n)][:, :2] * FAR_PX_PER_MM + 112,
        picture=lambda n: np.full((224, 224, 3), 128, np.uint8),
        where=lambda n: ((112.0, 112.0), 0.6, 6.0),
    )


@pytest.mark.parametrize(
    ("command", "switches", "perfect"),
    [
        ("h36m", (), {"table1": {"Directions": 0, "Eating": 0, "Average": 0}, "table2": {"PCKh@0.5": 100}}),
        ("mpi-inf-3dhp", ("--switch", "hips=none"),
         {"table3": {"Studio GS": 100, "Studio no GS": 100, "Outdoor": 100, "All PCK": 100, "AUC": 96.77}}),
        ("mpii", (), {"mpii": dict.fromkeys(paper.MPII_COLUMNS, 100)}),
        ("symmetry", (), {"table4-mm": {}}),
    ],
)  # fmt: skip
def test_a_perfect_prediction_through_the_report(
    command: str,
    switches: tuple[str, ...],
    perfect: dict[str, dict[str, float]],
    dozen: list[RenderedSample],
    tiny_weights: Path,
    tmp_path: Path,
) -> None:
    source, store, preds = tmp_path / "data", tmp_path / "x.arrow", tmp_path / "preds.arrow"
    data = "mpi-inf-3dhp" if command == "symmetry" else command
    if data == "h36m":
        for number, key in enumerate(FOLDERS[:2]):
            write_h36m_folder(source, key, 26, far_away(dozen, lambda n, first=6 * number: first + n // 5, 4000))
    elif data == "mpi-inf-3dhp":
        for number, name in enumerate(mpi_inf_3dhp.SEQUENCES):
            write_3dhp_test(
                source, name, 3, cast=far_away(dozen, lambda n, first=2 * number: (first + n) % DOZEN, 4000)
            )
    else:
        write_mpii(source, "h5", people=DOZEN, cast=far_away(dozen, int, 4000))
    liftwild("prepare", data, source, "-o", store, "--split", "val" if data == "mpii" else "test")
    liftwild("evaluate", tiny_weights, store, "--protocol", command, "--any-count", "-o", preds)
    found = read_predictions(preds)
    (own,) = found.stores
    true = own.measured
    both = true.valid_2d & true.valid_3d
    depth = np.stack(
        [depth_targets(*each, true.input_px)[0] for each in zip(true.true_2d, true.true_3d, both, strict=True)]
    )
    oracle = dataclasses.replace(true, pred_2d=true.true_2d, pred_depth=depth)
    preds.write_bytes(encode(dataclasses.replace(found, stores=(dataclasses.replace(own, measured=oracle),))))
    liftwild("report", preds, *switches, "-o", tmp_path / "report")
    if command == "symmetry":  # what the labels have themselves; 0 is no measure of a pose
        even = metrics.bone_symmetry(true.true_3d)
        assert max(difference.max() for difference in even.values()) > 1
        perfect = {"table4-mm": {name: float(difference.mean()) for name, difference in even.items()}}
    for key, numbers in perfect.items():
        (row,) = [cells for name, cells in read_csv(tmp_path / "report" / f"{key}.csv").items() if "ours" in name]
        assert row.pop("runs") == 1 and row == pytest.approx(numbers, abs=5e-3)


# --- Numbers of joints and of people ---

# Where each MPII joint is in the layouts, as their documents number them: none of these numbers comes from the readers.
IN_LAYOUT: dict[str, tuple[int | None, ...]] = {
    "mpii": tuple(range(16)),
    "lsp": (0, 1, 2, 3, 4, 5, None, None, 12, 13, 6, 7, 8, 9, 10, 11),
    "h36m": (3, 2, 1, 4, 5, 6, 0, None, 8, 10, 16, 15, 14, 11, 12, 13),
    "3dhp test": (10, 9, 8, 11, 12, 13, 14, None, 1, 0, 4, 3, 2, 5, 6, 7),
    "3dhp train": (25, 24, 23, 18, 19, 20, 4, None, 5, 7, 16, 15, 14, 9, 10, 11),
}
OF_32 = (3, 2, 1, 6, 7, 8, 0, None, 13, 15, 27, 26, 25, 17, 18, 19)


def test_every_layouts_own_numbers() -> None:
    found = {
        "mpii": positions(mpii.JOINTS),
        "lsp": positions(lsp.JOINTS),
        "h36m": positions(h36m.JOINTS),
        "3dhp test": positions(mpi_inf_3dhp.TEST_JOINTS, mpi_inf_3dhp.UNUSED),
        "3dhp train": positions(mpi_inf_3dhp.TRAIN_JOINTS, mpi_inf_3dhp.UNUSED),
    }
    made_up = {"lsp": {"pelvis", "thorax"}, "mpii": set()}
    for name, own in found.items():
        wanted = IN_LAYOUT[name]
        # A joint that the layout lacks may have a number: it is made of others then.
        assert [a for a, b in zip(own, wanted, strict=True) if b is not None] == [b for b in wanted if b is not None]
        assert {MPII_16.names[i] for i, b in enumerate(wanted) if b is None} == made_up.get(name, {"thorax"})
    recorded = [None if at is None else h36m.OF_32[at] for at in IN_LAYOUT["h36m"]]
    assert recorded == list(OF_32)


def test_published_counts() -> None:
    assert mpii.PUBLISHED == {"train": (22_246, 22_246), "val": (2958, 2958)}
    assert lsp.PUBLISHED == {("LSP", "train"): 1000, ("LSP", "test"): 1000, ("LSPET", "train"): 10_000}
    assert sum(mpi_inf_3dhp.TEST_FRAMES.values()) == mpi_inf_3dhp.PUBLISHED_TEST == 2929
    assert len(mpi_inf_3dhp.TRAIN_FRAMES) == 16
    assert h36m.published("test", 5, False) == (109_867, 109_867)
    assert h36m.published("test", 5, True) == (110_232, 110_232)
    assert h36m.published("test", 200, False) == (2874, 2874)
    assert h36m.published("test", 1, True) == (550_644, 550_644)
    assert h36m.published("train", 1, False) == (1_559_752, 1_559_752)
    assert h36m.published("train", 5, False) == (311_951, 312_430)
    # The counts of single videos lie where the sums say that they must.
    for every, people in ((5, 109_867), (200, 2874)):
        assert -(-548_819 // every) <= people <= (548_819 + 239 * (every - 1)) // every


def test_annotation_without_pictures_is_not_read(
    dozen: list[RenderedSample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some sequences of MPI-INF-3DHP are annotated beyond their last frame."""
    monkeypatch.setitem(mpi_inf_3dhp.TRAIN_FRAMES, "S1/Seq1", 11)
    films_3dhp(tmp_path / "data", dozen)
    done = liftwild("prepare", "mpi-inf-3dhp", tmp_path / "data", "-o", tmp_path / "x.arrow")
    assert "6 people of 6 photos" in done.output and "people here" not in done.output
    assert "1 sequences are there, 16 are published" in done.output
    assert "2 videos are there, 224 are published" in done.output
