"""``liftwild.files``: files and folders that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from liftwild.errors import LiftwildError
from liftwild.files import atomic_path, write_whole


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
    (tmp_path / ".step.part").mkdir()
    (tmp_path / ".step.part" / "of a killed process").touch()
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
