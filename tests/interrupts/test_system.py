"""What the system refuses: one line and an exit code, nothing half there, and the same command then does it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.disturbed_commands import (
    COMMANDS,
    LONG,
    STAGE,
    Server,
    Undisturbed,
    contents,
    differences,
    half_files,
)

Find = Callable[[str], Undisturbed]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="as Linux says it")


def each_of(*names: str) -> pytest.MarkDecorator:
    """A test of the commands of these names; of all in the long run."""
    return pytest.mark.parametrize("name", COMMANDS if LONG else names)


def lines_of(said: str) -> list[str]:
    """The lines that were said, without progress bars."""
    return [line for line in said.replace("\r", "\n").split("\n") if line and "%|" not in line]


def errors_in(said: str) -> list[str]:
    """The errors that were said, in lines; never a traceback, nor what Python says of what it ignores."""
    assert "Traceback" not in said and "Exception ignored" not in said, said
    return re.findall("error: .*", said)


def check_refused(answer: dict[str, Any], said: str, says: str) -> None:
    """It failed, for a reason that matches ``says``, in one line a file."""
    errors = errors_in(said)
    assert answer["code"] == 1 and errors and all(re.search(says, line) for line in errors), said
    assert lines_of(said)[-1] == errors[-1] or lines_of(said)[-1].startswith("5 photos: "), said


def without_shared_memory(typed: list[str]) -> list[str]:
    """A limit of the size of files is one of shared memory too: no loader processes."""
    return [*typed[:-1], "0"] if typed[-2] == "--workers" else typed


@each_of(*(name for name in COMMANDS if name != "render"))
def test_files_that_may_not_be_large(name: str, undisturbed: Find, server: Server, tmp_path: Path) -> None:
    """As a full disk, for whoever may mount none."""
    alone = undisturbed(name)
    typed = without_shared_memory(alone.typed)
    answer, said = server.run(typed, tmp_path, limits={"RLIMIT_FSIZE": 8192})
    check_refused(answer, said, r"File too large|disk full\?")
    assert half_files(tmp_path, alone.files) == [] and STAGE not in " ".join(contents(tmp_path))
    answer, said = server.run(typed, tmp_path)
    assert answer["code"] == 0 and differences(tmp_path, alone.files) == [], said


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory at ``folder``; skips where it may not be mounted."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("file systems may not be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@each_of("predict clip", "prepare h36m", "train", "export openvino")
def test_a_full_disk(name: str, undisturbed: Find, server: Server, tmp_path: Path) -> None:
    alone = undisturbed(name)
    with mounted(tmp_path / "disk", "size=8m") as disk:
        filler = disk / "filler"
        filler.write_bytes(b"0" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 12288))
        answer, said = server.run(alone.typed, disk)
        check_refused(answer, said, r"No space left on device|disk full\?")
        filler.unlink()
        assert half_files(disk, alone.files) == [] and STAGE not in " ".join(contents(disk))
        answer, said = server.run(alone.typed, disk)
        assert answer["code"] == 0 and differences(disk, alone.files) == [], said


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_cannot_be_written(name: str, undisturbed: Find, server: Server, tmp_path: Path) -> None:
    alone = undisturbed(name)
    with mounted(tmp_path / "disk", "ro") as disk:
        check_refused(*server.run(alone.typed, disk), "Read-only file system")


@each_of("predict photos", "train", "export onnx")
def test_without_a_temporary_folder(name: str, undisturbed: Find, server: Server, tmp_path: Path) -> None:
    alone = undisturbed(name)
    answer, said = server.run(alone.typed, tmp_path, no_temporary_folder=True)
    if "temporary" in said:
        check_refused(answer, said, "temporary")
    else:
        assert answer["code"] == 0 and differences(tmp_path, alone.files) == [], said


@pytest.mark.parametrize("stdout", ["closed", "broken"])
@each_of("predict clip", "prepare coco", "export onnx", "report")
def test_nobody_reads_what_is_said(name: str, stdout: str, undisturbed: Find, server: Server, tmp_path: Path) -> None:
    """As ``>&-`` and ``| true``: all the work is done."""
    alone = undisturbed(name)
    answer, said = server.run(alone.typed, tmp_path, stdout=stdout)
    assert answer["code"] == (stdout == "broken") and errors_in(said) == [], said
    assert differences(tmp_path, alone.files) == [], said


@each_of("predict photos", "prepare h36m", "train", "evaluate")
def test_few_open_files(name: str, undisturbed: Find, server: Server, tmp_path: Path) -> None:
    alone = undisturbed(name)
    for most in (8, 16):
        answer, said = server.run(alone.typed, tmp_path, limits={"RLIMIT_NOFILE": most})
        if answer["code"] == 0:
            assert errors_in(said) == [] and differences(tmp_path, alone.files) == []
            return
        check_refused(answer, said, "ulimit -n")
        assert half_files(tmp_path, alone.files) == []


@each_of("predict photos", "predict clip", "prepare coco", "train", "report")
def test_two_at_once(name: str, undisturbed: Find, server: Server, tmp_path: Path) -> None:
    """Either both are done, or one says that the other is at it; what is left is whole."""
    alone = undisturbed(name)
    answer, said = server.run(alone.typed, tmp_path, together=2)
    assert 0 in answer["codes"] and set(answer["codes"]) <= {0, 1}, said
    errors = errors_in(said)
    assert len(errors) == sum(answer["codes"]) and all("another" in line for line in errors), said
    assert half_files(tmp_path, alone.files) == []
    if name != "render":  # pictures that are there are kept
        server.run(alone.typed, tmp_path)
    assert differences(tmp_path, alone.files) == [], said
