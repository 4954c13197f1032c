"""A z-buffer for triangles in plain PyTorch, the same on CPU and GPU.

Every triangle becomes the pixels of its bounding box; edge tests keep those inside; one ``scatter_reduce`` with
``amax`` on ``bits(1/z) << 32 | triangle`` finds the nearest. Image coordinates: px, a pixel's centre at +0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_FLAT = 1e-9  # px^2: triangles seen edge-on


@dataclass(frozen=True, eq=False)
class Fragments:
    """The covered pixels of N images of H x W, P in all, in order of image, row, column.

    ``image`` (P,), ``row`` (P,), ``column`` (P,) long; ``triangle`` (P,): the nearest one there, as numbered in what
    was rasterised; ``weights`` (P, 3): perspective-correct weights of its corners, which sum to 1.
    """

    image: Tensor
    row: Tensor
    column: Tensor
    triangle: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.image)


def take_rows(table: Tensor, rows: Tensor) -> Tensor:
    """``table[rows]``: (..., C) for ``table`` (N, C) and ``rows`` (...); on CPU several times as fast."""
    return table.index_select(0, rows.flatten()).unflatten(0, rows.shape) if rows.numel() else table[rows]


def z_buffer(corners: Tensor, image: Tensor, count: int, size: int, cut: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The nearest triangle (count, size, size), -1 for none, and its nearness there (0 for none).

    ``corners`` (T, 3, 3): x, y in px and nearness (1/depth, linear in the image; > 0) of every corner; ``image`` (T,):
    which of the ``count`` images it is drawn into. ``cut`` (T, 3): a value at the corners; where its interpolation is
    not above 0, the triangle has a hole.
    """
    device = corners.device
    a, b, c = corners.unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low, high = torch.minimum(torch.minimum(a, b), c), torch.maximum(torch.maximum(a, b), c)
    x0, x1 = (low[:, 0] - 0.5).ceil().clamp(0, size), (high[:, 0] - 0.5).floor().clamp(-1, size - 1)
    y0, y1 = (low[:, 1] - 0.5).ceil().clamp(0, size), (high[:, 1] - 0.5).floor().clamp(-1, size - 1)
    width, height = x1 - x0 + 1, y1 - y0 + 1
    keep = ((width > 0) & (height > 0) & (low[:, 2] > 0) & (area.abs() > _FLAT)).nonzero()[:, 0]
    a, b, c = corners.index_select(0, keep).unbind(1)
    # Barycentric weights are linear in the pixel: w = at_origin + x * along_x + y * along_y, for two of the three.
    inverse = 1 / area[keep]
    ax, ay = (b[:, 1] - c[:, 1]) * inverse, (c[:, 0] - b[:, 0]) * inverse
    bx, by = (c[:, 1] - a[:, 1]) * inverse, (a[:, 0] - c[:, 0]) * inverse
    x0, y0 = x0[keep], y0[keep]
    px, py = x0 + 0.5, y0 + 0.5
    start_a = ax * (px - c[:, 0]) + ay * (py - c[:, 1])
    start_b = bx * (px - c[:, 0]) + by * (py - c[:, 1])
    columns = width[keep].long()
    cells = columns * height[keep].long()
    owner = torch.repeat_interleave(torch.arange(len(keep), device=device), cells)
    first_cell = torch.cumsum(cells, 0) - cells
    of_owner = torch.stack([first_cell, columns], dim=1).index_select(0, owner)
    place = torch.arange(len(owner), device=device) - of_owner[:, 0]
    wide = of_owner[:, 1]
    step_y = torch.div(place, wide, rounding_mode="floor")
    step_x = place - step_y * wide
    dx, dy = step_x.float(), step_y.float()
    plane = torch.stack([start_a, ax, ay, start_b, bx, by], dim=1).index_select(0, owner)
    wa = plane[:, 0] + plane[:, 1] * dx + plane[:, 2] * dy
    wb = plane[:, 3] + plane[:, 4] * dx + plane[:, 5] * dy
    inside = ((wa >= 0) & (wb >= 0) & (wa + wb <= 1)).nonzero()[:, 0]
    owner, wa, wb = owner.index_select(0, inside), wa.index_select(0, inside), wb.index_select(0, inside)
    near = torch.stack([a[:, 2], b[:, 2], c[:, 2]], dim=1).index_select(0, owner)
    weights = torch.stack([wa, wb, 1 - wa - wb], dim=1)
    nearness = (weights * near).sum(1)
    first = (image[keep] * size + y0.long()) * size + x0.long()
    pixel = first.index_select(0, owner) + (step_y * size + step_x).index_select(0, inside)
    key = (nearness.view(torch.int32).long() << 32) | keep.index_select(0, owner)
    if cut is not None:
        solid = ((weights * near * cut.index_select(0, keep.index_select(0, owner))).sum(1) > 0).nonzero()[:, 0]
        pixel, key = pixel[solid], key[solid]
    buffer = torch.full((count * size * size,), -1, dtype=torch.long, device=device)
    buffer.scatter_reduce_(0, pixel, key, "amax")
    hit = buffer >= 0
    triangle = torch.where(hit, buffer & 0xFFFFFFFF, buffer)
    nearest = torch.where(hit, buffer >> 32, torch.zeros_like(buffer)).to(torch.int32).view(torch.float32)
    return triangle.view(count, size, size), nearest.view(count, size, size)


def fragments(corners: Tensor, triangle: Tensor) -> Fragments:
    """The covered pixels of ``triangle`` (N, H, W) as ``z_buffer`` gives it from ``corners`` (T, 3, 3)."""
    image, row, column = (triangle >= 0).nonzero(as_tuple=True)
    hit = triangle[image, row, column]
    a, b, c = corners.index_select(0, hit).unbind(1)
    x, y = column + 0.5, row + 0.5
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    wa = ((b[:, 0] - x) * (c[:, 1] - y) - (b[:, 1] - y) * (c[:, 0] - x)) / area
    wb = ((c[:, 0] - x) * (a[:, 1] - y) - (c[:, 1] - y) * (a[:, 0] - x)) / area
    weights = torch.stack([wa * a[:, 2], wb * b[:, 2], (1 - wa - wb) * c[:, 2]], dim=1)
    return Fragments(image, row, column, hit, weights / weights.sum(1, keepdim=True))


def vertex_fans(faces: Tensor, vertices: int) -> Tensor:
    """(V, M): the faces around each vertex, padded with ``len(faces)``: normals without scattered additions, which on
    CUDA differ from run to run."""
    order = torch.argsort(faces.flatten(), stable=True)
    counts = torch.bincount(faces.flatten(), minlength=vertices)
    fans = torch.full((vertices, int(counts.max())), len(faces), dtype=torch.long, device=faces.device)
    owner = torch.repeat_interleave(torch.arange(vertices, device=faces.device), counts)
    place = torch.arange(len(order), device=faces.device) - (torch.cumsum(counts, 0) - counts)[owner]
    fans[owner, place] = torch.div(order, 3, rounding_mode="floor")
    return fans


def vertex_normals(vertices: Tensor, faces: Tensor, fans: Tensor) -> Tensor:
    """Unit normals (B, V, 3) of ``vertices`` (B, V, 3), area-weighted over ``fans`` (``vertex_fans``)."""
    a, b, c = (vertices.index_select(1, faces[:, corner]) for corner in range(3))
    normal = torch.linalg.cross(b - a, c - a, dim=-1)
    normal = torch.cat([normal, torch.zeros_like(normal[:, :1])], dim=1)
    total = normal.index_select(1, fans[:, 0])
    for column in range(1, fans.shape[1]):
        total += normal.index_select(1, fans[:, column])
    return torch.nn.functional.normalize(total, dim=-1)
