"""The command line. Each command imports what it needs when it runs, so that ``--help`` is instant."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from liftwild import __version__
from liftwild.cli.calibrate import calibrate
from liftwild.cli.export import export
from liftwild.cli.predict import predict
from liftwild.cli.prepare import prepare
from liftwild.errors import LiftwildError
from liftwild.threads import wait_kindly


class _Commands(click.Group):
    """Commands whose errors are one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; 1 after a LiftwildError, 130 after Ctrl-C."""
        try:
            return super().invoke(ctx)
        except LiftwildError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="liftwild")
def cli() -> None:
    """One photo of a person in, a 3D pose out."""


for command in (predict, prepare, calibrate, export):
    cli.add_command(command)


def _workers(_: click.Context, option: click.Parameter, value: str) -> int | None:
    """A number of processes, None for auto."""
    if value == "auto":
        return None
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is not auto, nor a number of 0 or more", param=option)
    return int(value)


@cli.command()
@click.argument("recipe")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@click.option("--from", "start", metavar="NAME|PATH", help="Begin with these weights instead of random ones.")
@click.option("--store", "stores", multiple=True, metavar="NAME=PATH", help="Where a store of the recipe lies.")
@click.option("--precision", type=click.Choice(["auto", "bf16-mixed", "32-true"]), default="auto", show_default=True)
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--workers",
    default="auto",
    show_default=True,
    callback=_workers,
    metavar="N|auto",
    help="Processes that load data; torch computes with the other cores.",
)
@click.option(
    "--photos",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="LABELS IMAGES",
    help="Your photos: COCO keypoints and their folder, for the recipe's store 'photos'. Every tenth is held back to "
    "measure on.",
)
@click.option(
    "--photos-val",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="LABELS IMAGES",
    help="Photos to measure on, for the store 'photos_val'; none is held back then.",
)
@click.option("--stage", metavar="NAME", help="With --from: begin at this stage of the recipe.")
@click.option("--stop-after", type=click.IntRange(min=1), help="Stop after so many steps, with a checkpoint.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    help="Time for all of it, photos and rendering included; ends with weights and a checkpoint. The schedule of a new "
    "run is shortened to fit.",
)
@click.option("--keep-schedule", is_flag=True, help="With --minutes: do not shorten it; go on later with --resume.")
@click.option(
    "--shard-mb", default=0.0, type=click.FloatRange(min=0), help="Write weights in files of at most so many MB."
)
def train(
    recipe: str,
    out: Path,
    resume: bool,
    start: str | None,
    stores: tuple[str, ...],
    precision: str,
    accelerator: str,
    workers: int | None,
    photos: tuple[Path, Path] | None,
    photos_val: tuple[Path, Path] | None,
    stage: str | None,
    stop_after: int | None,
    minutes: float | None,
    keep_schedule: bool,
    shard_mb: float,
) -> None:
    """Train as RECIPE says, a TOML file or the name of a shipped one (adapt); for several processes use torchrun.

    Leaves checkpoints, log.jsonl, TensorBoard files, predictions.png and, at the end, weights.safetensors in OUT.
    Stores that the recipe says how to render are rendered first, if they are not there.
    """
    begun = time.monotonic()
    wait_kindly()
    from liftwild.training.allocator import keep_freed_memory

    keep_freed_memory()
    try:
        from liftwild.training.monitor import before_and_after
        from liftwild.training.recipe import load_recipe
        from liftwild.training.run import network_of, train
    except ModuleNotFoundError as error:
        raise LiftwildError(f"training needs {error.name}: pip install 'liftwild[train]'") from None

    for store in stores:
        if "=" not in store:
            raise click.UsageError(f"--store wants NAME=PATH, not {store!r}")
    plan = load_recipe(recipe, dict(store.split("=", 1) for store in stores), network_of(out, resume, start))
    try:
        run = train(
            plan, out, resume=resume, start=start, stage=stage, precision=precision, accelerator=accelerator,
            workers=workers, stop_after=stop_after, minutes=minutes, photos=photos, photos_val=photos_val,
            keep_schedule=keep_schedule, begun=begun, shard_mb=shard_mb,
        )  # fmt: skip
    except KeyboardInterrupt:
        raise LiftwildError(f"interrupted; go on from the last checkpoint with --resume --out {out}") from None
    if not run.fabric.is_global_zero:
        return
    if run.stopped:
        over = f": {minutes:g} minutes are over" if run.out_of_time else ""
        click.echo(f"stopped at step {run.steps} of {run.recipe.steps}{over}; go on with --resume --out {out}")
        if not run.out_of_time:
            return
    elif run.shortened_from:
        more = f"for more go on --from {out}, into another --out"
        click.echo(f"{run.steps} steps, fewer than the recipe's {run.shortened_from}; {more}")
    if run.metrics_before:
        click.echo(before_and_after(run.metrics_before, run.metrics))
    if run.best:
        click.echo(f"best {plan.best} {run.best['value']} after step {run.best['step']}, in {out / 'best.safetensors'}")
    more = f" and {len(run.exported) - 1} more files" if len(run.exported) > 1 else ""
    click.echo(f"weights in {run.exported[0]}{more}")


@cli.command()
@click.argument("weights")
@click.argument("stores", nargs=-1, type=click.Path(path_type=Path), metavar="STORE...")
@click.option(
    "--protocol",
    type=click.Choice(["open", "h36m", "mpi-inf-3dhp", "mpii", "symmetry"]),
    default="open",
    show_default=True,
    help="What is measured.",
)
@click.option("--switch", "switches", multiple=True, metavar="NAME=VALUE", help="Of the protocol: docs/evaluation.md.")
@click.option("--any-count", is_flag=True, help="Score people other than the protocol's; the tables say so.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Keep the predictions, x.arrow, for 'report'.")
@click.option("--card", type=click.Path(path_type=Path), help="Also write the tables into this file (Markdown).")
@click.option("--page", type=click.Path(path_type=Path), help="Folder for pictures of people of the first store.")
@click.option("--page-seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws these people.")
@click.option("--flip-test", is_flag=True, help="Average with the mirrored picture.")
@click.option("--device", help="What torch calls it: cpu, cuda, ...  [default: a GPU if there is one]")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="People at a time.")
def evaluate(
    weights: str,
    stores: tuple[Path, ...],
    protocol: str,
    switches: tuple[str, ...],
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
        device=device, batch_size=batch_size, switches=_switches(switches), any_count=any_count,
    )  # fmt: skip
    click.echo(tables, nl=False)


@cli.command()
@click.argument("predictions", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PREDS|FOLDER...")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for tables (.md .tex .csv) and figures.")
@click.option("--card", type=click.Path(path_type=Path), help="Also write the tables into this file (Markdown).")
@click.option("--store", "stores", multiple=True, type=click.Path(path_type=Path), help="Draw people of it, with -o.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws these people.")
@click.option("--switch", "switches", multiple=True, metavar="NAME=VALUE", help="As for 'evaluate'.")
@click.option("--any-count", is_flag=True, help="As for 'evaluate'.")
def report(
    predictions: tuple[Path, ...],
    out: Path | None,
    card: Path | None,
    stores: tuple[Path, ...],
    seed: int,
    switches: tuple[str, ...],
    any_count: bool,
) -> None:
    """Print the tables of PREDICTIONS, files of 'evaluate -o', or folders with some; needs no weights.

    Several of them stand beside each other and the paper; runs of one recipe as mean and standard deviation.
    """
    wait_kindly()
    from liftwild.evaluation.report import report

    tables = report(
        predictions, card, out=out, stores=stores, seed=seed, switches=_switches(switches), any_count=any_count
    )
    click.echo(tables, nl=False)


def _switches(given: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE by name."""
    for switch in given:
        if "=" not in switch:
            raise click.UsageError(f"--switch wants NAME=VALUE, not {switch!r}")
    return dict(switch.split("=", 1) for switch in given)


@cli.command()
@click.argument("mode", type=click.Choice(["lab", "wild"]))
@click.option("-n", "count", required=True, type=int, help="How many pictures.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The store to write, x.arrow.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same pictures on CPU.")
@click.option("--split", type=click.Choice(["train", "test"]), default="train", show_default=True)
@click.option("--backgrounds", type=click.Path(path_type=Path), help="Folder of photos to put wild people before.")
@click.option("--poses", type=click.Path(path_type=Path), help="Motion of your own: .bvh, .amc with .asf, or a folder.")
@click.option("--size", default=256, show_default=True, help="Side of the pictures, px.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(min=1), help="On CPU.")
@click.option("--device", default="cpu", show_default=True, help="What torch calls it: cpu, cuda, ...")
@click.option("--pictures", type=click.Path(path_type=Path), help="Also a folder of JPEGs with labels.json (COCO).")
@click.option("--sheet", type=click.Path(path_type=Path), help="Also a contact sheet of the first pictures, x.png.")
@click.option("--sheet-joints", is_flag=True, help="Draw the joints into the contact sheet.")
def render(
    mode: str,
    count: int,
    out: Path,
    seed: int,
    split: str,
    backgrounds: Path | None,
    poses: Path | None,
    size: int,
    processes: int,
    device: str,
    pictures: Path | None,
    sheet: Path | None,
    sheet_joints: bool,
) -> None:
    """Render clothed people with exact 2D and 3D joints into a store.

    lab: seven subjects in a studio, five of them for training. wild: anybody, anywhere.
    """
    wait_kindly()
    from tqdm import tqdm

    from liftwild.files import write_whole
    from liftwild.synthetic.render.generate import render
    from liftwild.synthetic.render.sheet import MOST, contact_sheet, png
    from liftwild.synthetic.render.write import with_pictures, write_store

    samples = render(
        mode, count, seed, split=split, size=size, backgrounds=backgrounds, poses=poses, processes=processes,
        device=device,
    )  # fmt: skip
    with closing(samples):  # after Ctrl-C its processes end at once
        kept = samples if pictures is None else with_pictures(samples, pictures)
        shown = write_store(tqdm(kept, total=count, unit="picture"), out, keep=MOST if sheet else 0)
    if sheet is not None:
        write_whole(sheet, png(contact_sheet(shown, sheet_joints)))
    click.echo(f"{count} pictures in {out}" + (f"; {len(shown)} of them in {sheet}" if sheet else ""))


def main() -> None:
    """Entry point of the ``liftwild`` command."""
    cli(prog_name="liftwild")


if __name__ == "__main__":
    main()
