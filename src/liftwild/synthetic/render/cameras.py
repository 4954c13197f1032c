"""Cameras: where they stand and what they frame.

World: m, z up, the ground at 0. Camera space: m, x right, y down, z ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from liftwild.rotation_torch import rotation_about
from liftwild.synthetic.rows import Rows
from liftwild.synthetic.sample_rng import SampleRng

# The studio's four cameras (x, y, z), m, near the corners of its room; all look at LAB_CENTRE.
LAB_CAMERAS = ((-3.3, -4.3, 1.75), (3.4, -4.2, 1.6), (3.2, 4.4, 1.7), (-3.4, 4.3, 1.65))
LAB_CENTRE = (0.0, 0.0, 0.95)
LAB_FLOOR_M = 1.1  # people stay this near to the room's middle, along x and y
_LOWEST_M = 0.12  # of cameras
_NEAREST_M = 0.1  # what is nearer to the camera is not drawn


@dataclass(frozen=True, eq=False)
class Cameras(Rows):
    """B cameras: ``rotation`` (B, 3, 3) and ``translation`` (B, 3) m take world to camera space; ``focal`` (B,) and
    ``centre`` (B, 2) px."""

    rotation: Tensor
    translation: Tensor
    focal: Tensor
    centre: Tensor

    @property
    def position(self) -> Tensor:
        """(B, 3) m, in the world."""
        return -(self.rotation.transpose(1, 2) @ self.translation[..., None])[..., 0]

    def to_camera(self, points: Tensor, image: Tensor | None = None) -> Tensor:
        """World points (P, V, 3) in the camera space of images ``image`` (P,), or of all B in order."""
        own = self if image is None else self.take(image)
        return points @ own.rotation.transpose(1, 2).to(points.dtype) + own.translation[:, None].to(points.dtype)

    def to_pixels(self, points: Tensor, image: Tensor | None = None) -> Tensor:
        """Camera-space points (P, V, 3) as (x px, y px, nearness 1/m); nearness -1 below ``_NEAREST_M``."""
        own = self if image is None else self.take(image)
        near = 1 / points[..., 2].clamp(min=1e-3)
        flat = points[..., :2] * near[..., None] * own.focal[:, None, None] + own.centre[:, None]
        near = torch.where(points[..., 2] > _NEAREST_M, near, -torch.ones_like(near))
        return torch.cat([flat, near[..., None]], dim=-1)


def look_at(position: Tensor, target: Tensor, roll_degrees: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation (B, 3, 3) and translation (B, 3) m of cameras at ``position`` that look at ``target`` (B, 3) m."""
    ahead = normalize(target - position, dim=-1)
    up = torch.tensor([0.0, 0.0, 1.0], device=position.device).expand_as(ahead)
    right = normalize(torch.linalg.cross(ahead, up, dim=-1), dim=-1)
    rotation = torch.stack([right, torch.linalg.cross(ahead, right, dim=-1), ahead], dim=1)
    rotation = rotation_about("z", roll_degrees) @ rotation
    return rotation, -(rotation @ position[..., None])[..., 0]


def _framed(rotation: Tensor, translation: Tensor, joints: Tensor, fill: Tensor, offset: Tensor, size: int) -> Cameras:
    """The cameras whose pictures of ``size`` px show ``joints`` (B, K, 3) over ``fill`` (B,) of the side, ``offset``
    (B, 2) sides from the middle."""
    flat = joints @ rotation.transpose(1, 2) + translation[:, None]
    flat = flat[..., :2] / flat[..., 2:].clamp(min=0.2)
    low, high = flat.amin(1), flat.amax(1)
    focal = fill * size / (high - low).amax(1).clamp(min=0.05)
    centre = size / 2 + offset * size - focal[:, None] * (low + high) / 2
    return Cameras(rotation, translation, focal, centre)


def lab_cameras(rng: SampleRng, joints: Tensor, size: int) -> Cameras:
    """One of the studio's four cameras, cropped to the person whose ``joints`` (B, 16, 3) m are given."""
    places = torch.tensor(LAB_CAMERAS, device=rng.device)
    position = places[rng.index(len(places))]
    target = torch.tensor(LAB_CENTRE, device=rng.device).expand_as(position)
    rotation, translation = look_at(position, target, torch.zeros_like(position[:, 0]))
    return _framed(rotation, translation, joints, rng.uniform(0.64, 0.7), rng.uniform(-0.02, 0.02, 2), size)


def wild_cameras(rng: SampleRng, joints: Tensor, size: int) -> Cameras:
    """A camera anywhere in front of the person, at any height, with any lens; one in seven cuts the person off."""
    low, high = joints.amin(1), joints.amax(1)
    middle = (low + high) / 2
    distance = torch.exp(rng.normal(1.4, 0.45)).clamp(1.7, 14)
    pitch = torch.deg2rad(rng.normal(6, 10)).clamp(-0.5, 0.95)
    steep = rng.chance(0.05)
    pitch = torch.where(steep, torch.deg2rad(rng.uniform(35, 68)), pitch)
    # Not below the ground.
    lowest = torch.asin(((_LOWEST_M - middle[:, 2]) / distance).clamp(-0.95, 0.95))
    pitch = pitch.maximum(lowest)
    back = torch.stack([torch.zeros_like(pitch), -torch.cos(pitch), torch.sin(pitch)], dim=-1)
    roll = torch.where(rng.chance(0.1), rng.normal(0, 14), rng.normal(0, 3.5))
    rotation, translation = look_at(middle + back * distance[:, None], middle, roll)
    cut_off = rng.chance(0.14)
    # Room for the network's crop, which is a quarter larger than the person, in most of the others.
    fill = torch.where(cut_off, rng.uniform(0.85, 1.4), rng.uniform(0.52, 0.76))
    offset = rng.uniform(-0.08, 0.08, 2)
    # Mostly the legs are cut off.
    offset[:, 1] += torch.where(cut_off, rng.uniform(-0.1, 0.45), torch.zeros_like(fill)) * (fill - 0.55)
    return _framed(rotation, translation, joints, fill, offset, size)


def places_beside(rng: SampleRng, cameras: Cameras, joints: Tensor, size: int) -> Tensor:
    """Places (B, 2) m on the ground for another person: in the picture, and clear of the first one's ``joints``."""
    position = cameras.position
    middle = joints.mean(1)
    distance = (middle - position)[:, :2].norm(dim=-1)
    behind = rng.uniform(0.4, 6.0)
    depth = torch.where(rng.chance(0.2), -rng.uniform(0.1, 0.45) * distance, behind)
    half = (distance + depth) * size / 2 / cameras.focal
    aside = rng.uniform(0.25, 1.05) * half
    # The nearer to the first one's depth, the further aside.
    clear = 0.35 + 0.5 * (joints.amax(1) - joints.amin(1))[:, :2].norm(dim=-1)
    aside = aside.maximum(torch.where(depth.abs() < 1, clear, 0.55 * clear * (depth < 0)))
    side = torch.where(rng.chance(0.5), aside, -aside)
    return torch.stack([middle[:, 0] + side, middle[:, 1] + depth], dim=-1)
