"""A signal to end that comes at a bad moment."""

from __future__ import annotations

import signal
import time
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from typing import Any

import pytest

from liftwild.data import prepare
from liftwild.errors import LiftwildError
from tests.support.commands import liftwild
from tests.support.files import names


@pytest.mark.parametrize(
    ("number", "code", "says"), [("SIGTERM", 143, "ended by SIGTERM"), ("SIGINT", 130, "interrupted")]
)
def test_within_a_destructor(
    number: str, code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python ignores what is raised there: the program would go on, after a traceback."""

    class Mortal:
        def __del__(self) -> None:
            signal.raise_signal(signal.Signals[number])

    def read_labels(*_: Any) -> None:
        mortal = Mortal()
        del mortal
        for _ in range(500):
            time.sleep(0.01)
        raise AssertionError("it went on")

    monkeypatch.setattr(prepare, "read_labels", read_labels)
    (tmp_path / "photos").mkdir()
    done = liftwild("prepare", "coco", "labels.json", tmp_path / "photos", "-o", tmp_path / "x.arrow", code=code)
    assert done.output == f"{says}\n" and names(tmp_path) == ["photos"]


def test_within_a_library_that_makes_another_error_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an import of a C library does."""

    def read_labels(*_: Any) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            raise LiftwildError("it needs that library") from None

    monkeypatch.setattr(prepare, "read_labels", read_labels)
    (tmp_path / "photos").mkdir()
    done = liftwild("prepare", "coco", "labels.json", tmp_path / "photos", "-o", tmp_path / "x.arrow", code=143)
    assert done.output == "ended by SIGTERM\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_a_library_is_loaded(number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C++ crashes on an error that comes out of Python there: it waits until the library is there."""
    done = []

    class Loader(ExtensionFileLoader):
        def create_module(self, spec: Any) -> Any:
            signal.raise_signal(number)
            done.append("loaded")

    def read_labels(*_: Any) -> None:
        Loader("library", "library.so").create_module(None)
        for _ in range(500):
            time.sleep(0.01)
        raise AssertionError("it went on")

    monkeypatch.setattr(prepare, "read_labels", read_labels)
    (tmp_path / "photos").mkdir()
    arguments = ("prepare", "coco", "labels.json", tmp_path / "photos", "-o", tmp_path / "x.arrow")
    liftwild(*arguments, code={signal.SIGTERM: 143, signal.SIGINT: 130}[number])
    assert done == ["loaded"]
