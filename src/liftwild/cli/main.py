"""The command line: one group, one file a command. Each command imports what it needs when it runs, so that
``liftwild --help`` is instant."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib.machinery import ExtensionFileLoader
from types import FrameType
from typing import Any

import click

from liftwild import __version__
from liftwild.cli.angles import angles_command
from liftwild.cli.calibrate import calibrate_command
from liftwild.cli.convert import convert_command
from liftwild.cli.evaluate import evaluate_command
from liftwild.cli.export import export_command
from liftwild.cli.info import info_command
from liftwild.cli.predict import predict_command
from liftwild.cli.prepare import prepare_command
from liftwild.cli.render import render_command
from liftwild.cli.report import report_command
from liftwild.cli.serve import serve_command
from liftwild.cli.train import train_command
from liftwild.cli.view import view_command
from liftwild.console import discard, discarded, printable, say
from liftwild.errors import LiftwildError, reason_of_os


class _Commands(click.Group):
    """Commands whose errors are one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; 1 after a LiftwildError, 130 after Ctrl-C, 143 after SIGTERM."""
        _end_tidily(ctx)
        try:
            return super().invoke(ctx)
        except LiftwildError as error:
            _fail(ctx, str(error))
        except _EndedError:
            _fail(ctx)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read what we say has read enough; click ends without a word
                raise
            _fail(ctx, (f"{error.filename}: " if error.filename else "") + reason_of_os(error))
        except click.ClickException as error:
            error.message = printable(error.message)  # type: ignore[misc]  # it may hold the name of a file
            raise
        except KeyboardInterrupt:
            say("interrupted", err=True)
            ctx.exit(130)


_told_by: list[int] = []  # signals that said to end


def _fail(ctx: click.Context, fault: str = "") -> None:
    """Say what ended the command, and exit: the signal, whatever ``fault`` a library made of it, if there was one."""
    if _told_by:
        say(f"ended by {signal.Signals(_told_by[-1]).name}", err=True)
        ctx.exit(128 + _told_by[-1])
    say(f"error: {fault}", err=True)
    ctx.exit(1)


def _end_tidily(ctx: click.Context) -> None:
    """Have Ctrl-C, SIGTERM and SIGHUP end the program so that no half file is left."""
    if threading.current_thread() is not threading.main_thread():  # others may not
        return
    _told_by.clear()
    before = sys.unraisablehook
    sys.unraisablehook = partial(_end_all_the_same, before)
    ctx.call_on_close(lambda: setattr(sys, "unraisablehook", before))
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) in _DEFAULTS:  # nohup is left alone
            ctx.call_on_close(partial(signal.signal, number, signal.getsignal(number)))
            signal.signal(number, _end)


_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


class _EndedError(SystemExit):
    """A signal said to end."""


def _end(number: int, frame: FrameType | None) -> None:
    """The same signal again ends at once."""
    if _is_loading_library(frame):
        _send_again(number)
        return
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_DFL)
    _told_by.append(number)
    raise _EndedError


def _is_loading_library(frame: FrameType | None) -> bool:
    """Whether ``frame`` runs within the beginning of a C library, which an error from Python may crash."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), ExtensionFileLoader):
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> None:
    threading.Timer(0.01, os.kill, (os.getpid(), number)).start()


def _end_all_the_same(otherwise: Callable[[Any], Any], ignored: Any) -> None:
    """Where Python ignores that we are to end, as the signal came within a destructor: send it once more, from beside.

    ``otherwise``: what is done with any other exception that is ignored.
    """
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        _send_again(signal.SIGINT)
    elif isinstance(ignored.exc_value, _EndedError):
        signal.signal(_told_by[-1], _end)
        _send_again(_told_by[-1])
    else:
        otherwise(ignored)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="liftwild")
def cli() -> None:
    """One photo of a person in, a 3D pose out."""


COMMANDS = (
    predict_command, view_command, convert_command, info_command, angles_command, train_command, evaluate_command,
    report_command, serve_command, calibrate_command, export_command, prepare_command, render_command,
)  # fmt: skip
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Entry point of the ``liftwild`` command."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a traceback before a command runs, and after
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_closed_streams()
    try:
        cli(prog_name="liftwild")
    finally:
        _flush()


def _open_closed_streams() -> None:
    """Where standard streams are closed: else the next file is one of them, and libraries write into it."""
    for handle in (0, 1, 2):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  (for ever)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _flush() -> None:
    """Write out what was said; exit code 1 if nobody takes it, in place of Python's own lines about that."""
    try:
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        if error.errno != errno.EPIPE:
            say(f"error: standard output: {reason_of_os(error)}", err=True)
    if discarded:
        raise SystemExit(1)
