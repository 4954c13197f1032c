"""A batch of pictures: people, props and backdrop, with the exact labels of one person each."""

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
from liftwild.synthetic.render.backdrop import studio_backdrop, wild_backdrop
from liftwild.synthetic.render.camera_effects import apply_camera_effects
from liftwild.synthetic.render.cameras import Cameras
from liftwild.synthetic.render.crowd import Identities, PosedBodies
from liftwild.synthetic.render.light import Light, ShadowCasters, Shadows, ambient_occlusion, shade
from liftwild.synthetic.render.props import PROP_FACES, PROP_VERTICES, Props, prop_surface
from liftwild.synthetic.render.raster import Fragments, fragments, take_rows, vertex_normals, z_buffer
from liftwild.synthetic.render.textures import texture_bank
from liftwild.synthetic.sample_rng import SampleRng

# How far skin and clothes lie before each joint, m on a body whose torso measures TORSO_M: what is further before it
# is another part of the body, which hides it.
TORSO_M = 0.48
_DEPTH_OF = {"ankle": 0.11, "knee": 0.13, "hip": 0.19, "wrist": 0.1, "elbow": 0.11, "shoulder": 0.16, "pelvis": 0.22,
             "thorax": 0.2, "upper_neck": 0.16, "head_top": 0.13}  # fmt: skip
JOINT_DEPTH_M = tuple(_DEPTH_OF[name.removeprefix("left_").removeprefix("right_")] for name in MPII_16.names)

_MIN_BOX = 0.1  # of the picture's side: of people of whom next to nothing is in the picture


@dataclass(frozen=True, eq=False)
class Scene:
    """All that B pictures of ``size`` px show, but for the backdrop.

    P people: person b < B is the labelled one of picture b; ``image`` (P,): the picture that each is in.
    """

    layers: Layers
    identities: Identities
    bodies: PosedBodies
    image: Tensor
    props: Props
    cameras: Cameras
    light: Light
    size: int

    @property
    def count(self) -> int:
        """B."""
        return len(self.cameras.focal)


@dataclass(frozen=True, eq=False)
class Geometry:
    """Triangles of B images as the z-buffer sees them: T of people, then those of props.

    ``person`` (T,), ``face`` (T,) of the people's; ``prop_image``, ``prop_slot``, ``prop_face`` of the props'.
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


def render_scene(
    scene: Scene, rng: SampleRng, texture_seed: int, wild: bool, photos: Sequence[Path] = ()
) -> tuple[Tensor, Labels]:
    """Pictures (B, 3, S, S) uint8 and labels of ``scene``.

    ``wild``: before any backdrop, seen by any camera; else in the studio. ``photos``: for some of the wild backdrops.
    """
    geometry, casters = _rasterise(scene)
    bank = texture_bank(texture_seed, str(rng.device))
    middle = scene.bodies.joints[: scene.count].mean(1)
    contacts = scene.bodies.joints.flatten(0, 1)
    shadows = Shadows(
        scene.light, casters, middle, contacts, scene.image.repeat_interleave(scene.bodies.joints.shape[1])
    )
    if wild:
        picture = wild_backdrop(rng, scene.cameras, scene.light, shadows, bank, photos, texture_seed, scene.size)
    else:
        picture = studio_backdrop(scene.cameras, scene.light, shadows, bank, scene.size)
    covered = fragments(geometry.corners, geometry.triangle)
    colour, normal, place, gloss = _surfaces(scene, bank, geometry, covered)
    depth = 1 / geometry.nearness.clamp(min=1e-3)
    open_to = ambient_occlusion(depth, geometry.triangle >= 0, max(2, scene.size // 80))
    to_camera = normalize(scene.cameras.position[covered.image] - place, dim=1)
    hidden = shadows.at(place + 0.015 * normal, covered.image)
    pixels = covered.image, covered.row, covered.column
    picture[pixels] = shade(scene.light, covered.image, colour, normal, to_camera, gloss, hidden, open_to[pixels])
    return apply_camera_effects(rng, picture.permute(0, 3, 1, 2), wild), _label(scene, geometry)


def _rasterise(scene: Scene) -> tuple[Geometry, ShadowCasters]:
    """Everything through the z-buffer; and all of it that throws shadows."""
    layers, bodies, props, cameras, image = scene.layers, scene.bodies, scene.props, scene.cameras, scene.image
    device = image.device
    pixels = cameras.to_pixels(cameras.to_camera(bodies.vertices, image), image)
    count = len(layers.rest)
    person, face = ((bodies.cut > 0)[:, layers.faces].any(-1)).nonzero(as_tuple=True)
    vertex = person[:, None] * count + layers.faces[face]
    cut = take_rows(bodies.cut.flatten(), vertex)
    corners = take_rows(pixels.flatten(0, 1), vertex)
    a, b, c = corners.unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    seen = (~(layers.one_sided[face] & (area > 0))).nonzero()[:, 0]
    # Props.
    prop_image, slot = props.used.nonzero(as_tuple=True)
    faces = PROP_FACES.to(device)
    prop = props.vertices[prop_image, slot]  # (N, 32, 3)
    prop_px = cameras.to_pixels(cameras.to_camera(prop, prop_image), prop_image)[:, faces].flatten(0, 1)
    first = pixels.shape[0] * count + PROP_VERTICES * torch.arange(len(prop), device=device)
    prop_vertex = (first[:, None, None] + faces).flatten(0, 1)
    meshes = ((bodies.vertices, image), (prop, prop_image))
    per = len(faces)
    prop_image, slot = prop_image.repeat_interleave(per), slot.repeat_interleave(per)
    prop_face = torch.arange(per, device=device).repeat(len(prop))
    whole = torch.ones(len(prop_px), 3, device=device)
    everything = torch.cat([corners.index_select(0, seen), prop_px])
    triangle, nearness = z_buffer(
        everything, torch.cat([image[person[seen]], prop_image]), scene.count, scene.size, torch.cat([cut[seen], whole])
    )
    geometry = Geometry(person[seen], face[seen], prop_image, slot, prop_face, everything, triangle, nearness)
    every_image = torch.cat([image[person], prop_image])
    return geometry, ShadowCasters(meshes, torch.cat([vertex, prop_vertex]), every_image, torch.cat([cut, whole]))


def _surfaces(
    scene: Scene, bank: Tensor, geometry: Geometry, covered: Fragments
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour (N, 3), normal (N, 3), place (N, 3) m and gloss (N,) of the covered pixels."""
    layers, bodies, identities, props = scene.layers, scene.bodies, scene.identities, scene.props
    people = len(geometry.person)
    is_person = covered.triangle < people
    colour = torch.empty(len(covered), 3, device=bank.device)
    normal, place = torch.empty_like(colour), torch.empty_like(colour)
    gloss = torch.full_like(colour[:, 0], 0.05)
    own = is_person.nonzero()[:, 0]
    person, face = geometry.person[covered.triangle[own]], geometry.face[covered.triangle[own]]
    vertex, weights = layers.faces[face], covered.weights[own][..., None]
    normals = vertex_normals(bodies.vertices, layers.faces, layers.fans)
    moving = torch.cat([bodies.vertices, normals, bodies.cut[..., None]], dim=-1).flatten(0, 1)
    here = (take_rows(moving, person[:, None] * len(layers.rest) + vertex) * weights).sum(1)
    still = (take_rows(layers.fields, vertex) * weights).sum(1)
    layer = layers.face_layer[face]
    colour[own], gloss[own], crease = materials.albedo(
        layers, bank, identities.outfit, identities.appearance, person, layer, still, here[:, 6]
    )
    folds = materials.folds(bank, identities.appearance, person, still)
    place[own], normal[own] = here[:, :3], normalize(here[:, 3:6] + crease[:, None] * folds, dim=1)
    rest = (~is_person).nonzero()[:, 0]
    which = covered.triangle[rest] - people
    picture, slot, side = geometry.prop_image[which], geometry.prop_slot[which], geometry.prop_face[which]
    corners = props.vertices[picture[:, None], slot[:, None], PROP_FACES.to(bank.device)[side]]
    place[rest] = (corners * covered.weights[rest][..., None]).sum(1)
    colour[rest], normal[rest] = prop_surface(props, bank, picture, slot, side, place[rest])
    return colour, normal, place, gloss


def exact_joints(cameras: Cameras, joints: Tensor) -> tuple[Tensor, Tensor]:
    """``joints`` (B, 16, 3), m in the world, in px (B, 16, 2) and in mm of camera space (B, 16, 3); float64."""
    exact = Cameras(*(value.double() for value in vars(cameras).values()))
    camera = exact.to_camera(joints.double())
    return exact.to_pixels(camera)[..., :2], 1000 * camera


def _label(scene: Scene, geometry: Geometry) -> Labels:
    """The labels of the first B people."""
    cameras, size = scene.cameras, scene.size
    joints = scene.bodies.joints[: scene.count]
    joints_2d, joints_3d = exact_joints(cameras, joints)
    owner = torch.full_like(geometry.triangle, -1)
    people = (geometry.triangle >= 0) & (geometry.triangle < len(geometry.person))
    owner[people] = geometry.person[geometry.triangle[people]]
    rows = torch.arange(scene.count, device=owner.device)
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
    small = ((_MIN_BOX * size - (high - low)) / 2).clamp(min=0)
    box = torch.cat([low - small, high - low + 2 * small], dim=1).float()
    return Labels(joints_2d, joints_3d, cameras.focal.double(), cameras.centre.double(), visible, mask, box)
