"""Views of poses as a 2D network would report them, without pictures: a lifter trains on these.

Random cameras project ``pose_bank``'s poses; then the joints get the errors that networks make: jitter, exchanged
sides, both limbs of a pair on one, joints far off, joints outside the picture. The constants marked "measured" follow
the errors of the weights ``small``, measured on 2026-11-28 on rendered test pictures and on the validation parts of
MPII and LSPET (docs/log.md). All others are guesses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from liftwild.network.lifter import Reading
from liftwild.rotation_torch import rotation_about
from liftwild.skeleton import DEPTH_ROOT, MPII_16, PELVIS, SCALE_BONES
from liftwild.synthetic.render.cameras import wild_cameras
from liftwild.synthetic.sample_rng import SampleRng

_SIDE = 256  # px of the pictures that the cameras take
_FILL = (0.62, 0.86)  # of the crop that a person's longer side takes
_TILTED, _ROLLED = 0.08, 0.5  # shares of people in any orientation, and of cameras turned about their axis
_ROLL_DEG = 20.0

# Lengths below are in sizes of the person (the longer side of the joints' box).
_LEGS, _ARMS, _ALL_SIDES = 0.03, 0.03, 0.02  # shares of people whose sides are exchanged; measured
_PAIR = 0.01  # share of single pairs (both ankles, ...) that are exchanged
_TWICE = 0.045  # share of joints that lie on the other one of their pair; measured
_JITTER, _JITTER_SPREAD = 0.022, 0.7  # deviation, measured, and the deviation of its logarithm between people
_ASTRAY, _ASTRAY_SIZE = 0.05, 0.2  # share of joints far off, measured, and how far
_LOST = 0.03  # share of joints that are reported with little mass at a wrong place
_CLEAN = 0.1  # share of people without errors
_CUT = 0.3  # share of people of whom a part lies outside the picture
# Jitter of each joint against the mean.
_WANDER = {
    "ankle": 1.3, "knee": 1.1, "hip": 1.0, "pelvis": 0.8, "thorax": 0.7, "upper_neck": 0.7, "head_top": 0.8,
    "wrist": 1.5, "elbow": 1.2, "shoulder": 0.8,
}  # fmt: skip
_NAMES = [name.removeprefix("left_").removeprefix("right_") for name in MPII_16.names]
_SWAP = list(MPII_16.flip_index)
_LEG_JOINTS = [j for j, name in enumerate(_NAMES) if name in ("ankle", "knee", "hip")]
_ARM_JOINTS = [j for j, name in enumerate(_NAMES) if name in ("wrist", "elbow", "shoulder")]
_LIMB_PAIRS = [(a, b) for a, b in MPII_16.flip_pairs if _NAMES[a] in ("ankle", "knee", "wrist", "elbow")]


class PoseView(NamedTuple):
    """B views. ``reading``: what a network would report. ``joints`` (B, 16, 2) and ``depth`` (B, 16): the truth, in the
    same [-1, 1] unit, depth relative to the thorax. ``inside`` (B, 16) bool: inside the picture."""

    reading: Reading
    joints: Tensor
    depth: Tensor
    inside: Tensor


def project_poses(poses: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random views of ``poses`` (B, 16, 3) m: joints (B, 16, 2) in a crop's [-1, 1] unit, and their depths (B, 16)."""
    count = len(poses)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=rng)

    tilted = uniform(1, 1) < _TILTED
    tilt = rotation_about("x", uniform() * 360) @ rotation_about("y", uniform() * 360)
    turn = rotation_about("z", uniform() * 360)
    pelvis, up = poses[:, PELVIS, None], torch.tensor([0.0, 0.0, 0.4])
    poses = torch.where(tilted, (poses - pelvis) @ tilt.transpose(1, 2) + pelvis + up, poses)
    poses = poses @ turn.transpose(1, 2)
    cameras = wild_cameras(SampleRng(uniform(48)), poses, _SIDE)
    inside = cameras.to_camera(poses)
    flat = cameras.to_pixels(inside)[..., :2]
    roll = rotation_about("z", torch.randn(count, generator=rng) * _ROLL_DEG * (uniform() < _ROLLED))[:, :2, :2]
    flat = flat @ roll.transpose(1, 2)
    plain = inside[..., :2]
    ends = torch.tensor(SCALE_BONES)
    scale = _lengths(flat, ends) / _lengths(plain, ends).clamp(min=0.05)
    depth = (inside[..., 2] - inside[:, DEPTH_ROOT, None, 2]) * scale[:, None]
    mirror = uniform(1) < 0.5
    flat = torch.where(mirror[..., None], flat[:, _SWAP] * torch.tensor([-1.0, 1.0]), flat)
    depth = torch.where(mirror, depth[:, _SWAP], depth)
    low, high = flat.amin(1), flat.amax(1)
    fill = uniform(1) * (_FILL[1] - _FILL[0]) + _FILL[0]
    size = (high - low).amax(1, keepdim=True).clamp(min=1.0) / (2 * fill)
    return (flat - (low + high)[:, None] / 2) / size[..., None], depth / size


def _lengths(points: Tensor, ends: Tensor) -> Tensor:
    return (points[:, ends[:, 0]] - points[:, ends[:, 1]]).norm(dim=-1).sum(1)


def corrupt_joints(joints: Tensor, rng: torch.Generator) -> tuple[Reading, Tensor]:
    """``joints`` (B, 16, 2) as a network would report them, and which of them (B, 16) are inside the picture."""
    count, number = joints.shape[:2]

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=rng)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=rng)

    size = (joints.amax(1) - joints.amin(1)).amax(1)[:, None, None]
    found, other = joints.clone(), joints[:, _SWAP]
    exchanged = torch.zeros(count, number, dtype=torch.bool)
    for group, share in ((_LEG_JOINTS, _LEGS), (_ARM_JOINTS, _ARMS), (_LEG_JOINTS + _ARM_JOINTS, _ALL_SIDES)):
        exchanged[:, group] |= uniform(1) < share
    for pair in _LIMB_PAIRS:
        exchanged[:, list(pair)] ^= uniform(1) < _PAIR
        twice = uniform(2, 1) < _TWICE
        found[:, pair[0]] = torch.where(twice[:, 0], joints[:, pair[1]], found[:, pair[0]])
        found[:, pair[1]] = torch.where(twice[:, 1] & ~twice[:, 0], joints[:, pair[0]], found[:, pair[1]])
    found = torch.where(exchanged[..., None], other, found)
    level = _JITTER * torch.exp(normal(1, 1) * _JITTER_SPREAD)
    wander = torch.tensor([_WANDER[name] for name in _NAMES])[:, None]
    each = torch.exp(normal(number, 1) * 0.4)
    jitter = normal(number, 2) * level * wander * each
    astray = uniform(number) < _ASTRAY
    jitter = torch.where(astray[..., None], normal(number, 2) * _ASTRAY_SIZE, jitter)
    found = found + jitter * size

    inside = _cut(joints, uniform)
    lost = (uniform(number) < _LOST) | ~inside
    middle = (found * inside[..., None]).sum(1, keepdim=True) / inside.sum(1)[:, None, None].clamp(min=1)
    anywhere = middle + normal(number, 2) * 0.2 * size
    # A joint outside the picture is reported somewhere near the body or on another joint.
    shuffled = found.gather(1, torch.randint(number, (count, number), generator=rng)[..., None].expand(-1, -1, 2))
    found = torch.where(lost[..., None], torch.where(uniform(number, 1) < 0.5, anywhere, shuffled), found)

    clean = uniform(1) < _CLEAN
    found = torch.where((clean & inside)[..., None], joints, found)
    error = ((found - joints).norm(dim=-1) / size[..., 0]).clamp(max=1)
    # Wrong joints get less mass than right ones, but exchanged limbs often as much. Fitted to the measured masses.
    doubt = torch.where(exchanged & (uniform(number) < 0.6), error * 0.1, error)
    mass = torch.exp(-((doubt / 0.35) ** 2)) * (0.85 + 0.15 * uniform(number)) + 0.05 * normal(number)
    mass = mass.clamp(0.02, 1)
    mass = torch.where(lost, 0.05 + 0.4 * uniform(number) ** 2, mass)
    mass = torch.where(clean & inside, 0.9 + 0.1 * uniform(number), mass)
    spread = (level[..., 0] * each[..., 0] * 1.2 + 0.02) * size[..., 0] * (0.6 + 0.8 * uniform(number)) + 0.012
    # The second place: of an exchanged joint the true one, else the other side's, or anywhere.
    rival = torch.where(
        (uniform(number, 1) < 0.5) | exchanged[..., None], torch.where(exchanged[..., None], joints, other), anywhere
    )
    second = rival + normal(number, 2) * 0.03 * size
    second_mass = (1 - mass) * uniform(number) ** 1.5
    return Reading(found, mass, spread, second, second_mass), inside


def _cut(joints: Tensor, uniform: Callable[..., Tensor]) -> Tensor:
    """Which joints (B, 16) a picture holds: of some people the legs, one side or the head lies beyond its edge."""
    low, high = joints.amin(1, keepdim=True), joints.amax(1, keepdim=True)
    place = (joints - low) / (high - low).clamp(min=1e-3)
    edge = 0.2 + 0.75 * uniform(1)
    kind = uniform(1)
    head = joints[:, MPII_16.index("head_top"), None]
    pelvis = joints[:, MPII_16.index("pelvis"), None]
    down = pelvis - head  # what is cut off below is the legs' end, whichever way a person is turned
    along = ((joints - head) * down).sum(-1) / (down**2).sum(-1).clamp(min=1e-4)
    below = along < 0.35 + 1.6 * uniform(1)
    aside = torch.where(uniform(1) < 0.5, place[..., 0] < edge, place[..., 0] > 1 - edge)
    above = place[..., 1] > 0.5 * uniform(1)
    held = torch.where(kind < 0.7, below, torch.where(kind < 0.9, aside, above))
    held = held | (uniform(1) >= _CUT)
    return torch.where(held.sum(1, keepdim=True) >= 4, held, torch.ones_like(held))


def sample_views(poses: Tensor, rng: torch.Generator) -> PoseView:
    """Random views of ``poses`` (B, 16, 3) m with a network's errors."""
    joints, depth = project_poses(poses, rng)
    reading, inside = corrupt_joints(joints, rng)
    return PoseView(reading, joints, depth, inside)
