"""The command line: one group, one file a command. Each command imports what it needs when it runs, so that
``liftwild --help`` is instant."""

from __future__ import annotations

import signal
import threading
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
from liftwild.cli.train import train_command
from liftwild.cli.view import view_command
from liftwild.console import printable, say
from liftwild.errors import LiftwildError


class _Commands(click.Group):
    """Commands whose errors are one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; 1 after a LiftwildError, 130 after Ctrl-C, 143 after SIGTERM."""
        _end_tidily(ctx)
        try:
            return super().invoke(ctx)
        except LiftwildError as error:
            say(f"error: {error}", err=True)
            ctx.exit(1)
        except click.ClickException as error:
            error.message = printable(error.message)  # type: ignore[misc]  # it may hold the name of a file
            raise
        except KeyboardInterrupt:
            say("interrupted", err=True)
            ctx.exit(130)


def _end_tidily(ctx: click.Context) -> None:
    """Have SIGTERM and SIGHUP end the program as Ctrl-C does, so that no half file is left."""
    if threading.current_thread() is threading.main_thread():  # others may not
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup is left alone
                signal.signal(number, _end)
                ctx.call_on_close(lambda number=number: signal.signal(number, signal.SIG_DFL))


def _end(number: int, frame: Any) -> None:
    """The same signal again ends at once."""
    signal.signal(number, signal.SIG_DFL)
    say(f"ended by {signal.Signals(number).name}", err=True)
    raise SystemExit(128 + number)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="liftwild")
def cli() -> None:
    """One photo of a person in, a 3D pose out."""


COMMANDS = (
    predict_command, view_command, convert_command, info_command, angles_command, train_command, evaluate_command,
    report_command, calibrate_command, export_command, prepare_command, render_command,
)  # fmt: skip
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Entry point of the ``liftwild`` command."""
    cli(prog_name="liftwild")
