"""``liftwild serve``: the page and its API on this machine."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import click

from liftwild.console import say
from liftwild.errors import LiftwildError
from liftwild.inference.runtime_kinds import RUNTIME_NAMES

EXTRA = "pip install 'liftwild[app]'"


@click.command("serve")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where it listens; beyond this machine, with a token."
)
@click.option("--port", default=8757, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--token", "tokens", multiple=True, envvar="LIFTWILD_TOKEN",
              help="Who has it may ask; one for each user.  [default: one is made, where others can ask]")  # fmt: skip
@click.option("--host-name", "host_names", multiple=True, help="Another name that it is called by, as behind a proxy.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder for uploads and results.  [default: a folder of yours]"
)
@click.option(
    "--keep-hours", default=24.0, show_default=True, type=click.FloatRange(min=0.01), help="How long results stay."
)
@click.option(
    "--keep-gb", default=10.0, show_default=True, type=click.FloatRange(min=0.01), help="And how much, at most."
)
@click.option("--weights", default="base", show_default=True, help="Of photos and videos, where a request names none.")
@click.option("--runtime", default="auto", show_default=True, type=click.Choice(RUNTIME_NAMES), help="What computes.")
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
def serve_command(
    host: str, port: int, tokens: tuple[str, ...], host_names: tuple[str, ...], data: Path | None, keep_hours: float,
    keep_gb: float, weights: str, runtime: str, opens: bool,
) -> None:  # fmt: skip
    """Serve a page for photos, videos and the camera, and an HTTP API, on this machine. Ctrl-C ends it.

    Nothing leaves the machine. docs/serve.md has the API and what it is not meant for.
    """
    try:
        from liftwild.app.server import serve_until_told
    except ImportError as error:
        raise LiftwildError(f"serve needs the extra 'app' ({error.name} is missing): {EXTRA}") from None
    from liftwild.app.settings import Limits, Settings, is_for_others

    made = (secrets.token_urlsafe(24),) if not tokens and is_for_others(host, host_names) else ()
    settings = Settings(
        _data_folder() if data is None else data, host, port, weights, runtime=runtime, tokens=(*tokens, *made),
        host_names=host_names, limits=Limits(keep_s=keep_hours * 3600, keep_bytes=round(keep_gb * 2**30)),
    )  # fmt: skip

    def begun(address: str) -> None:
        page = f"{address}/enter?token={made[0]}" if made else f"{address}/"
        say(f"liftwild serves {page}")
        if opens:
            import webbrowser

            webbrowser.open(page)

    serve_until_told(settings, begun)


def _data_folder() -> Path:
    """Where programs keep data of the user's on this system."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "liftwild"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "liftwild"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "liftwild"
