"""A run of a recipe from its start, from weights, or from where it stopped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric

from liftwild.console import say
from liftwild.data.shard_cache import ShardCache
from liftwild.errors import LiftwildError
from liftwild.files import check_output, make_folder, remove_leftovers, staging, starts_with, writing
from liftwild.media.encoding import is_marked
from liftwild.network.posenet import PoseNetConfig
from liftwild.processes import allow_open_files
from liftwild.schema import build
from liftwild.threads import split_cores, usable_cores
from liftwild.training import budget
from liftwild.training import checkpoint as checkpoints
from liftwild.training.batches import FILES, FILES_OF_WORKER
from liftwild.training.checkpoint import Position
from liftwild.training.loop import Trainer
from liftwild.training.monitor import LOG, PICTURE
from liftwild.training.prepare_stores import Photos, prepare_stores
from liftwild.training.recipe import Recipe
from liftwild.weights import load_weights


def network_of(out: Path, resume: bool, start: str | None) -> PoseNetConfig | None:
    """What ``size = "from"`` of a recipe means: the network of the run in ``out``, if that is resumed, else of the
    weights ``start``; None if there is neither."""
    found = checkpoints.newest_whole(out / "checkpoints") if resume else None
    network = checkpoints.read_state(found).get("network") if found else None
    if network is not None:
        try:
            return build(PoseNetConfig, network, "network")
        except ValueError as error:
            raise LiftwildError(f"{found} is not a checkpoint: {error}") from None
    return None if start is None else load_weights(start)[0].config


def find_start(out: Path, recipe: Recipe, resume: bool, stage: str | None = None) -> tuple[Position, Path | None]:
    """Where a run in ``out`` begins: at its last checkpoint, or at ``stage`` (a name; None: the first).

    LiftwildError if it would run over another run, or go on with another recipe, or if there is no such stage.
    """
    folder = out / "checkpoints"
    if not resume and checkpoints.list_checkpoints(folder):
        raise LiftwildError(f"{out} holds a run already; go on with --resume, or choose another --out")
    found = checkpoints.newest_whole(folder, lambda fault: say(f"{fault}; going on from an older checkpoint", err=True))
    if found is not None:
        state = checkpoints.read_state(found)
        if state["recipe"] != recipe.text:
            raise LiftwildError(f"{out} was begun with another recipe; train into another --out")
        return Position(state["stage"], state["stage_step"], state["step"]), found
    check_new_run(out, resume)
    names = [row.name for row in recipe.stages]
    if stage is not None and stage not in names:
        raise LiftwildError(f"recipe {recipe.name} has no stage {stage!r}; stages are {', '.join(names)}")
    index = 0 if stage is None else names.index(stage)
    return Position(index, 0, sum(row.iterations for row in recipe.stages[:index])), None


def check_same_start(at: Position, out: Path, fabric: Fabric) -> None:
    """LiftwildError unless all processes begin ``at`` the same step: machines that do not share ``out`` would not."""
    if fabric.world_size == 1:
        return
    ends = torch.tensor([at.total, -at.total], device=fabric.device)
    torch.distributed.all_reduce(ends, torch.distributed.ReduceOp.MAX)
    last, first = int(ends[0]), -int(ends[1])
    if first != last:
        raise LiftwildError(
            f"one process finds {out} at step {last}, another at step {first}: --out must be a folder that all "
            "machines share"
        )


def check_new_run(out: Path, resume: bool = False) -> None:
    """LiftwildError if a run that begins in ``out`` would write over weights, or over what is no run's.

    ``resume``: over those of a run that was ended before its first checkpoint it may.
    """
    begun = resume and (out / LOG).exists()
    for path in () if begun else (*out.glob("*"), *out.glob("stages/*")):
        if re.fullmatch(r"(weights|best)(-\d{5}-of-\d{5})?", path.stem) or path.parent != out:
            raise LiftwildError(f"{path} is there already; remove it, or choose another --out")
    check_output(out / LOG, partial(starts_with, mark=b'{"step": '), "--out")
    check_output(out / PICTURE, is_marked, "--out")


@contextmanager
def run_folder(out: Path, fabric: Fabric) -> Iterator[None]:
    """The folder of a run, made, for this run alone. LiftwildError if another one trains in it, or it cannot be
    written."""
    is_new = not out.exists()
    make_folder(out)
    with writing(out), ExitStack() as stack:
        if is_new:
            stack.callback(_remove_empty, out)
        if fabric.is_global_zero:
            stack.enter_context(staging(out / "checkpoints", alone=True))
            for folder in (out / "checkpoints", out / "stages"):
                remove_leftovers(folder)
        yield


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def train_recipe(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    start: str | None = None,
    stage: str | None = None,
    precision: str = "auto",
    accelerator: str = "auto",
    workers: int | None = None,
    stop_after: int | None = None,
    minutes: float | None = None,
    keep_schedule: bool = False,
    begun: float | None = None,
    photos: Photos | None = None,
    photos_val: Photos | None = None,
    shard_mb: float = 0.0,
    cache: ShardCache | None = None,
) -> Trainer:
    """Run ``recipe`` in the folder ``out``, from the start, from weights (``start``), or from where it stopped.

    ``stage``: the name of the stage to begin at, with ``start``. ``precision``: bf16-mixed or 32-true; auto: the
    recipe's. Under ``torchrun`` one process of several. ``workers``: processes that
    load data (None: see ``split_cores``; torch computes with the cores that they leave). ``stop_after`` steps end
    early, with a checkpoint. ``minutes`` of wall time since ``begun`` (``budget.now``; None: this call), in which all
    is counted, end early with a checkpoint and weights; the schedule of a run that begins is made to fit into them,
    unless ``keep_schedule``. ``photos``, ``photos_val``: labels and photos for the
    recipe's stores of these names (``prepare_stores``). ``shard_mb``: as in ``save_weights``. ``cache``: where shards
    of stores elsewhere are kept. Returns the trainer.
    """
    time = budget.Budget(budget.now() if begun is None else begun, minutes)
    fabric = Fabric(
        accelerator=accelerator,
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", "1")),
        strategy="ddp" if int(os.environ.get("WORLD_SIZE", "1")) > 1 else "auto",
        precision=precision_for(recipe.precision if precision == "auto" else precision, accelerator),  # type: ignore[arg-type]
    )
    fabric.launch()
    if stage is not None and start is None:
        raise LiftwildError("a run begins at a --stage with weights: give --from too")
    at, found = find_start(out, recipe, resume, stage)
    check_same_start(at, out, fabric)
    # Before anything is prepared or rendered: that takes a while.
    begin = None if start is None or found is not None else load_weights(start)
    if begin is not None and not recipe.network.extends(begin[0].config):
        raise LiftwildError(f"weights {start} are of another network size than recipe {recipe.name}")
    with run_folder(out, fabric):
        one_machine = int(os.environ.get("GROUP_WORLD_SIZE", "1")) == 1  # several must render the same people
        until = time.render_until if one_machine else None
        recipe = prepare_stores(recipe, out, fabric, photos, photos_val, resume, until)
        cores = max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        before = torch.get_num_threads()
        workers, threads = split_cores(cores, workers, gpu=fabric.device.type != "cpu")
        needed = FILES + FILES_OF_WORKER * workers
        if (allowed := allow_open_files(needed)) < needed:
            raise LiftwildError(
                f"{workers} processes that load data need {needed} open files, and {allowed} are allowed: allow more "
                "with 'ulimit -n', or choose fewer --workers"
            )
        trainer = Trainer(recipe, out, fabric, workers, shard_mb, cache)
        if begin is not None:
            trainer.start_from(str(start), *begin)
        if found is not None:
            trainer.resume_from(found)
        torch.backends.cudnn.deterministic = True
        torch.set_num_threads(min(before, threads))  # fewer where OMP_NUM_THREADS says so
        if fabric.is_global_zero:
            say(run_summary(trainer, at), err=True)
        try:
            trainer.run(at, found, stop_after, time.until, fit=found is None and not keep_schedule)
        finally:
            torch.set_num_threads(before)
    return trainer


def run_summary(trainer: Trainer, at: Position) -> str:
    """A line about what ``trainer`` is going to do from ``at`` on, and the disk that takes."""
    recipe, weights_mb = trainer.recipe, sum(value.nbytes for value in trainer.net.state_dict().values()) / 1e6
    images = sum(stage.iterations * stage.batch_size for stage in recipe.stages)
    stores = ", ".join(
        f"{trainer.count_people(name)} people in {name} ({trainer.store_bytes[name] / 1e6:.1f} MB)"
        for name in recipe.stores
    )
    copies = 3 + (trainer.average is not None)  # the network, and what an optimiser keeps of each parameter
    disk_mb = copies * (checkpoints.KEPT + 1) * weights_mb
    begin = f", from step {at.total} on" if at.total else ""
    first = "; the val stores are measured first" if trainer.start is not None and not at.total else ""
    return (
        f"training {recipe.name}: {recipe.steps} steps, {images} images{begin}; {stores}; checkpoints take up to "
        f"{disk_mb:.1f} MB; loader processes: {trainer.workers}, threads: {torch.get_num_threads()}{first}"
    )


def precision_for(asked: str, accelerator: str) -> str:
    """What Fabric calls the precision to compute in; ``asked`` "auto" is bf16 where the hardware has it, else fp32."""
    if asked != "auto":
        return asked
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    has = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if has else "32-true"
