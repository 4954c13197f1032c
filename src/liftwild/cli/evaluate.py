"""``liftwild evaluate``: weights measured on labelled stores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from liftwild.cli.option_types import DEVICE_HELP, OwnedChoice, switches
from liftwild.console import show
from liftwild.threads import wait_kindly


def _protocols() -> Iterable[str]:
    from liftwild.evaluation.protocols import PROTOCOL_NAMES

    return PROTOCOL_NAMES


@click.command("evaluate")
@click.argument("weights")
@click.argument("stores", nargs=-1, type=click.Path(path_type=Path), metavar="STORE...")
@click.option(
    "--protocol",
    type=OwnedChoice(_protocols),
    default="open",
    show_default=True,
    help="What is measured.",
)
@click.option("--switch", "chosen", multiple=True, metavar="NAME=VALUE", help="Of the protocol: docs/paper-tables.md.")
@click.option("--any-count", is_flag=True, help="Score people other than the protocol's; the tables say so.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Keep the predictions, x.arrow, for 'report'.")
@click.option("--card", type=click.Path(path_type=Path), help="Also write the tables into this file (Markdown).")
@click.option("--page", type=click.Path(path_type=Path), help="Folder for pictures of people of the first store.")
@click.option("--page-seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws these people.")
@click.option("--flip-test", is_flag=True, help="Average with the mirrored picture.")
@click.option("--device", help=DEVICE_HELP)
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="People at a time.")
def evaluate_command(
    weights: str,
    stores: tuple[Path, ...],
    protocol: str,
    chosen: tuple[str, ...],
    any_count: bool,
    out: Path | None,
    card: Path | None,
    page: Path | None,
    page_seed: int,
    flip_test: bool,
    device: str | None,
    batch_size: int,
) -> None:
    """Measure WEIGHTS on labelled STOREs, beside baselines without a network.

    WEIGHTS: name of shipped weights, a .safetensors file, or a run's folder. docs/evaluation.md explains the tables.
    """
    wait_kindly()
    from liftwild.evaluation.run import evaluate_stores

    tables = evaluate_stores(
        weights, stores, protocol, out=out, card=card, page=page, page_seed=page_seed, flip_test=flip_test,
        device=device, batch_size=batch_size, switches=switches(chosen, "--switch"), any_count=any_count,
    )  # fmt: skip
    show(tables)
