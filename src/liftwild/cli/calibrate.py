"""``liftwild calibrate``: what the confidence of weights is worth."""

from __future__ import annotations

from pathlib import Path

import click

from liftwild.cli.option_types import DEVICE_HELP
from liftwild.console import show
from liftwild.threads import wait_kindly


@click.command("calibrate")
@click.argument("weights")
@click.argument("stores", nargs=-1, type=click.Path(path_type=Path), metavar="STORE...")
@click.option("--depth", multiple=True, type=click.Path(path_type=Path), metavar="STORE",
              help="Store with 3D labels, for the spread of depths; may be given again.")  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Also draw the reliability curve into this PNG.")
@click.option("--most", default=0, type=click.IntRange(min=0), help="Look at so many people of a store at most.")
@click.option("--device", help=DEVICE_HELP)
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="People at a time.")
def calibrate_command(
    weights: str,
    stores: tuple[Path, ...],
    depth: tuple[Path, ...],
    out: Path | None,
    most: int,
    device: str | None,
    batch_size: int,
) -> None:
    """Turn the confidence of WEIGHTS into chances, on labelled STOREs that were not trained on.

    Writes the calibration into the weights' json and prints how stated and found chances agree, in each half of the
    photos by a fit on the other. docs/confidence.md explains it.
    """
    wait_kindly()
    from liftwild.evaluation.calibration import calibrate_weights

    tables = calibrate_weights(
        weights, stores, depth, picture=out, device=device, batch_size=batch_size, most=most
    )  # fmt: skip
    show(tables)
