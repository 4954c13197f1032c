"""A dozen rendered people in the layout of each data set: from ``prepare`` over ``evaluate`` to ``report``."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from liftwild.camera import Camera, bone_lengths, depth_targets
from liftwild.cli import cli
from liftwild.crop import Crop
from liftwild.data import h36m, h36m_videos, lsp, mpi_inf_3dhp, mpii, prepare
from liftwild.data.parts import positions
from liftwild.data.store import Store
from liftwild.evaluation import metrics, paper
from liftwild.evaluation.predictions import encode, read_predictions
from liftwild.evaluation.protocols.open import MAIN
from liftwild.people.generate import RenderedSample, render
from liftwild.skeleton import MPII_16
from tests.data_fixtures import annotation, labels, write_labels, write_photo
from tests.dataset_fixtures import (
    HEIGHT,
    WIDTH,
    Cast,
    write_3dhp_test,
    write_3dhp_train,
    write_h36m_folder,
    write_h36m_video,
    write_lsp,
    write_metadata,
    write_mpii,
)

DOZEN = 12
RENDERED_PX = 128
CAMERA = Camera(300.0, 300.0, WIDTH / 2, 70.0)  # that sees all of them
J = {name: number for number, name in enumerate(MPII_16.names)}
MIDDLES = {
    "thorax": [J["left_shoulder"], J["right_shoulder"]],
    "pelvis": [J["left_hip"], J["right_hip"]],
}
PAPER = json.loads((Path(paper.__file__).parent / "paper-tables.json").read_text())


def liftwild(*arguments: object, code: int = 0) -> Result:
    """What the command says; never a traceback."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture(scope="module")
def dozen() -> list[RenderedSample]:
    """Twelve people in a studio; all joints are in the picture."""
    people = list(render("lab", DOZEN, seed=4, size=RENDERED_PX))
    assert all(one.sample.joints_2d_valid.all() for one in people)
    return people


def cast_of(dozen: Sequence[RenderedSample], who: Callable[[int], int] = int) -> Cast:
    """The dozen before one camera; ``who`` tells which of them a photo or frame shows."""
    samples = [one.sample for one in dozen]
    flat = [CAMERA.project(sample.joints_3d) for sample in samples]

    def picture(person: int) -> np.ndarray:
        """The rendered picture as ``CAMERA`` sees it: the same lens, a longer one."""
        own = samples[person].camera
        assert own is not None
        zoom = np.diag([CAMERA.fx / own.fx, CAMERA.fy / own.fy])
        shift = np.array([CAMERA.cx, CAMERA.cy]) - zoom @ (own.cx, own.cy)
        shift += zoom @ (0.5, 0.5) - 0.5  # cv2 counts pixel centres at 0
        return cv2.warpAffine(
            samples[person].image, np.column_stack([zoom, shift]), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE
        )

    def where(person: int) -> tuple[tuple[float, float], float, float]:
        """MPII's centre is a whole number; its head size is here what the json says."""
        low, high = flat[person].min(0), flat[person].max(0)
        head = 0.75 * np.linalg.norm(flat[person][J["upper_neck"]] - flat[person][J["head_top"]])
        x, y = np.round((low + high) / 2)
        return (float(x), float(y)), float((high - low).max() / 200), float(head)

    return Cast(
        lambda n: samples[who(n)].joints_3d, lambda n: flat[who(n)], lambda n: picture(who(n)), CAMERA,
        lambda n: where(who(n)),
    )  # fmt: skip


def crops_of(dozen: Sequence[RenderedSample], who: Callable[[int], int] = int) -> Cast:
    """The dozen in pictures of 224 px of their own, as in Human3.6M's folders."""
    zoom = 224 / RENDERED_PX
    return Cast(
        lambda n: dozen[who(n)].sample.joints_3d,
        lambda n: dozen[who(n)].sample.joints_2d * zoom,
        lambda n: cv2.resize(dozen[who(n)].sample.image, (224, 224)),
    )


# --- The layouts ---


def mpii_h5(source: Path, dozen: list[RenderedSample]) -> None:
    write_mpii(source, "h5", people=DOZEN, cast=cast_of(dozen))


def mpii_json(source: Path, dozen: list[RenderedSample]) -> None:
    write_mpii(source, "json", people=DOZEN, cast=cast_of(dozen))


def mpii_mat(source: Path, dozen: list[RenderedSample]) -> None:
    write_mpii(source, "mat", "train", people=DOZEN, cast=cast_of(dozen))


def lsp_photos(source: Path, dozen: list[RenderedSample]) -> None:
    write_lsp(source, "LSP", DOZEN, cast_of(dozen))


def lspet_photos(source: Path, dozen: list[RenderedSample]) -> None:
    write_lsp(source, "LSPET", DOZEN, cast_of(dozen))


FOLDERS = [(9, 2, 1, 1), (9, 4, 2, 3), (11, 12, 1, 2), (11, 16, 2, 4)]  # Directions, Eating, Photo, WalkTogether


def h36m_folders(source: Path, dozen: list[RenderedSample]) -> None:
    """Three of them in each of four folders, and two folders that are not to be read."""
    for number, key in enumerate(FOLDERS):
        write_h36m_folder(source, key, 11, crops_of(dozen, lambda frame, first=3 * number: first + frame // 5))
    write_h36m_folder(source, h36m.BROKEN, 6)
    write_h36m_folder(source, (1, 2, 1, 1), 6)


def h36m_films(source: Path, dozen: list[RenderedSample]) -> None:
    """Six of them in each of two videos."""
    for number, (subject, stem) in enumerate(((9, "Posing.54138969"), (11, "SittingDown 1.60457274"))):
        cast = cast_of(dozen, lambda frame, first=6 * number: first + frame // 5)
        write_h36m_video(source, subject, stem, 26, cast=cast)
    write_h36m_video(source, 11, "Directions.54138969", 2)
    write_metadata(source, CAMERA)


def sequences_3dhp(source: Path, dozen: list[RenderedSample]) -> None:
    """Two of them in each of six sequences."""
    for number, name in enumerate(mpi_inf_3dhp.SEQUENCES):
        write_3dhp_test(source, name, 3, cast=cast_of(dozen, lambda frame, first=2 * number: (first + frame) % DOZEN))


def films_3dhp(source: Path, dozen: list[RenderedSample]) -> None:
    """Six of them before each of two cameras."""
    write_3dhp_train(source, (0, 3), 30, cast_of(dozen, lambda number: number // 5 % DOZEN))


@dataclass(frozen=True)
class Case:
    """A layout: what prepares it, what is said of its count, and what its people are measured by.

    ``made_up``: joints that it lacks. ``size``: of the 3D joints, 0 without any. ``filled``: columns of each table that
    get a number. ``blur``: how far compressed pictures may be off, of 256.
    """

    write: Callable[[Path, list[RenderedSample]], None]
    command: str
    options: tuple[str, ...]
    says: str
    protocol: str
    instead_of: str
    filled: dict[str, tuple[str, ...]]
    made_up: tuple[str, ...] = ()
    size: float = 0.0
    camera: bool = False
    blur: float = 4.0


MPII_ALL = {"mpii": paper.MPII_COLUMNS}
FLAT = {"open-x": ("PCK@0.2-torso, %", "sides ignored, %", "sides swapped, %", "left - right, mm")}
SPACE = {"open-x": tuple(MAIN)}
CASES = {
    "mpii h5": Case(
        mpii_h5, "mpii", ("--split", "val"),
        "MPII val (valid.h5) has 12 people here, 2,958 are published: 2,946 too few", "mpii", "2,958", MPII_ALL,
    ),
    "mpii json": Case(
        mpii_json, "mpii", ("--split", "val"), "MPII val (valid.json) has 12 people here, 2,958 are published",
        "mpii", "2,958", MPII_ALL,
    ),
    "mpii mat": Case(
        mpii_mat, "mpii", (), f"MPII train ({mpii.MAT}) has 12 people here, 28,000 to 28,999 are published",
        "mpii", "2,958", MPII_ALL,
    ),
    "lsp": Case(
        lsp_photos, "lsp", (), "LSP train has 12 people here, 1,000 are published: 988 too few", "open", "", FLAT,
        ("thorax", "pelvis"),
    ),
    "lspet": Case(
        lspet_photos, "lsp", (), "LSPET train has 12 people here, 10,000 are published: 9,988 too few", "open", "",
        FLAT, ("thorax", "pelvis"),
    ),
    "h36m folders": Case(
        h36m_folders, "h36m", ("--split", "test"),
        "Human3.6M test has 12 people here, 109,867 are published: 109,855 too few", "h36m", "109,867",
        {"table1": ("Directions", "Eating", "Photo", "WalkPair", "Average"), "table2": ("PCKh@0.5",)}, ("thorax",), 1.0,
    ),
    "h36m videos": Case(
        h36m_films, "h36m", ("--split", "test"), "2 of 239 videos are there", "h36m", "109,867",
        {"table1": ("Posing", "SittingDown", "Average"), "table2": ("PCKh@0.5",)}, ("thorax",), 1.0, True, 12.0,
    ),
    "3dhp test": Case(
        sequences_3dhp, "mpi-inf-3dhp", ("--split", "test"), "TS1 has 2 valid frames instead of 603, TS2 has 2",
        "mpi-inf-3dhp", "2,929", {"table3": ("Studio GS", "Studio no GS", "Outdoor", "All PCK", "AUC")}, ("thorax",),
        0.9, True,
    ),
    "3dhp train": Case(
        films_3dhp, "mpi-inf-3dhp", (), "MPI-INF-3DHP train has 12 people here, 2,568 are published: 2,556 too few",
        "open", "", SPACE, ("thorax",), 1.0, True,
    ),
}  # fmt: skip


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
    cast = crops_of(dozen) if case.write is h36m_folders else cast_of(dozen)
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
        table = paper.paper_table(key) if case.protocol != "open" else paper.Table(key, "x: open protocol", tuple(MAIN))
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


# --- Interrupted, half there, wrong ---


class Watch:
    """Stands before a reader's ``read_photo``: notes what is read, and may call somebody at one of the photos."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[str] = []
        self.at = ""
        self.call: Callable[[], None] = lambda: None
        before = h36m.read_photo

        def read_photo(path: Path) -> np.ndarray:
            self.read.append(Path(path).parent.name)
            if self.at and self.at in str(path):
                self.at = ""
                self.call()
            return before(path)

        monkeypatch.setattr(h36m, "read_photo", read_photo)


def names_of(keys: Sequence[h36m.Key]) -> list[str]:
    return ["s_{:02d}_act_{:02d}_subact_{:02d}_ca_{:02d}".format(*key) for key in keys]


def end_by(number: signal.Signals) -> None:
    """Send ourselves a signal, and wait until the main thread has been told."""
    os.kill(os.getpid(), number)
    for _ in range(1000 if number == signal.SIGTERM else 30):
        if signal.getsignal(number) is signal.SIG_DFL:  # what its handler does first
            break
        time.sleep(0.01)
    time.sleep(0.1)


def litter(folder: Path) -> list[str]:
    """Hidden files below ``folder``."""
    return [path.name for path in folder.rglob(".*")]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_preparation_that_is_ended_goes_on(
    number: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in FOLDERS:
        write_h36m_folder(tmp_path / "data", key, 11)
    folders, out = names_of(FOLDERS), tmp_path / "x.arrow"
    done = [tmp_path / "x.arrow.parts" / f"{name}.arrow" for name in folders[:2]]
    handler = signal.getsignal(number)
    watch = Watch(monkeypatch)

    def end() -> None:
        for _ in range(1000):
            if all(path.exists() for path in done):
                break
            time.sleep(0.01)
        end_by(number)

    watch.at, watch.call = f"{folders[2]}_000006.jpg", end
    arguments = ("prepare", "h36m", tmp_path / "data", "-o", out, "--split", "test")
    ended = liftwild(*arguments, code=code)
    assert f"what is done waits in {out}.parts; the same command goes on from there" in ended.output
    assert "interrupted" in ended.output or "ended by SIGTERM" in ended.output
    assert not out.exists() and all(path.exists() for path in done) and litter(tmp_path) == []
    assert signal.getsignal(number) is handler
    watch.read.clear()
    assert "12 people of 12 photos" in liftwild(*arguments).output
    assert not set(watch.read) & set(folders[:2]) and len(Store(out)) == DOZEN
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "x.arrow"]


def test_ended_before_anything_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_h36m_folder(tmp_path / "data", FOLDERS[0], 11)
    watch = Watch(monkeypatch)
    watch.at, watch.call = "_000001.jpg", lambda: end_by(signal.SIGTERM)
    liftwild("prepare", "h36m", tmp_path / "data", "-o", tmp_path / "x.arrow", "--split", "test", code=143)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_photos_of_ones_own_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``prepare coco`` has no parts: it leaves nothing."""
    write_photo(tmp_path / "photos" / "a.png")
    write_labels(tmp_path / "labels.json", labels([annotation()]))
    before = prepare.read_photo

    def read_photo(path: Path) -> np.ndarray:
        end_by(signal.SIGTERM)
        return before(path)

    monkeypatch.setattr(prepare, "read_photo", read_photo)
    arguments = ("prepare", "coco", tmp_path / "labels.json", tmp_path / "photos", "-o", tmp_path / "x.arrow")
    assert "ended by SIGTERM" in liftwild(*arguments, code=143).output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.json", "photos"]


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    write_h36m_folder(tmp_path / "data", FOLDERS[0], 11)
    arguments = ("prepare", "h36m", tmp_path / "data", "-o", tmp_path / "x.arrow", "--split", "test")
    (name,) = names_of(FOLDERS[:1])
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:  # stopped where nothing can be tidied up: as kill -9, or a power cut
        patch.setattr("liftwild.data.parts.shutil.rmtree", lambda *args, **options: None)
        liftwild(*arguments)
    (tmp_path / "x.arrow").unlink()
    (tmp_path / "x.arrow.parts" / f"{name}.arrow").rename(tmp_path / "x.arrow.parts" / f".{name}.arrow.part")
    (tmp_path / ".x.arrow.part").write_bytes(b"half")
    assert "3 people of 3 photos" in liftwild(*arguments).output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "x.arrow"]


def test_a_download_that_went_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half file stops the preparation; whole, and with more folders beside it, the same command goes on."""
    for key in FOLDERS[:3]:
        write_h36m_folder(tmp_path / "data", key, 11)
    folders, out = names_of(FOLDERS), tmp_path / "x.arrow"
    meta = tmp_path / "data" / folders[2] / h36m.META
    whole = meta.read_bytes()
    meta.write_bytes(whole[: len(whole) // 2])
    arguments = ("prepare", "h36m", tmp_path / "data", "-o", out, "--split", "test")
    failed = liftwild(*arguments, code=1).output.splitlines()[-1]
    assert failed.startswith(f"error: {meta} cannot be read, perhaps a half download") and not out.exists()
    meta.write_bytes(whole)
    write_h36m_folder(tmp_path / "data", FOLDERS[3], 11)
    watch = Watch(monkeypatch)
    assert "12 people of 12 photos" in liftwild(*arguments).output
    assert set(folders[2:]) <= set(watch.read) and folders[0] not in watch.read
    meta.unlink()
    gone = liftwild(*arguments, code=1).output
    assert gone == f"error: no file {meta}: 1 of the 4 folders there are not complete\n"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("left", [0.0, 0.5])
def test_a_half_download_leaves_nothing(name: str, left: float, dozen: list[RenderedSample], tmp_path: Path) -> None:
    """One line, code 1, and no file that was not there before."""
    case = CASES[name]
    case.write(tmp_path / "data", dozen)
    suffixes = (".h5", ".mat", ".cdf") if case.write is not mpii_json else (".json",)
    halved = [path for path in sorted((tmp_path / "data").rglob("*")) if path.suffix in suffixes]
    assert halved
    for path in halved:
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * left)])
    before = sorted(tmp_path.rglob("*"))
    done = liftwild("prepare", case.command, tmp_path / "data", "-o", tmp_path / "x.arrow", *case.options, code=1)
    error = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert len(error) == 1 and any(str(path) in error[0] for path in halved), done.output
    assert done.output.endswith(error[0] + "\n") and "half download" in error[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_places(dozen: list[RenderedSample], tmp_path: Path) -> None:
    """One line that says what was expected where."""
    h36m_folders(tmp_path / "h36m", dozen)
    lspet_photos(tmp_path / "lspet", dozen)
    mpii_json(tmp_path / "mpii", dozen)
    sequences_3dhp(tmp_path / "3dhp", dozen)
    (tmp_path / "3dhp/TS3/imageSequence").rename(tmp_path / "3dhp/TS3/images")
    (tmp_path / "3dhp/TS3/images/img_000001.jpg").unlink()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    for command, source, options, words in (
        ("mpii", "h36m", (), "no annotation of MPII train in {}/h36m: expected MPII's images/ and one of annot/"),
        ("mpii", "mpii", (), "no annotation of MPII train in {}/mpii: expected"),
        ("mpii", "file", (), "no folder {}/file: expected MPII's images/"),
        ("lsp", "h36m", (), "no file {}/h36m/joints.mat"),
        ("lsp", "lspet", ("--split", "test"), "{}/lspet/joints.mat is of LSPET, which has no split 'test'"),
        ("h36m", "h36m/s_09_act_02_subact_01_ca_01", (), "holds nothing of Human3.6M train: expected folders such as"),
        ("h36m", "file", (), "no folder {}/file: expected Human3.6M"),
        ("h36m", "h36m", ("--every", "3"), "--every 3: the folders hold every 5th picture"),
        ("mpi-inf-3dhp", "3dhp", (), "{}/3dhp holds no S1/Seq1: expected S1/Seq1/annot.mat"),
        ("mpi-inf-3dhp", "mpii", ("--split", "test"), "{}/mpii holds no TS1 to TS6: expected TS1/annot_data.mat"),
        ("mpi-inf-3dhp", "3dhp", ("--split", "test"), "no folder {}/3dhp/TS3/imageSequence: expected its pictures"),
    ):
        done = liftwild("prepare", command, tmp_path / source, "-o", tmp_path / "x.arrow", *options, code=1)
        assert done.output.startswith("error: ") and done.output.count("\n") == 1, done.output
        assert words.format(tmp_path) in done.output, done.output
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "3dhp/TS3/images").rename(tmp_path / "3dhp/TS3/imageSequence")
    arguments = ("prepare", "mpi-inf-3dhp", tmp_path / "3dhp", "--split", "test", "-o", tmp_path / "x.arrow")
    assert "lacks 1 of the 2 photos of TS3, such as img_000001.jpg: finish" in liftwild(*arguments, code=1).output
    done = liftwild(*arguments, "--allow-missing")
    assert "11 people of 11 photos" in done.output and "left out: 1 x photo cannot be read" in done.output


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
    recorded = [None if at is None else h36m_videos.OF_32[at] for at in IN_LAYOUT["h36m"]]
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
