"""The one error type for what a user can cause, and what to say of others."""

from __future__ import annotations

import errno


class LiftwildError(ValueError):
    """Something a user can mend: one line that says what was wrong, where, and what to do.

    The command line prints it as it stands and exits with 1.
    """


def line_of(error: Exception, where: object) -> str:
    """One line that says that ``where``, a file, could not be done, whatever was raised."""
    if isinstance(error, LiftwildError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{where}: there is not enough memory for it"
    if isinstance(error, OSError):
        return f"{where}: {reason_of_os(error)}"
    return f"{where}: liftwild fails on it, please report this ({type(error).__name__}: {reason_of(error)})"


def reason_of_os(error: OSError) -> str:
    """Why the system refused, in its words; Arrow puts them at the end of a longer message."""
    hint = "; allow more with 'ulimit -n'" if error.errno == errno.EMFILE else ""
    return (error.strerror or str(error)).rpartition("] ")[2] + hint


def reason_of(error: Exception) -> str:
    """One line of why a library failed: the last that it says, which is where the cause stands, or its type's name.

    All of it where the error is one of ours.
    """
    if isinstance(error, LiftwildError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
