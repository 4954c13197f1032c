"""``liftwild.files``: files and folders that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch

from liftwild.errors import LiftwildError
from liftwild.files import atomic_path, check_output, remove_leftovers, staging, starts_with, write_whole
from liftwild.weights import write_tensors
from tests.support.files import names


def test_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for owner, name in ((os, "replace"), (Path, "write_bytes")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                write_whole(path, b"new")
        assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
        assert path.read_bytes() == b"old"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "a.json", tmp_path / "none" / "a.json", tmp_path / ("x" * 300)):
        with pytest.raises(LiftwildError, match="cannot be written") as caught:
            write_whole(path, b"content")
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_folder_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "step"
    for name in ("a", "b"):
        with atomic_path(path, durable=True) as part:
            part.mkdir()
            (part / name).touch()
        assert [file.name for file in path.iterdir()] == [name]
    with pytest.raises(LiftwildError, match="step: cannot be written: No space left"), atomic_path(path) as part:
        part.mkdir()
        (part / "c").touch()
        raise OSError(28, "No space left on device")
    assert [file.name for file in tmp_path.iterdir()] == ["step"] and [file.name for file in path.iterdir()] == ["b"]


def test_threads_do_not_mix_their_files(tmp_path: Path) -> None:
    """As two containers, they have one process id."""

    def job(number: int) -> bool:
        path, content = tmp_path / f"{number}.json", str(number).encode() * 5000
        write_whole(path, content)
        return path.read_bytes() == content

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(job, range(200)))
    assert len(list(tmp_path.iterdir())) == 200


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    monkeypatch.setattr("liftwild.files.secrets.token_hex", lambda _: "guessed")
    with staging(tmp_path / "a.json") as stage:
        name = stage.name
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(LiftwildError, match=r"a\.json: cannot be written: File exists"):
        write_whole(tmp_path / "a.json", b"content")
    assert list(victim.iterdir()) == [] and not (tmp_path / "a.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="no umask")
def test_files_have_the_rights_of_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(1)})
        write_whole(tmp_path / "a.json", b"")
        with atomic_path(tmp_path / "folder") as part:
            part.mkdir()
    finally:
        os.umask(before)
    rights = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert rights == {"a.safetensors": "0o640", "a.json": "0o640", "folder": "0o750"}


def test_who_comes_while_another_ends_waits_for_that(tmp_path: Path) -> None:
    """The processes of a run that was killed still end when the next run begins."""
    begun = threading.Event()

    def hold() -> None:
        with staging(tmp_path / "x.arrow"):
            begun.set()
            time.sleep(0.3)

    holds = threading.Thread(target=hold)
    holds.start()
    assert begun.wait(20)
    with atomic_path(tmp_path / "x.arrow", alone=True) as part:
        part.write_bytes(b"whole")
    holds.join()
    assert names(tmp_path) == ["x.arrow"]


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    with staging(tmp_path / "x.mp4") as stage:
        (stage / "x.mp4").write_bytes(b"half")
        left = shutil.copytree(stage, tmp_path / stage.name.replace(".part", "0.part"))
        assert remove_leftovers(tmp_path) == [stage] and not left.exists() and names(stage) == ["x.mp4"]
        again = staging(tmp_path / "x.mp4", alone=True)
        with pytest.raises(LiftwildError, match=r"another process is writing .*x\.mp4"), again:
            pass
        with staging(tmp_path / "y.mp4", alone=True), staging(tmp_path / "x.mp4"):
            assert len(names(tmp_path)) == 3
    assert names(tmp_path) == []


def test_only_what_is_ours_is_replaced(tmp_path: Path) -> None:
    ours, theirs, link = tmp_path / "ours", tmp_path / "theirs", tmp_path / "link"
    ours.write_bytes(b"mark and more")
    theirs.write_bytes(b"thesis")
    link.symlink_to("nowhere")
    is_ours = partial(starts_with, mark=b"mark")
    check_output(ours, is_ours)
    check_output(tmp_path / "new", is_ours)
    for path, says in ((theirs, "was not written by this command.* another --sheet"), (link, "exists"),
                       (tmp_path, "is a folder")):  # fmt: skip
        with pytest.raises(LiftwildError, match=says):
            check_output(path, is_ours, "--sheet")
