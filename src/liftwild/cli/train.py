"""``liftwild train``: a recipe into weights."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click

from liftwild.cli.option_types import CountOrAuto, switches
from liftwild.console import say, show
from liftwild.errors import LiftwildError
from liftwild.threads import wait_kindly


@click.command("train")
@click.argument("recipe")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@click.option("--from", "start", metavar="NAME|PATH", help="Begin with these weights instead of random ones.")
@click.option("--store", "stores", multiple=True, metavar="NAME=PATH", help="Where a store of the recipe lies.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "bf16-mixed", "32-true"]),
    default="auto",
    show_default=True,
    help="auto: as the recipe says; bf16 where the machine has it, if it says nothing.",
)
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--workers",
    default="auto",
    show_default=True,
    type=CountOrAuto(),
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
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for shards of stores elsewhere.")
@click.option(
    "--cache-gb", type=click.FloatRange(min=0, min_open=True), help="Room for them; the oldest go first.  [default: 20]"
)
@click.option(
    "--shard-mb", default=0.0, type=click.FloatRange(min=0), help="Write weights in files of at most so many MB."
)
def train_command(
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
    cache: Path | None,
    cache_gb: float | None,
    shard_mb: float,
) -> None:
    """Train as RECIPE says, a TOML file or the name of a shipped one (adapt); for several processes use torchrun.

    Leaves checkpoints, log.jsonl, TensorBoard files, predictions.png and, at the end, weights.safetensors in OUT.
    Stores that the recipe says how to render are rendered first, if they are not there.
    """
    begun = time.monotonic()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # One that waits for the others does not get to Python's handlers: torchrun would kill it after 30 s.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    wait_kindly()
    from liftwild.training.allocator import keep_freed_memory

    keep_freed_memory()
    try:
        from liftwild.data.shard_cache import MOST_GB, ShardCache
        from liftwild.training.monitor import before_and_after
        from liftwild.training.recipe_file import load_recipe
        from liftwild.training.train import network_of, train_recipe
    except ModuleNotFoundError as error:
        raise LiftwildError(f"training needs {error.name}: pip install 'liftwild[train]'") from None

    plan = load_recipe(recipe, switches(stores, "--store"), network_of(out, resume, start))
    try:
        run = train_recipe(
            plan, out, resume=resume, start=start, stage=stage, precision=precision, accelerator=accelerator,
            workers=workers, stop_after=stop_after, minutes=minutes, photos=photos, photos_val=photos_val,
            keep_schedule=keep_schedule, begun=begun, shard_mb=shard_mb,
            cache=ShardCache(cache, cache_gb or MOST_GB),
        )  # fmt: skip
    except KeyboardInterrupt:
        raise LiftwildError(f"interrupted; go on from the last checkpoint with --resume --out {out}") from None
    if not run.fabric.is_global_zero:
        return
    if run.stopped:
        over = f": {minutes:g} minutes are over" if run.out_of_time else ""
        say(f"stopped at step {run.steps} of {run.recipe.steps}{over}; go on with --resume --out {out}")
        if not run.out_of_time:
            return
    elif run.shortened_from:
        more = f"for more go on --from {out}, into another --out"
        say(f"{run.steps} steps, fewer than the recipe's {run.shortened_from}; {more}")
    if run.metrics_before:
        show(before_and_after(run.metrics_before, run.metrics))
    if run.best:
        say(f"best {plan.best} {run.best['value']} after step {run.best['step']}, in {out / 'best.safetensors'}")
    more = f" and {len(run.exported) - 1} more files" if len(run.exported) > 1 else ""
    say(f"weights in {run.exported[0]}{more}")
