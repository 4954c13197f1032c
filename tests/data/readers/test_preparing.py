"""Data sets that are not whole, preparing them, and what has to be installed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from liftwild.cli.main import cli
from liftwild.data.dataset import Dataset, Part, prepare_dataset
from liftwild.data.labels import Skip
from liftwild.data.readers import h36m_folders, h36m_videos, lsp, mpi_inf_3dhp, mpii
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from tests.support.dataset_layouts import (
    read,
    skipped,
    write_3dhp_test,
    write_3dhp_train,
    write_lsp,
    write_mpii,
)
from tests.support.h36m_layouts import write_h36m_folder, write_h36m_video
from tests.support.stores import sample

# --- half downloads, wrong folders ---


def test_missing_photos(tmp_path: Path) -> None:
    write_mpii(tmp_path, "json")
    (tmp_path / "images" / "000000001.jpg").unlink()
    with pytest.raises(LiftwildError, match=r"lacks 1 of the 2 photos of MPII val .* 000000001.jpg: .*--allow-missing"):
        mpii.mpii(tmp_path, "val")
    assert [str(skip) for skip in skipped(mpii.mpii(tmp_path, "val", allow_missing=True))] == [
        f"000000001.jpg, annotation 1: photo cannot be read ({tmp_path}/images/000000001.jpg: no such file)"
    ]
    (tmp_path / "images" / "000000000.jpg").rename(tmp_path / "images" / "other.jpg")
    with pytest.raises(LiftwildError, match="holds none of the 2 photos"):
        mpii.mpii(tmp_path, "val", allow_missing=True)


WRONG: dict[str, Callable[[Path], Any]] = {
    "mpii": lambda path: mpii.mpii(path, "val"),
    "lsp": lambda path: lsp.lsp(path, "train"),
    "h36m": lambda path: h36m_folders.h36m_folders(path, "test"),
    "h36m videos": lambda path: h36m_videos.h36m_videos(path, "test"),
    "3dhp test": mpi_inf_3dhp.mpi_inf_3dhp_test,
    "3dhp train": mpi_inf_3dhp.mpi_inf_3dhp_train,
}


@pytest.mark.parametrize("dataset", WRONG)
@pytest.mark.parametrize("there", [True, False])
def test_wrong_folders(tmp_path: Path, dataset: str, there: bool) -> None:
    folder = tmp_path / "data"
    if there:
        folder.mkdir()
    with pytest.raises(LiftwildError) as caught:
        WRONG[dataset](folder)
    text = str(caught.value)
    assert str(folder) in text and "\n" not in text and ("expected" in text or "no file" in text)


@pytest.mark.parametrize(
    ("write", "file"),
    [
        (lambda path: write_mpii(path, "h5"), "annot/valid.h5"),
        (lambda path: write_mpii(path, "json"), "annot/valid.json"),
        (lambda path: write_mpii(path, "mat", "train"), mpii.MAT),
        (lambda path: write_lsp(path, "LSP", 2), "joints.mat"),
        (lambda path: write_h36m_folder(path, (9, 2, 1, 1), 6), "s_09_act_02_subact_01_ca_01/matlab_meta.mat"),
        (lambda path: write_3dhp_test(path, "TS1", 3), "TS1/annot_data.mat"),
        (lambda path: write_3dhp_train(path, (0,), 3), "S1/Seq1/annot.mat"),
    ],
    ids=["mpii h5", "mpii json", "mpii mat", "lsp", "h36m", "3dhp test", "3dhp train"],
)
@pytest.mark.parametrize("left", [0.0, 0.5, 0.9])
def test_half_downloads(tmp_path: Path, write: Callable[[Path], Any], file: str, left: float) -> None:
    write(tmp_path)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: int(len(content) * left)])
    dataset = {"annot": "mpii", mpii.MAT: "mpii", "joints.mat": "lsp", "TS1": "3dhp test", "S1": "3dhp train"}
    reader = (
        WRONG[dataset.get(file.split("/")[0], "h36m")] if file != mpii.MAT else lambda path: mpii.mpii(path, "train")
    )
    with pytest.raises(LiftwildError) as caught:
        read(reader(tmp_path))
    assert str(tmp_path / file) in str(caught.value) and "\n" not in str(caught.value)


# --- preparing ---


def test_an_interrupted_preparation_goes_on(tmp_path: Path) -> None:
    calls: list[str] = []
    broken = threading.Event()
    broken.set()

    def part(name: str) -> Part:
        def people() -> Any:
            calls.append(name)
            yield sample(len(calls))
            if name == "b" and broken.is_set():
                raise LiftwildError("the disk went away")
            if name == "a":
                yield Skip("x.png", 1, "photo cannot be read")

        return Part(name, people)

    dataset = Dataset("some data", [part(name) for name in "abc"], {"split": "train"}, (3, 3))
    out = tmp_path / "x.arrow"
    with pytest.raises(LiftwildError, match="the disk went away"):
        prepare_dataset(dataset, out)
    assert not out.exists() and (tmp_path / "x.arrow.parts").is_dir()
    with pytest.raises(LiftwildError, match="holds parts of another preparation"):
        prepare_dataset(Dataset("some data", dataset.parts, {"split": "test"}), out)
    before, done = len(calls), (tmp_path / "x.arrow.parts" / "c.arrow").is_file()
    broken.clear()
    prepared = prepare_dataset(dataset, out)
    # What is complete is not read again; what failed is, and what left something out.
    again = ["a", "b"] if done else ["a", "b", "c"]
    assert sorted(calls[before:]) == again and len(Store(out)) == 3 and not (tmp_path / "x.arrow.parts").exists()
    assert prepared.people == 3 and len(prepared.skips) == 1 and prepared.warnings == []


def test_counts_are_compared(tmp_path: Path) -> None:
    def people() -> Any:
        yield sample(1)

    for published, text in (((2, 2), "1 people here, 2 are published: 1 too few"), ((3, 5), "3 to 5 are published")):
        done = prepare_dataset(
            Dataset("some data", [Part("a", people)], {}, published, ["one more"]), tmp_path / "x.arrow"
        )
        assert done.warnings[0] == "one more" and text in done.warnings[1]
    with pytest.raises(LiftwildError, match="some data: nobody could be read"):
        prepare_dataset(Dataset("some data", [Part("a", lambda: iter(()))], {}), tmp_path / "y.arrow")
    assert [path.name for path in tmp_path.iterdir()] == ["x.arrow"]


COMMANDS: list[tuple[str, Callable[[Path], Any], list[str], str, str]] = [
    ("mpii", lambda path: write_mpii(path, "h5"), ["--split", "val"], "", "2,958 are published: 2,956 too few"),
    ("lsp", lambda path: write_lsp(path, "LSPET", 2), [], "", "10,000 are published"),
    ("h36m", lambda path: write_h36m_folder(path, (9, 15, 1, 1), 11), ["--split", "test", "--every", "5"], "WalkDog",
     "1 of 239 folders are there"),
    ("h36m", lambda path: write_h36m_video(path, 1, "Sitting 1.54138969", 6), [], "Sitting",
     "1 of 600 videos are there"),
    ("mpi-inf-3dhp", lambda path: write_3dhp_test(path, "TS5", 3), ["--split", "test"], "TS5", "2,929 are published"),
    ("mpi-inf-3dhp", lambda path: write_3dhp_train(path, (3,), 6), [], "S1/Seq1", "16 are published"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "write", "options", "group", "warns"), COMMANDS, ids=[f"{c[0]} {i}" for i, c in enumerate(COMMANDS)]
)
def test_commands(
    tmp_path: Path, command: str, write: Callable[[Path], Any], options: list[str], group: str, warns: str
) -> None:
    write(tmp_path / "data")
    out = tmp_path / "x.arrow"
    done = CliRunner().invoke(cli, ["prepare", command, str(tmp_path / "data"), "-o", str(out), *options])
    assert done.exit_code == 0, done.output
    assert "people of" in done.output and "warning: " in done.output and warns in done.output
    store = Store(out)
    assert len(store) >= 2 and set(store.column("group").tolist()) == {group}
    assert not (tmp_path / "x.arrow.parts").exists()
    wrong = CliRunner().invoke(cli, ["prepare", command, str(tmp_path / "nothing"), "-o", str(out), *options])
    assert wrong.exit_code == 1 and wrong.output.startswith("error: ") and wrong.output.count("\n") == 1


@pytest.mark.parametrize("module", ["scipy.io", "h5py", "cdflib"])
def test_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str) -> None:
    write_mpii(tmp_path, "h5")
    write_lsp(tmp_path, "LSP", 2)
    write_h36m_video(tmp_path, 9, "Eating.54138969", 2)
    monkeypatch.setitem(sys.modules, module, None)
    reader = {"scipy.io": "lsp", "h5py": "mpii", "cdflib": "h36m videos"}[module]
    with pytest.raises(LiftwildError, match=rf"needs {module}: pip install 'liftwild\[datasets\]'"):
        read(WRONG[reader](tmp_path))
