"""``liftwild view``: the page of a recording, opened in the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from liftwild.console import say


@click.command("view")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The page.  [default: x.html beside x.json]")
@click.option(
    "--source", type=click.Path(path_type=Path), help="The photo or clip that was looked at, for its pictures."
)
@click.option("--open/--no-open", "opens", default=None, help="Open it in the browser.  [default: in a terminal]")
def view_command(recording: Path, out: Path | None, source: Path | None, opens: bool | None) -> None:
    """Turn the poses of RECORDING (x.json, .npz, .csv, .parquet, .bvh, .trc) in the browser, on a page of its own.

    The page needs no network. Its pictures are those of the photo or clip that lies beside RECORDING, or of --source.
    """
    from liftwild.pipeline.recordings import view_recording

    page, note = view_recording(recording, out, source)
    if note:
        say(f"note: {note}", err=True)
    say(str(page))
    if opens or (opens is None and sys.stdout.isatty() and _has_screen()):
        import webbrowser

        if not webbrowser.open(page.absolute().as_uri()):
            say("note: no browser was found; open the page yourself", err=True)


def _has_screen() -> bool:
    """Whether a browser would have a window: not on a server, where one for terminals would start."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
