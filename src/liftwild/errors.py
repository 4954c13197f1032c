"""The one error type for what a user can cause."""


class LiftwildError(ValueError):
    """Something a user can mend: one line that says what was wrong, where, and what to do.

    The command line prints it as it stands and exits with 1.
    """
