"""The one error type for what a user can cause, and what to say of others."""

from __future__ import annotations


class LiftwildError(ValueError):
    """Something a user can mend: one line that says what was wrong, where, and what to do.

    The command line prints it as it stands and exits with 1.
    """


def reason_of(error: Exception) -> str:
    """One line of why a library failed: the last that it says, which is where the cause stands, or its type's name.

    All of it where the error is one of ours.
    """
    if isinstance(error, LiftwildError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
