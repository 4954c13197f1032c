"""Bars of stages: where they are shown, and when."""

from __future__ import annotations

import io
import sys

import pytest

from liftwild.console import progress


class Terminal(io.StringIO):
    """What tqdm takes for a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, name: str, stays: bool, waits_s: float = 0.0) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(name, 4, "step", stays=stays) as bar:
        if waits_s:
            bar.start_t -= waits_s
            bar.last_print_t -= waits_s
        bar.update(3)
    return stream.getvalue()


def test_a_bar_comes_after_a_second_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, Terminal(), "movement", stays=False) == ""
    late = shown(monkeypatch, Terminal(), "movement", stays=False, waits_s=2.0)
    assert "movement:  75%" in late and "3/4" in late and late.rsplit("\r", 2)[1].strip() == ""


def test_a_bar_that_stays_is_there_at_once_and_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    there = shown(monkeypatch, Terminal(), "a\x1b[31m.mp4", stays=True)
    assert "a\\x1b[31m.mp4:   0%" in there and there.endswith("\n")
    assert shown(monkeypatch, io.StringIO(), "movement", stays=True) == ""
