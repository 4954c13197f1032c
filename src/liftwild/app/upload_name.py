"""What an upload is called: its name as it was sent, in one line, with which errors begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from liftwild.app.worker import WorkerFaultError
from liftwild.console import printable
from liftwild.errors import LiftwildError

MAX_NAME = 255  # letters
# With which processes begin what they say of an upload; and what stands there if it has no name.
WORDS = {"photo": "photo", "video": "video", "upload": "video"}


def shown_name(sent: str) -> str:
    """The name that was sent, without line ends and control characters."""
    return printable(sent)[:MAX_NAME]


def named(line: str, name: str) -> str:
    """``line`` of a process; where it begins with a word for the upload, the ``name`` takes its place."""
    word, colon, rest = line.partition(": ")
    return f"{name or WORDS[word]}: {rest}" if colon and word in WORDS else line


@contextmanager
def errors_named(name: str) -> Iterator[None]:
    """Errors of processes begin with the ``name`` of the upload."""
    try:
        yield
    except (LiftwildError, WorkerFaultError) as error:
        raise type(error)(named(str(error), name)) from None
