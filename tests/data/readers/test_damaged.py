"""Files of data sets whose C libraries crash, or are never done; names that lead out of a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwild.data.readers import foreign_process, h36m_folders, mpi_inf_3dhp, mpii
from liftwild.data.readers.file_formats import load_cdf, load_mat
from liftwild.data.readers.foreign_process import read_apart
from liftwild.errors import LiftwildError
from tests.support.bad_reading import end, take_memory, wait_long
from tests.support.commands import ENVIRONMENT

DAMAGED = Path(__file__).parent / "damaged"  # found by changing bytes


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("h36m.mat", h36m_folders.read_meta),
        ("mpii.mat", mpii.mat_rows),
        ("endless.cdf", load_cdf),
    ],
)
def test_a_damaged_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, read: Callable[[Path], Any]
) -> None:
    monkeypatch.setattr(foreign_process, "LIMIT_S", 1.0)
    path = Path(shutil.copy(DAMAGED / file, tmp_path))
    with pytest.raises(LiftwildError) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["3dhp-a.mat", "3dhp-b.mat"])
def test_frames_that_are_not_valid_are_none(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "TS1" / "imageSequence"
    folder.mkdir(parents=True)
    shutil.copy(DAMAGED / file, folder.parent / "annot_data.mat")
    with pytest.raises(LiftwildError, match=f"TS1 names no photo of {folder}"):
        mpi_inf_3dhp.mpi_inf_3dhp_test(tmp_path)


def test_what_ends_the_reader_does_not_end_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tmp_path / "whole.mat", tmp_path / "broken.mat"
    shutil.copy(DAMAGED / "h36m.mat", broken)
    from scipy.io import savemat

    savemat(whole, {"joints": np.arange(3)})
    before = load_mat(whole)["joints"]
    for function, says in (
        (end, r"it ended the library that reads it \(SIGABRT\)"),
        (take_memory, "it needs more than 8 GB of memory"),
    ):
        with pytest.raises(LiftwildError, match=f"broken.mat cannot be read, perhaps a half download: {says}"):
            read_apart(function, broken)
        np.testing.assert_array_equal(load_mat(whole)["joints"], before)
    monkeypatch.setattr(foreign_process, "LIMIT_S", 0.1)
    with pytest.raises(LiftwildError, match="it was not read within 0 s"):
        read_apart(wait_long, broken)


def test_relative_paths_are_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads stays where it began."""
    from scipy.io import savemat

    for number in range(2):
        (tmp_path / str(number)).mkdir()
        monkeypatch.chdir(tmp_path / str(number))
        savemat("x.mat", {"joints": np.array([number])})
        assert load_mat(Path("x.mat"))["joints"].item() == number


def test_less_memory_than_the_limit_is_no_fault(tmp_path: Path) -> None:
    """As under ``ulimit -v``: a process cannot raise its own limit."""
    resource = pytest.importorskip("resource")
    from scipy.io import savemat

    savemat(tmp_path / "x.mat", {"joints": np.arange(3)})
    code = f"""if __name__ == "__main__":
        from pathlib import Path
        from liftwild.data.readers.file_formats import load_mat
        assert load_mat(Path({str(tmp_path / "x.mat")!r}))["joints"].shape == (1, 3)
    """
    (tmp_path / "read.py").write_text(code)
    limit = (7 << 30, 7 << 30)
    command = [sys.executable, str(tmp_path / "read.py")]
    done = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1000:]
