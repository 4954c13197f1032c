"""Rendered people in motion: a clip in which every joint is known, to measure on what follows and smooths people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from liftwild.camera import Camera
from liftwild.synthetic.body.layers import Layers, load_layers
from liftwild.synthetic.poses import poses, settle
from liftwild.synthetic.poses.pose_families import CONTACTS
from liftwild.synthetic.render import scene
from liftwild.synthetic.render.cameras import View, lab_view, look
from liftwild.synthetic.render.crowd import MOMENT_COLUMNS, WHO_COLUMNS, Who, draw_standing, draw_who
from liftwild.synthetic.render.generate import batch_size
from liftwild.synthetic.render.light import draw_light
from liftwild.synthetic.render.props import draw_props
from liftwild.synthetic.render.textures import texture_bank
from liftwild.synthetic.sample_rng import SampleRng

KEY_S = 0.8  # another pose is reached so often
CAMERA_M = (0.0, -5.6, 1.45)
TARGET_M = (0.0, 0.0, 0.95)
SEEN_M = 4.0  # what the picture's side shows at the target
WALK_M, WALK_S = 0.9, 9.0  # how far people walk to either side of the middle, and how long there and back takes
APART_M = 0.75  # how much nearer to the camera the next person walks: who passes behind is hidden for a while
_WHO, _KEY, _SCENE = range(40, 43)  # first numbers of seeds, as in world
_SCENE_COLUMNS = 1400


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """A frame: ``image`` (S, S, 3) uint8 RGB; of the P people ``joints_2d`` (P, 16, 2) px and ``joints_3d``
    (P, 16, 3) mm in the space of ``camera``; shown at ``time_s``."""

    image: np.ndarray
    time_s: float
    joints_2d: np.ndarray
    joints_3d: np.ndarray
    camera: Camera


@torch.inference_mode()
def render_clip(
    frames: int, seed: int = 0, *, people: int = 1, fps: float = 25.0, size: int = 256
) -> Iterator[RenderedFrame]:
    """``frames`` frames of people who change their pose and walk from side to side in the studio.

    Every ``KEY_S`` each reaches another pose drawn from the renderer's standing ones; between them the bones turn at a
    changing speed, as in a cut from motion to motion, not as in captured walking. Of several ``people`` every second
    one starts on the other side, so that they cross. ``size`` px: as ``render`` takes it.
    """
    layers = load_layers("cpu")
    keys = math.ceil(frames / fps / KEY_S) + 1
    cast = [_Person(layers, seed, number, keys) for number in range(people)]
    at_once = max(1, batch_size(size, "cpu") // people)
    for start in range(0, frames, at_once):
        times = torch.arange(start, min(start + at_once, frames)) / fps
        yield from _batch(layers, cast, seed, times, size)


class _Person:
    """Somebody with a row of poses to go through."""

    def __init__(self, layers: Layers, seed: int, number: int, keys: int) -> None:
        self.number = number
        self.who = draw_who(layers, SampleRng.roll([(seed, _WHO, number)], WHO_COLUMNS))
        heads = layers.body.shape(self.who.coefficients)[1].expand(keys, -1, -1)
        dice = SampleRng.roll([(seed, _KEY, number, key) for key in range(keys)], MOMENT_COLUMNS)
        family = poses.draw_families(dice, "lab")
        family = torch.where(poses.contacts(family) == CONTACTS.index("feet"), family, torch.zeros_like(family))
        self.keys = settle.draw_settled(layers.body, dice, family, heads)

    def pose(self, times: Tensor) -> Tensor:
        """Rotations (T, N, 3, 3) of the bones at ``times`` (T,) s."""
        key = times / KEY_S
        first = key.floor().long().clamp(max=len(self.keys) - 2)
        share = (key - first).clamp(0, 1)
        share = (share * share * (3 - 2 * share))[:, None, None, None]  # at rest in each pose
        u, _, vt = torch.linalg.svd(torch.lerp(self.keys[first], self.keys[first + 1], share))
        return u @ torch.diag_embed(torch.stack([*torch.ones(2, *u.shape[:2]), torch.linalg.det(u @ vt)], -1)) @ vt

    def place(self, times: Tensor) -> Tensor:
        """Where on the ground (T, 2), m."""
        side = -1.0 if self.number % 2 else 1.0
        x = -side * WALK_M * torch.cos(2 * math.pi * times / WALK_S)
        return torch.stack([x, torch.full_like(x, -APART_M * self.number)], dim=-1)

    def yaw(self, times: Tensor) -> Tensor:
        """Which way they are turned, degrees (T,); 0 faces the camera."""
        return 50.0 * torch.sin(2 * math.pi * times / 7.0 + self.number)


def _batch(layers: Layers, cast: list[_Person], seed: int, times: Tensor, size: int) -> Iterator[RenderedFrame]:
    count = len(times)
    rotations = torch.cat([person.pose(times) for person in cast])
    who = _rows(cast, count)
    # SampleRng that were not rolled: which pose each row takes, how it is turned, how high it jumps.
    rows = (torch.arange(len(rotations)) + 0.5) / len(rotations)
    yaw = torch.cat([person.yaw(times) for person in cast]) % 360 / 360
    chosen = SampleRng(torch.stack([rows, yaw, torch.zeros_like(yaw)], dim=1))
    standing = draw_standing(layers, chosen, who, "lab", rotations, chairs=False)
    place = torch.cat([person.place(times) for person in cast])
    shift = torch.cat([place, torch.zeros_like(place[:, :1])], dim=1)[:, None]
    standing = replace(standing, vertices=standing.vertices + shift, joints=standing.joints + shift)
    image = torch.arange(count).repeat(len(cast))

    dice = SampleRng.roll([(seed, _SCENE)] * count, _SCENE_COLUMNS)
    first = standing.joints[:count]
    lab_view(dice, first, size)  # takes the numbers that it takes in a picture
    turn, offset = look(torch.tensor([CAMERA_M]), torch.tensor([TARGET_M]), torch.zeros(1))
    focal = size / SEEN_M * math.dist(CAMERA_M, TARGET_M)
    view = View(
        turn.expand(count, -1, -1), offset.expand(count, -1), torch.full((count,), focal),
        torch.full((count, 2), size / 2),
    )  # fmt: skip
    sitter = (first[:, 6], (first[:, 1] + first[:, 4]) / 2, standing.seat[:count])
    things = draw_props(dice, sitter, torch.zeros(count, dtype=torch.bool), None)
    light = draw_light(dice, False)
    geometry, casters = scene.rasterise(layers, standing, image, things, view, size)
    pictures = scene.draw(
        layers, texture_bank(1, "cpu"), dice, who, standing, image, things, view, light, geometry, casters, size,
        False, (), 1,
    )  # fmt: skip
    images = pictures.permute(0, 2, 3, 1).contiguous().numpy()
    every = View(*(torch.cat([part] * len(cast)) for part in (view.turn, view.shift, view.focal, view.centre)))
    flat, deep = (each.view(len(cast), count, 16, -1).numpy() for each in scene.exact_joints(every, standing.joints))
    camera = Camera(focal, focal, size / 2, size / 2)
    for row in range(count):
        yield RenderedFrame(images[row], float(times[row]), flat[:, row], deep[:, row], camera)


def _rows(cast: list[_Person], count: int) -> Who:
    """Everybody ``count`` times, one person after the other."""
    rows = torch.zeros(count, dtype=torch.long)
    people = [person.who.take(rows) for person in cast]

    def joined(*parts: object) -> dict[str, Tensor]:
        return {name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])}

    return Who(
        torch.cat([person.coefficients for person in people]),
        type(people[0].outfit)(**joined(*(person.outfit for person in people))),
        type(people[0].look)(**joined(*(person.look for person in people))),
    )
