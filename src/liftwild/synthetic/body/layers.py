"""The rendered mesh: the body, the shells around it that become clothes and hair, and fields over its vertices."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from liftwild.synthetic.body.body import HAIR, LEFT_EYE, RIGHT_EYE, SKIN, SKIRT, TIGHTS, Body, load_body
from liftwild.synthetic.render.raster import vertex_fans, vertex_normals

# Layers of the rendered mesh; the tights' shell is there twice. Eyes are a layer of faces; their vertices are L_SKIN's.
L_SKIN, L_UPPER, L_LOWER, L_SKIRT, L_HAIR, L_EYES = range(6)


class Layers:
    """V vertices and F faces of body and shells, and fields over the vertices of the mean body at rest (m).

    ``source`` (V,): the body's vertex that each is made from; ``layer`` (V,), ``face_layer`` (F,): the layer.
    ``rest``, ``normal`` (V, 3). ``arm``, ``leg`` (V,): distance along the limb from shoulder, hip; ``arm_elbow``,
    ``arm_wrist``, ``leg_knee``, ``leg_ankle``: where on it those lie. ``on_arm``, ``on_leg``, ``on_head`` (V,): how
    far a vertex follows those bones, 0 to 1. ``scalp`` (V,): above 0 where short hair grows. ``seat``: the
    vertices that a seat carries. ``fields`` (V, 7): what colours depend on: rest, leg, on_leg, scalp, on_head.
    """

    def __init__(self, body: Body) -> None:
        self.body = body
        part = body.part
        sets = [
            (part == SKIN) | (part == LEFT_EYE) | (part == RIGHT_EYE), part == TIGHTS, part == TIGHTS, part == SKIRT,
            part == HAIR,
        ]  # fmt: skip
        sources, faces, face_layers, layers, start = [], [], [], [], 0
        for layer, chosen in enumerate(sets):
            ids = chosen.nonzero()[:, 0]
            place = torch.full((len(part),), -1, dtype=torch.long, device=body.device)
            place[ids] = torch.arange(len(ids), device=body.device) + start
            own = place[body.faces]
            own_part = body.face_part[(own >= 0).all(1)]
            own = own[(own >= 0).all(1)]
            kind = torch.full((len(own),), layer, dtype=torch.long, device=body.device)
            if layer == L_SKIN:
                kind[own_part != SKIN] = L_EYES
            sources.append(ids)
            faces.append(own)
            face_layers.append(kind)
            layers.append(torch.full_like(ids, layer))
            start += len(ids)
        self.source, self.faces = torch.cat(sources), torch.cat(faces)
        self.layer, self.face_layer = torch.cat(layers), torch.cat(face_layers)
        self.one_sided = (self.face_layer == L_SKIN) | (self.face_layer == L_EYES)
        self.fans = vertex_fans(self.faces, len(self.source))
        self.weights = body.weights[self.source]
        self.rest = body.vertices[self.source]
        everywhere = vertex_normals(body.vertices[None], body.faces, vertex_fans(body.faces, len(body.vertices)))[0]
        self.normal = everywhere[self.source]
        self.is_eye = (part[self.source] == LEFT_EYE) | (part[self.source] == RIGHT_EYE)
        self.on_arm = self._share("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
        self.on_leg = self._share("upperleg", "lowerleg", "foot", "toe")
        self.on_head = self._share("head", "neck02", "neck03", "eye")
        self.arm, self.arm_elbow, self.arm_wrist = self._along("upperarm01", "lowerarm01", "wrist")
        self.leg, self.leg_knee, self.leg_ankle = self._along("upperleg01", "lowerleg01", "foot")
        self.hip_z = float(self._head("upperleg01.L")[2])
        self.neck_z = float(self._head("neck01")[2])
        self.crotch_z = self.hip_z - 0.09
        on_hips = self._share("root", "pelvis", "upperleg01") > 0.5
        low = (self.rest[:, 2] < self.hip_z + 0.02) & (self.rest[:, 2] > self.hip_z - 0.16) & (self.rest[:, 1] > 0)
        self.seat = (on_hips & low & (self.layer == L_SKIN)).nonzero()[:, 0]
        self._find_head()
        columns = (self.leg, self.on_leg, self.scalp, self.on_head)
        self.fields = torch.cat([self.rest, torch.stack(columns, dim=1)], dim=1)

    def _head(self, bone: str) -> Tensor:
        return self.body.heads[self.body.bone[bone]]

    def _share(self, *prefixes: str) -> Tensor:
        """(V,): the summed skinning weight of bones whose names begin so."""
        bones = [index for name, index in self.body.bone.items() if name.startswith(prefixes)]
        return self.weights[:, bones].sum(1)

    def _along(self, start: str, middle: str, end: str) -> tuple[Tensor, float, float]:
        """(V,): how far down a limb of two bones each vertex lies, and where the limb bends and ends."""
        sides: list[Tensor] = []
        for letter in "LR":
            a, b, c = (self._head(f"{bone}.{letter}") for bone in (start, middle, end))
            first, second = (b - a).norm(), (c - b).norm()
            on_first = (self.rest - a) @ (b - a) / first
            on_second = (self.rest - b) @ (c - b) / second
            sides.append(torch.where(on_second > 0, first + on_second, on_first.minimum(first)))
        return torch.where(self.rest[:, 0] > 0, sides[0], sides[1]), float(first), float(first + second)

    def _find_head(self) -> None:
        """Centre and half height of the head, the left eye, and the field of the scalp."""
        skull = self.rest[(self.layer == L_SKIN) & (self.weights[:, self.body.bone["head"]] > 0.9)]
        low, high = skull.amin(0), skull.amax(0)
        self.head_centre = (low + high) / 2
        self.head_centre[0] = 0
        self.head_half = float(high[2] - low[2]) / 2
        self.left_eye = self.body.vertices[self.body.part == LEFT_EYE].mean(0)
        x, y, z = ((self.rest - self.head_centre) / self.head_half).unbind(1)
        field = z * 0.75 + y * 0.95 - 0.12 - 0.25 * (x.abs() - 0.45).clamp(min=0)
        self.scalp = torch.where(self.on_head > 0.6, field, torch.full_like(field, -1.0))


@lru_cache(maxsize=2)
def load_layers(device: str = "cpu") -> Layers:
    """The rendered mesh on ``device``, built once."""
    return Layers(load_body(device))
