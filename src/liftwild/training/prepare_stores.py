"""The stores of a recipe, made ready before a run: photos prepared, missing stores rendered."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable
from pathlib import Path

from lightning_fabric import Fabric
from tqdm import tqdm

from liftwild.console import say
from liftwild.data.prepare import HOLD_BACK_EVERY, left_out, prepare_labels, write_skips
from liftwild.data.shard_folder import is_address
from liftwild.data.shards import is_sharded, open_store
from liftwild.data.store import is_store
from liftwild.errors import LiftwildError
from liftwild.files import check_output, make_folder
from liftwild.synthetic.poses.pose_bank import read_poses
from liftwild.training.recipe import PHOTOS, PHOTOS_VAL, Recipe
from liftwild.training.render_stores import render_missing

Photos = tuple[Path, Path]  # a COCO keypoints file, and the folder of its photos


def prepare_stores(
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
    missing = [
        entry for entry in wanted if entry.render and not is_address(entry.path) and not os.path.exists(entry.path)
    ]
    for entry in wanted:
        if entry.use == "val" and is_sharded(entry.path):
            raise LiftwildError(f"{entry.path}: a store to measure on is one file; stores of shards are to train on")
        if entry not in missing:
            read_poses(entry.path) if entry.use == "poses" else open_store(entry.path)

    fabric.barrier()  # all processes have looked at what is there
    if fabric.local_rank == 0:
        for name in [*new, *([PHOTOS_VAL] if hold_back else [])]:
            check_output(paths[name], is_store, "--out")
            paths[name].unlink(missing_ok=True)
    fabric.barrier()
    if fabric.local_rank == 0:
        for name in new:
            labels, images = given[name] or (Path(), Path())
            prepare_photos(labels, images, paths[name], paths[PHOTOS_VAL] if hold_back else None)
        for entry in wanted:
            if not entry.render or entry in missing:
                continue
            people = len(read_poses(entry.path) if entry.use == "poses" else open_store(entry.path))
            if people < entry.count:
                say(f"{entry.path} holds {people} people, the recipe asks for {entry.count}: it is taken as it is; "
                     "to have all, delete it and train into a new --out", err=True)  # fmt: skip
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

    Errors as in ``prepare_labels``.
    """
    make_folder(path.parent)
    done = prepare_labels(
        labels, images, path, lambda photos, total: iter(tqdm(photos, total=total, unit="photo")), held_back
    )
    listed = write_skips(done, path)
    for line in left_out(done):
        say(line, err=True)
    back = more = ""
    if held_back is not None and done.photos_held_back:
        back = f"; {done.people_held_back} of {done.photos_held_back} held back to measure on, in {held_back}"
    elif held_back is not None:
        back = f"; fewer than {HOLD_BACK_EVERY} photos, so none is held back to measure on"
    if listed:
        more = f"; {len(done.skips)} left out, see {listed}"
    say(f"{done.people} people of {done.photos} photos in {path}{back}{more}", err=True)


def _wait_for(paths: Iterable[Path]) -> None:
    while not all(path.exists() for path in paths):
        time.sleep(0.2)
