"""Before a run: the user's photos prepared, missing stores rendered."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from tqdm import tqdm

from liftwild.data.prepare import HOLD_BACK_EVERY, left_out, prepare_coco, write_skips
from liftwild.data.store import Store
from liftwild.errors import LiftwildError
from liftwild.synthetic.poses.pose_bank import read_poses, write_poses
from liftwild.synthetic.render.generate import RenderedSample, batch_size, render_people
from liftwild.synthetic.render.write import rendered_row, write_store
from liftwild.threads import usable_cores
from liftwild.training import budget
from liftwild.training.recipe import PHOTOS, PHOTOS_VAL, Recipe, StoreEntry

MAX_PROCESSES = 8  # that render on a CPU
POSE_COST = 0.03  # of a pose without a picture, against a rendered person
SOON_S = 20.0  # with less time this process renders alone: others take seconds to start
RENDERED_PX = 256  # side of the pictures
ROW_BYTES = 500  # of a stored person beside the picture

Photos = tuple[Path, Path]  # a COCO keypoints file, and the folder of its photos


def ready(
    recipe: Recipe, out: Path, fabric: Fabric, photos: Photos | None, photos_val: Photos | None, reuse: bool,
    render_until: float | None = None,
) -> Recipe:  # fmt: skip
    """``recipe`` with all its stores there: ``photos`` and ``photos_val`` prepared in ``out``, missing ones rendered.

    Without ``photos_val``, every tenth photo goes into the store ``photos_val`` if the recipe has it and says no path
    for it; if nothing is held back, that store is left out. ``reuse``: what ``out`` holds is not prepared again. The
    first process of a machine does it, the others wait. ``render_until``: as in ``render_missing``. LiftwildError if a
    store is neither there nor can be made.
    """
    given = {PHOTOS: photos, PHOTOS_VAL: photos_val}
    paths = {PHOTOS: out / "photos.arrow", PHOTOS_VAL: out / "photos-val.arrow"}
    stores = dict(recipe.stores)
    for name, what in given.items():
        if what is not None and name not in stores:
            raise LiftwildError(f"recipe {recipe.name} has no store {name} for --{name.replace('_', '-')} to fill")
    kept = {name for name, path in paths.items() if reuse and path.exists()}
    new = [name for name in (PHOTOS_VAL, PHOTOS) if given[name] is not None and name not in kept]
    hold_back = PHOTOS in new and photos_val is None and PHOTOS_VAL in stores and not stores[PHOTOS_VAL].path
    filled = {name for name in stores if name in new or (name in kept and (given[name] or not stores[name].path))}
    if hold_back:
        filled.add(PHOTOS_VAL)
    for name in filled:
        stores[name] = dataclasses.replace(stores[name], path=str(paths[name]))
    if PHOTOS in stores and not stores[PHOTOS].path:
        raise LiftwildError(
            f"recipe {recipe.name} is for photos of your own: give --photos LABELS IMAGES, or --store photos=PATH"
        )
    if PHOTOS_VAL in stores and not stores[PHOTOS_VAL].path:
        del stores[PHOTOS_VAL]
    wanted = [entry for name, entry in stores.items() if name not in new and not (hold_back and name == PHOTOS_VAL)]
    missing = [entry for entry in wanted if entry.render and not os.path.exists(entry.path)]
    for entry in wanted:
        if entry not in missing:
            read_poses(entry.path) if entry.use == "poses" else Store(entry.path)

    fabric.barrier()  # all processes have looked at what is there
    if fabric.local_rank == 0:
        for name in [*new, *([PHOTOS_VAL] if hold_back else [])]:
            paths[name].unlink(missing_ok=True)
    fabric.barrier()
    if fabric.local_rank == 0:
        for name in new:
            labels, images = given[name] or (Path(), Path())
            prepare_photos(labels, images, paths[name], paths[PHOTOS_VAL] if hold_back else None)
        for entry in wanted:
            if not entry.render or entry in missing:
                continue
            people = len(read_poses(entry.path)) if entry.use == "poses" else len(Store(entry.path))
            if people < entry.count:
                _say(f"{entry.path} holds {people} people, the recipe asks for {entry.count}: it is taken as it is; "
                     "to have all, delete it and train into a new --out")  # fmt: skip
        render_missing(missing, str(fabric.device), render_until)
    else:  # in no collective call, which would give up after some minutes
        _wait_for([*(paths[name] for name in new), *(Path(entry.path) for entry in missing)])
    fabric.barrier()

    if hold_back and not paths[PHOTOS_VAL].exists():
        del stores[PHOTOS_VAL]
    if recipe.best and recipe.best.rpartition(":")[0] not in stores:
        raise LiftwildError(
            f"best = {recipe.best!r}: there are no photos to measure on; give --photos-val LABELS IMAGES"
        )
    return dataclasses.replace(recipe, stores=stores)


def prepare_photos(labels: Path, images: Path, path: Path, held_back: Path | None = None) -> None:
    """Prepare the store ``path`` of labelled photos, and of every tenth of them ``held_back``; stderr says how it went.

    Errors as in ``prepare_coco``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    done = prepare_coco(
        labels, images, path, lambda photos, total: iter(tqdm(photos, total=total, unit="photo")), held_back
    )
    listed = write_skips(done, path)
    _say(*left_out(done))
    back = more = ""
    if held_back is not None and done.photos_held_back:
        back = f"; {done.people_held_back} of {done.photos_held_back} held back to measure on, in {held_back}"
    elif held_back is not None:
        back = f"; fewer than {HOLD_BACK_EVERY} photos, so none is held back to measure on"
    if listed:
        more = f"; {len(done.skips)} left out, see {listed}"
    _say(f"{done.people} people of {done.photos} photos in {path}{back}{more}")


def render_missing(entries: Sequence[StoreEntry], device: str = "cpu", until: float | None = None) -> None:
    """Render the stores of ``entries``, until ``budget.now()`` is ``until``: each gets its people's share of the time.

    A store that is cut short holds fewer people than its entry asks for, and stderr says so.
    """
    people = sum(_cost(entry) for entry in entries)
    for entry in entries:
        start = budget.now()
        render_store(entry, device, None if until is None else start + max(0.0, until - start) * _cost(entry) / people)
        people -= _cost(entry)


def _cost(entry: StoreEntry) -> float:
    """How long a store takes beside others, in rendered people."""
    return entry.count * (POSE_COST if entry.render == "poses" else 1.0)


def render_store(entry: StoreEntry, device: str = "cpu", until: float | None = None) -> None:
    """Render the people of ``entry`` into its store, which appears whole or not at all; on CPU by several processes.

    Not much longer than until ``budget.now()`` is ``until``, but one batch at least.
    """
    if entry.render == "poses":
        _say(f"drawing {entry.count} poses into {entry.path}, once")
        write_poses(entry.path, entry.count, entry.render_seed, lambda batches: tqdm(batches, unit="batch"))
        return
    assert entry.render
    little = until is not None and until - budget.now() < SOON_S
    processes = 1 if little or device != "cpu" else min(MAX_PROCESSES, usable_cores())
    samples = render_people(
        entry.render, entry.count, entry.render_seed, split=entry.split, backdrops=entry.backgrounds or None,
        processes=processes, device=device,
    )  # fmt: skip
    path = Path(entry.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _say(f"rendering {entry.count} people into {path}, once")
    batch = batch_size(RENDERED_PX, device)
    bar = tqdm(total=entry.count, unit="picture")
    with closing(samples), bar:  # after Ctrl-C its processes end at once
        told = estimated(_counted(samples, bar), entry.count, batch * processes, until)
        write_store(_until(told, until, batch), path)
        done = bar.n
    if done < entry.count:
        _say(f"{path} holds {done} of {entry.count} people: the share of --minutes for rendering is used; it stays so, "
             "also for --resume and other runs; to have all, delete it and train into a new --out")  # fmt: skip


def _counted(samples: Iterable[RenderedSample], bar: tqdm[Any]) -> Iterator[RenderedSample]:
    for rendered in samples:
        bar.update(1)
        yield rendered


def estimated(
    samples: Iterable[RenderedSample], people: int, first: int, until: float | None
) -> Iterator[RenderedSample]:
    """``samples``; after the ``first`` of them one line says how long all ``people`` take, and how many MB."""
    start, size = 0.0, 0
    for number, rendered in enumerate(samples):
        if number == 0:  # the wait before is that for processes to start
            start = budget.now()
        if number < first:
            size += len(rendered_row(rendered)["image"]) + ROW_BYTES
        if number == first:
            each = (budget.now() - start) / first
            left = (people - number) * each
            line = f"about {budget.in_words(left)} more for all {people}, {each:.2g} s each; "
            line += f"about {size / first * people / 1e6:.1f} MB"
            if until is not None and budget.now() + left > until:
                line += f"; the share of --minutes for rendering ends in {budget.in_words(until - budget.now())}"
            tqdm.write(line, file=sys.stderr)
        yield rendered


def _until(samples: Iterable[RenderedSample], until: float | None, least: int) -> Iterator[RenderedSample]:
    """``samples`` until ``budget.now()`` is ``until``, but ``least`` of them, if there are so many."""
    for number, rendered in enumerate(samples, start=1):
        yield rendered
        if until is not None and number >= least and budget.now() >= until:
            return


def _wait_for(paths: Iterable[Path]) -> None:
    while not all(path.exists() for path in paths):
        time.sleep(0.2)


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)
