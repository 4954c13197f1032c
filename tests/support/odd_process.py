"""A process of the server that does what it is told, lies too."""

from __future__ import annotations

import errno
import os
import time

from liftwild.app.child import Answer, Parent, serve
from liftwild.app.messages import LENGTHS, Message
from liftwild.errors import LiftwildError

ERRORS = {
    "LiftwildError": LiftwildError("no"), "MemoryError": MemoryError(), "KeyError": KeyError("no"),
    "OSError": OSError(errno.ENOSPC, "No space left on device"),
}  # fmt: skip
DEEP = b'{"number": 1, "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
LIES = {
    "garbage": LENGTHS.pack(5, 0) + b"hello",
    "deep": LENGTHS.pack(len(DEEP), 0) + DEEP,
    "no number": LENGTHS.pack(2, 0) + b"{}",
    "endless": LENGTHS.pack(2, 0xFFFFFFFF) + b"{}",
}


def main() -> None:
    """Answer until the server ends."""
    parent = Parent()

    def do(message: Message) -> Answer:
        what = message.fields["do"]
        if what == "raise":
            raise ERRORS[message.fields["what"]]
        if what == "hang":
            time.sleep(1000)
        if what == "sleep":
            time.sleep(message.fields["s"])
        if what in LIES:
            parent._output.write(LIES[what])
            parent._output.flush()
        return {"pid": os.getpid()}, message.content

    serve(parent, do, "it")


if __name__ == "__main__":
    main()
