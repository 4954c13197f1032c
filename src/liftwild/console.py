"""Lines for people: the one way by which the program speaks. Names act in no terminal, folder or spreadsheet."""

from __future__ import annotations

import os
import re
import sys
import zlib
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

MAX_STEM = 60  # letters of a file's name made from a label
# What moves the cursor, ends a line, or changes the direction of writing; and bytes of names that are no UTF-8.
_ACTS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
discarded: list[TextIO] = []  # streams that nobody reads any more


def printable(text: object) -> str:
    """``text`` in one line, control characters as ``\\x1b`` and ``\\n``."""
    return _ACTS.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), str(text))


def file_stem(label: str) -> str:
    """A file's name without its ending for a label of whatever letters: letters, digits and ``_.+-`` of it; where that
    is not all of it, with a checksum, so that labels that differ have names that differ."""
    kept = re.sub(r"[^\w.+-]", "_", label)[:MAX_STEM].strip(".")
    checksum = f"{zlib.crc32(label.encode('utf-8', 'surrogatepass')):08x}"
    return kept if kept == label else f"{kept}-{checksum}"


def csv_text(text: str) -> str:
    """``text`` as a cell of a CSV that no spreadsheet takes for a formula, quoted where it has to be."""
    text = printable(text)
    text = f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text


def say(line: object, err: bool = False) -> None:
    """Print ``line`` on stdout, or with ``err`` on stderr, above a progress bar if there is one."""
    _put(printable(line), err)


def show(text: str) -> None:
    """Print a text of several lines, as a table, on stdout."""
    for line in text.rstrip("\n").split("\n"):
        _put(printable(line), False)


def progress(what: object, total: int | None, unit: str, begun: int = 0, stays: bool = False) -> tqdm[NoReturn]:
    """A bar on stderr, if that is a terminal: ``total`` steps called ``unit``, of which ``begun`` are done.

    It comes after a second and goes at the end; if it ``stays``, it comes at once.
    """
    from tqdm import tqdm

    return tqdm(
        desc=printable(what), total=total, unit=unit, initial=begun, leave=stays, delay=0 if stays else 1,
        disable=None, file=sys.stderr,
    )  # fmt: skip


def _put(line: str, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # closed before the program began
        return
    line = line.encode(stream.encoding or "utf-8", "backslashreplace").decode(stream.encoding or "utf-8")
    try:
        if "tqdm" in sys.modules:
            from tqdm import tqdm

            with tqdm.get_lock():  # that of ``write`` itself leaves a traceback where Ctrl-C comes while it is taken
                tqdm.write(line, file=stream, nolock=True)
        else:
            print(line, file=stream)
    except BrokenPipeError:  # whoever read it has read enough, as head does; the work goes on
        discard(stream)


def discard(stream: TextIO) -> None:
    """Let all that is still said on ``stream`` go nowhere; ``discarded`` then tells of it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    discarded.append(stream)
