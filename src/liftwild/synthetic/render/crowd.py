"""People of a picture: who they are, and how each stands, sits or lies on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from liftwild.synthetic.body import garments, materials
from liftwild.synthetic.body.garments import Outfit
from liftwild.synthetic.body.layers import L_SKIN, Layers
from liftwild.synthetic.body.materials import Appearance
from liftwild.synthetic.poses import poses, settle
from liftwild.synthetic.poses.pose_families import CONTACTS
from liftwild.synthetic.sample_rng import SampleRng

WHO_COLUMNS = 200
MOMENT_COLUMNS = settle.TRIES * poses.COLUMNS + 16
_MOST_AIR_M = 0.9
_SEAT, AIR = CONTACTS.index("seat"), CONTACTS.index("air")


@dataclass(frozen=True, eq=False)
class Who:
    """P people: ``coefficients`` (P, K) of their bodies, what they wear, and their colours."""

    coefficients: Tensor
    outfit: Outfit
    look: Appearance

    def take(self, rows: Tensor) -> Who:
        """The people of ``rows``."""
        return Who(self.coefficients[rows], self.outfit.take(rows), self.look.take(rows))


@dataclass(frozen=True, eq=False)
class Standing:
    """P posed people on the ground at 0, m, not yet placed: x and y are about the hips.

    ``vertices`` (P, V, 3) of ``Layers``; ``cut`` (P, V); ``joints`` (P, 16, 3); ``seat`` (P,): height of what one
    would sit on; ``sits`` (P,) bool: on a chair.
    """

    vertices: Tensor
    cut: Tensor
    joints: Tensor
    seat: Tensor
    sits: Tensor


def draw_who(layers: Layers, dice: SampleRng) -> Who:
    """Somebody of any age and build, dressed, for each row."""
    body = layers.body
    which = body.draw(dice)
    woman, adult = body.is_woman[which], body.is_adult[which]
    outfit = garments.draw_outfit(layers, dice, woman)
    return Who(body.coefficients[which], outfit, materials.draw_appearance(dice, outfit, woman, adult))


def draw_standing(
    layers: Layers, dice: SampleRng, who: Who, mode: str, captured: Tensor | None, chairs: bool
) -> Standing:
    """Poses for each row of ``who``: of the families of ``mode``, or of ``captured`` (M, N, 3, 3) if given.

    Without ``chairs`` nobody sits on one.
    """
    body = layers.body
    rest, heads = body.shape(who.coefficients)
    if captured is None:
        family = poses.draw_families(dice, mode)
        if not chairs:
            family = torch.where(poses.contacts(family) == _SEAT, torch.zeros_like(family), family)
        contact = poses.contacts(family)
        rotations = settle.draw_settled(body, dice, family, heads)
        in_air = contact == AIR
        sits = contact == _SEAT
    else:
        rotations = captured[dice.index(len(captured))]
        in_air = torch.zeros(len(heads), dtype=torch.bool, device=heads.device)
        sits = settle.would_fall_back(body, body.pose_heads(heads, rotations)) & chairs
    rotations = settle.yawed(rotations, dice.uniform(0, 360))
    posed = body.pose_heads(heads, rotations)
    transforms = body.transforms(heads, posed, rotations)
    dressed = rest[:, layers.source] + layers.normal * garments.offsets(layers, who.outfit)[..., None]
    vertices = body.skin(transforms, dressed, layers.weights)
    joints = body.joints(heads, posed, transforms, rest[:, body.head_top].mean(1))
    skin = vertices[:, : int((layers.layer == L_SKIN).sum())]
    lift = torch.where(in_air, dice.uniform(0, 1) ** 2 * _MOST_AIR_M, 0.0) - skin[..., 2].amin(1)
    shift = torch.stack([-joints[:, 6, 0], -joints[:, 6, 1], lift], dim=1)
    seat = vertices[:, layers.seat, 2].amin(1) + lift
    return Standing(
        vertices + shift[:, None], garments.cuts(layers, who.outfit), joints + shift[:, None], seat,
        sits & (seat > 0.18),
    )  # fmt: skip
