"""``liftwild report``: tables and figures of kept predictions."""

from __future__ import annotations

from pathlib import Path

import click

from liftwild.cli.option_types import switches
from liftwild.console import show
from liftwild.threads import wait_kindly


@click.command("report")
@click.argument("predictions", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PREDS|FOLDER...")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for tables (.md .tex .csv) and figures.")
@click.option("--card", type=click.Path(path_type=Path), help="Also write the tables into this file (Markdown).")
@click.option("--store", "stores", multiple=True, type=click.Path(path_type=Path), help="Draw people of it, with -o.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws these people.")
@click.option("--switch", "chosen", multiple=True, metavar="NAME=VALUE", help="As for 'evaluate'.")
@click.option("--bench", type=click.Path(path_type=Path), help="Also times: a file of benchmarks/cost.py.")
@click.option("--any-count", is_flag=True, help="As for 'evaluate'.")
def report_command(
    predictions: tuple[Path, ...],
    out: Path | None,
    card: Path | None,
    stores: tuple[Path, ...],
    seed: int,
    chosen: tuple[str, ...],
    bench: Path | None,
    any_count: bool,
) -> None:
    """Print the tables of PREDICTIONS, files of 'evaluate -o', or folders with some; needs no weights.

    Several of them stand beside each other and the paper; runs of one recipe as mean and standard deviation.
    """
    wait_kindly()
    from liftwild.evaluation.report import report

    tables = report(
        predictions, card, out=out, stores=stores, seed=seed, switches=switches(chosen, "--switch"),
        any_count=any_count, bench=bench,
    )  # fmt: skip
    show(tables)
