"""``liftwild report``: a page about a recording; tables and figures of kept predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from liftwild.cli.option_types import switches
from liftwild.console import say, show
from liftwild.errors import LiftwildError
from liftwild.threads import wait_kindly

OF_RECORDING = ("source", "min_confidence")
OF_BOTH = ("out", "paths", "help")


class _TwoKinds(click.Command):
    """A command whose options are told apart by what it is about."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options in three parts."""
        parts: dict[str, list[tuple[str, str]]] = {"Options": [], "Of a recording": [], "Of predictions": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                is_shared = param.name == "out" or param == self.get_help_option(ctx)
                name = "Of a recording" if param.name in OF_RECORDING else "Of predictions"
                parts["Options" if is_shared else name].append(record)
        for name, records in parts.items():
            with formatter.section(name):
                formatter.write_dl(records)


@click.command("report", cls=_TwoKinds)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECORDING|PREDS...")
@click.option("-o", "--out", type=click.Path(path_type=Path),
              help="Of a recording: the page, x.report.html beside x.json without it. Of predictions: folder for "
              "tables (.md .tex .csv) and figures.")  # fmt: skip
@click.option(
    "--source", type=click.Path(path_type=Path), help="The photo or clip that was looked at, for its pictures."
)
@click.option("--min-confidence", default=0.5, show_default=True, type=click.FloatRange(0, 1),
              help="Leave out angles whose joints are less sure.")  # fmt: skip
@click.option("--card", type=click.Path(path_type=Path), help="Also write the tables into this file (Markdown).")
@click.option("--store", "stores", multiple=True, type=click.Path(path_type=Path), help="Draw people of it, with -o.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws these people.")
@click.option("--switch", "chosen", multiple=True, metavar="NAME=VALUE", help="As for 'evaluate'.")
@click.option("--bench", type=click.Path(path_type=Path), help="Also times: a file of benchmarks/cost.py.")
@click.option("--any-count", is_flag=True, help="As for 'evaluate'.")
@click.pass_context
def report_command(ctx: click.Context, paths: tuple[Path, ...], out: Path | None, **options: Any) -> None:
    """Report on a recording, or on predictions.

    \b
    liftwild report clip.json -o clip.html
      One page, which needs no network, about the people of a photo or clip:
      the viewer, joint angles over time, ranges of motion, left beside right,
      figures, what is in doubt, what was assumed. From a file of 'predict'
      (.json .npz .csv .parquet .bvh .trc).
    liftwild report preds.arrow more/ -o FOLDER
      The tables of files of 'evaluate -o', or of folders with some, beside
      each other and the paper; runs of one recipe as mean and standard
      deviation. Needs no weights.
    """
    from liftwild.io.formats import has_poses_suffix
    from liftwild.media.video import is_photo_name, is_video_name

    recordings = [path for path in paths if has_poses_suffix(path)]
    if recordings and len(paths) > 1:
        raise click.UsageError(f"a page is of one recording; give {recordings[0]} alone")
    for param in ctx.command.params:
        given = ctx.get_parameter_source(param.name or "") == click.core.ParameterSource.COMMANDLINE
        if given and param.name not in OF_BOTH and (param.name in OF_RECORDING) != bool(recordings):
            here = f"{recordings[0]} is a recording" if recordings else "these are predictions"
            raise click.UsageError(f"{param.opts[0]} is not an option here: {here}")
    for path in paths:
        if is_video_name(path) or is_photo_name(path):
            raise LiftwildError(
                f"{path}: a report is made of its poses: 'liftwild predict {path} -o OUT', then of OUT's .json"
            )
    if recordings:
        _of_recording(paths[0], out, options["source"], options["min_confidence"])
    else:
        _of_predictions(paths, out, options)


def _of_recording(path: Path, out: Path | None, source: Path | None, min_confidence: float) -> None:
    from liftwild.pipeline.recordings import report_recording

    page, note = report_recording(path, out, source, min_confidence)
    if note:
        say(f"note: {note}", err=True)
    say(str(page))


def _of_predictions(paths: tuple[Path, ...], out: Path | None, options: dict[str, Any]) -> None:
    wait_kindly()
    from liftwild.evaluation.report import report

    tables = report(
        paths, options["card"], out=out, stores=options["stores"], seed=options["seed"],
        switches=switches(options["chosen"], "--switch"), any_count=options["any_count"], bench=options["bench"],
    )  # fmt: skip
    show(tables)
