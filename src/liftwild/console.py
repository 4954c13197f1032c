"""Lines for people: the one way by which the program speaks. Names of files and labels cannot act in a terminal."""

from __future__ import annotations

import os
import re
import sys
from typing import TextIO

# What moves the cursor, ends a line, or changes the direction of writing; and bytes of names that are no UTF-8.
_ACTS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


discarded: list[TextIO] = []  # streams that nobody reads any more


def printable(text: object) -> str:
    """``text`` in one line, control characters as ``\\x1b`` and ``\\n``."""
    return _ACTS.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), str(text))


def say(line: object, err: bool = False) -> None:
    """Print ``line`` on stdout, or with ``err`` on stderr, above a progress bar if there is one."""
    _put(printable(line), err)


def show(text: str) -> None:
    """Print a text of several lines, as a table, on stdout."""
    for line in text.rstrip("\n").split("\n"):
        _put(printable(line), False)


def _put(line: str, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # closed before the program began
        return
    line = line.encode(stream.encoding or "utf-8", "backslashreplace").decode(stream.encoding or "utf-8")
    try:
        if "tqdm" in sys.modules:
            from tqdm import tqdm

            tqdm.write(line, file=stream)
        else:
            print(line, file=stream)
    except BrokenPipeError:  # whoever read it has read enough, as head does; the work goes on
        discard(stream)


def discard(stream: TextIO) -> None:
    """Let all that is still said on ``stream`` go nowhere; ``discarded`` then tells of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    discarded.append(stream)
