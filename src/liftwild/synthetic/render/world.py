"""One batch of rendered people, from seeds to pictures and labels: the same on CPU and GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from liftwild.synthetic.body.layers import load_layers
from liftwild.synthetic.render import scene
from liftwild.synthetic.render.cameras import LAB_FLOOR_M, View, beside, lab_view, wild_view
from liftwild.synthetic.render.crowd import MOMENT_COLUMNS, WHO_COLUMNS, Standing, Who, draw_standing, draw_who
from liftwild.synthetic.render.light import draw_light
from liftwild.synthetic.render.props import draw_props
from liftwild.synthetic.render.textures import texture_bank
from liftwild.synthetic.sample_rng import SampleRng

MODES, SPLITS = ("lab", "wild"), ("train", "test")
LAB_SUBJECTS = {"train": (1, 2, 3, 4, 5), "test": (6, 7)}
# First numbers of seeds: whatever differs in them is independent.
_SUBJECT, _TARGET, _MOMENT, _OTHERS, _SCENE = range(5)
_LAB_WORLD = 3600  # the seed of the studio's seven subjects
_SCENE_COLUMNS = 1400
MAX_OTHERS = 2
_OTHERS_WEIGHTS = (0.68, 0.22, 0.1)


@dataclass(frozen=True)
class Recipe:
    """What to render: ``mode`` "lab" or "wild", ``seed``, ``split`` "train" or "test", ``size`` px, ``photos`` for
    backgrounds; ``device`` as torch calls it."""

    mode: str
    seed: int = 0
    split: str = "train"
    size: int = 256
    photos: tuple[Path, ...] = ()
    device: str = "cpu"

    @property
    def key(self) -> tuple[int, int, int]:
        """The numbers that every seed of it has in common."""
        return self.seed, MODES.index(self.mode), SPLITS.index(self.split)

    def subjects(self, indices: Sequence[int]) -> list[int]:
        """The studio's subject in each picture; 0 outside of it: everybody is somebody else."""
        own = LAB_SUBJECTS[self.split]
        return [own[i % len(own)] if self.mode == "lab" else 0 for i in indices]


@dataclass(frozen=True, eq=False)
class Cast:
    """Everything of a batch but its light: P people, of whom the first B are labelled, ``image`` (P,): where each
    is."""

    who: Who
    standing: Standing
    image: Tensor
    dice: SampleRng


def labelled_people(recipe: Recipe, indices: Sequence[int]) -> Who:
    """The labelled people."""
    seeds: list[tuple[int, ...]]
    if recipe.mode == "lab":
        seeds = [(_LAB_WORLD, _SUBJECT, subject) for subject in recipe.subjects(indices)]
    else:
        seeds = [(*recipe.key, _TARGET, i) for i in indices]
    return draw_who(load_layers(recipe.device), SampleRng.roll(seeds, WHO_COLUMNS, recipe.device))


def _join(first: Standing, second: Standing) -> Standing:
    return Standing(*(torch.cat([getattr(each, name) for each in (first, second)]) for name in vars(first)))


def _join_who(first: Who, second: Who) -> Who:
    """Both, one after the other."""

    def cat(a: object, b: object) -> dict[str, Tensor]:
        return {name: torch.cat([getattr(a, name), getattr(b, name)]) for name in vars(a)}

    return Who(
        torch.cat([first.coefficients, second.coefficients]), type(first.outfit)(**cat(first.outfit, second.outfit)),
        type(first.look)(**cat(first.look, second.look)),
    )  # fmt: skip


def _moved(standing: Standing, place: Tensor) -> Standing:
    """Everybody moved by ``place`` (P, 2) m over the ground."""
    shift = torch.cat([place, torch.zeros_like(place[:, :1])], dim=1)[:, None]
    return replace(standing, vertices=standing.vertices + shift, joints=standing.joints + shift)


@torch.inference_mode()
def render_batch(recipe: Recipe, indices: Sequence[int], captured: Tensor | None = None) -> tuple[Tensor, scene.Labels]:
    """Pictures (B, 3, S, S) uint8 and labels of the samples ``indices`` of ``recipe``.

    ``captured`` (M, N, 3, 3): poses to use instead of the procedural ones. A sample depends on the recipe and its own
    index, and by the last bit of a float on the batch that it is in.
    """
    layers, bank = load_layers(recipe.device), texture_bank(SPLITS.index(recipe.split), recipe.device)
    wild = recipe.mode == "wild"
    who = labelled_people(recipe, indices)
    moment = SampleRng.roll([(*recipe.key, _MOMENT, i) for i in indices], MOMENT_COLUMNS, recipe.device)
    dice = SampleRng.roll([(*recipe.key, _SCENE, i) for i in indices], _SCENE_COLUMNS, recipe.device)
    standing = draw_standing(layers, moment, who, recipe.mode, captured, chairs=True)
    image = torch.arange(len(indices), device=dice.device)
    if wild:
        view = wild_view(dice, standing.joints, recipe.size)
        who, standing, image = _with_others(recipe, indices, dice, view, who, standing, image)
    else:
        standing = _moved(standing, dice.uniform(-LAB_FLOOR_M, LAB_FLOOR_M, 2))
        view = lab_view(dice, standing.joints, recipe.size)
    first = standing.joints[: len(indices)]
    knees = (first[:, 1] + first[:, 4]) / 2
    sitter = (first[:, 6], knees, standing.seat[: len(indices)])
    things = draw_props(dice, sitter, standing.sits[: len(indices)], view if wild else None)
    light = draw_light(dice, wild)
    geometry, casters = scene.rasterise(layers, standing, image, things, view, recipe.size)
    labels = scene.label(standing, layers, view, geometry, recipe.size)
    pictures = scene.draw(
        layers, bank, dice, who, standing, image, things, view, light, geometry, casters, recipe.size, wild,
        recipe.photos, SPLITS.index(recipe.split),
    )  # fmt: skip
    return pictures, labels


def _with_others(
    recipe: Recipe, indices: Sequence[int], dice: SampleRng, view: View, who: Who, standing: Standing, image: Tensor
) -> tuple[Who, Standing, Tensor]:
    """The batch with up to two other people in each picture, on the same ground and under the same camera."""
    layers = load_layers(recipe.device)
    counts = dice.pick(_OTHERS_WEIGHTS).tolist()
    places = torch.stack([beside(dice, view, standing.joints, recipe.size) for _ in range(MAX_OTHERS)], dim=1)
    pairs = [(row, other) for row, count in enumerate(counts) for other in range(count)]
    if not pairs:
        return who, standing, image
    keys = [(*recipe.key, _OTHERS, other, indices[row]) for row, other in pairs]
    others = SampleRng.roll(keys, WHO_COLUMNS + MOMENT_COLUMNS, recipe.device)
    guests = draw_who(layers, others)
    others.used = WHO_COLUMNS
    posed = draw_standing(layers, others, guests, "lab", None, chairs=False)
    rows = torch.tensor([row for row, _ in pairs], device=dice.device)
    posed = _moved(posed, places[rows, torch.tensor([other for _, other in pairs], device=dice.device)])
    return _join_who(who, guests), _join(standing, posed), torch.cat([image, rows])
