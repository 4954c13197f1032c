"""Plausible poses: no limb runs through another, feet are flat, bodies are balanced over their support."""

from __future__ import annotations

import torch
from torch import Tensor

from liftwild.rotation_torch import rotation_about, rotation_about_vector
from liftwild.synthetic.body.body import Body
from liftwild.synthetic.poses import poses
from liftwild.synthetic.poses.pose_families import CONTACTS
from liftwild.synthetic.sample_rng import SampleRng

TRIES = 6
_SOLE = 0.035  # m: what lifts an ankle beyond the lowest one before its foot no longer stands flat
_FOOT = 0.17  # m, ankle to ball of the foot
_STEP = 0.20  # m: an ankle this much higher than the other carries nothing
_FLESH = 0.13  # m: how far trunk and bottom reach below their bones
_MAX_LEAN_RAD = 0.45  # rad: how far balance may lean a body

# Shares of body mass (Winter, Biomechanics and Motor Control of Human Movement): (bone, bone, share) between heads.
_MASS = (
    ("root", "neck01", 0.497), ("neck01", "head", 0.081),
    *((f"upperleg01.{s}", f"lowerleg01.{s}", 0.1) for s in "LR"),
    *((f"lowerleg01.{s}", f"foot.{s}", 0.061) for s in "LR"),
    *((f"upperarm01.{s}", f"lowerarm01.{s}", 0.028) for s in "LR"),
    *((f"lowerarm01.{s}", f"wrist.{s}", 0.022) for s in "LR"),
)  # fmt: skip


def sample_settled_poses(body: Body, rng: SampleRng, family: Tensor, heads: Tensor) -> Tensor:
    """A settled pose (B, N, 3, 3) of each row's ``family``: the first of ``TRIES`` without a fault, else the best one.

    ``heads`` (B, N, 3): the bodies' bones at rest.
    """
    tries = rng.branch(TRIES, poses.POSE_COLUMNS)
    kinds, bones = family.repeat_interleave(TRIES), heads.repeat_interleave(TRIES, 0)
    contact = poses.contacts(kinds)
    found = settled(body, poses.sample_poses(body, tries, kinds), bones, contact)
    posed = body.pose_heads(bones, found)
    faults = (collisions(body, posed) + _floats(body, posed, contact)).view(-1, TRIES)
    best = (faults + torch.arange(TRIES, device=faults.device) / (2 * TRIES)).argmin(1)
    rows = torch.arange(len(family), device=family.device)
    return found.view(len(family), TRIES, *found.shape[1:])[rows, best]


def settled(body: Body, pose: Tensor, heads: Tensor, contact: Tensor) -> Tensor:
    """``pose`` (B, N, 3, 3) with flat feet, and turned as a whole until it is balanced on its ``contact`` (B,)."""
    kind = {name: contact == number for number, name in enumerate(CONTACTS)}
    posed = body.pose_heads(heads, pose)
    level = torch.where(kind["fours"], _level_angle(body, posed), torch.zeros_like(posed[:, 0, 0]))
    pose = rotation_about("x", torch.rad2deg(level))[:, None] @ pose
    flat = torch.where(kind["lie"][:, None, None], _lying(body, posed), torch.eye(3, device=pose.device))
    pose = flat[:, None] @ pose
    on_feet = kind["feet"]
    for _ in range(2):
        pose = torch.where(on_feet[:, None, None, None], _feet_flat(body, pose, body.pose_heads(heads, pose)), pose)
        lean = _balance(body, body.pose_heads(heads, pose), kind["hands"])
        still = (on_feet | kind["hands"])[:, None, None]
        pose = torch.where(still, lean, torch.eye(3, device=pose.device))[:, None] @ pose
    flat = _feet_flat(body, pose, body.pose_heads(heads, pose))
    return torch.where((on_feet | kind["seat"])[:, None, None, None], flat, pose)


def _level_angle(body: Body, posed: Tensor) -> Tensor:
    """The turn about x, rad (B,), that brings the hands to the height of the lowest of feet and knees."""
    at = body.bone
    hands = (posed[:, at["wrist.L"]] + posed[:, at["wrist.R"]]) / 2
    low = torch.stack([posed[:, at[f"{name}.{s}"]] for name in ("toe2-1", "lowerleg01") for s in "LR"], dim=1)
    # Whichever would touch first when the body is let down onto its hands: the steepest line to the hands.
    away = hands[:, None] - low
    angle = torch.atan2(away[..., 2], -away[..., 1])
    return angle.amin(1).clamp(-0.9, 0.9)


def _lying(body: Body, posed: Tensor) -> Tensor:
    """The turn (B, 3, 3) that brings the line from pelvis to neck level."""
    along = posed[:, body.bone["neck01"]] - posed[:, body.bone["root"]]
    level = along[:, :2].norm(dim=-1)
    axis = torch.stack([-along[:, 1], along[:, 0], torch.zeros_like(level)], dim=-1) / level.clamp(min=1e-6)[:, None]
    return rotation_about_vector(axis, torch.atan2(along[:, 2], level))


def _feet_flat(body: Body, pose: Tensor, posed: Tensor) -> Tensor:
    """The pose with feet near the ground flat on it, and raised heels where the toes still reach it."""
    pose = pose.clone()
    ankles = torch.stack([posed[:, body.bone["foot.L"]], posed[:, body.bone["foot.R"]]], dim=1)
    raised = ankles[..., 2] - ankles[..., 2].amin(1, keepdim=True)
    for side, letter in enumerate("LR"):
        shin = posed[:, body.bone[f"lowerleg01.{letter}"]] - ankles[:, side]
        foot = pose[:, body.bone[f"foot.{letter}"]]
        forward = -foot[..., 1]
        up = torch.nn.functional.normalize(shin, dim=-1)
        # Toes down until they reach the ground.
        tiptoe = torch.rad2deg(torch.asin(((raised[:, side] - _SOLE) / _FOOT).clamp(0, 0.95)))
        flat = poses.flat_foot(up, forward) @ rotation_about("x", tiptoe)
        stands = (raised[:, side] < _STEP) & (up[:, 2] > 0.25) & (forward[:, :2].norm(dim=-1) > 0.2)
        turned = torch.where(stands[:, None, None], flat, foot)
        bones = [i for i, name in enumerate(body.names) if name == f"foot.{letter}" or (
            name.startswith("toe") and name.endswith(letter))]  # fmt: skip
        pose[:, bones] = turned[:, None]
    return pose


def centre_of_mass(body: Body, posed: Tensor) -> Tensor:
    """(B, 3) m, of bone heads (B, N, 3): segments by their share of the body's mass."""
    first, second, share = zip(*_MASS, strict=True)
    weight = torch.tensor(share, device=posed.device)
    middle = (posed[:, [body.bone[b] for b in first]] + posed[:, [body.bone[b] for b in second]]) / 2
    return (middle * (weight / weight.sum())[:, None]).sum(1)


def support(body: Body, posed: Tensor, on_hands: Tensor) -> Tensor:
    """(B, 3) m: the point under which the ground carries the body best: on the line between the two feet (or hands),
    or under the only one that stands."""
    at = body.bone
    feet = torch.stack([0.6 * posed[:, at[f"foot.{s}"]] + 0.4 * posed[:, at[f"toe2-1.{s}"]] for s in "LR"], dim=1)
    hands = torch.stack([posed[:, at[f"wrist.{s}"]] for s in "LR"], dim=1)
    ends = torch.where(on_hands[:, None, None], hands, feet)
    first, second = ends.unbind(1)
    centre = centre_of_mass(body, posed)
    line = (second - first)[:, :2]
    share = (((centre - first)[:, :2] * line).sum(-1) / (line**2).sum(-1).clamp(min=1e-6)).clamp(0, 1)
    rise = second[:, 2] - first[:, 2]
    share = torch.where(rise > _STEP, 0.0, torch.where(rise < -_STEP, 1.0, share))
    return first + share[:, None] * (second - first)


def _balance(body: Body, posed: Tensor, on_hands: Tensor) -> Tensor:
    """The turn (B, 3, 3) of the whole body that brings its centre of mass above its support."""
    away = centre_of_mass(body, posed) - support(body, posed, on_hands)
    offset = away[:, :2].norm(dim=-1)
    angle = torch.atan2(offset, away[:, 2].clamp(min=0.2)).clamp(max=_MAX_LEAN_RAD)
    # Turning about z x offset by minus the angle brings it upright.
    axis = torch.stack([-away[:, 1], away[:, 0], torch.zeros_like(offset)], dim=-1) / offset.clamp(min=1e-6)[:, None]
    return rotation_about_vector(axis, -angle)


def _distance(point: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Distance (B,) of points from segments."""
    along = end - start
    share = (((point - start) * along).sum(-1) / (along**2).sum(-1).clamp(min=1e-8)).clamp(0, 1)
    return (point - start - share[:, None] * along).norm(dim=-1)


def _floats(body: Body, posed: Tensor, contact: Tensor) -> Tensor:
    """1 (B,) where a limb reaches below the trunk or bottom that should carry the body, and so lifts it, else 0."""
    at = body.bone
    limbs = ("wrist", "lowerarm01", "lowerleg01", "foot", "toe2-1", "finger3-1")
    low = torch.stack([posed[:, at[f"{limb}.{s}"], 2] for limb in limbs for s in "LR"]).amin(0)
    trunk = torch.stack([posed[:, at[bone], 2] for bone in ("root", "spine01", "neck01")]).amin(0)
    lies, sits = contact == CONTACTS.index("lie"), contact == CONTACTS.index("bottom")
    carrier = torch.where(lies, trunk, posed[:, at["root"], 2])
    return ((lies | sits) & (low < carrier - _FLESH)).float()


def collisions(body: Body, posed: Tensor) -> Tensor:
    """How many pairs of limbs (B,) are nearer to each other than flesh allows. Distances scale with the body."""

    def at(name: str) -> Tensor:
        return posed[:, body.bone[name]]

    size = (at("root") - at("neck01")).norm(dim=-1) / 0.56
    neck, pelvis = at("neck01"), at("root")
    head = at("head") + (at("head") - neck) * 0.6
    checks: list[tuple[Tensor, float]] = []
    for this, other in (("L", "R"), ("R", "L")):
        wrist, elbow = at(f"wrist.{this}"), at(f"lowerarm01.{this}")
        hand = wrist + (wrist - elbow) * 0.35
        for point in (wrist, (wrist + elbow) / 2, hand):
            checks.append((_distance(point, pelvis, neck), 0.17))
            checks.append(((point - head).norm(dim=-1), 0.14))
            for leg in (this, other):
                checks.append((_distance(point, at(f"upperleg01.{leg}"), at(f"lowerleg01.{leg}")), 0.11))
                checks.append((_distance(point, at(f"lowerleg01.{leg}"), at(f"foot.{leg}")), 0.08))
        shin = (at(f"lowerleg01.{other}"), at(f"foot.{other}"))
        checks.append((_distance(at(f"lowerleg01.{this}"), *shin), 0.12))
        checks.append((_distance(at(f"foot.{this}"), *shin), 0.12))
        checks.append((_distance(at(f"toe2-1.{this}"), *shin), 0.1))
        checks.append((_distance(elbow, pelvis, neck), 0.17))
        checks.append((_distance(wrist, at(f"lowerarm01.{other}"), at(f"wrist.{other}")), 0.07))
        for point in (at(f"lowerleg01.{this}"), at(f"foot.{this}")):
            checks.append(((point - head).norm(dim=-1), 0.18))
            checks.append((_distance(point, pelvis, neck), 0.16))
    return torch.stack([distance < limit * size for distance, limit in checks]).sum(0).float()


def needs_chair(body: Body, posed: Tensor) -> Tensor:
    """Whether (B,) a pose of unknown origin needs a chair: thighs level, and nothing under the body's weight."""
    at = body.bone
    hips = (posed[:, at["upperleg01.L"]] + posed[:, at["upperleg01.R"]])[:, 2] / 2
    knees = (posed[:, at["lowerleg01.L"]] + posed[:, at["lowerleg01.R"]])[:, 2] / 2
    feet = torch.minimum(posed[:, at["foot.L"], 2], posed[:, at["foot.R"], 2])
    nothing = torch.zeros(len(posed), dtype=torch.bool, device=posed.device)
    away = (centre_of_mass(body, posed) - support(body, posed, nothing))[:, :2].norm(dim=-1)
    return ((hips - knees).abs() < 0.2) & (hips - feet > 0.25) & (away > 0.12)
