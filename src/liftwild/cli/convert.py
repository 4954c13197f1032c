"""``liftwild convert``: recordings already made, in other formats."""

from __future__ import annotations

import os
from pathlib import Path

import click

from liftwild.cli.option_types import FormatList, OwnedChoice, rigs
from liftwild.console import say
from liftwild.errors import LiftwildError, line_of
from liftwild.skeleton import SKELETONS


@click.command("convert")
@click.argument("recordings", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--format", "formats", required=True, type=FormatList(pictures=False),
              help="One or more, with commas between.")  # fmt: skip
@click.option("--skeleton", type=click.Choice(list(SKELETONS)), help="Joints that are written.  [default: the file's]")
@click.option("--min-confidence", default=0.0, type=click.FloatRange(0, 1), help="Hide less sure joints.")
@click.option("--rig", default="plain", show_default=True, type=OwnedChoice(rigs),
              help="Joints of animations: those found, or by the names of Mixamo or Rigify.")  # fmt: skip
@click.pass_context
def convert_command(
    ctx: click.Context, recordings: tuple[Path, ...], out: Path, formats: str, skeleton: str | None,
    min_confidence: float, rig: str,
) -> None:  # fmt: skip
    """Write RECORDINGS (x.json, .npz, .csv, .parquet, .bvh, .trc) in other formats; docs/files.md lists them.

    No network runs. BVH and TRC may be of other programs: joints are found by their names. Exits with 1 if something
    failed; the rest is still done.
    """
    from liftwild.pipeline.options import OutputOptions, split_formats
    from liftwild.pipeline.output_guard import OutputGuard
    from liftwild.pipeline.recordings import convert_recording

    wanted = OutputOptions(split_formats(formats)[0], figure=False, min_confidence=min_confidence, rig=rig)
    guard = OutputGuard(out, {os.path.realpath(path) for path in recordings})
    joints, failed = None if skeleton is None else SKELETONS[skeleton], False
    for path in dict.fromkeys(recordings):
        try:
            for file in convert_recording(path, guard, wanted, joints):
                say(str(file))
        except Exception as error:
            failed = True
            say(f"error: {error if isinstance(error, LiftwildError) else line_of(error, path)}", err=True)
    if failed:
        ctx.exit(1)
