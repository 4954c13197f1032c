"""Poses made of ``pose_families``: one world-space rotation for each bone of the body, relative to rest."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from liftwild.rotation_torch import rotation_about, rotation_between, rotation_euler, rotation_of_limb
from liftwild.synthetic.body.body import Body
from liftwild.synthetic.poses.pose_families import ARM_NAMES, ARMS, CONTACTS, FAMILIES, Range
from liftwild.synthetic.sample_rng import SampleRng

POSE_COLUMNS = 96  # numbers that one pose takes
_TRUNK = ("tilt", "bend", "side", "twist", "pitch", "roll", "nod")
_DOWN = (0.0, 0.0, -1.0)
_CLAVICLE_RISE = 0.215  # degrees of clavicle for each degree of an arm above 45 below the horizontal
_ANKLE_BEND = (30.0, 45.0)  # how far a shin leans forward, backward over a flat foot before heel, toes rise


@lru_cache(maxsize=4)
def _tables(device: torch.device) -> dict[str, Tensor]:
    """The families' and arms' ranges as tensors: trunk (F, 7, 2), legs (F, 2, 3, 2), arms (A, 3, 2), ..."""

    def weights(kinds: dict[str, float]) -> list[float]:
        return [float(kinds.get(name, 0)) for name in ARM_NAMES]

    families = FAMILIES.values()

    def ranges(leg: object) -> list[Range]:
        return [getattr(leg, name) for name in ("hip", "knee", "spread")]

    table: dict[str, object] = {
        "trunk": [[getattr(each, name) for name in _TRUNK] for each in families],
        "legs": [[ranges(each.lead), ranges(each.trail or each.lead)] for each in families],
        "legs alike": [float(each.trail is None) for each in families],
        "lead arm": [weights(each.arms) for each in families],
        "trail arm": [weights(each.trail_arms or each.arms) for each in families],
        "arms alike": [each.arms_alike for each in families],
        "contact": [float(CONTACTS.index(each.contact)) for each in families],
        "wild": [each.wild for each in families],
        "lab": [each.lab for each in families],
        "arm": [[arm.up, arm.forward, arm.elbow] for arm in ARMS.values()],
        "bend": [arm.bend for arm in ARMS.values()],
    }
    return {name: torch.tensor(values, dtype=torch.float32, device=device) for name, values in table.items()}


def sample_families(rng: SampleRng, mode: str) -> Tensor:
    """Index into ``FAMILIES`` of each row: long (B,). ``mode``: "lab" or "wild"."""
    return rng.pick(_tables(rng.device)[mode])


def contacts(family: Tensor) -> Tensor:
    """Index into ``CONTACTS`` of each row's family: long (B,)."""
    return _tables(family.device)["contact"][family].long()


def _between(limits: Tensor, unit: Tensor) -> Tensor:
    """``unit`` in [0, 1) -> the range ``limits`` (..., 2)."""
    return limits[..., 0] + (limits[..., 1] - limits[..., 0]) * unit


def sample_poses(body: Body, rng: SampleRng, family: Tensor) -> Tensor:
    """A pose of each row's ``family`` (B,): rotations (B, N, 3, 3) of the bones. ``settle`` makes it stand and fit."""
    table = _tables(rng.device)
    trunk = dict(zip(_TRUNK, _between(table["trunk"][family], rng.unit(len(_TRUNK))).unbind(1), strict=True))
    pelvis = rotation_euler("xyxy", trunk["pitch"], trunk["roll"], trunk["tilt"], rng.normal(0, 3))
    bend = rotation_euler("xyz", trunk["bend"] / 3, trunk["side"] / 3, trunk["twist"] / 3)
    spine = [pelvis]
    for _ in range(3):
        spine.append(spine[-1] @ bend)
    chest = spine[-1]
    neck = rotation_euler("xyz", trunk["nod"] / 2, rng.normal(0, 5), rng.normal(0, 15), start=chest)
    head = rotation_euler("xzy", trunk["nod"] / 2, rng.normal(0, 15), rng.normal(0, 5), start=neck)
    bones = {
        "root": pelvis, "spine05": pelvis, "spine04": spine[1], "spine03": spine[2], "spine02": chest,
        "spine01": chest, "neck01": neck, "neck02": neck, "neck03": head, "head": head,
    }  # fmt: skip
    bones |= _legs(body, rng, family, pelvis)
    bones |= _arms(body, rng, family, chest)
    pose = spread_to_all(body, bones)
    return torch.where(rng.chance(0.5)[:, None, None, None], mirrored(body, pose), pose)


def _rest_turn(body: Body, start: str, end: str, to: tuple[float, float, float]) -> Tensor:
    """The rotation that points the limb from bone ``start`` to bone ``end`` along ``to``."""
    direction = body.heads[body.bone[end]] - body.heads[body.bone[start]]
    return rotation_between(direction, torch.tensor(to, device=body.device))


def _legs(body: Body, rng: SampleRng, family: Tensor, pelvis: Tensor) -> dict[str, Tensor]:
    """Thighs, shins and relaxed feet; the left leg leads."""
    table = _tables(rng.device)
    unit = rng.unit(2, 3)
    alike = (table["legs alike"][family] > 0)[:, None]
    unit = torch.stack([unit[:, 0], torch.where(alike, 0.85 * unit[:, 0] + 0.15 * unit[:, 1], unit[:, 1])], dim=1)
    angles = _between(table["legs"][family], unit)
    bones: dict[str, Tensor] = {}
    for side, (letter, sign) in enumerate((("L", 1.0), ("R", -1.0))):
        hip, knee, spread = angles[:, side].unbind(1)
        turn = rng.normal(6, 8) + 0.25 * spread
        thigh = rotation_euler("yxz", -sign * spread, -hip, sign * turn, start=pelvis)
        shin = thigh @ rotation_about("x", knee)
        thigh = thigh @ _rest_turn(body, f"upperleg01.{letter}", f"lowerleg01.{letter}", _DOWN)
        foot = shin @ rotation_about("x", rng.uniform(-5, 38))
        shin = shin @ _rest_turn(body, f"lowerleg01.{letter}", f"foot.{letter}", _DOWN)
        bones |= {f"pelvis.{letter}": pelvis, f"foot.{letter}": foot}
        bones |= {f"upperleg0{part}.{letter}": thigh for part in (1, 2)}
        bones |= {f"lowerleg0{part}.{letter}": shin for part in (1, 2)}
    return bones


def _arms(body: Body, rng: SampleRng, family: Tensor, chest: Tensor) -> dict[str, Tensor]:
    """Clavicles, arms and hands with curled fingers; the left arm goes with the leading leg."""
    table = _tables(rng.device)
    kinds = [rng.pick(table["lead arm"][family], 1)[:, 0], rng.pick(table["trail arm"][family], 1)[:, 0]]
    alike = rng.unit() < table["arms alike"][family]
    kinds[1] = torch.where(alike, kinds[0], kinds[1])
    unit, wobble = rng.unit(2, 3), rng.normal(0, 0.25, 2, 3)
    unit = torch.stack([unit[:, 0], torch.where(alike[:, None], unit[:, 0] * 0.9 + unit[:, 1] * 0.1, unit[:, 1])], 1)
    bones: dict[str, Tensor] = {}
    for side, (letter, sign) in enumerate((("L", 1.0), ("R", -1.0))):
        up, forward, elbow = _between(table["arm"][kinds[side]], unit[:, side]).unbind(1)
        rise, turn = torch.deg2rad(up), torch.deg2rad(forward)
        direction = torch.stack(
            [sign * torch.cos(rise) * torch.cos(turn), -torch.cos(rise) * torch.sin(turn), torch.sin(rise)], dim=-1
        )
        inward, ahead, above = (table["bend"][kinds[side]] + wobble[:, side]).unbind(1)
        upper = rotation_of_limb(direction, torch.stack([-sign * inward, -ahead, above], dim=-1))
        if sign < 0:  # the right arm's rest direction is -x
            upper = upper @ torch.diag(torch.tensor([-1.0, 1.0, -1.0], device=rng.device))
        upper = chest @ upper
        lower = upper @ rotation_about("z", -sign * elbow)
        clavicle = chest @ rotation_about("y", -sign * _CLAVICLE_RISE * (up + 45).clamp(min=0))
        ahead_of = (sign, 0.0, 0.0)
        hand = rotation_euler("xyz", rng.normal(0, 35), rng.normal(0, 15), rng.normal(0, 12), start=lower)
        hand = hand @ _rest_turn(body, f"wrist.{letter}", f"finger3-1.{letter}", ahead_of)
        upper = upper @ _rest_turn(body, f"upperarm01.{letter}", f"lowerarm01.{letter}", ahead_of)
        rest = _rest_turn(body, f"lowerarm01.{letter}", f"wrist.{letter}", ahead_of)
        bones |= {f"clavicle.{letter}": clavicle, f"shoulder01.{letter}": clavicle, f"wrist.{letter}": hand}
        bones |= {f"upperarm0{part}.{letter}": upper for part in (1, 2)}
        bones |= {f"lowerarm0{part}.{letter}": lower @ rest for part in (1, 2)}
        across = body.heads[body.bone[f"finger5-1.{letter}"]] - body.heads[body.bone[f"finger2-1.{letter}"]]
        bones |= _fingers(letter, hand, across * sign, rng.uniform(0, 50))
    return bones


def _fingers(letter: str, hand: Tensor, across: Tensor, curl: Tensor) -> dict[str, Tensor]:
    """Fingers curled by ``curl`` (B,) degrees a joint about the line across the knuckles (3,)."""
    # A turn that takes x to that line makes a rotation about it one about x.
    line = rotation_between(torch.tensor([1.0, 0, 0], device=across.device), across)
    bones: dict[str, Tensor] = {}
    for joint in (1, 2, 3):
        turned = hand @ line @ rotation_about("x", -curl * joint * 0.8) @ line.T
        bones |= {f"finger{finger}-{joint}.{letter}": turned for finger in range(2, 6)}
    return bones


def spread_to_all(body: Body, bones: dict[str, Tensor]) -> Tensor:
    """Rotations (B, N, 3, 3) of all bones from those named; the others follow their parent."""
    rotations: list[Tensor] = []
    for bone, name in enumerate(body.names):
        rotations.append(bones[name] if name in bones else rotations[body.parents[bone]])
    return torch.stack(rotations, dim=1)


def mirrored(body: Body, rotations: Tensor) -> Tensor:
    """The pose (B, N, 3, 3) as a mirror shows it: left and right exchanged."""
    swap = {".L": ".R", ".R": ".L"}
    order = [body.bone[name[:-2] + swap[name[-2:]] if name[-2:] in swap else name] for name in body.names]
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0], device=rotations.device))
    return mirror @ rotations[:, order] @ mirror


def flat_foot(shin_up: Tensor, forward: Tensor) -> Tensor:
    """The foot's rotation (..., 3, 3) with its sole on the ground, pointing ``forward`` (..., 3), under a shin whose
    upward direction is ``shin_up`` (..., 3); a shin that leans far raises the heel or the toes."""
    heading = torch.rad2deg(torch.atan2(forward[..., 0], -forward[..., 1]))
    along = torch.stack([forward[..., 0], forward[..., 1], torch.zeros_like(forward[..., 0])], dim=-1)
    lean = torch.rad2deg(torch.asin((shin_up * torch.nn.functional.normalize(along, dim=-1)).sum(-1).clamp(-1, 1)))
    pitch = (lean - _ANKLE_BEND[0]).clamp(min=0) - (-lean - _ANKLE_BEND[1]).clamp(min=0)
    return rotation_about("z", heading) @ rotation_about("x", pitch)
