"""``liftwild train-finder``: the network that finds people, trained anew."""

from __future__ import annotations

from pathlib import Path

import click

from liftwild.errors import LiftwildError
from liftwild.threads import wait_kindly


@click.command("train-finder")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option(
    "--store", "stores", multiple=True, required=True, metavar="PATH[=WEIGHT]",
    help="People to learn from; WEIGHT says how often it is drawn beside others (1).",
)  # fmt: skip
@click.option("--val", "val_stores", multiple=True, required=True, metavar="PATH[=WEIGHT]", help="People held back.")
@click.option(
    "--backgrounds", required=True, type=click.Path(path_type=Path), help="Folder of photos with nobody in them."
)
@click.option("--images", default=400_000, show_default=True, type=click.IntRange(min=1), help="Scenes to learn from.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1))
@click.option("--lr", default=2e-3, show_default=True, type=click.FloatRange(min=0, min_open=True))
@click.option(
    "--context", default=0.25, show_default=True, type=click.FloatRange(0, 1),
    help="How sure it is that nobody unlabelled stands beside a labelled person.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--licence", default="", help="Said of the weights in their json.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@click.option("--checkpoint-every", default=500, show_default=True, type=click.IntRange(min=1), help="Steps.")
@click.option("--precision", type=click.Choice(["auto", "bf16-mixed", "32-true"]), default="auto", show_default=True)
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=0), help="Processes that make scenes.")
@click.option("--stop-after", type=click.IntRange(min=1), help="Stop after so many steps, with a checkpoint.")
@click.option("--minutes", type=click.FloatRange(min=0), help="Stop after so much time, with a checkpoint.")
def train_finder(
    out: Path,
    stores: tuple[str, ...],
    val_stores: tuple[str, ...],
    backgrounds: Path,
    images: int,
    batch_size: int,
    lr: float,
    context: float,
    seed: int,
    licence: str,
    resume: bool,
    checkpoint_every: int,
    precision: str,
    accelerator: str,
    workers: int,
    stop_after: int | None,
    minutes: float | None,
) -> None:
    """Train the network that finds people in photos.

    It learns from scenes composed of people cut out of stores and of background photos. Leaves checkpoints, log.jsonl,
    TensorBoard files, found.png and, at the end, finder.safetensors in OUT; docs/finder.md.
    """
    wait_kindly()
    from liftwild.training.allocator import keep_freed_memory

    keep_freed_memory()
    try:
        from liftwild.training.finder import FinderPlan, train_finder
    except ModuleNotFoundError as error:
        raise LiftwildError(f"training needs {error.name}: pip install 'liftwild[train]'") from None

    plan = FinderPlan(
        dict(map(_weighed, stores)), dict(map(_weighed, val_stores)), str(backgrounds), images, batch_size, lr,
        context=context, seed=seed, licence=licence, checkpoint_every=checkpoint_every,
    )  # fmt: skip
    try:
        run = train_finder(
            plan, out, resume=resume, precision=precision, accelerator=accelerator, workers=workers,
            stop_after=stop_after, minutes=minutes,
        )  # fmt: skip
    except KeyboardInterrupt:
        raise LiftwildError(f"interrupted; go on from the last checkpoint with --resume --out {out}") from None
    if run.stopped:
        click.echo(f"stopped after step {run.steps} of {plan.steps}; go on with --resume --out {out}")
        return
    found = " ".join(f"{name} {value:g}" for name, value in run.metrics.items())
    click.echo(f"{found}; weights in {out / 'finder.safetensors'}")


def _weighed(text: str) -> tuple[str, float]:
    """PATH=WEIGHT as its two parts; the weight is 1 where there is none."""
    path, _, weight = text.rpartition("=")
    try:
        return (path, float(weight)) if path else (text, 1.0)
    except ValueError:
        return text, 1.0
