"""Preparing that is interrupted, downloads that are half there, folders that are wrong."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from liftwild.data import prepare
from liftwild.data.readers import h36m, h36m_folders
from liftwild.data.store import Store
from liftwild.files import staging
from liftwild.synthetic.render.generate import RenderedSample
from tests.support.commands import liftwild
from tests.support.h36m_layouts import write_h36m_folder
from tests.support.images import write_photo
from tests.support.label_files import annotation, labels, write_labels
from tests.support.rendered_datasets import CASES, DOZEN, FOLDERS, folders_h36m, lspet_photos, mpii_json, sequences_3dhp


class Watch:
    """Stands before a reader's ``read_photo``: notes what is read, and may call somebody at one of the photos."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[str] = []
        self.at = ""
        self.call: Callable[[], None] = lambda: None
        before = h36m_folders.read_photo

        def read_photo(path: Path) -> np.ndarray:
            self.read.append(Path(path).parent.name)
            if self.at and self.at in str(path):
                self.at = ""
                self.call()
            return before(path)

        monkeypatch.setattr(h36m_folders, "read_photo", read_photo)


def names_of(keys: Sequence[h36m.Key]) -> list[str]:
    return [h36m.folder_name(key) for key in keys]


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
        patch.setattr("liftwild.data.dataset.remove_folder", lambda folder: None)
        liftwild(*arguments)
    (tmp_path / "x.arrow").unlink()
    for folder in (tmp_path, tmp_path / "x.arrow.parts"):
        with staging(folder / "x.arrow") as stage:
            left = shutil.copytree(stage, folder / stage.name.replace(".part", "0.part"))
            (left / "x.arrow").write_bytes(b"half")
    (tmp_path / "x.arrow.parts" / f"{name}.arrow").unlink()
    assert "3 people of 3 photos" in liftwild(*arguments).output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "x.arrow"]


def test_a_download_that_went_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half file stops the preparation; whole, and with more folders beside it, the same command goes on."""
    for key in FOLDERS[:3]:
        write_h36m_folder(tmp_path / "data", key, 11)
    folders, out = names_of(FOLDERS), tmp_path / "x.arrow"
    meta = tmp_path / "data" / folders[2] / h36m_folders.META
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
    assert done.output.endswith(error[0] + "\n") and re.search("half download|not all of it", error[0])
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_places(dozen: list[RenderedSample], tmp_path: Path) -> None:
    """One line that says what was expected where."""
    folders_h36m(tmp_path / "h36m", dozen)
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
