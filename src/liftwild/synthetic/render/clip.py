"""Rendered people in motion: a clip in which every joint is known, to measure tracking and smoothing on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from liftwild.camera import Camera
from liftwild.synthetic.body.layers import Layers, load_layers
from liftwild.synthetic.poses import poses, settle
from liftwild.synthetic.poses.pose_families import CONTACTS
from liftwild.synthetic.render.cameras import Cameras, lab_cameras, look_at
from liftwild.synthetic.render.crowd import BODY_COLUMNS, IDENTITY_COLUMNS, sample_bodies, sample_identities
from liftwild.synthetic.render.generate import batch_size
from liftwild.synthetic.render.light import sample_light
from liftwild.synthetic.render.props import sample_props
from liftwild.synthetic.render.scene import Scene, exact_joints, render_scene
from liftwild.synthetic.render.world import SCENE_COLUMNS
from liftwild.synthetic.sample_rng import SampleRng

KEY_S = 0.8  # another pose is reached so often
CAMERA_M = (0.0, -5.6, 1.45)
TARGET_M = (0.0, 0.0, 0.95)
SEEN_M = 4.0  # the width of the picture at the target
WALK_M, WALK_S = 0.9, 9.0  # how far people walk to either side of the middle, and how long there and back takes
APART_M = 0.75  # how much nearer to the camera each next person walks, who hides the one behind
_IDENTITY, _KEY, _SCENE = range(40, 43)  # first numbers of seeds, as in world


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """One frame: ``image`` (S, S, 3) uint8 RGB; of the P people ``joints_2d`` (P, 16, 2) px and ``joints_3d``
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

    Every ``KEY_S`` each reaches another standing pose; between them the bones turn at a changing speed, as in a cut
    from motion to motion, not as in captured walking. Of several ``people`` every second one starts on the other side,
    so that they cross. ``size`` px: as ``render_people`` takes it.
    """
    layers = load_layers("cpu")
    keys = math.ceil(frames / fps / KEY_S) + 1
    performers = [_Performer(layers, seed, number, keys) for number in range(people)]
    at_once = max(1, batch_size(size, "cpu") // people)
    for start in range(0, frames, at_once):
        times = torch.arange(start, min(start + at_once, frames)) / fps
        yield from _batch(layers, performers, seed, times, size)


class _Performer:
    """One person with a row of poses to go through."""

    def __init__(self, layers: Layers, seed: int, number: int, keys: int) -> None:
        self.number = number
        rng = SampleRng.from_seeds([(seed, _IDENTITY, number)], IDENTITY_COLUMNS)
        self.identity = sample_identities(layers, rng)
        heads = layers.body.shape(self.identity.coefficients)[1].expand(keys, -1, -1)
        rng = SampleRng.from_seeds([(seed, _KEY, number, key) for key in range(keys)], BODY_COLUMNS)
        family = poses.sample_families(rng, "lab")
        family = torch.where(poses.contacts(family) == CONTACTS.index("feet"), family, torch.zeros_like(family))
        self.keys = settle.sample_settled_poses(layers.body, rng, family, heads)

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


def _batch(
    layers: Layers, performers: list[_Performer], seed: int, times: Tensor, size: int
) -> Iterator[RenderedFrame]:
    count, number = len(times), len(performers)
    rotations = torch.cat([each.pose(times) for each in performers])
    still = torch.zeros(count, dtype=torch.long)
    first, *others = (each.identity.take(still) for each in performers)
    identities = first.join(*others)
    # Chosen, not random: which pose each row takes, how it is turned, how high it jumps.
    rows = (torch.arange(len(rotations)) + 0.5) / len(rotations)
    yaw = torch.cat([each.yaw(times) for each in performers]) % 360 / 360
    chosen = SampleRng(torch.stack([rows, yaw, torch.zeros_like(yaw)], dim=1))
    bodies = sample_bodies(layers, chosen, identities, "lab", rotations, chairs=False)
    bodies = bodies.moved(torch.cat([each.place(times) for each in performers]))
    image = torch.arange(count).repeat(number)

    rng = SampleRng.from_seeds([(seed, _SCENE)] * count, SCENE_COLUMNS)
    lab_cameras(rng, bodies.joints[:count], size)  # takes the numbers that it takes in a picture
    rotation, translation = look_at(torch.tensor([CAMERA_M]), torch.tensor([TARGET_M]), torch.zeros(1))
    focal = size / SEEN_M * math.dist(CAMERA_M, TARGET_M)
    camera = Cameras(rotation, translation, torch.full((1,), focal), torch.full((1, 2), size / 2))
    cameras = camera.take(still)
    props, light = sample_props(rng, bodies, None), sample_light(rng, wild=False)
    scene = Scene(layers, identities, bodies, image, props, cameras, light, size)
    images = render_scene(scene, rng, texture_seed=1, wild=False)[0].permute(0, 2, 3, 1).contiguous().numpy()
    joints_2d, joints_3d = (
        each.view(number, count, 16, -1).numpy() for each in exact_joints(cameras.take(image), bodies.joints)
    )
    for row in range(count):
        yield RenderedFrame(
            images[row], float(times[row]), joints_2d[:, row], joints_3d[:, row],
            Camera(focal, focal, size / 2, size / 2),
        )  # fmt: skip
