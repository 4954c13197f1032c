"""The inside of a process of the server: requests come by its standard input, answers go out by its standard output."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from liftwild.app.messages import Message, read_message, write_message
from liftwild.errors import LiftwildError, line_of, reason_of_os
from liftwild.processes import end_with, limit_memory

# The system has no more of something: neither the request nor we are at fault.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE)
Answer = tuple[dict[str, Any], bytes]


class Parent:
    """The server, as a process of it sees it. ``settings``: what it was started with."""

    def __init__(self) -> None:
        end_with(os.getppid())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
        self._input: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._output: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)  # what libraries print is no answer
        sys.stdout = sys.stderr
        self._lock = threading.Lock()
        first = read_message(self._input)
        if first is None:
            raise SystemExit(0)
        self.settings = first.fields
        limit_memory(int(self.settings["memory_bytes"]))
        os.nice(int(self.settings["nice"]))

    def requests(self) -> Iterator[tuple[int, Message]]:
        """Requests with their numbers, as they come, until the server ends."""
        while (message := read_message(self._input)) is not None:
            yield int(message.fields["number"]), message

    def answer(self, number: int, fields: dict[str, Any], content: bytes = b"") -> None:
        """Answer a request."""
        try:
            with self._lock:
                write_message(self._output, Message({"number": number, **fields}, content))
        except BrokenPipeError:  # the server is gone, and so is who asked
            os._exit(1)

    def tell(self, number: int, **progress: Any) -> None:
        """Say how far a request is."""
        self.answer(number, {"progress": progress})

    def refuse(self, number: int, error: Exception, where: str) -> None:
        """Say in one line why a request cannot be done."""
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            self.answer(number, {"error": reason_of_os(error), "kind": "system", "errno": error.errno})
            return
        kind = "input" if isinstance(error, LiftwildError) else "memory" if isinstance(error, MemoryError) else "fault"
        self.answer(number, {"error": line_of(error, where), "kind": kind})

    def ready(self) -> None:
        """Say that requests can be done now."""
        self.answer(0, {})


def serve(parent: Parent, function: Callable[[Message], Answer], where: str) -> None:
    """Answer each request with ``function`` of it, one after the other; ``where``: what errors call the input."""
    parent.ready()
    for number, message in parent.requests():
        try:
            fields, content = function(message)
        except Exception as error:
            parent.refuse(number, error, where)
        else:
            parent.answer(number, fields, content)
