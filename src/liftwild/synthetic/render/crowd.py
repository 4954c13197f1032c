"""The people of a picture: who they are, and how each stands, sits or lies on the ground."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from liftwild.rotation_torch import rotation_about
from liftwild.skeleton import PELVIS
from liftwild.synthetic.body import garments, materials
from liftwild.synthetic.body.garments import Outfit
from liftwild.synthetic.body.layers import L_SKIN, Layers
from liftwild.synthetic.body.materials import Appearance
from liftwild.synthetic.poses import poses, settle
from liftwild.synthetic.poses.pose_families import CONTACTS
from liftwild.synthetic.rows import Rows
from liftwild.synthetic.sample_rng import SampleRng

IDENTITY_COLUMNS = 200
BODY_COLUMNS = settle.TRIES * poses.POSE_COLUMNS + 16
MAX_AIR_M = 0.9  # of a jump
MIN_SEAT_M = 0.18  # below this height there is no chair
AIR, SEAT = CONTACTS.index("air"), CONTACTS.index("seat")


@dataclass(frozen=True, eq=False)
class Identities(Rows):
    """P people: ``coefficients`` (P, K) of their bodies, what they wear, and their colours."""

    coefficients: Tensor
    outfit: Outfit
    appearance: Appearance


@dataclass(frozen=True, eq=False)
class PosedBodies(Rows):
    """P posed and dressed bodies, m; the ground is z = 0.

    ``vertices`` (P, V, 3) of ``Layers``; ``cut`` (P, V); ``joints`` (P, 16, 3); ``seat`` (P,): height of what one
    would sit on; ``sits`` (P,) bool: on a chair.
    """

    vertices: Tensor
    cut: Tensor
    joints: Tensor
    seat: Tensor
    sits: Tensor

    def moved(self, place: Tensor) -> PosedBodies:
        """Each body moved by ``place`` (P, 2) m over the ground."""
        shift = torch.cat([place, torch.zeros_like(place[:, :1])], dim=1)[:, None]
        return replace(self, vertices=self.vertices + shift, joints=self.joints + shift)


def sample_identities(layers: Layers, rng: SampleRng) -> Identities:
    """A dressed person of any age and build for each row."""
    body = layers.body
    which = body.sample(rng)
    woman, adult = body.is_woman[which], body.is_adult[which]
    outfit = garments.sample_outfit(layers, rng, woman)
    return Identities(body.coefficients[which], outfit, materials.sample_appearance(rng, outfit, woman, adult))


def sample_bodies(
    layers: Layers, rng: SampleRng, identities: Identities, mode: str, captured: Tensor | None, chairs: bool
) -> PosedBodies:
    """A pose for each of ``identities``, the pelvis above the origin.

    Of the families of ``mode`` "lab" or "wild", or one of ``captured`` (M, N, 3, 3). Without ``chairs`` nobody sits on
    one.
    """
    body = layers.body
    rest, heads = body.shape(identities.coefficients)
    if captured is None:
        family = poses.sample_families(rng, mode)
        if not chairs:
            family = torch.where(poses.contacts(family) == SEAT, torch.zeros_like(family), family)
        contact = poses.contacts(family)
        rotations = settle.sample_settled_poses(body, rng, family, heads)
        in_air = contact == AIR
        sits = contact == SEAT
    else:
        rotations = captured[rng.index(len(captured))]
        in_air = torch.zeros(len(heads), dtype=torch.bool, device=heads.device)
        sits = settle.needs_chair(body, body.pose_heads(heads, rotations)) & chairs
    rotations = rotation_about("z", rng.uniform(0, 360))[:, None] @ rotations
    posed = body.pose_heads(heads, rotations)
    transforms = body.transforms(heads, posed, rotations)
    dressed = rest[:, layers.source] + layers.normal * garments.offsets(layers, identities.outfit)[..., None]
    vertices = body.skin(transforms, dressed, layers.weights)
    joints = body.joints(heads, posed, transforms, rest[:, body.head_top].mean(1))
    skin = vertices[:, : int((layers.layer == L_SKIN).sum())]
    lift = torch.where(in_air, rng.uniform(0, 1) ** 2 * MAX_AIR_M, 0.0) - skin[..., 2].amin(1)
    shift = torch.stack([-joints[:, PELVIS, 0], -joints[:, PELVIS, 1], lift], dim=1)[:, None]
    seat = vertices[:, layers.seat, 2].amin(1) + lift
    cut = garments.cuts(layers, identities.outfit)
    return PosedBodies(vertices + shift, cut, joints + shift, seat, sits & (seat > MIN_SEAT_M))
