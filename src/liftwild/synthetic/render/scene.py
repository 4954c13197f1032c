"""A batch of pictures: people, things and background, drawn, with the exact labels of one person each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from liftwild.skeleton import MPII_16
from liftwild.synthetic.body import materials
from liftwild.synthetic.body.layers import Layers
from liftwild.synthetic.render import backdrop as background
from liftwild.synthetic.render import props
from liftwild.synthetic.render.camera_effects import develop
from liftwild.synthetic.render.cameras import View
from liftwild.synthetic.render.crowd import Standing, Who
from liftwild.synthetic.render.light import Casters, Light, Shadows, ambient_occlusion, shade
from liftwild.synthetic.render.props import Props
from liftwild.synthetic.render.raster import Fragments, fragments, take_rows, vertex_normals, z_buffer
from liftwild.synthetic.sample_rng import SampleRng

# How far skin and clothes lie before each joint, m on a body whose torso measures TORSO_M: what is further before it
# is another part of the body, which hides it.
TORSO_M = 0.48
_DEPTH_OF = {"ankle": 0.11, "knee": 0.13, "hip": 0.19, "wrist": 0.1, "elbow": 0.11, "shoulder": 0.16, "pelvis": 0.22,
             "thorax": 0.2, "upper_neck": 0.16, "head_top": 0.13}  # fmt: skip
JOINT_DEPTH_M = tuple(_DEPTH_OF[name.split("_", 1)[1] if name[:4] in ("left", "righ") else name]
                      for name in MPII_16.names)  # fmt: skip

_LEAST_BOX = 0.1  # of the picture's side: of people of whom next to nothing is in the picture


@dataclass(frozen=True, eq=False)
class Geometry:
    """Triangles of B images as the z-buffer sees them: T of people, then those of things.

    ``person`` (T,), ``face`` (T,) of the people's; ``prop_image``, ``prop_slot``, ``prop_face`` of the things'.
    ``corners`` (all, 3, 3) in px; ``triangle`` (B, S, S), ``nearness`` (B, S, S) 1/m.
    """

    person: Tensor
    face: Tensor
    prop_image: Tensor
    prop_slot: Tensor
    prop_face: Tensor
    corners: Tensor
    triangle: Tensor
    nearness: Tensor


@dataclass(frozen=True, eq=False)
class Labels:
    """Of B pictures: ``joints_2d`` (B, 16, 2) px and ``joints_3d`` (B, 16, 3) mm camera space, float64; ``focal`` (B,),
    ``centre`` (B, 2) px; ``visible`` (B, 16); ``mask`` (B, S, S) bool; ``box`` (B, 4) x, y, w, h px."""

    joints_2d: Tensor
    joints_3d: Tensor
    focal: Tensor
    centre: Tensor
    visible: Tensor
    mask: Tensor
    box: Tensor


def rasterise(
    layers: Layers, standing: Standing, image: Tensor, things: Props, view: View, size: int
) -> tuple[Geometry, Casters]:
    """Everything through the z-buffer; and all of it that throws shadows."""
    device = view.turn.device
    pixels = view.to_pixels(view.to_camera(standing.vertices, image), image)
    count = len(layers.rest)
    person, face = ((standing.cut > 0)[:, layers.faces].any(-1)).nonzero(as_tuple=True)
    vertex = person[:, None] * count + layers.faces[face]
    cut = take_rows(standing.cut.flatten(), vertex)
    corners = take_rows(pixels.flatten(0, 1), vertex)
    a, b, c = corners.unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    seen = (~(layers.one_sided[face] & (area > 0))).nonzero()[:, 0]
    # Things.
    prop_image, slot = things.used.nonzero(as_tuple=True)
    faces = props.FACES.to(device)
    thing = things.vertices[prop_image, slot]  # (N, 32, 3)
    thing_px = view.to_pixels(view.to_camera(thing, prop_image), prop_image)[:, faces].flatten(0, 1)
    first = pixels.shape[0] * count + props.VERTICES * torch.arange(len(thing), device=device)
    thing_vertex = (first[:, None, None] + faces).flatten(0, 1)
    meshes = ((standing.vertices, image), (thing, prop_image))
    per = len(faces)
    prop_image, slot = prop_image.repeat_interleave(per), slot.repeat_interleave(per)
    prop_face = torch.arange(per, device=device).repeat(len(thing))
    whole = torch.ones(len(thing_px), 3, device=device)
    everything = torch.cat([corners.index_select(0, seen), thing_px])
    triangle, nearness = z_buffer(
        everything, torch.cat([image[person[seen]], prop_image]), len(view.turn), size, torch.cat([cut[seen], whole])
    )
    geometry = Geometry(person[seen], face[seen], prop_image, slot, prop_face, everything, triangle, nearness)
    every_image = torch.cat([image[person], prop_image])
    casters = Casters(meshes, torch.cat([vertex, thing_vertex]), every_image, torch.cat([cut, whole]))
    return geometry, casters


def exact_joints(view: View, joints: Tensor) -> tuple[Tensor, Tensor]:
    """``joints`` (B, 16, 3), m in the world, in px (B, 16, 2) and in mm of camera space (B, 16, 3); float64."""
    exact = View(view.turn.double(), view.shift.double(), view.focal.double(), view.centre.double())
    camera = exact.to_camera(joints.double())
    return exact.to_pixels(camera)[..., :2], 1000 * camera


def label(standing: Standing, layers: Layers, view: View, geometry: Geometry, size: int) -> Labels:
    """The labels of the first person of each picture; people 0 .. B - 1 are those."""
    count = len(view.turn)
    joints = standing.joints[:count]
    joints_2d, joints_3d = exact_joints(view, joints)
    owner = torch.full_like(geometry.triangle, -1)
    people = (geometry.triangle >= 0) & (geometry.triangle < len(geometry.person))
    owner[people] = geometry.person[geometry.triangle[people]]
    rows = torch.arange(count, device=owner.device)
    mask = owner == rows[:, None, None]
    inside = ((joints_2d >= 0) & (joints_2d < size)).all(-1)
    column, row = (joints_2d.floor().long().clamp(0, size - 1)).unbind(-1)
    surface = 1 / geometry.nearness[rows[:, None], row, column].clamp(min=1e-6)
    torso = (joints[:, MPII_16.index("pelvis")] - joints[:, MPII_16.index("thorax")]).norm(dim=-1)
    deep = torch.tensor(JOINT_DEPTH_M, device=owner.device) * (torso / TORSO_M)[:, None]
    visible = inside & mask[rows[:, None], row, column] & (joints_3d[..., 2] / 1000 - surface < deep)
    # The joints' box, as label sets have it: the network then sees rendered and photographed people equally large.
    inner = joints_2d.clamp(0, size)
    low, high = inner.amin(1), inner.amax(1)
    small = ((_LEAST_BOX * size - (high - low)) / 2).clamp(min=0)
    box = torch.cat([low - small, high - low + 2 * small], dim=1).float()
    return Labels(joints_2d, joints_3d, view.focal.double(), view.centre.double(), visible, mask, box)


def draw(
    layers: Layers, bank: Tensor, dice: SampleRng, who: Who,
    standing: Standing, image: Tensor, things: Props, view: View,
    light: Light, geometry: Geometry, casters: Casters, size: int, wild: bool,
    photos: Sequence[Path], texture_seed: int,
) -> Tensor:  # fmt: skip
    """Pictures (B, 3, S, S) uint8."""
    count = len(view.turn)
    middle = standing.joints[:count].mean(1)
    feet = standing.joints.flatten(0, 1)
    shadows = Shadows(light, casters, middle, feet, image.repeat_interleave(standing.joints.shape[1]))
    if wild:
        picture = background.wild_background(dice, view, light, shadows, bank, photos, texture_seed, size)
    else:
        picture = background.studio(view, light, shadows, bank, size)
    found = fragments(geometry.corners, geometry.triangle)
    colour, normal, place, gloss = _surfaces(layers, bank, who, standing, things, geometry, found)
    depth = 1 / geometry.nearness.clamp(min=1e-3)
    open_to = ambient_occlusion(depth, geometry.triangle >= 0, max(2, size // 80))
    to_camera = normalize(view.position[found.image] - place, dim=1)
    hidden = shadows.at(place + 0.015 * normal, found.image)
    lit = shade(light, found.image, colour, normal, to_camera, gloss, hidden,
                open_to[found.image, found.row, found.column])  # fmt: skip
    picture[found.image, found.row, found.column] = lit
    return develop(dice, picture.permute(0, 3, 1, 2), wild)


def _surfaces(
    layers: Layers, bank: Tensor, who: Who, standing: Standing, things: Props, geometry: Geometry, found: Fragments
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour (N, 3), normal (N, 3), place (N, 3) m and gloss (N,) of the covered pixels."""
    people = len(geometry.person)
    is_person = found.triangle < people
    colour = torch.empty(len(found), 3, device=bank.device)
    normal, place = torch.empty_like(colour), torch.empty_like(colour)
    gloss = torch.full_like(colour[:, 0], 0.05)
    own = is_person.nonzero()[:, 0]
    person, face = geometry.person[found.triangle[own]], geometry.face[found.triangle[own]]
    vertex, weights = layers.faces[face], found.weights[own][..., None]
    normals = vertex_normals(standing.vertices, layers.faces, layers.fans)
    moving = torch.cat([standing.vertices, normals, standing.cut[..., None]], dim=-1).flatten(0, 1)
    here = (take_rows(moving, person[:, None] * len(layers.rest) + vertex) * weights).sum(1)
    still = (take_rows(layers.fields, vertex) * weights).sum(1)
    layer = layers.face_layer[face]
    colour[own], gloss[own], crease = materials.albedo(
        layers, bank, who.outfit, who.look, person, layer, still, here[:, 6]
    )
    folds = materials.folds(bank, who.look, person, still)
    place[own], normal[own] = here[:, :3], normalize(here[:, 3:6] + crease[:, None] * folds, dim=1)
    rest = (~is_person).nonzero()[:, 0]
    which = found.triangle[rest] - people
    picture, slot, side = geometry.prop_image[which], geometry.prop_slot[which], geometry.prop_face[which]
    corners = things.vertices[picture[:, None], slot[:, None], props.FACES.to(bank.device)[side]]
    place[rest] = (corners * found.weights[rest][..., None]).sum(1)
    colour[rest], normal[rest] = props.surface(things, bank, picture, slot, side, place[rest])
    return colour, normal, place, gloss
