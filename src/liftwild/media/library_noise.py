"""What C libraries write to stderr while they decode: kept from the terminal, and told to who decodes."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

fcntl: Any = None
with suppress(ImportError):  # not on Windows
    import fcntl

# Lines of libjpeg, libpng, libwebp and libheif. Others that come meanwhile, as of a progress bar, are passed on.
_NOISE = re.compile(
    rb"(Corrupt JPEG|Premature end of|Invalid (SOS|SOF|JPEG|crop)|Unsupported (JPEG|marker)|Inconsistent progression|"
    rb"Unknown Adobe|Warning: unknown JFIF|Application transferred|Bogus |libpng |lib(jpeg|webp|heif|avif))[^\r\n]*\n"
)
# Of these, what says that pixels are wrong; the rest, as of colour profiles, harms nobody.
_DAMAGE = re.compile(r"Corrupt|Premature|error|Inconsistent|Bogus")


def _file_for_many() -> IO[bytes]:
    """A file without a name that several threads may write to while one empties it."""
    file = tempfile.TemporaryFile("ab+")  # noqa: SIM115 - it stays open
    if fcntl is not None:  # "a" alone does not set it on a file without a name: zeros would fill the gap
        fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
    return file


class _Stderr:
    """File descriptor 2 while something is decoded: a file in place of the terminal."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.entries = self.told = 0
        self.file: IO[bytes] | None = None
        self.real = -1

    def enter(self) -> int:
        """Begin; which entry this is."""
        with self.lock:
            if not self.inside:
                with suppress(OSError, ValueError):  # stderr is closed: nothing to keep quiet
                    sys.stderr.flush()
                    self.file = self.file or _file_for_many()
                    self.real = os.dup(2)
                    os.dup2(self.file.fileno(), 2)
            self.inside += 1
            self.entries += 1
            return self.entries

    def leave(self, entry: int) -> str:
        """End; what a library said, or "" where several decoded at once and it may have been about another."""
        with self.lock:
            self.inside -= 1
            said = self._pass_on()
            if not self.inside:
                self.restore()
            return said if self.entries == entry and not self.inside else ""

    def _pass_on(self) -> str:
        if self.file is None or self.real < 0:
            return ""
        self.file.seek(0)
        content = self.file.read()
        self.file.truncate(0)
        if other := _NOISE.sub(b"", content):
            with suppress(OSError):
                os.write(self.real, other)
        lines = [found[0].decode("utf-8", "replace").strip() for found in _NOISE.finditer(content)]
        return next((line for line in lines if _DAMAGE.search(line)), "")

    def restore(self) -> None:
        """Put the terminal back."""
        if self.real >= 0:
            os.dup2(self.real, 2)
            os.close(self.real)
            self.real = -1

    def in_child(self) -> None:
        """After a fork only one thread is left, and it decodes nothing."""
        self.restore()
        self.inside, self.file = 0, None
        self.lock.release()


_STDERR = _Stderr()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_STDERR.lock.acquire, after_in_parent=_STDERR.lock.release, after_in_child=_STDERR.in_child
    )


class Noise:
    """``damage``: the first line that says that pixels are wrong, after the block, or ""."""

    damage = ""


@contextmanager
def without_noise() -> Iterator[Noise]:
    """Keep the lines of image libraries from stderr inside the block; what they say is in ``Noise`` afterwards."""
    noise = Noise()
    entry = _STDERR.enter()
    try:
        yield noise
    finally:
        noise.damage = _STDERR.leave(entry)
