"""The shapes of clothes and hair: which part of each shell is there, and how far it is from the body.

A shell is the body's own surface moved out along its normals. A value at each vertex (``cuts``) says where it ends: it
is interpolated inside a triangle, and what is not above 0 is left out, so hems are smooth whatever the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from liftwild.synthetic.body.layers import L_HAIR, L_LOWER, L_SKIN, L_SKIRT, L_UPPER, Layers
from liftwild.synthetic.rows import Rows
from liftwild.synthetic.sample_rng import SampleRng

BALD, SHORT, FULL, CHIN_LONG, LONG, HAT = range(6)
HAIR_OF_MEN = (0.1, 0.4, 0.28, 0.03, 0.02, 0.17)
HAIR_OF_WOMEN = (0.0, 0.1, 0.2, 0.26, 0.34, 0.1)
_UNDER = 0.03  # m: skin ends so far inside a hem


@dataclass(frozen=True, eq=False)
class Outfit(Rows):
    """The clothes and hair of P people; lengths in m on the mean body.

    ``sleeve``: from the shoulder, ``hem``: height at which the top ends, ``neckline``: depth of the front, ``tucked``
    bool; ``leg_length``: from the hip, ``waist``: height; ``skirt`` bool, ``skirt_length``: below the hip;
    ``loose_top``, ``loose_legs``, ``flare``: how far clothes stand off; ``folds``: height of the folds; ``wave``
    (P, 12): phases and frequencies of hems and folds; ``hair``: style; ``hair_length``: below the head's centre;
    ``hair_volume``; ``shoes`` bool.
    """

    sleeve: Tensor
    hem: Tensor
    neckline: Tensor
    tucked: Tensor
    leg_length: Tensor
    waist: Tensor
    skirt: Tensor
    skirt_length: Tensor
    loose_top: Tensor
    loose_legs: Tensor
    flare: Tensor
    folds: Tensor
    wave: Tensor
    hair: Tensor
    hair_length: Tensor
    hair_volume: Tensor
    shoes: Tensor


def sample_outfit(layers: Layers, rng: SampleRng, woman: Tensor) -> Outfit:
    """An outfit for each row; ``woman`` (B,) bool makes long hair and skirts likelier."""
    at_wrist, ankle, knee, hip = layers.arm_wrist, layers.leg_ankle, layers.leg_knee, layers.hip_z

    def choose(weights: tuple[float, ...], *ranges: tuple[float, float]) -> Tensor:
        table = torch.tensor(ranges, device=rng.device)[rng.pick(weights)]
        return table[:, 0] + (table[:, 1] - table[:, 0]) * rng.unit()

    sleeve = choose((0.24, 0.42, 0.08, 0.26), (-0.01, 0.03), (0.1, 0.25), (0.3, 0.42), (at_wrist - 0.06, at_wrist))
    tucked = rng.chance(0.28)
    hem = torch.where(tucked, torch.full_like(sleeve, hip + 0.1), rng.uniform(layers.crotch_z + 0.01, hip + 0.1))
    skirt = rng.unit() < torch.where(woman, 0.3, 0.02)
    shorts, cropped, long = (0.14, knee + 0.03), (knee + 0.08, ankle - 0.12), (ankle - 0.05, ankle + 0.015)
    trousers = choose((0.42, 0.07, 0.51), shorts, cropped, long)
    # Under a skirt: bare legs, or leggings.
    leg_length = torch.where(skirt, torch.where(rng.chance(0.6), 0.1, ankle - 0.02), trousers)
    style = torch.where(woman, rng.pick(HAIR_OF_WOMEN), rng.pick(HAIR_OF_MEN))
    length = torch.where(style == LONG, rng.uniform(0.15, 0.36), rng.uniform(0.04, 0.13))
    return Outfit(
        sleeve=sleeve, hem=hem, neckline=rng.unit() ** 2 * 0.11, tucked=tucked, leg_length=leg_length,
        waist=rng.uniform(hip + 0.08, hip + 0.16), skirt=skirt, skirt_length=rng.uniform(0.28, 0.85),
        loose_top=rng.unit() ** 1.5 * 0.034,
        loose_legs=torch.where(skirt, torch.zeros_like(sleeve), rng.unit() ** 1.5 * 0.03),
        flare=rng.unit() ** 3 * 0.045, folds=rng.uniform(0.002, 0.009), wave=rng.unit(12), hair=style,
        hair_length=length, hair_volume=rng.uniform(0.6, 1.6), shoes=rng.chance(0.9),
    )  # fmt: skip


def _noise(points: Tensor, wave: Tensor, frequency: float) -> Tensor:
    """Smooth noise (P, V) in -1 .. 1 over ``points`` (V, 3), told apart by ``wave`` (P, 12)."""
    phase, stretch = wave[:, :6] * 6.28, 0.75 + 0.5 * wave[:, 6:]
    x, y, z = (points[None, :, axis] * frequency for axis in range(3))

    def swing(a: Tensor, b: Tensor, k: int) -> Tensor:
        return torch.sin(a * stretch[:, k, None] + 1.7 * torch.sin(b * 0.6 + phase[:, k, None]) + phase[:, k + 1, None])

    return swing(z, x, 0) * swing(x + y, z, 2) * 0.6 + swing(z + x, y, 4) * 0.4


def cuts(layers: Layers, outfit: Outfit) -> Tensor:
    """(P, V): above 0 where the mesh is there."""
    x, y, z = layers.rest.T[:, None]
    arm, leg = layers.arm[None], layers.leg[None]
    on_arm, on_leg = layers.on_arm[None] > 0.5, layers.on_leg[None] > 0.3
    gone = torch.full_like(z, -1.0)

    def column(value: Tensor) -> Tensor:
        return value[:, None]

    phase = outfit.wave[:, :, None] * 6.28
    ripple = torch.sin(9 * x + phase[:, 0]) * torch.cos(7 * y + phase[:, 1])
    front = torch.exp(-((x / 0.06) ** 2)) * (y < -0.02)
    neck = layers.neck_z + 0.04 * (column(outfit.wave[:, 2]) - 0.4) - column(outfit.neckline) * front
    top = torch.where(on_arm, column(outfit.sleeve) - arm, (z - column(outfit.hem) + 0.006 * ripple).minimum(neck - z))
    below = torch.where(on_arm, gone, column(outfit.waist) - z)
    legs = torch.where(on_leg, column(outfit.leg_length) - leg + 0.004 * ripple, below)
    skirt_end = layers.hip_z + 0.05 - column(outfit.skirt_length)
    skirt = torch.where(column(outfit.skirt), z - skirt_end + 0.004 * ripple, gone)
    long = (outfit.hair == CHIN_LONG) | (outfit.hair == LONG)
    strands = 0.012 * torch.sin(60 * x + phase[:, 3]) * torch.sin(45 * y + phase[:, 4])
    hair_end = layers.head_centre[2] - column(outfit.hair_length)
    # The face stays free below the fringe.
    fringe = layers.left_eye[2] + 0.03 + 0.08 * column(outfit.wave[:, 5])
    beside_face = (y - layers.left_eye[1] - 0.035 + 0.5 * (x.abs() - 0.06).clamp(min=0)).maximum(z - fringe)
    hair = torch.where(column(long), (z - hair_end).minimum(beside_face) + strands, gone)
    covered = top.maximum(legs)
    skin = torch.where(covered > _UNDER, _UNDER - covered, torch.ones_like(covered))
    layer = layers.layer[None]
    out = torch.where(layer == L_SKIN, skin, gone)
    for number, cut in ((L_UPPER, top), (L_LOWER, legs), (L_SKIRT, skirt), (L_HAIR, hair)):
        out = torch.where(layer == number, cut, out)
    return out


def offsets(layers: Layers, outfit: Outfit) -> Tensor:
    """(P, V) m: how far each vertex stands off the body along its normal."""
    z, arm, leg = layers.rest[None, :, 2], layers.arm[None], layers.leg[None]
    on_arm = layers.on_arm[None] > 0.5

    def column(value: Tensor) -> Tensor:
        return value[:, None]

    # Cloth bunches at elbows, knees, hips and waist.
    at_joint = (
        torch.exp(-(((arm - layers.arm_elbow) / 0.09) ** 2)) * on_arm
        + torch.exp(-(((leg - layers.leg_knee) / 0.12) ** 2))
        + torch.exp(-(((z - layers.hip_z - 0.02) / 0.1) ** 2)) * ~on_arm
    )
    folds = _noise(layers.rest, outfit.wave, 42.0) * column(outfit.folds) * (0.45 + 0.9 * at_joint)
    down = torch.where(on_arm, (arm / 0.5).clamp(0, 1), ((layers.neck_z - z) / 0.6).clamp(0, 1))
    top = torch.where(column(outfit.tucked), 0.005, 0.013) + column(outfit.loose_top) * (0.3 + 0.7 * down) + folds
    legs = 0.007 + column(outfit.loose_legs) * (0.3 + 0.7 * (leg / 0.9).clamp(0, 1)) + 0.7 * folds
    legs = legs + column(outfit.flare) * ((leg - 0.35) / 0.5).clamp(0, 1)
    skirt = 0.004 + column(outfit.flare) * 2 * ((layers.hip_z - z) / 0.5).clamp(0, 1.5) + folds
    growth = ((layers.scalp[None] + 0.02) / 0.15).clamp(0, 1)
    thickness = torch.tensor([0.0, 0.006, 0.017, 0.012, 0.012, 0.012], device=z.device)[outfit.hair]
    lumpy = 1 + 0.35 * _noise(layers.rest, outfit.wave.flip(1), 55.0) * column((outfit.hair == FULL).float())
    hair_on_skin = growth * column(thickness * outfit.hair_volume) * lumpy
    shoe = 0.009 * ((leg - layers.leg_ankle + 0.02) / 0.03).clamp(0, 1) * (layers.on_leg[None] > 0.5)
    skin = hair_on_skin * ~layers.is_eye[None] + shoe * column(outfit.shoes.float())
    hair = 0.004 + 0.01 * column(outfit.hair_volume) + 0.007 * _noise(layers.rest, outfit.wave, 50.0)
    layer = layers.layer[None]
    out = skin
    for number, offset in ((L_UPPER, top), (L_LOWER, legs), (L_SKIRT, skirt), (L_HAIR, hair)):
        out = torch.where(layer == number, offset, out)
    return out
