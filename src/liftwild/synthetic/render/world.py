"""One batch of rendered people, from seeds to pictures and labels: the same on CPU and GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from liftwild.synthetic.body.layers import load_layers
from liftwild.synthetic.render.cameras import LAB_FLOOR_M, Cameras, lab_cameras, places_beside, wild_cameras
from liftwild.synthetic.render.crowd import (
    BODY_COLUMNS,
    IDENTITY_COLUMNS,
    Identities,
    PosedBodies,
    sample_bodies,
    sample_identities,
)
from liftwild.synthetic.render.light import sample_light
from liftwild.synthetic.render.props import sample_props
from liftwild.synthetic.render.scene import Labels, Scene, render_scene
from liftwild.synthetic.sample_rng import SampleRng

MODES, SPLITS = ("lab", "wild"), ("train", "test")
LAB_SUBJECTS = {"train": (1, 2, 3, 4, 5), "test": (6, 7)}
# First numbers of seeds: whatever differs in them is independent.
_SUBJECT, _TARGET, _POSE, _OTHERS, _SCENE = range(5)
_LAB_WORLD = 3600  # the seed of the studio's seven subjects
SCENE_COLUMNS = 1400
MAX_OTHERS = 2
_OTHERS_WEIGHTS = (0.68, 0.22, 0.1)


@dataclass(frozen=True)
class RenderConfig:
    """What to render: ``mode`` "lab" or "wild", ``seed``, ``split`` "train" or "test", ``size`` px, ``photos`` for
    backdrops; ``device`` as torch calls it."""

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
        """The studio's subject in each picture; 0 in ``wild``, where each picture has a person of its own."""
        own = LAB_SUBJECTS[self.split]
        return [own[i % len(own)] if self.mode == "lab" else 0 for i in indices]


def labelled_people(config: RenderConfig, indices: Sequence[int]) -> Identities:
    """The labelled person of each sample."""
    seeds: list[tuple[int, ...]]
    if config.mode == "lab":
        seeds = [(_LAB_WORLD, _SUBJECT, subject) for subject in config.subjects(indices)]
    else:
        seeds = [(*config.key, _TARGET, i) for i in indices]
    return sample_identities(load_layers(config.device), SampleRng.from_seeds(seeds, IDENTITY_COLUMNS, config.device))


@torch.inference_mode()
def render_batch(config: RenderConfig, indices: Sequence[int], captured: Tensor | None = None) -> tuple[Tensor, Labels]:
    """Pictures (B, 3, S, S) uint8 and labels of the samples ``indices`` of ``config``.

    ``captured`` (M, N, 3, 3): poses to use instead of the procedural ones. A sample depends on the config and its own
    index, and by the last bit of a float on the batch that it is in.
    """
    layers, wild = load_layers(config.device), config.mode == "wild"
    identities = labelled_people(config, indices)
    pose_rng = SampleRng.from_seeds([(*config.key, _POSE, i) for i in indices], BODY_COLUMNS, config.device)
    rng = SampleRng.from_seeds([(*config.key, _SCENE, i) for i in indices], SCENE_COLUMNS, config.device)
    bodies = sample_bodies(layers, pose_rng, identities, config.mode, captured, chairs=True)
    image = torch.arange(len(indices), device=rng.device)
    if wild:
        cameras = wild_cameras(rng, bodies.joints, config.size)
        identities, bodies, image = _with_others(config, indices, rng, cameras, identities, bodies, image)
    else:
        bodies = bodies.moved(rng.uniform(-LAB_FLOOR_M, LAB_FLOOR_M, 2))
        cameras = lab_cameras(rng, bodies.joints, config.size)
    props = sample_props(rng, bodies, cameras if wild else None)
    light = sample_light(rng, wild)
    scene = Scene(layers, identities, bodies, image, props, cameras, light, config.size)
    return render_scene(scene, rng, SPLITS.index(config.split), wild, config.photos)


def _with_others(
    config: RenderConfig, indices: Sequence[int], rng: SampleRng, cameras: Cameras, identities: Identities,
    bodies: PosedBodies, image: Tensor,
) -> tuple[Identities, PosedBodies, Tensor]:  # fmt: skip
    """The batch with up to two other people in each picture, on the same ground and under the same camera."""
    layers = load_layers(config.device)
    counts = rng.pick(_OTHERS_WEIGHTS).tolist()
    places = torch.stack([places_beside(rng, cameras, bodies.joints, config.size) for _ in range(MAX_OTHERS)], dim=1)
    pairs = [(row, other) for row, count in enumerate(counts) for other in range(count)]
    if not pairs:
        return identities, bodies, image
    keys = [(*config.key, _OTHERS, other, indices[row]) for row, other in pairs]
    other_rng = SampleRng.from_seeds(keys, IDENTITY_COLUMNS + BODY_COLUMNS, config.device)
    others = sample_identities(layers, other_rng)
    other_rng.used = IDENTITY_COLUMNS
    rows, number = torch.tensor(pairs, device=rng.device).T
    other_bodies = sample_bodies(layers, other_rng, others, "lab", None, chairs=False).moved(places[rows, number])
    return identities.join(others), bodies.join(other_bodies), torch.cat([image, rows])
