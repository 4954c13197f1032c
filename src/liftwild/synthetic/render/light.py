"""Light: a sun or lamp with a shadow map, ambient light from sky and ground, and shading."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, normalize

from liftwild.synthetic.render.raster import take_rows, z_buffer
from liftwild.synthetic.rows import Rows
from liftwild.synthetic.sample_rng import SampleRng

MAP_PX, MAP_RADIUS_M = 224, 2.0
_FAR_M = 20.0  # shadow map heights are measured from this far below
_CONTACT_PX, _CONTACT_M = 64, 3.2  # side of the map of contacts with the ground, and half its side


@dataclass(frozen=True, eq=False)
class Light(Rows):
    """Of B images: ``direction`` (B, 3) to the sun, ``sun``, ``sky``, ``ground`` (B, 3) colours."""

    direction: Tensor
    sun: Tensor
    sky: Tensor
    ground: Tensor


def sample_light(rng: SampleRng, wild: bool) -> Light:
    """A studio's lamps from above for ``lab``; noon to dusk, clear to overcast for ``wild``."""
    turn = rng.uniform(0, 6.283)
    rise = rng.uniform(0.35, 1.4) if wild else rng.uniform(1.0, 1.3)
    direction = torch.stack(
        [torch.cos(turn) * torch.cos(rise), torch.sin(turn) * torch.cos(rise), torch.sin(rise)], dim=-1
    )
    warm = rng.uniform(-0.13, 0.13, 1) if wild else rng.uniform(-0.03, 0.03, 1)
    tint = torch.cat([1 + warm, torch.ones_like(warm), 1 - warm], dim=1)
    overcast = rng.chance(0.3) if wild else rng.chance(0.0)
    sun = torch.where(overcast, rng.uniform(0.05, 0.25), rng.uniform(0.35, 1.15) if wild else rng.uniform(0.35, 0.5))
    sky = rng.uniform(0.35, 0.75, 1) if wild else rng.uniform(0.5, 0.6, 1)
    sky = sky * (1 + rng.uniform(-0.11, 0.11, 3) * (1.0 if wild else 0.3))
    bounce = 0.35 + 0.4 * rng.unit(3) if wild else 0.55 + 0.05 * rng.unit(3)
    return Light(direction, tint * sun[:, None], sky, sky.mean(1, keepdim=True) * bounce)


@dataclass(frozen=True, eq=False)
class ShadowCasters:
    """T triangles that throw shadows, whichever way they face. ``meshes``: their vertices (M, V, 3) m in the world and
    images (M,), kind by kind; ``vertex`` (T, 3): corners as rows of all of these one after the other; ``image`` (T,);
    ``cut`` (T, 3) as ``z_buffer`` takes it."""

    meshes: tuple[tuple[Tensor, Tensor], ...]
    vertex: Tensor
    image: Tensor
    cut: Tensor


class Shadows:
    """A shadow map around each image's middle, and a map of contacts with the ground.

    ``casters``: what throws shadows; ``middle`` (B, 3); ``feet`` (M, 3), ``feet_image`` (M,): points of people, for the
    contact with the ground.
    """

    def __init__(self, light: Light, casters: ShadowCasters, middle: Tensor, feet: Tensor, feet_image: Tensor) -> None:
        direction = light.direction
        up = torch.tensor([0.0, 0.0, 1.0], device=direction.device).expand_as(direction)
        across = normalize(torch.linalg.cross(up, direction, dim=-1), dim=-1)
        self.axes = torch.stack([across, torch.linalg.cross(direction, across, dim=-1), direction], dim=1)
        self.middle = middle
        self.scale = MAP_PX / 2 / MAP_RADIUS_M
        self.count = len(direction)
        placed = []
        for points, image in casters.meshes:
            turned = (points - middle[image, None]) @ self.axes[image].transpose(1, 2)
            placed.append(torch.cat([turned[..., :2] * self.scale + MAP_PX / 2, turned[..., 2:] + _FAR_M], -1))
        corners = take_rows(torch.cat([points.flatten(0, 1) for points in placed]), casters.vertex)
        _, self.height = z_buffer(corners, casters.image, self.count, MAP_PX, casters.cut)
        self._mark_contacts(feet, feet_image)

    def _place(self, points: Tensor, image: Tensor) -> Tensor:
        """Points (N, 3) m about the middle -> x, y in px of the map and height towards the light."""
        turned = (take_rows(self.axes, image) @ points[..., None])[..., 0]
        flat = turned[:, :2] * self.scale + MAP_PX / 2
        return torch.cat([flat, turned[:, 2:] + _FAR_M], dim=1)

    def at(self, points: Tensor, image: Tensor, bias: float = 0.025) -> Tensor:
        """How much of the sun is hidden at points (N, 3) m of images ``image`` (N,): (N,) in 0 .. 1."""
        placed = self._place(points - self.middle[image], image)
        flat, height = placed[:, :2], placed[:, 2] + bias
        hidden = torch.zeros_like(height)
        for dx, dy in ((-0.9, -0.3), (0.9, 0.3), (-0.3, 0.9), (0.3, -0.9)):
            column, row = (flat[:, 0] + dx).long(), (flat[:, 1] + dy).long()
            inside = (column >= 0) & (column < MAP_PX) & (row >= 0) & (row < MAP_PX)
            cell = (image * MAP_PX + row.clamp(0, MAP_PX - 1)) * MAP_PX + column.clamp(0, MAP_PX - 1)
            hidden += (take_rows(self.height.flatten(), cell) > height) & inside
        return hidden / 4

    def _mark_contacts(self, feet: Tensor, image: Tensor) -> None:
        cells = (torch.arange(_CONTACT_PX, device=feet.device) + 0.5) * (2 * _CONTACT_M / _CONTACT_PX) - _CONTACT_M
        x = torch.exp(-(((cells[None] + self.middle[image, :1] - feet[:, :1]) / 0.17) ** 2))
        y = torch.exp(-(((cells[None] + self.middle[image, 1:2] - feet[:, 1:2]) / 0.17) ** 2))
        near = torch.exp(-feet[:, 2].clamp(min=0) / 0.18)
        marks = y[:, :, None] * x[:, None, :] * near[:, None, None]
        # A product over each image's points, as a sum of logarithms; as a matrix product it has a fixed order.
        owns = (image == torch.arange(self.count, device=feet.device)[:, None]).float()
        free = owns @ torch.log(1 - 0.5 * marks).flatten(1)
        self.contact = 1 - torch.exp(free).unflatten(1, (_CONTACT_PX, _CONTACT_PX))

    def ground(self, x: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        """Ambient light (B, H, W) that reaches the ground at ``x``, ``y`` (B, H, W) m of images ``rows`` (B,): 1 in the
        open, less under people."""
        middle = self.middle[rows, :2, None, None]
        place = torch.stack([x - middle[:, 0], y - middle[:, 1]], dim=-1) / _CONTACT_M
        return 1 - grid_sample(self.contact[rows, None], place, align_corners=False)[:, 0]


def ambient_occlusion(depth: Tensor, covered: Tensor, radius: int) -> Tensor:
    """How open pixels are (B, H, W), 0.5 .. 1: less where what is around them lies nearer. ``depth`` (B, H, W) m."""
    mask = covered.float()
    sums = torch.stack([torch.where(covered, depth, 0.0), mask], dim=1)
    for side, edge in (((1, 2 * radius + 1), (0, radius)), ((2 * radius + 1, 1), (radius, 0))):
        sums = avg_pool2d(sums, side, 1, edge)
    around, share = sums[:, :1], sums[:, 1:]
    nearer = depth - (around / share.clamp(min=1e-3))[:, 0]
    return 1 - (nearer * 7).clamp(0, 0.5)


def shade(light: Light, image: Tensor, colour: Tensor, normal: Tensor, to_camera: Tensor, gloss: Tensor,
          hidden: Tensor, open_to: Tensor) -> Tensor:  # fmt: skip
    """Colours (N, 3) of pixels of images ``image`` (N,) lit by ``light``: from above and below, by the sun where it is
    not ``hidden`` (N,), with a highlight of strength ``gloss`` (N,)."""
    direction, sun = light.direction[image], light.sun[image]
    share = 0.5 + 0.5 * normal[:, 2:]
    ambient = (light.sky[image] * share + light.ground[image] * (1 - share)) * open_to[:, None]
    facing = (normal * direction).sum(1)
    lit = facing.clamp(min=0) * (1 - hidden)
    half = normalize(to_camera + direction, dim=1)
    shine = (normal * half).sum(1).clamp(min=0) ** 18 * gloss * (1 - hidden)
    return colour * (ambient + sun * lit[:, None]) + sun * shine[:, None]
