"""Things: chairs that fit who sits on them, what stands about, what stands in front.

All are one template of rings, square or round, so that a batch of them is one tensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from liftwild.synthetic.render.cameras import View
from liftwild.synthetic.render.textures import natural, sample_bank
from liftwild.synthetic.sample_rng import SampleRng

SIDES, RINGS = 8, 4
VERTICES = SIDES * RINGS
CHAIR, OCCLUDERS, CLUTTER = 6, 2, 8  # slots of one image, in this order
SLOTS = CHAIR + OCCLUDERS + CLUTTER

# Radius of each ring from the ground up.
PROFILES = ((1, 1, 1, 1), (1, 1, 1, 1), (0.8, 1, 1, 0.8), (1, 0.75, 0.45, 0.1), (0.3, 1, 0.95, 0.3))
ROUND_SHARE = 0.35
LAB_LOOK = 0.22  # of all a chair's colours and surfaces in the studio: plain wood


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


_SQUARE, _CIRCLE, FACES, IS_CAP = _template()


@dataclass(frozen=True, eq=False)
class Props:
    """Things of B images, K slots each: ``vertices`` (B, K, 32, 3) m in the world, ``used`` (B, K) bool, ``middle``
    (B, K, 3), ``is_round`` (B, K), ``look`` (B, K, 24): numbers for colours and surface."""

    vertices: Tensor
    used: Tensor
    middle: Tensor
    is_round: Tensor
    look: Tensor


def build(middle: Tensor, half: Tensor, yaw: Tensor, is_round: Tensor, profile: Tensor) -> Tensor:
    """Vertices (..., 32, 3) of things at ``middle`` (..., 3) with half sizes ``half`` (..., 3), turned by ``yaw``
    (...) rad; ``profile`` (..., 4): radius of each ring."""
    ring = torch.where(is_round[..., None, None], _CIRCLE.to(yaw.device), _SQUARE.to(yaw.device))
    flat = ring[..., None, :, :] * profile[..., :, None, None] * half[..., None, None, :2]
    cosine, sine = torch.cos(yaw)[..., None, None], torch.sin(yaw)[..., None, None]
    x = cosine * flat[..., 0] - sine * flat[..., 1]
    y = sine * flat[..., 0] + cosine * flat[..., 1]
    height = torch.linspace(-1, 1, RINGS, device=yaw.device)[:, None].expand(RINGS, SIDES)
    z = height * half[..., None, None, 2]
    return torch.stack([x, y, z], dim=-1).flatten(-3, -2) + middle[..., None, :]


def no_props(dice: SampleRng) -> Props:
    """An empty room."""
    rows, device = dice.rows, dice.device
    empty = torch.zeros(rows, 0, device=device)
    return Props(
        empty[..., None, None].expand(rows, 0, VERTICES, 3), empty.bool(), empty[..., None].expand(rows, 0, 3),
        empty.bool(), empty[..., None].expand(rows, 0, 24),
    )  # fmt: skip


def chair(dice: SampleRng, pelvis: Tensor, knees: Tensor, seat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Middle (B, 6, 3), half size (B, 6, 3) and yaw (B,) of a chair, stool or block under a sitting person.

    ``pelvis`` (B, 3) and ``knees`` (B, 3) m; ``seat`` (B,): height of the sitter's lowest part behind the knees.
    """
    ahead = torch.nn.functional.normalize((knees - pelvis)[:, :2], dim=-1)
    yaw = torch.atan2(ahead[:, 1], ahead[:, 0])
    depth, wide = dice.uniform(0.17, 0.22), dice.uniform(0.19, 0.27)
    block = dice.chance(0.3)
    wide = torch.where(block & dice.chance(0.5), dice.uniform(0.4, 1.0), wide)
    thick, leg = dice.uniform(0.012, 0.05), dice.uniform(0.012, 0.03)
    backed = dice.chance(0.6) & ~block
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
    tall = torch.where(backed, dice.uniform(0.18, 0.35), gone)
    slim = torch.where(backed, leg, gone)
    pieces.append(piece(centre - depth - leg, zero, under + tall, slim, torch.where(backed, wide, gone), tall))
    middle, half = zip(*pieces, strict=True)
    return torch.stack(middle, dim=1), torch.stack(half, dim=1), yaw


def draw_props(dice: SampleRng, sitter: tuple[Tensor, Tensor, Tensor], sits: Tensor, view: View | None) -> Props:
    """A chair where ``sits`` (B,) bool, and about the person what ``view`` would show; only the chair without one.

    ``sitter``: pelvis, knees and seat as ``chair`` takes them.
    """
    middle, half, yaw = chair(dice, *sitter)
    used = sits[:, None].expand(-1, CHAIR)
    yaws = yaw[:, None].expand(-1, CHAIR)
    is_round = torch.zeros_like(used)
    look = dice.unit(24) if view is not None else torch.full((dice.rows, 24), LAB_LOOK, device=dice.device)
    look = look[:, None].expand(-1, CHAIR, -1)
    profile = torch.ones(dice.rows, CHAIR, RINGS, device=dice.device)
    if view is not None:
        more = _around(dice, sitter[0], view)
        middle, half = torch.cat([middle, more[0]], 1), torch.cat([half, more[1]], 1)
        yaws, used = torch.cat([yaws, more[2]], 1), torch.cat([used, more[3]], 1)
        is_round, profile = torch.cat([is_round, more[4]], 1), torch.cat([profile, more[5]], 1)
        look = torch.cat([look, dice.unit(OCCLUDERS + CLUTTER, 24)], dim=1)
    return Props(build(middle, half, yaws, is_round, profile), used, middle, is_round, look)


def _around(dice: SampleRng, pelvis: Tensor, view: View) -> tuple[Tensor, ...]:
    """Middle, half size, yaw, used, round and profile of occluders and clutter."""
    count = OCCLUDERS + CLUTTER
    position = view.position[:, None, :2]
    reach = (pelvis[:, :2] - view.position[:, :2])[:, None].norm(dim=-1)  # (B, 1) m from camera to person
    front = torch.arange(count, device=dice.device) < OCCLUDERS
    # In front: low and wide, or a post. Behind: anything.
    half = dice.unit(count, 3) ** 2 * torch.tensor([1.0, 0.7, 1.1], device=dice.device) + 0.07
    post = dice.chance(0.35, count)
    wall = dice.uniform(0.12, 1, count, 3) * torch.tensor([0.55, 0.15, 0.42], device=dice.device)
    pole = torch.stack([dice.uniform(0.03, 0.1, count)] * 2 + [dice.uniform(0.9, 1.6, count)], dim=-1)
    nearer = torch.where(post[..., None], pole, wall)
    along = torch.where(front, dice.uniform(0.45, 0.8, count) * reach, reach + dice.uniform(0.9, 7.0, count))
    # In front things are smaller by perspective, else they would hide all.
    half = torch.where(front[:, None], nearer * (along / reach)[..., None], half)
    aside = dice.normal(0, 1, count)
    beside = 0.14 * torch.sign(aside) + 0.34 * aside  # seldom right before the whole person
    aside = torch.where(front, beside, 0.55 * aside * along)
    z = half[..., 2] + torch.where(dice.chance(0.15, count) & ~front, dice.uniform(0, 2.2, count), 0.0)
    middle = torch.stack([position[..., 0] + aside, position[..., 1] + along, z], dim=-1)
    is_round = dice.chance(ROUND_SHARE, count)
    half = torch.where(is_round[..., None], torch.stack([half[..., 0], half[..., 0], half[..., 2]], dim=-1), half)
    profiles = torch.tensor(PROFILES, device=dice.device)
    profile = profiles[torch.where(is_round, dice.index(len(PROFILES), count), 0)]
    crowded = dice.unit(1) * dice.chance(0.75, 1)
    used = torch.where(front, dice.chance(0.13, count), dice.unit(count) < crowded)
    return middle, half, dice.uniform(0, 3.1, count), used, is_round, profile


def surface(
    props: Props, bank: Tensor, image: Tensor, slot: Tensor, face: Tensor, place: Tensor
) -> tuple[Tensor, Tensor]:
    """Colour (N, 3) and normal (N, 3) of pixels at ``place`` (N, 3) m on face ``face`` (N,) of ``slot`` (N,)."""
    look, middle = props.look[image, slot], props.middle[image, slot]
    corners = props.vertices[image[:, None], slot[:, None], FACES.to(face.device)[face]]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=-1)
    normal = torch.nn.functional.normalize(normal, dim=-1)
    outward = place - middle
    normal = torch.where(((normal * outward).sum(1) < 0)[:, None], -normal, normal)
    smooth = props.is_round[image, slot] & ~IS_CAP.to(face.device)[face]
    flat = torch.nn.functional.normalize(outward * torch.tensor([1.0, 1.0, 0.3], device=face.device), dim=-1)
    normal = torch.where(smooth[:, None], flat, normal)
    first, second = natural(look[:, :8]), natural(look[:, 8:16])
    scale = 0.25 + 0.9 * look[:, 16]
    level = IS_CAP.to(face.device)[face]
    u = torch.where(level, place[:, 0], place[:, 0] * 0.8 + place[:, 1] * 0.6) * scale + look[:, 17]
    v = torch.where(level, place[:, 1], place[:, 2]) * scale
    texture = sample_bank(bank, (look[:, 18] * len(bank)).long(), u, v)
    kind, rows = (look[:, 19] * 5).long(), (v * (2 + 6 * look[:, 20])) % 1
    mix = torch.where(kind == 0, (rows < 0.15).float(), torch.where(kind == 1, (rows < 0.5).float(), 0.0))
    colour = torch.lerp(first, second, mix[:, None])
    return (colour * (1 + (0.3 + 1.5 * look[:, 21:22]) * (texture - 0.5))).clamp(min=0.01), normal
