"""Props: chairs that fit the people who sit on them, clutter around them, occluders in front of them.

All are one template of rings, square or round, so that a batch of them is one tensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from liftwild.skeleton import MPII_16, PELVIS
from liftwild.synthetic.render.cameras import Cameras
from liftwild.synthetic.render.crowd import PosedBodies
from liftwild.synthetic.render.textures import natural_colour, sample_bank
from liftwild.synthetic.sample_rng import SampleRng

SIDES, RINGS = 8, 4
PROP_VERTICES = SIDES * RINGS
CHAIR, OCCLUDERS, CLUTTER = 6, 2, 8  # slots of one image, in this order

# Radius of each ring from the ground up.
PROFILES = ((1, 1, 1, 1), (1, 1, 1, 1), (0.8, 1, 1, 0.8), (1, 0.75, 0.45, 0.1), (0.3, 1, 0.95, 0.3))
ROUND_SHARE = 0.35
LAB_STYLE = 0.22  # of all a chair's colours and surfaces in the studio: plain wood


def _template() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Square and round rings (8, 2), faces (F, 3), and which faces are caps (F,)."""
    square = torch.tensor([(1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0)], dtype=torch.float32)
    angle = torch.arange(SIDES) * (2 * math.pi / SIDES)
    circle = torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)
    sides, caps = [], []
    for ring in range(RINGS - 1):
        for side in range(SIDES):
            a, b = ring * SIDES + side, ring * SIDES + (side + 1) % SIDES
            sides += [(a, b, b + SIDES), (a, b + SIDES, a + SIDES)]
    for first in (0, (RINGS - 1) * SIDES):
        caps += [(first, first + side, first + side + 1) for side in range(1, SIDES - 1)]
    is_cap = torch.tensor([False] * len(sides) + [True] * len(caps))
    return square, circle, torch.tensor(sides + caps), is_cap


_SQUARE, _CIRCLE, PROP_FACES, IS_CAP = _template()


@dataclass(frozen=True, eq=False)
class Props:
    """Props of B images, K slots each: ``vertices`` (B, K, 32, 3) m in the world, ``used`` (B, K) bool, ``middle``
    (B, K, 3), ``is_round`` (B, K), ``style`` (B, K, 24): numbers for colours and surface."""

    vertices: Tensor
    used: Tensor
    middle: Tensor
    is_round: Tensor
    style: Tensor


def prop_vertices(middle: Tensor, half: Tensor, yaw: Tensor, is_round: Tensor, profile: Tensor) -> Tensor:
    """Vertices (..., 32, 3) of props at ``middle`` (..., 3) with half sizes ``half`` (..., 3), turned by ``yaw``
    (...) rad; ``profile`` (..., 4): radius of each ring."""
    ring = torch.where(is_round[..., None, None], _CIRCLE.to(yaw.device), _SQUARE.to(yaw.device))
    flat = ring[..., None, :, :] * profile[..., :, None, None] * half[..., None, None, :2]
    cosine, sine = torch.cos(yaw)[..., None, None], torch.sin(yaw)[..., None, None]
    x = cosine * flat[..., 0] - sine * flat[..., 1]
    y = sine * flat[..., 0] + cosine * flat[..., 1]
    height = torch.linspace(-1, 1, RINGS, device=yaw.device)[:, None].expand(RINGS, SIDES)
    z = height * half[..., None, None, 2]
    return torch.stack([x, y, z], dim=-1).flatten(-3, -2) + middle[..., None, :]


def chair_parts(rng: SampleRng, pelvis: Tensor, knees: Tensor, seat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Middle (B, 6, 3), half size (B, 6, 3) and yaw (B,) of a chair, stool or block under a sitting person.

    ``pelvis`` (B, 3) and ``knees`` (B, 3) m; ``seat`` (B,): height of the sitter's lowest part behind the knees.
    """
    ahead = torch.nn.functional.normalize((knees - pelvis)[:, :2], dim=-1)
    yaw = torch.atan2(ahead[:, 1], ahead[:, 0])
    depth, wide = rng.uniform(0.17, 0.22), rng.uniform(0.19, 0.27)
    block = rng.chance(0.3)
    wide = torch.where(block & rng.chance(0.5), rng.uniform(0.4, 1.0), wide)
    thick, leg = rng.uniform(0.012, 0.05), rng.uniform(0.012, 0.03)
    backed = rng.chance(0.6) & ~block
    gone = torch.full_like(seat, 1e-4)
    under = seat - 0.006
    along = (knees - pelvis)[:, :2].norm(dim=-1) - 0.14  # how far ahead of the pelvis the seat may reach
    front = torch.minimum(along, 2 * depth - 0.13).clamp(min=0.03)
    centre = front - depth

    def piece(x: Tensor, y: Tensor, z: Tensor, hx: Tensor, hy: Tensor, hz: Tensor) -> tuple[Tensor, Tensor]:
        flat = pelvis[:, :2] + x[:, None] * ahead + y[:, None] * torch.stack([-ahead[:, 1], ahead[:, 0]], dim=-1)
        return torch.cat([flat, z[:, None]], dim=-1), torch.stack([hx, hy, hz], dim=-1)

    zero = torch.zeros_like(seat)
    half_high = torch.where(block, under / 2, thick)
    pieces = [piece(centre, zero, under - half_high, depth, wide, half_high)]
    for x in (-1, 1):
        for y in (-1, 1):
            high = torch.where(block, gone, (under - 2 * thick) / 2)
            slim = torch.where(block, gone, leg)
            pieces.append(piece(centre + x * (depth - leg), y * (wide - leg), high, slim, slim, high))
    tall = torch.where(backed, rng.uniform(0.18, 0.35), gone)
    slim = torch.where(backed, leg, gone)
    pieces.append(piece(centre - depth - leg, zero, under + tall, slim, torch.where(backed, wide, gone), tall))
    middle, half = zip(*pieces, strict=True)
    return torch.stack(middle, dim=1), torch.stack(half, dim=1), yaw


def sample_props(rng: SampleRng, bodies: PosedBodies, cameras: Cameras | None) -> Props:
    """Props of B pictures: a chair for the labelled person who sits, and around it what ``cameras`` would show.

    ``bodies``: the first B of them are the labelled ones. Without ``cameras`` there are only chairs, of plain wood.
    """
    joints, count = bodies.joints[: rng.rows], rng.rows
    pelvis = joints[:, PELVIS]
    knees = (joints[:, MPII_16.index("right_knee")] + joints[:, MPII_16.index("left_knee")]) / 2
    middle, half, yaw = chair_parts(rng, pelvis, knees, bodies.seat[:count])
    used = bodies.sits[:count, None].expand(-1, CHAIR)
    yaws = yaw[:, None].expand(-1, CHAIR)
    is_round = torch.zeros_like(used)
    style = rng.unit(24) if cameras is not None else torch.full((count, 24), LAB_STYLE, device=rng.device)
    style = style[:, None].expand(-1, CHAIR, -1)
    profile = torch.ones(count, CHAIR, RINGS, device=rng.device)
    if cameras is not None:
        more = _around(rng, pelvis, cameras)
        middle, half = torch.cat([middle, more[0]], 1), torch.cat([half, more[1]], 1)
        yaws, used = torch.cat([yaws, more[2]], 1), torch.cat([used, more[3]], 1)
        is_round, profile = torch.cat([is_round, more[4]], 1), torch.cat([profile, more[5]], 1)
        style = torch.cat([style, rng.unit(OCCLUDERS + CLUTTER, 24)], dim=1)
    return Props(prop_vertices(middle, half, yaws, is_round, profile), used, middle, is_round, style)


def _around(rng: SampleRng, pelvis: Tensor, cameras: Cameras) -> tuple[Tensor, ...]:
    """Middle, half size, yaw, used, round and profile of occluders and clutter."""
    count = OCCLUDERS + CLUTTER
    position = cameras.position[:, None, :2]
    reach = (pelvis[:, :2] - cameras.position[:, :2])[:, None].norm(dim=-1)  # (B, 1) m from camera to person
    front = torch.arange(count, device=rng.device) < OCCLUDERS
    # In front: low and wide, or a pole. Behind: anything.
    half = rng.unit(count, 3) ** 2 * torch.tensor([1.0, 0.7, 1.1], device=rng.device) + 0.07
    is_pole = rng.chance(0.35, count)
    wall = rng.uniform(0.12, 1, count, 3) * torch.tensor([0.55, 0.15, 0.42], device=rng.device)
    pole = torch.stack([rng.uniform(0.03, 0.1, count)] * 2 + [rng.uniform(0.9, 1.6, count)], dim=-1)
    nearer = torch.where(is_pole[..., None], pole, wall)
    along = torch.where(front, rng.uniform(0.45, 0.8, count) * reach, reach + rng.uniform(0.9, 7.0, count))
    # In front props are smaller by perspective, else they would hide all.
    half = torch.where(front[:, None], nearer * (along / reach)[..., None], half)
    aside = rng.normal(0, 1, count)
    beside = 0.14 * torch.sign(aside) + 0.34 * aside  # seldom right before the whole person
    aside = torch.where(front, beside, 0.55 * aside * along)
    z = half[..., 2] + torch.where(rng.chance(0.15, count) & ~front, rng.uniform(0, 2.2, count), 0.0)
    middle = torch.stack([position[..., 0] + aside, position[..., 1] + along, z], dim=-1)
    is_round = rng.chance(ROUND_SHARE, count)
    half = torch.where(is_round[..., None], torch.stack([half[..., 0], half[..., 0], half[..., 2]], dim=-1), half)
    profiles = torch.tensor(PROFILES, device=rng.device)
    profile = profiles[torch.where(is_round, rng.index(len(PROFILES), count), 0)]
    crowded = rng.unit(1) * rng.chance(0.75, 1)
    used = torch.where(front, rng.chance(0.13, count), rng.unit(count) < crowded)
    return middle, half, rng.uniform(0, 3.1, count), used, is_round, profile


def prop_surface(
    props: Props, bank: Tensor, image: Tensor, slot: Tensor, face: Tensor, place: Tensor
) -> tuple[Tensor, Tensor]:
    """Colour (N, 3) and normal (N, 3) of pixels at ``place`` (N, 3) m on face ``face`` (N,) of ``slot`` (N,)."""
    style, middle = props.style[image, slot], props.middle[image, slot]
    corners = props.vertices[image[:, None], slot[:, None], PROP_FACES.to(face.device)[face]]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=-1)
    normal = torch.nn.functional.normalize(normal, dim=-1)
    outward = place - middle
    normal = torch.where(((normal * outward).sum(1) < 0)[:, None], -normal, normal)
    smooth = props.is_round[image, slot] & ~IS_CAP.to(face.device)[face]
    flat = torch.nn.functional.normalize(outward * torch.tensor([1.0, 1.0, 0.3], device=face.device), dim=-1)
    normal = torch.where(smooth[:, None], flat, normal)
    first, second = natural_colour(style[:, :8]), natural_colour(style[:, 8:16])
    scale = 0.25 + 0.9 * style[:, 16]
    level = IS_CAP.to(face.device)[face]
    u = torch.where(level, place[:, 0], place[:, 0] * 0.8 + place[:, 1] * 0.6) * scale + style[:, 17]
    v = torch.where(level, place[:, 1], place[:, 2]) * scale
    texture = sample_bank(bank, (style[:, 18] * len(bank)).long(), u, v)
    kind, rows = (style[:, 19] * 5).long(), (v * (2 + 6 * style[:, 20])) % 1
    mix = torch.where(kind == 0, (rows < 0.15).float(), torch.where(kind == 1, (rows < 0.5).float(), 0.0))
    colour = torch.lerp(first, second, mix[:, None])
    return (colour * (1 + (0.3 + 1.5 * style[:, 21:22]) * (texture - 0.5))).clamp(min=0.01), normal
