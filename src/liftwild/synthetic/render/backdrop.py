"""Backdrops: a studio, rooms, open ground under a sky, or a flat picture, and the shadows that fall on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from liftwild.synthetic.render.backdrop_images import PAINTED, crop_backdrop, painted_backdrops, read_backdrop
from liftwild.synthetic.render.cameras import Cameras
from liftwild.synthetic.render.light import Light, Shadows
from liftwild.synthetic.render.textures import COUNT, natural_colour, sample_bank
from liftwild.synthetic.sample_rng import SampleRng

_FAR_M = 60.0
LAB_HALF_ROOM_M = (5.2, 6.0)
PAINTED_SHARE, PHOTO_SHARE = 0.22, 0.7  # of wild pictures, without and with a folder of photos
_OUTDOOR_COLUMNS = 160  # random numbers that one outdoor backdrop takes at most
_SHADOW_M = 2.6  # shadows are looked up this near to the person


def _rays(cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
    """Origins (B, 3) and directions (B, S, S, 3) of the pixels' centres, in the world; not of unit length."""
    middles = torch.arange(size, device=cameras.rotation.device) + 0.5
    x = (middles[None, None, :] - cameras.centre[:, 0, None, None]) / cameras.focal[:, None, None]
    y = (middles[None, :, None] - cameras.centre[:, 1, None, None]) / cameras.focal[:, None, None]
    # (x, y, 1) @ rotation, term by term, to save memory.
    rotation = cameras.rotation[:, :, None, None, :]
    rays = x[..., None] * rotation[:, 0] + y[..., None] * rotation[:, 1] + rotation[:, 2]
    return cameras.position, rays


def _lit_ground(
    light: Light, shadows: Shadows, rows: Tensor, colour: Tensor, place: Tensor, on_ground: Tensor
) -> Tensor:
    """``colour`` (B, S, S, 3) of surfaces at ``place`` (B, S, S, 3) m in light and in the shadows of images ``rows``
    (B,)."""
    near = (place - shadows.middle[rows, None, None]).abs()[..., :2].amax(-1) < _SHADOW_M
    image, row, column = (on_ground & near).nonzero(as_tuple=True)
    hidden = torch.zeros_like(place[..., 0])
    hidden[image, row, column] = shadows.at(place[image, row, column], rows[image], 0.02)
    open_to = torch.where(on_ground, shadows.ground(place[..., 0], place[..., 1], rows), 1.0)
    facing = torch.where(on_ground, light.direction[:, 2, None, None], 0.45 * torch.ones_like(hidden))
    level = light.sky[:, None, None] * (0.9 * open_to)[..., None]
    return colour * (level + light.sun[:, None, None] * (facing * (1 - hidden))[..., None])


def studio_backdrop(cameras: Cameras, light: Light, shadows: Shadows, bank: Tensor, size: int) -> Tensor:
    """The room of ``lab`` (B, S, S, 3): always the same floor and four walls."""
    origin, ray = _rays(cameras, size)
    half = torch.tensor(LAB_HALF_ROOM_M, device=ray.device)
    to_floor = -origin[:, 2, None, None] / ray[..., 2]
    to_floor = torch.where(to_floor > 0, to_floor, 1e9)
    wall = (torch.sign(ray[..., :2]) * half - origin[:, None, None, :2]) / ray[..., :2]
    to_wall, which = wall.min(-1)
    distance = torch.minimum(to_floor, to_wall)
    place = origin[:, None, None] + ray * distance[..., None]
    on_floor = to_floor <= to_wall
    along = torch.where(on_floor, place[..., 0], torch.where(which == 0, place[..., 1], place[..., 0]))
    up = torch.where(on_floor, place[..., 1], place[..., 2])
    surface = torch.where(on_floor, torch.full_like(which, 5), torch.full_like(which, 10))
    grain = sample_bank(bank, surface, along * 0.31, up * 0.31).mean(-1, keepdim=True)
    floor = torch.tensor([0.46, 0.44, 0.41], device=ray.device)
    walls = torch.tensor([[0.66, 0.66, 0.64], [0.58, 0.61, 0.64]], device=ray.device)[which]
    colour = torch.where(on_floor[..., None], floor, walls) * (0.9 + 0.2 * grain)
    # Skirting board, and panels of the wall.
    board = ~on_floor & ((up < 0.1) | ((along + 20) % 1.22 < 0.02))
    mat = on_floor & (place[..., 0].abs() < 2.0) & (place[..., 1].abs() < 2.0)
    colour = torch.where(board[..., None], colour * 0.7, torch.where(mat[..., None], colour * 0.82, colour))
    rows = torch.arange(len(origin), device=ray.device)
    return _lit_ground(light, shadows, rows, colour, place, on_floor)


def outdoor_backdrop(
    rng: SampleRng, cameras: Cameras, light: Light, shadows: Shadows, rows: Tensor, bank: Tensor, size: int
) -> Tensor:  # fmt: skip
    """Ground with a wall, or with a sky above a skyline, (B, S, S, 3): of the images ``rows`` (B,) of ``shadows``."""
    origin, ray = _rays(cameras, size)

    def each(values: Tensor) -> Tensor:
        return values[:, None, None]

    to_ground = each(-origin[:, 2]) / ray[..., 2]
    to_ground = torch.where(to_ground > 0, to_ground, 1e9)
    turn = rng.uniform(-0.6, 0.6)
    normal_x, normal_y = each(torch.sin(turn)), each(torch.cos(turn))
    is_open = rng.chance(0.45)
    behind = shadows.middle[rows, 1] + torch.exp(rng.uniform(0.2, 2.3))
    behind = torch.where(is_open, 1e8, behind)
    to_wall = (each(behind - origin[:, 1]) - each(origin[:, 0]) * normal_x) / (ray[..., 0] * normal_x + ray[..., 1])
    to_wall = torch.where((to_wall > 0) & each(~is_open), to_wall, 1e9)
    distance = torch.minimum(to_ground, to_wall)
    is_sky = distance > 1e7
    distance = distance.clamp(max=_FAR_M)
    place = each(origin) + ray * distance[..., None]
    on_ground = (to_ground <= to_wall) & ~is_sky
    u = torch.where(on_ground, place[..., 0], place[..., 0] * normal_y - place[..., 1] * normal_x)
    v = torch.where(on_ground, place[..., 1], place[..., 2])
    which, scale = rng.index(COUNT, 2), torch.exp(rng.uniform(-2.3, 0.0, 2))
    amount = rng.uniform(0.25, 1.5, 2)
    colours = natural_colour(rng.unit(4, 8))

    def of_two(values: Tensor) -> Tensor:
        return torch.where(on_ground, each(values[:, 0]), each(values[:, 1]))

    scaled = of_two(scale)
    texture = sample_bank(bank, of_two(which), u * scaled, v * scaled)
    colour = torch.where(on_ground[..., None], each(colours[:, 0]), each(colours[:, 1]))
    # Far texture would only flicker.
    fade = torch.exp(-distance * 0.045)
    colour = colour * (1 + ((texture - 0.5) * 2 * (of_two(amount) * fade)[..., None]))
    colour = _bands(rng, colour, colours, place, on_ground)
    lit = _lit_ground(light, shadows, rows, colour, place, on_ground)
    haze = (1 - torch.exp(-distance * each(rng.uniform(0.0, 0.04))))[..., None] * each(is_open)[..., None]
    lit = torch.lerp(lit, each(0.8 * light.sky + 0.15), haze)
    sky_rows = is_open.nonzero()[:, 0]
    if len(sky_rows):
        sky = _sky(rng.take(sky_rows), ray[sky_rows], light.take(sky_rows), bank)
        lit[sky_rows] = torch.where(is_sky[sky_rows][..., None], sky, lit[sky_rows])
    return lit


def _bands(rng: SampleRng, colour: Tensor, colours: Tensor, place: Tensor, on_ground: Tensor) -> Tensor:
    """Lines and fields on the ground, skirting and panels on the wall."""

    def each(values: Tensor) -> Tensor:
        return values[:, None, None]

    x, y, z = place.unbind(-1)
    width = each(torch.exp(rng.uniform(-0.5, 1.8)))
    turn = rng.uniform(0, 3.14)
    across = x * each(torch.cos(turn)) + y * each(torch.sin(turn)) + each(rng.uniform(0, 3))
    line = on_ground & (across % width < 0.07) & each(rng.chance(0.25))
    field = on_ground & (across > width) & each(rng.chance(0.35))
    low = ~on_ground & (z < each(rng.uniform(0.08, 1.1))) & each(rng.chance(0.4))
    panel = ~on_ground & ((x + 50) % width < 0.3 * width) & (z > 0.6) & (z < 2.1) & each(rng.chance(0.4))
    colour = torch.where((field | low)[..., None], 0.25 * colour + 0.75 * each(colours[:, 2]), colour)
    colour = torch.where(panel[..., None], 0.25 * colour + 0.75 * each(colours[:, 3]), colour)
    return torch.where(line[..., None], 0.2 * colour + 0.7, colour)


def _sky(rng: SampleRng, ray: Tensor, light: Light, bank: Tensor) -> Tensor:
    """A sky (B, S, S, 3) with clouds, behind trees, hills or houses."""

    def each(values: Tensor) -> Tensor:
        return values[:, None, None]

    turn = torch.atan2(ray[..., 0], ray[..., 1])
    rise = ray[..., 2] / ray[..., :2].norm(dim=-1).clamp(min=1e-3)
    blue = torch.tensor([0.42, 0.6, 0.88], device=ray.device)
    clear = torch.lerp(torch.tensor([0.86, 0.9, 0.94], device=ray.device), blue, (rise * 1.6).clamp(0, 1)[..., None])
    clouds = sample_bank(bank, each(rng.index(COUNT // 5) * 5).expand_as(turn), turn * 0.4, rise * 0.9)
    grey = each(rng.unit())[..., None]
    sky = torch.lerp(clear, torch.ones_like(clear) * 0.85, (grey + 1.2 * (clouds[..., :1] - 0.5)).clamp(0, 1))
    phase = rng.uniform(0, 6.28, 3)
    jagged = (turn * each(torch.exp(rng.uniform(2, 3.5)))).floor()
    smooth = torch.sin(turn * 9 + each(phase[:, 0])) + 0.6 * torch.sin(turn * 31 + each(phase[:, 1]))
    steps = torch.sin(jagged * 12.9 + each(phase[:, 2]) * 78) * 1.5
    houses = each(rng.chance(0.35))
    leaves = sample_bank(bank, each(rng.index(COUNT // 5) * 5 + 4).expand_as(turn), turn * 1.6, rise * 1.6)
    outline = torch.where(houses, steps, smooth + 2.5 * (leaves[..., 1] - 0.5))
    skyline = each(rng.uniform(-0.05, 0.3)) + each(rng.uniform(0.02, 0.11)) * outline
    colours = natural_colour(rng.unit(8))
    green = torch.tensor([0.2, 0.27, 0.13], device=ray.device) * rng.uniform(0.6, 1.5, 1)
    base = each(torch.where(houses[:, 0, 0, None], colours, green))
    windows = torch.where(houses & ((turn * 60 % 1 < 0.4) & (rise * 50 % 1 < 0.5)), 0.65, 1.0)
    far = base * (0.35 + 1.3 * leaves) * windows[..., None] * (each(light.sky) + 0.4 * each(light.sun))
    return torch.where((rise < skyline)[..., None], far, sky * (each(light.sky) * 0.5 + 0.6))


def flat_backdrops(rng: SampleRng, photos: Sequence[Path], seed: int, size: int) -> Tensor:
    """A photo of ``photos``, or a painted one if there are none, for each row: (B, S, S, 3)."""
    numbers = rng.unit(5).cpu().numpy()
    parts = []
    for row in numbers:
        if photos:
            image = read_backdrop(photos[int(row[4] * len(photos))])
        else:
            image = painted_backdrops(seed)[int(row[4] * PAINTED)]
        parts.append(crop_backdrop(image, row[:4], size))
    return torch.from_numpy(np.stack(parts)).to(rng.device).float() / 255


def wild_backdrop(
    rng: SampleRng,
    cameras: Cameras,
    light: Light,
    shadows: Shadows,
    bank: Tensor,
    photos: Sequence[Path],
    seed: int,
    size: int,
) -> Tensor:
    """Backdrops (B, S, S, 3) of ``wild``: rooms, open ground, and flat pictures with or without people's shadows."""
    is_flat = rng.chance(PHOTO_SHARE if photos else PAINTED_SHARE)
    flat = flat_backdrops(rng, photos, seed, size) * (light.sky + 0.5 * light.sun)[:, None, None]
    origin, ray = _rays(cameras, size)
    distance = -origin[:, 2, None, None] / ray[..., 2]
    every = torch.arange(len(origin), device=ray.device)
    below = (distance > 0) & (distance < _FAR_M)
    place = origin[:, None, None] + ray * torch.where(below, distance, 0.0)[..., None]
    open_to = torch.where(below, shadows.ground(place[..., 0], place[..., 1], every), 1.0)
    open_to = torch.where(rng.chance(0.6)[:, None, None], open_to, 1.0)
    picture = flat * open_to[..., None]
    rows = (~is_flat).nonzero()[:, 0]
    if len(rows):
        picture[rows] = outdoor_backdrop(
            rng.take(rows), cameras.take(rows), light.take(rows), shadows, rows, bank, size
        )
    rng.skip(_OUTDOOR_COLUMNS)
    return picture
