"""``liftwild info``: what a file holds."""

from __future__ import annotations

import click

from liftwild.console import say


@click.command("info")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def info_command(files: tuple[str, ...]) -> None:
    """Say what FILES hold: recordings (people, frames, camera, units), weights, stores."""
    from liftwild.pipeline.information import describe_file

    for position, name in enumerate(files):
        if position:
            say("")
        for line in describe_file(name):
            say(line)
