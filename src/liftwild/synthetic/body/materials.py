"""The colour of people: skin, faces, hair and cloth, as functions of where on the body at rest a pixel lies, so that
patterns move with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from liftwild.synthetic.body.garments import BALD, HAT, Outfit
from liftwild.synthetic.body.layers import L_EYES, L_HAIR, L_LOWER, L_SKIN, L_SKIRT, Layers
from liftwild.synthetic.render.textures import BLOTCHES, CLOUDS, COUNT, cloth_colour, sample_bank
from liftwild.synthetic.rows import Rows
from liftwild.synthetic.sample_rng import SampleRng

SKIN_TONES = (
    (0.95, 0.78, 0.68), (0.87, 0.67, 0.54), (0.76, 0.55, 0.42), (0.56, 0.38, 0.27), (0.36, 0.24, 0.17),
    (0.24, 0.16, 0.12),
)  # fmt: skip
HAIR_COLOURS = (
    (0.05, 0.04, 0.03), (0.08, 0.06, 0.05), (0.13, 0.09, 0.06), (0.25, 0.15, 0.08), (0.42, 0.28, 0.15),
    (0.66, 0.52, 0.32), (0.52, 0.51, 0.5), (0.36, 0.13, 0.06),
)  # fmt: skip
DENIM = (0.16, 0.22, 0.36)
# How often cloth has each pattern, in the order in which ``_cloth`` makes them.
PATTERN_WEIGHTS = {
    "plain": 5.6, "stripes across": 0.9, "stripes down": 0.35, "checks": 0.7, "dots": 0.35, "print on the chest": 0.8,
    "blocks": 0.8, "camouflage": 0.3,
}  # fmt: skip
_PLAIN = 0
_TOP, _LEGS, _SKIRT = range(3)


@dataclass(frozen=True, eq=False)
class Appearance(Rows):
    """Colours of P people. ``skin``, ``hair``, ``shoe``, ``sock`` (P, 3); ``cloth`` (P, 3 pieces, 2, 3): ground and
    pattern colours of top, legs, skirt; ``pattern`` (P, 3), its ``frequency`` 1/m and ``phase``; ``texture`` (P, 3) of
    the bank, ``grain`` (P, 3): how much of it shows; ``crease`` (P, 3): strength of fine folds; ``open_front``,
    ``beard``, ``belt`` (P,): 0 for none; ``lips`` (P, 3): tint."""

    skin: Tensor
    hair: Tensor
    shoe: Tensor
    sock: Tensor
    cloth: Tensor
    pattern: Tensor
    frequency: Tensor
    phase: Tensor
    texture: Tensor
    grain: Tensor
    crease: Tensor
    open_front: Tensor
    beard: Tensor
    belt: Tensor
    lips: Tensor


def sample_appearance(rng: SampleRng, outfit: Outfit, woman: Tensor, adult: Tensor) -> Appearance:
    """Colours of each row's skin, hair and clothes."""
    device = rng.device
    tones = torch.tensor(SKIN_TONES, device=device)
    place = rng.uniform(0, len(tones) - 1.001)
    lower = place.long()
    skin = torch.lerp(tones[lower], tones[lower + 1], (place - lower)[:, None])
    skin = (skin * rng.uniform(0.93, 1.06, 3)).clamp(0, 1)
    hair = torch.tensor(HAIR_COLOURS, device=device)[rng.index(len(HAIR_COLOURS))] * rng.uniform(0.75, 1.25, 1)
    # Fair hair on dark skin is rare.
    hair = torch.where((place > 2.6)[:, None], hair * 0.3, hair)
    hair = torch.where((outfit.hair == HAT)[:, None], cloth_colour(rng.unit(4)), hair)
    cloth = cloth_colour(rng.unit(3, 2, 4))
    # Patterns differ from their ground by something between a hint and a contrast.
    cloth[:, :, 1] = torch.lerp(cloth[:, :, 0], cloth[:, :, 1], rng.uniform(0.25, 1, 3, 1))
    denim = torch.tensor(DENIM, device=device) * rng.uniform(0.35, 1.7, 1)
    jeans = rng.chance(0.36)
    cloth[:, _LEGS] = torch.where(jeans[:, None, None], torch.stack([denim, denim * 1.25], dim=1), cloth[:, _LEGS])
    dress, suit = rng.chance(0.35), rng.chance(0.12)
    cloth[:, _SKIRT] = torch.where(dress[:, None, None], cloth[:, _TOP], cloth[:, _SKIRT])
    cloth[:, _LEGS] = torch.where(suit[:, None, None], cloth[:, _TOP], cloth[:, _LEGS])
    weights = torch.tensor(tuple(PATTERN_WEIGHTS.values()), device=device).expand(rng.rows, -1)
    pattern = torch.stack([rng.pick(weights, 1)[:, 0] for _ in range(3)], dim=1)
    pattern[:, _LEGS] = torch.where(rng.chance(0.8) | jeans | suit, _PLAIN, pattern[:, _LEGS])
    pattern[:, _SKIRT] = torch.where(dress, pattern[:, _TOP], pattern[:, _SKIRT])
    frequency, phase = torch.exp(rng.uniform(3.2, 5.0, 3)), rng.uniform(0, 6.28, 3)
    texture = rng.index(COUNT, 3)
    for numbers in (frequency, phase, texture):  # a dress is cut from one cloth
        numbers[:, _SKIRT] = torch.where(dress, numbers[:, _TOP], numbers[:, _SKIRT])
    bare = skin * 0.97
    return Appearance(
        skin=skin, hair=hair, shoe=torch.where(outfit.shoes[:, None], cloth_colour(rng.unit(4)), skin),
        sock=torch.where((outfit.shoes & rng.chance(0.5))[:, None], cloth_colour(rng.unit(4)), bare),
        cloth=cloth, pattern=pattern, frequency=frequency, phase=phase, texture=texture,
        grain=rng.uniform(0.05, 0.35, 3), crease=rng.uniform(0.05, 0.4, 3),
        open_front=rng.uniform(0.02, 0.07) * rng.chance(0.16),
        beard=rng.uniform(0.25, 0.85) * (rng.chance(0.35) & ~woman & adult), belt=rng.chance(0.35).float(),
        lips=torch.where(woman[:, None], rng.uniform(0.45, 1, 3), torch.tensor([0.88, 0.72, 0.7], device=device)),
    )  # fmt: skip


def albedo(
    layers: Layers, bank: Tensor, outfit: Outfit, appearance: Appearance, person: Tensor, layer: Tensor, at: Tensor,
    edge: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Colour (N, 3), gloss (N,) and crease strength (N,) of N pixels.

    ``person`` (N,): whose; ``layer`` (N,): of which layer; ``at`` (N, 7): ``Layers.fields`` there; ``edge`` (N,): m to
    the hem.
    """
    colour = torch.empty(len(person), 3, device=at.device)
    gloss, crease = torch.full_like(edge, 0.04), torch.zeros_like(edge)
    skin = ((layer == L_SKIN) | (layer == L_EYES)).nonzero()[:, 0]
    hair = (layer == L_HAIR).nonzero()[:, 0]
    cloth = ((layer > L_SKIN) & (layer <= L_SKIRT)).nonzero()[:, 0]
    colour[skin] = _skin(layers, outfit, appearance, person[skin], layer[skin] == L_EYES, at[skin])
    gloss[skin] = 0.16
    strands = _strands(at[hair])
    colour[hair] = appearance.hair[person[hair]] * strands[:, None]
    gloss[hair] = 0.22
    piece = torch.where(layer[cloth] == L_LOWER, _LEGS, torch.where(layer[cloth] == L_SKIRT, _SKIRT, _TOP))
    colour[cloth] = _cloth(layers, bank, outfit, appearance, person[cloth], piece, at[cloth], edge[cloth])
    crease[cloth] = appearance.crease[person[cloth], piece]
    return colour, gloss, crease


def folds(bank: Tensor, appearance: Appearance, person: Tensor, at: Tensor) -> Tensor:
    """How fine folds turn the normal (N, 3): the slope of clouds that lie along the body, stretched downwards."""
    x, y, z = at[:, :3].unbind(1)
    cloud = (appearance.texture[person, _TOP] // 5) * 5 + CLOUDS
    u, v = (x + 0.6 * y) * 1.3, (z + 0.4 * x) * 0.75

    def height(du: float, dv: float) -> Tensor:
        return sample_bank(bank, cloud, u + du, v + dv)[:, 1]

    step = 0.02
    across, down = height(step, 0) - height(-step, 0), height(0, step) - height(0, -step)
    return 7 * torch.stack([across, 0.6 * across, down], dim=1).clamp(-0.25, 0.25)


def _strands(at: Tensor) -> Tensor:
    """Light and dark (N,) along locks of hair."""
    x, y, z = at[:, :3].unbind(1)
    around = torch.atan2(x, y + 0.04)
    return 0.86 + 0.22 * torch.sin(around * 34 + 3 * torch.sin(z * 31)) * torch.sin(around * 13 + z * 45)


def _cloth(
    layers: Layers, bank: Tensor, outfit: Outfit, appearance: Appearance, person: Tensor, piece: Tensor, at: Tensor,
    edge: Tensor,
) -> Tensor:  # fmt: skip
    """Colour (N, 3) of cloth."""
    x, y, z = at[:, :3].unbind(1)
    frequency, phase = appearance.frequency[person, piece], appearance.phase[person, piece]
    kind = appearance.pattern[person, piece]
    across, down = torch.sin(z * frequency + phase), torch.sin((x + 0.6 * y) * frequency + phase)
    texture = sample_bank(bank, appearance.texture[person, piece], (x + 0.6 * y) * 2.1 + phase, z * 2.1)
    grey = texture.mean(1)
    blotches = (appearance.texture[person, piece] // 5) * 5 + BLOTCHES
    blotch = sample_bank(bank, blotches, x + 0.6 * y + phase, z + phase)[:, 0]
    on_chest = (x.abs() < 0.1) & ((z - layers.neck_z + 0.22).abs() < 0.07) & (y < -0.02)
    mixes = torch.stack(
        [
            torch.zeros_like(x), (across > 0.2).float(), (down > 0.2).float(),
            0.5 * (across > 0).float() + 0.5 * (down > 0).float(), (across * down > 0.55).float(),
            (on_chest & (torch.sin(x * 95 + phase) * torch.sin(z * 75) > -0.35)).float(),
            (z > layers.neck_z - 0.13 - 0.05 * torch.sin(phase)).float(), ((blotch - 0.45) * 12).clamp(0, 1),
        ],
        dim=1,
    )  # fmt: skip
    mix = mixes.gather(1, kind[:, None])
    ground, other = appearance.cloth[person, piece].unbind(1)
    colour = torch.lerp(ground, other, mix)
    grain = appearance.grain[person, piece]
    colour = colour * (1 + grain * 1.6 * (grey - 0.5))[:, None]
    is_top = piece == _TOP
    width = appearance.open_front[person]
    opened = is_top & (width > 0) & (x.abs() < width * (0.4 + 1.4 * ((z - layers.hip_z) / 0.5).clamp(0, 1))) & (y < 0)
    colour = torch.where(opened[:, None], appearance.cloth[person, _SKIRT, 1], colour)
    belt = (piece == _LEGS) & (appearance.belt[person] > 0) & (edge < 0.035) & (z > layers.hip_z)
    colour = torch.where(belt[:, None], colour * 0.25, colour)
    # A hem is a double fold with a seam.
    return colour * (1 - 0.3 * ((edge > 0.006) & (edge < 0.012)).float())[:, None]


def _skin(layers: Layers, outfit: Outfit, appearance: Appearance, person: Tensor, eye: Tensor, at: Tensor) -> Tensor:
    """Colour (N, 3) of skin, face, short hair, socks and shoes."""
    x, y, z, leg, on_leg, scalp, on_head = at.unbind(1)
    colour = appearance.skin[person]
    hair = appearance.hair[person]
    noise = torch.sin(x * 41 + 2 * torch.sin(z * 23)) + torch.sin(y * 37 + z * 31) + torch.sin(z * 53 - x * 29)
    colour = colour * (1 + 0.012 * noise)[:, None]
    # The face, in metres from the eyes' middle; x as on one half.
    eye_x, eye_y, eye_z = (float(value) for value in layers.left_eye)
    front, side, up = y < eye_y + 0.035, x.abs(), z - eye_z
    on_face = front & (on_head > 0.5)

    def blob(dx: Tensor, dz: Tensor, wide: float, high: float) -> Tensor:
        return (1.6 - ((dx / wide) ** 2 + (dz / high) ** 2)).clamp(0, 1) * on_face

    def paint(colour: Tensor, share: Tensor, other: Tensor) -> Tensor:
        return torch.lerp(colour, other, share[:, None])

    red = torch.tensor([1.04, 0.86, 0.84], device=at.device)
    colour = paint(colour, 0.6 * blob(side - 0.038, up + 0.036, 0.02, 0.016), colour * red)
    colour = paint(colour, 0.45 * blob(side - eye_x, up, 0.021, 0.012), colour * 0.62)  # the socket's shade
    colour = paint(colour, 0.5 * blob(side - 0.008, up + 0.046, 0.006, 0.004), colour * 0.4)  # nostrils
    lips = appearance.lips[person] * torch.tensor([0.92, 0.62, 0.62], device=at.device)
    colour = paint(colour, blob(side, up + 0.068, 0.023, 0.0075), colour * lips)
    colour = paint(colour, 0.7 * blob(side, up + 0.068, 0.022, 0.0015), colour * 0.4)
    ragged = 0.012 * noise
    jaw = (up < -0.038 - 0.8 * (side - 0.045).clamp(min=0)) & (z > layers.neck_z + 0.06) & (y < layers.head_centre[1])
    bearded = appearance.beard[person] * (jaw & (on_head > 0.6)) * (1 - blob(side, up + 0.068, 0.023, 0.0075))
    colour = paint(colour, bearded, hair * 0.9)
    brow = blob(side - eye_x - 0.002, up - 0.021 - 0.1 * (side - eye_x), 0.02, 0.0045)
    colour = paint(colour, 0.85 * brow, torch.where((outfit.hair[person] == HAT)[:, None], colour * 0.35, hair * 0.8))
    hairy = (scalp + ragged > 0) & (on_head > 0.5)
    shaved = outfit.hair[person] == BALD
    strands = torch.where(outfit.hair[person] == HAT, torch.ones_like(x), _strands(at))
    cover = hairy.float() * torch.where(shaved, 0.25, 1.0)
    colour = paint(colour, cover, hair * strands[:, None])
    socks = (on_leg > 0.5) & (leg > layers.leg_ankle - 0.07)
    colour = torch.where(socks[:, None], appearance.sock[person], colour)
    shod = (on_leg > 0.5) & (leg > layers.leg_ankle - 0.012)
    # The sole: light or dark against the shoe.
    sole = (z < float(layers.rest[:, 2].min()) + 0.022) & outfit.shoes[person]
    shoe = appearance.shoe[person]
    shoe = torch.where(sole[:, None], (0.75 - 0.6 * (shoe.mean(1, keepdim=True) > 0.5).float()).expand(-1, 3), shoe)
    colour = torch.where(shod[:, None], shoe, colour)
    iris = (side - eye_x) ** 2 + up**2 < 0.0062**2
    dark = torch.tensor([0.1, 0.07, 0.06], device=at.device)
    white = torch.tensor([0.8, 0.78, 0.76], device=at.device)
    return torch.where(eye[:, None], torch.where(iris[:, None], dark, white), colour)
